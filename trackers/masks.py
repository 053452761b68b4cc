"""Masks: bool arrays (..., height, width), True on the target.

Pixel (row, column) covers [column, column + 1) x [row, row + 1) of the plane that boxes and polygons live
in. One rule turns those into masks: a pixel belongs to a region if its centre (column + 0.5, row + 0.5)
lies inside it, or on an edge with the inside to the right or below. So a box of whole numbers covers
exactly width x height pixels, and regions that share an edge share no pixel.

A run-length code lists, row by row, how many pixels are off, on, off, ...; it begins with those off, be
they none. It describes a window x, y, width, height of the image, outside which all pixels are off. The
VOT toolkit (2020 and later) writes it as `m` and x, y, width, height, runs, with commas between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

import numpy as np

Code = tuple[tuple[int, ...], np.ndarray]  # window x, y, width, height; runs, int32

EMPTY: Code = ((0, 0, 0, 0), np.zeros(1, np.int32))  # of a mask that is off everywhere
LARGEST = 2**31 - 1  # pixels that a run, and so an image, may have
CODE = re.compile(r"m(-?\d{1,9}),(-?\d{1,9}),(\d{1,9}),(\d{1,9})((?:,\d{1,9})+)", re.ASCII)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union (...) in [0, 1] of masks (..., height, width): J of DAVIS (Perazzi et al. 2016).

    1 where both masks are empty, as DAVIS and the VOT toolkit count it (`boxes.iou` gives 0 there).
    Raises ValueError for masks of different sizes.
    """
    if a.shape[-2:] != b.shape[-2:]:
        raise ValueError(f"expected masks of one size, got {_size(a)} and {_size(b)}")
    both = np.count_nonzero(a & b, axis=(-2, -1))
    either = np.count_nonzero(a, axis=(-2, -1)) + np.count_nonzero(b, axis=(-2, -1)) - both
    return np.where(either == 0, 1.0, both / np.maximum(either, 1))


