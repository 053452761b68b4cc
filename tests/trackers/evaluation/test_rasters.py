from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackers import boxes, masks
from trackers.evaluation import polygons, rasters
from trackers.evaluation.rasters import Rule

NAN = np.nan
LAST = (99, 79)
GONE = [NAN] * 8


def box(x: float, y: float, width: float, height: float) -> list[float]:
    return [x, y, width, height, NAN, NAN, NAN, NAN]


def overlap(truth: list[float], predicted: list[float], rule: Rule) -> float:
    a, b = (rasters.pixels(np.array([row], float), LAST, rule) for row in (truth, predicted))
    return float(rasters.overlaps(a, np.array([0]), b)[0])


@pytest.mark.parametrize(
    ("truth", "predicted", "vot", "trax"),
    [
        (box(10, 10, 4, 4), box(12, 10, 4, 4), 8 / 24, 15 / 35),  # 4 x 4 pixels; 5 x 5, of which 3 x 5 are shared
        (box(-2, 0, 4, 4), box(0, 0, 4, 4), 8 / 16, 15 / 25),  # what is left of the image does not count
        (box(98, 78, 10, 10), box(98, 78, 1, 1), 1 / 4, 1.0),
        (box(10.5, 10, 4, 4), box(11.5, 10, 4, 4), 8 / 24, 20 / 30),  # to even, 10 and 12; away from 0, 11 and 12
        (box(10, 10, 4, 4), [10, 10, 14, 10, 14, 14, 10, 14], 16 / 25, 1.0),  # a polygon covers its far sides
        ([10, 10, 14, 10, 14, 14, 10, 14], box(10, 10, 4, 4), 16 / 25, 1.0),
        ([12, 10, 14, 12, 12, 14, 10, 12], box(10, 10, 5, 5), 13 / 25, 11 / 36),  # trax: no pixel for a tip
        (box(10, 10, 4, 4), box(50, 50, 4, 4), 0, 0),
        (box(200, 200, 4, 4), box(210, 210, 4, 4), 0, 0),
        (box(10, 10, 1, 1), box(10, 10, 1, 1), 1, 1),
        (box(10, 10, 1, 1), box(10, 10, 0, 0), 1, 0),  # vot: nothing is wider than a pixel
        (box(10, 10, 4, 4), GONE, 0, 0),
        (GONE, GONE, 1, NAN),
    ],
)
def test_overlaps_by_hand(truth: list[float], predicted: list[float], vot: float, trax: float) -> None:
    """Counts of pixels are those of both toolkits, worked out by hand, at borders, halves, tips and for nothing."""
    assert overlap(truth, predicted, "vot") == pytest.approx(vot)
    assert overlap(truth, predicted, "trax") == pytest.approx(trax, nan_ok=True)


L_SHAPE = [10, 10, 14, 10, 14, 12, 12, 12, 12, 14, 10, 14]


@pytest.mark.parametrize(
    ("truth", "predicted", "expected"),
    [
        (box(10, 10, 4, 4), box(12, 10, 4, 4), 8 / 24),
        (box(10.25, 10, 4, 4), box(11.75, 10, 4, 4), 12 / 20),  # columns 0 to 3, and 1.5 to 5.5: 1 to 4
        (box(10, 10.25, 4, 4), box(10, 11.75, 4, 4), 12 / 20),  # rows 1 to 4, and above 1.5 to 5.5: 2 to 5
        (box(-2, 0, 4, 4), box(0, 0, 4, 4), 8 / 24),
        (box(200, 200, 4, 4), box(202, 200, 4, 4), 8 / 24),
        (box(10, 10, 4, 4), [10, 10, 14, 10, 14, 14, 10, 14], 1),
        (box(10, 10, 4, 4), box(50, 50, 4, 4), 0),
        (box(10, 10, 4, 4), GONE, NAN),
    ],
)
def test_overlaps_as_until_vot2015(truth: list[float], predicted: list[float], expected: float) -> None:
    """Rows and columns count from the corner around both regions, which are not rounded, in the image or not."""
    assert overlap(truth, predicted, "trax-legacy") == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("polygon", "rule", "expected"),
    [
        (L_SHAPE, "vot", 21 / 25),  # rows of 5, 5, 5, 3 and 3 pixels, of 5 x 5
        (L_SHAPE, "trax", 19 / 36),  # rows of 5, 5, 3, 3 and 3: no pixel for a side along a row
        (L_SHAPE, "trax-legacy", 12 / 25),  # rows of 4, 4, 2 and 2
        ([10, 10, 14, 14, 10, 14], "vot", 15 / 25),
        ([10, 10, 14, 10, 14, 14, 12, 14, 10, 14], "vot", 23 / 25),  # the walk stops in the lower side
    ],
)
def test_polygons_of_other_than_four_corners(polygon: list[float], rule: Rule, expected: float) -> None:
    """The walk along a row is that of region.c for any number of corners."""
    assert overlap(polygon, box(10, 10, 5, 5), rule) == pytest.approx(expected)


