from __future__ import annotations

from dataclasses import replace

import numpy as np

from orchestrator.report import colours, strips
from orchestrator.report.results import Example


def example(attention: np.ndarray | None = None, height: int = 100) -> Example:
    """A black sequence of one frame, groundtruth in its upper left, prediction absent."""
    frames = np.zeros((1, height, height), np.uint8)
    truth = np.array([[10.0, 20.0, 30.0, 40.0]])
    return Example("s", (0,), frames, np.full((1, 4), np.nan), truth, attention)


def test_boxes_are_drawn_where_they_are() -> None:
    """A box of x 10, y 20, width 30, height 40 has its outer edge there in the frame shown at twice the size."""
    strip = strips.boxes_strip(example())
    rows, columns = np.nonzero((strip == colours.GROUNDTRUTH).all(-1))
    assert strip.shape == (200, 200, 3)
    assert abs(rows.min() - 40) <= 1
    assert abs(rows.max() - 119) <= 1
    assert abs(columns.min() - 20) <= 1
    assert abs(columns.max() - 79) <= 1
    assert not (strip == colours.PREDICTION).all(-1).any()


def test_large_frames_are_shown_smaller() -> None:
    """A frame of 400 pixels is shown at 200, its boxes with it."""
    strip = strips.boxes_strip(example(height=400))
    rows, _ = np.nonzero((strip == colours.GROUNDTRUTH).all(-1))
    assert strip.shape == (200, 200, 3)
    assert abs(rows.min() - 10) <= 1


def test_masks_show_shares_of_their_maximum() -> None:
    """A mask is shown relative to its largest value, over the frame that it weights; an empty one is black."""
    attention = np.zeros((1, 100, 100), np.float16)
    attention[..., :50] = 40.0
    attention[..., 50:] = 10.0
    view = example(attention)
    strip = strips.masks_strip(replace(view, frames=view.frames + 200))
    mask, masked = strip[:200], strip[-200:]
    assert np.unique(mask[:, :100]).tolist() == [255]
    assert np.unique(mask[:, 100:]).tolist() == [64]
    assert np.unique(masked[:, :100]).tolist() == [200]
    assert np.unique(masked[:, 100:]).tolist() == [50]
    assert not strips.masks_strip(example(attention * 0))[:200].any()


def masked(predicted: np.ndarray | None) -> Example:
    """A grey sequence of one frame, with the mask of its target in the upper left: 20 x 20 pixels from (10, 10) on."""
    truth = np.zeros((1, 100, 100), bool)
    truth[:, 10:30, 10:30] = True
    frames, boxes = np.full((1, 100, 100, 3), 100, np.uint8), np.array([[60.0, 60, 20, 20]])
    return Example("s", (0,), frames, boxes, boxes, None, predicted, truth)


def test_masks_are_laid_over_frames() -> None:
    """The predicted mask tints its pixels and has an outline, as that of the groundtruth has; no box is drawn."""
    predicted = np.zeros((1, 100, 100), bool)
    predicted[:, 60:80, 50:70] = True
    strip = strips.boxes_strip(masked(predicted))
    tint = (0.6 * 100 + 0.4 * np.array(colours.PREDICTION)).round()
    assert (strip[130:150, 110:130] == tint).all()
    for colour, left, top in ((colours.GROUNDTRUTH, 20, 20), (colours.PREDICTION, 100, 120)):
        rows, columns = np.nonzero((strip == colour).all(-1))
        assert np.abs(np.array([rows.min(), rows.max()]) - (top, top + 39)).max() <= 1
        assert np.abs(np.array([columns.min(), columns.max()]) - (left, left + 39)).max() <= 1
    assert (strip[36:44, 36:44] == 100).all()  # the groundtruth's inside


def test_a_box_is_drawn_where_no_mask_is_predicted() -> None:
    """Beside a groundtruth of masks, the answer of a tracker of boxes is its box; an empty mask is drawn as nothing."""
    rows, columns = np.nonzero((strips.boxes_strip(masked(None)) == colours.PREDICTION).all(-1))
    assert abs(rows.min() - 120) <= 1
    assert abs(columns.max() - 159) <= 1
    empty = strips.boxes_strip(masked(np.zeros((1, 100, 100), bool)))
    assert not (empty == colours.PREDICTION).all(-1).any()


