"""One video to track in: a file, a folder of images, or a benchmark's folder of one sequence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from trackers.benchmarks import got10k, lasot, otb, plain, vot
from trackers.benchmarks.files import Files, Folder
from trackers.benchmarks.problems import Problems
from trackers.evaluation import lanes
from trackers.evaluation.protocols import PROTOCOLS
from trackers.sequence import Frames, Image, Sequence, Unseen
from trackers.tracker import Tracker

Box = tuple[float, float, float, float]
FPS = 25.0  # frames a second, where the files do not say
WHERE = "a video, a folder of images or a sequence of a benchmark"


class NoBoxError(ValueError):
    """Nothing says where the target is in the first frame."""


class Alone(Folder):
    """One folder, or one video and the rows beside it, as if nothing else lay there.

    Names begin with the folder's own, as readers of benchmarks expect of a sequence.
    """

    def __init__(self, source: Path) -> None:
        if source.is_dir():
            names = [f"{source.name}/{name}" for name in Folder(source).names]
        elif source.is_file():
            beside = (source.with_suffix(".txt"), source.with_name("groundtruth.txt"))
            names = [source.name, *(path.name for path in beside if path.is_file())]
        else:
            raise FileNotFoundError(f"{source}: expected {WHERE}, found nothing there")
        Files.__init__(self, source.parent, names)


def open(source: Path, box: Box | None = None) -> Sequence:
    """The sequence of this name, with the groundtruth that lies there.

    box: x, y, width and height in the first frame, in pixels from 0: the only groundtruth where none lies there;
    beside a video none is then looked for. Of a folder, `groundtruth_rect.txt` is OTB's; `groundtruth.txt` is
    LaSOT's beside a folder `img`, GOT-10k's beside `absence.label`, one box where it has one row, and VOT's else.

    Raises DataError that lists what is wrong with the files, NoBoxError where there is no box to start from,
    ValueError where there is no frame, or more than one sequence; FileNotFoundError where nothing is.
    """
    source = source.resolve()
    files = Alone(source)
    format, config = _reader(source, files, box)
    problems = Problems()
    found = format.read(config, files, problems)
    problems.refuse()
    seen = [sequence for sequence in found if not isinstance(sequence.frames, Unseen)]
    if len(seen) != 1:
        formats = f"; videos end in {', '.join(plain.VIDEOS)}" if source.is_file() else ""
        raise ValueError(f"{source}: expected {WHERE}, found {len(seen) or 'no'} sequences with frames{formats}")
    return replace(seen[0], name=source.stem if source.is_file() else source.name)


def of_frames(images: np.ndarray) -> Sequence:
    """The sequence of these images (frames, height, width, 3), uint8 RGB; ValueError for others."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(
            f"frames: expected uint8 RGB (frames, height, width, 3), got {images.dtype} of shape {images.shape}"
        )
    return Sequence("frames", images, np.full((len(images), 4), np.nan))


def follow(
    tracker: Tracker,
    sequence: Sequence,
    start: Box | None,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Boxes (frames, 4) from one pass of the tracker, NaN before it starts and where it says nothing.

    start: the box in frame 0; None: the first groundtruth. progress: called with the number of frames done.

    They are those of a trial with this seed and a sequence of this name, but for rounding: products of one lane are
    summed in another order than those of several, and a tracker that learns as it tracks goes on from that (RMAN was
    up to 3.5 pixels away late in one of ten sequences; with any second lane beside it, it was not).

    Raises ValueError for a start that does not touch the image, and for an oracle where a frame has no groundtruth
    to show it; and what `lanes.follow` raises.
    """
    if start is not None:
        groundtruth = np.full((len(sequence), 4), np.nan)
        groundtruth[0] = start
        sequence = replace(sequence, groundtruth=groundtruth, regions=None, omitted=None, labelled=None)
    known = int(np.isfinite(sequence.groundtruth).all(1).sum())
    if tracker.oracle and known < len(sequence):
        raise ValueError(
            f"sequence {sequence.name}: expected groundtruth in each of its {len(sequence)} frames, for this tracker "
            f"is shown where the target is, got it in {known}"
        )
    (trajectory,) = lanes.follow(
        tracker, PROTOCOLS["one_pass"], [sequence], 1, lambda sequence, t, tracker, lane: progress(t + 1), seed
    )
    return trajectory.boxes


def rate(source: Path) -> float:
    """Frames a second, of a video as its file says."""
    fps = cv2.VideoCapture(str(source)).get(cv2.CAP_PROP_FPS) if source.is_file() else 0.0
    return fps if math.isfinite(fps) and 0 < fps <= 1000 else FPS


def cut(sequence: Sequence, first: int, last: int | None) -> Sequence:
    """Its frames from `first` to `last`, this one included; None: the end. ValueError where it has no such frames."""
    end = len(sequence) if last is None else last + 1
    if not 0 <= first < end <= len(sequence):
        raise ValueError(
            f"sequence {sequence.name}: expected --start and --end within its frames 0 to {len(sequence) - 1}, "
            f"got {first} and {end - 1}"
        )
    if (first, end) == (0, len(sequence)):
        return sequence
    return replace(
        sequence,
        frames=Part(sequence.frames, range(first, end)),
        groundtruth=sequence.groundtruth[first:end],
        regions=None if sequence.regions is None else [sequence.regions[t] for t in range(first, end)],
        labelled=None if sequence.labelled is None else sequence.labelled[first:end],
        omitted=None if sequence.omitted is None else sequence.omitted[first:end],
        tags={name: rows[first:end] for name, rows in sequence.tags.items()},
    )


@dataclass(frozen=True)
class Part:
    """Some frames of a sequence."""

    frames: Frames
    numbers: range

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, t: int) -> Image:
        return self.frames[self.numbers[t]]


def _reader(source: Path, files: Files, box: Box | None) -> tuple[Any, Any]:
    """The module that reads it, and its Config."""
    if source.is_file():
        if box is None and len(files.names) == 1 and source.name.lower().endswith(plain.VIDEOS):
            raise NoBoxError(
                f"{source}: expected the first box: --box x,y,width,height, or {source.stem}.txt beside it"
            )
        return plain, plain.Config(box)
    if f"{source.name}/groundtruth_rect.txt" in files:
        return otb, otb.Config()
    groundtruth = f"{source.name}/groundtruth.txt"
    if groundtruth not in files:
        if box is None:
            rows = "groundtruth.txt or groundtruth_rect.txt in it"
            raise NoBoxError(f"{source}: expected the first box: --box x,y,width,height, or {rows}")
        return plain, plain.Config(box)
    if f"{source.name}/img" in files.folders(source.name):
        return lasot, lasot.Config()
    if f"{source.name}/absence.label" in files:
        return got10k, got10k.Config()
    if len(bytes(files.read(groundtruth)).strip().splitlines()) <= 1:
        return plain, plain.Config()
    return vot, vot.Config()
