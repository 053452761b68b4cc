"""Faults of each kind, one at a time: the study completes, or fails with the one right error and then completes.

`pytest -m slow tests/faults/test_faults.py`; a damaged cache of features, of a node or of an extractor, is in
tests/orchestrator/test_cache.py and test_extraction.py; a node that is cut off in tests/nodes.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import yaml

LOCAL = ("--executor", "local")
SLOW = {"family": "toy.family", "updates": 30, "pause": 0.1}
TWO = {"Mover": SLOW, "Slow mover": {**SLOW, "rate": 0.1}}


def checkpoints(field) -> list[Path]:
    return sorted(field.store.glob("checkpoints/*/*.pt"))


def updates(diary: Path) -> list[int]:
    return [int(line) for line in diary.read_text().split()]


def kill_in_training(field, wait_until) -> list[Path]:
    """A driver dies in the middle of a training that has two checkpoints; these."""
    field.start(*LOCAL)
    wait_until(lambda: len(checkpoints(field)) > 1, "two checkpoints")
    field.strike([field.driver])
    field.wait()
    return checkpoints(field)


@pytest.fixture
def trained(field, tmp_path):
    """(a field of one training that notes its updates, its diary, what it finds undisturbed)."""
    diary = tmp_path / "diary"
    storm = field("storm", {"Mover": {**SLOW, "diary": str(diary)}})
    assert storm.run(*LOCAL) == 0, storm.log.read_text()
    undisturbed = storm.results()
    assert updates(diary) == list(range(30))
    diary.unlink()
    storm.forget()
    return storm, diary, undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("damage", [b"", b"garbage"])
@pytest.mark.parametrize("damaged", [1, 2])
def test_a_damaged_checkpoint_is_not_gone_on_from(trained, wait_until, damage, damaged):
    """Where the newest checkpoint is damaged the one before it serves; where all are, training starts again."""
    storm, diary, undisturbed = trained
    kept = kill_in_training(storm, wait_until)
    before = updates(diary)
    for path in kept[-damaged:]:
        path.write_bytes(damage)
    diary.unlink()
    assert storm.run(*LOCAL) == 0, storm.log.read_text()
    first = int(kept[0].name.split(".")[0]) if damaged == 1 else 0
    assert updates(diary) == list(range(first, 30))
    assert first <= before[-1] + 1
    logs = "".join(path.read_text() for path in (storm.root / "build" / "logs").glob("*fit*.log"))
    assert "damaged" in logs
    storm.assert_whole(undisturbed)


@pytest.mark.slow
def test_a_full_disk_is_said_and_nothing_is_lost(field, tmp_path):
    """A store without space ends the run with that error; when there is space again it goes on from there."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    trackers = {f"Mover {i}": {"family": "toy.family", "rate": 0.1 * (i + 1)} for i in range(5)}
    try:
        calm, storm = field("calm", trackers), field("storm", trackers, TRACKMEET_STORE=str(disk / "store"))
        assert calm.run(*LOCAL) == 0, calm.log.read_text()
        for free in (40_000, 80_000, 120_000):
            used = sum(path.stat().st_blocks * 512 for path in disk.rglob("*") if path.is_file())
            (disk / "filler").write_bytes(b"")
            fill(disk / "filler", leave=free)
            storm.log.write_text("")
            assert storm.run(*LOCAL) == 2, (used, storm.log.read_text())
            said = [line for line in storm.log.read_text().splitlines() if line.startswith("error: ")]
            assert len(said) == 1
            assert "No space left on device" in said[0]
            assert "Traceback" not in storm.log.read_text()
            storm.look()
        (disk / "filler").unlink()
        assert storm.run(*LOCAL) == 0, storm.log.read_text()
        storm.assert_whole(calm.results())
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(path: Path, leave: int) -> None:
    """Write until so many bytes of the file system are left."""
    free = shutil.disk_usage(path.parent).free
    path.write_bytes(bytes(max(0, free - leave)))


@pytest.mark.slow
def test_mlflow_is_away_for_a_while(field, mlflow_server, wait_until):
    """While the server is down the study goes on, and what it missed is there afterwards, each run once."""
    calm = field("calm", TWO)
    assert calm.run(*LOCAL, "--record", "none") == 0, calm.log.read_text()
    storm = field("storm", TWO, MLFLOW_TRACKING_URI=mlflow_server.uri)
    mlflow_server.start(storm.root)
    storm.start(*LOCAL)
    wait_until(lambda: checkpoints(storm), "a training")
    mlflow_server.stop()
    time.sleep(15.0)
    mlflow_server.start(storm.root)
    status = storm.wait()
    if status == 0 and "entries" in storm.log.read_text():
        subprocess.run([sys.executable, "-m", "orchestrator", "replay"], cwd=storm.root, env=storm.environment)
    assert status == 0, storm.log.read_text()
    storm.assert_whole(calm.results())


