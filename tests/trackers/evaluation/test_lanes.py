import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackers.evaluation.lanes import TrackingError, follow
from trackers.evaluation.protocols import Initialize, Update, one_pass
from trackers.sequence import GreyFrames, Sequence
from trackers.tracker import SingleTracker, Tracker


def sequence(name, length, start=2.0):
    """Frame t is filled with 10 t."""
    film = np.repeat(10 * np.arange(length, dtype=np.uint8), 12 * 16).reshape(length, 12, 16)
    return Sequence(name, GreyFrames(film), np.tile([start, 3.0, 4, 5], (length, 1)))


class Reader(Tracker):
    """Adds what it sees to x; keeps a log of the lanes in every call."""

    def __init__(self):
        self.boxes, self.log = {}, []

    def initialize(self, lanes, images, regions):
        assert len(lanes) == len(images) == len(regions) == len(set(lanes))
        self.log.append(("initialize", tuple(lanes)))
        self.boxes.update(zip(lanes, np.array(regions), strict=True))

    def update(self, lanes, images):
        assert len(lanes) == len(images) == len(set(lanes))
        self.log.append(("update", tuple(lanes)))
        for lane, image in zip(lanes, images, strict=True):
            self.boxes[lane] = self.boxes[lane] + [image[0, 0, 0], 0, 0, 0]
        return np.stack([self.boxes[lane] for lane in lanes])


def restart(sequence):
    """Starts anew in frame 3, whatever happened."""
    regions = np.full((len(sequence), 4), np.nan)
    yield Initialize(0, sequence.groundtruth[0])
    for t in range(1, len(sequence)):
        if t == 3:
            yield Initialize(t, sequence.groundtruth[t] * [1, 1, 0.25, 1])
        else:
            regions[t] = yield Update(t)
    return regions


def trajectories(sequences, lanes, protocol=one_pass):
    return {t.sequence: t for t in follow(Reader(), protocol, sequences, lanes=lanes)}


@given(st.lists(st.integers(1, 7), max_size=9), st.integers(1, 12), st.sampled_from([one_pass, restart]))
def test_the_number_of_lanes_changes_nothing(lengths, lanes, protocol):
    """Every sequence comes once, with the same trajectory however many share the batch."""
    sequences = [sequence(str(i), length, start=float(i)) for i, length in enumerate(lengths)]
    alone = trajectories(sequences, 1, protocol)
    together = trajectories(sequences, lanes, protocol)
    assert sorted(together) == sorted(s.name for s in sequences)
    for name in alone:
        np.testing.assert_array_equal(together[name].regions, alone[name].regions)


def test_what_a_trajectory_holds():
    """The given box first, then what the tracker said of each frame, beside the groundtruth."""
    [trajectory] = follow(Reader(), one_pass, [sequence("a", 4)])
    assert trajectory.regions[:, 0].tolist() == [2, 12, 32, 62]
    assert (trajectory.groundtruth == [2, 3, 4, 5]).all()


def test_lanes_are_refilled_as_sequences_end():
    """Of three sequences in two lanes the third takes the place of the one that ends first, in the very next call."""
    tracker = Reader()
    sequences = [sequence("a", 5), sequence("b", 2), sequence("c", 3)]
    assert {t.sequence for t in follow(tracker, one_pass, sequences, lanes=2)} == {"a", "b", "c"}
    assert tracker.log == [
        ("initialize", (0, 1)),
        ("update", (0, 1)),
        ("initialize", (1,)),
        ("update", (0,)),
        ("update", (0, 1)),
        ("update", (0, 1)),
    ]


def test_a_restart_touches_its_own_lane_alone():
    """A protocol may start again in the middle: that lane forgets, the trajectory has no answer there."""
    [trajectory] = follow(Reader(), restart, [sequence("a", 6)])
    np.testing.assert_array_equal(trajectory.regions[:, 0], [np.nan, 12, 32, np.nan, 42, 92])
    assert trajectory.regions[4, 2] == 1


def test_sequences_are_opened_as_lanes_come_free():
    """An endless supply of sequences is read only as far as there are lanes."""
    opened = []

    def supply():
        while True:
            opened.append(1)
            yield sequence(str(len(opened)), 3)

    next(follow(Reader(), one_pass, supply(), lanes=4))
    assert len(opened) <= 5


def test_the_observer_sees_every_step():
    """observe(sequence, t, tracker, lane) is called once for each frame of each sequence."""
    seen = []
    sequences = [sequence("a", 3), sequence("b", 2), sequence("c", 2)]
    list(follow(Reader(), one_pass, sequences, 2, lambda s, t, tracker, lane: seen.append((s.name, t, lane))))
    assert sorted(seen) == [("a", 0, 0), ("a", 1, 0), ("a", 2, 0), ("b", 0, 1), ("b", 1, 1), ("c", 0, 1), ("c", 1, 1)]


class LostAt(Reader):
    """A tracker of two methods that fails in one frame."""

    def initialize(self, image, region):
        self.box = region

    def update(self, image):
        if image[0, 0, 0] == 20 and self.box[0] == 7:
            raise ZeroDivisionError("no peak")
        return self.box


def test_a_failure_in_one_lane_names_sequence_and_frame():
    """Where a tracker of two methods fails, the error names its sequence and frame, and chains the cause."""
    sequences = [sequence("good", 4), sequence("bad", 4, start=7.0)]
    with pytest.raises(TrackingError, match=r"sequence bad, frame 2: ZeroDivisionError: no peak") as caught:
        list(follow(SingleTracker(LostAt), one_pass, sequences))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


class Answers(Reader):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def update(self, lanes, images):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (RuntimeError("no memory"), r"in one batch of sequence\[frame\] a\[1\], b\[1\]: RuntimeError: no memory"),
        (np.zeros((3, 4)), r"Answers.update: expected boxes of shape \(2, 4\), got \(3, 4\)"),
        ([[1, 2, 3, 4], [1, 2]], r"a\[1\], b\[1\]: ValueError"),
    ],
)
def test_a_failure_of_a_batch_names_all_that_were_in_it(answer, message):
    """A batch that fails, or is answered with the wrong number of boxes, is an error that says where."""
    with pytest.raises(TrackingError, match=message):
        list(follow(Answers(answer), one_pass, [sequence("a", 3), sequence("b", 3)]))


def test_a_start_outside_the_image_is_refused():
    """The error names sequence and frame, the box and the image."""
    with pytest.raises(ValueError, match="sequence out, frame 0: .* touches the 16 x 12 image, got x=16"):
        list(follow(Reader(), one_pass, [sequence("out", 3, start=16.0)]))


def test_no_lanes_are_refused():
    """At least one lane is needed."""
    with pytest.raises(ValueError, match="expected at least 1 lane, got 0"):
        list(follow(Reader(), one_pass, [], lanes=0))
