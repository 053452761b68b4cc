from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from orchestrator import sample_data

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
}
TRIALS = {"rectracker": 9, "goturn": 4, "rolo": 6, "pixelwise": 6, "rman": 5}  # of the smoke profile
EXTRACTORS = 1  # its, which are trials, too


class Clone:
    """The working tree's files in a folder of their own, as a fresh clone would have them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        listed = subprocess.check_output(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"], text=True)
        for name in listed.splitlines():
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, root / name)
        subprocess.run(["git", "init", "-q", str(root)], check=True)

    def call(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.root, env={**ENVIRONMENT, **environment}, capture_output=True, text=True, timeout=450
        )

    def status(self) -> dict:
        return json.loads((self.root / "build" / "status.json").read_text())

    def change(self, *place: str, value: object) -> None:
        """Change one setting of params.yaml."""
        params = self.params()
        part = params
        for name in place[:-1]:
            part = part[name]
        part[place[-1]] = value
        (self.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def params(self) -> dict:
        return yaml.safe_load((self.root / "params.yaml").read_text())

    def recorded(self) -> list[str]:
        """The trial key of every MLflow run of a trial: not those above folds, nor those of reports."""
        other = "select value from tags where key = 'mlflow.parentRunId'"
        other += " union select run_uuid from tags where key = 'level' and value = 'report'"
        keys = f"select value from tags where key = 'trackmeet.key' and run_uuid not in ({other})"
        with sqlite3.connect(self.root / "build" / "record" / "mlflow.db") as database:
            return [key for (key,) in database.execute(keys)]


@pytest.fixture
def clone(tmp_path):
    """With the smoke profile, and of the sample data what that reads, two folders of it packed."""
    clone = Clone(tmp_path)
    printed = clone.call("trackmeet", "params", "smoke")
    (tmp_path / "params.yaml").write_text(printed.stdout)
    clone.change("sequences", value=["digits", "vot2014"])
    sample_data.write(tmp_path / "data", sorted({Path(d["root"]).name for d in clone.params()["datasets"].values()}))
    return clone


@pytest.mark.timeout(500)
@pytest.mark.parametrize("studies", [("rectracker", "rolo"), pytest.param(tuple(TRIALS), marks=pytest.mark.slow)])
def test_dvc_reproduces_exactly_what_changed(clone, studies):
    """`dvc repro` makes everything, a second does nothing, and one tracker's setting re-runs that tracker alone.

    The first runs in one process, the last by Ray, which goes on from there.
    """
    clone.change("studies", value={name: study for name, study in clone.params()["studies"].items() if name in studies})
    trials = sum(TRIALS[name] for name in studies) + EXTRACTORS
    first = clone.call("dvc", "repro", TRACKMEET_EXECUTOR="local")
    assert first.returncode == 0, first.stdout + first.stderr
    for name in ("index.html", "scores.csv", "claims.csv", "metrics.json"):
        assert (clone.root / "build" / "report" / name).stat().st_size > 0
    cache = clone.root / "build" / "features" / "yolo-OTB-30" / "features.json"
    made = cache.stat().st_mtime_ns
    assert clone.status()["found_done"] == 0
    runs = clone.recorded()
    assert len(runs) == len(set(runs)) == trials

    written = (clone.root / "build" / "status.json").stat().st_mtime_ns
    again = clone.call("dvc", "repro")
    assert again.returncode == 0
    assert "Data and pipelines are up to date" in again.stdout
    assert (clone.root / "build" / "status.json").stat().st_mtime_ns == written

    jobs = clone.status()["jobs"]
    clone.change("studies", "rectracker", "trackers", "KerCorrTracker", "padding", value=1.0)
    changed = clone.call("dvc", "repro", TRACKMEET_EXECUTOR="ray")
    assert changed.returncode == 0, changed.stdout + changed.stderr
    status = clone.status()
    tracks_and_scores = 2 * 4
    assert (status["jobs"], status["found_done"]) == (tracks_and_scores, jobs - tracks_and_scores)
    assert "Running stage 'report'" in changed.stdout
    assert len(clone.recorded()) == len(set(clone.recorded())) == trials + 1
    assert cache.stat().st_mtime_ns == made


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_dvc_terminated_in_the_middle_goes_on(clone):
    """SIGTERM of dvc alone ends the run that it leaves behind; the next `dvc repro` goes on, one run a trial."""
    for tracker in ("RecTracker-ID", "ConvTracker"):
        clone.change("studies", "rectracker", "trackers", tracker, "training", "epochs", value=200)
    dvc = subprocess.Popen(
        ["dvc", "repro"],
        cwd=clone.root,
        env={**ENVIRONMENT, "TRACKMEET_CHECKPOINT_SECONDS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while not list((clone.root / "build" / "store" / "checkpoints").glob("*/*.pt")):
        assert time.monotonic() < until, "no training began"
        time.sleep(0.2)
    pid = clone.status()["pid"]
    dvc.send_signal(signal.SIGTERM)
    dvc.wait(timeout=60)
    until = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until, "the run outlived dvc"
        time.sleep(0.2)
    assert clone.status()["state"] == "interrupted"
    finished = {path.parent.name: path.stat().st_mtime_ns for path in _manifests(clone)}

    again = clone.call("dvc", "repro")
    assert again.returncode == 0, again.stdout + again.stderr
    after = {path.parent.name: path.stat().st_mtime_ns for path in _manifests(clone)}
    assert finished.items() <= after.items()
    assert len(clone.recorded()) == len(set(clone.recorded())) == sum(TRIALS.values()) + EXTRACTORS


def _manifests(clone: Clone) -> list[Path]:
    return list((clone.root / "build" / "store" / "done").glob("*/*/manifest.json"))
