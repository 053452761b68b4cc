from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from orchestrator import params, sample_data
from orchestrator.speed.rman_overlap import aucs
from trackers import families
from trackers.benchmarks import imagenet_det, otb
from trackers.training import Inputs, Silent

OTB = Path(__file__).parents[3] / "shared" / "data" / "otb"
pytestmark = pytest.mark.skipif(not OTB.is_dir(), reason="needs the real sequences in ../shared/data")


@pytest.fixture(scope="module")
def rman():
    """RMAN with the sample's settings."""
    [study] = [one for one in params.load(params.PROFILES / "sample.yaml").studies if one.name == "rman"]
    return next(one.config for one in study.trackers if one.name == "RMAN")


@pytest.fixture(scope="module")
def weights(rman, tmp_path_factory):
    """Its small network, which has learnt from the sample's still images."""
    root = tmp_path_factory.mktemp("data")
    sample_data.write(root, ["voc"])
    images = imagenet_det.open(imagenet_det.Config(largest=None, origin=1), root / "voc", "VOC")
    family = families.find("rman")
    [step] = family.steps(rman)
    return step.run(Inputs({"images": images}, seed=1), rman, Silent())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_rman_beats_correlation_filters_on_real_sequences(rman, weights):
    """On OTB's real sequences RMAN has a higher success AUC than KCF."""
    torch.set_num_threads(1)
    family, kcf = families.find("rman"), families.find("kcf")
    trackers = {"RMAN": family.tracker(rman, weights, "cpu"), "KCF": kcf.tracker(kcf.Config(), {}, "cpu")}
    found = aucs(trackers, otb.open(otb.Config(), OTB, "OTB"))
    print(json.dumps(found))
    assert found["RMAN"] > found["KCF"]
