import numpy as np
import pytest
import torch
from torch import nn

from trackers.families.pixelwise.convlstm import State
from trackers.families.pixelwise.locating import Attention, Centroid, Found, Near, split, stacked
from trackers.families.pixelwise.rois import ROI
from trackers.masks import bounding_box
from trackers.sequence import Sequence, Unseen

FREE = ROI(least=1, most=1000)  # no limits of which to think
WIDTH, HEIGHT = 80, 40


class Counts(nn.Module):
    """Says how many maps of a lane it was shown, n, and of how many pixels: theta = (n / 10, n / 10, pixels / 100)."""

    def zeros(self, count):
        return [State(torch.zeros(count, 1, 1, 1), torch.zeros(count, 1, 1, 1))]

    def forward(self, maps, aspect, states):
        count = states[0].hidden + 1
        n, pixels = count[:, 0, 0, 0], maps[0].sum((1, 2))
        theta = torch.stack([n / 10, n / 10, pixels / 100], 1)
        return theta[None], [State(count, states[0].cell + aspect[:, None, None, None])]


def attention(beta, burn_in=3, roi=FREE):
    return Attention(Counts(), 8, roi, beta, burn_in, "cpu")


def found(mask):
    return Found(mask, np.zeros((1, 1), np.float32), np.array([0, 0, 1, 1]))


def window(x, y, side):
    """Around a centre, of this many pixels, as ROI says it."""
    return [np.rint(x - np.rint(side) / 2), np.rint(y - np.rint(side) / 2), np.rint(side), np.rint(side)]


@pytest.mark.parametrize("beta", [0.3, 0.8, 1.0])
def test_smoothing_by_hand(beta, blob):
    """Algorithm 1, line 5: theta_est = beta theta + (1 - beta) theta_old, the first of which is the mask's."""
    locator = attention(beta)
    mask = blob(HEIGHT, WIDTH, 20, 10, 10, 10)  # squeezed to 8 x 8: one pixel of the target
    locator.start([4], [mask])
    # The square of 10 pixels around (25, 15), half of HEIGHT being the anchor's 20; x and y from -1 to 1.
    estimate = np.array([10 / 20, 25 / 40 - 1, 15 / 20 - 1])
    for step in range(4):
        n = 3 + step  # the first mask is shown three times, then each found one once
        pixels = 2 if step == 0 else 32
        estimate = beta * np.array([n / 10, n / 10, pixels / 100]) + (1 - beta) * estimate
        scale, x, y = estimate
        [where] = locator.windows([4])
        assert where.tolist() == window((x + 1) * 40, (y + 1) * 20, 2 * scale * 20)
        locator.see([4], [found(blob(HEIGHT, WIDTH, 0, 0, 80, 20))])  # half of the map


def test_the_first_mask_is_seen_as_often_as_the_burn_in(blob):
    """Before tracking begins the model has looked at it `burn_in` times, of the frame's aspect ratio."""
    locator = attention(1.0, burn_in=5)
    locator.start([0], [blob(HEIGHT, WIDTH, 20, 10, 10, 10)])
    [state] = locator.states[0]
    assert state.hidden.item() == 5
    assert state.cell.item() == 5 * 80 / 40


def test_a_roi_begins_in_the_frame(blob):
    """Wherever the model says that the target went, the ROI's centre stays at the frame's border."""
    locator = attention(1.0, burn_in=30)  # theta = (3, 3, ...): far to the right
    locator.start([0], [blob(HEIGHT, WIDTH, 20, 10, 10, 10)])
    [[x, y, side, _]] = locator.windows([0])
    assert x + side / 2 == WIDTH
    assert 0 <= y + side / 2 <= HEIGHT


