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
import math
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from orchestrator.attempt import attempt
from orchestrator.gang import run_together
from orchestrator.jobs import Data, Job, Resources, in_order
from orchestrator.logs import slug
from orchestrator.store import Store
from orchestrator.work import Task

FOLLOWS = "needs "  # how the message of a failure begins that only follows from another
ATTEMPTS = 3  # of a job whose worker died under it
TOLD = 5  # times that no worker came up for a job, after which that is said
CONTEXT = 600e6  # bytes of a GPU that a process takes besides what torch counts: CUDA's own, and its libraries'
RESUMABLE = ("train",)  # the kinds of jobs that keep checkpoints and curves

PATIENCE = 120.0  # seconds for which a job is overtaken by others that fit where it does not

_Shape = tuple[Resources, frozenset[str]]  # what a job takes, and the nodes that it must not go to


@dataclass(frozen=True)
class Event:
    """What a backend says of a running job.

    kind     payload
    started  (node, ...): those that took it, each as often as it runs a process of it
    progress (done, total)
    metric   (name, value, step, timestamp in ms)
    checkpoint (step, bytes)
    log      (text,): what it printed
    done     (files {name: bytes}, facts)
    error    (message, traceback): the job's own; final
    memory   (message, "host" or "gpu"): its memory ran out
    lost     (message,): the worker died
    unplaced (message,): no worker came up for it; not counted as an attempt
    """

    key: str
    kind: Literal["started", "progress", "metric", "checkpoint", "log", "done", "error", "memory", "lost", "unplaced"]
    payload: tuple[Any, ...]


class Backend(Protocol):
    """Somewhere to run tasks."""

    def room(self, resources: Resources, avoid: frozenset[str]) -> bool:
        """Whether a task of this shape can start now, on none of these nodes. ValueError if it never can."""

    def elsewhere(self, resources: Resources, avoid: frozenset[str]) -> bool:
        """Whether there is a node, none of these, that could take it."""

    def start(self, key: str, task: Task, resources: Resources, avoid: frozenset[str]) -> None:
        """Start it where there is room; what becomes of it is told by `wait`."""

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
    """How to run, none of which changes a result. timeout: seconds that one attempt may take.

    device: torch's; where none is named, "cuda" for jobs that take of a GPU and "cpu" for others.
    """

    device: str = ""
    threads: int = 1
    lanes: int = 32
    checkpoint_seconds: float = 20.0
    timeout: float | None = None


class Source(Protocol):
    """Where more jobs come from while others run, as in a search."""

    @property
    def open(self) -> bool:
        """Whether more may come."""

    def jobs(self) -> list[Job]:
        """Those that are new since it was last asked; what they need is among them, under way, or done."""


