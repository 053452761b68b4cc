"""Polygons: exact areas, and the area that two of them share.

Regions are float (n, 4), boxes of x, y, width, height; or float (n, 2 k), polygons of up to k corners x1, y1, ...,
xk, yk, where a row with NaN behind has fewer, and one of four numbers is a box. A row of NaN is a region that
is not there.

Corners may run either way round, and may point inwards. Where two sides of a quadrilateral cross, the region is
what the eye sees: the two triangles that meet at the crossing. Sides of polygons of more corners may not cross.
"""

from __future__ import annotations

import numpy as np

ROUNDING = 1e-12  # of a corner's distance from a line, in the largest of the polygon's


def corners(regions: np.ndarray) -> np.ndarray:
    """Corners (n, k, 2), k at least 4, of regions (n, 4) or (n, 2 k); those of a box from its top left, clockwise.

    The last corner is repeated where a region has fewer.
    """
    x, y = regions[:, 0], regions[:, 1]
    right, bottom = x + regions[:, 2], y + regions[:, 3]
    points = np.stack([x, y, right, y, right, bottom, x, bottom], 1)
    if regions.shape[1] > 4:
        wide = np.pad(regions, ((0, 0), (0, max(0, 8 - regions.shape[1]))), constant_values=np.nan)
        points = np.where(is_polygon(regions)[:, None], wide, np.pad(points, ((0, 0), (0, wide.shape[1] - 8)), "edge"))
    points = points.reshape(len(regions), points.shape[1] // 2, 2)
    number = number_of_corners(regions)
    if (number == points.shape[1]).all():
        return points
    return np.take_along_axis(points, np.minimum(np.arange(points.shape[1]), number[:, None] - 1)[..., None], 1)


def is_polygon(regions: np.ndarray) -> np.ndarray:
    """bool (n,): which rows of regions (n, 4) or (n, 2 k) are polygons."""
    if regions.shape[1] == 4:
        return np.zeros(len(regions), bool)
    return ~np.isnan(regions[:, 4:]).all(1)


def number_of_corners(regions: np.ndarray) -> np.ndarray:
    """(n,) of polygons; 4 of boxes, and where there is no region."""
    last = regions.shape[1] - np.argmin(np.isnan(regions[:, ::-1]), 1)  # one behind the last number
    return np.where(is_polygon(regions), (last + 1) // 2, 4)


def area(regions: np.ndarray) -> np.ndarray:
    """Area (n,) in square pixels; NaN of a region that is not there."""
    triangles, weights = _triangles(regions)
    return (weights * np.abs(_signed_area(triangles))).sum(1)


def intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Area (n,) that regions a and b share, row by row; NaN where either is not there."""
    (first, weights), (second, other_weights) = _triangles(a), _triangles(b)
    shared = np.zeros(len(a))
    for i in range(first.shape[1]):
        for j in range(second.shape[1]):
            shared += weights[:, i] * other_weights[:, j] * _shared(first[:, i], second[:, j])
    return shared


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union (n,) in [0, 1]; 0 where both are of no area, NaN where either is not there."""
    shared = intersection(a, b)
    union = area(a) + area(b) - shared
    return (shared / np.where(union == 0, 1, union)).clip(0, 1)


def _triangles(regions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (n, t, 3, 2) and weights (n, t) of 1, -1 or 0: every point of a region is in triangles of sum 1."""
    points = corners(regions)
    halves = _halves(points[:, :4])
    if points.shape[1] == 4:
        return halves, np.ones(halves.shape[:2])
    # Those of a fan around the first corner, by which way round they run.
    fan = np.stack([np.broadcast_to(points[:, :1], points[:, 2:].shape), points[:, 1:-1], points[:, 2:]], 2)
    signed = _signed_area(fan)
    weights = np.sign(signed) * np.sign(signed.sum(1, keepdims=True))
    quadrilateral = number_of_corners(regions) <= 4
    fan[quadrilateral, :2] = halves[quadrilateral]
    weights[quadrilateral] = np.where(np.isnan(weights[quadrilateral]), np.nan, np.arange(fan.shape[1]) < 2)
    return fan, weights


def _halves(quadrilaterals: np.ndarray) -> np.ndarray:
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
    # Corners on the line count as above it, whatever rounding says: one that is there twice would cross it once more.
    height = np.where(np.abs(height) < ROUNDING * np.abs(height).max(1, keepdims=True, initial=0), 0, height)
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
