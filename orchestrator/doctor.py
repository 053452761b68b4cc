"""What this machine, and what it is told to use, lack for runs to go well: each finding says what to do."""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator.paths import Paths

LIMIT = 60.0  # seconds that one check may take
FREE = 2e9  # bytes that a disk should have left
MEMORY = 1e9  # bytes of /dev/shm that Ray's object store should have
FILES = 4096  # that a process should be able to open
DRIFT = 1.0  # seconds by which clocks may differ
CONSTRAINED = ("torch", "numpy", "ray", "mlflow", "dvc", "opencv-python")


@dataclass(frozen=True)
class Finding:
    """fine: text says how it is; else what to do."""

    what: str
    fine: bool
    text: str


Check = Callable[[Paths], Iterator[Finding]]


def examine(paths: Paths) -> Iterator[Finding]:
    """All findings. A check that hangs, or fails itself, is a finding, and the others go on."""
    for what, check in CHECKS.items():
        yield from within(what, check, paths, LIMIT)


def within(what: str, check: Check, paths: Paths, limit: float) -> list[Finding]:
    """What a check finds in so many seconds."""
    found: list[Finding] = []

    def run() -> None:
        try:
            found.extend(check(paths))
        except Exception as error:
            found.append(bad(what, f"the check itself failed: {type(error).__name__}: {error}"))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit)
    if thread.is_alive():
        return [*found, bad(what, f"no answer in {limit:g} s: see whether what it asks for hangs")]
    return found


def good(what: str, text: str) -> Finding:
    """It is well; text says how it is."""
    return Finding(what, True, text)


def bad(what: str, text: str) -> Finding:
    """It is not; text says what to do."""
    return Finding(what, False, text)


# What is installed.


def _versions(paths: Paths) -> Iterator[Finding]:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    wanted = SpecifierSet(metadata.metadata("trackmeet")["Requires-Python"])
    python = platform.python_version()
    yield (
        good("Python", f"{python} ({sys.executable})")
        if wanted.contains(python)
        else bad("Python", f"expected {wanted}, got {python}: make an environment with another")
    )
    required = map(Requirement, metadata.requires("trackmeet") or [])
    for requirement in (one for one in required if one.name in CONSTRAINED):
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield bad(requirement.name, f"is not here: pip install -c constraints.txt '{requirement}'")
            continue
        if requirement.specifier.contains(version, prereleases=True):
            yield good(requirement.name, version)
        else:
            yield bad(requirement.name, f"expected {requirement.specifier}, got {version}: pip install '{requirement}'")


def _gpus(paths: Paths) -> Iterator[Finding]:
    driver = _printed("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").splitlines()
    import torch

    if not torch.cuda.is_available():
        if driver:
            built = torch.version.cuda
            yield bad(
                "GPUs",
                f"driver {driver[0]}, but torch {torch.__version__} (CUDA {built}) sees none: install one for it",
            )
        else:
            yield good("GPUs", "none; jobs run on the CPU")
        return
    for i in range(torch.cuda.device_count()):
        free, every = torch.cuda.mem_get_info(i)
        name = torch.cuda.get_device_name(i)
        text = f"{name}, {every / 1e9:.0f} GB, {free / 1e9:.0f} GB free, driver {driver[0] if driver else 'unknown'}"
        yield good(f"GPU {i}", text)


# What it talks to.


def _ray(paths: Paths) -> Iterator[Finding]:
    address = os.environ.get("RAY_ADDRESS", "")
    token = Path.home() / ".ray" / "auth_token"
    if not address:
        yield good("Ray", "RAY_ADDRESS is not set: each run starts a Ray of this machine's own")
    elif address == "auto" or "://" not in address:
        host, _, port = address.rpartition(":")
        if address != "auto":
            yield _reach("Ray", host, int(port) if port.isdigit() else 6379, "start its head, or unset RAY_ADDRESS")
    else:
        parts = urlsplit(address)
        yield _reach("Ray", parts.hostname or "", parts.port or 10001, "start its head, or unset RAY_ADDRESS")
    if address:
        yield from _nodes()
    mode = os.environ.get("RAY_AUTH_MODE", "")
    named = [name for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH") if os.environ.get(name)]
    if address and mode != "token":
        yield bad(
            "Ray's token", "export RAY_AUTH_MODE=token and RAY_AUTH_TOKEN on every node and here: others may run code"
        )
    elif address and not named and not token.exists():
        yield bad("Ray's token", f"export RAY_AUTH_TOKEN, the same on every node; none there, and none in {token}")
    elif mode == "token":
        yield good("Ray's token", f"from {named[0] if named else token}")
    if token.exists() and not mode:
        yield good(
            "Ray's token",
            f"{token} is there: 'ray start' of a head will want it of nodes, so set RAY_AUTH_MODE=token on all",
        )


def _nodes() -> Iterator[Finding]:
    """What each node of the cluster says of itself, beside ours."""
    ask = "import json; from orchestrator.cluster.connection import inspect; print(json.dumps(inspect()))"
    try:  # in a process of its own, which can be ended where Ray waits for ever
        done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=LIMIT - 10)
    except subprocess.TimeoutExpired:
        yield bad("nodes", "the cluster does not let us in: see that it has our token, and our version of Ray")
        return
    if done.returncode:
        yield bad("nodes", (done.stderr.strip().splitlines() or ["no reason was given"])[-1])
        return
    ours = {"python": platform.python_version(), **{name: metadata.version(name) for name in ("ray", "torch", "numpy")}}
    for node in json.loads(done.stdout.splitlines()[-1]):
        yield judged(node, ours)


