import csv
import json

import numpy as np
import pytest
import torch
import yaml

from orchestrator import plan
from orchestrator.conduct import conduct
from orchestrator.jobs import Data
from orchestrator.params import PROFILES, load
from orchestrator.report.build import build
from trackers.backbones import vgg_m
from trackers.synthetic.layouts import write_imagenet_det, write_otb, write_vot
from trackers.synthetic.sprites import Scene, picture, render

WIDTHS = [2, 4, 4]  # of the smoke profile's backbone


def study_alone():
    """The smoke profile's parameters without all other studies."""
    params = yaml.safe_load((PROFILES / "smoke.yaml").read_text())
    names = ("ImageNet DET", "OTB-2013", "VOT2016")
    return {
        "profile": "smoke",
        "datasets": {name: params["datasets"][name] for name in names},
        "studies": {"rman": params["studies"]["rman"]},
    }


@pytest.fixture
def smoke(project):
    """The smoke profile's study alone, as parameters to be written, with small data beside it."""

    def clip(label, seed):
        return render(Scene(label, length=5, size=(64, 48), side=16), seed=seed)

    data = project.root / "data"
    write_otb(data / "otb", {"Arrow-1": clip("arrow", 0), "Gear": clip("gear", 1)})
    write_vot(data / "vot2016", {"disc2": clip("disc", 2)}, masks=True)
    stills = {f"{label}/{label}_{i}": picture([label], (64, 48), i) for label in ("disc", "gear") for i in range(6)}
    write_imagenet_det(data / "imagenet_det", stills)
    return study_alone()


def labels(outcome):
    """What was done: its jobs."""
    return [job.label for job in outcome.prospect.todo]


@pytest.mark.slow
def test_the_study_runs_to_its_report(smoke, project):
    """All trackers share a backbone; RMAN is tracked once, by its name and by its features'; the page shows them."""
    project.write(smoke)
    outcome = conduct(project.options(), project.paths)
    assert not outcome.failures
    done = labels(outcome)
    assert sum("backbone" in label for label in done) == 1
    assert not any("RMAN-ROI" in label for label in done) and any("RMAN-Patches" in label for label in done)
    assert not labels(conduct(project.options(), project.paths))

    page = build(project.paths.results, project.paths.report).read_text()
    with (project.paths.report / "scores.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["subset"] == "all"]
    found = {(row["tracker"], row["benchmark"]) for row in rows if row["value"]}
    trackers = ("RMAN", "Baseline", "RMAN-Patches", "RMAN-ROI", "KerCorrTracker")
    assert found >= {(tracker, "OTB-2013") for tracker in trackers} | {("RMAN", "VOT2016")}
    values = {(row["tracker"], row["measure"]): row["value"] for row in rows if row["benchmark"] == "OTB-2013"}
    assert all(values[tracker, measure] == values["RMAN", measure] for tracker, measure in values if "ROI" in tracker)
    for tracker in trackers:
        assert tracker in page


@pytest.mark.slow
def test_what_is_recalled_is_kept_for_the_report(smoke, project):
    """Of the sequence and frames that the study names there are patches, their weights, attention and histograms."""
    smoke["studies"]["rman"]["experiments"] = smoke["studies"]["rman"]["experiments"][:1]
    smoke["studies"]["rman"]["trackers"] = {"RMAN": smoke["studies"]["rman"]["trackers"]["RMAN"]}
    project.write(smoke)
    assert not conduct(project.options(), project.paths).failures
    [kept] = project.paths.results.rglob("pictures.npz")
    with np.load(kept, allow_pickle=False) as arrays:
        assert arrays["patches/0"].shape[:2] == (2, 6) and arrays["patches/0"].dtype == np.uint8
        assert arrays["weights/0"].shape == (2, 5) and np.abs(arrays["weights/0"]).max() <= 1 + 1e-6
        assert arrays["contrast/0"].shape[:2] == (2, 2)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("another", "expected a VGG-M of widths [2, 4, 4], but these differ:"),
        ("nan", "expected finite numbers, got NaN or infinity in conv1.bias"),
        ("text", "expected names and tensors written by torch.save, got a file that cannot be read as such"),
    ],
)
@pytest.mark.slow
def test_a_trial_with_weights_that_do_not_fit_fails_alone(spoil, message, smoke, project):
    """It says which file, what was expected of it and what differs; other trials finish, and the status says failed."""
    path = project.root / "data" / "vgg-m.pt"
    weights = vgg_m.VGGM(vgg_m.Config((2, 4, 6) if spoil == "another" else tuple(WIDTHS))).state_dict()
    if spoil == "nan":
        weights["conv1.bias"] = torch.full((2,), float("nan"))
    torch.save(weights, path)
    if spoil == "text":
        path.write_text("conv1")
    study = smoke["studies"]["rman"]
    study["experiments"] = study["experiments"][:1]
    backbone = {"widths": WIDTHS, "weights": "data/vgg-m.pt"}
    own = {name: study["trackers"][name] for name in ("RMAN", "KerCorrTracker")}
    study["trackers"] = {**own, "RMAN-Patches": own["RMAN"] | {"backbone": backbone}}
    project.write(smoke)
    outcome = conduct(project.options(), project.paths)
    found = json.loads((project.paths.results / "rman" / "study.json").read_text())
    states = {trial["tracker"]: trial["state"] for trial in found["trials"]}
    assert states == {"RMAN": "done", "KerCorrTracker": "done", "RMAN-Patches": "failed"}
    [error] = [trial["error"] for trial in found["trials"] if trial["state"] == "failed"]
    assert error.startswith("ValueError: ") and "vgg-m.pt: " + message in error
    if spoil == "another":
        assert "conv3.weight: expected (4, 4, 3, 3), got (6, 4, 3, 3)" in error
        assert "conv3.bias: expected (4,), got (6,)" in error
    assert any("RMAN-Patches" in label for label in outcome.failures)
    assert json.loads(project.paths.status.read_text())["state"] == "failed"


