import numpy as np
import pytest

from trackers.families.pixelwise.rois import ROI, cut, filled, first, places, spread, squeezed
from trackers.masks import iou

NAN = [np.nan] * 4


def window(centre, longer, roi=ROI()):  # noqa: B008  # frozen
    return roi.window(np.array(centre, float), np.array(longer, float)).tolist()


@pytest.mark.parametrize(("longer", "side"), [(50, 100), (28, 56), (10, 56), (0, 56), (336, 672), (500, 672)])
def test_a_roi_is_twice_the_longer_side(longer, side):
    """Within [56, 672] pixels (Section 3.3); its centre is the one that is asked for."""
    assert window((400, 380), longer) == [400 - side // 2, 380 - side // 2, side, side]


def test_a_roi_may_reach_beyond_the_image():
    """It is not moved, nor cut, at a border."""
    assert window((3, -2), 30) == [-27, -32, 60, 60]


def test_many_rois_are_single_ones():
    """Leading axes are those of centres and sides."""
    rng = np.random.default_rng(0)
    centres, longer = rng.uniform(-50, 500, (4, 3, 2)), rng.uniform(0, 500, (4, 3))
    found = ROI().window(centres, longer)
    assert found.shape == (4, 3, 4) and found.dtype == np.int64
    assert found[2, 1].tolist() == window(centres[2, 1], longer[2, 1])


def test_other_limits_are_settings():
    """Context and limits are those that it is made with."""
    assert window((50, 50), 20, ROI(context=3, least=8, most=40)) == [30, 30, 40, 40]
    assert window((50, 50), 10, ROI(context=3, least=8, most=40)) == [35, 35, 30, 30]


@pytest.mark.parametrize(
    "settings", [{"context": 0.5}, {"context": float("inf")}, {"least": 0}, {"least": 700}, {"delay": -1}]
)
def test_rois_that_mean_nothing_are_refused(settings):
    """What was expected, and what came, is said."""
    with pytest.raises(ValueError, match="roi: expected context >= 1, 1 <= least <= most and delay >= 0, got"):
        ROI(**settings)


def test_a_target_that_is_gone_stays_where_it_was():
    """Its place is that of the last frame in which it was there, or, before the first, of that; so is its size."""
    boxes = np.array([NAN, [10, 20, 4, 6], NAN, NAN, [30, 20, 8, 2], NAN], float)
    centres, longer = places(boxes)
    assert centres.tolist() == [[12, 23]] * 4 + [[34, 21]] * 2
    assert longer.tolist() == [6] * 4 + [8] * 2


def test_a_box_without_pixels_is_no_target():
    """A width or height of 0 counts as gone."""
    centres, _ = places(np.array([[10, 20, 4, 6], [50, 50, 0, 6], [50, 50, 6, 0]], float))
    assert centres.tolist() == [[12, 23]] * 3


def test_a_target_that_is_never_there_is_refused():
    """Without one pixel in any frame nobody can say where it is."""
    with pytest.raises(ValueError, match="expected a mask with at least one pixel of the target, got empty ones alone"):
        places(np.array([NAN, NAN]))


def test_the_first_roi_is_around_the_mask(blob):
    """It has the centre of the target, and twice its longer side; an empty mask is refused."""
    assert first(blob(300, 400, 100, 50, 60, 30), ROI()).tolist() == [70, 5, 120, 120]
    with pytest.raises(ValueError, match="expected a mask with at least one pixel"):
        first(np.zeros((30, 40), bool), ROI())


def test_a_cut_as_large_as_its_window_is_the_mask(blob):
    """Pixel by pixel, and off outside the frame."""
    mask = np.random.default_rng(0).random((20, 30)) > 0.5
    assert np.array_equal(cut(mask, np.array([5, 3, 12, 12]), 12), mask[3:15, 5:17])
    beyond = cut(np.ones((20, 30), bool), np.array([-4, 10, 16, 16]), 16)
    assert np.array_equal(beyond, blob(16, 16, 4, 0, 12, 10))
    assert not cut(np.ones((20, 30), bool), np.array([40, 3, 12, 12]), 12).any()


def test_a_pixel_of_a_cut_is_on_where_half_of_it_is(blob):
    """A window of 16 shown in 4 pixels: 10 of 16 columns are two and a half pixels, of which the last is not on."""
    mask = blob(40, 40, 0, 0, 15, 40)
    assert np.array_equal(cut(mask, np.array([5, 5, 16, 16]), 4), np.tile([True, True, True, False], (4, 1)))
    assert np.array_equal(cut(mask, np.array([6, 5, 16, 16]), 4), np.tile([True, True, False, False], (4, 1)))


@pytest.mark.parametrize("position", [(8, 6), (-10, -5), (30, 25), (8, 30)])
@pytest.mark.parametrize("side", [16, 24, 40])
def test_a_cut_goes_back_to_where_it_came_from(position, side):
    """Cut out, resized to 32, spread over its window and filled in, a mask is nearly what it was there, else off."""
    rows, columns = np.indices((40, 60))
    mask = (rows - 18) ** 2 / 12**2 + (columns - 22) ** 2 / 16**2 < 1
    where = np.array([*position, side, side])
    part = spread(cut(mask, where, 32).astype(np.float32), where)
    assert part.shape == (side, side) and part.dtype == np.float32
    back = filled(part > 0.5, where, mask.shape)
    shown = filled(np.ones((side, side), bool), where, mask.shape)
    assert back.dtype == bool
    assert not (back & ~shown).any()
    assert iou(back, mask & shown) > 0.9


@pytest.mark.parametrize(("x", "y"), [(60, 0), (0, 40), (-8, 0), (0, -8), (1000, -1000)])
def test_a_window_beyond_the_frame_fills_nothing(x, y):
    """However far it is, the frame stays empty."""
    assert not filled(np.ones((8, 8), bool), np.array([x, y, 8, 8]), (40, 60)).any()


def test_a_map_is_the_frame_squeezed(blob):
    """A quarter of the frame is a quarter of the map, whatever the frame's shape."""
    assert np.array_equal(squeezed(blob(90, 160, 80, 0, 80, 45), 16), blob(16, 16, 8, 0, 8, 8))
    assert np.array_equal(squeezed(blob(8, 4, 2, 0, 2, 4), 16), blob(16, 16, 8, 0, 8, 8))  # and where it grows


@pytest.mark.parametrize("size", [8, 16, 224])
def test_a_tiny_target_stays_visible(blob, size):
    """One pixel of a large frame is at least one of the map, where it is; an empty mask stays empty."""
    small = squeezed(blob(1080, 1920, 960, 810, 1, 1), size)
    rows, columns = np.nonzero(small)
    assert len(rows)
    assert np.abs(rows + 0.5 - 0.75 * size).max() <= 1 and np.abs(columns + 0.5 - 0.5 * size).max() <= 1
    assert not squeezed(np.zeros((1080, 1920), bool), size).any()
