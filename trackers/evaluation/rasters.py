"""Overlaps of boxes, polygons and masks as pixels, in the ways of the VOT toolkits.

    vot            vot-toolkit 0.9 (vot/region/raster.py): corners, widths and heights rounded, halves to even; a
                   box of w x h covers w x h pixels, a polygon also the pixels under its right and lower sides
    trax           TraX's region.c, behind the Matlab toolkit from VOT2016 on, and pysot-toolkit: a box is the
                   polygon of its corners x, y and x + width, y + height; corners rounded, halves away from 0;
                   all sides covered, so that a box of w x h has (w + 1)(h + 1) pixels; a part one pixel
                   thin is lost
    trax-legacy    region.c with REGION_LEGACY_RASTERIZATION, behind the Matlab toolkit until VOT2015: corners
                   as they are; rows are counted from the highest corner of the two regions, columns from
                   the leftmost; the first row, and the pixels under right sides, not covered

All fill polygons by scan lines: in each row of pixels what lies between crossings with the sides, those
cut down to whole pixels. vot and trax count pixels in the image alone, trax-legacy those outside too.

Regions are float (n, 4) or (n, 2 x corners), as in `polygons`. Pixels of the groundtruth are kept as the first
and last column in each row, and found once for all that is compared with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from trackers import masks
from trackers.evaluation.polygons import corners, is_polygon, number_of_corners
from trackers.sequence import Regions

Rule = Literal["vot", "trax", "trax-legacy"]

NOWHERE = 2**30  # the column of a side that does not cross the row: behind all images
FAR = 1e8  # what lies farther out is taken for this far: no image is so large
CHUNK = 1 << 16  # pixel rows worked on at a time: so the arrays stay in the processor's cache
BYTES = 1 << 25  # of masks held at a time


@dataclass(frozen=True)
class Lines:
    """Pixels of p regions, row by row, the rows of all regions under each other.

    top: (p,) the first row of each. starts: (p + 1,) where its rows begin. left, end: int32 (spans, N), the columns
    from `left` to before `end`; no pixel where left >= end. A region that is not convex may have several
    spans in a row, which share no pixel.
    """

    top: np.ndarray
    starts: np.ndarray
    left: np.ndarray
    end: np.ndarray

    @cached_property
    def area(self) -> np.ndarray:
        """(p,) in pixels."""
        return _sums(np.maximum(self.end - self.left, 0).sum(0), self.starts)

    def rows(self, chosen: np.ndarray, top: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Left and end (spans, N) of regions `chosen` (q,) in rows from `top` (q,) on, `number` (q,) of them."""
        row = np.repeat(self.starts[chosen] + top - self.top[chosen], number) + _each(number)
        return self.left.take(row, 1), self.end.take(row, 1)