def test_lanes_of_attention_do_not_meet(blob):
    """Each is smoothed and remembered by itself; a restart forgets what was."""
    masks = [blob(HEIGHT, WIDTH, 20, 10, 10, 10), blob(60, 60, 5, 30, 20, 20)]
    alone = []
    for mask in masks:
        one = attention(0.7)
        one.start([9], [mask])
        alone.append([])
        for _ in range(3):
            alone[-1].append(one.windows([9])[0].tolist())
            one.see([9], [found(mask)])
    both = attention(0.7)
    both.start([2, 0], masks[::-1])
    both.see([2], [found(masks[1])])
    both.start([2, 0], masks)
    for t in range(3):
        assert both.windows([0, 2]).tolist() == [alone[1][t], alone[0][t]]
        both.see([2, 0], [found(mask) for mask in masks])


def centroid(mask):
    locator = Centroid(FREE)
    locator.start([0], [mask])
    return locator


def test_the_centroid_by_hand(blob):
    """Eq. 5: the mean of the pixels' places, weighted by their probabilities, is the centre of the next ROI."""
    locator = centroid(blob(HEIGHT, WIDTH, 20, 10, 8, 4))
    assert locator.windows([0]).tolist() == [[16, 4, 16, 16]]  # twice 8 pixels around (24, 12)
    p = np.zeros((16, 16), np.float32)
    p[2, 3], p[10, 3], p[6, 13] = 0.5, 0.25, 0.25
    # x: (0.5 * 19.5 + 0.25 * 19.5 + 0.25 * 29.5) = 22; y: 0.5 * 6.5 + 0.25 * 14.5 + 0.25 * 10.5 = 9.5
    locator.see([0], [Found(np.zeros((HEIGHT, WIDTH), bool), p, np.array([16, 4, 16, 16]))])
    assert locator.windows([0]).tolist() == [[14, np.rint(9.5 - 8), 16, 16]]


def test_pixels_beyond_the_frame_do_not_count(blob):
    """Only those that the frame shows have a weight; where these have none, the ROI stays where it was."""
    locator = centroid(blob(HEIGHT, WIDTH, 0, 0, 8, 8))
    [start] = locator.windows([0])
    assert start.tolist() == [-4, -4, 16, 16]
    p = np.zeros((16, 16), np.float32)
    p[:4] = p[:, :4] = 1
    locator.see([0], [Found(np.zeros((HEIGHT, WIDTH), bool), p, start)])
    assert locator.windows([0]).tolist() == [start.tolist()]
    p[9, 11] = 0.01  # the frame's pixel (7, 5), whose centre is 7.5, 5.5
    locator.see([0], [Found(np.zeros((HEIGHT, WIDTH), bool), p, start)])
    assert locator.windows([0]).tolist() == [[np.rint(7.5 - 8), np.rint(5.5 - 8), 16, 16]]


def test_the_size_of_the_centroids_roi_is_fixed(blob):
    """Whatever is found, the ROI keeps the first frame's size."""
    locator, rng = centroid(blob(HEIGHT, WIDTH, 30, 10, 6, 9)), np.random.default_rng(0)
    for _ in range(20):
        [where] = locator.windows([0])
        assert where[2:].tolist() == [18, 18]
        p = rng.random((18, 18), np.float32) ** 4
        locator.see([0], [Found(np.zeros((HEIGHT, WIDTH), bool), p, where)])


def walk(length, gone=()):
    """A target of 10 x 6 that moves by (4, 1) a frame, and grows by a pixel in width."""
    t = np.arange(length, dtype=float)
    boxes = np.stack([20 + 4 * t, 10 + t, 10 + t, np.full(length, 6)], 1)
    boxes[list(gone)] = np.nan
    return Sequence("walk", Unseen(length), boxes)


def near(sequence, beta, start=0, roi=FREE):
    """The windows of all frames after `start`."""
    locator = Near(roi, beta)
    locator.reveal([3], [sequence], [start])
    locator.start([3], [np.zeros((1, 1), bool)])
    return [locator.windows([3])[0].tolist() for _ in range(start + 1, len(sequence))]


