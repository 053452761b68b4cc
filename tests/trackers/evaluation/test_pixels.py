import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trackers.evaluation.pixels import LEVELS, PixelCounts


def mask(*rows):
    """A mask drawn with #."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])


FULL = mask("####.", "####.")


def test_pixels_by_hand():
    """Of probabilities .9 .6 .4 on the target and .6 .1 beside it: 4.5 of 6 pairs in order, IoU by threshold."""
    counts = PixelCounts.of(np.array([[0.9, 0.6, 0.4, 0.6, 0.1]]), mask("###.."))
    assert counts.auc() == pytest.approx(4.5 / 6)
    assert [counts.iou(t) for t in (0, 0.1, 0.4, 0.6, 0.9, 1)] == [3 / 5, 3 / 5, 3 / 4, 2 / 4, 1 / 3, 0]
    assert PixelCounts.of(np.zeros((1, 2)), mask("..")).iou(0.5) == 1
    with pytest.raises(ValueError, match=r"expected probabilities in \[0, 1\], got 0 to 2"):
        PixelCounts.of(np.array([[0.0, 2]]), mask(".#"))
    with pytest.raises(ValueError, match=r"of one shape, got \(1, 2\) and bool \(2, 5\)"):
        PixelCounts.of(np.zeros((1, 2)), FULL)


maps = arrays(np.int64, (3, 2, 5), elements=st.integers(0, 20)).map(lambda a: a / 20)


@given(maps, arrays(bool, (3, 2, 5)))
@settings(deadline=None)
def test_frames_add_up(probabilities, true):
    """Counts frame by frame are those of all frames; the area is the share of pairs of pixels in order."""
    together = PixelCounts.of(probabilities, true)
    apart = sum((PixelCounts.of(p, m) for p, m in zip(probabilities, true, strict=True)), PixelCounts())
    np.testing.assert_array_equal(together.counts, apart.counts)
    on, off = probabilities[true], probabilities[~true]
    if len(on) and len(off):
        order = np.sign(on[:, None] - off).mean()
        assert together.auc() == pytest.approx((order + 1) / 2)
    for threshold in (0.05, 0.4, 0.7):
        chosen = probabilities >= threshold
        either = (chosen | true).sum()
        assert together.iou(threshold) == pytest.approx((chosen & true).sum() / either if either else 1)


def test_the_levels_of_a_run_are_found_in_single_precision():
    """A float32 probability that is meant to be a level is in it, and not in the one below."""
    levels = np.linspace(0, 1, LEVELS, dtype=np.float32)[None]
    counts = PixelCounts.of(levels, np.zeros(levels.shape, bool), LEVELS).counts
    assert counts[0].tolist() == [1] * LEVELS


@pytest.mark.parametrize(
    ("window", "background", "target"),
    [
        ((0, 0, 3, 2), 2, 4),
        ((-1, -1, 3, 2), 0, 2),  # two pixels of it are in the image
        ((2, 0, 3, 2), 1, 1),  # two, in the last column
        ((5, 7, 3, 2), 0, 0),  # none is
        ((-9, 0, 3, 2), 0, 0),
    ],
)
def test_pixels_of_a_window(window, background, target):
    """Those in the image count; of those outside of the window, the target's alone, with probability 0."""
    true = mask("##.", "#.#")
    counts = PixelCounts.in_window(np.array(window), np.full((2, 3), 0.5, np.float32), true).counts
    assert counts[0].sum() == counts[0, LEVELS // 2] == background
    assert counts[1, LEVELS // 2] == target
    assert counts[1, 0] == 4 - target


def test_a_window_says_which_part_it_is():
    """Each probability meets the pixel of the image on which it lies."""
    true = mask("....", "..#.")
    probabilities = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], np.float32)
    counts = PixelCounts.in_window(np.array([1, 0, 3, 2]), probabilities, true).counts
    assert np.flatnonzero(counts[1]).tolist() == [100]
    assert np.flatnonzero(counts[0]).tolist() == [20, 40, 60, 80, 120]
    with pytest.raises(ValueError, match=r"size of its window, \(3, 2\), got \(2, 3\)"):
        PixelCounts.in_window(np.array([1, 0, 2, 3]), probabilities, true)
    with pytest.raises(ValueError, match=r"expected probabilities in \[0, 1\], got nan"):
        PixelCounts.in_window(np.array([1, 0, 3, 2]), probabilities * np.float32(np.nan), true)