def of_box(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Mask (height, width) of a box (4,) in an image of `size` (width, height); empty for a row of NaN."""
    width, height = size
    mask = np.zeros((height, width), bool)
    if not np.isnan(box).any():
        left, top = _first_centre(box[:2], (width, height))
        right, bottom = _first_centre(box[:2] + box[2:], (width, height))
        mask[top:bottom, left:right] = True
    return mask


def of_polygon(polygon: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Mask (height, width) of a polygon (2 x corners,) x1, y1, x2, y2, ...; empty for a row of NaN.

    Where a polygon crosses itself, a point is inside if a ray from it crosses an odd number of edges.
    """
    width, height = size
    mask = np.zeros((height, width), bool)
    if np.isnan(polygon).any():
        return mask
    x1, y1 = polygon.reshape(-1, 2).T
    x2, y2 = np.roll(x1, -1), np.roll(y1, -1)
    top, bottom = _first_centre(np.array([y1.min(), y1.max()]), height)
    y = np.arange(top, bottom)[:, None] + 0.5  # (rows, 1)
    crosses = (y1 <= y) != (y2 <= y)  # (rows, edges)
    rows, edges = np.nonzero(crosses)
    share = (y[rows, 0] - y1[edges]) / (y2 - y1)[edges]
    x = x1[edges] + share * (x2 - x1)[edges]
    # The pixels from each crossing on change sides.
    crossings = np.zeros((bottom - top, width + 1), bool)
    np.logical_xor.at(crossings, (rows, _first_centre(x, width)), True)
    mask[top:bottom] = np.logical_xor.accumulate(crossings[:, :width], axis=1)
    return mask


def of_region(region: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Mask (height, width) of a box, polygon or mask, known by its shape.

    Raises ValueError for a mask of another size.
    """
    if region.ndim == 1:
        return of_box(region, size) if len(region) == 4 else of_polygon(region, size)
    if region.shape != size[::-1]:
        raise ValueError(f"expected a mask of {size[0]} x {size[1]}, got {_size(region)}")
    return region


def bounding_box(mask: np.ndarray) -> np.ndarray:
    """Smallest boxes (..., 4) around all that is on in masks (..., height, width); NaN for an empty one."""
    if 0 in mask.shape[-2:]:
        return np.full((*mask.shape[:-2], 4), np.nan)
    rows, columns = np.any(mask, axis=-1), np.any(mask, axis=-2)
    top, bottom = _extent(rows)
    left, right = _extent(columns)
    boxes = np.stack([left, top, right - left, bottom - top], -1).astype(float)
    boxes[~rows.any(-1)] = np.nan
    return boxes


@dataclass(frozen=True)
class RunLengths:
    """Masks by frame, as run-length codes: hundreds of bytes where a mask has hundreds of thousands.

    counts: int32, the runs of all masks, one mask after the other. starts: int64 (masks + 1,), where those
    of each begin. windows: int32 (masks, 4), x, y, width and height of each window, inside its image.
    sizes: int32 (masks, 2), width and height of each image.
    """

    counts: np.ndarray
    starts: np.ndarray
    windows: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, masks: Iterable[np.ndarray]) -> RunLengths:
        """The codes of these masks, bool (height, width) each; only one is held at a time."""
        codes, sizes = [], []
        for mask in masks:
            codes.append(_encode(mask))
            sizes.append(mask.shape[::-1])
        return cls._join(codes, sizes)

    @classmethod
    def of_codes(cls, codes: SequenceOf[Code], size: tuple[int, int] | None = None) -> RunLengths:
        """These codes (see `parse`), of images of `size` (width, height); None: the smallest that holds all
        windows. What lies outside the image is cut off.
        """
        if size is None:
            windows = np.array([window for window, _ in codes]).reshape(-1, 4)
            width, height = (windows[:, :2] + windows[:, 2:]).max(0, initial=1).tolist()
            size = (width, height)
        return cls._join([_clip(*code, size) for code in codes], [size] * len(codes))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> RunLengths:
        """What `arrays` gave. Raises ValueError unless every mask's runs fill its window, inside its image."""
        counts, starts, windows, sizes = (np.asarray(arrays[name]) for name in ("counts", "starts", "windows", "sizes"))
        number = len(sizes)
        shapes = {"starts": (starts, (number + 1,)), "windows": (windows, (number, 4)), "sizes": (sizes, (number, 2))}
        for name, (array, shape) in {"counts": (counts, (counts.size,)), **shapes}.items():
            if array.shape != shape or array.dtype.kind not in "iu":
                raise ValueError(f"{name}: expected whole numbers {shape}, got {array.dtype} {array.shape}")
        if starts[0] != 0 or starts[-1] != len(counts) or (np.diff(starts) < 1).any() or (counts < 0).any():
            raise ValueError(f"starts: expected to rise from 0 to {len(counts)}, and no run below 0")
        if (windows < 0).any() or (windows[:, :2] + windows[:, 2:] > sizes).any():
            raise ValueError("windows: expected each inside its image")
        runs = np.diff(np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])[starts])
        pixels = windows[:, 2].astype(np.int64) * windows[:, 3]
        wrong = np.flatnonzero(runs != pixels)
        if len(wrong):
            raise ValueError(f"mask {wrong[0]}: expected runs of {pixels[wrong[0]]} pixels, got {runs[wrong[0]]}")
        return cls(counts.astype(np.int32), starts.astype(np.int64), windows.astype(np.int32), sizes.astype(np.int32))

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, by name: for an .npz file."""
        return {"counts": self.counts, "starts": self.starts, "windows": self.windows, "sizes": self.sizes}

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, t: int) -> np.ndarray:
        """Mask (height, width) of frame t."""
        width, height = self.sizes[t]
        x, y, w, h = self.windows[t]
        mask = np.zeros((height, width), bool)
        mask[y : y + h, x : x + w] = self._window(t)
        return mask

    def bounding_boxes(self) -> np.ndarray:
        """(masks, 4), see `bounding_box`."""
        boxes = np.array([bounding_box(self._window(t)) for t in range(len(self))]).reshape(-1, 4)
        boxes[:, :2] += self.windows[:, :2]
        return boxes

    def _window(self, t: int) -> np.ndarray:
        t = range(len(self))[t]
        return _decode(self.windows[t], self.counts[self.starts[t] : self.starts[t + 1]])

    @classmethod
    def _join(cls, codes: SequenceOf[Code], sizes: SequenceOf[tuple[int, ...]]) -> RunLengths:
        return cls(
            np.concatenate([counts for _, counts in codes]).astype(np.int32) if codes else np.zeros(0, np.int32),
            np.concatenate([[0], np.cumsum([len(counts) for _, counts in codes])]).astype(np.int64),
            np.array([window for window, _ in codes], np.int32).reshape(-1, 4),
            np.array(sizes, np.int32).reshape(-1, 2),
        )


def format(mask: np.ndarray) -> str:
    """The VOT toolkit's text of a mask (height, width): `m` and x, y, width, height, runs."""
    window, counts = _encode(mask)
    return "m" + ",".join(map(str, [*window, *counts.tolist()]))


