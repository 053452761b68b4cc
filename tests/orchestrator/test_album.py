from __future__ import annotations

import numpy as np
import pytest

from orchestrator.album import BINS, Album, most_active, told_apart
from orchestrator.report.results import Trial
from trackers import masks
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass, play
from trackers.sequence import GreyFrames, Sequence
from trackers.tracker import Contrast, IdentityTracker, Recalled, Tracker

HEIGHT, WIDTH = 40, 60


class Remembering(Tracker):
    """Says that the target moves by a pixel each frame; remembers 20 cells whose magnitude is their number."""

    region = "mask"

    def __init__(self):
        self.masks = {}
        self.steps = {}

    def initialize(self, lanes, images, regions):
        for lane, region in zip(lanes, regions, strict=True):
            self.masks[lane], self.steps[lane] = region, 0

    def update(self, lanes, images):
        for lane in lanes:
            self.masks[lane] = np.roll(self.masks[lane], 1, axis=1)
            self.steps[lane] += 1
        return [self.masks[lane] for lane in lanes]

    def memory(self, lanes):
        cells = np.arange(20.0)[None, :, None, None] * np.where(np.arange(6) % 2, -1, 1).reshape(2, 3)
        sign = [1.0 if self.steps[lane] % 2 else -1.0 for lane in lanes]
        return {"layer 1": np.concatenate([cells * s for s in sign]), "layer/2": np.ones((len(lanes), 4, 2, 2))}


