"""Quadrilaterals: exact areas, and the area that two of them share.

Regions are float (n, 4), boxes of x, y, width, height; or float (n, 8), polygons of four corners x1, y1, ...,
x4, y4, where a row of four numbers with NaN behind is a box. A row of NaN is a region that is not there.

Corners may run either way round, and a corner may point inwards. Where two sides cross, the region is what
the eye sees: the two triangles that meet at the crossing.
"""

from __future__ import annotations

import numpy as np


def corners(regions: np.ndarray) -> np.ndarray:
    """Corners (n, 4, 2) of regions (n, 4) or (n, 8); those of a box from its top left, clockwise."""
    x, y = regions[:, 0], regions[:, 1]
    right, bottom = x + regions[:, 2], y + regions[:, 3]
    boxes = np.stack([x, y, right, y, right, bottom, x, bottom], 1)
    if regions.shape[1] == 8:
        boxes = np.where(is_polygon(regions)[:, None], regions, boxes)
    return boxes.reshape(-1, 4, 2)


def is_polygon(regions: np.ndarray) -> np.ndarray:
    """bool (n,): which rows of regions (n, 4) or (n, 8) are polygons."""
    if regions.shape[1] == 4:
        return np.zeros(len(regions), bool)
    return ~np.isnan(regions[:, 4:]).all(1)


def area(regions: np.ndarray) -> np.ndarray:
    """Area (n,) in square pixels; NaN of a region that is not there."""
    return np.abs(_signed_area(_triangles(corners(regions)))).sum(1)


def intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Area (n,) that regions a and b share, row by row; NaN where either is not there."""
    first, second = _triangles(corners(a)), _triangles(corners(b))
    return np.sum([_shared(first[:, i], second[:, j]) for i in (0, 1) for j in (0, 1)], axis=0)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union (n,) in [0, 1]; 0 where both are of no area, NaN where either is not there."""
    shared = intersection(a, b)
    union = area(a) + area(b) - shared
    return (shared / np.where(union == 0, 1, union)).clip(max=1)


def _triangles(quadrilaterals: np.ndarray) -> np.ndarray:
    """(n, 4, 2) -> (n, 2, 3, 2): two triangles that share no area and together are the quadrilateral."""
    a, b, c, d = (quadrilaterals[:, i] for i in range(4))
    # Cut along a diagonal that lies inside: both other corners lie on different sides of it.
    triangles = np.stack([np.stack([a, b, c], 1), np.stack([a, c, d], 1)], 1)
    along_ac = _cross(b - a, c - a) * _cross(d - a, c - a) <= 0
    along_bd = _cross(a - b, d - b) * _cross(c - b, d - b) <= 0
    other = ~along_ac & along_bd
    triangles[other] = np.stack([np.stack([a, b, d], 1), np.stack([b, c, d], 1)], 1)[other]
    crossed = ~along_ac & ~along_bd
    if crossed.any():
        triangles[crossed] = _crossed(quadrilaterals[crossed])
    return triangles


def _crossed(quadrilaterals: np.ndarray) -> np.ndarray:
    """The two triangles (n, 2, 3, 2) of quadrilaterals (n, 4, 2) two of whose opposite sides cross."""
    a, b, c, d = (quadrilaterals[:, i] for i in range(4))
    ends_apart = _cross(b - a, c - a) * _cross(b - a, d - a) < 0  # ab and cd cross; else bc and da
    a, b, c, d = (np.where(ends_apart[:, None], p, q) for p, q in ((a, b), (b, c), (c, d), (d, a)))
    share = _cross(c - a, d - c) / _cross(b - a, d - c)
    meeting = a + share[:, None] * (b - a)
    return np.stack([np.stack([meeting, b, c], 1), np.stack([meeting, d, a], 1)], 1)


def _shared(triangles: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Area (n,) that two triangles (n, 3, 2) share."""
    # A point has no sides that would clip.
    return np.where(_signed_area(others) == 0, 0, np.abs(_signed_area(_clip(triangles, others))))


def _clip(polygons: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The part of convex polygons (n, k, 2) inside triangles (n, 3, 2): (n, k + 3, 2), corners repeated at will."""
    clockwise = np.where(_signed_area(triangles) < 0, -1.0, 1.0)[:, None]
    for i in range(3):
        start, side = triangles[:, i, None], triangles[:, (i + 1) % 3, None] - triangles[:, i, None]
        polygons = _half(polygons, clockwise * _cross(side, polygons - start))
    return polygons


def _half(polygons: np.ndarray, height: np.ndarray) -> np.ndarray:
    """The part of convex polygons (n, k, 2) where `height` (n, k) of a line is not below 0: (n, k + 1, 2)."""
    following, height_there = np.roll(polygons, -1, 1), np.roll(height, -1, 1)
    above = height >= 0
    crossing = above != (height_there >= 0)
    share = np.divide(height, height - height_there, out=np.zeros_like(height), where=crossing)
    cut = polygons + share[..., None] * (following - polygons)
    n, k = height.shape
    points = np.stack([polygons, cut], 2).reshape(n, 2 * k, 2)
    kept = np.stack([above, crossing], 2).reshape(n, 2 * k)
    order = np.argsort(~kept, axis=1, kind="stable")[:, : k + 1]
    points = np.take_along_axis(points, order[..., None], 1)
    kept = np.take_along_axis(kept, order, 1)
    return np.where(kept[..., None], points, points[:, :1])  # a corner repeated, so that all have k + 1


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _signed_area(polygons: np.ndarray) -> np.ndarray:
    """Area (...) of polygons (..., k, 2); NaN where a corner is, above 0 where x turns to y."""
    about = polygons - polygons[..., :1, :]  # so that far from the origin no digits are lost
    return _cross(about, np.roll(about, -1, -2)).sum(-1) / 2