def test_polygons_of_many_corners_beside_others() -> None:
    """A region's overlap is the same in rows that are wide enough for one of more corners."""
    generator = np.random.default_rng(0)
    regions = generator.uniform(0, 70, (40, 8)).round(1)
    wide = np.pad(regions, ((0, 1), (0, 4)), constant_values=NAN)
    wide[-1] = L_SHAPE
    for rule in ("vot", "trax", "trax-legacy"):
        narrow, among = rasters.pixels(regions, LAST, rule), rasters.pixels(wide, LAST, rule)
        expected = rasters.overlaps(narrow, np.arange(39), rasters.pixels(regions[1:], LAST, rule))
        np.testing.assert_array_equal(
            rasters.overlaps(among, np.arange(39), rasters.pixels(wide[1:40], LAST, rule)), expected
        )


SIZE = (LAST[0] + 1, LAST[1] + 1)


def test_overlaps_of_masks() -> None:
    """Masks are compared pixel by pixel with masks and with what the rule fills; two empty ones are the same."""
    of_box, empty = masks.of_box(np.array([10.0, 10, 4, 4]), SIZE), np.zeros(SIZE[::-1], bool)
    truth = [of_box, of_box, empty, of_box, empty]
    predicted = np.array([box(12, 10, 4, 4), [10, 10, 14, 10, 14, 14, 10, 14], GONE, GONE, box(0, 0, 4, 4)], float)
    frames = np.arange(5)
    found = rasters.mask_overlaps(truth, frames, predicted, SIZE)
    np.testing.assert_allclose(found, [8 / 24, 16 / 25, 1, 0, 0])
    shifted = masks.of_box(np.array([12.0, 10, 4, 4]), SIZE)
    found = rasters.mask_overlaps(truth, frames, [shifted, of_box, empty, empty, of_box], SIZE)
    np.testing.assert_allclose(found, [8 / 24, 1, 1, 0, 0])
    with pytest.raises(ValueError, match="expected a mask of 100 x 80, got 99 x 80"):
        rasters.mask_overlaps(truth, frames, [of_box[:, 1:]] * 5, SIZE)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40), st.integers(2, 30), st.integers(2, 30)), min_size=2))
def test_masks_of_boxes_overlap_as_boxes(rows: list[tuple[int, ...]]) -> None:
    """A mask of a box in whole pixels overlaps another region as that box does."""
    regions = np.array(rows, float)
    frames = np.arange(len(regions) - 1)
    truth = [masks.of_box(region, SIZE) for region in regions]
    found = rasters.mask_overlaps(truth, frames, regions[1:], SIZE)
    one, other = rasters.pixels(regions, LAST, "vot"), rasters.pixels(regions[1:], LAST, "vot")
    np.testing.assert_array_equal(found, rasters.overlaps(one, frames, other))


