"""The measures, by name."""

from __future__ import annotations

from trackers.evaluation import ope, segmentation, vot
from trackers.evaluation.measure import Measure

MEASURES: dict[str, Measure] = {
    measure.name: measure for measure in (*ope.MEASURES, *segmentation.MEASURES, *vot.MEASURES)
}
