"""A short try of jobs that no earlier run tells of: real work, cut off after seconds, and scaled by what was left.

One job of each kind is tried in this process: a training until it has said for some seconds how far it is, a tracker
over the first frames of some sequences. What counts is the processor's time: it does not matter what else the machine
does meanwhile. What a job needs that is not done is made small: of few sequences, and with no updates, so that a
network is as it was initialized; such networks take as long as others.
"""

from __future__ import annotations

import itertools
import signal
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from orchestrator import work
from orchestrator.forecast.durations import History, Kind, Sample, kind, named
from orchestrator.jobs import Data, Job, in_order
from orchestrator.store import Store
from orchestrator.work import Task
from trackers import families
from trackers.benchmarks.collection import Collection
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import PROTOCOLS, Protocol, random_clips, supervised_reset
from trackers.sequence import Sequence as Video

FEW, MOST_PARTS = 4, 20  # of a data set this many sequences are left, at least, or a twentieth
LONGEST = 6.0  # seconds of one try
LEAST = 0.7  # seconds left, below which nothing more is tried
WARM_UP = 3.0  # seconds that imports, networks and readers may take before there is anything to see
COUNTING = 5.0  # seconds more in which frames of data sets are counted
TRIED = ("train", "track", "speed")


class _Enough(BaseException):
    """Enough was seen."""


def unknown(jobs: Iterable[Job], history: History) -> list[Job]:
    """One job of each kind of which history knows nothing, in the order in which they are worth a try.

    First one of each family and step or protocol, then one for each of their settings.
    """
    groups: dict[Kind, Job] = {}
    for job in jobs:
        if job.kind in TRIED and history.estimate(job).basis == "guess":
            this = kind(job.kind, job.arguments)
            leaves = frozenset(leaf for leaf in this.leaves if leaf[0].partition(".")[0] not in ("test", "train"))
            groups.setdefault(replace(this, data="", leaves=leaves), job)
    turns: dict[tuple[str, ...], int] = {}
    ordered = []
    for this, job in groups.items():
        level = (this.kind, this.family, this.step)
        turns[level] = turns.get(level, -1) + 1
        ordered.append((turns[level], job))
    return [job for _, job in sorted(ordered, key=lambda row: row[0])]


def calibrate(jobs: Sequence[Job], history: History, budget: float, lanes: int, store: Store | None = None) -> None:
    """Try one of each unknown kind, as far as the seconds last, and tell `history`. What fails is left to guesses."""
    groups = unknown(jobs, history)
    until = time.monotonic() + budget
    with tempfile.TemporaryDirectory(prefix="trackmeet-forecast-", ignore_cleanup_errors=True) as folder:
        trial = _Trial(Path(folder), store, lanes)
        for n, job in enumerate(groups):
            left = until - time.monotonic()
            if left < LEAST:
                break
            seconds = min(LONGEST, max(LEAST, 2 * left / (len(groups) - n)), left)
            frames, took = trial.seconds(job, seconds)
            if took is not None:
                this = kind(job.kind, job.arguments)
                history.add(Sample(named(job.label), this, took * history.pace, frames, calibrated=True))
        for job in {kind(job.kind, job.arguments).play: job for job in jobs if job.kind == "track"}.values():
            if history.estimate(job).basis == "calibration" and time.monotonic() < until + COUNTING:
                frames = trial.frames(job)
                if frames is not None:
                    history.count_frames(job, frames)


