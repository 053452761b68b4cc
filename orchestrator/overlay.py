"""A video of a sequence with what trackers said of it drawn upon the frames."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from trackers.benchmarks.videos import Video
from trackers.sequence import Image, Region, Sequence

WHITE = (255, 255, 255)  # the groundtruth
# RGB; Okabe and Ito's colours, told apart with any kind of colour vision.
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (213, 94, 0), (240, 228, 66), (0, 114, 178))
FPS = 25.0
HEIGHT = 480  # pixels: smaller frames are enlarged, by a whole number, so that lines and words can be seen
LINE = 22  # pixels: the height of a line of the legend
BIT = 4  # lines are drawn to 1/16 of a pixel


def write(
    path: Path,
    sequence: Sequence,
    boxes: Mapping[str, np.ndarray],
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write `path`, an mp4 file: whole, or not at all.

    boxes: (frames, 4) by name of tracker, NaN where nothing is drawn. The groundtruth is drawn below them, where
    there is more of it than a start. The legend is above the frames, with the frame's number, from 0. Frames are
    cut or filled up to the size of the first. progress: called with the number of frames drawn.

    Raises OSError where this OpenCV writes no such files, or what it wrote cannot be read back.
    """
    height, width, _ = sequence.frames[0].shape
    scale = max(1, round(HEIGHT / height))
    annotated = int(np.isfinite(sequence.groundtruth).all(1).sum()) > 1
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(boxes)}
    legend = _legend({**({"groundtruth": WHITE} if annotated else {}), **colours}, scale * width)
    rows, columns = len(legend) + scale * height, scale * width
    page = np.zeros((rows + rows % 2, columns + columns % 2, 3), np.uint8)  # of even sides, as codecs want them
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        writer = cv2.VideoWriter(str(unfinished), cv2.VideoWriter.fourcc(*"mp4v"), FPS, page.shape[1::-1])
        if not writer.isOpened():
            raise OSError(f"{path}: expected an OpenCV that writes MPEG-4 video to a file .mp4, got one that does not")
        for t in range(len(sequence)):
            frame = _fitted(sequence.frames[t], (height, width), scale)
            if annotated:
                _draw(frame, _outline(sequence, t), scale, WHITE, 1)
            for name, colour in colours.items():
                _draw(frame, boxes[name][t], scale, colour, 2)
            page[: len(legend), :columns] = legend
            _say(page, str(t), 0, 0, WHITE)
            page[len(legend) : rows, :columns] = frame
            writer.write(cv2.cvtColor(page, cv2.COLOR_RGB2BGR))
            progress(t + 1)
        writer.release()
        _check(unfinished, path, len(sequence))
        unfinished.replace(path)


def _legend(colours: Mapping[str, tuple[int, int, int]], width: int) -> Image:
    """Names in their colours, in as many lines as they take; room for the frame's number in the first."""
    places, x, y = [], _extent("00000"), 0
    for name in colours:
        if x + _extent(name) > width and x:
            x, y = 0, y + LINE
        places.append((x, y))
        x += _extent(name)
    legend = np.zeros((y + LINE, width, 3), np.uint8)
    for (name, colour), (x, y) in zip(colours.items(), places, strict=True):
        _say(legend, name, x, y, colour)
    return legend


def _extent(text: str) -> int:
    return cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0] + 14


def _say(image: Image, text: str, x: int, y: int, colour: tuple[int, int, int]) -> None:
    cv2.putText(image, text, (x + 6, y + LINE - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, 1, cv2.LINE_AA)


def _fitted(image: Image, size: tuple[int, int], scale: int) -> Image:
    """The image cut or filled up to this height and width, and enlarged."""
    if image.shape[:2] != size:
        page = np.zeros((*size, 3), np.uint8)
        part = image[: size[0], : size[1]]
        page[: part.shape[0], : part.shape[1]] = part
        image = page
    if scale == 1:
        return image.copy()
    return cv2.resize(image, (scale * size[1], scale * size[0]), interpolation=cv2.INTER_CUBIC)


def _outline(sequence: Sequence, t: int) -> Region:
    """The groundtruth as a box or polygon."""
    region = sequence.region(t)
    return region if region.ndim == 1 else sequence.groundtruth[t]


def _draw(frame: Image, region: Region, scale: int, colour: tuple[int, int, int], width: int) -> None:
    """A box or polygon, in pixels before the frame was enlarged; nothing where it is NaN."""
    if not np.isfinite(region).all():
        return
    if len(region) == 4:
        x, y, w, h = region
        region = np.array([x, y, x + w, y, x + w, y + h, x, y + h])
    corners = (np.clip(region, -1e5, 1e5) * scale - 0.5) * 2**BIT  # the first pixel's centre is 0 to OpenCV
    cv2.polylines(frame, [np.rint(corners).astype(np.int32).reshape(-1, 1, 2)], True, colour, width, cv2.LINE_AA, BIT)


def _check(written: Path, path: Path, length: int) -> None:
    try:
        found = len(Video(written))
    except ValueError:
        found = 0
    if found != length:
        raise OSError(f"{path}: expected {length} frames to be read back from what was written, got {found}")
