"""Videos of sprites with masks, and settings with which everything takes moments."""

import dataclasses
from functools import cache

import numpy as np
import pytest
import torch

from trackers.backbones import vgg16
from trackers.benchmarks.collection import Collection
from trackers.families.pixelwise import Config, attention, fcn, learning, segmentation, steps
from trackers.families.pixelwise.clips import Drawing
from trackers.families.pixelwise.pretraining import Pretraining
from trackers.families.pixelwise.rois import ROI
from trackers.masks import bounding_box
from trackers.sequence import Sequence
from trackers.synthetic.sprites import Scene, picture, render
from trackers.training import Inputs, Silent, Training

LITTLE = Training(batch=2, updates_per_epoch=2, epochs=1, report_every=2, learning_rate=1e-3)
SMALL = Config(
    backbone=vgg16.Config((2, 2, 4, 6, 6)),
    pretraining=Pretraining(held_out=3, training=LITTLE),
    size=32,
    map_size=16,
    roi=ROI(least=16, most=64),
    clips=Drawing(length=6),
    grown=1,
    local=segmentation.Widths(4, 3, (4, 3, 2)),
    training=LITTLE,
    halves=LITTLE,
    updating=LITTLE,
    attention=attention.Widths((2, 3), 2, 4),
    attention_training=LITTLE,
    attention_updating=LITTLE,
    anchor_pixels=4,
    dilation=1,
    dilation_shrinks=1,
    every=4,
    units=5,
    refining=fcn.Refining(3, 0.1),
)


@pytest.fixture(scope="session")
def small():
    """SMALL with other settings."""
    return lambda **settings: dataclasses.replace(SMALL, **settings)


@pytest.fixture(scope="session")
def films():
    """Makes so many videos of 64 x 48 pixels with masks, of `length` frames and more."""

    def make(count, length=9, challenges=("CM",)):
        found = []
        for i in range(count):
            scene = Scene(("disc", "star", "gear")[i % 3], challenges, length + i % 4, (64, 48), 16.0, 0.1, clutter=2)
            clip = render(scene, seed=i)
            masks = clip.visible
            found.append(Sequence(f"film{i}", clip.frames, bounding_box(masks), regions=masks, size=(64, 48)))
        return found

    return make


@pytest.fixture(scope="session")
def data(films):
    """What a small training reads: four videos, and nine still images of two classes."""
    images = []
    for i in range(9):
        shown = picture(["disc" if i % 2 else "star"], (64, 48), seed=i)
        images.append(Sequence(f"{i}", shown.image[None], shown.boxes, label=shown.labels[0]))
    return {"videos": Collection("videos", tuple(films(4))), "images": Collection("images", tuple(images))}


@pytest.fixture(scope="session")
def take():
    """Runs one step of these settings in-process: (config, name, data, weights of steps before, ...) -> weights."""

    def run(config, name, data, weights, seed=1, reporter=None):
        step = next(step for step in steps(config) if step.name == name)
        inputs = Inputs({r: data[r] for r in step.reads}, seed, "cpu", {need: weights[need] for need in step.needs})
        return step.run(inputs, config, reporter or Silent())

    return run


@pytest.fixture(scope="session")
def trained(data, take):
    """Runs all steps of these settings: weights by step."""

    def run(config, seed=1):
        weights = {}
        for step in steps(config):
            weights[step.name] = take(config, step.name, data, weights, seed)
        return weights

    return run


@pytest.fixture(scope="session")
def random_weights():
    """Untrained weights of a tracker of these settings, so large that it does something."""

    @cache
    def draw(config, seed=0):
        torch.manual_seed(seed)
        parts = {
            "backbone": vgg16.VGG16(config.backbone),
            "local": learning.local_model(config),
            "global": attention.Model(config.map_size, config.attention),
            "fcn": learning.fcn_model(config),
        }
        with torch.no_grad():
            parts["global"].full2.weight.normal_(std=0.5)
            parts["fcn"].score7.weight.normal_(std=0.5)
            parts["fcn"].score4.weight.normal_(std=0.5)
            parts["local"].deconvolutions[-1].weight.mul_(3)
        return {
            f"{part}.{name}": weight.detach().clone()
            for part, model in parts.items()
            for name, weight in model.state_dict().items()
        }

    return draw


@pytest.fixture
def blob():
    """Masks of a rectangle: (rows, columns, x, y, width, height)."""

    def make(rows, columns, x, y, width, height):
        mask = np.zeros((rows, columns), bool)
        mask[y : y + height, x : x + width] = True
        return mask

    return make
