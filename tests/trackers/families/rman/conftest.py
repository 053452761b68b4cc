from __future__ import annotations

import numpy as np
import pytest
import torch

from trackers.backbones import vgg_m
from trackers.families import rman
from trackers.families.rman import Config, Learning, Sampling
from trackers.sequence import Sequence

BACKBONE = vgg_m.Config((4, 4, 4))
FEW = Sampling(
    candidates=32, first_positives=16, first_negatives=48, positives=6, negatives=12, regression=30
)  # fmt: skip


@pytest.fixture(scope="session")
def small():
    """RMAN's settings with little of everything; a target is always taken for found."""

    def made(**settings):
        little = {
            "features": "roi_align",
            "backbone": BACKBONE,
            "size": 75,
            "border": 10,
            "units": 12,
            "hidden": 12,
            "initial_std": 0.1,
            "remembered": 3,
            "pairs": 8,
            "mined": 16,
            "sampling": FEW,
            "first": Learning(25, 2e-2),
            "update": Learning(3, 5e-3),
            "every": 3,
            "dropout": 0.2,
            "best": 3,
            "found": 0.0,
        }
        return Config(**{**little, **settings})

    return made


@pytest.fixture(scope="session")
def colours():
    """Weights of a backbone by hand: red against others, the contrary, bright and dark, averaged and passed on."""
    backbone = vgg_m.VGGM(BACKBONE)
    against = torch.tensor([[1, -0.5, -0.5], [-1, 0.5, 0.5], [0.3, 0.3, 0.3], [-0.3, -0.3, -0.3]])
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.zero_()
        backbone.conv1.weight.copy_(against[:, :, None, None].expand(4, 3, 7, 7) / 49)
        for i in range(4):
            backbone.conv2.weight[i, i] = 1 / 25
            backbone.conv3.weight[i, i, 1, 1] = 0.1  # responses of about 1
    return {name: weight.detach().clone() for name, weight in backbone.state_dict().items()}


@pytest.fixture(scope="session")
def make(small, colours):
    """A tracker of these settings, which sees colours, made anew with every call."""
    return lambda **settings: rman.tracker(small(**settings), colours, "cpu")


@pytest.fixture(scope="session")
def film():
    """A red chequered square that moves over grey noise; in frame `jumps` it jumps to the other end of the image."""

    def made(seed=0, length=6, size=(96, 72), side=24, step=4.0, jumps=None):
        rng, name = np.random.default_rng(seed), f"film-{seed}"
        ground = rng.integers(90, 166, (size[1], size[0], 3)).astype(np.uint8)
        colours = np.array([[230, 30, 60], [160, 20, 20]], np.uint8)
        target = colours[np.indices((2, 2)).sum(0) % 2].repeat(side // 2, 0).repeat(side // 2, 1)
        room = np.subtract(size, side)
        start = rng.uniform(0, 1, 2) * room
        move = step * np.where(start > room / 2, [-1, -0.6], [1, 0.6])
        corners = np.rint(start + np.arange(length)[:, None] * move).clip(0, room).astype(int)
        if jumps is not None:
            corners[jumps:] = room - corners[jumps:]
        frames = np.stack([ground] * length)
        for frame, (x, y) in zip(frames, corners, strict=True):
            frame[y : y + side, x : x + side] = target
        return Sequence(name, frames, np.concatenate([corners, np.full((length, 2), side)], 1).astype(float))

    return made
