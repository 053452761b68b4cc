from __future__ import annotations

import json

import pytest

from orchestrator import progress
from orchestrator.jobs import Job
from orchestrator.progress import KEPT, Board, Display, describe, under_way


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
    """What is left of a running job is estimated by its own pace, of a waiting one by how right expectations were."""
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


def test_time_to_go_counts_what_is_neither_done_nor_failed(tmp_path, clock):
    """Jobs that wait count as long as expected, those that came later too; done and failed ones count nothing."""
    one, two, three, late = jobs(4)
    expected = dict(zip((job.key for job in (one, two, three, late)), (10.0, 20.0, 40.0, 80.0), strict=True))
    board = Board([one, two, three], 0, expected, tmp_path / "status.json")
    assert board.eta() == 70
    board.add([late])
    board.failed(three, "ValueError: expected x")
    board.started(one, "here")
    clock.now += 20
    board.finished(one)  # twice as long as expected
    assert (board.waiting, board.eta()) == (2, 2 * (20 + 80))
    for job in (two, late):
        board.failed(job, "")
    assert board.eta() == 0


def test_a_display_prints_each_message_though_few_are_kept(tmp_path, capsys):
    """A board keeps the newest messages alone, and a display that hears of each job prints them all, in order."""
    many = jobs(KEPT + 5)
    board = Board(many, 0, {}, tmp_path / "status.json")
    with Display(board) as display:
        for job in many:
            for observer in (board, display):
                observer.retried(job, "why")
    assert len(board.messages) == KEPT
    assert capsys.readouterr().out.splitlines() == [f"again   job {i}: why" for i in range(len(many))]


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


def test_a_status_tells_what_went_on_and_where(tmp_path, clock):
    """While a run goes on its status names the nodes with their jobs, what was begun again, and the newest messages."""
    one, two, three = jobs(3)
    board = Board([one, two, three], 0, {}, tmp_path / "status.json", started_at=clock.now)
    for job, node in ((one, "node1"), (two, "node2"), (three, "node1")):
        board.started(job, node)
    board.retried(two, "the worker died")
    board.started(two, "node2")
    board.write("running")
    text = describe(json.loads((tmp_path / "status.json").read_text()))
    assert "1 begun again" in text
    assert "nodes: node1 2, node2 1" in text
    assert text.splitlines()[-1] == "  again   job 1: the worker died"


def test_a_run_on_another_machine_lives_as_long_as_it_writes(clock):
    """The run of another host is under way until its status is half a minute old; a finished one is not."""
    status = {"state": "running", "pid": 1, "host": "elsewhere", "updated": clock.now}
    assert under_way(status)
    clock.now += 31
    assert not under_way(status)
    assert not under_way({**status, "state": "finished", "updated": clock.now})
