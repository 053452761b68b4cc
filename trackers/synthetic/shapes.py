"""Shapes: the classes of the sprites. Each has an outline, a texture and a hue of its own.

A sprite's own coordinates have their origin in its centre, y down; outlines lie within [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from trackers.synthetic import textures

SIDE = 72  # pixels of a sprite's image
UNIT = 25  # of them are 1 in its own coordinates: what is left around it is room to bend
FINER = 4  # outlines are filled on a grid so many times finer, and averaged


def _arc(start: float, end: float, points: int, radius: float = 1.0) -> np.ndarray:
    angle = np.radians(np.linspace(start, end, points))
    return radius * np.stack([np.cos(angle), np.sin(angle)], -1)


def _wheel(radii: list[float], spokes: int) -> np.ndarray:
    """Points around the centre, upwards first, whose distances repeat after len(radii)."""
    angle = 2 * np.pi * np.arange(spokes * len(radii)) / (spokes * len(radii)) - np.pi / 2
    return np.tile(radii, spokes)[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)


def _points(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, float)


# Contours of each class: the first is the outline, a second one a hole.
CONTOURS: dict[str, tuple[np.ndarray, ...]] = {
    "disc": (_arc(0, 354, 60),),
    "ring": (_arc(0, 354, 60), _arc(0, 354, 60, 0.5)),
    "square": (_points((-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)),),
    "triangle": (_points((0, -1), (0.95, 0.8), (-0.95, 0.8)),),
    "diamond": (_points((0, -1), (0.7, 0), (0, 1), (-0.7, 0)),),
    "cross": (
        _points(
            *((-0.35, -1), (0.35, -1), (0.35, -0.35), (1, -0.35), (1, 0.35), (0.35, 0.35)),
            *((0.35, 1), (-0.35, 1), (-0.35, 0.35), (-1, 0.35), (-1, -0.35), (-0.35, -0.35)),
        ),
    ),
    "star": (_wheel([1.0, 0.45], 5),),
    "arrow": (_points((0, -1), (0.9, 0), (0.4, 0), (0.4, 1), (-0.4, 1), (-0.4, 0), (-0.9, 0)),),
    "crescent": (np.concatenate([_arc(50, 310, 40), _arc(290, 70, 30, 0.815) + [0.364, 0]]),),
    "hourglass": (_points((-0.8, -1), (0.8, -1), (0.2, 0), (0.8, 1), (-0.8, 1), (-0.2, 0)),),
    "gear": (_wheel([1.0, 1.0, 0.72, 0.72], 8),),
    "letter": (_points((-0.7, -1), (0.7, -1), (0.7, -0.55), (-0.2, -0.55), (-0.2, 1), (-0.7, 1)),),
}
PATTERNS = {
    "disc": "spots",
    "ring": "plain",
    "square": "checks",
    "triangle": "bars",
    "diamond": "slants",
    "cross": "grain",
    "star": "rings",
    "arrow": "stripes",
    "crescent": "plain",
    "hourglass": "checks",
    "gear": "rings",
    "letter": "slants",
}
LABELS = tuple(CONTOURS)


@dataclass(frozen=True)
class Sprite:
    """pixels: uint8 (SIDE, SIDE, 4), red, green and blue times alpha, and alpha. outline: (points, 2)."""

    pixels: np.ndarray
    outline: np.ndarray


def hue(label: str) -> int:
    """The usual hue of a class, in OpenCV's half degrees."""
    return LABELS.index(label) * 180 // len(LABELS)


def sprite(label: str, rng: np.random.Generator, around: int | None = None) -> Sprite:
    """One of its class: its colours vary around a hue (None: the class's own), its texture in scale and phase."""
    tint = int((hue(label) if around is None else around) + rng.integers(-6, 7))
    body = textures.colour(tint, int(rng.integers(150, 250)), int(rng.integers(150, 240)))
    other = textures.colour(tint + int(rng.integers(70, 110)), int(rng.integers(60, 200)), int(rng.integers(50, 110)))
    texture = textures.pattern(PATTERNS[label], SIDE, int(rng.integers(12, 20)), rng)
    shade = textures.noise(SIDE, SIDE, 24, rng) // 4
    painted = textures.mix(textures.mix(body, other, texture), np.zeros(3, np.uint8), shade)
    return cut(painted, CONTOURS[label], edge=other // 2)


def cut(painted: np.ndarray, contours: tuple[np.ndarray, ...], edge: np.ndarray | None = None) -> Sprite:
    """What of `painted`, uint8 RGB (SIDE, SIDE, 3), lies inside the contours, lined with the colour `edge`."""
    side = SIDE * FINER
    corners = [np.rint((contour * UNIT + SIDE / 2) * FINER - 0.5).astype(np.int32) for contour in contours]
    alpha = cv2.fillPoly(np.zeros((side, side), np.uint8), corners, 255)
    if edge is not None:
        line = cv2.polylines(np.zeros((side, side), np.uint8), corners, True, 255, 3 * FINER)
        painted = textures.mix(painted, edge, cv2.resize(line, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
    alpha = cv2.resize(alpha, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    rgb = (painted.astype(np.uint16) * alpha[..., None] + 127) // 255
    return Sprite(np.dstack([rgb.astype(np.uint8), alpha]), _along(contours[0]))


def _along(corners: np.ndarray) -> np.ndarray:
    """Points (8 x corners, 2) along the closed outline: where it is bent, its sides reach beyond their ends."""
    share = np.arange(8)[:, None] / 8
    sides = corners[:, None] * (1 - share) + np.roll(corners, -1, 0)[:, None] * share
    return sides.reshape(-1, 2)