@dataclass
class _Attempt:
    """A job that is running. seen: the points of its curve that are kept already. nodes: that do it, once known."""

    job: Job
    started: float
    seen: set[tuple[str, int]]
    log: Path
    nodes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The nodes, in one."""
        return " + ".join(self.nodes)


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
    _lacking: dict[str, int] = field(default_factory=dict)  # how many unfinished jobs each one needs
    _needed_by: dict[str, list[str]] = field(default_factory=dict)
    _running: dict[str, _Attempt] = field(default_factory=dict)
    _ready: dict[_Shape, list[tuple[float, str]]] = field(default_factory=dict)  # heaps of (-priority, key)
    _later: list[tuple[float, str]] = field(default_factory=list)  # (when to try again, key)
    _priority: dict[str, float] = field(default_factory=dict)
    _resources: dict[str, Resources] = field(default_factory=dict)
    _lanes: dict[str, int] = field(default_factory=dict)
    _ended: dict[str, list[str]] = field(default_factory=dict)  # why earlier attempts of a job ended
    _done: list[tuple[_Attempt, float, dict[str, bytes], dict[str, Any]]] = field(default_factory=list)  # unpublished
    _lost: Counter[str] = field(default_factory=Counter)  # how many of them ended by no fault of the job's settings
    _overtaken: dict[_Shape, float] = field(default_factory=dict)  # since when jobs of this shape are
    _unplaced: Counter[str] = field(default_factory=Counter)  # how often no worker came up for a job
    _avoid: dict[str, frozenset[str]] = field(default_factory=dict)  # nodes on which a job failed

    def run(
        self, jobs: Sequence[Job], costs: Mapping[str, float], refused: Mapping[str, str], source: Source | None = None
    ) -> None:
        """Run these jobs, none of which is done; whatever else they need is done.

        costs: expected seconds by key. refused: why a job cannot be run at all, by key. A job that
        fails takes only those with it that need it. source: whose jobs are run as well, as they come.
        """
        self._add(jobs, costs, refused)
        try:
            self._loop(costs, source)
        except BaseException:
            with contextlib.suppress(OSError):  # of a store that is full, as may have been said already
                self._publish()
            raise

    def _loop(self, costs: Mapping[str, float], source: Source | None) -> None:
        while self._unfinished or (source is not None and source.open):
            if source is not None:
                self._add(source.jobs(), costs, {})
            self._start_what_fits()
            if self._done:  # nobody waits for them: published once the workers that did them have other work
                self._publish()
                self._start_what_fits()
            self.backend.wait(0.5, self._take)
            self._watch_the_clock()
            for observer in self.observers:
                observer.tick()

    def cancel(self, keys: Iterable[str], message: str) -> None:
        """End these jobs, running or not: they fail with this message."""
        for key in keys:
            if key in self._running:
                self.backend.kill(key)
            if key in self._unfinished:
                self._fail(self._unfinished[key], message)

    # Starting.

    def _add(self, jobs: Sequence[Job], costs: Mapping[str, float], refused: Mapping[str, str]) -> None:
        wanted = {job.key for job in jobs if job.key not in self._unfinished}
        ordered = [job for job in in_order(jobs) if job.key in wanted]
        self._unfinished |= {job.key: job for job in ordered}
        self._priority |= _longest_way(ordered, costs)
        for job in ordered:
            self._resources[job.key] = sized(job.resources, self.store.took(job.label))
            needs = {need.key for need in job.needs.values() if need.key in self._unfinished}
            self._lacking[job.key] = len(needs)
            for key in needs:
                self._needed_by.setdefault(key, []).append(job.key)
        for job in ordered:
            if job.key in refused and job.key in self._unfinished:
                self._fail(job, refused[job.key])
        for job in ordered:
            failed = next((need for need in job.needs.values() if need.key in self.failures), None)
            if job.key in self._unfinished and failed is not None:
                self._fail(job, f"{FOLLOWS}{failed.label}, which failed")
            self._queue_if_ready(job.key)

    def _queue_if_ready(self, key: str) -> None:
        if key in self._unfinished and not self._lacking[key]:
            shape = self._resources[key], self._avoid.get(key, frozenset())
            heapq.heappush(self._ready.setdefault(shape, []), (-self._priority[key], key))

    def _start_what_fits(self) -> None:
        """Those with the longest way first; where one of a shape finds no room, no other of that shape will.

        A job that needs much, all processes at once say, would never find it where many small ones take whatever gets
        free: one that was overtaken for PATIENCE is waited for. What must run alone goes last all the same.
        """
        full: set[_Shape] = set()
        now = time.monotonic()
        while waiting := [(heap[0], shape) for shape, heap in self._ready.items() if shape not in full]:
            (_, key), shape = min(waiting, key=lambda entry: entry[0])
            under_way = key in self._running or any(key == done[0].job.key for done in self._done)
            if key not in self._unfinished or under_way:  # it failed while it waited, and may have come again
                self._take_from(shape)
                continue
            try:
                if shape[1] and not self.backend.elsewhere(*shape):  # those that it may go to are gone
                    self._take_from(shape)
                    self._fail(self._unfinished[key], f"{'; '.join(self._ended[key])}, but there is none left")
                elif self.backend.room(*shape):
                    if any(now - self._overtaken[other] > PATIENCE for other in full & self._overtaken.keys()):
                        return
                    for other in full:
                        if not other[0].alone:
                            self._overtaken.setdefault(other, now)
                    self._overtaken.pop(shape, None)
                    self._take_from(shape)
                    self._start(self._unfinished[key], shape)
                else:
                    full.add(shape)
            except ValueError as error:
                self._take_from(shape)
                self._fail(self._unfinished[key], str(error))

    def _take_from(self, shape: _Shape) -> None:
        heapq.heappop(self._ready[shape])
        if not self._ready[shape]:
            del self._ready[shape]

    def _start(self, job: Job, shape: _Shape) -> None:
        curve = self.store.curve(job.key) if job.kind in RESUMABLE else []
        if curve:
            self.store.rewrite_curve(job.key, curve)
        log = self.logs / f"{slug(job.label)}.{job.key[:8]}.log"
        for path in self.store.drop_damaged(job.key) if job.kind in RESUMABLE else ():
            _append(log, f"{path}: this checkpoint is damaged; going on from the one before it, or from the start\n")
        self._running[job.key] = _Attempt(job, time.monotonic(), {(name, step) for name, _, step, _ in curve}, log)
        resources = shape[0]
        task = Task(
            kind=job.kind,
            label=job.label,
            arguments=job.arguments,
            inputs={
                role: Data(self.store.folder(need.key).resolve(), self.store.content(need.key))
                for role, need in job.needs.items()
            },
            data={name: Data(data.path.resolve(), data.digest) for name, data in job.data.items()},
            code=job.code,
            checkpoint=self.store.checkpoint(job.key) if job.kind in RESUMABLE else None,
            device=self.settings.device or ("cuda" if resources.gpus else "cpu"),
            threads=max(self.settings.threads, resources.cpus),
            lanes=self._lanes.get(job.key, self.settings.lanes),
            checkpoint_seconds=self.settings.checkpoint_seconds,
            ranks=resources.processes,
            key=job.key,
        )
        self.backend.start(job.key, task, *shape)

    # What became of it.

    def _take(self, event: Event) -> None:
        attempt = self._running.get(event.key)
        if attempt is None:
            return  # of an attempt that was ended
        job, payload = attempt.job, event.payload
        match event.kind:
            case "started":
                attempt.nodes, attempt.started = tuple(dict.fromkeys(payload)), time.monotonic()
                for observer in self.observers:
                    observer.started(job, attempt.where)
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
                del self._running[job.key]
                self._done.append((attempt, time.monotonic(), *payload))
                if self._needed_by.get(job.key):
                    self._publish()  # before a job that is less urgent than those that need it takes the worker
            case "error":
                message, trace = payload
                _append(attempt.log, trace)
                self._give_up(attempt, message)
            case "unplaced":
                del self._running[job.key]
                self._later.append((time.monotonic() + 1.0, job.key))
                _append(attempt.log, f"{payload[0]}; waiting for another worker\n")
                self._unplaced[job.key] += 1
                if self._unplaced[job.key] == TOLD:
                    for observer in self.observers:
                        observer.retried(job, f"{payload[0]}; so {TOLD} times: still waiting for a worker")
            case "memory" | "lost":
                self._retry(attempt, *payload)

    def _keep_point(self, attempt: _Attempt, point: tuple[Any, ...]) -> None:
        name, _, step, _ = point
        if (name, step) not in attempt.seen:  # a resumed job says again what came after its checkpoint
            attempt.seen.add((name, step))
            self.store.extend_curve(attempt.job.key, list(point))
            for observer in self.observers:
                observer.metric(attempt.job, *point)

    def _publish(self) -> None:
        """Put what was done in its place, and let what needs it start."""
        while self._done:  # an interrupt in the middle leaves the rest for another try
            if self._done[0][0].job.key in self._unfinished:  # else it was cancelled meanwhile
                self._finish(*self._done[0])
            del self._done[0]

    def _finish(self, attempt: _Attempt, at: float, contents: dict[str, bytes], facts: dict[str, Any]) -> None:
        job = attempt.job
        curve = self.store.curve(job.key) if attempt.seen else []
        if curve:
            contents = {**contents, "curve.json": json.dumps(curve).encode()}
        of_attempt = {
            "seconds": round(at - attempt.started, 3),
            "attempts": self._ended.get(job.key, []),
            "bytes": sum(map(len, contents.values())),
            "python": platform.python_version(),
        }
        self.store.publish(job, contents, {**facts, **of_attempt})
        del self._unfinished[job.key]
        for observer in self.observers:
            observer.finished(job)
        for key in self._needed_by.pop(job.key, ()):
            self._lacking[key] -= 1
            self._queue_if_ready(key)

    def _give_up(self, attempt: _Attempt, message: str) -> None:
        """A job's own error is final, unless another node, which may lack what broke it, has not tried it yet."""
        job, tried = attempt.job, self._avoid.get(attempt.job.key, frozenset())
        avoid = tried.union(attempt.nodes)
        if tried or not attempt.nodes or not self.backend.elsewhere(self._resources[job.key], avoid):
            also = f", and on {', '.join(sorted(tried))} before" if tried else ""
            on = f" on {attempt.where}{also}" if tried else ""
            self._fail(job, f"{message}{on} (log: {attempt.log})")
            return
        self._avoid[job.key] = avoid
        self._again(attempt, f"{message} on {attempt.where}; again on another node")

    def _retry(self, attempt: _Attempt, message: str, memory: str = "") -> None:
        """memory: whose ran out, "host" or "gpu"; "" where the worker was lost."""
        job = attempt.job
        lanes, resources = self._lanes.get(job.key, self.settings.lanes), self._resources[job.key]
        if memory and job.kind == "track" and lanes > 1:
            self._lanes[job.key] = lanes // 2  # fewer at once, as often as it takes
            message = f"{message}; again with {lanes // 2} lanes"
        elif memory == "gpu" and 0 < resources.gpus < 1:
            share = min(1.0, 2 * resources.gpus)
            self._resources[job.key] = replace(resources, gpus=share)
            message = f"{message}; again with {share:g} of a GPU in place of {resources.gpus:g}"
        else:
            self._lost[job.key] += 1
            if self._lost[job.key] >= ATTEMPTS:
                self._fail(job, f"{message} ({ATTEMPTS} attempts; log: {attempt.log})")
                return
            if memory == "host":
                needed = max(2 * resources.memory, 2**30)
                self._resources[job.key] = replace(resources, memory=needed, alone=self._lost[job.key] + 1 == ATTEMPTS)
                message = f"{message}; again where {needed / 1e9:.1f} GB are left"
        self._again(attempt, message)

    def _again(self, attempt: _Attempt, message: str) -> None:
        job = attempt.job
        self._ended.setdefault(job.key, []).append(message)
        del self._running[job.key]
        for observer in self.observers:
            observer.retried(job, message)
        self._queue_if_ready(job.key)

    def _fail(self, job: Job, message: str) -> None:
        """It failed, and so did all that need it."""
        failing = [(job, message)]
        while failing:
            job, message = failing.pop(0)
            if job.key not in self._unfinished:
                continue  # failed already, on another way
            self._running.pop(job.key, None)
            del self._unfinished[job.key]
            self.failures[job.key] = message
            for observer in self.observers:
                observer.failed(job, message)
            followers = [self._unfinished[key] for key in self._needed_by.pop(job.key, ()) if key in self._unfinished]
            failing += [(other, f"{FOLLOWS}{job.label}, which failed") for other in followers]

    def _watch_the_clock(self) -> None:
        now = time.monotonic()
        for entry in [entry for entry in self._later if entry[0] <= now]:
            self._later.remove(entry)
            self._queue_if_ready(entry[1])
        limit = self.settings.timeout
        for key, running in list(self._running.items()):
            if limit is not None and running.nodes and now - running.started > limit:
                self.backend.kill(key)
                self._fail(running.job, f"took longer than {limit:g} s (log: {running.log})")


