"""What runs on the nodes: slots, which do one task at a time, and the driver's shelf, from which they get inputs."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from orchestrator.attempt import attempt, clear_attempts
from orchestrator.cache import Cache, Hold
from orchestrator.depot import Depot, Shelf
from orchestrator.gang import free_meeting
from orchestrator.jobs import Data
from orchestrator.listing import Listing, Source
from orchestrator.pace import pace
from orchestrator.work import Task

PRINT = 1 << 20  # bytes of what a task printed that are said at once
Said = tuple[int, list[tuple[Any, ...]]]  # the number of the first event, and events: (kind, *payload)


class Slot:
    """The actor: a warm process on some node. A second thread answers `poll` while the first works."""

    def __init__(self, path: list[str], gpus: float) -> None:
        sys.path[:0] = [entry for entry in path if entry not in sys.path]
        if not gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves it unset, and the job would see them all
        clear_attempts()
        self._events: list[tuple[Any, ...]] = []  # of which it is not known that the driver heard them
        self._first = 0  # the number of the first of them, over the life of the slot
        self._said = 0  # the number of the first that was never said
        self._lock = threading.Lock()
        self._printed = tempfile.TemporaryFile("w+b")  # noqa: SIM115  # open as long as the process lives
        for descriptor in (1, 2):
            os.dup2(self._printed.fileno(), descriptor)
        self._read = 0

    def ping(self, marker: Path, token: str, measure: bool) -> tuple[bool, float]:
        """(whether this node sees the driver's files: the marker holds the token; its pace, measured or 0)."""
        try:
            shared = bool(token) and marker.read_text() == token
        except OSError:
            shared = False
        return shared, pace() if measure else 0.0

    def meet(self) -> str:
        """Where the processes of a job can meet at this one."""
        return free_meeting(ray.util.get_node_ip_address())

    def run(self, order: tuple[Task, tuple[str, ...], Any]) -> tuple[Said, tuple[Any, ...]]:
        """Do a task -> (what the driver may not have heard, see `poll`; (kind, *payload) of the last event).

        order: the task; digests of its inputs that are not seen here; the shelf's actor, or the URL of a depot.
        A last event "unseen" says that another input is not seen here, either.
        """
        try:
            last = self._do(*order)
            return self._rest(), last
        finally:
            os.ftruncate(self._printed.fileno(), 0)  # what the next task prints is its own
            os.lseek(self._printed.fileno(), 0, os.SEEK_SET)
            self._read = 0

    def _do(self, task: Task, remote: tuple[str, ...], source: Any) -> tuple[Any, ...]:
        if not remote:
            inputs = (*task.inputs.values(), *task.data.values())
            unseen = next((one.path for one in inputs if not one.path.exists()), None)
            return attempt(task, self._emit) if unseen is None else ("unseen", str(unseen))
        depot = Depot(source) if isinstance(source, str) else None
        with Cache.here().hold() as hold:
            try:
                task = _with(task, remote, hold, depot or _Remote(source))
            except Exception as error:
                return "lost", f"inputs did not arrive: {type(error).__name__}: {error}"
            last = attempt(task, self._emit)
        if last[0] == "done":
            contents, facts = last[1:]
            facts = {**facts, "fetched": hold.fetched}
            if depot is not None and contents:
                name = os.urandom(8).hex()
                depot.put_result(task.key, name, contents)
                contents = name
            last = ("done", contents, facts)
        return last

    def poll(self, heard: int) -> Said:
        """(number of the first event, events): what happened from the one of the number `heard` on.

        What is before it the driver has, and is forgotten here; an answer that does not arrive loses nothing.
        """
        with self._lock:
            self._take_print()
            known = max(0, heard - self._first)
            del self._events[:known]
            self._first += known
            self._said = self._first + len(self._events)
            return self._first, list(self._events)

    def _rest(self) -> Said:
        """All that the driver may not have heard."""
        with self._lock:
            while self._take_print():
                pass
            return self._first, list(self._events)

    def _take_print(self) -> bool:
        sys.stdout.flush()
        printed = os.pread(self._printed.fileno(), PRINT, self._read)
        self._read += len(printed)
        if printed:
            self._events.append(("log", printed.decode(errors="replace")))
        return bool(printed)

    def _emit(self, *event: Any) -> None:
        with self._lock:
            unsaid = self._first + len(self._events) > self._said
            if event[0] == "progress" and unsaid and self._events[-1][0] == "progress":
                self._events.pop()  # only the newest matters
            self._events.append(event)


class _Remote:
    """The driver's shelf, as seen from a node."""

    def __init__(self, shelf: Any) -> None:
        self.shelf = shelf

    def listing(self, digest: str) -> Listing:
        return ray.get(self.shelf.listing.remote(digest))

    def chunk(self, digest: str, name: str, offset: int, length: int) -> bytes:
        return ray.get(self.shelf.chunk.remote(digest, name, offset, length))


def _with(task: Task, remote: tuple[str, ...], hold: Hold, source: Source) -> Task:
    """The task with its inputs as they lie in this node's cache."""

    def here(data: Mapping[str, Data]) -> dict[str, Data]:
        return {
            role: Data(hold.get(one.digest, source), one.digest) if one.digest in remote else one
            for role, one in data.items()
        }

    return replace(task, inputs=here(task.inputs), data=here(task.data))


def report() -> dict[str, Any]:
    """What there is to know of the node on which this runs."""
    import platform
    import shutil
    import time
    from importlib.metadata import version

    return {
        "host": socket.gethostname(),
        "time": time.time(),
        "free": shutil.disk_usage(tempfile.gettempdir()).free,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("ray", "torch", "numpy")},
        },
    }


__all__ = ["Shelf", "Slot", "report"]
