import numpy as np
import pytest

from trackers.evaluation.curves import CURVES
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.pixels import LEVELS, PixelCounts
from trackers.evaluation.results import Results
from trackers.evaluation.segmentation import frame_ious, framewise_iou
from trackers.evaluation.statistics import interval, paired
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
    sums, numbers = framewise_iou(judged)
    np.testing.assert_allclose(sums[:, :4], [[0.5, 1, 0, 0], [2 / 9, 0, 0, 0]])
    assert numbers[:, :4].tolist() == [[1, 1, 0, 0], [1, 0, 0, 0]]


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


def test_framewise_iou_counts_from_the_start_of_each_clip():
    """Eq. 3: the mean over all clips that have that frame, by its number behind the start."""
    masked = np.stack([FULL] * 6)
    events = np.array([[0, 1, 3, 3, 0, 0], [0, 0, 0, 1, 3, 3], [1, 3, 3, 0, 0, 0]], np.int8)
    said = [np.stack([NONE, FULL, FULL, HALF, NONE, NONE]), np.stack([NONE, NONE, NONE, FULL, HALF, NONE])]
    boxes = np.zeros((6, 4))
    a = Sequence("a", Unseen(6), boxes, masked)
    b = Sequence("b", Unseen(6), boxes, np.stack([FULL, FULL, NONE, FULL, FULL, FULL]))
    runs = [Trajectory("a", boxes, events[i], i, masks=said[i]) for i in (0, 1)]
    judged = Results((a, b), (tuple(runs), (Trajectory("b", boxes, events[2], masks=masked),)), "random_clips")
    score = CURVES["framewise_iou"](judged)
    x, y = CURVES["framewise_iou"].points(score.numerator.sum(0), score.denominator.sum(0))
    assert x[[0, -1]].tolist() == [1, 32]
    np.testing.assert_allclose(y[:3], [(1 + 0.5 + 1) / 3, (0.5 + 0) / 2, np.nan])
    assert MEASURES["mask_iou"](judged).value == pytest.approx((0.5 + 1) / 2)  # 1, .5, .5, 0 in one, 1 in the other


def soft_run(name, pixels, **facts):
    """A run through two frames with masks, in which pixels of these probabilities were on and off the target."""
    on, off = (np.array(part, np.float32) for part in pixels)
    mask = np.arange(len(on) + len(off)) < len(on)
    counts = PixelCounts.of(np.concatenate([on, off])[None], mask[None], LEVELS).counts
    sequence, trajectory = run(name, [FULL, FULL], [FULL, FULL], **facts)
    return sequence, Trajectory(name, trajectory.regions, trajectory.events, masks=trajectory.masks, pixels=counts)


def test_pixels_of_all_sequences_are_pooled():
    """The area is under the ROC of all pixels, no mean of areas; IoU is of each sequence; who tells none has none."""
    a, b = soft_run("a", ([0.9, 0.6, 0.4], [0.6, 0.1])), soft_run("b", ([0.5], [0.7, 0.4]))
    judged = results(a, b)
    score = MEASURES["pixel_auc"](judged)
    np.testing.assert_allclose(score.values, [4.5 / 6, 1 / 2])
    assert score.value == pytest.approx((4 + 2.5 + 1.5 + 2) / 16)  # pairs in order: of .9, .6, .4 and .5 with four
    pooled = PixelCounts(a[1].pixels) + PixelCounts(b[1].pixels)
    assert score.value == pytest.approx(pooled.auc())
    curve = CURVES["roc"](judged)
    false, true = CURVES["roc"].points(curve.numerator.sum(0), curve.denominator.sum(0))
    np.testing.assert_array_equal((false, true), pooled.roc())
    assert np.trapezoid(true, false) == pytest.approx(score.value)
    assert MEASURES["pixel_iou_40"](judged).value == pytest.approx((3 / 4 + 1 / 3) / 2)
    assert MEASURES["pixel_iou_70"](judged).value == pytest.approx((1 / 3 + 0 / 2) / 2)
    for name in ("pixel_auc", "pixel_iou_40"):
        assert np.isnan(MEASURES[name](results(run("a", [FULL, FULL], [FULL, FULL]))).value)


def test_pixels_are_of_whole_runs():
    """Neither a tag of frames nor a shorter length has a score of pixels, for which nothing was counted apart."""
    tagged = results(soft_run("a", ([0.9], [0.1]), tags={"occlusion": np.array([False, True])}))
    for name in ("pixel_auc", "pixel_iou_40"):
        assert np.isnan(MEASURES[name](tagged, subset="occlusion").value)
        assert np.isnan(MEASURES[name](tagged, length=1).value)
        assert MEASURES[name](tagged, length=2).value == 1


def test_the_interval_of_a_pooled_area():
    """Resampled sequences give areas between the best and the worst; two trackers are paired by sequence."""
    steps = np.arange(5) / 20
    better, worse = (
        MEASURES["pixel_auc"](
            results(*(soft_run(str(i), ([0.5 + s, 0.6], [0.5 - u, 0.55])) for i, s in enumerate(steps)))
        )
        for u in (0.1, -0.04)
    )
    low, high = interval(better, 200)
    assert better.values.min() <= low <= better.value <= high <= better.values.max()
    effect = paired(better, worse, 200)
    assert effect.effect == pytest.approx(better.value - worse.value)
    assert effect.n == 5
