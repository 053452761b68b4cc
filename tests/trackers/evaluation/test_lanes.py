import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackers import masks
from trackers.evaluation.lanes import TrackingError, follow
from trackers.evaluation.pixels import LEVELS
from trackers.evaluation.protocols import (
    FrameError,
    Initialize,
    Update,
    one_pass,
    spatial_robustness,
    supervised_reset,
    temporal_robustness,
)
from trackers.evaluation.trajectory import Event
from trackers.sequence import GreyFrames, Sequence
from trackers.tracker import SingleTracker, SoftMap, Tracker

SHARED = Path(__file__).parents[4] / "shared" / "data"


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


def restart(sequence, stochastic):
    """Starts anew in frame 3, whatever happened, and calls frame 2 lost; a second run starts late."""

    def play(first):
        yield Initialize(first, sequence.groundtruth[0])
        for t in range(first + 1, len(sequence)):
            if t == 3:
                yield Initialize(t, sequence.groundtruth[t] * [1, 1, 0.25, 1])
            else:
                yield Update(t)
        return (2,) if first < 2 < len(sequence) else ()

    yield play(0)
    if len(sequence) > 2:
        yield play(2)


def trajectories(sequences, lanes, protocol=one_pass, tracker=Reader, **settings):
    followed = list(follow(tracker(), protocol, sequences, lanes=lanes, **settings))
    assert len({(t.sequence, t.run) for t in followed}) == len(followed)
    return {(t.sequence, t.run): t for t in followed}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for run in one:
        np.testing.assert_array_equal(one[run].events, other[run].events)
        np.testing.assert_array_equal(one[run].regions, other[run].regions)


@given(st.lists(st.integers(1, 7), max_size=9), st.integers(1, 12), st.sampled_from([one_pass, restart]))
def test_the_number_of_lanes_changes_nothing(lengths, lanes, protocol):
    """Every run of every sequence comes once, with the same trajectory however many share the batch."""
    sequences = [sequence(str(i), length, start=float(i)) for i, length in enumerate(lengths)]
    alone = trajectories(sequences, 1, protocol)
    assert {name for name, _ in alone} == {s.name for s in sequences}
    assert_same(trajectories(sequences, lanes, protocol), alone)


def test_what_a_trajectory_holds():
    """The given box first, then what the tracker said of each frame."""
    [trajectory] = follow(Reader(), one_pass, [sequence("a", 4)])
    assert trajectory.regions[:, 0].tolist() == [2, 12, 32, 62]
    assert trajectory.events.tolist() == [Event.INITIALIZED, *[Event.PREDICTED] * 3]
    assert (trajectory.sequence, trajectory.run, trajectory.masks) == ("a", 0, None)


def test_what_a_trajectory_holds_where_nothing_was_said():
    """Frames before the start are skipped; a lost one has failed; neither has a region."""
    first, second = (trajectories([sequence("a", 5)], 1, restart)["a", run] for run in (0, 1))
    assert first.events.tolist() == [1, 3, 2, 1, 3]
    np.testing.assert_array_equal(first.regions[:, 0], [2, 12, np.nan, 2, 42])
    assert second.events.tolist() == [0, 0, 1, 1, 3]
    np.testing.assert_array_equal(second.regions[:, 0], [np.nan, np.nan, 2, 2, 42])


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


def test_runs_of_one_sequence_fly_together():
    """Several runs of a sequence are in different lanes at once."""
    tracker = Reader()
    list(follow(tracker, spatial_robustness, [sequence("a", 3)], lanes=5))
    assert tracker.log[0] == ("initialize", (0, 1, 2, 3, 4))


