import time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trackers import boxes, masks

SMALL = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12))
CROSS = np.array([[0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 0, 0]], bool)


@st.composite
def pairs(draw):
    shape = draw(arrays.array_shapes(min_dims=2, max_dims=3, max_side=9))
    return draw(arrays.arrays(bool, shape)), draw(arrays.arrays(bool, shape))


def disc(size, centre, radius):
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    return (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2


@given(pairs())
def test_iou_is_the_ratio_of_counted_pixels(pair):
    """Intersection over union counts pixels, one pair of masks or many, and is the same either way round."""
    a, b = pair
    got = masks.iou(a, b)
    assert got.shape == a.shape[:-2]
    assert np.array_equal(got, masks.iou(b, a))
    for one, other, ratio in zip(
        a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:]), got.reshape(-1), strict=True
    ):
        union = sum(x or y for x, y in zip(one.flat, other.flat, strict=True))
        both = sum(x and y for x, y in zip(one.flat, other.flat, strict=True))
        assert ratio == (both / union if union else 1)


def test_two_empty_masks_agree():
    """Where there is no target and none is seen, the overlap is 1, as DAVIS counts it."""
    nothing = np.zeros((3, 4), bool)
    assert masks.iou(nothing, nothing) == 1
    assert masks.iou(nothing, CROSS) == 0


def test_masks_of_different_sizes_are_not_compared():
    """Masks of different sizes are refused, even where NumPy would stretch one of them."""
    with pytest.raises(ValueError, match="one size, got 4 x 3 and 1 x 3"):
        masks.iou(CROSS, CROSS[:, :1])


@given(st.tuples(*[st.integers(0, 10)] * 4))
def test_a_box_of_whole_numbers_covers_its_pixels(box):
    """A box of whole numbers inside the image covers exactly width x height pixels, and is found again."""
    x, y, w, h = box
    mask = masks.of_box(np.array(box, float), (20, 20))
    assert mask.sum() == w * h
    assert mask[y : y + h, x : x + w].all()
    if w * h:
        assert np.array_equal(masks.bounding_box(mask), box)


def test_a_pixel_belongs_where_its_centre_lies():
    """A box takes the pixels whose centres it holds; one on the left or top edge belongs, right or bottom not."""
    mask = masks.of_box(np.array([0.5, 0.6, 2.0, 1.9]), (4, 4))
    assert np.argwhere(mask).tolist() == [[1, 0], [1, 1]]
    assert masks.of_box(np.array([-5, -5, 7.0, 6.5]), (4, 4)).sum() == 2 * 2 - 2
    assert masks.of_box(np.array([-5, -5, 50, 50.0]), (4, 3)).all()
    assert not masks.of_box(np.array([9, 1, 5, 5.0]), (4, 4)).any()
    assert not masks.of_box(np.full(4, np.nan), (4, 4)).any()


@given(st.tuples(*[st.floats(-5, 15)] * 2, *[st.floats(0, 15)] * 2), st.booleans(), st.integers(0, 3))
def test_a_box_and_its_corners_cover_the_same(box, clockwise, first):
    """The polygon of a box's corners, from any corner and either way round, covers what the box covers."""
    x, y, w, h = box
    corners = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])
    corners = np.roll(corners if clockwise else corners[::-1], first, axis=0)
    assert np.array_equal(masks.of_polygon(corners.ravel(), (10, 9)), masks.of_box(np.array(box), (10, 9)))


@given(arrays.arrays(float, (3, 2), elements=st.integers(-40, 140).map(lambda v: v / 7 + 0.01)))
def test_a_triangle_covers_the_centres_inside(corners):
    """The centre of each pixel of a triangle lies on one side of all three edges, that of another does not."""
    y, x = np.mgrid[:14, :15] + 0.5
    sides = []
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        sides.append((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1))
    sides = np.array(sides)
    inside = (sides > 1e-9).all(0) | (sides < -1e-9).all(0)
    surely_outside = (sides > 1e-9).any(0) & (sides < -1e-9).any(0)
    mask = masks.of_polygon(corners.ravel(), (15, 14))
    assert mask[inside].all()
    assert not mask[surely_outside].any()


def test_neighbours_share_no_pixel():
    """Two polygons that share an edge part the pixels between them: none is in both, none in neither."""
    left = masks.of_polygon(np.array([0, 0, 7.5, 0, 3.5, 9, 0, 9]), (9, 9))
    right = masks.of_polygon(np.array([7.5, 0, 9, 0, 9, 9, 3.5, 9]), (9, 9))
    assert (left ^ right).all()


