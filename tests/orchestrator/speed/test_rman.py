from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from orchestrator.speed import rman, rman_overlap
from orchestrator.speed.rman_port import Port
from trackers import families
from trackers.backbones import vgg_m
from trackers.families.rman import Config, Learning, Sampling
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
    first=Learning(15, 0.1),
    update=Learning(3, 3e-2),
)
VARIANTS = {
    "RMAN": {},
    "Baseline": {"recurrent": False, "activation": "none", "coherence": 0.0, "compactness": 0.0},
    "Baseline+LSTM": {"activation": "none", "coherence": 0.0, "compactness": 0.0, "first": Learning(40, 0.1)},
    "Baseline+MAL": {"recurrent": False, "coherence": 0.1},
    "Baseline+LSTM+APL": {"activation": "average"},
}


def slow(variant):
    return pytest.param(variant, marks=pytest.mark.slow)


def video(length, make=rman.video):
    """A small one."""
    return make(length, (96, 72), 24)


def test_patches_are_the_ports():
    """What patch mode sees is what convolutions see patch by patch, to 1e-5 of the largest; outside the image, too."""
    [image], boxes = video(1)
    assert rman.difference(TINY, rman.random_weights(TINY), image, boxes[0]) < 1e-5
    assert rman.difference(TINY, rman.random_weights(TINY), image, np.array([-10.0, 50, 24, 24])) < 1e-5


@pytest.mark.parametrize("variant", [variant if variant == "RMAN" else slow(variant) for variant in VARIANTS])
def test_the_port_says_what_the_tracker_says(variant):
    """What is measured is the same work: with the same random numbers, port and tracker say the same boxes.

    Their heads learn the same in the first frame and in updates, of every variant.
    """
    config = replace(TINY, **VARIANTS[variant])
    frames, boxes = video(3)
    port = Port(config, rman.random_weights(config), Dice.of(7, "cpu").boxes)
    tracker = families.find("rman").tracker(config, rman.random_weights(config), "cpu")
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


@pytest.mark.slow
def test_what_is_measured(monkeypatch):
    """Each way has its first frame and its later ones against the port, with the issue's targets; then many lanes."""
    variants = {name: replace(TINY, features=one.features) for name, one in rman.VARIANTS.items()}
    monkeypatch.setattr(rman, "PAPERS", TINY)
    monkeypatch.setattr(rman, "VARIANTS", variants)
    monkeypatch.setattr(rman, "video", video)
    monkeypatch.setattr(rman_overlap, "rows", list)
    rows = rman.measure(1)
    assert [row["target"] for row in rows if row["target"]][:4] == [4, 4, 20, 15]
    assert all(row["ours"] > 0 and row["ratio"] > 0 for row in rows)
    assert len({row["what"] for row in rows}) == len(rows) >= 2 * len(variants) + 2


def test_no_overlaps_without_a_study(tmp_path, monkeypatch):
    """Where nothing has been trained, nothing is said of overlaps."""
    monkeypatch.chdir(tmp_path)
    assert rman_overlap.rows() == []