def test_a_restart_touches_its_own_lane_alone():
    """A protocol may start again in the middle: that lane forgets, the others do not."""
    found = trajectories([sequence("a", 6), sequence("b", 6, start=4.0)], 4, restart)
    assert found["a", 0].regions[3].tolist() == [2, 3, 1, 5]
    assert found["a", 0].regions[4:, 0].tolist() == [42, 92]
    assert found["a", 1].regions[4, 2] == 1
    assert found["b", 0].regions[4:, 0].tolist() == [44, 94]


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
        ([[1, 2, 3, 4], [1, 2]], r"sequence b, frame 1: .* expected a box of 4 numbers.* got shape \(2,\)"),
        ([[1, 2, 3, 4]], r"Answers.update: expected boxes of shape \(2, 4\), got \(1, 4\)"),
        ("boxes", r"in one batch of sequence\[frame\] a\[1\], b\[1\]: ValueError"),
        ([[1, 2, 3, 4], np.zeros((3, 3), bool)], r"sequence b, frame 1: .* mask \(12, 16\) .* got shape \(3, 3\)"),
        ([[1, 2, 3, 4], np.zeros((12, 16))], r"sequence b, frame 1: .* a bool mask \(12, 16\) .* got shape \(12, 16\)"),
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


# Resets


class Drifting(Tracker):
    """Is right for a number of frames that depends on the image where it started, then far off."""

    def __init__(self):
        self.state = {}

    def initialize(self, lanes, images, regions):
        for lane, image, region in zip(lanes, images, regions, strict=True):
            self.state[lane] = [region.copy(), int(image[0, 0, 0]) % 7 + 1]

    def update(self, lanes, images):
        answers = []
        for lane in lanes:
            region, left = self.state[lane]
            self.state[lane][1] = left - 1
            answers.append(region if left > 0 else region + [9, 9, 0, 0])
        return np.stack(answers)


def test_resets_are_equal_in_any_number_of_lanes():
    """Failures, new starts and predictions of a tracker that fails at different frames are those of one lane."""
    sequences = [sequence(str(i), 3 * i, start=float(i % 3)) for i in range(1, 9)]
    alone = trajectories(sequences, 1, supervised_reset, Drifting)
    assert alone["8", 0].events[:9].tolist() == [1, 3, 2, 0, 0, 0, 0, 1, 3]  # 1 frame from 0 on, 1 from 70 on
    for lanes in (2, 5, 32):
        assert_same(trajectories(sequences, lanes, supervised_reset, Drifting), alone)


@pytest.mark.skipif(not (SHARED / "otb").is_dir(), reason="needs shared/data/otb")
@pytest.mark.parametrize(
    ("protocol", "length"),
    [(supervised_reset, 60), pytest.param(spatial_robustness, 12, marks=pytest.mark.slow), (one_pass, 60)],
)
def test_kcf_on_real_sequences_is_equal_in_any_number_of_lanes(protocol, length):
    """KCF, which loses some of these OTB sequences, makes the same trajectories alone and with 31 others."""
    from trackers.benchmarks import otb
    from trackers.evaluation.clips import clip
    from trackers.families import kcf

    names = ("Couple", "Jumping", "Skiing", "Freeman1")
    real = otb.open(otb.Config(sequences=names), SHARED / "otb", "otb")
    clips = [clip(one, length) for one in real]
    assert len(clips) == 4

    def tracker():
        return kcf.tracker(kcf.Config(), {}, "cpu")

    alone = trajectories(clips, 1, protocol, tracker, readers=0)
    together = trajectories(clips, 32, protocol, tracker, readers=2)
    assert_same(alone, together)
    if protocol is supervised_reset:
        assert any((t.events == Event.FAILED).any() for t in alone.values())


# Random numbers


class Dice(Tracker):
    """Each step draws x of the lane's own generator."""

    stochastic = True

    def __init__(self):
        self.dice, self.boxes = {}, {}

    def reseed(self, lanes, seeds):
        self.dice.update((lane, np.random.default_rng(seed)) for lane, seed in zip(lanes, seeds, strict=True))

    def initialize(self, lanes, images, regions):
        self.boxes.update(zip(lanes, np.array(regions), strict=True))

    def update(self, lanes, images):
        for lane in lanes:
            self.boxes[lane][0] = self.dice[lane].uniform(0, 9)
        return np.stack([self.boxes[lane] for lane in lanes])


class SingleDice:
    stochastic = True

    def seed(self, number):
        self.dice = np.random.default_rng(number)

    def initialize(self, image, region):
        self.box = np.array(region)

    def update(self, image):
        self.box[0] = self.dice.uniform(0, 9)
        return self.box