@dataclass(frozen=True)
class Pixels:
    """n regions, rounded to pixels of an image.

    rule: see above. last: the last column and the last row that count. there: bool (n,). polygon: bool (n,).
    corners: (n, k, 2), rounded but for trax-legacy. number: (n,) how many of them there are; the others repeat the
    last. bounds: (n, 4) left, top, right, bottom, inclusive, in the image or not; where there is no region,
    the pixel 0, 0 or (trax) the image. cut: the bounds of its pixels in the image; right < left or bottom < top
    where it has none.
    """

    rule: Rule
    last: tuple[int, int]
    there: np.ndarray
    polygon: np.ndarray
    corners: np.ndarray
    number: np.ndarray
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

    @cached_property
    def lines(self) -> Lines:
        """Of all regions, in rasters that begin at `begin`."""
        return self.lines_from(np.arange(len(self)), self.begin)

    @cached_property
    def fragile(self) -> np.ndarray:
        """bool (n,): has a crossing that is a whole pixel but for the last bit.

        Toolkits compute crossings from where the raster begins, which depends on the other region too, and cut
        them down; so that bit may decide about a pixel.
        """
        other = self.lines_from(np.arange(len(self)), np.zeros(len(self)))
        differs = ((other.left != self.lines.left) | (other.end != self.lines.end)).any(0)
        return _sums(differs, other.starts) > 0

    @cached_property
    def _convex(self) -> np.ndarray:
        """bool (n,): quadrilaterals that turn the same way at all four corners."""
        along = np.roll(self.corners[:, :4], -1, 1) - self.corners[:, :4]
        turns = _cross(along, np.roll(along, -1, 1))
        return self.polygon & (self.number == 4) & (np.abs(np.sign(turns).sum(1)) == 4)

    def lines_from(self, chosen: np.ndarray, begin: np.ndarray) -> Lines:
        """Of regions `chosen` (q,), in rasters that begin at columns `begin` (q,)."""
        rows = _rows(self.cut[chosen])
        starts = np.concatenate([[0], np.cumsum(rows)])
        spans = max(1, self.corners.shape[1] // 2) if (self.polygon & ~self._convex)[chosen].any() else 1
        left, end = np.zeros((2, spans, starts[-1]), np.int32)
        for kind, columns, parts in (
            (~self.polygon, self._box_columns, _parts),
            (self._convex, self._convex_columns, _parts),
            (self.polygon & ~self._convex, self._walked_columns, _parts_of_like_height),
        ):
            for part in parts(np.flatnonzero(kind[chosen]), rows):
                if (np.diff(part) == 1).all():
                    here: slice | np.ndarray = slice(starts[part[0]], starts[part[-1] + 1])
                else:
                    here = np.repeat(starts[part], rows[part]) + _each(rows[part])
                first, behind = columns(chosen[part], begin[part], rows[part])
                left[: len(first), here] = np.minimum(np.maximum(first, 0), self.last[0] + 1)
                end[: len(first), here] = np.minimum(behind, self.last[0] + 1)
        return Lines(self.cut[chosen, 1].astype(int), starts, left, end)

    def _box_columns(self, chosen: np.ndarray, _: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Left and end (1, N) of boxes in all their rows."""
        left, end = (np.repeat(column, rows)[None] for column in (self.cut[chosen, 0], self.cut[chosen, 2] + 1))
        return left, end

    def _convex_columns(self, chosen: np.ndarray, begin: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Left and end (1, N) of convex quadrilaterals: each row between a side on the left and one on the right.

        The crossings are computed with the operations of the toolkits, in their order.
        """
        points, top = self.corners[chosen, :4], self.cut[chosen, 1]
        from_here = np.roll(points, 1, 1) - points
        x, y, width, height = points[:, :, 0], points[:, :, 1], from_here[:, :, 0], from_here[:, :, 1]
        downwards = _cross(points[:, 1] - points[:, 0], points[:, 2] - points[:, 1])[:, None] > 0
        right = (height < 0) == downwards
        low = np.maximum(np.minimum(y, y + height), top[:, None])
        high = np.minimum(np.maximum(y, y + height), (top + rows - 1)[:, None])
        number = np.where(height == 0, 0, np.maximum(high - low + 1, 0)).astype(int).ravel()
        offset = (np.cumsum(rows) - rows - top)[:, None] + low + right * rows.sum()
        each = _each(number)
        way = np.repeat((low - y).ravel(), number) + each
        way /= np.repeat(height.ravel(), number)
        way *= np.repeat(width.ravel(), number)
        way += np.repeat((x - begin[:, None]).ravel(), number)
        columns = np.zeros(2 * rows.sum(), np.int32)
        columns[np.repeat(offset.astype(int).ravel(), number) + each] = way.astype(np.int32)
        first, second = columns.reshape(2, 1, -1)
        second += 1 if self.rule == "vot" else second != first
        if begin.any():
            column = np.repeat(begin.astype(np.int32), rows)
            first += column
            second += column
        return first, second

    def _walked_columns(self, chosen: np.ndarray, begin: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Left and end (spans, N) of polygons of any form."""
        y = self.cut[chosen, 1, None] + np.arange(rows.max(initial=0))
        sides = _sides(self.corners[chosen], self.number[chosen], y, self.rule)
        column = begin.astype(np.int32)[:, None]
        nodes = [
            np.where(crossed, (x - begin[:, None] + way).astype(np.int32) + column, NOWHERE)
            for x, way, crossed in sides
        ]
        left, end = _spans(np.sort(nodes, 0), self.rule)
        inside = np.arange(y.shape[1]) < rows[:, None]
        return left[:, inside], end[:, inside]


def pixels(regions: np.ndarray, last: tuple[int, int], rule: Rule) -> Pixels:
    """Regions (n, 4) or (n, 2 x corners) as pixels of an image.

    last: its last column and row (width - 1, height - 1), which trax-legacy does without.
    """
    polygon = is_polygon(regions)
    number = number_of_corners(regions)
    given = np.arange(regions.shape[1]) < np.where(polygon, 2 * number, 4)[:, None]
    there = ~(np.isnan(regions) & given).any(1)
    regions = np.where(given, np.where(there[:, None], regions, 0.0).clip(-FAR, FAR), np.nan)
    if rule == "vot":
        rounded = np.round(regions.astype(np.float32)).astype(float)
        points = corners(rounded)
        boxes = np.concatenate([rounded[:, :2], rounded[:, :2] + rounded[:, 2:4] - 1], 1)
        bounds = np.where(polygon[:, None], _bounds(points), boxes)
        cut = bounds
    else:
        exact = corners(regions).astype(np.float32)
        points = exact if rule == "trax-legacy" else np.trunc(exact + np.copysign(0.5, exact.astype(float)))
        outer = _bounds(exact.astype(float))
        bounds = outer if rule == "trax-legacy" else np.concatenate([np.floor(outer[:, :2]), np.ceil(outer[:, 2:])], 1)
        cut = _bounds(points).astype(float)
        cut[(cut[:, 2:] == cut[:, :2]).any(1) & ~polygon, 2] = -1  # a box one pixel thin is lost
    bounds = np.where(there[:, None], bounds, (0, 0, *last) if rule == "trax" else 0.0)
    cut = np.where(there[:, None], cut, (0, 0, -1, -1))
    cut = np.concatenate([np.maximum(cut[:, :2], 0), np.minimum(cut[:, 2:], last)], 1)
    return Pixels(rule, last, there, polygon & there, points, number, bounds, cut)


def overlaps(truth: Pixels, frames: np.ndarray, predicted: Pixels) -> np.ndarray:
    """Overlap (m,) of predicted regions with those of the groundtruth in `frames` (m,), both by one rule.

    vot: 1 where both have no extent, or none but one pixel wide or high; 0 where that is so inside the
    image; a region that is not there is the pixel 0, 0 without that pixel. trax, trax-legacy: in float32; NaN where
    neither has a pixel, as of regions that are not there.
    """
    count = _counts_from_corner if truth.rule == "trax-legacy" else _counts
    shared, union = count(truth, frames, predicted)
    outer, inner = truth.bounds[frames], predicted.bounds
    if truth.rule == "vot":
        return _vot_overlap(shared, union, outer, inner, truth.last)
    with np.errstate(divide="ignore", invalid="ignore"):
        overlap = (shared.astype(np.float32) / union.astype(np.float32)).astype(float)
    if truth.rule == "trax":
        outer, inner = _in_image(outer, truth.last), _in_image(inner, truth.last)
    overlap[_apart(outer, inner)] = 0
    if truth.rule == "trax-legacy":
        overlap[~(truth.there[frames] & predicted.there)] = np.nan
    return overlap


def mask_overlaps(
    truth: Regions, frames: np.ndarray, predicted: np.ndarray | Regions, size: tuple[int, int]
) -> np.ndarray:
    """Overlap (m,) by the rule vot with the masks of the groundtruth in `frames` (m,), in images of `size`.

    predicted: boxes or polygons (m, 4) or (m, 2 x corners); or masks, by frame as those of the groundtruth. Raises
    ValueError for masks of other sizes. What `overlaps` says of regions without extent holds for empty masks, too.
    """
    last = size[0] - 1, size[1] - 1
    found = np.zeros(len(frames))
    step = max(1, BYTES // (size[0] * size[1]))
    for start in range(0, len(frames), step):
        part = slice(start, start + step)
        true = [masks.of_region(truth[t], size) for t in frames[part].tolist()]
        outer = _mask_bounds(true)
        area = np.array([np.count_nonzero(mask) for mask in true])
        if isinstance(predicted, np.ndarray):
            region = pixels(predicted[part], last, "vot")
            inner = region.bounds
            begin = np.maximum(np.minimum(outer[:, 0], inner[:, 0]), 0)
            lines = region.lines_from(np.arange(len(region)), begin)
            shared, other = _shared_with_masks(lines, true), lines.area
        else:
            said = [masks.of_region(predicted[t], size) for t in frames[part].tolist()]
            inner = _mask_bounds(said)
            shared = np.array([np.count_nonzero(a & b) for a, b in zip(true, said, strict=True)])
            other = np.array([np.count_nonzero(mask) for mask in said])
        found[part] = _vot_overlap(shared, area + other - shared, outer, inner, last)
    return found


def _shared_with_masks(lines: Lines, true: list[np.ndarray]) -> np.ndarray:
    """(p,) pixels of regions that are also on in masks (height, width)."""
    shared = np.zeros(len(true), int)
    for i, mask in enumerate(true):
        rows = slice(lines.starts[i], lines.starts[i + 1])
        left, end = lines.left[:, rows], lines.end[:, rows]
        window = mask[lines.top[i] : lines.top[i] + left.shape[1]]
        before = np.concatenate([[0], np.cumsum(window, dtype=np.int32)])  # of the pixels in reading order
        line = np.arange(left.shape[1]) * mask.shape[1]
        shared[i] = (before[line + np.maximum(left, end)] - before[line + left]).sum()
    return shared


def _mask_bounds(given: list[np.ndarray]) -> np.ndarray:
    """Left, top, right, bottom (n, 4), inclusive, of masks; the pixel 0, 0 of an empty one."""
    boxes = np.array([masks.bounding_box(mask) for mask in given]).reshape(-1, 4)
    return np.nan_to_num(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:] - 1], 1))


def _vot_overlap(
    shared: np.ndarray, union: np.ndarray, outer: np.ndarray, inner: np.ndarray, last: tuple[int, int]
) -> np.ndarray:
    """Overlaps (m,) from pixels in both and in either, and the bounds (m, 4) of both."""
    around = np.concatenate([np.minimum(outer, inner)[:, :2], np.maximum(outer, inner)[:, 2:]], 1)
    within = _in_image(around, last)
    overlap = np.divide(shared, union, out=np.zeros(len(union)), where=union > 0)
    overlap[(within[:, :2] >= within[:, 2:]).any(1)] = 0
    overlap[(around[:, :2] >= around[:, 2:]).any(1)] = 1
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
    top, rows = common[:, 1].astype(int), _rows(common)
    known = ~truth.fragile[frames] | (begin == truth.begin[frames])
    for told in (False, True):
        for polygonal in (False, True):
            group = np.flatnonzero(polygons & (known == told) & (predicted.polygon == polygonal))
            for chosen in _parts(group, np.maximum(rows, _rows(predicted.cut) * polygonal)):
                mine, ids = truth.lines, frames[chosen]
                if not told:
                    mine, ids = truth.lines_from(ids, begin[chosen]), np.arange(len(chosen))
                    areas[chosen] += mine.area - truth.area[frames[chosen]]
                left, end = mine.rows(ids, top[chosen], rows[chosen])
                if polygonal:
                    theirs = predicted.lines_from(chosen, begin[chosen])
                    areas[chosen] += theirs.area - predicted.box_area[chosen]
                    other = theirs.rows(np.arange(len(chosen)), top[chosen], rows[chosen])
                else:
                    column, behind = predicted.cut[chosen][:, [0, 2]].astype(np.int32).T
                    other = np.repeat(column, rows[chosen])[None], np.repeat(behind + 1, rows[chosen])[None]
                shared[chosen] = _sums(_common(left, end, *other), np.concatenate([[0], np.cumsum(rows[chosen])]))
    return shared, areas - shared


def _counts_from_corner(truth: Pixels, frames: np.ndarray, predicted: Pixels) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (m,) in both regions, and in either, as trax-legacy: from the upper left corner around both."""
    shared, union = np.zeros((2, len(frames)))
    corner = np.minimum(truth.bounds[frames, :2], predicted.bounds[:, :2]).astype(np.float32)
    bottom = np.maximum(truth.bounds[frames, 3], predicted.bounds[:, 3]).astype(np.float32)
    rows = (bottom - corner[:, 1]).astype(int) + 1
    apart = _apart(truth.bounds[frames], predicted.bounds)
    for part in _parts_of_like_height(np.flatnonzero(truth.there[frames] & predicted.there & ~apart), rows):
        y = np.broadcast_to(np.arange(rows[part].max(initial=0), dtype=np.float32), (len(part), rows[part].max()))
        ends = []
        for region, chosen in ((truth, frames[part]), (predicted, part)):
            points = region.corners[chosen] - corner[part, None]
            sides = _sides(points, region.number[chosen], y, "trax-legacy")
            nodes = [np.where(crossed, (x + way).astype(np.int32), NOWHERE) for x, way, crossed in sides]
            ends.append(_spans(np.sort(nodes, 0), "trax-legacy"))
        (left, end), other = ends
        both = _common(left, end, *other).sum(1)
        shared[part] = both
        union[part] = sum(np.maximum(b - a, 0).sum((0, 2)) for a, b in ends) - both
    return shared, union


def _common(left: np.ndarray, end: np.ndarray, other_left: np.ndarray, other_end: np.ndarray) -> np.ndarray:
    """(...) pixels in both of what has spans (s, ...) and (t, ...) in each row."""
    total = np.zeros(left.shape[1:], np.int32)
    for a, b in zip(left, end, strict=True):
        for c, d in zip(other_left, other_end, strict=True):
            both = np.minimum(b, d)
            both -= np.maximum(a, c)
            total += np.maximum(both, 0, out=both)
    return total


def _sides(
    points: np.ndarray, number: np.ndarray, y: np.ndarray, rule: Rule
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Where each side of polygons (p, k, 2) crosses rows y (p, rows): x of a corner, the way from it, whether at all.

    The way is computed with the operations of the toolkits, in their order.
    """
    for i in range(points.shape[1]):
        x, start = points[:, i, :1], points[:, i, 1:]
        width, height = points[:, i - 1, :1] - x, points[:, i - 1, 1:] - start
        before = points[:, i - 1, 1:]
        if rule == "trax-legacy":
            crossed = (start < y) != (before < y)
        else:
            crossed = (y >= np.minimum(start, before)) & (y <= np.maximum(start, before))
        crossed &= (i < number)[:, None]
        if rule == "trax":
            crossed &= height != 0
        way = y - start
        way /= np.where(height == 0, 1, height)
        way *= width
        yield x, way, crossed


def _spans(nodes: np.ndarray, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Left and end (k // 2, p, rows) of what lies sorted crossings (k, p, rows): the toolkits' walk along a row.

    Two crossings in one pixel count as one, met at a corner, and the walk goes on from the second; not so in
    trax-legacy, which has each crossing once.
    """
    k = len(nodes)
    left, end = np.zeros((2, max(1, k // 2), *nodes.shape[1:]), np.int32)
    covered = np.full(nodes.shape[1:], -NOWHERE, np.int32)
    here = np.ones(nodes.shape[1:], bool)
    for i in range(k - 1):
        first, second = nodes[i], nodes[i + 1]
        pair = here & (second != NOWHERE)
        filled = pair
        if rule == "vot":
            following = nodes[i + 2] != NOWHERE if i + 2 < k else np.zeros_like(pair)
            filled = pair & ((first != second) | ~following)  # the last two may be in one pixel
        elif rule == "trax":
            filled = pair & (first != second)
        behind = second + (rule != "trax-legacy")
        left[i // 2] = np.where(filled, np.maximum(first, covered), left[i // 2])
        end[i // 2] = np.where(filled, behind, end[i // 2])
        covered = np.where(filled, behind, covered)
        here = ~here | (pair & ~filled)
    return left, end


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


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _bounds(points: np.ndarray) -> np.ndarray:
    """Corners (n, k, 2) -> left, top, right, bottom (n, 4)."""
    sides = np.ascontiguousarray(points.transpose(1, 2, 0))  # many times faster than along short rows
    return np.concatenate([sides.min(0), sides.max(0)]).T


def _rows(cut: np.ndarray) -> np.ndarray:
    """(n,) how many rows of pixels lie between top and bottom."""
    return np.maximum(cut[:, 3] - cut[:, 1] + 1, 0).astype(int)


def _each(numbers: np.ndarray) -> np.ndarray:
    """0, 1, ... to before each number, one after the other."""
    ends = np.cumsum(numbers)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - numbers, numbers)


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(p,): of values (N,) from each start (p + 1,) to the next."""
    return np.diff(np.concatenate([[0], np.cumsum(values, dtype=np.int64)])[starts])


def _parts(chosen: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """`chosen` regions (q,) in order, some at a time, of about `CHUNK` rows (n,) together."""
    group = np.cumsum(rows[chosen]) // CHUNK
    return (part for part in np.split(chosen, np.flatnonzero(np.diff(group)) + 1) if len(part))


def _parts_of_like_height(chosen: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    """As `_parts`, in other order, of rows (n,) that differ by a factor of 2 at most: to be padded to the most."""
    _, heights = np.frexp(rows[chosen])
    return (part for height in np.unique(heights) for part in _parts(chosen[heights == height], rows))