def test_a_polygon_that_crosses_itself_is_empty_where_it_overlaps():
    """A pentagram is off in its middle: a ray from there crosses two edges."""
    angles = np.arange(5) * 4 * np.pi / 5
    star = np.stack([50 + 40 * np.sin(angles), 50 - 40 * np.cos(angles)], -1).ravel()
    mask = masks.of_polygon(star, (100, 100))
    assert not mask[50, 50]
    assert mask[20, 50]
    assert not masks.of_polygon(np.full(8, np.nan), (5, 5)).any()


def test_regions_become_masks_by_their_shape():
    """A box, a polygon and a mask of the image's size all become masks; a mask of another size is refused."""
    square = np.array([1, 1, 2, 2.0])
    corners = np.array([1, 1, 3, 1, 3, 3, 1, 3.0])
    assert np.array_equal(masks.of_region(square, (4, 3)), masks.of_region(corners, (4, 3)))
    assert masks.of_region(CROSS, (4, 3)) is CROSS
    with pytest.raises(ValueError, match="expected a mask of 5 x 3, got 4 x 3"):
        masks.of_region(CROSS, (5, 3))


@given(SMALL)
def test_the_bounding_box_is_the_smallest(mask):
    """The bounding box covers all that is on, and no narrower one does; an empty mask has a row of NaN."""
    box = masks.bounding_box(mask)
    if not mask.any():
        assert np.isnan(box).all()
        return
    rows, columns = np.nonzero(mask)
    assert box.tolist() == [
        columns.min(), rows.min(), columns.max() - columns.min() + 1, rows.max() - rows.min() + 1
    ]  # fmt: skip
    many = masks.bounding_box(np.stack([mask, np.zeros_like(mask)]))
    assert np.array_equal(many, [box, [np.nan] * 4], equal_nan=True)


def test_the_text_of_a_mask():
    """The VOT toolkit's code: m, then x, y, width, height of the window, then runs off, on, off, ... by rows."""
    assert masks.format(CROSS) == "m0,0,3,3,1,1,1,3,1,1,1"
    assert masks.format(np.pad(np.ones((2, 3), bool), ((4, 0), (5, 0)))) == "m5,4,3,2,0,6"
    assert masks.format(np.zeros((4, 4), bool)) == "m0,0,0,0,0"
    rows = ["m0,0,3,3,1,1,1,3,1,1,1", " m1, 0, 2, 1, 0, 2\n", "m0,0,0,0,0"]
    runs = masks.RunLengths.of_codes(list(map(masks.parse, rows)), (4, 3))
    assert np.array_equal(runs[0], CROSS)
    assert np.argwhere(runs[1]).tolist() == [[0, 1], [0, 2]]
    assert runs[2].shape == (3, 4) and not runs[2].any()


@given(st.lists(arrays.arrays(bool, (7, 9)), max_size=5))
def test_masks_come_back_from_codes_and_text(stack):
    """Masks come back as they were from run-length codes, from their arrays, and from their text."""
    runs = masks.RunLengths.of(stack)
    again = masks.RunLengths.from_arrays(runs.arrays())
    text = masks.RunLengths.of_codes([masks.parse(masks.format(mask)) for mask in stack], (9, 7))
    assert len(runs) == len(again) == len(text) == len(stack)
    for t, mask in enumerate(stack):
        for codes in (runs, again, text):
            assert codes[t].dtype == bool
            assert np.array_equal(codes[t], mask)
        assert np.array_equal(runs[t - len(stack)], mask)
    boxes_of_stack = np.array([masks.bounding_box(mask) for mask in stack]).reshape(-1, 4)
    assert np.array_equal(runs.bounding_boxes(), boxes_of_stack, equal_nan=True)


@given(arrays.arrays(bool, (6, 5)), st.integers(-8, 12), st.integers(-8, 12))
def test_what_leaves_the_image_is_cut_off(mask, x, y):
    """A code whose window leaves the image is read as the part inside."""
    whole = np.zeros((40, 40), bool)
    whole[20 + y : 26 + y, 20 + x : 25 + x] = mask
    runs = masks.format(mask).removeprefix("m").split(",")
    runs[:2] = str(int(runs[0]) + x), str(int(runs[1]) + y)
    code = masks.RunLengths.of_codes([masks.parse(f"m{','.join(runs)}")], (10, 9))
    inside = whole[20:29, 20:30]
    assert np.array_equal(code[0], inside)
    assert np.array_equal(code.bounding_boxes()[0], masks.bounding_box(inside), equal_nan=True)