@pytest.mark.parametrize("tracker", [Dice, lambda: SingleTracker(SingleDice, stochastic=True)], ids=["lanes", "single"])
def test_a_run_draws_the_same_whoever_shares_the_batch(tracker):
    """Seed, sequence and number of the run decide; runs differ from each other, and seeds from each other."""
    sequences = [sequence(str(i), 8 + i) for i in range(3)]
    alone = trajectories(sequences, 1, supervised_reset, tracker)
    assert len(alone) == 45
    assert_same(trajectories(sequences[::-1], 7, supervised_reset, tracker), alone)
    assert len({t.regions[1, 0] for t in alone.values()}) > 20  # of those that did not fail at once
    other = trajectories(sequences, 7, supervised_reset, tracker, seed=1)
    assert any((other[run].events != alone[run].events).any() for run in alone)


@pytest.mark.parametrize("tracker", [Dice, lambda: SingleTracker(SingleDice, stochastic=True)], ids=["lanes", "single"])
def test_a_restart_draws_on(tracker):
    """After a restart in the middle of a run a tracker draws other numbers than after its start."""

    def twice(sequence, stochastic):
        def play():
            for t in range(8):
                yield Initialize(t, sequence.groundtruth[t]) if t in (0, 4) else Update(t)
            return ()

        yield play()

    [trajectory] = follow(tracker(), twice, [sequence("a", 8)])
    drawn = trajectory.regions[:, 0]
    assert len(set(drawn[[1, 2, 3, 5, 6, 7]])) == 6


# Regions


class Shapes(Tracker):
    """Answers with what it was started on; remembers it."""

    def __init__(self, region, answer=None):
        self.region, self.answer, self.given = region, answer, {}

    def initialize(self, lanes, images, regions):
        self.kind = type(regions)
        self.given.update(zip(lanes, regions, strict=True))

    def update(self, lanes, images):
        return [self.given[lane] if self.answer is None else self.answer for lane in lanes]


POLYGON = np.array([2.0, 2, 8, 2, 10, 8, 4, 8])
BOX = np.array([2.0, 2, 8, 6])


def annotated(region):
    """Three frames of 16 x 12 with this region, and its bounding box as groundtruth."""
    plain = sequence("a", 3)
    return Sequence("a", plain.frames, np.tile(BOX, (3, 1)), np.stack([region] * 3))


@pytest.mark.parametrize("region", [POLYGON, masks.of_polygon(POLYGON, (16, 12))], ids=["polygon", "mask"])
def test_a_tracker_of_boxes_starts_on_the_bounding_box(region):
    """An array of boxes is given, whatever the annotation is; the trajectory has the box that was given."""
    tracker = Shapes("box")
    [trajectory] = follow(tracker, one_pass, [annotated(region)])
    assert tracker.kind is np.ndarray
    np.testing.assert_array_equal(trajectory.regions, np.tile(BOX, (3, 1)))
    assert trajectory.masks is None


@pytest.mark.parametrize("region", [BOX, POLYGON, masks.of_polygon(POLYGON, (16, 12))], ids=["box", "polygon", "mask"])
def test_a_tracker_of_masks_starts_on_a_mask(region):
    """A list of masks is given; the trajectory has masks, and their bounding boxes."""
    expected = masks.of_region(region, (16, 12))
    tracker = Shapes("mask")
    [trajectory] = follow(tracker, one_pass, [annotated(region)])
    assert (tracker.given[0] == expected).all()
    assert all((trajectory.masks[t] == expected).all() for t in range(3))
    np.testing.assert_array_equal(trajectory.regions, np.tile(masks.bounding_box(expected), (3, 1)))


def test_skipped_and_failed_frames_have_an_empty_mask():
    """Where nothing holds, the mask has no pixel; an empty mask that was predicted has no box."""
    [trajectory] = follow(Shapes("mask", np.zeros((12, 16), bool)), supervised_reset, [annotated(BOX)])
    assert trajectory.events.tolist() == [1, 2, 0]
    assert [int(trajectory.masks[t].sum()) for t in range(3)] == [48, 0, 0]
    [trajectory] = follow(Shapes("mask", np.zeros((12, 16), bool)), one_pass, [annotated(BOX)])
    assert trajectory.events.tolist() == [1, 3, 3]
    assert np.isnan(trajectory.regions[1:]).all()


