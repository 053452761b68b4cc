from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from trackers.boxes import inside, iou
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass
from trackers.families.rolo.assignment import ByHistory
from trackers.families.rolo.network import Answer, Model
from trackers.families.rolo.tracking import ROLO, SORT, YOLO
from trackers.families.rolo.windows import Windows, video
from trackers.features import Seen

RULE = partial(ByHistory, history=6, iou_min=0.3)
REGRESS = ["location", "heatmap", "both"]
IMAGE = np.zeros((60, 80, 3), np.uint8)


class Echo(nn.Module):
    """Says that the target is where its last detection is; notes what it is shown."""

    by_heatmap = None

    def __init__(self, features=8):
        super().__init__()
        self.width = features + 6
        self.shown = []

    def inputs(self, visual, detections):
        return torch.cat([visual, detections], -1)

    def forward(self, inputs):
        self.shown.append(inputs)
        return Answer(inputs[:, -1, -5:-1], None, inputs[:, -1, :-6])


class Says(Echo):
    """Says always the same."""

    def __init__(self, location):
        super().__init__()
        self.location = torch.tensor(location)

    def forward(self, inputs):
        return Answer(self.location.expand(len(inputs), 4), None, inputs[:, -1, :-6])


def random_model(regress, seed=0):
    """Untrained, of weights so large that it does something."""
    torch.manual_seed(seed)
    model = Model(8, regress, 6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
        if model.by_location:  # widths and heights are positive
            model.by_location.bias_ih_l0[2 * 14 + 9 : 2 * 14 + 13] += 1
    return model


def makers(see):
    """Each kind of tracker, made anew with every call."""
    rolos = {regress: lambda r=regress: ROLO(random_model(r), see, RULE, 3, "cpu") for regress in REGRESS}
    return {**rolos, "yolo": lambda: YOLO(see, RULE), "sort": lambda: SORT(see)}


def tracked(tracker, world, lanes=4):
    """Boxes (T, 4) of each sequence, by its name."""
    return {run.sequence: run.boxes for run in follow(tracker, one_pass, world.sequences, lanes)}


@pytest.mark.parametrize("kind", [*REGRESS, "yolo", "sort"])
def test_lanes_do_not_meet(walks, kind):
    """Videos tracked one by one, or together in lanes that are filled again, give the same boxes; they do move."""
    make = makers(walks.see)[kind]
    alone, together = tracked(make(), walks, 1), tracked(make(), walks, 3)
    for name in alone:
        np.testing.assert_allclose(alone[name], together[name], atol=1e-3)
        assert np.ptp(alone[name], axis=0).max() > 1


@pytest.mark.parametrize("kind", [*REGRESS, "yolo", "sort"])
def test_a_restarted_lane_remembers_nothing(walks, kind):
    """After frames of another video, and a start in a lane, it says what a new tracker does."""
    make = makers(walks.see)[kind]
    used, other, sequence = make(), walks.sequences[2], walks.sequences[0]
    used.initialize([0, 1], other.images([0, 0]), other.groundtruth[[0, 0]])
    for t in range(1, 5):
        used.update([0, 1], other.images([t, t]))
    used.initialize([1], sequence.images([2]), sequence.groundtruth[2:3])
    fresh = make()
    fresh.initialize([1], sequence.images([2]), sequence.groundtruth[2:3])
    for t in range(3, 8):
        np.testing.assert_array_equal(used.update([1], sequence.images([t])), fresh.update([1], sequence.images([t])))


@pytest.mark.parametrize("kind", [*REGRESS, "yolo", "sort"])
def test_boxes_are_of_some_size_and_in_the_image(walks, kind):
    """All are finite, at least a pixel wide and high, and end at the image's border."""
    for boxes in tracked(makers(walks.see)[kind](), walks).values():
        assert np.isfinite(boxes).all() and (boxes[:, 2:] >= 1).all()
        assert (boxes[:, :2] >= 0).all() and (boxes[:, :2] + boxes[:, 2:] <= [80 + 1e-9, 60 + 1e-9]).all()


@pytest.mark.parametrize("released", [False, True])
def test_tracking_sees_what_training_sees(walks, released):
    """The windows that end at a frame are the same in both, from a run's first frames to its last."""
    sequence = walks.sequences[1]
    found = video(sequence, walks.features["train"][sequence.name], "all", 6, 0.3, released)
    visual, rows, locations = Windows([found], 4, 200, seed=1).batch(0, "cpu")
    model = Echo()
    [_] = follow(ROLO(model, walks.see, None if released else RULE, 4, "cpu"), one_pass, [sequence])
    for t, shown in enumerate(model.shown, 1):
        i = int((locations == torch.from_numpy(found.locations[t])).all(1).nonzero()[0])
        torch.testing.assert_close(shown[0], torch.cat([visual[i], rows[i]], -1))
    assert len(model.shown) == len(sequence) - 1


def test_a_location_by_hand():
    """Centre and size in shares of the image are a box in its pixels."""
    tracker = ROLO(Says([0.5, 0.5, 0.25, 0.5]), blank, RULE, 6, "cpu")
    tracker.initialize([3], [IMAGE], np.array([[1.0, 2, 3, 4]]))
    np.testing.assert_allclose(tracker.update([3], [IMAGE]), [[30, 15, 20, 30]])
    assert tracker.attention([3]) is None


@pytest.mark.parametrize("location", [[0.5, 0.5, 0.0, 0.2], [0.5, 0.5, 0.2, -0.1], [float("nan")] * 4])
def test_no_location_means_that_the_target_stayed(location):
    """Without a size, or a number, the box is that of the frame before."""
    tracker = ROLO(Says(location), blank, RULE, 6, "cpu")
    tracker.initialize([0], [IMAGE], np.array([[1.0, 2, 3, 4]]))
    for _ in range(2):
        np.testing.assert_array_equal(tracker.update([0], [IMAGE]), [[1, 2, 3, 4]])


def blank(images):
    """Sees nothing."""
    nothing = Seen(
        np.zeros(8, np.float16), np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int16)
    )
    return [nothing] * len(images)


