from __future__ import annotations

import json

import pytest

from orchestrator import progress
from orchestrator.jobs import Job
from orchestrator.progress import Board, describe


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""

    class Clock:
        now = 1000.0

        def time(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def jobs(number: int) -> list[Job]:
    return [Job("train", f"job {i}", {"i": i}) for i in range(number)]


def test_time_to_go_follows_the_pace_of_what_runs(tmp_path, clock):
    """What is left of a running job is estimated by its own pace, of a waiting one by what its kind took."""
    first, second, third = jobs(3)
    board = Board([first, second, third], 0, {}, tmp_path / "status.json", started_at=clock.now)
    board.started(first, "here")
    clock.now += 10
    board.progress(first, 1, 100)
    board.finished(first)
    board.started(second, "here")
    board.progress(second, 1, 4)
    clock.now += 6
    board.progress(second, 3, 4)
    assert board.eta() == pytest.approx(6 / 3 * 1 + 10)


def test_a_resumed_job_is_not_credited_with_what_it_found_done(tmp_path, clock):
    """The pace of a job that goes on from a checkpoint counts only what it did since."""
    [job] = jobs(1)
    board = Board([job], 0, {}, tmp_path / "status.json", started_at=clock.now)
    board.started(job, "here")
    board.progress(job, 91, 100)
    clock.now += 10
    board.progress(job, 92, 100)
    assert board.eta() == pytest.approx(10 / 2 * 8)


def test_the_status_file_tells_the_whole_state(tmp_path, clock):
    """What the file says is enough to describe the run: done, running with loss, waiting, failed and why."""
    done, running, waiting, failed = jobs(4)
    board = Board([done, running, waiting, failed], 5, {}, tmp_path / "status.json", started_at=clock.now)
    for job in (done, running, failed):
        board.started(job, "node1")
    board.finished(done)
    board.failed(failed, "ValueError: expected x")
    board.progress(running, 1, 4)
    board.metric(running, "loss", 0.25, 1, 0)
    board.write("running")
    text = describe(json.loads((tmp_path / "status.json").read_text()))
    assert "1/4 jobs done, 1 running, 1 waiting, 1 failed, 5 found done" in text
    assert "running job 1 on node1: 25%, loss 0.25" in text
    assert "FAILED job 3: ValueError: expected x" in text
