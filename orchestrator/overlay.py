"""A video of a sequence with what trackers said of it drawn upon the frames."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from trackers.benchmarks.videos import Video
from trackers.boxes import iou
from trackers.sequence import Image, Region
from trackers.sequence import Sequence as VideoSequence

WHITE = (255, 255, 255)  # the groundtruth
# RGB; Okabe and Ito's colours, told apart with any kind of colour vision.
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (213, 94, 0), (240, 228, 66), (0, 114, 178))
# What every OpenCV writes, by a file's ending: players play either, browsers the second alone.
CODECS = {".mp4": "mp4v", ".webm": "VP80"}
HEIGHT = 480  # pixels: smaller frames are enlarged, by a whole number, so that lines and words can be seen
WIDTH = 1920  # pixels: pictures that are wider are made smaller
LINE = 22  # pixels: the height of a line of words
BIT = 4  # lines are drawn to 1/16 of a pixel

Box = tuple[float, float, float, float]
Boxes = Mapping[str, np.ndarray]


def write(
    path: Path,
    sequence: VideoSequence,
    boxes: Boxes,
    progress: Callable[[int], None] = lambda done: None,
    fps: float = 25.0,
    side_by_side: bool = False,
    first: int = 0,
) -> None:
    """Write `path`, see `film`.

    boxes: (frames, 4) by name of tracker, NaN where nothing is drawn. The groundtruth is drawn below them, where
    there is more of it than a start, and each tracker's overlap with it stands beside its name. fps: frames a second.
    first: the number of the first frame. progress: called with the number of frames drawn.
    """
    annotated = int(np.isfinite(sequence.groundtruth).all(1).sum()) > 1
    height, width, _ = sequence.frames[0].shape
    page = Page((height, width), tuple(boxes), annotated, side_by_side)
    with film(path, fps) as add:
        for t in range(len(sequence)):
            said = {name: rows[t] for name, rows in boxes.items()}
            truth = _outline(sequence, t) if annotated else None
            overlaps = _overlaps(sequence.groundtruth[t], said) if annotated else {}
            add(page.draw(sequence.frames[t], first + t, said, truth, overlaps))
            progress(t + 1)


@contextmanager
def film(path: Path, fps: float) -> Iterator[Callable[[Image], None]]:
    """Write a video, .mp4 or .webm: whole, or not at all. Gives what adds a picture, RGB of even sides.

    Raises OSError where this OpenCV writes no such files, or what it wrote cannot be read back.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        writer, count = cv2.VideoWriter(), 0

        def add(picture: Image) -> None:
            nonlocal count
            if not writer.isOpened():
                codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix])
                with _silent():  # OpenCV says that it takes the codec by another name
                    writer.open(str(unfinished), codec, fps, picture.shape[1::-1])
                if not writer.isOpened():
                    raise OSError(f"{path}: expected an OpenCV that writes files {path.suffix}, got one that does not")
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            count += 1

        try:
            yield add
        finally:
            writer.release()
        _check(unfinished, path, count)
        unfinished.replace(path)


