import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trackers.evaluation.measures import MEASURES, average_overlap, overlaps

NAN = [np.nan] * 4
BOX = [10, 10, 4, 4]
HALF = [10, 10, 4, 2]  # IoU 1/2 with BOX
AWAY = [50, 50, 4, 4]


def test_overlaps_by_hand():
    """A frame's overlap is its IoU; 0 where nothing usable was predicted, NaN where the target is absent."""
    regions = np.array([BOX, HALF, AWAY, NAN, [10, 10, 0, 4], [10, 10, -4, 4], [10, np.inf, 4, 4], BOX, NAN], float)
    groundtruth = np.array([BOX] * 7 + [NAN] * 2, float)
    np.testing.assert_array_equal(overlaps(regions, groundtruth), [1, 0.5, 0, 0, 0, 0, 0, np.nan, np.nan])


def test_the_first_frame_counts_only_if_asked():
    """The first frame's box is given, no prediction: it is left out, unless the convention counts it."""
    regions, groundtruth = np.array([BOX, HALF, AWAY], float), np.array([BOX] * 3, float)
    assert average_overlap(regions, groundtruth) == 0.25
    assert average_overlap(regions, groundtruth, count_first=True) == 0.5


def test_absent_frames_are_left_out():
    """Frames without a target neither help nor harm; a sequence of no others has no score."""
    regions = np.array([[BOX, HALF, BOX], [BOX, BOX, BOX]], float)
    groundtruth = np.array([[BOX, BOX, NAN], [BOX, NAN, NAN]], float)
    np.testing.assert_array_equal(average_overlap(regions, groundtruth), [0.5, np.nan])


boxes = arrays(float, (3, 5, 4), elements=st.floats(0, 20) | st.just(np.nan))


@given(boxes, boxes)
def test_stacked_sequences_are_judged_one_by_one(regions, groundtruth):
    """Every measure gives a stack of sequences the values of each alone, within its bounds."""
    for measure in MEASURES.values():
        values = measure(regions, groundtruth)
        np.testing.assert_array_equal(values, [measure(r, g) for r, g in zip(regions, groundtruth, strict=True)])
        assert all(np.isnan(v) or measure.bounds[0] <= v <= measure.bounds[1] for v in values)


def test_every_measure_says_what_its_numbers_mean():
    """A measure stands under its name, with bounds in order and a good end; a perfect tracker is there."""
    perfect = np.array([BOX, AWAY, HALF], float)
    for name, measure in MEASURES.items():
        assert measure.name == name
        low, high = measure.bounds
        assert low < high
        assert measure(perfect, perfect) == (high if measure.better == "higher" else low)


def test_shapes_that_do_not_fit_are_refused():
    """Regions and groundtruth of different lengths are an error that gives both shapes."""
    with pytest.raises(ValueError, match=r"average_overlap: expected .* got \(3, 4\) and \(2, 4\)"):
        MEASURES["average_overlap"](np.zeros((3, 4)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"got \(3, 5\) and \(3, 5\)"):
        MEASURES["average_overlap"](np.zeros((3, 5)), np.zeros((3, 5)))
