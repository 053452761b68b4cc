"""Overlaps of boxes and quadrilaterals as pixels, in the two ways of the VOT toolkits.

    vot     vot-toolkit 0.9 (vot/region/raster.py): corners, widths and heights rounded, halves to even; a box
            of w x h covers w x h pixels, a polygon also the pixels under its right and lower sides
    trax    TraX's region.c, behind the Matlab toolkit and pysot-toolkit: a box is the polygon of its
            corners x, y and x + width, y + height; corners rounded, halves away from 0; all sides covered, so
            that a box of w x h has (w + 1)(h + 1) pixels; a part one pixel thin is lost

Both fill polygons by scan lines: in each row of pixels what lies between crossings with the sides, those
cut down to whole pixels. Both count pixels in the image alone.

Regions are float (n, 4) or (n, 8), as in `polygons`. Pixels of the groundtruth are kept as the first and
last column in each row, and found once for all that is compared with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from trackers.evaluation.polygons import corners, is_polygon

Rule = Literal["vot", "trax"]

NOWHERE = 2**30  # the column of a side that does not cross the row: behind all images
FAR = 1e8  # what lies farther out is taken for this far: no image is so large
CHUNK = 1 << 16  # pixel rows worked on at a time: so the arrays stay in the processor's cache


@dataclass(frozen=True)
class Lines:
    """Pixels of p regions, by row: in row `top` + i those from column `left` to before `end`.

    top: (p,). left, end: (spans, p, rows), whole numbers; no pixel where left >= end. A region that is not
    convex may have two spans in a row, which share no pixel.
    """

    top: np.ndarray
    left: np.ndarray
    end: np.ndarray

    @property
    def area(self) -> np.ndarray:
        """(p,) in pixels."""
        return np.maximum(self.end - self.left, 0).sum((0, 2))

    def shared(self, other: Lines) -> np.ndarray:
        """(p,) pixels that are also in the regions of another, which has the same rows."""
        common = np.minimum(self.end[:, None], other.end) - np.maximum(self.left[:, None], other.left)
        return np.maximum(common, 0).sum((0, 1, 3))

    def shared_with_boxes(self, chosen: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """(q,) pixels of regions `chosen` (q,) that are also in boxes (q, 4), as `Pixels.cut`."""
        rows = int((boxes[:, 3] - self.top[chosen]).max(initial=-1)) + 1
        left, top, right, bottom = boxes.T[:, :, None].astype(self.left.dtype)
        row = self.top[chosen, None] + np.arange(min(max(rows, 0), self.left.shape[2]), dtype=self.left.dtype)
        inside = ((row >= top) & (row <= bottom)).astype(self.left.dtype)
        shared = np.zeros(len(boxes))
        for mine, end in zip(self.left[:, chosen, : row.shape[1]], self.end[:, chosen, : row.shape[1]], strict=True):
            common = np.minimum(end, right + 1)
            common -= np.maximum(mine, left)
            shared += np.einsum("qr,qr->q", np.maximum(common, 0, out=common), inside)
        return shared


@dataclass(frozen=True)
class Pixels:
    """n regions, rounded to pixels of an image.

    rule: see above. last: the last column and the last row that count. there: bool (n,). polygon: bool (n,).
    corners: (n, 4, 2), rounded. bounds: (n, 4) left, top, right, bottom, inclusive, in the image or not; where
    there is no region, the pixel 0, 0 (vot) or the image (trax). cut: the bounds of its pixels in the image;
    right < left or bottom < top where it has none.
    """

    rule: Rule
    last: tuple[int, int]
    there: np.ndarray
    polygon: np.ndarray
    corners: np.ndarray
    bounds: np.ndarray
    cut: np.ndarray

    def __len__(self) -> int:
        return len(self.there)

    @cached_property
    def begin(self) -> np.ndarray:
        """(n,) the column where a raster of this region alone begins."""
        return np.maximum(self.bounds[:, 0], 0)

    @cached_property
    def box_area(self) -> np.ndarray:
        """(n,) in pixels, of what is a box; of a polygon that of the box around it."""
        return np.prod(np.maximum(self.cut[:, 2:] - self.cut[:, :2] + 1, 0), 1)

    @cached_property
    def area(self) -> np.ndarray:
        """(n,) in pixels."""
        return np.where(self.polygon, self.lines.area, self.box_area) if self.polygon.any() else self.box_area

    @property
    def lines(self) -> Lines:
        """Of all regions, in rasters that begin at `begin`."""
        return self._lines_and_fragile[0]

    @property
    def fragile(self) -> np.ndarray:
        """bool (n,): has a crossing that is a whole pixel but for the last bit.

        Toolkits compute crossings from where the raster begins, which depends on the other region too, and cut
        them down; so that bit may decide about a pixel.
        """
        return self._lines_and_fragile[1]

    @cached_property
    def _lines_and_fragile(self) -> tuple[Lines, np.ndarray]:
        rows = _rows(self.cut)
        left, end = (np.zeros((2, len(self), rows.max(initial=0)), self._kind) for _ in range(2))
        fragile = np.zeros(len(self), bool)
        for part in _chunks(rows):
            y = self.cut[part, 1, None] + np.arange(rows[part].max())
            crossings = _crossings(self.corners[part], y, self.rule)
            nodes = _nodes(crossings, self.begin[part])
            fragile[part] = np.any(
                [(a != b).any(1) for a, b in zip(nodes, _nodes(crossings, np.zeros(len(y))), strict=True)], 0
            )
            lines = self._lines(part, nodes, y)
            spans = len(lines.left)
            left[:spans, part, : y.shape[1]], end[:spans, part, : y.shape[1]] = lines.left, lines.end
        spans = 2 if end[1].any() else 1
        return Lines(self.cut[:, 1], left[:spans], end[:spans]), fragile

    def lines_from(self, chosen: np.ndarray, begin: np.ndarray, y: np.ndarray) -> Lines:
        """Of regions `chosen` (q,), in rasters that begin at columns `begin` (q,), in rows y (q, rows)."""
        return self._lines(chosen, _nodes(_crossings(self.corners[chosen], y, self.rule), begin), y)

    def _lines(self, chosen: slice | np.ndarray, nodes: list[np.ndarray], y: np.ndarray) -> Lines:
        left, end = _spans(nodes, self.rule)
        left = np.maximum(left, 0).astype(self._kind)
        end = np.where(y <= self.last[1], np.minimum(end, self.last[0] + 1), 0).astype(self._kind)
        boxes = ~self.polygon[chosen]
        if boxes.any():
            first, top, right, bottom = self.cut[chosen][boxes].T[:, :, None]
            left[:, boxes] = end[:, boxes] = first
            end[0, boxes] = np.where((y[boxes] >= top) & (y[boxes] <= bottom), right + 1, first)
        return Lines(y[:, 0] if y.size else np.zeros(len(y)), left, end)

    @property
    def _kind(self) -> type[np.floating]:
        """Of numbers that count pixels: the smaller one while it is exact."""
        return np.float32 if (self.last[0] + 1) * (self.last[1] + 1) < 2**24 else np.float64


def pixels(regions: np.ndarray, last: tuple[int, int], rule: Rule) -> Pixels:
    """Regions (n, 4) or (n, 8) as pixels of an image; last: its last column and row (width - 1, height - 1)."""
    polygon = is_polygon(regions)
    there = ~np.isnan(regions[:, :4]).any(1) & ~(polygon & np.isnan(regions).any(1))
    regions = np.where(there[:, None], regions, 0.0).clip(-FAR, FAR)
    regions[there & ~polygon, 4:] = np.nan
    if rule == "vot":
        rounded = np.round(regions.astype(np.float32)).astype(float)
        points = corners(rounded)
        boxes = np.concatenate([rounded[:, :2], rounded[:, :2] + rounded[:, 2:4] - 1], 1)
        bounds = np.where(polygon[:, None], _bounds(points), boxes)
        cut = bounds
    else:
        exact = corners(regions).astype(np.float32).astype(float)
        points = np.trunc(exact + np.copysign(0.5, exact))
        outer = _bounds(exact)
        bounds = np.concatenate([np.floor(outer[:, :2]), np.ceil(outer[:, 2:])], 1)
        cut = _bounds(points)
        cut[(cut[:, 2:] == cut[:, :2]).any(1) & ~polygon, 2] = -1  # a box one pixel thin is lost
    bounds[~there] = (0, 0, *last) if rule == "trax" else 0
    cut = np.where(there[:, None], cut, (0, 0, -1, -1))
    cut = np.concatenate([np.maximum(cut[:, :2], 0), np.minimum(cut[:, 2:], last)], 1)
    return Pixels(rule, last, there, polygon & there, points, bounds, cut)


def overlaps(truth: Pixels, frames: np.ndarray, predicted: Pixels) -> np.ndarray:
    """Overlap (m,) of predicted regions with those of the groundtruth in `frames` (m,), both by one rule.

    vot: 1 where both have no extent, or none but one pixel wide or high; 0 where that is so inside the
    image; a region that is not there is the pixel 0, 0 without that pixel. trax: in float32; NaN where neither
    has a pixel, as of regions that are not there.
    """
    shared, union = _counts(truth, frames, predicted)
    outer, inner = truth.bounds[frames], predicted.bounds
    if truth.rule == "vot":
        around = np.concatenate([np.minimum(outer, inner)[:, :2], np.maximum(outer, inner)[:, 2:]], 1)
        within = np.concatenate([np.maximum(around[:, :2], 0), np.minimum(around[:, 2:], truth.last)], 1)
        overlap = np.divide(shared, union, out=np.zeros(len(union)), where=union > 0)
        overlap[(within[:, :2] >= within[:, 2:]).any(1)] = 0
        overlap[(around[:, :2] >= around[:, 2:]).any(1)] = 1
        return overlap
    with np.errstate(divide="ignore", invalid="ignore"):
        overlap = (shared.astype(np.float32) / union.astype(np.float32)).astype(float)
    overlap[_apart(_in_image(outer, truth.last), _in_image(inner, truth.last))] = 0
    return overlap


def _counts(truth: Pixels, frames: np.ndarray, predicted: Pixels) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (m,) in both regions, and in either."""
    begin = np.maximum(np.minimum(truth.bounds[frames, 0], predicted.bounds[:, 0]), 0)
    areas = truth.area[frames] + predicted.box_area
    common = np.concatenate(
        [
            np.maximum(truth.cut[frames, :2], predicted.cut[:, :2]),
            np.minimum(truth.cut[frames, 2:], predicted.cut[:, 2:]),
        ],
        1,
    )
    shared = np.prod(np.maximum(common[:, 2:] - common[:, :2] + 1, 0), 1)
    polygons = truth.polygon[frames] | predicted.polygon
    if not polygons.any():
        return shared, areas - shared
    simple = polygons & ~predicted.polygon & (~truth.fragile[frames] | (begin == truth.begin[frames]))
    for chosen in _groups(np.flatnonzero(simple), _rows(common)):
        shared[chosen] = truth.lines.shared_with_boxes(frames[chosen], predicted.cut[chosen])
    top = np.minimum(truth.cut[frames, 1], predicted.cut[:, 1])
    rows = _rows(np.stack([top, top, top, np.maximum(truth.cut[frames, 3], predicted.cut[:, 3])], 1))
    for chosen in _groups(np.flatnonzero(polygons & ~simple), rows):
        y = top[chosen, None] + np.arange(rows[chosen].max())
        mine = truth.lines_from(frames[chosen], begin[chosen], y)
        theirs = predicted.lines_from(chosen, begin[chosen], y)
        shared[chosen] = mine.shared(theirs)
        areas[chosen] = mine.area + theirs.area
    return shared, areas - shared


