"""The measures, by name."""

from __future__ import annotations

from trackers.evaluation import ope
from trackers.evaluation.measure import Measure

MEASURES: dict[str, Measure] = {measure.name: measure for measure in ope.MEASURES}
