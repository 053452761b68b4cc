import dataclasses

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trackers.benchmarks import otb
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import FrameError, one_pass
from trackers.families import rman
from trackers.families.rman import Learning, Sampling
from trackers.sequence import GreyFrames, Sequence

BRIEF = {"first": Learning(2, 2e-2), "update": Learning(1, 5e-3), "every": 2}
each_way = pytest.mark.parametrize("features", ["roi_align", pytest.param("patches", marks=pytest.mark.slow)])
W, H = 96, 72


def seldom(*box):
    """A box of which a quick run has a like one."""
    return pytest.param(box, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def frames(film):
    return film(0, length=4).frames


def on(box, frames):
    """A sequence whose target is said to be in this box all the time."""
    return Sequence("video", frames, np.tile(np.array(box, float), (len(frames), 1)))


def followed(tracker, sequence, size=(W, H)):
    """Boxes after the first frame, which are found to be numbers, of some size, and in the image."""
    [run] = follow(tracker, one_pass, [sequence], 1)
    found = run.boxes[1:]
    assert np.isfinite(found).all() and (found[:, 2:] >= 1).all()
    assert (found[:, :2] >= 0).all() and (found[:, :2] + found[:, 2:] <= np.add(size, 1e-9)).all()
    return found


@each_way
@pytest.mark.parametrize("box", [seldom(40, 30, 2, 3), (40, 30, 1e-9, 1e-9), seldom(40, 0, 0.5, 72)])
def test_targets_of_few_pixels(box, features, make, frames):
    """They are followed; less than a pixel counts as one, and sides grow or shrink no faster than others."""
    found = followed(make(features=features, **BRIEF), on(box, frames))
    sides = np.maximum(box[2:], 1)
    assert (found[:, 2:] <= sides * 1.5 ** np.arange(1, 4)[:, None] + 1e-9).all()


@each_way
@pytest.mark.parametrize("box", [(0, 0, W, H), (-1e5, -1e5, 2e5, 2e5), seldom(-500, 30, 1000, 9)])
def test_targets_larger_than_the_image(box, features, make, frames):
    """They are learnt whole, negatives being parts of them where there is nothing else; boxes end at the image."""
    followed(make(features=features, **BRIEF), on(box, frames))


@each_way
@pytest.mark.parametrize("box", [seldom(-12, -12, 24, 24), seldom(80, 60, 30, 30), (-23.9, 30, 24, 24)])
def test_starts_partly_outside(box, features, make, frames):
    """What lies outside of the image is grey, and the target is found inside from then on."""
    followed(make(features=features, **BRIEF), on(box, frames))


@each_way
def test_no_samples_for_the_box_regression(features, make, frames):
    """A target with its centre far outside has no sample that overlaps it by 0.6: no regressor, and one positive."""
    tracker = make(features=features, **BRIEF)
    followed(tracker, on((-30, 10, 31, 20), frames))
    assert tracker.lanes[0].regressor is None
    first = tracker.lanes[0].recollection.moments[0].positives
    assert (first == first[0]).all()


@each_way
def test_grey_frames(features, make, film):
    """They are followed as the same frames with three equal channels are."""
    one = film(0, length=4)
    grey = one.frames[..., 0].copy()
    found = followed(make(features=features, **BRIEF), dataclasses.replace(one, frames=GreyFrames(grey)))
    same = dataclasses.replace(one, frames=np.repeat(grey[..., None], 3, 3))
    np.testing.assert_array_equal(followed(make(features=features, **BRIEF), same), found)


def test_grey_images_on_disk(make, film, tmp_path):
    """Images of one channel in an OTB folder are read, and followed."""
    one = film(0, length=3)
    (tmp_path / "Grey" / "img").mkdir(parents=True)
    for t, frame in enumerate(one.frames, 1):
        cv2.imwrite(str(tmp_path / "Grey" / "img" / f"{t:04}.png"), frame[..., 0])
    rows = [",".join(f"{x:g}" for x in box + [1, 1, 0, 0]) for box in one.groundtruth]
    (tmp_path / "Grey" / "groundtruth_rect.txt").write_text("\n".join(rows) + "\n")
    [sequence] = otb.open(otb.Config(), tmp_path, "OTB")
    assert cv2.imread(str(tmp_path / "Grey" / "img" / "0001.png"), cv2.IMREAD_UNCHANGED).ndim == 2
    followed(make(**BRIEF), sequence)


@each_way
def test_one_frame(features, make, frames):
    """The start is all there is; what it learnt can be looked into all the same."""
    tracker = make(features=features, **BRIEF)
    [run] = follow(tracker, one_pass, [on((40, 30, 20, 20), frames[:1])])
    assert run.boxes.tolist() == [[40, 30, 20, 20]]
    assert tracker.recalled([0])[0].patches.shape == (4, 75, 75, 3)
    assert tracker.attention([0]).shape == (1, H, W)
    assert len(tracker.contrast([0])) == 1


class Broken:
    """Frames of which one cannot be read."""

    def __init__(self, frames, broken):
        self.frames, self.broken = frames, broken

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, t):
        if t == self.broken:
            raise OSError("truncated")
        return self.frames[t]


