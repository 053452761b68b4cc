from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator.conduct import conduct
from orchestrator.report import results
from orchestrator.report.build import build
from trackers.backbones import vgg16
from trackers.evaluation import archive

DAVIS = Path(__file__).parents[3] / "shared" / "data" / "davis"
pytestmark = pytest.mark.skipif(not DAVIS.is_dir(), reason="needs the real sequences in ../shared/data")
REAL = ("blackswan", "car-shadow", "dog", "horsejump-high")
FRAMES = 8  # of each
FEW = {"batch": 2, "updates_per_epoch": 2, "epochs": 1}
TINY = {
    "size": 64,
    "map_size": 32,
    "backbone": {"widths": [2, 2, 4, 4, 4], "weights": "data/vgg16.pth"},
    "local": {"features": 4, "memory": 4, "deconvolutions": [4, 4, 4]},
    "attention": {"convolutions": [2, 2], "memory": 2, "units": 8},
    "clips": {"length": 5, "prepared": 2},
    "halves": FEW,
    "training": FEW,
    "updating": FEW,
    "attention_training": FEW,
    "attention_updating": FEW,
}
STUDY = {
    "experiments": [{"train": {"videos": "DAVIS"}, "test": ["DAVIS"], "benchmark": "davis2016", "folds": 2}],
    "trackers": {
        "2-stage ConvLSTM": {"family": "pixelwise", **TINY},
        "Identity": {"family": "trackers.tracker:IdentityTracker"},
    },
}


@pytest.fixture
def real(project):
    """A project of the first frames of four of DAVIS's sequences, and a file of a narrow VGG-16 as torchvision's."""
    for name in REAL:
        for part, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
            folder = project.root / "data" / "davis" / part / "480p" / name
            folder.mkdir(parents=True)
            for t in range(FRAMES):
                (folder / f"{t:05d}.{suffix}").symlink_to(DAVIS / part / "480p" / name / f"{t:05d}.{suffix}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parameters = list(vgg16.VGG16(vgg16.Config(tuple(TINY["backbone"]["widths"]))).state_dict().values())
    names = [f"features.{i}.{kind}" for i in vgg16.TORCHVISION for kind in ("weight", "bias")]
    torch.save(dict(zip(names, parameters, strict=True)), project.root / "data" / "vgg16.pth")
    project.write(
        {
            "datasets": {"DAVIS": {"format": "davis", "root": "data/davis"}},
            "studies": {"davis": STUDY},
        }
    )
    return project


@pytest.mark.slow
def test_real_masks_go_all_the_way(real, call):
    """DAVIS's masks are checked, learnt from in two folds, followed, scored, and laid over frames in the report."""
    status, said, _ = call("data", "check")
    assert status == 0, said
    assert not conduct(real.options(), real.paths).failures
    assert_tracked(real.paths.results / "davis")
    build(real.paths.results, real.paths.report)
    page = (real.paths.report / "index.html").read_text(encoding="utf-8")
    shown = set(re.findall(r'src="(figures/davis/2-stage_ConvLSTM[^"]*/DAVIS-[a-z-]+\.jpg)"', page))
    assert len(shown) == 2  # of the first fold
    assert all((real.paths.report / path).is_file() for path in shown)


def assert_tracked(folder):
    """Each tracker was in both folds together on each sequence; the pixel-wise one gave masks, which the album has."""
    seen: dict[str, set[str]] = {}
    for trial in json.loads((folder / "study.json").read_text())["trials"]:
        place = folder / trial["folder"] / "DAVIS"
        sequences, trajectories = archive.load(place / "one_pass" / "trajectories.npz")
        seen.setdefault(trial["tracker"], set()).update(sequence.name for sequence in sequences)
        found = {
            score["measure"]: score["value"] for score in json.loads((place / "scores.json").read_text())["scores"]
        }
        assert 0 <= found["mask_iou"] <= 1
        for sequence, trajectory in zip(sequences, trajectories, strict=True):
            assert len(trajectory) == len(sequence) == FRAMES
            assert (trajectory.masks is not None) == (trial["tracker"] != "Identity")
            if trajectory.masks is not None:
                np.testing.assert_array_equal(trajectory.masks[0], sequence.region(0))
    assert seen == dict.fromkeys(STUDY["trackers"], set(REAL))
    [study] = results.read(folder.parent)
    for trial in study.trials_of("2-stage ConvLSTM"):
        for example in trial.pictures("DAVIS"):
            assert example.masks is not None
            assert example.groundtruth_masks is not None
            assert example.masks.shape == example.groundtruth_masks.shape == example.frames.shape[:3]
            assert example.groundtruth_masks.any((1, 2)).all()
            assert {cells.shape[:2] for cells in example.memory.values()} == {(len(example.numbers), 4)}