def test_memory_cells_have_one_scale_a_layer() -> None:
    """Below each frame 4 cells beside each other: white at 0, and full colour at the layer's largest magnitude."""
    first, second = np.zeros((1, 16, 2, 2), np.float16), np.zeros((1, 5, 2, 2), np.float16)
    first[0, 0], first[0, 3], first[0, 4] = 2, -1, -2
    second[0, 4] = 0.5
    one = replace(masked(None), memory={"one": first, "two": second})
    strip = strips.memory_strip(one)
    assert strip.shape[1] == strips.boxes_strip(one).shape[1] == 200
    tile = (200 - 3 * 2) // 4
    assert strip.shape[0] == (4 * tile + 6) + strips.GAP + (2 * tile + 2)
    assert (strip[:tile, :tile] == colours.ABOVE).all()
    assert (strip[tile + 2 : 2 * tile + 2, :tile] == colours.BELOW).all()
    half = (255 + (np.array(colours.BELOW) - 255) / 2).round()
    assert (strip[:tile, 3 * (tile + 2) : 4 * tile + 6] == half).all()
    assert (strip[:tile, tile + 2 : 2 * tile + 2] == 255).all()
    assert (strip[-tile:, :tile] == colours.ABOVE).all()
    assert (strip[-tile:, tile + 2 :] == 128).all()  # the last row has one cell
    dark = strips.memory_strip(replace(one, memory={"one": first * 0}))
    assert (dark[:tile, :tile] == 255).all()


def test_weights_are_bars_below_their_patches() -> None:
    """Below each remembered patch its weight goes up from the middle, or down; the chosen patch has none."""
    patches = np.repeat(np.uint8([10, 20, 30]), 32 * 32 * 3).reshape(1, 3, 32, 32, 3)
    strip = strips.recalled_strip(replace(example(), patches=patches, weights=np.float32([[1, -0.5]])))
    side, step = strips.PATCH, strips.PATCH + strips.GAP // 2
    assert strip.shape == (side + strips.BARS + 16, 2 * step + side, 3)
    assert [np.unique(strip[:side, i * step : i * step + side]).tolist() for i in range(3)] == [[10], [20], [30]]
    for i, colour, top, height in ((0, colours.ABOVE, 0, 24), (1, colours.BELOW, 25, 11)):  # 0 has a line of its own
        rows, columns = np.nonzero((strip[side:, i * step : i * step + side] == colour).all(-1))
        assert (rows.min(), rows.max() + 1 - rows.min()) == (top, height)
        assert (columns.min(), columns.max()) == (16, 47)
    assert not (strip[side:-16, 2 * step :] != 255).any()


def test_patches_of_many_frames_stand_in_lines() -> None:
    """Of seven frames three stand beside each other, and the last line is filled up with white."""
    one = example()
    many = replace(
        one, numbers=tuple(range(7)), patches=np.zeros((7, 2, 8, 8, 3), np.uint8), weights=np.zeros((7, 1), np.float32)
    )
    strip = strips.recalled_strip(many)
    height, width = strips.PATCH + strips.BARS + 16, 2 * strips.PATCH + strips.GAP // 2
    assert strip.shape == (3 * height + 2 * strips.GAP, 3 * width + 2 * strips.GAP, 3)
    assert (strip[-height:, -width:] == 255).all()


def test_histograms_lie_over_each_other() -> None:
    """Each panel goes from -1 to 1; the highest share of all frames fills its height, and half a share half of it."""
    contrast = np.zeros((2, 2, 40), np.float32)
    contrast[0, 0, 39], contrast[0, 1, 0], contrast[1, 1, 20] = 1, 0.5, 1
    strip = strips.contrast_strip(replace(example(), numbers=(1, 4), contrast=contrast))
    (width, height), tall = strips.HISTOGRAM, strips.HISTOGRAM[1] - 18
    assert strip.shape == (height, 2 * width + strips.GAP, 3)
    tints = [((255 + np.array(colour)) / 2).round() for colour in (colours.TOGETHER, colours.APART)]
    for tint, left, columns, rows in ((tints[0], 0, (234, 239), tall), (tints[1], 0, (0, 5), tall // 2)):
        found = np.nonzero((strip[:, left : left + width] == tint).all(-1))
        assert (found[0].max() + 1 - found[0].min(), found[1].min(), found[1].max()) == (rows, *columns)
    found = np.nonzero((strip[:, width + strips.GAP :] == tints[1]).all(-1))
    assert (found[0].max() + 1 - found[0].min(), found[1].max()) == (tall, 125)
    assert (strips.contrast_strip(replace(example(), contrast=contrast[:1] * 0))[20:, 1:100] == 255).all()