@pytest.mark.slow
def test_mlflow_s_database_is_locked_for_a_while(field, wait_until):
    """While another process holds the database the study goes on, and what it missed is there afterwards."""
    calm, storm = field("calm", TWO), field("storm", TWO)
    assert calm.run(*LOCAL) == 0, calm.log.read_text()
    storm.start(*LOCAL)
    path = storm.root / "build" / "record" / "mlflow.db"
    wait_until(path.exists, "the database")
    assert storm.runs
    with closing(sqlite3.connect(path, timeout=60.0, isolation_level=None)) as database:
        database.execute("begin exclusive")
        time.sleep(15.0)
        database.execute("rollback")
    assert storm.wait() == 0, storm.log.read_text()
    storm.assert_whole(calm.results())


@pytest.mark.slow
def test_a_hung_job_is_ended(field, cluster):
    """A job that takes longer than it may fails with that message, what needs it follows, and the rest is done."""
    trackers = {"Mover": {"family": "toy.family"}, "Hung": {"family": "toy.family", "pause": 3600.0}}
    storm = field("storm", trackers)
    assert storm.run("--timeout", "20", **cluster.environment) == 1
    said = storm.log.read_text()
    assert "took longer than 20 s" in said
    assert len(storm.finished()) == 3
    assert sorted(status for _, status in storm.recorded()) == ["FAILED", "FINISHED"]
    storm.look()
    assert (storm.redone, storm.lost, storm.duplicates()) == (0, 0, 0)
    assert storm.run("--timeout", "20", "--tracker", "Mover", **cluster.environment) == 0
    storm.look()
    assert (storm.redone, storm.lost) == (0, 0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_node_is_killed_and_another_added(field, empty_cluster, processes, wait_until):
    """What ran on a node that dies goes on, from its checkpoint, on one that comes."""
    calm, storm = field("calm", TWO), field("storm", TWO)
    assert calm.run(*LOCAL) == 0, calm.log.read_text()
    nodes = [empty_cluster.add(), empty_cluster.add()]
    storm.start(**empty_cluster.environment)
    for node in nodes:
        before = set(checkpoints(storm))
        wait_until(lambda: set(checkpoints(storm)) - before, "a training", 120.0)  # noqa: B023
        storm.strike([*processes.below(node), node])
        empty_cluster.add()
    assert storm.wait() == 0, storm.log.read_text()
    storm.assert_whole(calm.results())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_that_fails_on_one_node_is_tried_on_another(field, empty_cluster, tmp_path):
    """A job's own error is final only when another node, where there is one, has tried it; the message says so."""
    storm = field("storm", {"Picky": {"family": "toy.picky", "first": str(tmp_path / "first")}})
    shutil.copy(Path(__file__).with_name("picky.py"), storm.root / "toy")
    empty_cluster.add()
    assert storm.run(**empty_cluster.environment) == 1
    assert "expected a library that this node lacks" in storm.log.read_text()
    assert storm.finished() == {}
    (tmp_path / "first").unlink()
    empty_cluster.add()
    storm.log.write_text("")
    assert storm.run(**empty_cluster.environment) == 0, storm.log.read_text()
    assert "expected a library that this node lacks" in storm.log.read_text()
    assert "again on another node" in storm.log.read_text()
    assert len(storm.finished()) == 3


def test_what_the_harness_counts(field, tmp_path):
    """A result that is written again counts as redone, and one that is gone as lost."""
    storm = field("storm", {})
    for key in ("one", "two"):
        (storm.store / "done" / key[:2] / key).mkdir(parents=True)
        (storm.store / "done" / key[:2] / key / "manifest.json").write_text("{}")
    storm.look()
    storm.look()
    assert (storm.redone, storm.lost) == (0, 0)
    (storm.store / "done" / "on" / "one" / "manifest.json").unlink()
    again = storm.store / "done" / "tw" / "two" / "manifest.json"
    again.write_text(yaml.safe_dump({"again": True}))
    storm.look()
    assert (storm.redone, storm.lost) == (1, 1)
