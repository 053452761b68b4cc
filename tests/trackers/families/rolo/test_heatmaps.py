import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from trackers.families.rolo import heatmaps


def cells(x, y, w, h, side):
    """The heatmap of the box with this top-left corner, in shares of the image."""
    location = torch.tensor([x + w / 2, y + h / 2, w, h], dtype=torch.float64)
    return heatmaps.drawn(location, side).view(side, side).numpy()


def test_cells_whose_centres_are_covered():
    """Of 4 x 4 cells, a box from 0.2 to 0.7 across and from 0.4 to 1 down covers columns 1 and 2, rows 2 and 3."""
    np.testing.assert_array_equal(
        cells(0.2, 0.4, 0.5, 0.6, 4), [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    )


def test_a_small_box_covers_one_cell():
    """It is the cell in which its centre lies, also at the border or beyond it; a box of no size covers none."""
    for x, y, row, column in ((0.3, 0.8, 3, 1), (0.999, 0, 0, 3), (1.5, 0.3, 1, 3), (-0.2, -3, 0, 0)):
        heatmap = cells(x, y, 0.001, 0.001, 4)
        assert heatmap.sum() == 1 and heatmap[row, column] == 1
    assert cells(0.5, 0.5, 0, 0.3, 4).sum() == 0
    assert heatmaps.drawn(torch.zeros(2, 3, 4), 5).shape == (2, 3, 25)


@given(st.tuples(*[st.floats(-0.5, 1)] * 2), st.tuples(*[st.floats(0.001, 1.2)] * 2), st.integers(1, 40))
def test_a_box_comes_back_to_within_a_cell(corner, size, side):
    """Each edge of the box, cut at the image's border, is found again to within one cell."""
    found = heatmaps.box(cells(*corner, *size, side))
    low, high = np.clip(corner, 0, 1), np.clip(np.add(corner, size), 0, 1)
    assert np.abs(found[:2] - low).max() <= 1 / side + 1e-9
    assert np.abs(found[:2] + found[2:] - high).max() <= 1 / side + 1e-9


def test_only_what_is_connected_with_the_maximum_counts():
    """Weak cells, and strong ones elsewhere, are not part of the box; corners connect."""
    heatmap = np.array([[0.0, 0.9, 0, 0.8], [0.5, 0, 0.4, 0], [0.1, 0.3, 0, 0], [0.6, 0, 0, 0]])
    np.testing.assert_allclose(heatmaps.box(heatmap), [0, 0, 0.5, 0.5])


def test_no_maximum_no_box():
    """Where no cell is positive, or one is no number, there is no box."""
    for heatmap in (np.zeros((3, 3)), -np.ones((3, 3)), np.full((3, 3), np.nan), np.full((3, 3), np.inf)):
        assert np.isnan(heatmaps.box(heatmap)).all()
