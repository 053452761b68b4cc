from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable

import pytest

from orchestrator.conduct import conduct
from orchestrator.files import write_json
from orchestrator.jobs import Job
from orchestrator.logs import Logs
from orchestrator.paths import Paths
from orchestrator.requests import Requests
from orchestrator.store import Store


def say(paths: Paths, state: str) -> None:
    """Write a status as a run in this process would."""
    row = {"label": "toy / Mover / train / seed 1 / fit", "kind": "train", "since": time.time(), "where": "node1"}
    status = {"state": state, "pid": os.getpid(), "host": socket.gethostname(), "started": 0, "updated": time.time()}
    status |= {"jobs": 2, "done": 1, "waiting": 0, "found_done": 0, "failures": [], "retries": 0, "messages": []}
    write_json(paths.status, status | {"running": [row] if state == "running" else [], "eta": 1.0})


def happen(monkeypatch, *steps: Callable[[], None]) -> None:
    """One step each time that a command waits."""
    waiting = list(steps)
    monkeypatch.setattr(time, "sleep", lambda seconds: waiting.pop(0)() if waiting else None)


def log(paths: Paths, name: str, text: str) -> None:
    paths.logs.mkdir(parents=True, exist_ok=True)
    with (paths.logs / name).open("a") as file:
        file.write(text)


def test_the_state_is_printed_whole_as_json(call, project):
    """`status --json` prints what the status file says as one object, and null before the first run."""
    assert json.loads(call("status", "--json")[1]) is None
    say(project.paths, "finished")
    assert json.loads(call("status", "--json")[1])["jobs"] == 2


def test_watching_ends_with_the_run(call, project, monkeypatch):
    """`status --watch` says what changes, and ends when the run does."""
    say(project.paths, "running")
    happen(monkeypatch, lambda: say(project.paths, "finished"))
    code, out, _ = call("status", "--watch")
    assert code == 0
    assert out.splitlines()[0].startswith("running: 1/2 jobs done")
    assert out.splitlines()[-1].startswith("finished: 1/2 jobs done")


def test_logs_are_those_of_one_trial(call, project):
    """A trial's name, in any part that is its own, or the beginning of a key prints the logs of its jobs."""
    log(project.paths, "toy_Mover_train_seed_1_fit.aaaaaaaa.log", "fitted\n")
    log(project.paths, "toy_Mover_train_seed_1_track_test.bbbbbbbb.log", "tracked\n")
    log(project.paths, "toy_Slow_mover_train_seed_1_fit.cccccccc.log", "slowly\n")

    def heads(word: str, every: bool = False) -> list[str]:
        said = Logs(project.paths.logs, word, every).new()
        return sorted(text.split(".")[0] for text in said if text.startswith("==>"))

    assert call("logs", "cccccccc")[1] == "==> toy_Slow_mover_train_seed_1_fit.cccccccc.log <==\nslowly\n"
    assert heads("toy / Mover") == ["==> toy_Mover_train_seed_1_fit", "==> toy_Mover_train_seed_1_track_test"]
    assert heads("toy / Mover / train / seed 1 / fit") == ["==> toy_Mover_train_seed_1_fit"]
    assert heads("Slow") == ["==> toy_Slow_mover_train_seed_1_fit"]
    assert heads("Runner") == []
    assert len(heads("fit", every=True)) == 2
    with pytest.raises(ValueError, match="one of toy_Mover_train_seed_1; toy_Slow_mover_train_seed_1"):
        heads("fit")


def test_logs_are_followed_until_the_run_ends(call, project, monkeypatch):
    """`logs --follow` prints what is added, of files that come later, too, and ends with the run."""
    say(project.paths, "running")

    def work(text: str) -> None:
        log(project.paths, "toy_Mover_train_seed_1_fit.aaaaaaaa.log", text)

    happen(monkeypatch, lambda: work("one\n"), lambda: (work("two\n"), say(project.paths, "finished")))
    code, out, _ = call("logs", "Mover", "--follow")
    assert code == 0
    assert out == "==> toy_Mover_train_seed_1_fit.aaaaaaaa.log <==\none\ntwo\n"


def test_there_must_be_a_run_to_cancel(call, project):
    """`cancel` without a run under way is refused, and so is one that does not say what to cancel."""
    assert "no run is under way" in call("cancel", "Mover")[2]
    say(project.paths, "finished")
    assert "no run is under way" in call("cancel", "--all")[2]
    assert "expected the names of trials, or --all" in call("cancel")[2]


def test_a_trial_is_cancelled_from_another_terminal(call, project):
    """`cancel TRIAL` says which trials the driver ended; a name that it does not know is refused with those it has."""
    from orchestrator.conduct import look

    ended: list[str] = []

    class Jobs:
        def cancel(self, keys, message) -> None:
            ended.extend(keys)

    trials = look(project.options(), project.paths, Store(project.paths.store)).trials
    say(project.paths, "running")
    requests, over = Requests(project.paths.store / "requests", trials, Jobs()), threading.Event()

    def drive() -> None:
        while not over.wait(0.02):
            requests.tick()

    driver = threading.Thread(target=drive)
    driver.start()
    try:
        assert call("cancel", "Slow mover")[1] == "cancelled toy / Slow mover / train\n"
        assert set(ended) == next(trial.keys for trial in trials if trial.tracker == "Slow mover")
        assert "expected one of toy / Mover / train" in call("cancel", "Runner")[2]
    finally:
        over.set()
        driver.join()


def test_a_shared_store_is_cleared_by_all_who_use_it(call, project, monkeypatch):
    """`gc --apply` of a store that TRACKMEET_STORE names is refused until the projects that use it are named."""
    monkeypatch.setenv("TRACKMEET_STORE", str(project.root / "elsewhere"))
    code, _, error = call("gc", "--apply")
    assert code == 2
    assert "--project DIR" in error


@pytest.mark.slow
def test_gc_says_what_would_go_and_deletes_it_when_told(call, project, params):
    """`gc` alone deletes nothing; with --apply the jobs go that no parameters plan; a store in use is refused."""
    conduct(project.options(), project.paths)
    store, old = Store(project.paths.store), Job("train", "toy / Old / fit", {"old": True})
    store.publish(old, {"weights.pt": bytes(2000)}, {})
    code, out, _ = call("gc", "--keep-days", "0")
    assert code == 0
    assert "kept    8 jobs" in out
    assert "goes    toy / Old / fit" in out
    assert out.endswith("nothing was deleted: --apply does that\n")
    assert store.done(old.key)
    assert "1 jobs go" in call("gc", "--keep-days", "0", "--apply")[1]
    assert not store.done(old.key)
    assert conduct(project.options(), project.paths).prospect.todo == []


@pytest.mark.slow
def test_the_doctor_ends_with_what_it_found(call, project):
    """`doctor` prints a line for each finding, and status 1 says that one of them is to be mended: here, no DVC."""
    code, out, _ = call("doctor")
    assert code == 1
    assert all(line.startswith(("ok   ", "FIX  ")) for line in out.splitlines())
    assert "FIX  DVC: no .dvc here" in out