def judged(node: Mapping[str, Any], ours: Mapping[str, str]) -> Finding:
    """What there is to say of a node that `cluster.connection.inspect` describes. ours: versions here."""
    what = f"node {node['name']}"
    if "error" in node:
        return bad(what, f"does not answer: {node['error']}")
    others = [f"{name} {there}" for name, there in node["versions"].items() if ours.get(name, there) != there]
    if others:
        return bad(what, f"has {', '.join(others)}, not what the driver has: install the same there")
    if abs(node["clock"]) > DRIFT:
        return bad(what, f"its clock is {node['clock']:+.1f} s from ours: set both by NTP")
    if node["free"] < FREE:
        return bad(what, f"{node['free'] / 1e9:.1f} GB left for its cache and Ray's files: make room")
    return good(what, f"{node['cpus']:g} CPUs, {node['gpus']:g} GPUs, {node['free'] / 1e9:.0f} GB free, our versions")


def _mlflow(paths: Paths) -> Iterator[Finding]:
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    parts = urlsplit(uri)
    if uri.startswith(("http://", "https://")):
        health = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}/health"
        try:
            with urllib.request.urlopen(health, timeout=5) as answer:
                yield good("MLflow", f"{health} says {answer.status}")
        except OSError as error:
            yield bad("MLflow", f"{health}: {error}: start the server; runs go on, and what they say waits")
    elif uri and not uri.startswith("sqlite:///"):
        if not parts.hostname:
            yield bad(
                "MLflow",  # it may have a password
                f"MLFLOW_TRACKING_URI={parts.scheme}:...: expected http://, postgresql+...://host or sqlite:///<path>",
            )
        else:
            yield _reach("MLflow", parts.hostname, parts.port or 5432, "start the database; what runs say waits")
    else:
        yield _database(Path(uri.removeprefix("sqlite:///")) if uri else paths.record / "mlflow.db")
    if (Path.cwd() / "mlruns" / "0" / "meta.yaml").exists():
        yield bad("mlruns", "MLflow's own commands take ./mlruns for the record: move it away")
    waiting, refused = _spooled(paths.spool)
    yield (
        good("MLflow's outbox", f"{waiting} entries wait; the next run sends them, or 'trackmeet replay'")
        if not refused
        else bad(
            "MLflow's outbox",
            f"{refused} entries were refused: read why in {paths.spool / 'refused.jsonl'}, then remove it",
        )
    )


def _database(path: Path) -> Finding:
    """Whether MLflow's SQLite file can be written, and is of the installed version's schema."""
    if not path.exists():
        return good("MLflow", f"{path} is made by the first run")
    try:
        with closing(sqlite3.connect(path, timeout=10)) as database:
            [[schema]] = database.execute("SELECT version_num FROM alembic_version").fetchall()
            database.execute("BEGIN IMMEDIATE")
            database.rollback()
    except (sqlite3.Error, ValueError) as error:
        return bad(
            "MLflow", f"{path}: {error}: end what holds it; if it is broken, put it aside, the next run makes another"
        )
    newest = _newest_schema()
    if newest and schema != newest:
        return bad(
            "MLflow", f"{path} has schema {schema}, not {newest}: copy it, then 'mlflow db upgrade sqlite:///{path}'"
        )
    return good("MLflow", f"{path}, schema {schema}, {path.stat().st_size / 1e6:.1f} MB")


def _newest_schema() -> str:
    """The installed MLflow's: the migration that no other one follows. MLflow itself takes seconds to import."""
    spec = util.find_spec("mlflow")
    folder = Path(spec.origin).parent / "store" / "db_migrations" / "versions" if spec and spec.origin else Path()
    texts = [file.read_text() for file in folder.glob("*.py")]
    own, before = (
        {m[1] for t in texts if (m := re.search(rf"^{w} = ['\"](\w+)", t, re.M))} for w in ("revision", "down_revision")
    )
    newest = own - before
    return newest.pop() if len(newest) == 1 else ""


def _spooled(spool: Path) -> tuple[int, int]:
    """(entries that wait, entries that were refused)."""
    try:
        sent = int((spool / "delivered").read_text())
    except (OSError, ValueError):
        sent = 0
    waiting = (spool / "entries.jsonl").read_bytes()[sent:].count(b"\n") if (spool / "entries.jsonl").exists() else 0
    refused = (spool / "refused.jsonl").read_bytes().count(b"\n") if (spool / "refused.jsonl").exists() else 0
    return waiting, refused


