from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from orchestrator.conduct import conduct
from orchestrator.extraction import make_features
from trackers.backbones import yolo
from trackers.benchmarks import otb
from trackers.boxes import iou
from trackers.evaluation import archive
from trackers.families.rolo.windows import located
from trackers.features import Features

OTB = Path(__file__).parents[3] / "shared" / "data" / "otb"
pytestmark = pytest.mark.skipif(not (OTB / "Human3").is_dir(), reason="needs the real sequences in ../shared/data")
REAL = {"Couple": (320, 240), "Human3": (480, 640)}  # those of OTB-30 that are there; width and height
FRAMES = 20  # of each
NETWORK = {"layout": "miniature", "width": 0.02, "features": 98, "classes": ["person"]}
LSTM = {"batch": 4, "updates_per_epoch": 8, "epochs": 1, "report_every": 8}
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
    """A project whose data/otb has the first frames of two of OTB-30's sequences, and whose study is ROLO's."""
    truths = []
    for name, size in REAL.items():
        folder = project.root / "data" / "otb" / name
        (folder / "img").mkdir(parents=True)
        for t in range(1, FRAMES + 1):
            (folder / "img" / f"{t:04d}.jpg").symlink_to(OTB / name / "img" / f"{t:04d}.jpg")
        rows = (OTB / name / "groundtruth_rect.txt").read_text().splitlines()[:FRAMES]
        (folder / "groundtruth_rect.txt").write_text("\n".join(rows))
        first = np.array(rows[0].replace(",", " ").split(), float) - [1, 1, 0, 0]
        truths.append(located(first, np.array(size)))
    write_weights(project.root / "data" / "yolo.weights", truths)
    project.write(
        {
            "datasets": {"OTB-30": {"format": "otb", "root": "data/otb", "subset": "otb30"}},
            "extractors": {"yolo": {"kind": "yolo", "network": NETWORK | {"weights": "data/yolo.weights"}}},
            "features": ["yolo-OTB-30"],
            "studies": {"rolo": STUDY},
        }
    )
    return project


def write_weights(path, places):
    """darknet's file of a network that says, of every image: people are at these places (x, y, w, h, shares of it)."""
    config = yolo.Config(**{**NETWORK, "classes": ("person",)})
    torch.manual_seed(0)
    model = yolo.YOLO(config)
    with torch.no_grad():
        last = model.connected[-1]
        last.weight.zero_()
        classes, confidences, boxes = model.split(last.bias[None])
        for x, y, w, h in places:
            column, row = int(x * config.grid), int(y * config.grid)
            classes[0, row, column, 0] = confidences[0, row, column, 0] = 1
            place = [x * config.grid - column, y * config.grid - row, w**0.5, h**0.5]
            boxes[0, row, column, 0] = torch.tensor(place)
    yolo.write_darknet(path, config, model.state_dict())


def test_real_sequences_go_all_the_way(real):
    """Couple and Human3 of OTB-30 go through detector, cache, training and tracking; the 28 others are named."""
    assert not make_features(real.options(), real.paths).failures
    cache = Features(real.paths.features / "yolo-OTB-30")
    assert cache.names == tuple(REAL)
    assert [len(cache[name]) for name in REAL] == [FRAMES, FRAMES]

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
        assert found.keys() == truths.keys() == REAL.keys()
        for name, regions in found.items():
            assert regions.shape == (FRAMES, 4) and np.isfinite(regions).all()
            if trial["tracker"] != "ROLO":  # what the detector says of every frame is right at first
                assert iou(regions, truths[name])[1] > 0.5
