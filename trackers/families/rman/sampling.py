"""Boxes drawn around a target, and those of them that overlap it enough, or hardly.

MDNet's ways (Nam and Han 2016; the paper says no more than "randomly", Section IV). Shifts are in shares of the mean of
the target's sides. No side is shorter than 10 pixels, or than the target's own where that is shorter, nor longer than
the image's but for 10 pixels, and centres are in the image. (A target larger than the image keeps its size.)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trackers import boxes

LEAST = 10.0  # pixels of a side, and of the image beside it
ROUNDS = 10  # of drawing, before those found are repeated


def gaussian(
    box: np.ndarray, count: int, shift: float, scale: float, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """(count, 4): centres are off by `shift`, at most, and sides are scaled by `scale` to a power in [-1, 1].

    Both are normal with a deviation of half of that, and cut there. size: of the image, width and height.
    """
    drawn = np.clip(rng.normal(0, 0.5, (count, 3)), -1, 1)
    centres = boxes.centre(box) + shift * box[2:].mean() * drawn[:, :2]
    return within(centres, box[2:] * scale ** drawn[:, 2:], box, size)


def uniform(
    box: np.ndarray,
    count: int,
    shift: float,
    scale: float,
    aspect: float,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> np.ndarray:
    """(count, 4): as `gaussian`, but all shifts and scales are as likely, and each side is scaled by `aspect`, too."""
    drawn = rng.uniform(-1, 1, (count, 5))
    centres = boxes.centre(box) + shift * box[2:].mean() * drawn[:, :2]
    return within(centres, box[2:] * scale ** drawn[:, 2:3] * aspect ** drawn[:, 3:], box, size)


def whole(
    box: np.ndarray, count: int, scale: float, aspect: float, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """(count, 4): as `uniform`, but anywhere in the image."""
    drawn = rng.uniform(-1, 1, (count, 3))
    centres = rng.uniform(0, 1, (count, 2)) * size
    return within(centres, box[2:] * scale ** drawn[:, :1] * aspect ** drawn[:, 1:], box, size)


def within(centres: np.ndarray, sides: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes (n, 4) of these centres and sides, held to the limits that the module names."""
    least = np.minimum(LEAST, box[2:])
    most = np.maximum(np.subtract(size, LEAST), box[2:])
    sides = np.clip(sides, least, np.maximum(most, least))
    centres = np.clip(centres, 0, size)
    return np.concatenate([centres - sides / 2, sides], 1)


def overlapping(
    draw: Callable[[int], np.ndarray], box: np.ndarray, count: int, low: float = 0.0, high: float = 1.0
) -> np.ndarray:
    """(count, 4) of what `draw(n)` draws, with an overlap in [low, high] with the box; (0, 4) if it draws none such.

    Where too few are found in ten rounds, these are repeated.
    """
    found = np.empty((0, 4))
    for _ in range(ROUNDS):
        drawn = draw(2 * count)
        overlaps = boxes.iou(drawn, box)
        found = np.concatenate([found, drawn[(overlaps >= low) & (overlaps <= high)]])
        if len(found) >= count:
            break
    return np.resize(found, (count, 4)) if len(found) else found


def quarters(box: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 4): half as wide and high as the box, inside of it; whatever the image, they hardly overlap it."""
    corners = box[:2] + rng.uniform(0, 0.5, (count, 2)) * box[2:]
    return np.concatenate([corners, np.broadcast_to(box[2:] / 2, (count, 2))], 1)
