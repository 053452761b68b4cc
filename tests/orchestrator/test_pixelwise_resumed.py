import shutil

import pytest
import torch

from orchestrator.conduct import conduct
from orchestrator.store import Store
from trackers.backbones import vgg16
from trackers.families.pixelwise import learning
from trackers.synthetic.layouts import write_vot
from trackers.synthetic.sprites import Scene, render

UPDATES = 4  # of each model
FEW = {"batch": 2, "updates_per_epoch": UPDATES, "epochs": 1}
WIDTHS = [2, 2, 4, 4, 4]
TINY = {
    "family": "pixelwise",
    "size": 32,
    "map_size": 16,
    "roi": {"least": 16, "most": 64},
    "backbone": {"widths": WIDTHS, "weights": "data/vgg16.pth"},
    "local": {"features": 4, "memory": 4, "deconvolutions": [4, 4, 4]},
    "attention": {"convolutions": [2, 2], "memory": 2, "units": 8},
    "clips": {"length": 5, "prepared": 2},
    "halves": FEW,
    "training": FEW,
    "updating": FEW,
    "attention_training": FEW,
    "attention_updating": FEW,
}


@pytest.fixture
def videos(project):
    """A project of four small videos with masks, in two folds, and a file of a narrow VGG-16 as torchvision's."""
    clips = {f"disc{i}": render(Scene("disc", length=7, size=(48, 32), side=12), seed=i) for i in range(4)}
    write_vot(project.root / "data" / "vot", clips, masks=True)
    torch.manual_seed(0)
    parameters = list(vgg16.VGG16(vgg16.Config(tuple(WIDTHS))).state_dict().values())
    names = [f"features.{i}.{kind}" for i in vgg16.TORCHVISION for kind in ("weight", "bias")]
    torch.save(dict(zip(names, parameters, strict=True)), project.root / "data" / "vgg16.pth")
    experiment = {"train": {"videos": "VOT"}, "test": ["VOT"], "folds": 2, "measures": ["mask_iou"]}
    project.write(
        {
            "datasets": {"VOT": {"format": "vot", "root": "data/vot", "regions": "masks"}},
            "studies": {"pixelwise": {"experiments": [experiment], "trackers": {"2-stage": TINY}}},
        }
    )
    return project


@pytest.fixture
def updates(monkeypatch):
    """Counts the updates of local models; ends the run before the third one of the first local-1, once."""
    counts = {"all": 0, "local-1": None}
    tracked, cost = learning._tracked, learning.segmentation_cost

    def begin(*arguments):
        if counts["local-1"] is None:
            counts["local-1"] = 0
        return tracked(*arguments)

    def update(*arguments):
        if counts["local-1"] is not None:
            counts["local-1"] += 1
            if counts["local-1"] == 3:
                raise KeyboardInterrupt
        counts["all"] += 1
        return cost(*arguments)

    monkeypatch.setattr(learning, "_tracked", begin)
    monkeypatch.setattr(learning, "segmentation_cost", update)
    return counts


@pytest.mark.slow
def test_interrupted_in_the_last_local_model_that_step_alone_goes_on(videos, updates):
    """No update of any step is done twice, and all weights are those of a run without interruption, bit for bit."""
    first = conduct(videos.options(), videos.paths)
    assert first.interrupted
    before = updates["all"]
    outcome = conduct(videos.options(), videos.paths)
    assert not outcome.failures and not outcome.interrupted
    assert updates["all"] == 2 * 4 * UPDATES  # two folds; half-1, half-2, local-0, local-1
    assert 0 < before < updates["all"]
    steps = {job.label: job.key for trial in outcome.prospect.trials for job in trial.training.values()}
    done = {job.label for job in first.prospect.todo} - {job.label for job in outcome.prospect.todo}
    assert {label.split(" / ")[-1] for label in done} >= {"maps", "clips", "half-1", "half-2", "global-1", "local-0"}

    def weights():
        return {
            label: (Store(videos.paths.store).folder(key) / "weights.pt").read_bytes() for label, key in steps.items()
        }

    resumed = weights()
    shutil.rmtree(videos.paths.store)
    shutil.rmtree(videos.paths.results)
    assert not conduct(videos.options(), videos.paths).failures
    assert weights() == resumed
