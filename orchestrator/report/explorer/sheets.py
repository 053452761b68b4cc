"""Sheets: many small pictures of one size in one WebP file, row by row."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from trackers.sequence import Sequence

COLUMNS, ROWS = 8, 6  # of pictures in a sheet: few enough to be decoded in a blink
QUALITY = 60  # of WebP, from 1 to 100
LOSSLESS = 101  # so OpenCV says it
ENCODERS = 4  # threads
FOLDER = Path("frames")


@dataclass(frozen=True)
class Shelf:
    """Where sheets are put: below `folder`, the report's. old: an earlier report; None: there is none."""

    folder: Path
    old: Path | None = None

    def keep(self, sheet: np.ndarray, quality: int = QUALITY) -> str:
        """Write it, RGB or RGBA; its name, which is its content's."""
        code = cv2.COLOR_RGBA2BGRA if sheet.shape[2] == 4 else cv2.COLOR_RGB2BGR
        content = _encoded(cv2.cvtColor(sheet, code), quality)
        name = hashlib.sha256(content).hexdigest()[:24]
        self._write(name, content)
        return name

    def has(self, name: str) -> bool:
        """Whether this sheet is there; it is fetched from the earlier report, if that has it."""
        path = self._path(name)
        if not path.exists() and self.old is not None and (self.old / FOLDER / path.name).exists():
            path.parent.mkdir(exist_ok=True)
            shutil.copyfile(self.old / FOLDER / path.name, path)
        return path.exists()

    def keep_frames(self, films: Iterable[tuple[Sequence, list[int], list[str]]], side: int) -> None:
        """Write those sheets that are not there. films: each a video, the numbers of its frames and its sheets' names.

        Frames are at most `side` wide and high. One thread reads them, a few encode what it has read. Without sheets
        with a frame that cannot be read: the page says so where it misses one.
        """
        with ThreadPoolExecutor(ENCODERS) as pool:
            begun: deque[Future[None]] = deque()
            for sequence, numbers, names in films:
                for i, name in enumerate(names):
                    if not self.has(name):
                        own = numbers[i * COLUMNS * ROWS : (i + 1) * COLUMNS * ROWS]
                        with suppress(OSError, ValueError):
                            frames = [_small(np.array(sequence.frames[t]), side) for t in own]
                            begun.append(pool.submit(self._encode, name, frames))
                    if len(begun) > 2 * ENCODERS:  # what was read lies in memory
                        begun.popleft().result()
            for one in begun:
                one.result()

    def _encode(self, name: str, frames: list[np.ndarray]) -> None:
        self._write(name, _encoded(in_rows(frames)))

    def _write(self, name: str, content: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    def _path(self, name: str) -> Path:
        return self.folder / FOLDER / f"{name}.webp"


def names_of(identity: str, numbers: list[int], side: int) -> list[str]:
    """Of the sheets of these frames of a video, each known by what it is made from: see `Videos.identity`."""
    each = COLUMNS * ROWS
    parts = (numbers[i : i + each] for i in range(0, len(numbers), each))
    return [_hash(identity, part, side, QUALITY, COLUMNS) for part in parts]


def in_rows(pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Pictures (height, width, channels) as one; the last of them are made as large as the first."""
    first, *others = pictures
    height, width, channels = first.shape
    tiles = [first, *(_resized(other, width, height) for other in others)]
    columns = min(COLUMNS, len(tiles))
    sheet = np.zeros((-(-len(tiles) // columns) * height, columns * width, channels), np.uint8)
    for i, tile in enumerate(tiles):
        y, x = i // columns * height, i % columns * width
        sheet[y : y + height, x : x + width] = tile
    return sheet


def small_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Width and height of a frame in a sheet: its own, or those with which its longer side is `side`."""
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _small(image: np.ndarray, side: int) -> np.ndarray:
    """In OpenCV's order of colours."""
    return _resized(image[..., ::-1], *small_size(image.shape[1], image.shape[0], side))


def _resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=cv2.INTER_AREA)


def _encoded(sheet: np.ndarray, quality: int = QUALITY) -> bytes:
    _, content = cv2.imencode(".webp", np.ascontiguousarray(sheet), [cv2.IMWRITE_WEBP_QUALITY, quality])
    return content.tobytes()


def _hash(*what: Any) -> str:
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:24]
