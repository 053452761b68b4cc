"""Lanes: the runs of many sequences served by one tracker, in one batch; a lane is refilled as its run ends."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np

from trackers import masks
from trackers.evaluation.pixels import PixelCounts
from trackers.evaluation.protocols import Initialize, Play, Protocol, Update, read
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import GreyFrames, Image, Region, Sequence, check_box
from trackers.tracker import LaneError, Tracker, checked_region

Observer = Callable[[Sequence, int, Tracker, int], None]


class TrackingError(RuntimeError):
    """A tracker failed; the message names sequence and frame, the cause is chained."""


def follow(
    tracker: Tracker,
    protocol: Protocol,
    sequences: Iterable[Sequence],
    lanes: int = 32,
    observe: Observer | None = None,
    seed: int = 0,
    readers: int = 1,
    soft: bool = False,
) -> Iterator[Trajectory]:
    """Play `protocol` on every sequence, `lanes` runs at a time; trajectories come as they end.

    Neither `lanes` nor `readers` change a trajectory. `observe(sequence, t, tracker, lane)` is called after
    each step of each lane. Each run of a stochastic tracker has a seed of its own, made of `seed`, the
    sequence's name and the number of the run. `readers` threads read the next frames from their files
    while the tracker works; 0 reads each when it is asked for. soft: whether to count pixels by how likely the tracker
    says they are, if it does (`Tracker.soft`), in frames whose mask is known and not empty.

    Raises TrackingError where the tracker fails and FrameError where a frame cannot be read, both
    naming sequence and frame; ValueError where a run is to start on a box that does not touch its image, or a
    tracker of masks on an empty one.
    """
    if lanes < 1:
        raise ValueError(f"expected at least 1 lane, got {lanes}")
    waiting = _runs(protocol, sequences, tracker.stochastic)
    active: dict[int, _Run] = {}
    for number, run in zip(range(lanes), waiting, strict=False):
        active[number] = run
    with _Reader(readers) as reader:
        while active:
            images = reader.read({number: (run.sequence, run.asked.t) for number, run in active.items()})
            starts = {n: run for n, run in active.items() if isinstance(run.asked, Initialize)}
            steps = {n: run for n, run in active.items() if isinstance(run.asked, Update)}
            reader.expect([(run.sequence, run.asked.t + 1) for run in active.values()])
            if starts:
                _serve_starts(tracker, starts, images, seed)
            if steps:
                _serve_steps(tracker, steps, images)
                if soft:
                    _count_pixels(tracker, steps)
            for number, run in [*starts.items(), *steps.items()]:
                if observe is not None:
                    observe(run.sequence, run.asked.t, tracker, number)
                if not run.goes_on():
                    yield run.trajectory()
                    del active[number]
                    for refill in waiting:
                        active[number] = refill
                        break


@dataclass
class _Run:
    """One play of a sequence, and its trajectory so far."""

    sequence: Sequence
    number: int
    play: Play
    asked: Initialize | Update = field(init=False)
    regions: np.ndarray = field(init=False)
    events: np.ndarray = field(init=False)
    masks: dict[int, masks.RunLengths] = field(default_factory=dict)
    pixels: PixelCounts | None = None
    answer: Any = None

    def __post_init__(self) -> None:
        self.asked = next(self.play)
        self.regions = np.full((len(self.sequence), 4), np.nan)
        self.events = np.full(len(self.sequence), Event.SKIPPED, np.int8)

    @property
    def where(self) -> str:
        return f"sequence {self.sequence.name}, frame {self.asked.t}"

    def keep(self, region: Region, event: Event) -> None:
        """Note a region in the frame that was asked for; where it is predicted, the play is told of it."""
        t = self.asked.t
        self.events[t] = event
        self.answer = region if event == Event.PREDICTED else None
        if region.ndim == 2:
            self.masks[t] = masks.RunLengths.of([region])
            region = masks.bounding_box(region)
        if len(region) > self.regions.shape[1]:
            self.regions = np.pad(self.regions, ((0, 0), (0, 4)), constant_values=np.nan)
        self.regions[t, : len(region)] = region

    def goes_on(self) -> bool:
        """Ask the play for its next wish; False if it has none."""
        try:
            self.asked = self.play.send(self.answer)
        except StopIteration as end:
            failures = list(end.value)
            self.events[failures] = Event.FAILED
            self.regions[failures] = np.nan
            for t in failures:
                self.masks.pop(t, None)
            return False
        return True

    def truth(self) -> np.ndarray | None:
        """The mask of the frame that was asked for; None where nobody said, and where it is empty."""
        sequence, t = self.sequence, self.asked.t
        if sequence.regions is None or not (sequence.labelled is None or sequence.labelled[t]):
            return None
        region = sequence.regions[t]
        return region if region.ndim == 2 and region.any() else None

    def trajectory(self) -> Trajectory:
        coded = None
        if self.masks:
            width, height = next(iter(self.masks.values())).sizes[0].tolist()
            said = (self.masks.get(t) for t in range(len(self.events)))
            codes = [masks.EMPTY if one is None else (tuple(one.windows[0].tolist()), one.counts) for one in said]
            coded = masks.RunLengths.of_codes(codes, (width, height))
        pixels = None if self.pixels is None else np.asarray(self.pixels.counts)
        return Trajectory(self.sequence.name, self.regions, self.events, self.number, coded, pixels=pixels)


def _runs(protocol: Protocol, sequences: Iterable[Sequence], stochastic: bool) -> Iterator[_Run]:
    for sequence in sequences:
        for number, play in enumerate(protocol(sequence, stochastic)):
            yield _Run(sequence, number, play)


def seed_of_run(seed: int, sequence: str, run: int) -> int:
    """A seed in [0, 2^31) for one run, whatever lane it is in and whoever shares the batch."""
    digest = hashlib.sha256(f"{seed}/{run}/{sequence}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def _serve_starts(tracker: Tracker, runs: dict[int, _Run], images: dict[int, Image], seed: int) -> None:
    regions: Any = []
    for number, run in runs.items():
        assert isinstance(run.asked, Initialize)
        image, region = images[number], run.asked.region
        height, width = image.shape[:2]
        # An annotated polygon or mask has its box in the groundtruth; one that a protocol made is a box itself.
        box = region if region.shape == (4,) else run.sequence.groundtruth[run.asked.t]
        check_box(box, image, run.where)
        regions.append(box if tracker.region == "box" else _start_mask(region, (width, height), run.where))
    if tracker.region == "box":
        regions = np.stack(regions)
    fresh = {number: run for number, run in runs.items() if not run.events.any()}
    if fresh:
        seeds = [seed_of_run(seed, run.sequence.name, run.number) for run in fresh.values()]
        _guarded(fresh, lambda: tracker.reseed(list(fresh), seeds))
    if tracker.oracle:
        sequences = [run.sequence for run in runs.values()]
        _guarded(runs, lambda: tracker.reveal(list(runs), sequences, [run.asked.t for run in runs.values()]))
    _guarded(runs, lambda: tracker.initialize(list(runs), [images[number] for number in runs], regions))
    for run, region in zip(runs.values(), regions, strict=True):
        run.keep(region, Event.INITIALIZED)


def _start_mask(region: Region, size: tuple[int, int], where: str) -> np.ndarray:
    try:
        mask = masks.of_region(region, size)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if not mask.any():
        raise ValueError(f"{where}: expected a mask to start on, got one without a pixel")
    return mask


def _serve_steps(tracker: Tracker, runs: dict[int, _Run], images: dict[int, Image]) -> None:
    answers = _guarded(runs, lambda: tracker.update(list(runs), [images[number] for number in runs]))
    if isinstance(answers, (list, tuple)) and len(answers) == len(runs):
        for number, (run, answer) in zip(runs, zip(runs.values(), answers, strict=True), strict=True):
            try:
                run.keep(checked_region(answer, images[number]), Event.PREDICTED)
            except (ValueError, TypeError) as cause:
                raise TrackingError(f"{run.where}: {type(cause).__name__}: {cause}") from cause
        return
    boxes = _guarded(runs, lambda: np.array(answers, float))
    if boxes.shape != (len(runs), 4):
        raise TrackingError(
            f"{type(tracker).__name__}.update: expected boxes of shape ({len(runs)}, 4), got {boxes.shape}"
        )
    for run, box in zip(runs.values(), boxes, strict=True):
        run.keep(box, Event.PREDICTED)


def _count_pixels(tracker: Tracker, runs: dict[int, _Run]) -> None:
    """Of the frames that were just asked for, in which the target's pixels are known."""
    truths = {number: run.truth() for number, run in runs.items()}
    judged = {number: run for number, run in runs.items() if truths[number] is not None}
    maps = _guarded(judged, lambda: tracker.soft(list(judged))) if judged else None
    if maps is None:
        return
    for (number, run), (window, probabilities) in zip(judged.items(), maps, strict=True):
        truth = truths[number]
        assert truth is not None
        try:
            counts = PixelCounts.in_window(window, probabilities, truth)
        except ValueError as cause:
            raise TrackingError(f"{run.where}: soft map: {cause}") from cause
        run.pixels = counts if run.pixels is None else run.pixels + counts