@dataclass
class Page:
    """How a picture is laid out: a frame with all boxes in it, or a panel for each tracker.

    size: height and width of the frames; others are cut or filled up. names: of the trackers. annotated: whether
    there is groundtruth to draw. Names are above the frames, with the frame's number in the first line.
    """

    size: tuple[int, int]
    names: Sequence[str]
    annotated: bool = False
    side_by_side: bool = False
    columns: int = field(init=False, default=1)
    scale: float = field(init=False)

    def __post_init__(self) -> None:
        height, width = self.size
        self.colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(self.names)}
        self.panels = [(name,) for name in self.names] if self.side_by_side else [tuple(self.names)]
        if len(self.panels) > 1:
            self.columns = min(range(1, len(self.panels) + 1), key=self._ungainly)
        widest = WIDTH / (self.columns * width)
        self.scale = min(max(1, round(HEIGHT / height)), int(widest) or widest)
        self.frame = max(round(self.scale * height), 1), max(round(self.scale * width), 1)

    def draw(
        self,
        image: Image,
        number: int,
        boxes: Boxes,
        truth: Region | None = None,
        overlaps: Mapping[str, float] | None = None,
    ) -> Image:
        """The picture of one frame, RGB of even sides. boxes: (4,) of each tracker, NaN where it has none."""
        fitted = self.resized(image)
        words = [self._words(panel, overlaps or {}) for panel in self.panels]
        lines, shown = max(map(len, words)), []
        for panel, above in zip(self.panels, words, strict=True):
            frame = fitted.copy()
            if truth is not None:
                _draw(frame, truth, self.scale, WHITE, 1)
            for name in panel:
                _draw(frame, boxes[name], self.scale, self.colours[name], 2)
            shown.append(np.concatenate([np.pad(above, [(0, lines - len(above)), (0, 0), (0, 0)]), frame]))
        shown += [np.zeros_like(shown[0])] * (-len(shown) % self.columns)
        rows = [np.concatenate(shown[i : i + self.columns], 1) for i in range(0, len(shown), self.columns)]
        page = np.concatenate(rows)
        say(page, str(number), 0, 0, WHITE)
        return np.pad(page, [(0, page.shape[0] % 2), (0, page.shape[1] % 2), (0, 0)])  # as codecs want them

    def resized(self, image: Image) -> Image:
        """A frame as it is shown."""
        return _fitted(image, self.size, self.frame)

    def _words(self, names: Sequence[str], overlaps: Mapping[str, float]) -> Image:
        """Names in their colours, in as many lines as they take; room for the frame's number in the first."""
        words = {"groundtruth": WHITE} if self.annotated and not self.side_by_side else {}
        words |= {name: self.colours[name] for name in names}
        places, x, y = [], _extent("00000"), 0
        for name in words:
            wide = _extent(f"{name} 0.00" if self.annotated and name in self.colours else name)
            if x + wide > self.frame[1] and x:
                x, y = 0, y + LINE
            places.append((x, y))
            x += wide
        legend = np.zeros((y + LINE, self.frame[1], 3), np.uint8)
        for (name, colour), (x, y) in zip(words.items(), places, strict=True):
            say(legend, f"{name} {overlaps[name]:.2f}" if name in overlaps else name, x, y, colour)
        return legend

    def _ungainly(self, columns: int) -> float:
        """How far a picture of so many columns is from the shape of a screen, 16 to 9."""
        height, width = self.size
        rows = -(-len(self.panels) // columns)
        return abs(np.log(columns * width / (rows * (height + LINE)) * 9 / 16))


def _overlaps(truth: np.ndarray, boxes: Boxes) -> dict[str, float]:
    """Of each tracker with the groundtruth (4,); of those alone that have any, where there is any."""
    found = {name: float(iou(truth, box)) for name, box in boxes.items()}
    return {name: overlap for name, overlap in found.items() if not np.isnan(overlap)}


def _extent(text: str) -> int:
    return cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0] + 14


def say(image: Image, text: str, x: int, y: int, colour: tuple[int, int, int]) -> None:
    """Write a line of words into an image, its upper left corner in x, y."""
    cv2.putText(image, text, (x + 6, y + LINE - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)


def _fitted(image: Image, size: tuple[int, int], shown: tuple[int, int]) -> Image:
    """The image cut or filled up to a size, height and width, and then resized to another."""
    if image.shape[:2] != size:
        page = np.zeros((*size, 3), np.uint8)
        part = image[: size[0], : size[1]]
        page[: part.shape[0], : part.shape[1]] = part
        image = page
    if shown == size:
        return image
    return cv2.resize(image, shown[::-1], interpolation=cv2.INTER_CUBIC if shown > size else cv2.INTER_AREA)


def _outline(sequence: VideoSequence, t: int) -> Region:
    """The groundtruth as a box or polygon."""
    region = sequence.region(t)
    return region if region.ndim == 1 else sequence.groundtruth[t]


def _draw(frame: Image, region: Region, scale: float, colour: tuple[int, int, int], width: int) -> None:
    """A box or polygon, in pixels before the frame was resized; nothing where it is NaN."""
    if not np.isfinite(region).all():
        return
    if len(region) == 4:
        x, y, w, h = region
        region = np.array([x, y, x + w, y, x + w, y + h, x, y + h])
    corners = (np.clip(region, -1e5, 1e5) * scale - 0.5) * 2**BIT  # the first pixel's centre is 0 to OpenCV
    cv2.polylines(frame, [np.rint(corners).astype(np.int32).reshape(-1, 1, 2)], True, colour, width, cv2.LINE_AA, BIT)


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing comes to standard error, not even from C."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _check(written: Path, path: Path, length: int) -> None:
    try:
        found = len(Video(written))
    except (ValueError, OSError):
        found = 0
    if found != length or not length:
        raise OSError(f"{path}: expected {length} frames to be read back from what was written, got {found}")