def _dvc(paths: Paths) -> Iterator[Finding]:
    if not (paths.root / ".dvc").is_dir():
        yield bad("DVC", "no .dvc here: run this in the project's folder, or 'dvc init' (outside git: --no-scm)")
        return
    remotes = [line.split(None, 1) for line in _printed(sys.executable, "-m", "dvc", "remote", "list").splitlines()]
    if not remotes:
        yield good(
            "DVC remote", "none: data and results are on this machine alone ('dvc remote add -d NAME URL' adds one)"
        )
    for name, url in (line for line in remotes if len(line) == 2):
        url = url.removesuffix("(default)").strip()
        if "://" in url and not url.startswith("file://"):
            host = urlsplit(url)
            if host.scheme in ("http", "https", "ssh", "webdav", "webdavs") and host.hostname:
                port = host.port or {"http": 80, "webdav": 80, "ssh": 22}.get(host.scheme, 443)
                yield _reach(f"DVC remote {name}", host.hostname, port, "'dvc push' and 'dvc pull' need it")
            else:
                yield good(f"DVC remote {name}", f"{url} (not tried: 'dvc status -c' does)")
            continue
        place = paths.root / url.removeprefix("file://")
        there = place.is_dir() and os.access(place, os.W_OK)
        text = str(place) if there else f"{place} is not there, or cannot be written: mount it, or make it"
        yield Finding(f"DVC remote {name}", there, text)


def _reach(what: str, host: str, port: int, otherwise: str) -> Finding:
    """Whether something listens there."""
    try:
        with socket.create_connection((host, port), timeout=5):
            return good(what, f"{host}:{port} listens")
    except OSError as error:
        return bad(what, f"{host}:{port}: {error}: {otherwise}")


# What it stands on.


def _disks(paths: Paths) -> Iterator[Finding]:
    import tempfile

    places = {"store": paths.store, "build": paths.build, "temporary files": Path(tempfile.gettempdir())}
    if "TRACKMEET_CACHE" in os.environ:
        places["cache"] = Path(os.environ["TRACKMEET_CACHE"])
    for name, place in places.items():
        there = next(path for path in (place.absolute(), *place.absolute().parents) if path.exists())
        free = shutil.disk_usage(there).free
        if not os.access(there, os.W_OK):
            yield bad(f"disk of {name}", f"{there} cannot be written: change its owner")
        elif free < FREE:
            yield bad(
                f"disk of {name}",
                f"{free / 1e9:.1f} GB left at {there}: 'trackmeet gc' says what may go, 'dvc gc -w' too",
            )
        else:
            yield good(f"disk of {name}", f"{free / 1e9:.0f} GB left at {there}")


def _clock(paths: Paths) -> Iterator[Finding]:
    wall, steady = time.time(), time.monotonic()
    time.sleep(0.5)
    drift = abs((time.time() - wall) - (time.monotonic() - steady))
    if drift > 0.05:
        yield bad("clock", f"it moved by {drift:.2f} s in half a second: let one service alone set it (NTP)")
    synchronized = _printed("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if synchronized == "no":
        yield bad(
            "clock",
            "it is not synchronized: 'timedatectl set-ntp true', or the times of several nodes cannot be compared",
        )
    elif drift <= 0.05:
        yield good(
            "clock", "steady" + (", synchronized" if synchronized == "yes" else "; nothing here says whether by NTP")
        )


def _store(paths: Paths) -> Iterator[Finding]:
    from orchestrator.progress import under_way

    holder = holder_of(paths.store)
    try:
        runs = under_way(json.loads(paths.status.read_text()))
    except (OSError, ValueError):
        runs = False
    if holder is None:
        yield good("store", f"{paths.store}, free")
    elif runs:
        yield good("store", f"{paths.store}, used by the run of process {holder}")
    else:
        yield bad(
            "store",
            f"{paths.store} is held by process {holder}, which is no run of this project: see what it does, end it",
        )
    if paths.status.exists() and holder is None and runs:
        yield bad("status", f"a process has the number of the last run, which died: remove {paths.status}")


def holder_of(store: Path) -> str | None:
    """The process that has the store locked, as it says; None where nobody has."""
    import fcntl

    try:
        with (store / "lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "unknown"
    except FileNotFoundError:
        pass
    return None


def _limits(paths: Paths) -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES:
        yield bad("open files", f"{soft} at once: 'ulimit -n {FILES}' (at most {hard} without the administrator)")
    else:
        yield good("open files", f"{soft} at once" if soft != resource.RLIM_INFINITY else "no limit")
    memory = Path("/dev/shm")
    if not memory.is_dir():
        return
    free = shutil.disk_usage(memory).free
    if free < MEMORY:
        yield bad(str(memory), f"{free / 1e9:.2f} GB left: Ray puts its objects on disk; in containers: --shm-size=2g")
    else:
        yield good(str(memory), f"{free / 1e9:.1f} GB left for Ray's objects")


def _printed(*command: str) -> str:
    """What a command prints; "" where it is not there, or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT / 2)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


CHECKS: dict[str, Check] = {
    "versions": _versions,
    "GPUs": _gpus,
    "Ray": _ray,
    "MLflow": _mlflow,
    "DVC": _dvc,
    "disk": _disks,
    "clock": _clock,
    "store": _store,
    "limits": _limits,
}
