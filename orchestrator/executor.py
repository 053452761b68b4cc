"""Running a graph of jobs: the driver decides what runs when, a backend runs it somewhere.

The driver alone keeps priorities, retries, time limits and the store; a backend only starts
tasks and says what became of them. Two are as real as each other: `InProcess` here, one job at a
time in this process, and Ray's slots in `orchestrator.cluster`.
"""

from __future__ import annotations

import contextlib
import heapq
import io
import json
import platform
import re
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from orchestrator import work
from orchestrator.jobs import Data, Job, Resources, in_order
from orchestrator.store import Store
from orchestrator.work import Task

FOLLOWS = "needs "  # how the message of a failure begins that only follows from another
ATTEMPTS = 3  # of a job whose worker died under it; its own errors are not retried


@dataclass(frozen=True)
class Event:
    """What a backend says of a running job.

    kind     payload
    started  (where,): the node that took it
    progress (done, total)
    metric   (name, value, step, timestamp in ms)
    checkpoint (step, bytes)
    log      (text,): what it printed
    done     (files {name: bytes}, facts)
    error    (message, traceback): the job's own; final
    memory   (message,): of the host or the GPU, ran out
    lost     (message,): the worker died
    unplaced (message,): no worker came up for it; not counted as an attempt
    """

    key: str
    kind: Literal["started", "progress", "metric", "checkpoint", "log", "done", "error", "memory", "lost", "unplaced"]
    payload: tuple[Any, ...]


class Backend(Protocol):
    """Somewhere to run tasks."""

    def room(self, resources: Resources) -> bool:
        """Whether a task of this shape can start now. ValueError if it never can."""

    def start(self, key: str, task: Task, resources: Resources) -> None:
        """Start it; what becomes of it is told by `wait`."""

    def wait(self, timeout: float, take: Callable[[Event], None]) -> None:
        """For about so many seconds, hand over what happens as it happens."""

    def kill(self, key: str) -> None:
        """End a running task at once, with its children; `wait` says nothing more of it."""

    def close(self) -> None:
        """End everything."""


class Observer:
    """Who wants to know how the run goes: the board, the display, the record. Each hears what it cares for."""

    def started(self, job: Job, where: str) -> None: ...

    def progress(self, job: Job, done: int, total: int) -> None: ...

    def metric(self, job: Job, name: str, value: float, step: int, timestamp_ms: int) -> None: ...

    def finished(self, job: Job) -> None: ...

    def failed(self, job: Job, message: str) -> None: ...

    def retried(self, job: Job, message: str) -> None: ...

    def tick(self) -> None: ...


@dataclass(frozen=True)
class Settings:
    """How to run, none of which changes a result. timeout: seconds that one attempt may take."""

    device: str = "cpu"
    threads: int = 1
    lanes: int = 32
    checkpoint_seconds: float = 20.0
    timeout: float | None = None


@dataclass
class _Attempt:
    """A job that is running. seen: the points of its curve that are kept already."""

    job: Job
    started: float
    seen: set[tuple[str, int]]
    log: Path