def test_polygons_widen_a_trajectory():
    """Beside predicted polygons a box, the given one, stands with NaN behind."""
    [trajectory] = follow(Shapes("box", POLYGON), one_pass, [annotated(BOX)])
    assert trajectory.regions.shape == (3, 8)
    np.testing.assert_array_equal(trajectory.regions[0], [*BOX, *[np.nan] * 4])
    np.testing.assert_array_equal(trajectory.regions[1:], [POLYGON] * 2)


@pytest.mark.parametrize("readers", [0, 1])
def test_a_tracker_of_masks_starts_on_no_empty_one(readers):
    """An empty first mask is refused by sequence and frame; a tracker of boxes starts on the box beside it."""
    film = annotated(np.zeros((12, 16), bool))
    with pytest.raises(ValueError, match="sequence a, frame 0: expected a mask to start on, got one without a pixel"):
        list(follow(Shapes("mask"), one_pass, [film], readers=readers))
    [trajectory] = follow(Shapes("box"), one_pass, [film], readers=readers)
    np.testing.assert_array_equal(trajectory.regions[0], BOX)


def test_a_mask_of_another_size_is_refused():
    """The first mask of an image of another size is refused by sequence and frame."""
    with pytest.raises(ValueError, match="sequence a, frame 0: expected a mask of 16 x 12, got 8 x 12"):
        list(follow(Shapes("mask"), one_pass, [annotated(np.ones((12, 8), bool))]))


# Soft maps


class Soft(Shapes):
    """Says that each pixel of a window is the target's with a probability of a hundredth of the image's grey."""

    def __init__(self, window=(0, 0, 16, 12), width=None):
        super().__init__("mask")
        self.window, self.width, self.asked = window, width or window[2], []

    def update(self, lanes, images):
        self.images = dict(zip(lanes, images, strict=True))
        return super().update(lanes, images)

    def soft(self, lanes):
        self.asked.append(tuple(lanes))
        shape = self.window[3], self.width
        return [
            SoftMap(np.array(self.window), np.full(shape, self.images[lane][0, 0, 0] / 100, np.float32))
            for lane in lanes
        ]


MASK = masks.of_box(BOX, (16, 12))  # 48 of 192 pixels


@pytest.mark.parametrize("lanes", [1, 3])
def test_pixels_are_counted_over_a_run(lanes):
    """Of each frame behind the start the pixels of the window, by class and probability, whoever shares the batch."""
    sequences = [annotated(MASK), replace(annotated(MASK), name="b", labelled=np.array([True, False, True]))]
    found = trajectories(sequences, lanes, tracker=lambda: Soft((-4, 0, 10, 12)), soft=True)
    for name, frames in {"a": [10, 20], "b": [20]}.items():  # percent
        counts = found[name, 0].pixels
        assert counts.shape == (2, LEVELS)
        assert np.flatnonzero(counts[0]).tolist() == [2 * p for p in frames]
        assert set(counts[0, [2 * p for p in frames]]) == {6 * 12 - 24}
        assert counts[1, [0, *(2 * p for p in frames)]].tolist() == [24 * len(frames), *[24] * len(frames)]


def test_pixels_are_counted_where_masks_are_known():
    """Nothing is asked of frames with boxes or empty masks; nothing where no counts are wanted, or none are told."""
    vanishing = replace(annotated(MASK), regions=np.stack([MASK, MASK, MASK & False]))
    tracker = Soft()
    assert [t.pixels is None for t in follow(tracker, one_pass, [annotated(BOX), vanishing], soft=True)] == [
        True,
        False,
    ]
    assert tracker.asked == [(1,)]
    assert all(t.pixels is None for t in follow(Soft(), one_pass, [vanishing]))
    assert all(t.pixels is None for t in follow(Shapes("mask"), one_pass, [vanishing], soft=True))


def test_a_soft_map_of_another_size_is_named():
    """A map that is not as large as its window says is an error of the tracker, with sequence and frame."""
    with pytest.raises(TrackingError, match=r"sequence a, frame 1: soft map: expected .* \(12, 16\), got \(12, 9\)"):
        list(follow(Soft(width=9), one_pass, [annotated(MASK)], soft=True))