@pytest.mark.parametrize("beta", [0.8, 1.0])
@pytest.mark.parametrize("start", [0, 2])
def test_near_is_an_exponential_weighting_by_hand(beta, start):
    """L = (1 - beta) L + beta L_(t - 5) of centres, of the start at first; as wide as frame t asks."""
    sequence = walk(14)
    windows, x, y = near(sequence, beta, start), 20 + 4 * start + (10 + start) / 2, 10 + start + 3
    for t in range(start + 1, 14):
        late = max(t - 5, start)
        x = (1 - beta) * x + beta * (20 + 4 * late + (10 + late) / 2)
        y = (1 - beta) * y + beta * (10 + late + 3)
        assert windows[t - start - 1] == window(x, y, 2 * (10 + t))


def test_near_a_target_that_is_gone():
    """Its place, and its size, stay those of the last frame in which it was there."""
    gone = near(walk(14, gone=(3, 4, 5)), 1.0)
    there = near(walk(14), 1.0)
    assert [t for t in range(13) if gone[t][2] != there[t][2]] == [2, 3, 4]  # the sizes of frames 3 to 5
    sides = [window[2] for window in gone[1:6]]
    assert sides == [24, 24, 24, 24, 32]
    # Frames 8 to 10 look at 3 to 5: the centre of frame 2, (20 + 8 + 6, 10 + 2 + 3).
    for t in (8, 9, 10):
        x, y, side, _ = gone[t - 1]
        assert [x + side / 2, y + side / 2] == [34, 15]


def test_near_knows_masks_as_it_knows_boxes():
    """Where masks are annotated, places are those of the boxes around them; an empty one is a target that is gone."""
    masks = np.zeros((9, HEIGHT, WIDTH), bool)
    for t in range(9):
        masks[t, 5 + t : 15 + t, 10 + 3 * t : 22 + 3 * t] = t != 4
    boxes = bounding_box(masks)
    known = Sequence("known", Unseen(9), boxes)
    nonsense = np.tile([1.0, 1, 1, 1], (9, 1))
    masked = Sequence("masked", Unseen(9), nonsense, regions=masks)
    assert near(masked, 0.8) == near(known, 0.8)


class Counted:
    """Masks that count how often they are read."""

    def __init__(self, masks):
        self.masks, self.reads = masks, 0

    def __len__(self):
        return len(self.masks)

    def __getitem__(self, t):
        self.reads += 1
        return self.masks[t]


def test_near_reads_each_mask_once(blob):
    """However often, and in whatever lanes, a sequence is started on; another one takes its place."""
    one, other = (
        Sequence(
            name, Unseen(6), np.ones((6, 4)), regions=Counted([blob(HEIGHT, WIDTH, x + t, 9, 8, 8) for t in range(6)])
        )
        for name, x in (("one", 10), ("other", 40))
    )
    locator = Near(FREE, 1.0)
    locator.reveal([0, 1], [one, one], [0, 2])
    locator.reveal([0], [one], [4])
    assert one.regions.reads == 6
    locator.start([0, 1], [one.regions.masks[0]] * 2)
    assert locator.windows([0, 1])[:, 0].tolist() == [10 + 4 - 4, 10 + 2 - 4]
    locator.reveal([0, 1], [other, other], [0, 0])
    assert (one.regions.reads, other.regions.reads) == (6, 6)
    assert {sequence.name for sequence, _ in locator.shown.values()} == {"other"}


def test_states_of_lanes_come_apart():
    """Stacking undoes splitting, layer by layer."""
    layers = [
        State(torch.rand(3, 2, 4, 4), torch.rand(3, 2, 4, 4)),
        State(torch.rand(3, 1, 2, 2), torch.rand(3, 1, 2, 2)),
    ]
    lanes = split(layers)
    assert [[part.shape[0] for part in layer] for layer in lanes[0]] == [[1, 1], [1, 1]]
    torch.testing.assert_close(stacked(lanes), layers, rtol=0, atol=0)
    torch.testing.assert_close(stacked(lanes[2:]), [State(h[2:], c[2:]) for h, c in layers], rtol=0, atol=0)