@dataclass
class Executor:
    """Runs jobs in the order of their needs; among those that could start, the longest way to the end first.

    After `run`, `failures` maps the key of each job that failed, or that needs one which did, to
    what went wrong.
    """

    store: Store
    backend: Backend
    observers: Sequence[Observer]
    logs: Path
    settings: Settings = field(default_factory=Settings)
    failures: dict[str, str] = field(default_factory=dict)

    _unfinished: dict[str, Job] = field(default_factory=dict)
    _running: dict[str, _Attempt] = field(default_factory=dict)
    _ready: list[tuple[float, str]] = field(default_factory=list)  # a heap of (-priority, key)
    _later: list[tuple[float, str]] = field(default_factory=list)  # (when to try again, key)
    _priority: dict[str, float] = field(default_factory=dict)
    _tries: Counter[str] = field(default_factory=Counter)
    _lanes: dict[str, int] = field(default_factory=dict)

    def run(self, jobs: Sequence[Job], costs: Mapping[str, float], refused: Mapping[str, str]) -> None:
        """Run these jobs, none of which is done; whatever else they need is done.

        costs: expected seconds by key. refused: why a job cannot be run at all, by key. A job that
        fails takes only those with it that need it.
        """
        wanted = {job.key for job in jobs}
        ordered = [job for job in in_order(jobs) if job.key in wanted]
        self._unfinished = {job.key: job for job in ordered}
        self._priority = _longest_way(ordered, costs)
        for job in ordered:
            if job.key in refused and job.key in self._unfinished:
                self._fail(job, refused[job.key])
        for job in list(self._unfinished.values()):
            self._queue_if_ready(job)
        while self._unfinished:
            self._start_what_fits()
            self.backend.wait(0.5, self._take)
            self._watch_the_clock()
            for observer in self.observers:
                observer.tick()

    # Starting.

    def _queue_if_ready(self, job: Job) -> None:
        if not any(need.key in self._unfinished for need in job.needs.values()):
            heapq.heappush(self._ready, (-self._priority[job.key], job.key))

    def _start_what_fits(self) -> None:
        passed_over = []
        while self._ready:
            entry = heapq.heappop(self._ready)
            job = self._unfinished[entry[1]]
            try:
                if self._alone_enough(job) and self.backend.room(job.resources):
                    self._start(job)
                else:
                    passed_over.append(entry)
            except ValueError as error:
                self._fail(job, str(error))
        for entry in passed_over:
            heapq.heappush(self._ready, entry)

    def _alone_enough(self, job: Job) -> bool:
        """Nothing starts beside a job that must run alone, and that starts when nothing runs."""
        alone = any(attempt.job.resources.alone for attempt in self._running.values())
        return not alone and not (job.resources.alone and self._running)

    def _start(self, job: Job) -> None:
        curve = self.store.curve(job.key)
        if curve:
            self.store.rewrite_curve(job.key, curve)
        log = self.logs / f"{_slug(job.label)}.{job.key[:8]}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        self._running[job.key] = _Attempt(job, time.monotonic(), {(name, step) for name, _, step, _ in curve}, log)
        task = Task(
            kind=job.kind,
            label=job.label,
            arguments=job.arguments,
            inputs={role: Data(self.store.folder(need.key).resolve(), need.key) for role, need in job.needs.items()},
            data={name: Data(data.path.resolve(), data.digest) for name, data in job.data.items()},
            code=job.code,
            checkpoint=self.store.checkpoint(job.key),
            device=self.settings.device,
            threads=self.settings.threads,
            lanes=self._lanes.get(job.key, self.settings.lanes),
            checkpoint_seconds=self.settings.checkpoint_seconds,
        )
        self.backend.start(job.key, task, job.resources)

    # What became of it.

    def _take(self, event: Event) -> None:
        attempt = self._running.get(event.key)
        if attempt is None:
            return  # of an attempt that was ended
        job, payload = attempt.job, event.payload
        match event.kind:
            case "started":
                for observer in self.observers:
                    observer.started(job, *payload)
            case "progress":
                for observer in self.observers:
                    observer.progress(job, *payload)
            case "metric":
                self._keep_point(attempt, payload)
            case "checkpoint":
                self.store.keep_checkpoint(job.key, *payload)
            case "log":
                _append(attempt.log, payload[0])
            case "done":
                self._finish(attempt, *payload)
            case "error":
                message, trace = payload
                _append(attempt.log, trace)
                self._fail(job, f"{message} (log: {attempt.log})")
            case "unplaced":
                del self._running[job.key]
                self._later.append((time.monotonic() + 1.0, job.key))
            case "memory" | "lost":
                self._retry(attempt, event.kind, payload[0])

    def _keep_point(self, attempt: _Attempt, point: tuple[Any, ...]) -> None:
        name, _, step, _ = point
        if (name, step) not in attempt.seen:  # a resumed job says again what came after its checkpoint
            attempt.seen.add((name, step))
            self.store.extend_curve(attempt.job.key, list(point))
            for observer in self.observers:
                observer.metric(attempt.job, *point)

    def _finish(self, attempt: _Attempt, contents: dict[str, bytes], facts: dict[str, Any]) -> None:
        job = attempt.job
        curve = self.store.curve(job.key)
        if curve:
            contents = {**contents, "curve.json": json.dumps(curve).encode()}
        seconds = round(time.monotonic() - attempt.started, 3)
        self.store.publish(job, contents, {**facts, "seconds": seconds, "python": platform.python_version()})
        del self._running[job.key], self._unfinished[job.key]
        for observer in self.observers:
            observer.finished(job)
        for other in self._unfinished.values():
            if any(need.key == job.key for need in other.needs.values()):
                self._queue_if_ready(other)

    def _retry(self, attempt: _Attempt, kind: str, message: str) -> None:
        job = attempt.job
        self._tries[job.key] += 1
        lanes = self._lanes.get(job.key, self.settings.lanes)
        if kind == "memory" and job.kind == "track" and lanes > 1:
            self._lanes[job.key] = lanes // 2  # fewer at once, as often as it takes
            message = f"{message}; again with {lanes // 2} lanes"
        elif self._tries[job.key] >= ATTEMPTS:
            self._fail(job, f"{message} ({ATTEMPTS} attempts; log: {attempt.log})")
            return
        del self._running[job.key]
        for observer in self.observers:
            observer.retried(job, message)
        self._queue_if_ready(job)

    def _fail(self, job: Job, message: str) -> None:
        self._running.pop(job.key, None)
        del self._unfinished[job.key]
        self.failures[job.key] = message
        for observer in self.observers:
            observer.failed(job, message)
        for other in list(self._unfinished.values()):
            needs = {need.key for need in other.needs.values()}
            if job.key in needs and other.key in self._unfinished:  # not failed already, on another way
                self._fail(other, f"{FOLLOWS}{job.label}, which failed")

    def _watch_the_clock(self) -> None:
        now = time.monotonic()
        for entry in [entry for entry in self._later if entry[0] <= now]:
            self._later.remove(entry)
            self._queue_if_ready(self._unfinished[entry[1]])
        limit = self.settings.timeout
        for key, attempt in list(self._running.items()):
            if limit is not None and now - attempt.started > limit:
                self.backend.kill(key)
                self._fail(attempt.job, f"took longer than {limit:g} s (log: {attempt.log})")


