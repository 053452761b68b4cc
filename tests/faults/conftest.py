"""A project whose runs are disturbed, and what must be true of it afterwards."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pytest
import yaml

from orchestrator.record.mlflow_store import default_uri, initialize
from orchestrator.record.mlflow_ui import ui_command

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": "120"}
RUN = ("run", "--checkpoint-seconds", "0.1", "--workers", "2")


class Processes:
    """The processes of this machine, by what /proc says of them."""

    @staticmethod
    def below(pid: int) -> list[int]:
        """Children, their children, and so on."""
        children: dict[int, list[int]] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ValueError, IndexError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(folder.name))
        found, waiting = [], [pid]
        while waiting:
            new = children.get(waiting.pop(), [])
            found += new
            waiting += new
        return found

    @staticmethod
    def called(pids: Sequence[int], part: str) -> list[int]:
        """Those of them in whose command line this occurs."""
        found = []
        for pid in pids:
            with suppress(OSError):
                if part in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace"):
                    found.append(pid)
        return found

    @staticmethod
    def kill(pids: Sequence[int], how: signal.Signals = signal.SIGKILL) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, how)


class Helper:
    """A program that answers each line with a line."""

    def __init__(self, *command: str, root: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(root / "helper.log").open("ab"),
            text=True,
        )

    def ask(self, line: str) -> str:
        stdin: IO[str] = self.process.stdin  # type: ignore[assignment]
        stdin.write(line + "\n")
        stdin.flush()
        return self.hear()

    def hear(self) -> str:
        stdout: IO[str] = self.process.stdout  # type: ignore[assignment]
        line = stdout.readline()
        assert line, f"{self.process.args}: ended"
        return line.strip()

    def end(self) -> None:
        tree = [self.process.pid, *Processes.below(self.process.pid)]
        Processes.kill(tree)
        self.process.wait()


class Field:
    """A project's folder, whose runs are real processes, and a note of all that was ever finished in it."""

    def __init__(self, root: Path, environment: dict[str, str] | None = None) -> None:
        self.root = root
        self.environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **(environment or {}),
        }
        for name in ("TRACKMEET_STORE", "RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
            if name not in (environment or {}):
                self.environment.pop(name, None)
        self.driver: int | None = None
        self.kills = self.redone = self.lost = 0
        self._drivers: Helper | None = None
        self._seen: dict[str, tuple[int, int]] = {}

    # Runs.

    def start(self, *words: str, **environment: str) -> int:
        """Begin a run; the driver's process id."""
        if self._drivers is None:
            self._drivers = Helper(str(HERE / "drivers.py"), root=self.root, environment=self.environment)
        order = {"words": [*RUN, *words], "log": str(self.log), "environment": environment}
        self.driver = int(self._drivers.ask(json.dumps(order)))
        return self.driver

    def wait(self) -> int:
        """The exit status of the run; negative where a signal ended it."""
        assert self._drivers is not None
        status = int(self._drivers.hear())
        self.driver = None
        return status

    @property
    def runs(self) -> bool:
        """Whether the run is under way."""
        return self.driver is not None and Path(f"/proc/{self.driver}").exists()

    def run(self, *words: str, **environment: str) -> int:
        """A whole run."""
        self.start(*words, **environment)
        return self.wait()

    def strike(self, pids: Sequence[int]) -> None:
        """Kill these processes, and count it as one."""
        self.look()
        Processes.kill(pids)
        self.kills += 1

    @property
    def workers(self) -> list[int]:
        """Of the run under way, the processes in which jobs run, on a Ray of its own."""
        assert self.driver is not None
        return Processes.called(Processes.below(self.driver), "ray::Slot")

    @property
    def everything(self) -> list[int]:
        """The driver, its Ray and its workers."""
        assert self.driver is not None
        return [*Processes.below(self.driver), self.driver]

    def end(self) -> None:
        """Let nothing live on."""
        if self.driver is not None:
            Processes.kill(self.everything)
        if self._drivers is not None:
            self._drivers.end()

    # What it left.

    @property
    def log(self) -> Path:
        """What all its runs printed."""
        return self.root / "runs.log"

    @property
    def store(self) -> Path:
        return Path(self.environment.get("TRACKMEET_STORE") or self.root / "build" / "store")

    def finished(self) -> dict[str, tuple[int, int]]:
        """Of each finished job, by key, which file says so, and since when."""
        found = {}
        for path in (self.store / "done").glob("*/*/manifest.json"):
            with suppress(OSError):
                stat = path.stat()
                found[path.parent.name] = (stat.st_ino, stat.st_mtime_ns)
        return found

    def look(self) -> None:
        """Compare what is finished with what was: nothing may be gone, nothing written again."""
        now = self.finished()
        for key, was in self._seen.items():
            self.lost += key not in now
            self.redone += key in now and now[key] != was
        self._seen = now

    def results(self) -> dict[str, bytes]:
        """Every file of build/results."""
        folder = self.root / "build" / "results"
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def recorded(self) -> list[tuple[str, str]]:
        """(trial key, status) of every MLflow run."""
        with sqlite3.connect(self.root / "build" / "record" / "mlflow.db") as database:
            return database.execute(
                "select t.value, r.status from runs r join tags t using (run_uuid) where t.key = 'trackmeet.key'"
            ).fetchall()

    def duplicates(self) -> int:
        """MLflow runs beyond one a trial."""
        keys = [key for key, _ in self.recorded()]
        return len(keys) - len(set(keys))

    def forget(self) -> None:
        """Throw away what was done: the next run begins anew."""
        for name in ("store", "record", "results"):
            shutil.rmtree(self.root / "build" / name)
        self._seen = {}

    def assert_whole(self, undisturbed: dict[str, bytes]) -> None:
        """What must be true of a study after all that happened to it."""
        self.look()
        assert (self.redone, self.lost) == (0, 0)
        assert self.duplicates() == 0
        assert {status for _, status in self.recorded()} == {"FINISHED"}
        results = self.results()
        assert results.keys() == undisturbed.keys()
        assert [name for name in results if results[name] != undisturbed[name]] == []


def toy(root: Path, trackers: dict[str, Any], seeds: Sequence[int] = (1,)) -> None:
    """Write the toy project, with these trackers."""
    shutil.copytree(HERE.parent / "orchestrator" / "toy", root / "toy", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "data" / "squares").mkdir(parents=True)
    (root / "data" / "squares" / "brightness.txt").write_text("200")
    square = {"format": "toy.data", "root": "data/squares"}
    study = {
        "lengths": [4, 8],
        "seeds": list(seeds),
        "experiments": [{"train": "train", "test": ["test"]}],
        "trackers": trackers,
    }
    params = {
        "profile": "toy",
        "datasets": {"train": square, "test": {**square, "sequences": 4}},
        "studies": {"toy": study},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.fixture
def fields() -> Iterator[Callable[..., Field]]:
    """Makes fields of folders that are there, with this environment. All of their processes end with the test."""
    made: list[Field] = []

    def make(root: Path, **environment: str) -> Field:
        made.append(Field(root, environment))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture
def field(tmp_path: Path, fields: Callable[..., Field]) -> Callable[..., Field]:
    """Makes fields of this name, of toy trackers."""

    def make(name: str, trackers: dict[str, Any], seeds: Sequence[int] = (1,), **environment: str) -> Field:
        toy(tmp_path / name, trackers, seeds)
        return fields(tmp_path / name, **environment)

    return make


class Nodes:
    """A Ray cluster that outlives drivers."""

    def __init__(self, root: Path, cpus: int) -> None:
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        environment = {**os.environ, **self.environment, **SETTINGS, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        environment.pop("RAY_ADDRESS", None)
        self._helper = Helper(str(HERE / "nodes.py"), str(cpus), root=root, environment=environment)
        self.environment["RAY_ADDRESS"] = self._helper.hear()

    @property
    def workers(self) -> list[int]:
        """The processes in which jobs run."""
        return Processes.called(Processes.below(self._helper.process.pid), "ray::Slot")

    def add(self) -> int:
        """One more node, of one CPU; the process id of its raylet."""
        return int(self._helper.ask("add"))

    def end(self) -> None:
        self._helper.end()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Nodes]:
    """A Ray cluster of one node with two CPUs."""
    nodes = Nodes(tmp_path, 2)
    yield nodes
    nodes.end()


@pytest.fixture
def empty_cluster(tmp_path: Path) -> Iterator[Nodes]:
    """A Ray cluster whose only node has no CPU: others are added."""
    nodes = Nodes(tmp_path, 0)
    yield nodes
    nodes.end()


@pytest.fixture
def processes() -> type[Processes]:
    """What /proc says of processes."""
    return Processes


class Server:
    """MLflow's server over a project's own record."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, root: Path) -> None:
        """Serve the record of this project, and wait until it answers."""
        initialize(default_uri(root))
        self._process = subprocess.Popen(
            ui_command(root, self.port),
            cwd=root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(self._answers, "MLflow's server", 120.0)

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            return urllib.request.urlopen(f"{self.uri}/health", timeout=5).status == 200
        except OSError:
            return False


@pytest.fixture
def mlflow_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """One that is not started yet."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # it serves the project's own database
    server = Server()
    yield server
    server.stop()


def until(true: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Wait for it, and return what it said."""
    end = time.monotonic() + seconds
    while not (said := true()):
        assert time.monotonic() < end, f"{what}: not in {seconds:g} s"
        time.sleep(0.02)
    return said


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    return until