def _crossings(points: np.ndarray, y: np.ndarray, rule: Rule) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Where each side of polygons (p, 4, 2) crosses rows y (p, rows): x of a corner, the way from it, whether at all.

    The way is computed with the operations of the toolkits, in their order.
    """
    sides = []
    for i in range(4):
        x, start = points[:, i, :1], points[:, i, 1:]
        width, height = points[:, i - 1, :1] - x, points[:, i - 1, 1:] - start
        crossed = (y >= np.minimum(start, start + height)) & (y <= np.maximum(start, start + height))
        if rule == "trax":
            crossed &= height != 0
        way = y - start
        way /= np.where(height == 0, 1, height)
        way *= width
        sides.append((x, way, crossed))
    return sides


def _nodes(crossings: list[tuple[np.ndarray, np.ndarray, np.ndarray]], begin: np.ndarray) -> list[np.ndarray]:
    """Columns (p, rows) of each side's crossings, cut down to whole pixels from column `begin` (p,) on."""
    column = begin.astype(np.int32)[:, None]
    return [
        np.where(crossed, (x - begin[:, None] + way).astype(np.int32) + column, NOWHERE)
        for x, way, crossed in crossings
    ]


def _spans(nodes: list[np.ndarray], rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Left and end (2, p, rows) of what lies between the crossings: the toolkits' walk along a row, of up to four.

    Two crossings in one pixel count as one, met at a corner, and the walk goes on from the second.
    """
    a, b, c, d = nodes
    a, b, c, d = np.minimum(a, b), np.maximum(a, b), np.minimum(c, d), np.maximum(c, d)
    a, b, c, d = np.minimum(a, c), np.minimum(b, d), np.maximum(a, c), np.maximum(b, d)
    b, c = np.minimum(b, c), np.maximum(b, c)
    right = np.where(a != b, b, np.where(b != c, c, d))
    second = (a != b) & (d != NOWHERE)
    if rule == "vot":
        right = np.where((right == NOWHERE) & (b != NOWHERE), a, right)  # the last two crossings, in one pixel
        filled = right != NOWHERE
    else:
        filled = (right != NOWHERE) & (right != a)
        second &= c != d
    left = np.stack([a, np.maximum(c, b + 1)])
    return left, np.where(np.stack([filled, second]), np.stack([right, d]) + 1, left)


def _in_image(bounds: np.ndarray, last: tuple[int, int]) -> np.ndarray:
    return np.concatenate([np.maximum(bounds[:, :2], 0), np.minimum(bounds[:, 2:], last)], 1)


def _apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """bool (m,): whose overlap TraX takes for 0 by their bounds (m, 4), without a look at the pixels."""
    around = np.maximum(a[:, 2:], b[:, 2:]) - np.minimum(a[:, :2], b[:, :2]) + 1
    area_a, area_b = np.prod(a[:, 2:] - a[:, :2], 1), np.prod(b[:, 2:] - b[:, :2], 1)
    common = np.prod(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        unlike = (area_a / area_b < 1e-10) | (area_b / area_a < 1e-10)
        return (around < 1).any(1) | unlike | (common / (area_a + area_b - common) <= 0)


def _bounds(points: np.ndarray) -> np.ndarray:
    """Corners (n, 4, 2) -> left, top, right, bottom (n, 4)."""
    return np.concatenate([points.min(1), points.max(1)], 1)


def _rows(cut: np.ndarray) -> np.ndarray:
    """(n,) how many rows of pixels lie between top and bottom."""
    return np.maximum(cut[:, 3] - cut[:, 1] + 1, 0).astype(int)


def _chunks(rows: np.ndarray) -> Iterator[slice]:
    """All regions, some at a time, of so many rows each."""
    step = max(1, CHUNK // max(1, int(rows.max(initial=0))))
    return (slice(start, start + step) for start in range(0, len(rows), step))


def _groups(chosen: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """`chosen` regions (q,), some at a time."""
    return (chosen[part] for part in _chunks(rows[chosen]))
