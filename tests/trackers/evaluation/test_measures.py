import numpy as np

from trackers.evaluation.measure import CONVENTIONS
from trackers.evaluation.measures import MEASURES


def test_every_measure_says_what_its_numbers_mean():
    """A measure stands under its name, with bounds in order, a good end, and known conventions and protocols."""
    for name, measure in MEASURES.items():
        assert measure.name == name
        low, high = measure.bounds
        assert low < high
        assert measure.better in ("higher", "lower")
        assert measure.conventions and set(measure.conventions) <= set(CONVENTIONS)
        assert measure.protocols and np.isfinite(low)
