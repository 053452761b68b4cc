from __future__ import annotations

import json
import shutil
from collections import Counter

import pytest

from orchestrator import lineage, plan
from orchestrator import params as reading
from orchestrator.conduct import conduct, find_data
from orchestrator.report import results
from orchestrator.store import Store
from trackers.synthetic.layouts import write_otb
from trackers.synthetic.sprites import Scene, render

NAMES = [f"Disc{i}" for i in range(5)]


@pytest.fixture
def folds(project, params):
    """Five videos, three folds of them, and a family of several steps that trains and is tested on parts of them."""
    clips = {name: render(Scene("disc", length=4, size=(32, 24), side=8), seed=i) for i, name in enumerate(NAMES)}
    write_otb(project.root / "data" / "otb", clips)
    params["datasets"] = {
        "all": {"format": "otb", "root": "data/otb"},
        "short": {"format": "otb", "root": "data/otb", "clip": 2},
        "some": {"format": "otb", "root": "data/otb", "sequences": ["Disc0", "Disc3", "Disc4"]},
    }
    study = params["studies"]["toy"]
    study["lengths"] = []
    study["experiments"] = [{"train": "all", "test": ["short", "all"], "folds": 3}]
    study["trackers"] = {"Halves": {"family": "toy.halves", "diary": str(project.root / "diary")}}
    project.write(params)
    return params


def planned(project):
    sources = plan.Sources(find_data(project.paths), lineage.fingerprint)
    return plan.plan(reading.load(project.root / "params.yaml"), sources)


def parts(job) -> list[dict | None]:
    return [use.get("part") for use in (job.arguments.get("test"), *job.arguments.get("train", {}).values()) if use]


def test_what_only_prepares_is_one_job_for_all_folds_and_variants(project, folds):
    """A step that prepares is given all sequences and shared; each fold's other steps have keys of their own."""
    trackers = folds["studies"]["toy"]["trackers"]
    trackers["Longer"] = {**trackers["Halves"], "updates": 5}
    project.write(folds)
    trials = planned(project)
    keys = {step: Counter(trial.training[step].key for trial in trials) for step in ("pack", "half-1", "whole")}
    assert {step: list(found.values()) for step, found in keys.items()} == {
        "pack": [6],
        "half-1": [1] * 6,
        "whole": [1] * 6,
    }
    assert parts(trials[0].training["pack"]) == [None]
    assert parts(trials[1].training["half-1"]) == [{"fold": 1, "of": 3, "seed": 0, "side": "train"}]


def test_data_sets_that_are_parts_of_one_are_split_by_one_draw(project, folds):
    """Other lengths of the same data have the same job arguments; of other sequences, the draw's settings stand by."""
    folds["studies"]["toy"]["experiments"][0]["test"] = ["short", "some"]
    project.write(folds)
    trial = planned(project)[2]
    assert trial.name == "Halves / all / fold 2"
    short, some = (parts(trial.tracking[test, "one_pass"])[0] for test in ("short", "some"))
    assert short == {"fold": 2, "of": 3, "seed": 0, "side": "test"}
    assert some == {**short, "drawn_over": {**some["drawn_over"], "sequences": ()}}


def test_experiments_of_one_training_share_its_folds(project, folds):
    """What is trained once a fold is one trial, whatever experiments test it; another split of the same is refused."""
    folds["studies"]["toy"]["experiments"] = [
        {"train": "all", "test": ["short"], "folds": 3},
        {"train": "all", "test": ["all"], "folds": 3, "protocols": ["temporal_robustness"]},
    ]
    project.write(folds)
    assert [list(trial.tracking) for trial in planned(project)] == [
        [("short", "one_pass"), ("all", "temporal_robustness")]
    ] * 3
    folds["studies"]["toy"]["experiments"][1]["folds"] = 5
    project.write(folds)
    with pytest.raises(reading.ParamsError, match="params.yaml:.*expected 3 folds drawn by seed 0, as all is split"):
        planned(project)


def test_other_data_may_not_be_tested_in_folds(project, folds):
    """What is tested in folds must be among what is trained on, or a part of the same folder, in the same format."""
    folds["datasets"]["elsewhere"] = {"format": "otb", "root": "data/elsewhere"}
    folds["studies"]["toy"]["experiments"][0]["test"] = ["short", "elsewhere"]
    project.write(folds)
    with pytest.raises(
        reading.ParamsError, match="among the training data, all, got elsewhere, which is no other part"
    ):
        planned(project)


def test_each_sequence_is_tested_by_models_that_never_saw_it(project, folds):
    """Run end to end, each fold tests each data set's own sequences, and its learning steps never read these."""
    folds["studies"]["toy"]["experiments"][0]["test"] = ["short", "all"]
    project.write(folds)
    outcome = conduct(project.options(), project.paths)
    assert not outcome.failures
    store = Store(project.paths.store)
    (read,) = results.read(project.paths.results)
    for test in ("short", "all"):
        assert sorted(n for trial in read.trials for n in trial.scores[test].sequences) == NAMES
    for planned_trial, trial in zip(outcome.prospect.trials, read.trials, strict=True):
        last = store.folder(planned_trial.training["whole"].key) / "learnt_from.json"
        [learnt] = json.loads(last.read_text())["learnt"].values()
        assert sorted([*learnt, *trial.scores["short"].sequences]) == NAMES
    lines = (project.root / "diary").read_text().splitlines()
    assert sorted({tuple(line.split()[2:]) for line in lines}) == sorted(
        tuple(sorted(set(NAMES) - set(trial.scores["all"].sequences))) for trial in read.trials
    )


def test_a_fold_refuses_to_test_what_was_learnt_from(project, folds):
    """A copy of the tested videos among the training data is noticed, whatever its name and place, before tracking."""
    shutil.copytree(project.root / "data" / "otb", project.root / "data" / "copy")
    folds["datasets"]["copy"] = {"format": "otb", "root": "data/copy"}
    study = folds["studies"]["toy"]
    study["experiments"][0] |= {"train": {"train": "all", "more": "copy"}, "test": ["short"]}
    study["trackers"]["Halves"]["reads"] = ["train", "more"]
    study["trackers"]["Honest"] = {"family": "toy.halves"}
    project.write(folds)
    failures = conduct(project.options(), project.paths).failures
    told = {label: text for label, text in failures.items() if "expected sequences that nothing was learnt" in text}
    assert [label.split(" / ")[1] for label in told] == ["Halves"] * 3
    assert all(text.startswith("ValueError: data set short, fold ") for text in told.values())
    assert sorted(name for text in told.values() for name in NAMES if name in text.split("got ")[1]) == NAMES
    study["experiments"][0] |= {"folds": 1, "test": ["short"]}  # elsewhere it may be meant, as ROLO does
    project.write(folds)
    assert not conduct(project.options(), project.paths).failures


def test_a_step_must_read_which_sequences_are_its_own(project, folds):
    """A step that learns from what was prepared of all folds, and does not read its own fold's, is refused by name."""
    folds["studies"]["toy"]["trackers"]["Halves"]["reads"] = []
    project.write(folds)
    with pytest.raises(ValueError, match=r"step 'half-1' needs what was prepared .* to read, too, train, .*; got none"):
        planned(project)
    folds["studies"]["toy"]["experiments"][0] |= {"folds": 1}
    project.write(folds)
    assert planned(project)
