from __future__ import annotations

import json

import pytest
import yaml

from orchestrator import lineage, plan
from orchestrator.jobs import Data
from orchestrator.params import PROFILES, ParamsError, load

VARIANTS = ("GOTURN", "GOTURN-Videos", "GOTURN-Current")


@pytest.fixture
def smoke():
    """The `smoke` profile's study of a family that trains in several steps, from data of several roles."""
    params = yaml.safe_load((PROFILES / "smoke.yaml").read_text())
    params["studies"] = {"goturn": params["studies"]["goturn"]}
    return params


@pytest.fixture
def trials(tmp_path):
    def make(params, digests=None):
        path = tmp_path / "params.json"
        path.write_text(json.dumps(params))
        digests = digests or {}
        sources = plan.Sources(lambda root: Data(root, digests.get(str(root), str(root))), lineage.fingerprint)
        return {trial.name.split(" / ")[0]: trial for trial in plan.plan(load(path), sources)}

    return make


def keys(trial):
    return {step: job.key for step, job in trial.training.items()}


def test_variants_share_what_they_agree_on(smoke, trials):
    """Packs and pre-training are one job for all variants, whatever else of theirs differs."""
    full, videos, current = (keys(trials(smoke)[name]) for name in VARIANTS)
    for step in ("videos", "images", "backbone"):
        assert full[step] == videos[step] == current[step]
    assert len({full["train"], videos["train"], current["train"]}) == 3


def test_a_step_depends_on_the_settings_that_it_names(smoke, trials):
    """Another width of the backbone is learnt anew, from the same packs."""
    before = keys(trials(smoke)["GOTURN"])
    smoke["studies"]["goturn"]["trackers"]["GOTURN"]["backbone"] = {"widths": [4, 8, 8, 8, 6]}
    after = keys(trials(smoke)["GOTURN"])
    assert [step for step in before if before[step] != after[step]] == ["backbone", "train"]


def test_a_step_depends_on_the_data_that_it_reads(smoke, trials):
    """Other still images change what is learnt from them; the videos stay packed as they are."""
    before = keys(trials(smoke)["GOTURN"])
    after = keys(trials(smoke, {"data/imagenet_det": "others"})["GOTURN"])
    assert [step for step in before if before[step] != after[step]] == ["images", "backbone", "train"]


def test_steps_without_dice_are_done_once_for_all_seeds(smoke, trials):
    """With several seeds, what draws no random numbers is done once."""
    found = []
    for seed in (1, 2):
        smoke["studies"]["goturn"]["seeds"] = [seed]
        found.append(keys(trials(smoke)["GOTURN"]))
    assert [step for step in found[0] if found[0][step] == found[1][step]] == ["videos", "images"]


def test_a_file_of_weights_counts_by_its_content(smoke, trials):
    """The file that the settings name takes the place of pre-training; another content is another backbone."""
    smoke["studies"]["goturn"]["trackers"] = {"GOTURN": smoke["studies"]["goturn"]["trackers"]["GOTURN"]}
    smoke["studies"]["goturn"]["trackers"]["GOTURN"]["backbone"]["weights"] = "data/weights/caffenet.pt"
    before = trials(smoke)["GOTURN"]
    assert before.training["backbone"].needs == {}
    assert set(before.training["backbone"].data) == {"data/weights/caffenet.pt"}
    after = keys(trials(smoke, {"data/weights/caffenet.pt": "retrained"})["GOTURN"])
    assert [step for step, key in keys(before).items() if after[step] != key] == ["backbone", "train"]


def test_groups_change_scores_and_no_training(smoke, trials):
    """How test sequences are grouped is no part of what is trained."""
    before = trials(smoke)["GOTURN"]
    smoke["datasets"]["VOT2014"]["groups"] = {"class_often": ["disc1", "disc2"]}
    after = trials(smoke)["GOTURN"]
    assert keys(after) == keys(before)
    assert after.scores["VOT2014"].key != before.scores["VOT2014"].key


def test_training_data_must_play_the_roles_that_are_read(smoke, trials):
    """An experiment without the still images that a tracker trains on is refused, with tracker and roles."""
    smoke["studies"]["goturn"]["experiments"][0]["train"] = {"videos": "ALOV300++"}
    with pytest.raises(ParamsError, match="by the roles that GOTURN reads, images, videos; got videos"):
        trials(smoke)


def test_speed_may_be_measured_of_some_trackers(smoke, trials):
    """A list of trackers in place of `true` measures the speed of these; a stranger in it is refused."""
    smoke["studies"]["goturn"]["experiments"][0]["speed"] = ["GOTURN"]
    assert {name for name, trial in trials(smoke).items() if trial.speed} == {"GOTURN"}
    smoke["studies"]["goturn"]["experiments"][0]["speed"] = ["GOTRUN"]
    with pytest.raises(ParamsError, match="speed: no tracker 'GOTRUN'"):
        trials(smoke)