def sized(asked: Resources, took: Mapping[str, Any] | None) -> Resources:
    """What a job is given: what was asked for, with the memory that a job of its name was seen to need, in 256 MB.

    A share of a GPU is asked for as long as nobody knows better: then it is as much of the GPU's memory as was taken
    there, a fifth more, and what CUDA itself takes, in steps of a twentieth.
    """
    took = took or {}
    gpus, memory = asked.gpus, asked.memory or math.ceil(1.1 * took.get("memory", 0) / 2**28) * 2**28
    if 0 < gpus < 1 and took.get("gpu_memory") and took.get("gpu_total"):
        gpus = min(1.0, math.ceil(20 * (1.2 * took["gpu_memory"] + CONTEXT) / took["gpu_total"]) / 20)
    return replace(asked, gpus=gpus, memory=memory)


def _longest_way(ordered: list[Job], costs: Mapping[str, float]) -> dict[str, float]:
    """Seconds from the start of each job to the end of the last one that needs it. ordered: needs first."""
    way = {job.key: costs.get(job.key, 1.0) for job in ordered}
    for job in reversed(ordered):
        for need in job.needs.values():
            if need.key in way:
                way[need.key] = max(way[need.key], costs.get(need.key, 1.0) + way[job.key])
    return way


def _append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)


class InProcess:
    """One job at a time in this process: deterministic, a debugger's friend. A running job cannot be killed."""

    def __init__(self) -> None:
        self._next: tuple[str, Task] | None = None

    def room(self, resources: Resources, avoid: frozenset[str]) -> bool:
        return self._next is None

    def elsewhere(self, resources: Resources, avoid: frozenset[str]) -> bool:
        return False

    def start(self, key: str, task: Task, resources: Resources, avoid: frozenset[str]) -> None:
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
            last = run_together(task, emit, attempt) if task.ranks > 1 else attempt(task, emit)
        if printed.getvalue():
            emit("log", printed.getvalue())
        emit(*last)

    def kill(self, key: str) -> None:
        raise RuntimeError("a job in this process cannot be killed; it ends with the process")

    def close(self) -> None:
        self._next = None