@pytest.mark.parametrize("broken", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_a_frame_that_cannot_be_read(broken, make, frames):
    """The error names sequence and frame; what ended before is there, and the tracker can be used again."""
    tracker, box = make(**BRIEF), (40, 30, 20, 20)
    good, bad = on(box, frames[:2]), dataclasses.replace(on(box, frames), frames=Broken(frames, broken), name="torn")
    runs = follow(tracker, one_pass, [good, bad], 1)
    assert next(runs).sequence == "video"
    with pytest.raises(FrameError, match=rf"^sequence torn, frame {broken}: OSError: truncated$"):
        next(runs)
    np.testing.assert_array_equal(followed(tracker, good), followed(make(**BRIEF), good))


@each_way
def test_frames_of_several_sizes(features, make, film):
    """A sequence whose frames change their size is followed, and looked into, each box in its own frame."""
    sizes = [(96, 72), (60, 50), (30, 26), (200, 150)]
    images = [film(0, size=size).frames[0] for size in sizes]
    tracker, shown = make(features=features, **BRIEF), []

    def ask(sequence, t, own, lane):
        shown.append(own.attention([lane]).shape[:0:-1])
        assert own.recalled([lane])[0].patches.shape == (4, 75, 75, 3)
        assert len(own.contrast([lane])) == 1

    [run] = follow(tracker, one_pass, [on((50, 40, 20, 20), images)], 1, ask)
    assert shown == sizes
    assert (run.boxes[1:, :2] >= 0).all() and np.isfinite(run.boxes).all()
    assert (run.boxes[1:, :2] + run.boxes[1:, 2:] <= np.array(sizes[1:]) + 1e-9).all()


@each_way
def test_a_target_that_leaves_the_image(features, make, film):
    """When it is gone the box stays in the image, of some size; with groundtruth that says so, nothing else changes."""
    one = film(0, length=8)
    frames, truth = one.frames.copy(), one.groundtruth.copy()
    frames[3:] = np.random.default_rng(0).integers(90, 166, frames[3:].shape)
    truth[3:] = np.nan
    followed(make(features=features, **BRIEF), Sequence("gone", frames, truth))


@each_way
@pytest.mark.parametrize("found", [0.0, 0.5])
def test_a_backbone_that_sees_nothing(found, features, small, colours, frames):
    """Where all responses are 0 heads learn from nothing, candidates are all alike, and boxes are numbers."""
    blind = {name: torch.zeros_like(weight) for name, weight in colours.items()}
    tracker = rman.tracker(small(features=features, found=found, **BRIEF), blind, "cpu")
    followed(tracker, on((40, 30, 20, 20), frames))
    [recalled], [attention] = tracker.recalled([0]), tracker.attention([0])
    assert np.isfinite(recalled.weights).all() and not attention.any()


@each_way
def test_scores_that_are_no_numbers(features, small, colours, frames):
    """By broken weights, or where learning diverges, the target is not found: its box stays where it was."""
    broken = {name: weight * float("nan") for name, weight in colours.items()}
    far = {**BRIEF, "first": Learning(20, 1e20)}
    for weights, own in ((broken, BRIEF), (colours, far)):
        tracker = rman.tracker(small(features=features, found=0.5, **own), weights, "cpu")
        assert (followed(tracker, on((40, 30, 20, 20), frames)) == [40, 30, 20, 20]).all()


def test_a_lane_that_diverges_leaves_others_alone(make, film):
    """A lane whose heads are no numbers learns beside another, which says what it says alone."""
    one = film(0)
    said = []
    for lanes in ([1], [0, 1]):
        tracker = make(**BRIEF)
        tracker.reseed(lanes, [1] * len(lanes))
        tracker.initialize(lanes, [one.frames[0]] * len(lanes), one.groundtruth[:1].repeat(len(lanes), 0))
        if 0 in lanes:
            tracker.lanes[0].heads = {name: head * float("nan") for name, head in tracker.lanes[0].heads.items()}
        said.append([tracker.update(lanes, [one.frames[t]] * len(lanes))[-1] for t in range(1, 6)])
    np.testing.assert_allclose(*said, atol=1e-3)


def test_the_least_of_everything(make, film):
    """With one sample of each kind, one unit, one patch remembered, one iteration, it still says boxes."""
    one = Sampling(candidates=1, first_positives=1, first_negatives=1, positives=1, negatives=1, regression=1)
    names = ("pairs", "mined", "best", "remembered", "every", "long", "short", "units", "hidden")
    least = {**dict.fromkeys(names, 1), "first": Learning(1, 0.1), "update": Learning(1, 0.1)}
    for activation in ("cosine", "average"):
        followed(make(sampling=one, activation=activation, **least), film(0))


@st.composite
def starts(draw):
    """Boxes that touch the image, of any size, and nearly any place."""
    width, height = (draw(st.floats(-1, 3).map(lambda power: 10**power)) for _ in range(2))
    x = draw(st.floats(0, 1)) * (W + width) * 0.999 - width * 0.999
    y = draw(st.floats(0, 1)) * (H + height) * 0.999 - height * 0.999
    return x, y, width, height


@pytest.mark.slow
@given(starts(), st.sampled_from(["roi_align", "patches"]))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_boxes_are_numbers_whatever_it_starts_on(make, frames, box, features):
    """From any box that touches the image, all that is said are boxes in the image, of a pixel at least."""
    few = Sampling(candidates=8, first_positives=8, first_negatives=8, positives=4, negatives=4, regression=8)
    followed(make(features=features, sampling=few, mined=8, **BRIEF), on(box, frames[:2]))
