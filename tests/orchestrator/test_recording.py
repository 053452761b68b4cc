from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.conduct import conduct


@pytest.fixture(autouse=True)
def embedded(monkeypatch):
    """The embedded record, whatever server the environment names."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def ask(project, question: str) -> list[tuple]:
    with closing(sqlite3.connect(project.paths.record / "mlflow.db")) as database:
        return database.execute(question).fetchall()


def runs(project) -> dict[str, str]:
    """{name: status} of every run."""
    found = ask(project, "select name, status from runs where lifecycle_stage = 'active'")
    assert len({name for name, _ in found}) == len(found)
    return dict(found)


def test_one_run_a_trial_with_all_that_it_found(project, params):
    """Each trial is one finished run with settings, curve, scores and weights; running again adds nothing."""
    for _ in range(2):
        conduct(project.options(record="mlflow"), project.paths)
        assert runs(project) == dict.fromkeys(["Mover", "Slow mover", "Identity"], "FINISHED")
        assert ask(project, "select count(*), count(distinct step) from metrics where key = 'loss'") == [(10, 5)]
        assert ask(project, "select count(*) from latest_metrics where key = 'average_overlap/test/8'") == [(3,)]
    rates = ask(project, "select value from params where key = 'rate' order by value")
    assert rates == [("0.1",), ("0.3",)]
    assert {tag for (tag,) in ask(project, "select key from tags")} >= {"trackmeet.key", "git", "data", "tracker"}
    assert len(list((project.paths.record / "artifacts").rglob("weights.pt"))) == 2

    params["studies"]["toy"]["trackers"]["Slow mover"]["rate"] = 0.2
    project.write(params)
    conduct(project.options(record="mlflow"), project.paths)
    assert len(ask(project, "select run_uuid from runs")) == 4


def test_a_failed_trial_is_recorded_as_failed(project, params):
    """The run of a trial that fails says so, and the others are finished."""
    params["studies"]["toy"]["trackers"]["Mover"]["fault"] = "bug"
    project.write(params)
    conduct(project.options(record="mlflow"), project.paths)
    assert runs(project) == {"Mover": "FAILED", "Slow mover": "FINISHED", "Identity": "FINISHED"}


@pytest.mark.slow
def test_a_killed_driver_leaves_one_run_a_trial(project, params):
    """After SIGKILL in the middle of training and a second run, each trial has one run and each step one loss."""
    diary = project.root / "diary"
    mover = {"family": "toy.family", "updates": 250, "diary": str(diary), "pause": 0.05}
    params["studies"]["toy"]["trackers"] = {"Mover": mover}
    project.write(params)
    driver = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "run", "--executor", "local", "--checkpoint-seconds", "1"],
        cwd=project.root,
        env=dict(os.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 90
    while not _has_losses(project.paths.record / "mlflow.db"):
        assert time.monotonic() < until, "nothing was recorded"
        time.sleep(0.1)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert runs(project) == {"Mover": "RUNNING"}

    conduct(project.options(record="mlflow"), project.paths)
    assert runs(project) == {"Mover": "FINISHED"}
    assert ask(project, "select count(*), count(distinct step) from metrics where key = 'loss'") == [(250, 250)]


def _has_losses(path: Path) -> bool:
    if not path.exists():
        return False
    with closing(sqlite3.connect(path)) as database:
        try:
            return database.execute("select count(*) from metrics where key = 'loss'").fetchone()[0] > 5
        except sqlite3.OperationalError:  # not made yet, or being written
            return False
