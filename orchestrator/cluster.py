"""The Ray backend: long-lived actor slots, one job at a time each; the only module that imports ray.

Ray's own retries are off: the driver sees every death and decides (`orchestrator.executor`). A
slot has a second thread, by which it is asked, while it works, for progress, checkpoints and what
it printed. Nothing depends on a shared file system: where a node does not see the store's folder,
inputs travel by content hash through Ray's object store into a cache on the node.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
import ray
from ray.exceptions import (
    GetTimeoutError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    TaskUnschedulableError,
)

from orchestrator.executor import Event, attempt
from orchestrator.jobs import Data, Resources
from orchestrator.work import Task

POLL_SECONDS = 0.5
Packed = dict[str, bytes]  # relative path -> content


class Slot:
    """The actor: a warm process on some node that does one task at a time."""

    def __init__(self, path: list[str], gpus: float) -> None:
        sys.path[:0] = [entry for entry in path if entry not in sys.path]
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves it unset, and the job would see them all
        self._events: list[tuple[Any, ...]] = []
        self._lock = threading.Lock()
        self._printed = tempfile.TemporaryFile("w+b")  # noqa: SIM115  # open as long as the process lives
        for descriptor in (1, 2):
            os.dup2(self._printed.fileno(), descriptor)
        self._read = 0

    def ping(self, marker: Path, token: str) -> tuple[str, bool]:
        """(host name, whether this node sees the driver's files: the marker holds the token)."""
        try:
            shared = marker.read_text() == token
        except OSError:
            shared = False
        return socket.gethostname(), shared

    def run(self, task: Task, shipped: Mapping[str, ray.ObjectRef]) -> tuple[Any, ...]:
        """Do the task -> (kind, *payload) of its last event. shipped: by content hash, what is not seen here."""
        if shipped:
            task = replace(
                task,
                inputs={role: _unpacked(data, shipped) for role, data in task.inputs.items()},
                data={name: _unpacked(data, shipped) for name, data in task.data.items()},
            )
        return attempt(task, self._emit)

    def poll(self) -> list[tuple[Any, ...]]:
        """What happened since the last call: (kind, *payload), ..."""
        with self._lock:
            events, self._events = self._events, []
        sys.stdout.flush()
        printed = os.pread(self._printed.fileno(), 1 << 20, self._read)
        self._read += len(printed)
        return [*events, ("log", printed.decode(errors="replace"))] if printed else events

    def _emit(self, *event: Any) -> None:
        with self._lock:
            if event[0] == "progress" and self._events and self._events[-1][0] == "progress":
                self._events.pop()  # only the newest matters
            self._events.append(event)


@dataclass
class _Held:
    """The driver's side of a slot. key: the job that it works on; None if idle."""

    actor: Any
    resources: Resources
    ping: ray.ObjectRef
    host: str | None = None
    shared: bool = False
    key: str | None = None
    task: Task | None = None
    run: ray.ObjectRef | None = None
    poll: ray.ObjectRef | None = None
    next_poll: float = 0.0


class Cluster:
    """A Ray cluster as a backend: the one that RAY_ADDRESS names, else one of this machine's own.

    workers: how many jobs at once (default: as many as fit). share: False ships every input, even
    to nodes that could read the driver's files.
    """

    def __init__(self, marker: Path, workers: int | None = None, share: bool = True) -> None:
        local = "RAY_ADDRESS" not in os.environ
        on_terminate = signal.getsignal(signal.SIGTERM)
        ray.init(
            num_cpus=workers if local else None,
            include_dashboard=False if local else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=True,
        )
        signal.signal(signal.SIGTERM, on_terminate)  # Ray's own aborts the process
        self.workers = workers
        self._marker, self._token = marker.resolve(), uuid.uuid4().hex if share else ""
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(uuid.uuid4().hex if not share else self._token)
        self._slots: list[_Held] = []
        self._news: list[Event] = []  # what `wait` has to say first
        self._packed: dict[str, ray.ObjectRef] = {}
        self._path = [str(Path.cwd()), *(entry for entry in sys.path if entry and "site-packages" not in entry)]

    # Backend.

    def room(self, resources: Resources) -> bool:
        if any(slot.key is None and slot.resources == resources for slot in self._slots):
            return True
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(n.get("CPU", 0) >= resources.cpus and n.get("GPU", 0) >= resources.gpus for n in nodes):
            raise ValueError(f"no node of the cluster has {resources.cpus} CPUs and {resources.gpus:g} GPUs")
        busy = [slot for slot in self._slots if slot.key is not None]
        if self.workers is not None and len(busy) >= self.workers:
            return False
        fits = self._fits(nodes, [*busy, None], resources)
        if fits and not self._fits(nodes, [*self._slots, None], resources):
            self._drop(next(slot for slot in self._slots if slot.key is None))  # idle, of another shape
        return fits

    @staticmethod
    def _fits(nodes: list[dict[str, float]], slots: list[_Held | None], resources: Resources) -> bool:
        taken = [resources if slot is None else slot.resources for slot in slots]
        cpus, gpus = sum(r.cpus for r in taken), sum(r.gpus for r in taken)
        return cpus <= sum(n.get("CPU", 0) for n in nodes) and gpus <= sum(n.get("GPU", 0) for n in nodes)

    def start(self, key: str, task: Task, resources: Resources) -> None:
        slot = next((s for s in self._slots if s.key is None and s.resources == resources), None)
        if slot is None:
            # The second thread answers `ping` and `poll` while the first works.
            actor = (
                ray.remote(Slot)
                .options(
                    num_cpus=resources.cpus,
                    num_gpus=resources.gpus,
                    max_concurrency=2,
                    max_restarts=0,
                    max_task_retries=0,
                )
                .remote(self._path, resources.gpus)
            )
            slot = _Held(actor, resources, actor.ping.remote(self._marker, self._token))
            self._slots.append(slot)
        slot.key, slot.task = key, task
        if slot.host is not None:
            self._submit(slot)
            self._news.append(Event(key, "started", (slot.host,)))

    def wait(self, timeout: float, take: Callable[[Event], None]) -> None:
        while self._news:
            take(self._news.pop(0))
        now = time.monotonic()
        for slot in self._slots:
            if slot.run is not None and slot.poll is None and now >= slot.next_poll:
                slot.poll = slot.actor.poll.remote()
        waiting = {}
        for slot in self._slots:
            for ref in (slot.run if slot.host is not None else slot.ping, slot.poll):
                if ref is not None and slot.key is not None:
                    waiting[ref] = slot
        if not waiting:
            time.sleep(min(timeout, 0.05))
            return
        ready, _ = ray.wait(list(waiting), num_returns=1, timeout=min(timeout, POLL_SECONDS))
        if not ready:
            return
        ready, _ = ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
        for ref in ready:
            slot = waiting[ref]
            if slot not in self._slots or slot.key is None:
                continue
            if ref == slot.poll:
                self._hear(slot, take)
            elif ref == slot.ping:
                self._arrive(slot, take)
            else:
                self._end(slot, take)

    def kill(self, key: str) -> None:
        self._drop(next(slot for slot in self._slots if slot.key == key))

    def close(self) -> None:
        for slot in list(self._slots):
            self._drop(slot)
        self._marker.unlink(missing_ok=True)
        ray.shutdown()

    # A slot's life.

    def _arrive(self, slot: _Held, take: Callable[[Event], None]) -> None:
        """It came up: now it is known where, and what has to be shipped there."""
        assert slot.key is not None
        try:
            slot.host, slot.shared = ray.get(slot.ping)
        except RayTaskError as error:
            self._lose(slot, take, "error", f"the worker did not start: {error.cause}", str(error))
        except (RayActorError, TaskUnschedulableError) as error:
            self._lose(slot, take, "unplaced", str(error))
        else:
            self._submit(slot)
            take(Event(slot.key, "started", (slot.host,)))

    def _submit(self, slot: _Held) -> None:
        assert slot.task is not None
        task, shipped = slot.task, {}
        if not slot.shared:
            for data in (*task.inputs.values(), *task.data.values()):
                if data.digest not in self._packed:
                    self._packed[data.digest] = ray.put(pack(data.path))
                shipped[data.digest] = self._packed[data.digest]
        slot.run = slot.actor.run.remote(task, shipped)
        slot.next_poll = time.monotonic() + POLL_SECONDS

    def _hear(self, slot: _Held, take: Callable[[Event], None]) -> None:
        assert slot.key is not None and slot.poll is not None
        try:
            events = ray.get(slot.poll)
        except RayError:
            events = []  # the run's own reference says what became of it
        slot.poll, slot.next_poll = None, time.monotonic() + POLL_SECONDS
        for kind, *payload in events:
            take(Event(slot.key, kind, tuple(payload)))

    def _end(self, slot: _Held, take: Callable[[Event], None]) -> None:
        assert slot.key is not None and slot.run is not None
        try:
            kind, *payload = ray.get(slot.run)
            rest = ray.get(slot.actor.poll.remote(), timeout=30) if slot.poll is None else self._both(slot)
        except RayTaskError as error:
            self._lose(slot, take, "error", f"the worker failed: {error.cause}", str(error))
            return
        except OutOfMemoryError as error:
            self._lose(slot, take, "memory", f"the node ran out of memory: {error}")
            return
        except (RayActorError, GetTimeoutError) as error:
            self._lose(slot, take, "lost", f"the worker died: {error}")
            return
        key, slot.key, slot.task, slot.run = slot.key, None, None, None
        for name, *content in rest:
            take(Event(key, name, tuple(content)))
        take(Event(key, kind, tuple(payload)))

    @staticmethod
    def _both(slot: _Held) -> list[tuple[Any, ...]]:
        """The events of the poll that is under way, then those of one more."""
        polls = [slot.poll, slot.actor.poll.remote()]
        slot.poll = None
        return [event for events in ray.get(polls, timeout=30) for event in events]

    def _lose(self, slot: _Held, take: Callable[[Event], None], kind: Any, *payload: Any) -> None:
        assert slot.key is not None
        key = slot.key
        self._drop(slot)
        take(Event(key, kind, payload))

    def _drop(self, slot: _Held) -> None:
        ray.kill(slot.actor)
        self._slots.remove(slot)


def pack(path: Path) -> Packed:
    """A folder's files by relative path; one file by its name."""
    if path.is_file():
        return {path.name: path.read_bytes()}
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def unpack(packed: Packed, place: Path) -> None:
    """Write the files below `place`, which appears whole. ValueError for a path that leaves it."""
    temporary = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}")
    for name, content in packed.items():
        path = temporary / name
        if not path.resolve().is_relative_to(temporary.resolve()):
            raise ValueError(f"expected a path inside the folder, got {name!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    temporary.mkdir(parents=True, exist_ok=True)
    try:
        temporary.replace(place)
    except OSError:  # another slot of this node was quicker
        if not place.exists():
            raise


def _unpacked(data: Data, shipped: Mapping[str, ray.ObjectRef]) -> Data:
    """The same data, in this node's cache."""
    cache = Path(tempfile.gettempdir()) / f"trackmeet-cache-{os.getuid()}"
    cache.mkdir(mode=0o700, exist_ok=True)
    if cache.stat().st_uid != os.getuid():
        raise PermissionError(f"{cache}: expected a folder of this user's own")
    place = cache / data.digest
    if not place.exists():
        unpack(ray.get(shipped[data.digest]), place)
    return Data(place, data.digest)