def parse(row: str) -> Code:
    """Window x, y, width, height, which may leave the image, and runs, int32, of the VOT toolkit's text.

    Raises ValueError where `row` is no such text, or the runs do not fill the window.
    """
    match = CODE.fullmatch(re.sub(r"\s*,\s*", ",", row.strip()))
    if match is None:
        shown = row if len(row) <= 40 else f"{row[:40]}..."
        raise ValueError(f"expected m and x,y,width,height and runs, whole numbers with commas between, got {shown!r}")
    window = tuple(int(part) for part in match.groups()[:4])
    counts = np.array(match[5][1:].split(","), np.int64)
    pixels = window[2] * window[3]
    if counts.sum() != pixels or pixels > LARGEST:
        raise ValueError(
            f"expected runs of {window[2]} x {window[3]} = {pixels} pixels (at most {LARGEST}), got {counts.sum()}"
        )
    return window, counts.astype(np.int32)


def _encode(mask: np.ndarray) -> Code:
    """Window around all that is on, and runs."""
    box = bounding_box(mask)
    if np.isnan(box).any():
        return EMPTY
    x, y, width, height = window = tuple(box.astype(int).tolist())
    pixels = mask[y : y + height, x : x + width].ravel()
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    start = [0, 0] if pixels[0] else [0]
    return window, np.diff(np.concatenate([start, changes, [pixels.size]])).astype(np.int32)


def _decode(window: SequenceOf[int] | np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mask of the window alone."""
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(window[3], window[2])


def _clip(window: tuple[int, ...], counts: np.ndarray, size: tuple[int, int]) -> Code:
    """The part of a mask inside an image of `size` (width, height)."""
    x, y, width, height = window
    if x >= 0 and y >= 0 and x + width <= size[0] and y + height <= size[1]:
        return window, counts
    left, top = max(0, -x), max(0, -y)
    inside = _decode(window, counts)[top : max(0, size[1] - y), left : max(0, size[0] - x)]
    (dx, dy, width, height), counts = _encode(inside)
    return ((x + left + dx, y + top + dy, width, height), counts) if width else EMPTY


def _first_centre(edge: np.ndarray, most: int | tuple[int, int]) -> np.ndarray:
    """Number of the first pixel, of 0 to `most`, with its centre at or after each coordinate."""
    return np.clip(np.ceil(edge - 0.5), 0, most).astype(int)


def _extent(on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First True along the last axis, and one after the last True."""
    return on.argmax(-1), on.shape[-1] - on[..., ::-1].argmax(-1)


def _size(mask: np.ndarray) -> str:
    return f"{mask.shape[-1]} x {mask.shape[-2]}"
