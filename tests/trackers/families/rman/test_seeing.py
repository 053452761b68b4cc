import math

import numpy as np
import pytest
import torch

from trackers.backbones import vgg_m
from trackers.families.rman import seeing
from trackers.families.rman.seeing import Maps, Patches, enlarged, interpolated

SIZE, BORDER, INNER, WIDTH = 107, 16, 75, 4  # responses are 3 x 3
GREY = 128.0


def looks(size=SIZE, border=BORDER):
    """Both ways to see, by the same backbone, all of whose filters see something."""
    torch.manual_seed(3)
    backbone = vgg_m.VGGM(vgg_m.Config((3, 4, WIDTH), GREY)).eval().requires_grad_(False)
    for layer in (backbone.conv2, backbone.conv3):
        layer.weight.abs_()
    return [way(backbone, size, border, GREY, "cpu") for way in (Patches, Maps)]


def picture(height=160, width=200, seed=0):
    """Smooth enough that where a box is between pixels, or between responses, may be interpolated."""
    coarse = torch.rand(1, 3, height // 48 + 2, width // 48 + 2, generator=torch.Generator().manual_seed(seed))
    fine = torch.nn.functional.interpolate(255 * coarse, scale_factor=48, mode="bilinear")
    return fine[0].permute(1, 2, 0).round().byte().numpy()[:height, :width]


def seen(way, image, boxes, target):
    [features] = way([image], [np.asarray(boxes, float)], [np.asarray(target, float)])
    return features


def off(found, expected):
    """The largest difference, in shares of the largest feature."""
    return ((found - expected).abs().max() / expected.abs().max()).item()


def test_a_box_is_all_but_the_border_of_its_patch():
    """75 of 107 pixels are the box's, around one centre: a box of 75 pixels has a patch of 107."""
    np.testing.assert_allclose(enlarged(np.array([16.0, 20, 75, 150]), SIZE, BORDER), [0, -12, 107, 214])


def test_interpolation_by_hand():
    """Between four responses the nearer ones count more; at the last row and column there is nothing beyond."""
    responses = torch.tensor([[0.0, 10, 20], [40, 50, 60]])[..., None]
    places = torch.tensor([[[0.5, 0], [1.25, 0.25]], [[2, 1], [0, 0.5]]])  # x, y of columns and rows
    found = interpolated(responses, places)
    # columns 0.5 and 1.25 in rows 0 and 0.25; then columns 2 and 0 in rows 1 and 0.5
    assert found.tolist() == [[5, 12.5, 15, 22.5], [60, 40, 40, 20]]
    assert interpolated(torch.stack([responses[..., 0]] * 2, 2), places).shape == (2, 8)


@pytest.mark.parametrize("sides", [(75, 75), (37.5, 75), (150, 37.5)])
def test_boxes_a_grid_apart_have_their_patches_features(sides):
    """By ROI align, boxes of the target's size off by multiples of 8 pixels of a patch, have the patch's features."""
    target = np.array([70.0, 50, *sides])
    steps = np.array([[0, 0], [1, 0], [0, -2], [-3, 4], [5, 5]])
    boxes = np.concatenate([target[:2] + 8 * steps * target[2:] / INNER, np.tile(target[2:], (5, 1))], 1)
    patches, maps = looks()
    expected = seen(patches, picture(), boxes, target)
    assert expected.shape == (5, 9 * WIDTH)
    assert off(seen(maps, picture(), boxes, target), expected) < 1e-5


def test_boxes_between_and_of_other_sizes_have_nearly_theirs():
    """Elsewhere they are read between responses: near what their own patches have, far from what others have."""
    target = np.array([60.0, 50, 50, 40])
    boxes = np.array([[67, 50, 50, 40], [20, 20, 50, 40], [55, 52, 60, 48], [90, 60, 43, 34], [40, 40, 100, 80]])
    patches, maps = looks()
    found, expected = seen(maps, picture(), boxes, target), seen(patches, picture(), boxes, target)
    differences = np.array([[off(one, own) for own in expected] for one in found])
    own, others = differences.diagonal(), differences + np.eye(5)
    assert (own < 0.02).all() and (own < others.min(1) / 2).all()


@pytest.mark.parametrize("way", [0, 1])
def test_shapes_are_those_of_the_boxes(way):
    """Each image has as many features as boxes, place by place in all channels; each image by itself."""
    see = looks()[way]
    boxes = [np.array([[20.0, 20, 40, 40]]), np.array([[20.0, 20, 40, 40], [50, 40, 30, 30], [5, 5, 70, 50]])]
    images = [picture(), picture(100, 140, 1)]
    found = see(images, boxes, [some[0] for some in boxes])
    assert [tuple(some.shape) for some in found] == [(1, 9 * WIDTH), (3, 9 * WIDTH)]
    for image, some, own in zip(images, boxes, found, strict=True):
        torch.testing.assert_close(own, seen(see, image, some, some[0]))


@pytest.mark.parametrize("way", [0, 1])
def test_order_does_not_matter(way):
    """A box has the same features wherever it stands among the others, of any size."""
    see, rng = looks()[way], np.random.default_rng(0)
    boxes = np.concatenate([rng.uniform(0, 100, (12, 2)), rng.uniform(15, 90, (12, 2))], 1)
    order = rng.permutation(12)
    found = seen(see, picture(), boxes, boxes[0])
    torch.testing.assert_close(seen(see, picture(), boxes[order], boxes[0]), found[torch.from_numpy(order)])


@pytest.mark.parametrize("way", [0, 1])
def test_beyond_the_image_all_is_grey(way):
    """A box that lies outside sees what one in a grey image sees; so does the outside part of one across a border."""
    see, target = looks()[way], np.array([20.0, 20, 40, 40])
    away = np.array([[400.0, 300, 40, 40], [-300, 20, 40, 40]])
    grey = np.full((160, 200, 3), int(GREY), np.uint8)
    torch.testing.assert_close(seen(see, picture(), away, target), seen(see, grey, away, target), rtol=0, atol=1e-4)
    framed = np.pad(picture(), ((100, 100), (100, 100), (0, 0)), constant_values=int(GREY))
    across = np.array([[-20.0, 30, 40, 40], [180, 140, 40, 40]])
    shift = np.array([100, 100, 0, 0])
    expected = seen(see, framed, across + shift, target + shift)
    assert off(seen(see, picture(), across, target), expected) < 0.01


@pytest.mark.parametrize("way", [0, 1])
def test_grey_images_are_colour_images(way):
    """What has no colour is three channels of the same, and its features are numbers that differ."""
    see, target = looks()[way], np.array([60.0, 50, 40, 40])
    grey = np.repeat(picture()[..., :1], 3, 2)
    found = seen(see, grey, [target, target + 30], target)
    assert found.isfinite().all() and not torch.allclose(found[0], found[1])


@pytest.mark.parametrize("target", [(50.0, 40, 3, 3), (-30.0, -20, 260, 200), (190.0, 150, 30, 4)])
def test_targets_of_any_size_are_seen(target):
    """Of three pixels, larger than the image, and at its corner; both ways agree on the target itself."""
    target = np.array(target)
    boxes = np.stack([target, target * [1, 1, 1.2, 1.2], target + [target[2] / 4, target[3] / 4, 0, 0]])
    patches, maps = looks()
    found, expected = seen(maps, picture(), boxes, target), seen(patches, picture(), boxes, target)
    assert found.shape == expected.shape == (3, 9 * WIDTH) and found.isfinite().all()
    assert off(found[0], expected[0]) < 0.02


@pytest.fixture
def parts(monkeypatch):
    """Pixels of each part of a frame that is seen as a whole."""
    sizes, dense = [], vgg_m.VGGM.dense

    def recorded(self, images):
        sizes.append(math.prod(images.shape[2:]))
        return dense(self, images)

    monkeypatch.setattr(vgg_m.VGGM, "dense", recorded)
    return sizes


def test_larger_boxes_are_seen_in_smaller_magnifications(parts):
    """Boxes of the target's size and smaller share one; of those much larger, each 1.5 times as large is another."""
    maps, target = looks()[1], np.array([90.0, 70, 40, 40])
    for scales, count in (([1.0, 0.3, 1.2], 1), ([1.5], 1), ([1.0, 1.5, 1.6, 2.25], 3)):
        seen(maps, picture(), target * [[1, 1, scale, scale] for scale in scales], target)
        assert len(parts) == count
        parts.clear()
    seen(maps, picture(), [target], target)
    seen(maps, picture(), target * [[1, 1, 1.5, 1.5]], target)
    assert parts == [115 * 115] * 2  # of the box and its border alone, whatever its size, and one response more


def test_a_frame_is_enlarged_no_more_than_there_is_room_for(monkeypatch, parts):
    """Of boxes all over a frame with a small target the part is held to its limit; features stay near."""
    maps, target = looks()[1], np.array([90.0, 70, 40, 40])
    boxes = np.array([target, [20, 20, 40, 40], [150, 110, 40, 40]])
    free = seen(maps, picture(), boxes, target)
    monkeypatch.setattr(seeing, "LARGEST", parts[0] * 0.8)
    limited = seen(maps, picture(), boxes, target)
    assert len(parts) == 2 and 0.6 * parts[0] < parts[1] <= seeing.LARGEST
    assert 0 < off(limited, free) < 0.06


def test_what_is_near_is_seen_alike_whatever_is_far(monkeypatch):
    """In frames too large to be enlarged as a whole, samples near the target have the features they have alone."""
    maps, target = looks()[1], np.array([20.0, 20, 16, 16])
    near, far = np.array([target, [24, 18, 16, 16]]), np.array([[180.0, 140, 16, 16]])
    monkeypatch.setattr(seeing, "LARGEST", 400_000)
    together = seen(maps, picture(), np.concatenate([near, far]), target)
    torch.testing.assert_close(together[:2], seen(maps, picture(), near, target))