def _longest_way(ordered: list[Job], costs: Mapping[str, float]) -> dict[str, float]:
    """Seconds from the start of each job to the end of the last one that needs it. ordered: needs first."""
    way = {job.key: costs.get(job.key, 1.0) for job in ordered}
    for job in reversed(ordered):
        for need in job.needs.values():
            if need.key in way:
                way[need.key] = max(way[need.key], costs.get(need.key, 1.0) + way[job.key])
    return way


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text)


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def attempt(task: Task, emit: work.Emit) -> tuple[Any, ...]:
    """Do a task here -> (kind, *payload) of its last event. What it wrote comes back as bytes."""
    with tempfile.TemporaryDirectory(prefix="trackmeet-") as folder:
        try:
            facts = work.run(task, Path(folder), emit)
        except Exception as error:
            if _ran_out_of_memory(error):
                return "memory", f"out of memory: {error}"
            return "error", f"{type(error).__name__}: {error}", traceback.format_exc()
        return "done", {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}, facts


def _ran_out_of_memory(error: BaseException | None) -> bool:
    """Whether it, or what caused it, is Python's MemoryError or torch's OutOfMemoryError (torch need not be here)."""
    while error is not None:
        if type(error).__name__ in ("MemoryError", "OutOfMemoryError"):
            return True
        error = error.__cause__
    return False


class InProcess:
    """One job at a time in this process: deterministic, a debugger's friend. A running job cannot be killed."""

    def __init__(self) -> None:
        self._next: tuple[str, Task] | None = None

    def room(self, resources: Resources) -> bool:
        return self._next is None

    def start(self, key: str, task: Task, resources: Resources) -> None:
        self._next = key, task

    def wait(self, timeout: float, take: Callable[[Event], None]) -> None:
        if self._next is None:
            return
        key, task = self._next
        self._next = None

        def emit(kind: Any, *payload: Any) -> None:
            take(Event(key, kind, payload))

        emit("started", "this process")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            last = attempt(task, emit)
        if printed.getvalue():
            emit("log", printed.getvalue())
        emit(*last)

    def kill(self, key: str) -> None:
        raise RuntimeError("a job in this process cannot be killed; it ends with the process")

    def close(self) -> None:
        self._next = None