@dataclass
class _Trial:
    """Tries jobs. made: results of small versions of jobs, by key; None where that failed."""

    folder: Path
    store: Store | None
    lanes: int
    made: dict[str, Path | None] = field(default_factory=dict)

    def seconds(self, job: Job, limit: float) -> tuple[int | None, float | None]:
        """(frames, seconds) that the whole job would take, by what of it was done in the time; None if not known."""
        with _quiet():
            try:
                with _alarm(limit + WARM_UP):
                    inputs = self._inputs(job)
                    if inputs is None:
                        return None, None
                    if job.kind == "train":
                        return None, self._train(job, inputs, limit)
                    return self._track(job, inputs, limit)
            except _Enough:
                return None, None
            except Exception:  # a network that was never trained may be more than a tracker can bear
                return None, None

    def _inputs(self, job: Job) -> dict[str, Data] | None:
        """What it needs, done or made small; None where that cannot be."""
        found = {}
        for role, need in job.needs.items():
            path = self._result(need)
            if path is None:
                return None
            found[role] = Data(path, need.key)
        return found

    def _result(self, job: Job) -> Path | None:
        if self.store is not None and self.store.manifest(job.key) is not None:
            return self.store.folder(job.key)
        if job.key not in self.made:
            self.made[job.key] = None
            inputs = self._inputs(job)
            if inputs is not None:
                place = self.folder / job.key
                place.mkdir()
                small = {**self._few(job)[0], "settings": _untrained(job.arguments["settings"])}
                work.run(_task(job, inputs, small), place, lambda *event: None)
                self.made[job.key] = place
        return self.made[job.key]

    def _train(self, job: Job, inputs: Mapping[str, Data], limit: float) -> float:
        """By the step's own progress; what comes before the first of it counts once."""
        points: list[tuple[float, int]] = []
        total, until = 0, float("inf")
        start = time.process_time()

        def emit(event: str, *payload: Any) -> None:
            nonlocal total, until
            if event == "progress":
                done, total = payload
                points.append((time.process_time() - start, done))
                until = min(until, time.monotonic() + limit)
                if time.monotonic() > until and done < total:
                    raise _Enough

        small = any(need.key in self.made for need in in_order(job.needs.values()))
        arguments, times = self._few(job) if small else (dict(job.arguments), 1.0)
        place = self.folder / f"{job.key}.tried"
        place.mkdir()
        try:
            work.run(_task(job, inputs, arguments), place, emit)
            if not small:
                self.made[job.key] = place
            spent = time.process_time() - start
        except _Enough:
            if not points:
                raise
            (first, begun), (last, done) = points[0], points[-1]
            one = (last - first) / (done - begun) if done > begun else first / max(done, 1)
            spent = max(first - begun * one, 0.0) + one * total
        return spent * (1.0 if _counts_updates(job.arguments["settings"], total) else times)

    def _few(self, job: Job) -> tuple[dict[str, Any], float]:
        """Its arguments with few sequences of each recorded data set, and how many times as many there are."""
        train, there, left = dict(job.arguments["train"]), 0, 0
        for role, use in train.items():
            opened = work.open_data(_task(job, {}, {}), {key: value for key, value in use.items() if key != "part"})
            if isinstance(opened, Collection) and len(opened) >= 2 * FEW:
                parts = min(len(opened) // FEW, MOST_PARTS)
                train[role] = {**use, "part": {"fold": 0, "of": parts, "seed": 0, "side": "test"}}
                there, left = there + len(opened), left + len(opened) // parts
        return {**job.arguments, "train": train}, there / left if left else 1.0

    def frames(self, job: Job) -> int | None:
        """How many a tracking job plays, where nothing is lost; None where its data cannot be read."""
        try:
            return _played(_protocol(job), self._videos(job), families.find(job.arguments["family"]).stochastic)[1]
        except (ValueError, OSError):
            return None

    def _track(self, job: Job, inputs: Mapping[str, Data], limit: float) -> tuple[int, float]:
        """Starts and steps apart: at first in one lane, then, where that is quick, in all."""
        work.use_threads(1)
        tracker = work.make_tracker(_task(job, inputs, job.arguments))
        protocol, opened, seed = _protocol(job), self._videos(job), job.arguments.get("seed", 0)
        some = work.SPEED_SEQUENCES if job.kind == "speed" else 2 * self.lanes
        videos = list(itertools.islice(opened, some))
        runs, frames = _played(protocol, videos, tracker.stochastic)
        if job.kind == "track":
            runs, frames = (round(number * len(opened) / len(videos)) for number in (runs, frames))
        watch = _Watch(limit / 3)
        watch.over(follow(tracker, protocol, videos, 1, watch.look, seed))
        if job.kind == "track" and watch.start < limit / self.lanes:
            watch = _Watch(limit * 2 / 3)
            watch.over(follow(tracker, protocol, videos, self.lanes, watch.look, seed))
        return frames, runs * watch.start + (frames - runs) * watch.step

    def _videos(self, job: Job) -> Any:
        test = job.arguments["test"]
        return work.open_data(_task(job, {}, {}), {key: value for key, value in test.items() if key != "groups"})


@dataclass
class _Watch:
    """Looks at a tracker's starts and steps until the time is over. start, step: mean seconds of one."""

    limit: float
    starts: int = 0
    steps: int = 0
    start_seconds: float = 0.0
    step_seconds: float = 0.0
    until: float = 0.0
    last: float = 0.0
    seen: set[int] = field(default_factory=set)

    def over(self, following: Iterable[object]) -> None:
        self.until, self.last = time.monotonic() + self.limit, time.process_time()
        try:
            for _ in following:
                self.seen.clear()  # a lane may hold another run from here on
        except _Enough:
            pass

    def look(self, sequence: Video, t: int, tracker: object, lane: int) -> None:
        now = time.process_time()
        spent, self.last = now - self.last, now
        if lane in self.seen:
            self.steps += 1
            self.step_seconds += spent
        else:
            self.seen.add(lane)
            self.starts += 1
            self.start_seconds += spent
        if time.monotonic() > self.until and self.steps:
            raise _Enough

    @property
    def step(self) -> float:
        return self.step_seconds / self.steps if self.steps else 0.0

    @property
    def start(self) -> float:
        return self.start_seconds / self.starts if self.starts else 0.0


def _protocol(job: Job) -> Protocol:
    arguments = job.arguments
    if "clips" in arguments:
        return partial(random_clips, clips=arguments["clips"])
    if "repetitions" in arguments:
        return partial(supervised_reset, repetitions=arguments["repetitions"])
    return PROTOCOLS[arguments.get("protocol", "one_pass")]


def _task(job: Job, inputs: Mapping[str, Data], arguments: Mapping[str, Any]) -> Task:
    data = {name: Data(data.path.resolve(), data.digest) for name, data in job.data.items()}
    return Task(job.kind, job.label, arguments, inputs, data, job.code, checkpoint_seconds=float("inf"))


def _untrained(settings: Any) -> Any:
    """The same, but that nothing is updated."""
    if not isinstance(settings, Mapping):
        return settings
    plain = {name: _untrained(value) for name, value in settings.items()}
    return {**plain, "epochs": 0} if plain.keys() >= {"epochs", "updates_per_epoch"} else plain


def _counts_updates(value: Any, total: int) -> bool:
    """Whether so many steps are all updates of a training among these settings."""
    if not isinstance(value, Mapping):
        return False
    if value.keys() >= {"epochs", "updates_per_epoch"} and value["epochs"] * value["updates_per_epoch"] == total:
        return True
    return any(_counts_updates(part, total) for part in value.values())


def _played(protocol: Protocol, videos: Iterable[Video], stochastic: bool) -> tuple[int, int]:
    """(runs, frames) of a tracker that never fails."""
    runs = frames = 0
    for video in videos:
        lengths: dict[int, int] = {}  # by the first frame: runs that start in one are as long
        for play in protocol(video, stochastic):
            asked = next(play)
            start = asked.t
            if start not in lengths:
                lengths[start] = 1
                with suppress(StopIteration):
                    while True:
                        asked = play.send(video.region(asked.t))
                        lengths[start] += 1
            runs, frames = runs + 1, frames + lengths[start]
    return runs, frames


@contextmanager
def _quiet() -> Iterator[None]:
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        yield


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _Enough after so long, wherever it is; not in threads beside the main one, which get no signals."""

    def ring(*_: Any) -> None:
        raise _Enough

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
