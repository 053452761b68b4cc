"""Trackers that follow what a camera sees, frame by frame as it comes."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from orchestrator.camera import Camera, Shot
from orchestrator.footage import NoBoxError
from orchestrator.overlay import Box, Page, film
from orchestrator.window import Window
from trackers import masks
from trackers.evaluation.lanes import TrackingError, seed_of_run
from trackers.sequence import Image, Region, check_box
from trackers.tracker import Tracker, checked_region

WAIT = 0.03  # seconds for a frame, before the window is looked after


@dataclass
class Seen:
    """What was tracked. numbers, times: of each frame, its number among those that came and its seconds since the
    first that was tracked. boxes: (4,) of each, by tracker. seconds: that each tracker took for it.
    """

    names: tuple[str, ...]
    numbers: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    boxes: dict[str, list[np.ndarray]] = field(init=False)
    seconds: dict[str, list[float]] = field(init=False)

    def __post_init__(self) -> None:
        self.boxes = {name: [] for name in self.names}
        self.seconds = {name: [] for name in self.names}


def follow(
    camera: Camera,
    trackers: Mapping[str, tuple[Tracker, int]],
    box: Box | None,
    window: Window | None = None,
    out: Path | None = None,
    most: int | None = None,
    side_by_side: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> Seen:
    """Track until the source, whoever looks at the window, Ctrl-C or the number of frames `most` ends it.

    trackers: with the seed of each, by name. box: in the first frame; None: drawn in the window. out: a video, which
    runs as fast as the camera: what came late, or was dropped, is filled up with the picture before it.

    Raises NoBoxError where there is no frame or no box, ValueError where it is outside of the image, and for a tracker
    that must be shown groundtruth; TrackingError where a tracker fails.
    """
    for name, (tracker, _) in trackers.items():
        if tracker.oracle:
            raise ValueError(f"tracker {name}: expected one that needs no groundtruth, got one that is shown it")
    seen = Seen(tuple(trackers))
    with ExitStack() as stack:
        going = stack.enter_context(_until_interrupted())
        shot, start = _start(camera, box, window, going)
        check_box(np.array(start), shot.image, f"{camera.source}, frame {shot.number}")
        page = Page(shot.image.shape[:2], seen.names, side_by_side=side_by_side)
        add = stack.enter_context(film(out, camera.fps)) if out else None
        written, since = 0, shot.seconds
        picture: Image | None = None
        latest: Shot | None = shot
        while True:
            if latest is not None:
                _step(latest, trackers, start, seen)
                seen.numbers.append(latest.number)
                seen.times.append(latest.seconds - since)
                due = round(seen.times[-1] * camera.fps)  # pictures that come before this one
                while add and picture is not None and written < due:
                    add(picture)
                    written += 1
                picture = page.draw(latest.image, latest.number, {name: rows[-1] for name, rows in seen.boxes.items()})
                progress(len(seen.times))
                shown = window is None or window.show(picture)
            else:
                shown = window is None or window.goes_on()
            if not shown or not going() or camera.ended or len(seen.times) == most:
                break
            latest = camera.next(WAIT)
        if add and picture is not None:
            add(picture)
    return seen


def _start(camera: Camera, box: Box | None, window: Window | None, going: Callable[[], bool]) -> tuple[Shot, Box]:
    """The frame to start in, and the box in it; the picture stands while one is drawn."""
    if box is None and window is None:
        raise NoBoxError(f"{camera.source}: expected the first box: --box x,y,width,height, or a display to draw it on")
    shot: Shot | None = None
    while going() and not camera.ended:
        if shot is None or window is None or not window.held:
            shot = camera.next(WAIT) or shot
        if shot is not None and box is not None:
            return shot, box
        if window is not None and not (window.goes_on() if shot is None else window.ask(shot.image)):
            break
        if shot is not None and window is not None and window.box is not None:
            return shot, window.box
    raise NoBoxError(f"{camera.source}: expected a frame, and a box in it to start from, got none before the end")


def _step(shot: Shot, trackers: Mapping[str, tuple[Tracker, int]], start: Box, seen: Seen) -> None:
    for name, (tracker, seed) in trackers.items():
        since = time.perf_counter()
        try:
            if not seen.times:
                tracker.reseed([0], [seed_of_run(seed, "live", 0)])
                tracker.initialize([0], [shot.image], _region(tracker, np.array(start), shot.image))
                region: Region = np.array(start)
            else:
                region = checked_region(tracker.update([0], [shot.image])[0], shot.image)
        except Exception as error:
            raise TrackingError(f"{name}, frame {shot.number}: {type(error).__name__}: {error}") from error
        seen.seconds[name].append(time.perf_counter() - since)
        seen.boxes[name].append(_box(region))


def _region(tracker: Tracker, box: np.ndarray, image: Image) -> np.ndarray | list[np.ndarray]:
    """What a tracker starts on."""
    height, width = image.shape[:2]
    return box[None] if tracker.region == "box" else [masks.of_region(box, (width, height))]


def _box(region: Region) -> np.ndarray:
    """The bounding box (4,) of a polygon or mask; a box as it is."""
    if region.ndim == 2:
        return masks.bounding_box(region)
    if len(region) == 4:
        return region
    low, high = region.reshape(4, 2).min(0), region.reshape(4, 2).max(0)
    return np.concatenate([low, high - low])


@contextmanager
def _until_interrupted() -> Iterator[Callable[[], bool]]:
    """Whether to go on: Ctrl-C ends it after the frame at hand, a second one ends the process."""
    asked = False

    def ask(number: int, frame: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: not asked
    finally:
        signal.signal(signal.SIGINT, before)
