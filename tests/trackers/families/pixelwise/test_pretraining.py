import dataclasses

import numpy as np
import pytest
import torch

from trackers.backbones import vgg16
from trackers.backbones.pictures import Pictures
from trackers.families.pixelwise.pretraining import Pretraining, Segmenter, look, pretrain, scaled
from trackers.training import Silent


def painted(*objects, size=(96, 96)):
    """A picture whose grey level tells classes: 50 is background, 100 times 1 + label an object; later ones on top."""
    image = np.full((*size, 3), 50, np.uint8)
    for label, (x, y, width, height) in objects:
        image[y : y + height, x : x + width] = 100 * (1 + label)
    boxes = np.array([box for _, box in objects], float)
    return Pictures([image], [boxes], [np.array([label for label, _ in objects])], ("a", "b"))


def seen(pictures, context=(2.0, 2.0), seed=0, size=64):
    images, classes = look(pictures, np.array([0]), size, context, np.random.default_rng(seed), "cpu")
    return images[0, 0].numpy(), classes[0].numpy()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("order", [1, -1])
def test_parts_have_the_class_of_what_is_there(order, seed):
    """Where a part's pixels are of one grey level, as most are, this is its class: of two boxes, the smaller's."""
    pictures = painted((0, (20, 16, 44, 60)), (1, (34, 40, 20, 18)))  # the smaller upon the larger
    boxes, labels = pictures.boxes[0][::order], pictures.labels[0][::order]
    pictures = dataclasses.replace(pictures, boxes=[boxes], labels=[labels])
    image, classes = seen(pictures, (1.5, 3.0), seed)
    assert classes.shape == (16, 16)
    parts = image.reshape(16, 4, 16, 4).transpose(0, 2, 1, 3).reshape(16, 16, 16)
    plain = np.ptp(parts, axis=2) == 0
    told = np.array([0, 1, 2])[np.digitize(parts[..., 0], [75, 150])]  # black, outside of the picture, is background
    assert plain.mean() > 0.6
    assert np.array_equal(classes[plain], told[plain])
    assert set(classes.flat) >= {0, 1}


@pytest.mark.parametrize("seed", range(5))
def test_an_object_in_a_roi_of_twice_its_size_fills_a_quarter(seed):
    """Of 8 x 8 parts those of 4 x 4 are its, one more or less where the ROI begins at a whole pixel."""
    _, classes = seen(painted((1, (30, 30, 40, 40))), seed=seed, size=32)
    rows, columns = np.nonzero(classes)
    assert set(classes.flat) == {0, 2}
    assert 3 <= np.ptp(rows) + 1 <= 5 and 3 <= np.ptp(columns) + 1 <= 5
    assert len(rows) == (np.ptp(rows) + 1) * (np.ptp(columns) + 1)


class Curves(Silent):
    def __init__(self):
        self.names = set()

    def metric(self, name, value, step):
        assert np.isfinite(value)
        self.names.add(name)


def test_weights_are_the_backbones_alone(data, small):
    """They fit VGG-16; accuracy is told, of images held out; and the same seed gives the same weights."""
    config, curves = small(), Curves()
    pictures = Pictures.of(data["images"], Silent())
    weights = pretrain(pictures, config.backbone, 32, config.pretraining, 1, "cpu", curves)
    network = vgg16.VGG16(config.backbone)
    network.load_state_dict(dict(weights))
    assert curves.names == {"loss", "accuracy"}
    again = pretrain(pictures, config.backbone, 32, config.pretraining, 1, "cpu", Silent())
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_scaling_changes_pool4_alone():
    """Its mean over these images becomes 1, its pattern stays what it was."""
    torch.manual_seed(0)
    config = vgg16.Config((2, 2, 4, 6, 6))
    model, images = Segmenter(config, 2), torch.rand(3, 3, 32, 32) * 255
    with torch.no_grad():
        before = model.backbone.pool4(images)
        model.backbone.load_state_dict(scaled(model, model.backbone.state_dict(), images))
        after = model.backbone.pool4(images)
    assert after.mean().item() == pytest.approx(1)
    torch.testing.assert_close(after, before / before.mean())


def test_scores_are_of_each_part_and_class():
    """A quarter of a ROI's side, and one class more than there are: background."""
    assert Segmenter(vgg16.Config((2, 2, 4, 6, 6)), 3)(torch.rand(2, 3, 32, 32)).shape == (2, 4, 8, 8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"context": (0.5, 2.0)}, r"context: expected two numbers from 1 on, in order, got \[0.5, 2.0\]"),
        ({"context": (3.0, 2.0)}, "context: expected"),
        ({"held_out": 1}, "held_out: expected at least 2, got 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    """What was expected, and what came, is said."""
    with pytest.raises(ValueError, match=message):
        Pretraining(**settings)