def filled(corners: np.ndarray, covers_tips: bool) -> np.ndarray:
    """A convex polygon with whole corners, pixel by pixel: what lies between the leftmost and rightmost crossing."""
    mask = np.zeros((LAST[1] + 1, LAST[0] + 1), bool)
    for y in range(LAST[1] + 1):
        crossings = []
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, 1, 0), strict=True):
            if y0 == y1:
                crossings += [x0] if y == y0 and covers_tips else []
            elif min(y0, y1) <= y <= max(y0, y1):
                crossings.append(x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        if crossings and (covers_tips or int(min(crossings)) < int(max(crossings))):
            mask[y, int(min(crossings)) : int(max(crossings)) + 1] = True
    return mask


@pytest.mark.parametrize(("rule", "covers_tips"), [("vot", True), ("trax", False)])
def test_rotated_rectangles_pixel_by_pixel(rule: Rule, covers_tips: bool) -> None:
    """Overlaps of convex polygons equal those of masks filled pixel by pixel."""
    generator = np.random.default_rng(0)
    centres, angles = generator.uniform(35, 45, (60, 1, 2)), generator.uniform(0, np.pi, 60)
    # No three crossings in one pixel beside a tip: the sides are long and the corners right.
    halves = generator.uniform(8, 20, (60, 1, 2)) * [[-1, -1], [1, -1], [1, 1], [-1, 1]]
    turn = np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]).transpose(2, 1, 0)
    corners = np.round(centres + halves @ turn)
    a, b = (rasters.pixels(part.reshape(-1, 8), LAST, rule) for part in (corners[:30], corners[30:]))
    expected = []
    for one, other in zip(corners[:30], corners[30:], strict=True):
        p, q = filled(one, covers_tips), filled(other, covers_tips)
        expected.append((p & q).sum() / (p | q).sum())
    np.testing.assert_allclose(rasters.overlaps(a, np.arange(30), b), expected, atol=0.003)


whole = st.integers(0, 40).map(float)
wide = st.integers(2, 39).map(float)
inner_boxes = st.tuples(whole, whole, wide, wide)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(inner_boxes, inner_boxes), min_size=1, max_size=4))
def test_whole_boxes_inside_the_image(pairs: list[tuple[tuple[float, ...], tuple[float, ...]]]) -> None:
    """Of boxes in whole pixels inside the image, vot counts exactly their areas."""
    a, b = (np.array(rows) for rows in zip(*pairs, strict=True))
    counted = rasters.overlaps(rasters.pixels(a, LAST, "vot"), np.arange(len(a)), rasters.pixels(b, LAST, "vot"))
    np.testing.assert_allclose(counted, boxes.iou(a, b), rtol=1e-12)


@pytest.mark.parametrize("rule", ["vot", "trax"])
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_overlaps_in_bulk_are_those_one_by_one(rule: Rule, seed: int) -> None:
    """An overlap does not depend on what else is compared, nor on which of two polygons is the groundtruth."""
    generator = np.random.default_rng(seed)
    truth = np.tile(generator.uniform(-20, 100, (6, 2)), 4) + generator.uniform(-40, 40, (6, 8)).round(1)
    truth[:2, 4:] = NAN
    truth[:2, 2:4] = np.abs(truth[:2, 2:4])
    predicted = truth[::-1] + generator.uniform(-9, 9, (6, 8)).round()
    a, b = rasters.pixels(truth, LAST, rule), rasters.pixels(predicted, LAST, rule)
    frames = np.repeat(np.arange(6), 6)
    again = rasters.pixels(predicted[np.tile(np.arange(6), 6)], LAST, rule)
    bulk = rasters.overlaps(a, frames, again)
    single = [overlap([*truth[i]], [*predicted[j]], rule) for i in range(6) for j in range(6)]
    np.testing.assert_array_equal(bulk, single)
    back = rasters.overlaps(b, np.tile(np.arange(6), 6), rasters.pixels(truth[frames], LAST, rule))
    np.testing.assert_array_equal(bulk, back)


def test_pixels_come_near_areas() -> None:
    """Of large regions both counts differ from the exact overlap by a few hundredths at most."""
    generator = np.random.default_rng(1)
    truth = np.tile(generator.uniform(30, 50, (50, 2)), 4) + np.array([-25, -20, 25, -25, 25, 25, -25, 20])
    predicted = truth + np.tile(generator.uniform(-9, 9, (50, 2)), 4)
    exact: Callable[[np.ndarray, np.ndarray], np.ndarray] = polygons.iou
    for rule in ("vot", "trax"):
        pixels = [rasters.pixels(rows, (199, 199), rule) for rows in (truth, predicted)]
        assert np.abs(rasters.overlaps(pixels[0], np.arange(50), pixels[1]) - exact(truth, predicted)).max() < 0.05
