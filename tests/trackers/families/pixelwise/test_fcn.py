import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trackers.backbones import vgg16
from trackers.families.pixelwise.fcn import Model, Refining


def test_defaults_are_fcn_16s():
    """VGG-16's last block and fully connected layers as convolutions, and scores of one class (Long et al. 2014)."""
    with torch.device("meta"):
        made = Model((512, 512), 224, 4096)
    assert [tuple(layer.weight.shape) for layer in made.block5] == [(512, 512, 3, 3)] * 3
    assert made.fc6.weight.shape == (4096, 512, 7, 7)
    assert made.fc7.weight.shape == (4096, 4096, 1, 1)
    assert made.score7.weight.shape == (1, 4096, 1, 1)
    assert made.score4.weight.shape == (1, 512, 1, 1)


def test_training_begins_undecided():
    """Scores begin at 0: each pixel is the target's with 1/2."""
    assert not Model((4, 6), 32, 5)(torch.rand(2, 4, 2, 2)).any()


def test_its_last_block_is_the_backbones():
    """After `begin_from` it sees in pool4 what VGG-16's fifth block does."""
    torch.manual_seed(0)
    backbone, made, pool4 = vgg16.VGG16(vgg16.Config((2, 2, 3, 4, 6))), Model((4, 6), 64, 5), torch.rand(2, 4, 4, 4)
    made.begin_from(backbone.state_dict())
    x = pool4
    for layer in made.block5:
        x = F.relu(layer(x))
    torch.testing.assert_close(F.max_pool2d(x, 2), backbone.block5(pool4))


def test_scores_are_added_and_spread():
    """The coarse score doubled in size, and pool4's, are one map of the ROI's size, bilinear between centres."""
    torch.manual_seed(0)
    made, pool4 = Model((4, 6), 64, 5), torch.rand(1, 4, 4, 4)
    nn.init.ones_(made.score4.weight)
    nn.init.constant_(made.score7.bias, 2.0)
    expected = F.interpolate(pool4.sum(1, keepdim=True) + 2, (64, 64), mode="bilinear")[:, 0]
    torch.testing.assert_close(made(pool4), expected)


@pytest.mark.parametrize("settings", [{"iterations": -1}, {"learning_rate": 0.0}, {"learning_rate": float("inf")}])
def test_refinings_that_mean_nothing_are_refused(settings):
    """What was expected, and what came, is said."""
    with pytest.raises(ValueError, match="refining: expected iterations >= 0 and learning_rate > 0, got"):
        Refining(**settings)
