"""The measures, by name."""

from __future__ import annotations

from trackers.evaluation import fps, ope, segmentation, vot
from trackers.evaluation.measure import Measure

MEASURES: dict[str, Measure] = {
    measure.name: measure for module in (ope, vot, segmentation, fps) for measure in module.MEASURES
}