@pytest.mark.parametrize("regress", ["heatmap", "both"])
def test_heatmaps_are_where_it_looked(walks, regress):
    """At the start that of the given box, then the network's, resized to the image, and never below 0."""
    sequence = walks.sequences[0]
    tracker = makers(walks.see)[regress]()
    tracker.initialize([0, 2], sequence.images([0, 0]), np.array([[0.0, 0, 40, 30], [40, 30, 40, 30]]))
    first = tracker.attention([0, 2])
    assert first.shape == (2, 60, 80)
    assert first[0, 5, 5] == first[1, 55, 75] == 1 and first[0, 55, 75] == first[1, 5, 5] == 0
    tracker.update([0, 2], sequence.images([1, 1]))
    after = tracker.attention([2])
    assert after.shape == (1, 60, 80) and after.min() >= 0 and not np.array_equal(after[0], first[1])


def test_a_box_is_the_heatmaps():
    """With heatmaps alone, the target is where the heatmap's maximum is."""
    model = Model(8, "heatmap", 4)
    heatmap = torch.zeros(4, 4)
    heatmap[1, 2:] = 0.9
    model.forward = lambda inputs: Answer(None, heatmap.flatten().expand(len(inputs), -1), inputs[:, -1, :8])
    tracker = ROLO(model, blank, RULE, 6, "cpu")
    tracker.initialize([0], [IMAGE], np.array([[1.0, 2, 3, 4]]))
    np.testing.assert_allclose(tracker.update([0], [IMAGE]), [[40, 15, 40, 15]])


def test_the_detector_alone(walks):
    """The target is where its detection is, and in a frame without one where it was."""
    for sequence in walks.sequences:
        boxes = tracked(YOLO(walks.see, RULE), walks)[sequence.name]
        for t in range(1, len(sequence)):
            expected = sequence.groundtruth[t - 1 if t % 5 == 3 else t] + 1
            np.testing.assert_allclose(boxes[t], inside(expected, 80, 60), atol=1e-5)


def test_the_filter_goes_on_without_a_detection(walks):
    """Where the detector misses the target, SORT's is closer than the last detection."""
    found, last = tracked(SORT(walks.see), walks), tracked(YOLO(walks.see, RULE), walks)
    for sequence in walks.sequences:
        ours, others = (iou(boxes[sequence.name][8], sequence.groundtruth[8] + 1) for boxes in (found, last))
        assert ours > 0.85 and ours > others


def test_the_filter_needs_an_overlap_with_its_prediction(world):
    """A detection beyond an IoU of 0.3 with the predicted box is not the target's."""
    truth = np.array([[10.0, 10, 10, 10]] * 4)
    for moved, follows in ((5, True), (6, False)):  # IoU 1/3 and 1/4
        made = world({"a": (truth, [[box + [moved, 0, 0, 0]] for box in truth])})
        boxes = tracked(SORT(made.see), made)["a"]
        assert (boxes[-1, 0] > 13) == follows


def jumping(world):
    """A target that jumps in frame 3, and is seen in every frame."""
    truth = np.array([[5.0, 5, 10, 10]] * 3 + [[50.0, 40, 10, 10], [52.0, 40, 10, 10], [54.0, 40, 10, 10]])
    return world({"a": (truth, truth[:, None])})


@pytest.mark.parametrize(
    "make", [lambda see, rule: YOLO(see, rule), lambda see, rule: SORT(see, rule is None)], ids=["yolo", "sort"]
)
def test_released_baselines_look_at_the_groundtruth(world, make):
    """A target that jumps is found again by an oracle alone."""
    made = jumping(world)
    truth = made.sequences[0].groundtruth
    tracker = make(made.see, RULE)
    assert not tracker.oracle and not iou(tracked(tracker, made)["a"][3:], truth[3:]).any()
    tracker = make(made.see, None)
    assert tracker.oracle and iou(tracked(tracker, made)["a"][3:], truth[3:]).all()


def test_released_answers_having_seen_the_next_frame(world):
    """It says of each frame what is seen in the next, of the last what is seen there; otherwise none is seen early."""
    made = jumping(world)
    truth = made.sequences[0].groundtruth
    boxes = tracked(ROLO(Echo(), made.see, None, 3, "cpu"), made)["a"]
    np.testing.assert_allclose(boxes[1:], truth[[2, 3, 4, 5, 5]], atol=1e-4)
    assert [t for _, t in made.asked] == [0, 1, 2, 3, 4, 5]

    made.asked.clear()
    tracker = ROLO(Echo(), made.see, RULE, 3, "cpu")
    assert not tracker.oracle
    early = []
    [_] = follow(tracker, one_pass, made.sequences, observe=lambda _, t, *rest: early.append(made.asked[-1][1] > t))
    assert early == [False] * 6
    assert not tracker.videos