def test_without_a_size_the_image_just_holds_the_masks():
    """Where nobody knows the images, masks are as large as the furthest window asks."""
    runs = masks.RunLengths.of_codes([masks.parse("m5,1,2,2,0,4"), masks.parse("m0,8,1,1,0,1")])
    assert runs[0].shape == runs[1].shape == (9, 7)
    assert masks.RunLengths.of_codes([]).arrays()["counts"].size == 0


@pytest.mark.parametrize(
    "row",
    ["", "m", "m1,2,3", "m0,0,2,2", "1,2,2,1,0,2", "m0,0,2,2,0,x", "m0,0,2,2,0,-4", "m0,0,2,2,,4", "m0,0,2,2,0,1.5"]
    + ["m0,0,2,2,0 4", "m0,0,2,2,0,4,", "m0,0,-2,-2,0,4", "m0,0,2,2,0,٤", "m0,0,2,2,0,4e0", "m1 0,0,2,2,0,4"],
)  # fmt: skip
def test_what_is_no_code_is_refused(row):
    """Text that is no code of a mask is refused with what was expected, and what came."""
    with pytest.raises(ValueError, match="expected m and x,y,width,height and runs.*, got"):
        masks.parse(row)


@pytest.mark.parametrize("row", ["m0,0,2,2,0,3", "m0,0,2,2,0,5", "m0,0,0,0,1", "m0,0,99999,99999,0,999999999"])
def test_runs_must_fill_the_window(row):
    """A code cut short, or with too many runs, is refused with both numbers of pixels, and takes no memory."""
    with pytest.raises(ValueError, match=r"expected runs of \d+ x \d+ = \d+ pixels .*, got \d+"):
        masks.parse(row)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("counts", np.array([1, 1, 1, 3, 1, 1, 2]), "mask 0: expected runs of 9 pixels, got 10"),
        ("counts", np.array([2, 0, 1, 3, 1, 3, -1]), "no run below 0"),
        ("counts", np.zeros(7), "counts: expected whole numbers"),
        ("starts", np.array([0, 3]), "starts: expected to rise from 0 to 7"),
        ("windows", np.array([[2, 0, 3, 3]]), "windows: expected each inside its image"),
        ("windows", np.array([[0, 0, 3]]), r"windows: expected whole numbers \(1, 4\), got int64 \(1, 3\)"),
        ("sizes", np.array([[3, 2]]), "windows: expected each inside its image"),
    ],
)  # fmt: skip
def test_arrays_that_fit_no_masks_are_refused(name, value, message):
    """Arrays whose runs do not fill their windows inside the images are refused when read, not when used."""
    arrays_of_cross = masks.RunLengths.of([CROSS]).arrays()
    with pytest.raises(ValueError, match=message):
        masks.RunLengths.from_arrays({**arrays_of_cross, name: value})


def test_codes_are_small_and_quick():
    """200 frames of 854 x 480 take under a megabyte, and are encoded and decoded in well under 2 s."""
    frames = [disc((854, 480), (300 + t, 200), 90) for t in range(200)]
    start = time.perf_counter()
    runs = masks.RunLengths.of(frames)
    decoded = [runs[t] for t in range(len(runs))]
    assert time.perf_counter() - start < 2
    assert all(np.array_equal(a, b) for a, b in zip(decoded, frames, strict=True))
    assert sum(array.nbytes for array in runs.arrays().values()) < 1_000_000


def test_the_mask_of_a_rotated_rectangle_has_its_area():
    """Pixels of a rotated rectangle of 60 x 40 number 2400, to one in a hundred, wherever it lies."""
    random = np.random.default_rng(0)
    for _ in range(50):
        centre, angle = random.uniform(60, 90, 2), random.uniform(0, 180)
        corners = cv2.boxPoints((centre.tolist(), (60, 40), angle)).ravel().astype(float)
        mask = masks.of_polygon(corners, (150, 150))
        assert abs(mask.sum() - 2400) < 24
        box = masks.bounding_box(mask)
        exact = np.concatenate([corners.reshape(-1, 2).min(0), np.ptp(corners.reshape(-1, 2), axis=0)])
        assert boxes.iou(box, exact) > 0.95
