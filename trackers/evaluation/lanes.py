"""Lanes: many protocols served by one tracker, in one batch; a lane is refilled as its sequence ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from trackers.evaluation.protocols import Initialize, Play, Protocol, Update
from trackers.sequence import Region, Sequence, check_box
from trackers.tracker import LaneError, Tracker

Observer = Callable[[Sequence, int, Tracker, int], None]


@dataclass(frozen=True)
class Trajectory:
    """What a tracker said of one sequence. regions, groundtruth: (frames, 4)."""

    sequence: str
    regions: np.ndarray
    groundtruth: np.ndarray


class TrackingError(RuntimeError):
    """A tracker failed; the message names sequence and frame, the cause is chained."""


@dataclass
class _Lane:
    sequence: Sequence
    play: Play
    asked: Initialize | Update


def follow(
    tracker: Tracker,
    protocol: Protocol,
    sequences: Iterable[Sequence],
    lanes: int = 32,
    observe: Observer | None = None,
) -> Iterator[Trajectory]:
    """Play `protocol` on every sequence, `lanes` at a time; trajectories come as they end.

    `observe(sequence, t, tracker, lane)` is called after each step of each lane. Raises
    TrackingError, naming sequence and frame, where the tracker fails, and ValueError where it is
    to start on a box that does not touch its image.
    """
    if lanes < 1:
        raise ValueError(f"expected at least 1 lane, got {lanes}")
    waiting = iter(sequences)
    active: dict[int, _Lane] = {}
    for number in range(lanes):
        _refill(active, number, protocol, waiting)
    while active:
        starts = {n: lane for n, lane in active.items() if isinstance(lane.asked, Initialize)}
        steps = {n: lane for n, lane in active.items() if isinstance(lane.asked, Update)}
        answers: dict[int, Region | None] = {}
        if starts:
            answers.update(_serve_starts(tracker, starts))
        if steps:
            answers.update(_serve_steps(tracker, steps))
        for number, answer in answers.items():
            lane = active[number]
            if observe is not None:
                observe(lane.sequence, lane.asked.t, tracker, number)
            try:
                lane.asked = lane.play.send(answer)  # type: ignore[arg-type]  # nothing answers Initialize
            except StopIteration as end:
                yield Trajectory(lane.sequence.name, end.value, lane.sequence.groundtruth)
                del active[number]
                _refill(active, number, protocol, waiting)


def _refill(active: dict[int, _Lane], number: int, protocol: Protocol, waiting: Iterator[Sequence]) -> None:
    for sequence in waiting:
        play = protocol(sequence)
        active[number] = _Lane(sequence, play, next(play))
        return


def _serve_starts(tracker: Tracker, lanes: dict[int, _Lane]) -> dict[int, None]:
    images = [lane.sequence.frames[lane.asked.t] for lane in lanes.values()]
    regions = [lane.asked.region for lane in lanes.values() if isinstance(lane.asked, Initialize)]
    for lane, image, region in zip(lanes.values(), images, regions, strict=True):
        check_box(region, image, f"sequence {lane.sequence.name}, frame {lane.asked.t}")
    _guarded(lanes, lambda: tracker.initialize(list(lanes), images, np.stack(regions)))
    return dict.fromkeys(lanes)


def _serve_steps(tracker: Tracker, lanes: dict[int, _Lane]) -> dict[int, Region]:
    images = [lane.sequence.frames[lane.asked.t] for lane in lanes.values()]
    regions = _guarded(lanes, lambda: np.asarray(tracker.update(list(lanes), images), float))
    if regions.shape != (len(lanes), 4):
        raise TrackingError(
            f"{type(tracker).__name__}.update: expected boxes of shape ({len(lanes)}, 4), got {regions.shape}"
        )
    return dict(zip(lanes, regions, strict=True))


def _guarded(lanes: dict[int, _Lane], call: Callable[[], Any]) -> Any:
    try:
        return call()
    except LaneError as error:
        lane = lanes[error.lane]
        cause = error.cause
        raise TrackingError(
            f"sequence {lane.sequence.name}, frame {lane.asked.t}: {type(cause).__name__}: {cause}"
        ) from cause
    except Exception as cause:
        where = ", ".join(f"{lane.sequence.name}[{lane.asked.t}]" for lane in lanes.values())
        raise TrackingError(f"in one batch of sequence[frame] {where}: {type(cause).__name__}: {cause}") from cause
