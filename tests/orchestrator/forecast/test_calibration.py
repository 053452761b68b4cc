from __future__ import annotations

import time

import numpy as np
import pytest

from orchestrator import conduct
from orchestrator.forecast import calibration
from orchestrator.forecast.calibration import calibrate, unknown
from orchestrator.forecast.durations import History
from orchestrator.pace import pace
from orchestrator.store import Store
from trackers.evaluation.protocols import PROTOCOLS
from trackers.sequence import GreyFrames, Sequence


@pytest.fixture
def jobs(project):
    """Those of a study, whichever its parameters are when it is called."""

    def todo():
        return conduct.look(project.options(), project.paths, Store(project.paths.store)).todo

    return todo


def test_one_job_of_each_kind_is_tried(jobs):
    """The toy study's movers differ in a setting: both are tried, after one of each family and step; scores are not."""
    assert [job.label for job in unknown(jobs(), History())] == [
        "toy / Mover / train / seed 1 / fit",
        "toy / Mover / train / seed 1 / track test / one_pass",
        "toy / Identity / seed 1 / track test / one_pass",
        "toy / Slow mover / train / seed 1 / fit",
        "toy / Slow mover / train / seed 1 / track test / one_pass",
    ]


def test_a_training_is_cut_off_and_scaled_by_what_was_left(jobs, project, params):
    """A training of 2,000 updates of at least 1 ms each is known to take that long after a fraction of a second."""
    spin = "until = time.process_time() + config.pause\n        while time.process_time() < until:\n            pass"
    family = project.root / "toy" / "family.py"
    family.write_text(family.read_text().replace("time.sleep(config.pause)", spin))
    params["studies"]["toy"]["trackers"] = {"Mover": {"family": "toy.family", "updates": 2000, "pause": 0.001}}
    project.write(params)
    history, todo = History(), jobs()
    since = time.monotonic()
    calibrate(todo, history, 2.0, 32)
    assert time.monotonic() - since < 60
    estimate = history.estimate(next(job for job in todo if job.kind == "train"))
    assert estimate.basis == "calibration"
    assert 2.0 <= estimate.seconds < 20.0
    assert not project.paths.store.exists()


def test_a_tracker_that_trains_is_tried_on_what_its_short_training_made(jobs):
    """Tracking with trained weights is tried before any training was run: frames are 4 sequences of 8."""
    history, todo = History(), jobs()
    calibrate(todo, history, 5.0, 32)
    tried = [sample for sample in history.samples if sample.kind.kind == "track"]
    assert [sample.frames for sample in tried] == [32, 32, 32]
    assert all(history.estimate(job).basis == "calibration" for job in todo if job.kind != "score")


def test_what_fails_is_left_to_guesses(jobs, project, params):
    """A training that fails is a guess, and so is the tracking that needs it; others are tried all the same."""
    params["studies"]["toy"]["trackers"]["Mover"]["fault"] = "bug"
    params["studies"]["toy"]["trackers"].pop("Slow mover")
    project.write(params)
    history, todo = History(), jobs()
    calibrate(todo, history, 5.0, 32)
    found = {job.label: history.estimate(job).basis for job in todo}
    assert found["toy / Mover / train / seed 1 / fit"] == "guess"
    assert found["toy / Mover / train / seed 1 / track test / one_pass"] == "guess"
    assert found["toy / Identity / seed 1 / track test / one_pass"] == "calibration"


def test_no_time_tries_nothing(jobs):
    """A budget of no seconds leaves history as it is."""
    history = History()
    calibrate(jobs(), history, 0.0, 32)
    assert history.samples == []


@pytest.mark.parametrize(("protocol", "runs", "frames"), [("one_pass", 1, 12), ("supervised_reset", 1, 12)])
def test_frames_are_those_that_a_protocol_plays(protocol, runs, frames):
    """Of 12 frames one pass plays 12, and so does the supervised experiment of who never fails; 15 times, with dice."""
    video = Sequence("a", GreyFrames(np.zeros((12, 32, 32), np.uint8)), np.tile([4.0, 4, 8, 8], (12, 1)))
    assert calibration._played(PROTOCOLS[protocol], [video], False) == (runs, frames)
    repeated = 15 if protocol == "supervised_reset" else 1
    assert calibration._played(PROTOCOLS[protocol], [video], True) == (repeated * runs, repeated * frames)


def test_pace_is_measured_in_a_moment():
    """A machine that runs this has some pace, told by less than a second of the processor's time."""
    since = time.process_time()
    assert 0.01 < pace() < 100
    assert time.process_time() - since < 1
