import numpy as np
import pytest

from trackers.families.rolo.assignment import ByGroundtruth, ByHistory, most_overlapping

BOX = np.array([10.0, 10, 10, 10])
NONE = np.zeros((0, 4), np.float32)


def shifted(*pixels):
    """BOX moved to the right by so many pixels, once each; by 5 of them its IoU with BOX is 1/3."""
    return np.stack([BOX + [x, 0, 0, 0] for x in pixels]).astype(np.float32)


def test_the_most_overlapping_detection_counts():
    """It is the one with the highest IoU, whatever its score, and of equal ones the first."""
    assert most_overlapping(shifted(4, 1, 2), BOX, 0.3) == 1
    assert most_overlapping(shifted(3, -3), BOX, 0.3) == 0


def test_too_little_overlap_is_none():
    """An IoU of the least is enough, anything less is not; and without any overlap there is none, however little is
    asked for."""
    assert most_overlapping(shifted(5), BOX, 1 / 3) == 0
    assert most_overlapping(shifted(5), BOX, 0.34) is None
    assert most_overlapping(shifted(10), BOX, 0.0) is None
    assert most_overlapping(shifted(0), np.full(4, np.nan), 0.0) is None
    assert most_overlapping(NONE, BOX, 0.0) is None


def test_a_jump_is_rejected_and_forgotten():
    """A detection that overlaps too little with the history is not assigned, and does not become part of it."""
    choose = ByHistory(BOX, history=3, iou_min=0.3)
    assert [choose(boxes) for boxes in (shifted(0), shifted(9), shifted(9, 0), NONE)] == [0, None, 1, None]
    assert len(choose.validated) == 2


def test_the_mean_moves_with_the_last_detections():
    """After boxes at 0, 4 and 8, two of which it keeps, the mean is at 6: 11 is near enough, 0 is not (IoU 1/4)."""
    choose = ByHistory(BOX, history=2, iou_min=0.3)
    assert [choose(shifted(x)) for x in (0, 4)] == [0, 0]  # the mean is at 0, then at 2
    assert choose(shifted(7)) == 0  # means at 2, then at 5.5
    assert choose(shifted(0)) is None  # 4.5 / 15.5 = 0.29
    assert choose(shifted(10.5)) == 0  # 5 / 15


@pytest.mark.parametrize(("step", "kept"), [((1.5, 0), True), ((1.6, 0), False), ((0.9, 0.9), True), ((1, 1), False)])
def test_a_mean_of_six_lags(step, kept):
    """What moves by more than 0.15 of its width, or 0.09 of both sides, a frame gets away, though seen in every one."""
    choose = ByHistory(BOX, history=6, iou_min=0.3)
    found = [choose(BOX[None] + [t * step[0], t * step[1], 0, 0]) for t in range(30)]
    assert found[:6] == [0] * 6
    assert found[6:] == [0 if kept else None] * 24


def test_the_groundtruth_stands_in_until_there_is_a_detection():
    """However many frames have none, the box given at the start is what detections are compared with."""
    choose = ByHistory(BOX, history=2, iou_min=0.5)
    assert [choose(boxes) for boxes in (NONE, shifted(5), shifted(3), shifted(6))] == [None, None, 0, 0]


def test_by_groundtruth_nothing_is_too_far():
    """The released code takes the detection that overlaps most with this frame's groundtruth, however little."""
    choose = ByGroundtruth(np.stack([BOX, BOX + [30, 0, 0, 0], np.full(4, np.nan), BOX]))
    assert [choose(shifted(9, 35)) for _ in range(4)] == [0, 1, None, 0]