def moving(name, length=12, height=HEIGHT, side=10):
    """A square of which there are masks, that moves by two pixels each frame."""
    truths = np.zeros((length, height, height * WIDTH // HEIGHT), bool)
    for t in range(length):
        truths[t, 4 : 4 + side, 2 * t : 2 * t + side] = True
    regions = masks.RunLengths.of(truths)
    return Sequence(name, GreyFrames(np.uint8(200 * truths)), regions.bounding_boxes(), regions)


def kept(tracker, sequences, tmp_path, protocol=one_pass, lanes=4, count=2, frames=(1, 3, 5)):
    """What the report finds in the album of a tracking job."""
    album = Album(count, list(frames))
    trajectories = list(follow(tracker, protocol, sequences, lanes, album.look))
    place = tmp_path / "set"
    place.mkdir(exist_ok=True)
    album.save(place / "pictures.npz", trajectories)
    return Trial("", "", "", None, None, 1, "done", None, None, ("set",), {}, tmp_path).pictures("set")


def test_masks_are_kept_of_frames_that_have_any(tmp_path):
    """The album has the predicted mask and that of the groundtruth in each of its frames, as they were."""
    [first, second] = kept(Remembering(), [moving(name) for name in "abc"], tmp_path)
    assert (first.sequence, second.sequence, first.numbers) == ("a", "b", (1, 3, 5))
    truth = moving("a")
    for i, t in enumerate(first.numbers):
        np.testing.assert_array_equal(first.groundtruth_masks[i], truth.region(t))
        np.testing.assert_array_equal(first.masks[i], np.roll(truth.region(0), t, 1))
        np.testing.assert_array_equal(first.frames[i], truth.frames[t])
    assert first.attention is None


def test_masks_are_reduced_with_their_frame(tmp_path):
    """Of a frame of 400 pixels shown at 200, masks have half the size, on where at least half of a pixel is."""
    [example] = kept(Remembering(), [moving("a", height=400, side=101)], tmp_path)
    assert example.frames.shape == (3, 200, 300, 3)
    assert example.masks.shape == example.groundtruth_masks.shape == (3, 200, 300)
    assert masks.bounding_box(example.groundtruth_masks[1]).tolist() == [3, 2, 51, 51]  # 6, 4, 101, 101 of the frame
    assert example.groundtruth[1].tolist() == [3, 2, 50.5, 50.5]


def test_the_most_active_cells_are_kept(tmp_path):
    """Of each layer's cells the 16 with the largest mean magnitude, the largest first, whatever their sign."""
    [example] = kept(Remembering(), [moving("a")], tmp_path)
    assert list(example.memory) == ["layer 1", "layer/2"]
    first = example.memory["layer 1"]
    assert first.shape == (3, 16, 2, 3)
    assert first.dtype == np.float16
    assert np.abs(first[0, :, 0, 0]).tolist() == list(range(19, 3, -1))
    assert example.memory["layer/2"].shape == (3, 4, 2, 2)
    assert np.isfinite(most_active(np.full((1, 1, 1, 1), 1e9))).all()


def test_trackers_of_boxes_have_no_masks(tmp_path):
    """Of a tracker that gives boxes there is no predicted mask, nor a memory; the groundtruth keeps its masks."""
    [example] = kept(IdentityTracker(), [moving("a")], tmp_path)
    assert example.masks is None
    assert example.memory == {}
    assert example.groundtruth_masks is not None


def twice(sequence, stochastic):
    """Two runs: frames 2 to 6, and from 8 on."""
    yield clipped(sequence, 2, 5)
    yield play(sequence, 8, sequence.region(8))


def clipped(sequence, start, length):
    run = play(sequence, start, sequence.region(start))
    asked = next(run)
    for _ in range(length - 1):
        region = yield asked
        asked = run.send(region)
    yield asked
    return ()


@pytest.mark.parametrize("lanes", [1, 4])
def test_the_album_is_of_the_first_run(lanes, tmp_path):
    """Frames are counted from the start of a sequence's first run, and none is of another, whatever lane it is in."""
    [example] = kept(Remembering(), [moving("a")], tmp_path, twice, lanes)
    truth = moving("a")
    assert example.numbers == (3, 5)  # the run ends before its fifth frame after the start
    for i, t in enumerate(example.numbers):
        np.testing.assert_array_equal(example.masks[i], np.roll(truth.region(2), t - 2, 1))


class Saying(IdentityTracker):
    """Recalls two patches of 96 pixels by weights of its lane's step; its samples are those of `CORNERS`."""

    def __init__(self):
        super().__init__()
        self.steps = {}

    def update(self, lanes, images):
        self.steps |= {lane: self.steps.get(lane, 0) + 1 for lane in lanes}
        return super().update(lanes, images)

    def recalled(self, lanes):
        patches = np.repeat(np.uint8([50, 100, 150]), 96 * 96 * 3).reshape(3, 96, 96, 3)
        return [Recalled(patches, np.float32([self.steps[lane] / 8, -0.5])) for lane in lanes]

    def contrast(self, lanes):
        return [CORNERS for _ in lanes]


# Centred: (-1, 0, 1), (-2, 0, 2) and (-3, 1, 2); (1, 0, -1) and (-1, 3, -2), and one that does not vary.
CORNERS = Contrast(np.float32([[1, 2, 3], [0, 2, 4], [0, 4, 5]]), np.float32([[3, 2, 1], [2, 6, 1], [7, 7, 7]]))


def test_correlations_are_counted_by_pairs():
    """Every pair of positives counts once, and each positive with each negative, at Pearson's r in bins of 0.05.

    By hand: positives correlate by 1, and twice by 5 / sqrt(28) = 0.945. With the first negative the first two
    correlate by -1, the third by -0.945; with the second by -1 / sqrt(28) = -0.189, and by 2 / 14 = 0.143.
    """
    together, apart = told_apart(CORNERS)
    filled = [{int(i): float(shares[i]) for i in np.flatnonzero(shares)} for shares in (together, apart)]
    assert filled[0] == pytest.approx({38: 2 / 3, 39: 1 / 3})
    assert filled[1] == pytest.approx({0: 1 / 3, 1: 1 / 6, 16: 1 / 3, 22: 1 / 6})
    assert together.dtype == np.float32
    assert len(together) == BINS


def test_no_pairs_have_no_shares():
    """Of one positive, or of samples that do not vary, there is no histogram: its shares are 0."""
    one = Contrast(np.float32([[1, 2]]), np.float32([[5, 5]]))
    assert not told_apart(one).any()
    assert not told_apart(Contrast(one.positives, np.zeros((0, 2), np.float32))).any()


def test_what_was_recalled_is_kept_small(tmp_path):
    """Of each frame the patches, reduced to 64 pixels, with the weights of that very step, and both histograms."""
    [example] = kept(Saying(), [moving("a")], tmp_path)
    assert example.patches.shape == (3, 3, 64, 64, 3)
    assert example.patches.dtype == np.uint8
    assert [np.unique(patch).tolist() for patch in example.patches[0]] == [[50], [100], [150]]
    np.testing.assert_array_equal(example.weights, [[1 / 8, -0.5], [3 / 8, -0.5], [5 / 8, -0.5]])
    assert example.contrast.shape == (3, 2, BINS)
    np.testing.assert_array_equal(example.contrast[1], told_apart(CORNERS))


def test_who_does_not_say_has_nothing_kept(tmp_path):
    """Of a tracker that neither recalls nor tells apart there are no patches, weights or histograms."""
    [example] = kept(IdentityTracker(), [moving("a")], tmp_path)
    assert (example.patches, example.weights, example.contrast) == (None, None, None)


def test_sequences_may_be_chosen_by_name(tmp_path):
    """An album of names has these sequences alone, however late they come; others of the benchmark are not kept."""
    found = kept(IdentityTracker(), [moving(name) for name in "abcd"], tmp_path, count=["d", "b", "x"])
    assert [example.sequence for example in found] == ["b", "d"]
