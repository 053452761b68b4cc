import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trackers import boxes
from trackers.evaluation import polygons

NAN = np.nan
SQUARE = [0, 0, 10, 0, 10, 10, 0, 10]
DIAMOND = [5, -5, 15, 5, 5, 15, -5, 5]

numbers = st.floats(-100, 100, allow_nan=False)
quadrilaterals = st.lists(numbers, min_size=8, max_size=8).map(np.array)
sides = st.floats(0, 100, allow_nan=False)
rectangles = st.tuples(numbers, numbers, sides, sides).map(np.array)


@pytest.mark.parametrize(
    ("a", "b", "shared"),
    [
        (SQUARE, SQUARE, 100),
        (SQUARE, [5, 5, 15, 5, 15, 15, 5, 15], 25),
        (SQUARE, DIAMOND, 100),  # the diamond holds the square's every corner on its sides
        (SQUARE, [5, 0, 10, 5, 5, 10, 0, 5], 50),
        (SQUARE, [0, 0, 10, 0, 3, 3, 0, 10], 30),  # a corner that points inwards: two triangles of 15
        (SQUARE, [0, 0, 10, 10, 10, 0, 0, 10], 50),  # sides that cross at 5, 5: two triangles of 25
        (SQUARE, [20, 20, 30, 20, 30, 30, 20, 30], 0),
        (SQUARE, [3, 3, 3, 3, 3, 3, 3, 3], 0),
        (SQUARE, [0, 0, 10, 10, 0, 0, 10, 10], 0),
        (SQUARE, [2, 2, 4, 5, NAN, NAN, NAN, NAN], 20),
    ],
)
def test_the_area_that_two_quadrilaterals_share(a: list[float], b: list[float], shared: float) -> None:
    """Shared areas equal those worked out by hand, with corners inwards, crossing sides, points and boxes."""
    first, second = np.array([a], float), np.array([b], float)
    for one, other in ((first, second), (second, first)):
        assert polygons.intersection(one, other) == pytest.approx([shared], abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(rectangles, rectangles), min_size=1, max_size=5))
def test_boxes_as_polygons(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Overlaps of boxes are those of `boxes.iou`, whether given as boxes or by their corners."""
    a, b = (np.array(rows) for rows in zip(*pairs, strict=True))
    expected = boxes.iou(a, b)
    broad = (boxes.area(a) > 1e-3) & (boxes.area(b) > 1e-3)
    as_polygons = polygons.iou(polygons.corners(a).reshape(-1, 8), b)
    np.testing.assert_allclose(as_polygons[broad], expected[broad], atol=1e-6)
    np.testing.assert_allclose(polygons.iou(a, b)[broad], expected[broad], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(quadrilaterals, quadrilaterals, st.integers(0, 3))
@example(
    np.array([0.0, 3, 0, 1, 4, -1.31496793026956e-19, 0, 3]), np.array([1, 2, 0, 2, 4, -1.31496793026956e-19, 0, 3]), 0
)
def test_an_overlap_has_no_first(a: np.ndarray, b: np.ndarray, turn: int) -> None:
    """The shared area is the same both ways, from whichever corner, either way round, and within both areas."""
    shared = polygons.intersection(a[None], b[None])
    turned = np.roll(b.reshape(4, 2), turn, 0)[::-1].reshape(1, 8)
    np.testing.assert_allclose(polygons.intersection(b[None], a[None]), shared, atol=1e-6)
    np.testing.assert_allclose(polygons.intersection(a[None], turned), shared, atol=1e-6)
    assert -1e-9 <= shared[0] <= min(polygons.area(a[None])[0], polygons.area(b[None])[0]) + 1e-6


@pytest.mark.parametrize(
    ("polygon", "shared"),
    [
        ([0, 0, 10, 0, 10, 5, 5, 5, 5, 10, 0, 10], 75),
        ([0, 0, 0, 10, 5, 10, 5, 5, 10, 5, 10, 0], 75),  # the other way round
        ([5, 5, 15, 5, 15, 15], 12.5),  # a triangle, half of what a square would share
        ([0, 0, 10, 0, 10, 5, 5, 10, 0, 5], 75),
    ],
)
def test_the_area_shared_with_polygons_of_other_than_four_corners(polygon: list[float], shared: float) -> None:
    """Shared areas equal those worked out by hand, beside boxes and quadrilaterals in the same rows."""
    square, box = np.array([SQUARE], float), np.array([[0.0, 0, 10, 10]])
    rows = np.full((3, 14), NAN)
    rows[0, : len(polygon)], rows[1, :8], rows[2, :4] = polygon, DIAMOND, box[0]
    for other in (square, box):
        others = np.tile(other, (3, 1))
        assert polygons.intersection(rows, others) == pytest.approx([shared, 100, 100])
        assert polygons.intersection(others, rows) == pytest.approx([shared, 100, 100])


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 6), st.floats(5, 50), st.floats(-20, 20), st.integers(0, 3))
def test_a_corner_in_the_middle_of_a_side_changes_nothing(turn: float, size: float, shift: float, side: int) -> None:
    """A quadrilateral has the same area, and shares as much, with a fifth corner on one of its sides."""
    angles = turn + np.arange(4) * np.pi / 2
    points = size * np.stack([np.cos(angles), np.sin(angles)], 1) + shift
    five = np.insert(points, side + 1, (points[side] + points[(side + 1) % 4]) / 2, 0)
    one, other = points.reshape(1, 8), five.reshape(1, 10)
    assert polygons.area(other) == pytest.approx(polygons.area(one))
    square = np.array([SQUARE], float)
    assert polygons.intersection(other, square) == pytest.approx(polygons.intersection(one, square), abs=1e-6)


def test_a_region_that_is_not_there_overlaps_nothing() -> None:
    """A row of NaN gives NaN; two regions of no area give 0."""
    nowhere, point = np.full((1, 8), NAN), np.array([[3.0, 3, 0, 0]])
    assert np.isnan(polygons.iou(nowhere, np.array([SQUARE], float))).all()
    assert polygons.iou(point, point) == [0]
