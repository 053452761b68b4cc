from __future__ import annotations

import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator import models
from orchestrator.conduct import conduct, look
from orchestrator.record import TrialRun
from orchestrator.record.delivery import MlflowRecord
from orchestrator.record.mlflow_store import default_uri
from orchestrator.store import Store


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


def seeds(project, params) -> None:
    """One tracker by two seeds: two trials below the run of their means."""
    toy = params["studies"]["toy"]
    toy["trackers"], toy["seeds"] = {"Mover": toy["trackers"]["Mover"]}, [1, 2]
    project.write(params)


VALUES = (
    "select n.value, m.value from latest_metrics m join tags n using (run_uuid) where n.key = 'mlflow.runName'"
    " and m.key = '{}' order by 1"
)


def test_means_stand_above_the_trials_that_they_are_of(project, params):
    """The run above two seeds has their mean, once however often it is told; they stand below it."""
    seeds(project, params)
    for _ in range(2):
        conduct(project.options(record="mlflow"), project.paths)
        found = dict(ask(project, VALUES.format("average_overlap/test/8")))
        assert found["Mover"] == pytest.approx((found["Mover, seed 1"] + found["Mover, seed 2"]) / 2)
        assert len(ask(project, "select * from metrics where key = 'average_overlap/test/8'")) == 3
        assert runs(project) == dict.fromkeys(["Mover", "Mover, seed 1", "Mover, seed 2"], "FINISHED")
    parent = ask(project, "select distinct value from tags where key = 'mlflow.parentRunId'")
    assert parent == ask(project, "select run_uuid from runs where name = 'Mover'")
    worst = min("seed 1", "seed 2", key=lambda seed: found[f"Mover, {seed}"])
    assert ask(project, "select value from tags where key = 'losing fold'") == [(worst,)]


@pytest.mark.slow
def test_a_crash_between_a_mean_and_its_trials_is_made_good(project, params, monkeypatch):
    """A driver that ends when it has told the run of means alone is followed by one that tells the rest, once."""
    seeds(project, params)
    tell = MlflowRecord.trial

    def die(record: MlflowRecord, trial: TrialRun) -> None:
        if trial.parent:
            raise InterruptedError
        tell(record, trial)

    monkeypatch.setattr(MlflowRecord, "trial", die)
    with pytest.raises(InterruptedError):
        conduct(project.options(record="mlflow"), project.paths)
    assert runs(project) == {"Mover": "FAILED"}
    monkeypatch.setattr(MlflowRecord, "trial", tell)
    conduct(project.options(record="mlflow"), project.paths)
    assert runs(project) == dict.fromkeys(["Mover", "Mover, seed 1", "Mover, seed 2"], "FINISHED")


@pytest.mark.slow
def test_a_registered_model_tracks_as_its_trial_did(project, params):
    """In a fresh process, one line loads a tracker from the registry; its boxes are the trial's, of files or frames."""
    conduct(project.options(record="mlflow"), project.paths)
    conduct(project.options(record="mlflow"), project.paths)
    versions = ask(project, "select name, version from model_versions order by 1")
    assert versions == [("toy.Identity", 1), ("toy.Mover", 1), ("toy.Slow-mover", 1)]
    uri = default_uri(project.root)
    [trial] = [
        t for t in look(project.options(), project.paths, Store(project.paths.store)).chosen if t.tracker == "Mover"
    ]
    program = """if True:
        import json, sys, mlflow, cv2, numpy as np
        from pathlib import Path
        Path("video").mkdir()
        frames = np.zeros((8, 60, 80, 3), np.uint8)
        for t in range(8):
            cv2.imwrite(f"video/{t:04d}.png", frames[t])
        tracker = mlflow.pyfunc.load_model("models:/toy.Mover@current")
        print(json.dumps([tracker.predict({"video": v, "box": [10, 10, 20, 20]}).tolist() for v in ("video", frames)]))
    """
    environment = dict(os.environ) | {"MLFLOW_TRACKING_URI": uri, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, cwd=project.root
    )
    assert done.returncode == 0, done.stderr
    of_files, of_frames = np.array(json.loads(done.stdout))
    motion = torch.load(Store(project.paths.store).folder(trial.training["fit"].key) / "weights.pt")["motion"].double()
    steps = np.arange(8)[:, None] * [*motion, 0, 0]
    assert of_files == pytest.approx(np.array([10, 10, 20, 20]) + steps, rel=1e-5)
    assert (of_frames == of_files).all()
    for name in (trial.key, "models:/toy.Mover@current"):
        assert models.find(name, uri).settings == dataclasses.asdict(trial.variant.config)
    with pytest.raises(ValueError, match="absent"):
        models.find("absent", uri)


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
