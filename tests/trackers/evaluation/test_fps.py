import numpy as np
import pytest

from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import Results
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence, Unseen


def run(name, seconds, frames=3):
    boxes = np.ones((frames, 4))
    events = np.full(frames, Event.PREDICTED, np.int8)
    return Sequence(name, Unseen(frames), boxes), Trajectory(name, boxes, events, seconds=seconds)


def test_fps_by_hand():
    """Frames over seconds, of all sequences or of each; frames and sequences without a time do not count."""
    runs = run("a", np.array([1, 0.5, np.nan])), run("b", np.array([0.25, 0, 0.25])), run("c", None)
    judged = Results(tuple(s for s, _ in runs), tuple((t,) for _, t in runs))
    assert MEASURES["fps"](judged).value == 4 / 2
    np.testing.assert_array_equal(MEASURES["fps"](judged).values, [2 / 1.5, 4, np.nan])
    assert MEASURES["fps"](judged, "got10k").value == pytest.approx((1.5 + 4) / 2)
