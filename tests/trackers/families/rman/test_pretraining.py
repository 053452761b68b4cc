import numpy as np
import pytest
import torch

from trackers.backbones import vgg_m
from trackers.backbones.pictures import Pictures
from trackers.benchmarks.collection import Collection
from trackers.boxes import centre, iou
from trackers.families.rman.pretraining import Pretraining, draw, learn, lit, pretrain, scaled
from trackers.sequence import Sequence
from trackers.training import Silent, Training

BACKBONE = vgg_m.Config((2, 3, 4))
LITTLE = Training(batch=4, updates_per_epoch=2, epochs=1, report_every=2, learning_rate=1e-3)


def painted(count=6):
    """Pictures of two squares each on grey noise, of one class a bright one, of the other a dark one."""
    rng = np.random.default_rng(0)
    images, boxes = [], np.array([[20.0, 30, 24, 24], [80, 40, 30, 20]])
    for _ in range(count):
        image = rng.integers(100, 156, (100, 140, 3), dtype=np.uint8)
        image[30:54, 20:44], image[40:60, 80:110] = 255, 0
        images.append(image)
    return Pictures(images, [boxes] * count, [np.array([0, 1])] * count, ("bright", "dark"))


class Curves(Silent):
    def __init__(self):
        self.names = set()

    def metric(self, name, value, step):
        assert np.isfinite(value)
        self.names.add(name)


def test_objects_have_their_class_and_background_overlaps_none():
    """Boxes of objects are theirs, moved and scaled by no more than set; those of background overlap by under 0.3."""
    pictures, settings = painted(), Pretraining(background=0.4)
    boxes, classes = draw(pictures, np.arange(6).repeat(50), settings, np.random.default_rng(1))
    objects = pictures.boxes[0]
    assert 0.3 < (classes == 0).mean() < 0.5
    assert (iou(boxes[classes == 0][:, None], objects) < 0.3).all()
    for label in (1, 2):
        own, box = boxes[classes == label], objects[label - 1]
        assert len(own)
        assert (np.abs(centre(own) - centre(box)) <= 0.1 * box[2:] + 1e-9).all()
        factors = own[:, 2:] / box[2:]
        assert np.allclose(factors[:, 0], factors[:, 1])
        assert 1 / 1.2 <= factors.min() < 0.9 and 1.1 < factors.max() <= 1.2


def test_background_is_looked_for_even_where_an_object_is_everywhere():
    """Where an image is all one object, boxes over its border are taken."""
    pictures = Pictures([np.zeros((50, 50, 3), np.uint8)], [np.array([[0.0, 0, 50, 50]])], [np.array([0])], ("a", "b"))
    boxes, classes = draw(pictures, np.zeros(30, int), Pretraining(background=0.99), np.random.default_rng(0))
    overlaps = iou(boxes, pictures.boxes[0])
    assert (overlaps[classes == 0] < 0.5).all() and (overlaps[classes == 0] < 0.3).mean() > 0.9


def test_weights_are_the_backbones_alone():
    """They fit VGG-M; accuracy is told, of images held out; and seeds decide the weights."""
    curves, settings = Curves(), Pretraining(held_out=3, training=LITTLE)
    weights = pretrain(painted(), BACKBONE, 75, 10, settings, 1, "cpu", curves)
    vgg_m.VGGM(BACKBONE).load_state_dict(dict(weights))
    assert curves.names == {"loss", "accuracy"}
    again, other = (pretrain(painted(), BACKBONE, 75, 10, settings, seed, "cpu", Silent()) for seed in (1, 2))
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert not torch.equal(weights["conv1.weight"], other["conv1.weight"])


def test_bright_is_told_from_dark():
    """A few updates are enough where grey levels tell classes."""
    found = []

    class Last(Silent):
        def metric(self, name, value, step):
            found.append(value)

    training = Training(batch=8, updates_per_epoch=20, epochs=1, report_every=20, learning_rate=3e-3)
    pretrain(painted(40), vgg_m.Config((4, 4, 4)), 75, 10, Pretraining(held_out=2, training=training), 0, "cpu", Last())
    assert found[-1] > 0.6  # by chance: 0.5, all being background


