"""Trackers of masks, followed and judged: by masks, by pixels, and by benchmarks of boxes."""

from functools import partial

import numpy as np
import pytest

from trackers import masks
from trackers.evaluation import archive
from trackers.evaluation.clips import clip
from trackers.evaluation.lanes import follow
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.protocols import PROTOCOLS, random_clips
from trackers.evaluation.results import gather
from trackers.sequence import GreyFrames, Sequence
from trackers.tracker import SoftMap, Tracker

SIZE = (48, 40)  # width, height
FIRST, THEN = np.array([4.0, 4, 12, 10]), np.array([30.0, 20, 12, 10])


def film(regions, length=40):
    """A target that jumps at frame 15. regions: of boxes (frames, 4)."""
    boxes = np.where((np.arange(length) < 15)[:, None], FIRST, THEN)
    frames = GreyFrames(np.zeros((length, *SIZE[::-1]), np.uint8))
    return Sequence("a", frames, boxes, None if regions is None else regions(boxes), size=SIZE)


def as_masks(boxes):
    return np.stack([masks.of_box(box, SIZE) for box in boxes])


def as_polygons(boxes):
    x, y, w, h = boxes.T
    return np.stack([x, y, x + w, y, x + w, y + h, x, y + h], 1)


def upper_half(region):
    return region * [1, 1, 1, 0.5]


class Half(Tracker):
    """Says that the upper half of what it was told is the target, for ever, and each pixel of it for sure."""

    def __init__(self, region, empty_from=10**9):
        self.region, self.empty_from = region, empty_from
        self.said, self.steps = {}, {}

    def initialize(self, lanes, images, regions):
        for lane, region in zip(lanes, regions, strict=True):
            box = upper_half(region if self.region == "box" else masks.bounding_box(region))
            self.said[lane] = box if self.region == "box" else masks.of_box(box, SIZE)
            self.steps[lane] = 0

    def update(self, lanes, images):
        for lane in lanes:
            self.steps[lane] += 1
            if self.steps[lane] >= self.empty_from:
                self.said[lane] = self.said[lane] & False
        return [self.said[lane] for lane in lanes]

    def soft(self, lanes):
        window = np.array([0, 0, *SIZE])
        return [SoftMap(window, self.said[lane].astype(np.float32)) for lane in lanes]


def judged(tracker, protocol, sequence, **settings):
    return gather([sequence], follow(tracker, PROTOCOLS[protocol], [sequence], **settings), protocol)


@pytest.mark.parametrize("convention", ["trackmeet", "vot"])
def test_resets_on_masks_by_hand(convention):
    """Half of the mask is an overlap of 1/2; the jump at frame 15 is a failure, the reset 5 frames later goes on."""
    results = judged(Half("mask"), "supervised_reset", film(as_masks))
    assert np.flatnonzero(results.runs[0][0].events != 3).tolist() == [0, 15, 16, 17, 18, 19, 20]
    assert MEASURES["accuracy"](results, convention).value == pytest.approx(0.5)
    assert MEASURES["failures"](results, convention).value == 1
    with pytest.raises(ValueError, match="vot-legacy compares boxes and polygons"):
        MEASURES["accuracy"](results, "vot-legacy")


@pytest.mark.parametrize("regions", [None, as_polygons], ids=["boxes", "polygons"])
@pytest.mark.parametrize("protocol", ["supervised_reset", "one_pass"])
def test_benchmarks_of_boxes_judge_bounding_boxes(regions, protocol):
    """Where the groundtruth is boxes or polygons, masks score as the boxes around them, in every convention."""
    of_masks, of_boxes = (judged(Half(kind), protocol, film(regions)) for kind in ("mask", "box"))
    compared = 0
    for measure in MEASURES.values():
        for convention in measure.conventions:
            if protocol in measure.protocols_of(convention):
                values = [measure(results, convention).value for results in (of_masks, of_boxes)]
                np.testing.assert_equal(*values, err_msg=f"{measure.name}, {convention}")
                compared += np.isfinite(values[0])
    assert compared >= 15


def test_an_empty_mask_is_an_answer():
    """It overlaps with nothing: IoU 0 in its frame, a failure in VOT and of its box, the target's pixels missed."""
    sequence = film(as_masks, 12)
    once = judged(Half("mask", empty_from=7), "one_pass", sequence, soft=True)
    assert MEASURES["mask_iou"](once).value == pytest.approx(0.5 * 6 / 11)
    assert MEASURES["average_overlap"](once).value == pytest.approx(0.5 * 6 / 11)
    assert MEASURES["pixel_auc"](once).value == pytest.approx((1 + 3 / 11) / 2)  # 3 of 11 found, the others all tie
    assert MEASURES["pixel_iou_70"](once).value == pytest.approx(3 / 11)
    reset = judged(Half("mask", empty_from=7), "supervised_reset", sequence)
    assert {MEASURES["failures"](reset, convention).value for convention in ("trackmeet", "vot")} == {1}
    assert reset.runs[0][0].events[7] == 2


def test_scores_of_random_clips_survive_the_archive(tmp_path):
    """All measures of masks and pixels are the same of what was kept."""
    sequence = film(as_masks, 60)
    runs = list(follow(Half("mask"), partial(random_clips, clips=4), [sequence], soft=True))
    assert len(runs) == 4
    archive.save(tmp_path / "a.npz", [sequence], runs)
    before, after = gather([sequence], runs, "random_clips"), gather(*archive.load(tmp_path / "a.npz"), "random_clips")
    for name in ("mask_iou", "mask_iou_above_40", "pixel_auc", "pixel_iou_40"):
        assert 0 < MEASURES[name](after).value < 1
        np.testing.assert_array_equal(MEASURES[name](after).values, MEASURES[name](before).values)


class Counted:
    """Regions that remember which of them were looked at."""

    def __init__(self, regions):
        self.regions, self.seen = regions, set()

    def __len__(self):
        return len(self.regions)

    def __getitem__(self, t):
        self.seen.add(t)
        return self.regions[t]


def test_a_clip_reads_its_own_masks_alone(tmp_path):
    """Cutting a sequence reads no mask; following and keeping the clip, none behind its end."""
    whole = film(as_masks)
    counted = Counted(whole.regions)
    cut = clip(Sequence("a", whole.frames, whole.groundtruth, counted, size=SIZE), 8)
    assert counted.seen == set()
    runs = list(follow(Half("mask"), PROTOCOLS["one_pass"], [cut], soft=True))
    archive.save(tmp_path / "a.npz", [cut], runs)
    assert counted.seen == set(range(8))