def _guarded(runs: dict[int, _Run], call: Callable[[], Any]) -> Any:
    try:
        return call()
    except LaneError as error:
        cause = error.cause
        raise TrackingError(f"{runs[error.lane].where}: {type(cause).__name__}: {cause}") from cause
    except Exception as cause:
        where = ", ".join(f"{run.sequence.name}[{run.asked.t}]" for run in runs.values())
        raise TrackingError(f"in one batch of sequence[frame] {where}: {type(cause).__name__}: {cause}") from cause


Place = tuple[Sequence, int]


class _Reader:
    """Reads each frame once for all lanes that are there, and ahead of them."""

    def __init__(self, threads: int) -> None:
        self.pool = ThreadPoolExecutor(threads, "frames") if threads else None
        self.coming: dict[tuple[int, int], tuple[Sequence, Future[Image]]] = {}  # an id lives as long as its object

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def read(self, places: dict[int, Place]) -> dict[int, Image]:
        """The frames of these lanes."""
        frames: dict[tuple[int, int], Image] = {}
        for sequence, t in places.values():
            key = id(sequence), t
            if key not in frames:
                frames[key] = self.coming[key][1].result() if key in self.coming else read(sequence, t)
        return {number: frames[id(sequence), t] for number, (sequence, t) in places.items()}

    def expect(self, places: list[Place]) -> None:
        """Read these frames ahead, where they are not in memory already, and forget all others."""
        if self.pool is None:
            return
        self.coming = {}
        for sequence, t in places:
            key = id(sequence), t
            if t < len(sequence) and not isinstance(sequence.frames, GreyFrames) and key not in self.coming:
                self.coming[key] = sequence, self.pool.submit(read, sequence, t)
