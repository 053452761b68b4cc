from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator.conduct import conduct
from orchestrator.extraction import make_features
from trackers import crops
from trackers.backbones import yolo
from trackers.benchmarks import otb
from trackers.boxes import iou
from trackers.evaluation import archive
from trackers.extractors.yolo.examples import targets
from trackers.extractors.yolo.loss import loss
from trackers.features import Features

OTB = Path(__file__).parents[3] / "shared" / "data" / "otb"
pytestmark = pytest.mark.skipif(not (OTB / "Human3").is_dir(), reason="needs the real sequences in ../shared/data")
REAL = ("Couple", "Human3")  # those of OTB-30 that are there
FRAMES = 20  # of each
UPDATES = 80  # of the detector
NETWORK = {"layout": "miniature", "width": 0.02, "features": 98, "classes": ["person"]}
LSTM = {"batch": 16, "updates_per_epoch": 200, "epochs": 1, "learning_rate": 3e-3, "decay": True}
STUDY = {
    "experiments": [{"train": "OTB-30", "test": ["OTB-30"], "benchmark": "otb30", "protocols": ["one_pass"]}],
    "trackers": {
        "ROLO": {"family": "rolo", "training": LSTM},
        "YOLO": {"family": "rolo", "method": "yolo"},
        "YOLO+SORT": {"family": "rolo", "method": "sort"},
    },
}


@pytest.fixture
def real(project):
    """A project of the first frames of two of OTB-30's sequences, a detector of their targets, and ROLO's study."""
    for name in REAL:
        folder = project.root / "data" / "otb" / name
        (folder / "img").mkdir(parents=True)
        for t in range(1, FRAMES + 1):
            (folder / "img" / f"{t:04d}.jpg").symlink_to(OTB / name / "img" / f"{t:04d}.jpg")
        rows = (OTB / name / "groundtruth_rect.txt").read_text().splitlines()[:FRAMES]
        (folder / "groundtruth_rect.txt").write_text("\n".join(rows))
    write_weights(project.root / "data" / "yolo.weights", otb.open(otb.Config(), project.root / "data" / "otb", "OTB"))
    project.write(
        {
            "datasets": {"OTB-30": {"format": "otb", "root": "data/otb", "subset": "otb30"}},
            "extractors": {"yolo": {"kind": "yolo", "network": NETWORK | {"weights": "data/yolo.weights"}}},
            "features": ["yolo-OTB-30"],
            "studies": {"rolo": STUDY},
        }
    )
    return project


def write_weights(path, sequences):
    """darknet's file of a network that has learnt from these frames, by heart, where their targets are."""
    config = yolo.Config(**{**NETWORK, "classes": ("person",)})
    frames = [sequence.frames[t] for sequence in sequences for t in range(FRAMES)]
    truth = np.concatenate([sequence.groundtruth for sequence in sequences])
    windows = torch.tensor([[0, 0, frame.shape[1], frame.shape[0]] for frame in frames])
    seen = crops.sample_on("cpu", frames, windows, config.size)
    corners = crops.to_window(torch.from_numpy(truth), windows).numpy()
    every = np.arange(len(frames))
    cells = [torch.from_numpy(part) for part in targets(every, corners, 0 * every, len(frames), config.grid)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = yolo.YOLO(config)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3, fused=True)
    rng = np.random.default_rng(0)
    for _ in range(UPDATES):
        some = rng.choice(every, 8, replace=False)
        optimizer.zero_grad()
        loss(model.split(model(seen[some])[1]), *(part[some] for part in cells))["loss"].backward()
        optimizer.step()
    yolo.write_darknet(path, config, model.state_dict())


def test_real_sequences_go_all_the_way(real):
    """Couple and Human3 of OTB-30 go through detector, cache, training and tracking; the 28 others are named.

    The detector finds their targets in most frames, and ROLO learns from what it sees there to follow them.
    """
    assert not make_features(real.options(), real.paths).failures
    cache = Features(real.paths.features / "yolo-OTB-30")
    assert cache.names == REAL
    for sequence in otb.open(otb.Config(), real.root / "data" / "otb", "OTB"):
        seen = [cache[sequence.name].seen(t) for t in range(FRAMES)]
        best = [iou(one.boxes, box).max(initial=0) for one, box in zip(seen, sequence.groundtruth, strict=True)]
        assert np.mean(np.array(best) > 0.5) > 0.7
        assert len({one.boxes.tobytes() for one in seen}) > FRAMES / 2  # it looks at them

    assert not conduct(real.options(), real.paths).failures
    results = real.paths.results / "rolo"
    said = json.loads((results / "study.json").read_text())
    absent = said["data"]["OTB-30"]["missing"]
    assert absent == [name for name in otb.names("otb30") if name not in REAL]
    assert len(absent) == 28
    for trial in said["trials"]:
        sequences, trajectories = archive.load(results / trial["folder"] / "OTB-30" / "one_pass" / "trajectories.npz")
        truths = {sequence.name: sequence.groundtruth for sequence in sequences}
        found = {trajectory.sequence: trajectory.regions for trajectory in trajectories}
        assert found.keys() == truths.keys() == set(REAL)
        assert all(regions.shape == (FRAMES, 4) and np.isfinite(regions).all() for regions in found.values())
        overlaps = [iou(regions, truths[name])[1:].mean() for name, regions in found.items()]
        # ROLO follows both; the detector alone, whose detection is lost where the target is fast, mostly one of them.
        assert min(overlaps) > 0.5 if trial["tracker"] == "ROLO" else np.mean(overlaps) > 0.3
