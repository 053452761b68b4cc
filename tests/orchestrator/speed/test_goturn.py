import numpy as np
import pytest
import torch
from torch import nn

from orchestrator.speed import goturn
from trackers import families
from trackers.backbones import alexnet
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass


@pytest.mark.parametrize("layout", ["caffenet", "torchvision"])
def test_the_port_says_what_the_tracker_says(layout):
    """What is measured is the same work: plain port and tracker say the same boxes, to a hundredth of a pixel."""
    family = families.find("goturn")
    config = family.Config(backbone=alexnet.Config(layout, (8, 8, 8, 8, 8)), size=99, units=16)
    weights = goturn.still(config)
    torch.manual_seed(0)
    nn.init.normal_(weights["fc8.weight"], std=0.02)
    videos = goturn.sequences(2, 6, (96, 72))
    plain, ours = (
        list(follow(tracker, one_pass, videos, 1))
        for tracker in (goturn.port(config, weights), family.tracker(config, weights, "cpu"))
    )
    for mine, other in zip(ours, plain, strict=True):
        assert np.abs(mine.regions - mine.regions[0]).max() > 1
        np.testing.assert_allclose(mine.regions, other.regions, atol=1e-2)


def test_examples_of_the_loop_are_complete():
    """The loop makes minibatches of the paper's shape, each with its target in the window, mostly."""
    loop = goturn.ExamplesOneByOne(tuple(goturn.sequences(2, 3, (96, 72))), crops=3, size=64)
    targets, searches, corners = loop.batch(6)
    assert targets.shape == searches.shape == (6, 3, 64, 64)
    assert corners.shape == (6, 4)
    assert ((corners[:, 2:] > 0) & (corners[:, :2] < 1)).all()
