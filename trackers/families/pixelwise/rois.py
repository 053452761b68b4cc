"""Regions of interest: square windows of frames, around where the target is said to be (Song et al. 2017, 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from trackers.masks import bounding_box


@dataclass(frozen=True)
class ROI:
    """How large, in pixels, and how far behind.

    context: times the longer side of the target. least, most: pixels of its side. delay: frames between the one
    that it is cut from and the one whose mask it is centred on.
    """

    context: float = 2.0
    least: int = 56
    most: int = 672
    delay: int = 5

    def __post_init__(self) -> None:
        if not (1 <= self.context < float("inf") and 1 <= self.least <= self.most and self.delay >= 0):
            raise ValueError(f"roi: expected context >= 1, 1 <= least <= most and delay >= 0, got {self}")

    def window(self, centre: np.ndarray, longer: np.ndarray) -> np.ndarray:
        """Centres (..., 2) and longer sides (...) of targets, in pixels -> windows (..., 4) int64."""
        side = np.clip(np.rint(self.context * longer), self.least, self.most)[..., None]
        return np.concatenate([np.rint(centre - side / 2), side, side], -1).astype(np.int64)


def places(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes by frame (T, 4), NaN where the target is gone -> centres (T, 2), longer sides (T,).

    Where it is gone, those of the last frame in which it was there; before the first, those of the first. Raises
    ValueError where it never is.
    """
    there = np.isfinite(boxes).all(1) & (boxes[:, 2:] > 0).all(1)
    if not there.any():
        raise ValueError("expected a mask with at least one pixel of the target, got empty ones alone")
    last = np.maximum.accumulate(np.where(there, np.arange(len(boxes)), np.flatnonzero(there)[0]))
    known = boxes[last]
    return known[:, :2] + known[:, 2:] / 2, known[:, 2:].max(1)


def first(mask: np.ndarray, roi: ROI) -> np.ndarray:
    """The window (4,) around the target in a mask (height, width). Raises ValueError for an empty one."""
    centres, longer = places(bounding_box(mask)[None])
    return roi.window(centres[0], longer[0])


def cut(mask: np.ndarray, window: np.ndarray, size: int) -> np.ndarray:
    """The part of a mask in a window, size x size; on where half of it is; off outside the frame."""
    x, y, side, _ = (int(value) for value in window)
    part = np.zeros((side, side), np.uint8)
    rows, columns = mask.shape
    top, left, bottom, right = max(y, 0), max(x, 0), min(y + side, rows), min(x + side, columns)
    if top < bottom and left < right:
        part[top - y : bottom - y, left - x : right - x] = mask[top:bottom, left:right]
    way = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return cv2.resize(part * 255, (size, size), interpolation=way) > 127


def spread(probabilities: np.ndarray, window: np.ndarray) -> np.ndarray:
    """A ROI's map (size, size), float32, as large as its window in the frame."""
    return cv2.resize(probabilities, (int(window[2]), int(window[3])), interpolation=cv2.INTER_LINEAR)


def filled(part: np.ndarray, window: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """What a window shows (height, width), put into a frame of zeros of this shape."""
    x, y, width, height = (int(value) for value in window)
    frame = np.zeros(shape, part.dtype)
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + height, shape[0]), min(x + width, shape[1])
    if top < bottom and left < right:
        frame[top:bottom, left:right] = part[top - y : bottom - y, left - x : right - x]
    return frame


def squeezed(mask: np.ndarray, size: int) -> np.ndarray:
    """A mask (height, width) as a map (size, size), bool, for the global model; a target of any size stays visible."""
    small = cv2.resize(mask.astype(np.uint8) * 255, (size, size), interpolation=cv2.INTER_AREA)
    on = small > 127
    if on.any() or not mask.any():
        return on
    if not small.any():  # its share of a pixel is less than a grey level
        small = cv2.resize(mask.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    return small >= small.max()
