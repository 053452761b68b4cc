from __future__ import annotations

import fcntl
import json
import os
import socket
import sqlite3
import time
from importlib import metadata

import pytest

from orchestrator import doctor
from orchestrator.doctor import CHECKS, good, within
from orchestrator.paths import Paths
from orchestrator.record.mlflow_store import initialize


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """A project's, with nothing set in the environment."""
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("TRACKMEET_STORE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return Paths(tmp_path)


@pytest.fixture
def closed():
    """A port of this machine at which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def check(what: str, paths: Paths) -> dict[str, doctor.Finding]:
    return {finding.what: finding for finding in within(what, CHECKS[what], paths, 60.0)}


def test_a_check_that_hangs_or_fails_stops_no_other(paths):
    """What hangs is given up after its time, what raises is said, and both keep what they had found."""

    def hangs(paths):
        yield good("first", "well")
        time.sleep(60)

    def fails(paths):
        yield good("first", "well")
        raise OSError("no such thing")

    for check, said in ((hangs, "no answer in 0.1 s"), (fails, "OSError: no such thing")):
        first, second = within("it", check, paths, 0.1)
        assert first.fine
        assert not second.fine
        assert said in second.text


def test_versions_are_those_that_the_project_asks_for(paths, monkeypatch):
    """A version inside its range is well; one outside, or none, says which command mends it."""
    assert all(finding.fine for finding in check("versions", paths).values())
    real = metadata.version

    def version(name):
        if name == "mlflow":
            raise metadata.PackageNotFoundError(name)
        return "2.99.0" if name == "ray" else real(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    found = check("versions", paths)
    assert {name for name, finding in found.items() if not finding.fine} == {"ray", "mlflow"}
    assert "got 2.99.0: pip install 'ray" in found["ray"].text


def test_a_cluster_must_listen_and_have_a_token(paths, monkeypatch, closed):
    """An address where nothing listens is to be mended, and so is a cluster without a token of its own."""
    monkeypatch.setattr(doctor, "_nodes", lambda: iter(()))
    assert all(finding.fine for finding in check("Ray", paths).values())
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed}")
    found = check("Ray", paths)
    assert not found["Ray"].fine
    assert "RAY_AUTH_MODE=token" in found["Ray's token"].text
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert "export RAY_AUTH_TOKEN" in check("Ray", paths)["Ray's token"].text
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a")
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{server.getsockname()[1]}")
        assert all(finding.fine for finding in check("Ray", paths).values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"versions": {"ray": "2.59.0", "torch": "2"}}, "has ray 2.59.0, not what the driver has"),
        ({"clock": -1.5}, "its clock is -1.5 s from ours"),
        ({"free": 1e9}, "1.0 GB left"),
        ({"error": "gone"}, "does not answer: gone"),
    ],
)
def test_nodes_are_like_the_driver(change, said):
    """A node must answer, have the driver's versions, its clock within a second of the driver's, and room."""
    node = {"name": "a", "cpus": 2.0, "gpus": 0.0, "versions": {"ray": "2.60.0"}, "clock": 0.2, "free": 1e11, **change}
    finding = doctor.judged(node, {"ray": "2.60.0", "torch": "2"})
    assert finding.fine == (said is None)
    assert (said or "2 CPUs") in finding.text


def test_a_server_that_is_away_is_named_without_its_password(paths, monkeypatch, closed):
    """An MLflow server or database that does not answer is to be mended; its password is not printed."""
    for uri in (f"http://a:secret@127.0.0.1:{closed}", f"postgresql+psycopg2://a:secret@127.0.0.1:{closed}/mlflow"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        found = check("MLflow", paths)["MLflow"]
        assert not found.fine
        assert str(closed) in found.text
        assert "secret" not in found.text


def test_a_damaged_database_is_noticed(paths):
    """A file that is no database is to be put aside; none at all is well, for the first run makes it."""
    assert check("MLflow", paths)["MLflow"].fine
    paths.record.mkdir(parents=True)
    (paths.record / "mlflow.db").write_bytes(b"not a database" * 100)
    assert "put it aside" in check("MLflow", paths)["MLflow"].text


@pytest.mark.slow
def test_the_schema_is_compared_with_the_installed_one(paths):
    """A database that MLflow made just now has the newest schema; one of another schema is to be upgraded."""
    initialize(f"sqlite:///{paths.record / 'mlflow.db'}")
    assert check("MLflow", paths)["MLflow"].fine
    with sqlite3.connect(paths.record / "mlflow.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'old'")
    assert "mlflow db upgrade" in check("MLflow", paths)["MLflow"].text


def test_entries_that_wait_are_counted_and_refused_ones_are_to_be_read(paths):
    """Entries behind the mark wait, those that MLflow refused are to be read by a person."""
    paths.spool.mkdir(parents=True)
    (paths.spool / "entries.jsonl").write_text("{}\n{}\n{}\n")
    (paths.spool / "delivered").write_text("3")
    assert check("MLflow", paths)["MLflow's outbox"].text.startswith("2 entries wait")
    (paths.spool / "refused.jsonl").write_text('{"reason": "x"}\n')
    assert not check("MLflow", paths)["MLflow's outbox"].fine


def test_a_leftover_mlruns_is_noticed(paths):
    """A folder mlruns with an experiment in the working directory is to be moved: MLflow takes it for its store."""
    (paths.root / "mlruns" / "0").mkdir(parents=True)
    (paths.root / "mlruns" / "0" / "meta.yaml").touch()
    assert not check("MLflow", paths)["mlruns"].fine


def test_a_store_that_no_run_holds_is_noticed(paths):
    """A store that is held while no run is under way is to be freed; one that the run holds is well."""
    paths.store.mkdir(parents=True)
    (paths.store / "lock").write_text("4711")
    assert check("store", paths)["store"].fine
    with (paths.store / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "process 4711, which is no run" in check("store", paths)["store"].text
        paths.status.write_text(json.dumps({"state": "running", "pid": os.getpid()}))
        assert check("store", paths)["store"].fine


def test_a_full_disk_is_noticed(paths, monkeypatch):
    """Less than the space that a run wants is to be mended, with the command that says what may go."""
    assert check("disk", paths)["disk of store"].fine
    monkeypatch.setattr(doctor, "FREE", 1e18)
    assert "trackmeet gc" in check("disk", paths)["disk of store"].text
