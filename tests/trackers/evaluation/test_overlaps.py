import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trackers import boxes
from trackers.evaluation.overlaps import average_overlap, overlaps, toolkit_overlaps

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


sized = arrays(float, (6, 4), elements=st.integers(1, 12) | st.floats(0.5, 12))


@pytest.mark.parametrize("convention", ["otb", "got10k", "pysot"])
@given(sized, sized)
def test_the_toolkits_agree_on_boxes_of_positive_size(convention, regions, groundtruth):
    """Whether by last pixels, or with an epsilon: for boxes of positive size all compute the IoU of rectangles."""
    values = toolkit_overlaps(regions, groundtruth, convention)
    np.testing.assert_allclose(values, boxes.iou(regions, groundtruth), rtol=0, atol=1e-13)