# Reading


@dataclass
class Film:
    """Frames that say when and by which thread they were read, and that may be broken."""

    length: int
    broken: tuple[int, ...] = ()
    read: list = field(default_factory=list)

    def __len__(self):
        return self.length

    def __getitem__(self, t):
        self.read.append((t, threading.current_thread() is threading.main_thread()))
        if t in self.broken:
            raise ValueError(f"frame{t}.jpg: expected an image")
        return np.full((12, 16, 3), t, np.uint8)


def filmed(name, film):
    return Sequence(name, film, np.tile([2.0, 3, 4, 5], (film.length, 1)), size=(16, 12))


@pytest.mark.parametrize("readers", [0, 1, 3])
def test_lanes_share_what_they_read(readers):
    """Twelve runs through one sequence, in step, read each of its frames once."""
    film = Film(6)
    list(follow(Reader(), spatial_robustness, [filmed("a", film)], readers=readers))
    assert sorted(t for t, _ in film.read) == list(range(6))


@pytest.mark.parametrize("readers", [0, 2])
@pytest.mark.parametrize("lanes", [1, 3])
def test_reading_ahead_changes_nothing(readers, lanes):
    """Trajectories are the same; with readers, only first frames are waited for in the thread of the tracker."""
    films = [Film(9), Film(5), Film(7), Film(1)]
    sequences = [filmed(str(i), film) for i, film in enumerate(films)]
    found = trajectories(sequences, lanes, readers=readers)
    for i, film in enumerate(films):
        assert found[str(i), 0].regions[:, 0].tolist() == (2 + np.cumsum(range(film.length))).tolist()
        assert [t for t, _ in film.read] == list(range(film.length))
        assert [t for t, by_tracker in film.read if by_tracker] == (list(range(film.length)) if readers == 0 else [0])


def test_the_tracker_works_while_frames_are_read():
    """Reading for 5 ms and tracking for 5 ms takes less than one after the other."""

    class Slow(Film):
        def __getitem__(self, t):
            time.sleep(0.005)
            return super().__getitem__(t)

    class Busy(Reader):
        def update(self, lanes, images):
            time.sleep(0.005)
            return super().update(lanes, images)

    def seconds(readers):
        start = time.perf_counter()
        list(follow(Busy(), one_pass, [filmed("a", Slow(40))], readers=readers))
        return time.perf_counter() - start

    assert min(seconds(1) for _ in range(3)) < 0.8 * min(seconds(0) for _ in range(3))


@pytest.mark.parametrize("readers", [0, 1])
@pytest.mark.parametrize(("protocol", "broken"), [(one_pass, 0), (one_pass, 3), (temporal_robustness, 4)])
def test_a_frame_that_cannot_be_read_is_named(readers, protocol, broken):
    """The error says which sequence and frame, and chains the cause."""
    sequences = [filmed("good", Film(4)), filmed("bad", Film(6, broken=(broken,)))]
    with pytest.raises(FrameError, match=rf"sequence bad, frame {broken}: ValueError: .*expected an image") as caught:
        list(follow(Reader(), protocol, sequences, readers=readers))
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_frame_that_nobody_asks_for_may_be_broken():
    """What is read ahead in vain, after a failure, does no harm."""

    class Lost(Reader):
        def update(self, lanes, images):
            return super().update(lanes, images) * np.nan

    [trajectory] = follow(Lost(), supervised_reset, [filmed("a", Film(4, broken=(2, 3)))])
    assert trajectory.events.tolist() == [1, 2, 0, 0]


def test_no_thread_is_left_behind():
    """A generator that is closed early, or that ends, stops its readers."""
    before = threading.active_count()
    following = follow(Reader(), one_pass, [filmed(str(i), Film(5)) for i in range(4)], lanes=2)
    next(following)
    following.close()
    list(follow(Reader(), one_pass, [filmed("a", Film(5))]))
    assert threading.active_count() == before


def test_following_needs_no_torch():
    """Protocols and lanes run where torch is not installed."""
    import subprocess

    code = "import sys; sys.modules['torch'] = None; import trackers.evaluation.lanes, trackers.evaluation.speed"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
