import dataclasses
import json
import time

import numpy as np
import pytest

from trackers.evaluation import speed
from trackers.evaluation.protocols import one_pass, supervised_reset
from trackers.evaluation.speed import filter_seconds, hardware, maximum_filter, measure_speed
from trackers.sequence import Sequence
from trackers.tracker import IdentityTracker


class Film:
    """Frames that take their time."""

    def __init__(self, length, seconds=0.0):
        self.length, self.seconds, self.read = length, seconds, 0

    def __len__(self):
        return self.length

    def __getitem__(self, t):
        self.read += 1
        time.sleep(self.seconds)
        return np.zeros((20, 30, 3), np.uint8)


class Slow(IdentityTracker):
    """Takes its time, and far more for its very first step."""

    def __init__(self, seconds=0.0, first=0.0):
        super().__init__()
        self.seconds, self.first, self.given = seconds, first, 0

    def initialize(self, lanes, images, regions):
        self.given += len(lanes)
        time.sleep(self.seconds)
        super().initialize(lanes, images, regions)

    def update(self, lanes, images):
        self.given += len(lanes)
        time.sleep(self.seconds + self.first)
        self.first = 0.0
        return super().update(lanes, images)


def sequences(*films):
    return [Sequence(str(i), film, np.tile([2.0, 3, 4, 5], (len(film), 1))) for i, film in enumerate(films)]


@pytest.fixture
def one_filter(monkeypatch):
    """A filter operation takes 0.2 s."""
    monkeypatch.setattr(speed, "filter_seconds", lambda: 0.2)


def test_decoding_and_tracking_are_timed_apart(one_filter):
    """4 ms to read a frame and 2 ms to track it are that, and what follows from them."""
    measured = measure_speed(Slow(0.002), one_pass, sequences(Film(12, 0.004), Film(8, 0.004)))
    assert measured.frames == 20
    assert 0.08 <= measured.decoding_seconds < 0.16
    assert 0.04 <= measured.tracking_seconds < 0.08
    assert measured.fps == pytest.approx(20 / measured.tracking_seconds)
    assert measured.fps_with_decoding == pytest.approx(20 / (measured.tracking_seconds + measured.decoding_seconds))
    assert measured.efo == pytest.approx(0.2 * measured.fps)
    assert (measured.filter_seconds, measured.lanes, measured.hardware) == (0.2, 1, hardware())


def test_the_first_step_of_all_does_not_count(one_filter):
    """A tracker that needs half a second to warm up is as fast as it is later; the warming up is short."""
    tracker = Slow(first=0.5)
    measured = measure_speed(tracker, one_pass, sequences(Film(30)))
    assert measured.tracking_seconds < 0.4
    assert measured.frames == 30
    assert tracker.given == 40


def test_many_lanes_are_timed_by_the_batch(one_filter):
    """Eight videos at once, 5 ms a batch, are eight times as fast as one."""
    films = [Film(6) for _ in range(8)]
    one, eight = (measure_speed(Slow(0.005), one_pass, sequences(*films), lanes) for lanes in (1, 8))
    assert one.frames == eight.frames == 48
    assert 5 < eight.fps / one.fps < 9
    assert eight.lanes == 8


def test_only_what_was_tracked_is_counted(one_filter):
    """Frames before a start and after a failure are not frames."""
    boxes = np.tile([2.0, 3, 4, 5], (9, 1))
    boxes[:2] = np.nan
    boxes[4:] += [10, 10, 0, 0]
    measured = measure_speed(Slow(), supervised_reset, [Sequence("a", Film(9), boxes)])
    assert measured.frames == 3  # start in 2, failure in 4, none left from 9 on


def test_there_must_be_a_sequence():
    """Nothing has no speed."""
    with pytest.raises(ValueError, match="expected at least one sequence"):
        measure_speed(IdentityTracker(), one_pass, [])


def test_a_speed_is_plain_numbers(one_filter):
    """It can be written as JSON."""
    measured = measure_speed(IdentityTracker(), one_pass, sequences(Film(3)))
    assert speed.Speed(**json.loads(json.dumps(dataclasses.asdict(measured)))) == measured


def test_the_filter_takes_the_greatest_of_21_x_21():
    """Worked out for single bright pixels: each is seen up to 10 pixels away, at the border too."""
    image = np.zeros((60, 50))
    image[30, 20], image[0, 49] = 2, 1
    expected = np.zeros((60, 50))
    expected[:11, 39:] = 1
    expected[20:41, 10:31] = 2
    np.testing.assert_array_equal(maximum_filter(image), expected)


def test_a_filter_operation_takes_a_while(monkeypatch):
    """Between 10 ms and 2 s on any machine of our days."""
    monkeypatch.setattr(speed, "REPETITIONS", 3)
    assert 0.01 < filter_seconds() < 2


def test_the_hardware_has_a_name():
    """Processor and number of cores."""
    assert hardware().split(",")[0]
    assert "cores" in hardware()
