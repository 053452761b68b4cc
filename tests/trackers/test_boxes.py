import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trackers import boxes

places = st.floats(-1e4, 1e4, width=32)
sizes = st.floats(0, 1e4, width=32)
any_box = st.tuples(places, places, sizes, sizes).map(np.array)
small_box = st.tuples(*[st.integers(-5, 15)] * 2, *[st.integers(0, 12)] * 2).map(np.array)


def painted(box):
    """The pixels of a 50 x 50 image, from (-15, -15) on, that an integer box covers."""
    image = np.zeros((50, 50), bool)
    x, y, w, h = box + [15, 15, 0, 0]
    image[y : y + h, x : x + w] = True
    return image


@given(small_box, small_box)
def test_iou_counts_pixels(a, b):
    """IoU of integer boxes is the count of shared pixels over the count of all, 0 of two empty ones."""
    union = (painted(a) | painted(b)).sum()
    expected = (painted(a) & painted(b)).sum() / union if union else 0
    assert boxes.iou(a, b) == pytest.approx(expected, abs=1e-12)


@given(any_box, any_box)
def test_iou_is_symmetric_and_bounded(a, b):
    """IoU is the same either way round, and in [0, 1] however far out and thin the boxes are."""
    assert boxes.iou(a, b) == boxes.iou(b, a)
    assert 0 <= boxes.iou(a, b) <= 1


def test_iou_by_hand():
    """Two boxes of 4 x 2 that share 2 x 1 have 2 / 14; negative sizes are empty; NaN stays NaN."""
    assert boxes.iou(np.array([0, 0, 4, 2]), np.array([2, 1, 4, 2])) == pytest.approx(2 / 14)
    assert boxes.iou(np.array([0, 0, 4, 2]), np.array([2, 1, -4, 2])) == 0
    assert np.isnan(boxes.iou(np.full(4, np.nan), np.array([0, 0, 1, 1])))


def test_iou_broadcasts():
    """(3, 1, 4) against (2, 4) gives the (3, 2) table of all pairs."""
    a, b = np.random.default_rng(0).uniform(1, 9, (3, 1, 4)), np.random.default_rng(1).uniform(1, 9, (2, 4))
    table = boxes.iou(a, b)
    assert table.shape == (3, 2)
    assert table[2, 1] == boxes.iou(a[2, 0], b[1])


@given(arrays(float, (5, 4), elements=st.floats(-100, 100)), arrays(float, (5, 4), elements=st.floats(-100, 100)))
def test_numpy_equals_torch(a, b):
    """Every function gives torch the numbers that it gives NumPy."""
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    for function in (boxes.xywh_to_xyxy, boxes.xyxy_to_xywh, boxes.centre, boxes.area):
        np.testing.assert_allclose(function(ta).numpy(), function(a), rtol=1e-12, atol=1e-12)
    for function in (boxes.iou, boxes.centre_distance):
        np.testing.assert_allclose(function(ta, tb).numpy(), function(a, b), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(boxes.clip(ta, 30, 20).numpy(), boxes.clip(a, 30, 20))


@given(small_box)
def test_corners_and_back(box):
    """Converting to corners and back changes nothing; the corners are left, top, right, bottom."""
    x, y, w, h = box
    assert boxes.xywh_to_xyxy(box).tolist() == [x, y, x + w, y + h]
    assert boxes.xyxy_to_xywh(boxes.xywh_to_xyxy(box)).tolist() == box.tolist()


def test_centre_distance_by_hand():
    """Centres at (2, 1) and (5, 5) are 5 pixels apart."""
    assert boxes.centre_distance(np.array([0, 0, 4, 2]), np.array([4, 3, 2, 4])) == 5


@given(small_box)
def test_clip_keeps_what_is_inside(box):
    """A clipped box covers the pixels that the box has inside the image, and no others."""
    image = painted(np.array([0, 0, 10, 8]))
    clipped = boxes.clip(box, 10, 8)
    assert (painted(clipped) == (painted(box) & image)).all()
    assert boxes.area(clipped) == (painted(box) & image).sum()


def test_inside_a_box_is_cut_at_the_border():
    """What is outside is cut off, and what has left altogether keeps a pixel at the border, in torch, too."""
    found = np.array([[-5.0, 50, 10, 20], [100, -9, 10, 5], [-5, 10, 10, 100], [3, 4, 0.5, 2], [79.5, 4, 0.5, 2]])
    expected = [[0, 50, 5, 10], [79, 0, 1, 1], [0, 10, 5, 50], [3, 4, 1, 2], [79, 4, 1, 2]]
    assert boxes.inside(found, 80, 60).tolist() == expected
    assert boxes.inside(torch.from_numpy(found), 80, 60).tolist() == expected
