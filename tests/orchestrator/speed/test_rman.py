from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from orchestrator.speed.rman_port import Port
from trackers import families
from trackers.backbones import vgg_m
from trackers.families.rman import Config, Learning, Sampling
from trackers.families.rman.seeing import Patches
from trackers.families.rman.tracking import Dice

TINY = Config(
    backbone=vgg_m.Config((4, 6, 5)),
    units=6,
    hidden=5,
    remembered=3,
    size=75,
    border=11,
    pairs=4,
    mined=9,
    dropout=0.0,
    every=2,
    sampling=Sampling(32, first_positives=20, first_negatives=60, positives=6, negatives=20, regression=30),
    first=Learning(30, 5e-2),
    update=Learning(3, 3e-2),
)
VARIANTS = {
    "RMAN": {},
    "Baseline": {"recurrent": False, "activation": "none"},
    "Baseline+LSTM": {"activation": "none"},
    "Baseline+MAL": {"recurrent": False, "coherence": 0.1},
    "Baseline+LSTM+APL": {"activation": "average"},
}


def slow(variant):
    return pytest.param(variant, marks=pytest.mark.slow)


def weights(config):
    """Of VGG-M, at random."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = vgg_m.VGGM(config.backbone).state_dict()
    return state | {"conv3.weight": state["conv3.weight"] * 0.2}


def video(length, seed=0):
    """A square of one texture that moves over another, and its boxes."""
    rng = np.random.default_rng(seed)
    background, target = (
        cv2.resize(rng.integers(0, 256, (*coarse, 3), dtype=np.uint8), size, interpolation=cv2.INTER_CUBIC)
        for coarse, size in (((9, 12), (96, 72)), ((4, 4), (24, 24)))
    )
    frames, boxes = [], []
    for t in range(length):
        frame = background.copy()
        frame[20 + t : 44 + t, 30 + 2 * t : 54 + 2 * t] = target
        frames.append(frame)
        boxes.append([30.0 + 2 * t, 20.0 + t, 24.0, 24.0])
    return frames, np.array(boxes)


def test_patches_are_the_ports():
    """What patch mode sees is what convolutions see patch by patch, to 1e-5 of the largest; outside the image, too."""
    config = replace(TINY, backbone=vgg_m.Config((8, 12, 10)))
    port = Port(config, weights(config), np.random.default_rng(0))
    backbone = vgg_m.VGGM(config.backbone)
    backbone.load_state_dict(weights(config))
    see = Patches(backbone, config.size, config.border, config.backbone.grey, "cpu")
    [image], _ = video(1)
    boxes = np.array(
        [[30.0, 20, 24, 24], [-20.3, -9.1, 40, 33.7], [80.2, 60, 30, 30], [50, 40, 3.5, 7], [0, 0, 96, 72]]
    )
    with torch.no_grad():
        [ours] = see([image], [np.array(boxes)], [np.array(boxes[0])])
    plain = port.features(image, np.array(boxes))
    assert (ours - plain).abs().max() <= 1e-5 * plain.abs().max()
    assert plain.std(0).mean() > 0.01 * plain.max()  # they differ from box to box


@pytest.mark.parametrize("variant", [variant if variant == "RMAN" else slow(variant) for variant in VARIANTS])
def test_the_port_says_what_the_tracker_says(variant):
    """What is measured is the same work: with the same random numbers, port and tracker say the same boxes.

    Their heads learn the same in the first frame and in updates, of every variant.
    """
    config = replace(TINY, **VARIANTS[variant])
    frames, boxes = video(4)
    port = Port(config, weights(config), Dice.of(7, "cpu").boxes)
    tracker = families.find("rman").tracker(config, weights(config), "cpu")
    tracker.reseed([0], [7])
    tracker.initialize([0], frames[:1], boxes[:1])
    port.initialize(frames[0], boxes[0])
    found = []
    for frame in frames[1:]:
        np.testing.assert_allclose(tracker.update([0], [frame])[0], port.update(frame), atol=1e-2)
        found.append(port.found)
    assert any(found)
    learnt = port.head.state_dict()
    first = "lstm.weight_ih_l0" if config.recurrent else "fc4.weight"
    for ours, plain in (("input.weight", first), ("hidden.weight", "fc5.weight"), ("output.weight", "fc6.weight")):
        difference = tracker.lanes[0].heads[ours] - learnt[plain]
        assert difference.abs().max() < 1e-3 * learnt[plain].abs().max()
