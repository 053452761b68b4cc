import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import Results
from trackers.evaluation.segmentation import PixelCounts, frame_ious, framewise_iou
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence, Unseen


def mask(*rows):
    """A mask drawn with #."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])


FULL, HALF, FIFTH, NONE = mask("####.", "####."), mask("##...", "##..."), mask("#....", "...##"), mask(".....", ".....")


def run(name, predicted, true, **facts):
    """A run through a sequence with masks, started in its first frame."""
    events = np.full(len(true), Event.PREDICTED, np.int8)
    events[0] = Event.INITIALIZED
    boxes = np.zeros((len(true), 4))
    return Sequence(name, Unseen(len(true)), boxes, true, **facts), Trajectory(name, boxes, events, masks=predicted)


def results(*runs):
    return Results(tuple(s for s, _ in runs), tuple((t,) for _, t in runs))


def test_mask_iou_by_hand():
    """J is the mean IoU of frames, then of sequences; the given frame and those without a target do not count."""
    a = run("a", [NONE, HALF, FULL, FULL], [FULL, FULL, FULL, NONE])
    b = run("b", [FULL, FIFTH], [FULL, FULL])  # 2 of 9 pixels are in both
    judged = results(a, b)
    np.testing.assert_array_equal(frame_ious(*a), [np.nan, 0.5, 1, np.nan])
    score = MEASURES["mask_iou"](judged)
    np.testing.assert_allclose(score.values, [0.75, 2 / 9])
    assert score.value == pytest.approx((0.75 + 2 / 9) / 2)
    assert MEASURES["mask_iou_above_40"](judged).value == pytest.approx(0.75 / 2)
    assert MEASURES["mask_iou_above_70"](judged).value == pytest.approx(0.5 / 2)
    mean, number = framewise_iou(judged)
    np.testing.assert_allclose(mean, [np.nan, (0.5 + 2 / 9) / 2, 1, np.nan])
    assert number.tolist() == [0, 2, 1, 0]


def test_what_has_no_masks():
    """A box is judged by the pixels inside it; a sequence without true masks has no score; nothing predicted is 0."""
    sequence, _ = run("a", None, [FULL, FULL, FULL], labelled=np.array([True, True, False]))
    events = np.array([Event.INITIALIZED, Event.PREDICTED, Event.PREDICTED], np.int8)
    boxes = np.array([[0, 0, 4, 2], [0, 0, 2, 2], [0, 0, 4, 2]], float)
    assert MEASURES["mask_iou"](results((sequence, Trajectory("a", boxes, events)))).value == 0.5
    lost = np.full((3, 4), np.nan)
    assert MEASURES["mask_iou"](results((sequence, Trajectory("a", lost, events)))).value == 0
    bare = Sequence("a", Unseen(3), boxes)
    assert np.isnan(MEASURES["mask_iou"](results((bare, Trajectory("a", boxes, events)))).value)


def test_pixels_by_hand():
    """Of probabilities .9 .6 .4 on the target and .6 .1 beside it: 4.5 of 6 pairs in order, IoU by threshold."""
    counts = PixelCounts.of(np.array([[0.9, 0.6, 0.4, 0.6, 0.1]]), mask("###.."))
    assert counts.auc() == pytest.approx(4.5 / 6)
    assert [counts.iou(t) for t in (0, 0.1, 0.4, 0.6, 0.9, 1)] == [3 / 5, 3 / 5, 3 / 4, 2 / 4, 1 / 3, 0]
    assert PixelCounts.of(np.zeros((1, 2)), mask("..")).iou(0.5) == 1
    with pytest.raises(ValueError, match=r"expected probabilities in \[0, 1\], got 0 to 2"):
        PixelCounts.of(np.array([[0.0, 2]]), mask(".#"))
    with pytest.raises(ValueError, match=r"of one shape, got \(1, 2\) and bool \(2, 5\)"):
        PixelCounts.of(np.zeros((1, 2)), FULL)


maps = arrays(np.int64, (3, 2, 5), elements=st.integers(0, 20)).map(lambda a: a / 20)


@given(maps, arrays(bool, (3, 2, 5)))
@settings(deadline=None)
def test_frames_add_up(probabilities, true):
    """Counts frame by frame are those of all frames; the area is the share of pairs of pixels in order."""
    together = PixelCounts.of(probabilities, true)
    apart = sum((PixelCounts.of(p, m) for p, m in zip(probabilities, true, strict=True)), PixelCounts())
    np.testing.assert_array_equal(together.counts, apart.counts)
    on, off = probabilities[true], probabilities[~true]
    if len(on) and len(off):
        order = np.sign(on[:, None] - off).mean()
        assert together.auc() == pytest.approx((order + 1) / 2)
    for threshold in (0.05, 0.4, 0.7):
        chosen = probabilities >= threshold
        either = (chosen | true).sum()
        assert together.iou(threshold) == pytest.approx((chosen & true).sum() / either if either else 1)