class Said:
    """Dice that show what is said: that the first of two patches is in another light, and in which."""

    def random(self, count):
        return np.array([0.2, 0.7])

    def uniform(self, low, high, shape):
        return np.array([[0.5, -1.0], [1.0, 1.0]])


def test_light_by_hand():
    """Half of the way to 20% brighter, and all of the way to 20 levels darker: 1.1 x - 20, from black to white."""
    patches = torch.tensor([10.0, 100, 240, 255]).expand(2, 3, 2, 4)
    found = lit(patches, 0.2, Said())
    torch.testing.assert_close(found[0], torch.tensor([0.0, 90, 244, 255]).expand(3, 2, 4))
    assert torch.equal(found[1], patches[1])


def test_no_light_leaves_all():
    """Where no other light is asked for, patches are what they were."""
    patches = torch.rand(20, 3, 4, 4) * 255
    assert torch.equal(lit(patches, 0.0, np.random.default_rng(0)), patches)


def test_half_are_in_another_light():
    """The others are what they were; gains and offsets keep to their limits, and come near them; greys remain greys."""
    levels = torch.tensor([0.0, 60, 100, 150, 200, 255], dtype=torch.float64)
    found = lit(levels.expand(600, 3, 1, 6), 0.4, np.random.default_rng(0))
    assert (found == found[:, :1]).all()
    found = found[:, 0, 0]
    changed = (found != levels).any(1)
    assert 0.44 < changed.double().mean() < 0.56
    gain = (found[:, 3:4] - found[:, 2:3]) / 50  # no light cuts 100 and 150 off
    offset = found[:, 2:3] - gain * 100
    for some, low, high in ((gain, 0.6, 1.4), (offset, -40, 40)):
        assert low - 1e-9 <= some.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < some.max() <= high + 1e-9
    torch.testing.assert_close(found, (levels * gain + offset).clip(0, 255))


def test_scaling_changes_conv3_alone():
    """Its responses to these patches have the mean 1 then, in the pattern that they had."""
    torch.manual_seed(0)
    network, patches = vgg_m.VGGM(BACKBONE), torch.rand(3, 3, 91, 91) * 255
    with torch.no_grad():
        before = network(patches)
        weights = scaled(network, network.state_dict(), patches)
        network.load_state_dict(dict(weights))
        after = network(patches)
    assert after.mean().item() == pytest.approx(1, rel=1e-4)
    torch.testing.assert_close(after, before / before.mean(), rtol=1e-4, atol=1e-5)


def test_images_of_one_class_are_refused():
    """There is nothing to tell apart; the message says what else can be done."""
    one = Sequence("0", np.zeros((1, 20, 30, 3), np.uint8), np.array([[5.0, 5, 8, 8]]), label="disc")
    with pytest.raises(ValueError, match=r"data set stills: expected images of at least two classes .* name a file"):
        learn(Collection("stills", (one,)), BACKBONE, 75, 10, Pretraining(), 0, "cpu", Silent())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"background": 1.0}, r"background: expected a share in \[0, 1\), got 1.0"),
        ({"shift": 0.7}, r"shift: expected a share in \[0, 0.5\), got 0.7"),
        ({"scale": 0.9}, r"scale: expected a factor in \[1, 2\), got 0.9"),
        ({"light": 1.0}, r"light: expected a share in \[0, 1\), got 1.0"),
        ({"held_out": 1}, "held_out: expected at least 2, got 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    """What was expected, and what came, is said."""
    with pytest.raises(ValueError, match=message):
        Pretraining(**settings)


def test_gradients_of_parts_add_up_to_the_wholes(parted):
    """Of an update by several processes: each takes its part of the minibatch, and all of them the whole."""
    settings = Pretraining(held_out=3, light=0.2, training=LITTLE)
    whole, summed = parted(lambda: pretrain(painted(), BACKBONE, 75, 10, settings, 1, "cpu", Silent()), 3)
    for one, other in zip(whole, summed, strict=True):
        assert (one - other).abs().max() <= 1e-5 * one.abs().max()