@pytest.mark.slow
def test_a_frame_that_cannot_be_read_fails_its_tracking_alone(smoke, project):
    """A torn image ends what tracks its data set, with the sequence's and the frame's names; others finish."""
    torn = project.root / "data" / "otb" / "Gear" / "img" / "0003.jpg"
    torn.write_bytes(torn.read_bytes()[:40])
    study = smoke["studies"]["rman"]
    study["trackers"] = {"RMAN": study["trackers"]["RMAN"]}
    project.write(smoke)
    outcome = conduct(project.options(), project.paths)
    assert outcome.failures and all("OTB-2013" in label for label in outcome.failures)
    assert any("Gear" in text and "frame 2" in text for text in outcome.failures.values())
    assert any("VOT2016" in label and "score" in label for label in labels(outcome))


def keys(path, **own):
    """Keys of RMAN's jobs by their labels, with these settings."""
    params = study_alone()
    study = params["studies"]["rman"]
    study["trackers"] = {"RMAN": study["trackers"]["RMAN"] | own}
    path.write_text(json.dumps(params))
    sources = plan.Sources(lambda root: Data(root, str(root)), lambda modules: {})
    return {job.label: job.key for trial in plan.plan(load(path), sources) for job in trial.jobs}


def test_online_settings_redo_no_training(tmp_path):
    """What heads learn by changes tracking and scores alone; what patches are, the backbone, too."""
    before, online, offline = (
        keys(tmp_path / "params.json", **own) for own in ({}, {"hidden": 5, "found": 0.25}, {"border": 14})
    )
    assert before.keys() == online.keys() == offline.keys()
    [same] = (label for label in before if before[label] == online[label])
    assert "backbone" in same
    assert not any(before[label] == offline[label] for label in before)
