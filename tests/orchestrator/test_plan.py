from __future__ import annotations

import pytest

from orchestrator import lineage, params, plan
from orchestrator.conduct import find_data
from orchestrator.jobs import in_order


@pytest.fixture
def trials(project):
    def make():
        sources = plan.Sources(find_data(project.paths), lineage.fingerprint)
        return plan.plan(params.load(project.root / "params.yaml"), sources)

    return make


def keys(trials, tracker=None):
    return {job.key for trial in trials if tracker in (None, trial.tracker) for job in trial.jobs}


def test_a_plan_is_one_trial_a_variant_and_training_data(trials):
    """A trained tracker has a training, a tracking and a scoring job; an untrained one no training."""
    names = {trial.name: [job.kind for job in trial.jobs] for trial in trials()}
    assert names == {
        "Mover / train": ["train", "track", "score"],
        "Slow mover / train": ["train", "track", "score"],
        "Identity": ["track", "score"],
    }


def test_a_plan_is_deterministic(trials):
    """The same parameters, data and code give the same keys."""
    assert keys(trials()) == keys(trials())


def test_a_setting_changes_its_trackers_jobs_alone(project, params, trials):
    """Changing one tracker's setting changes the keys of that tracker's jobs and of no other."""
    before = trials()
    params["studies"]["toy"]["trackers"]["Slow mover"]["rate"] = 0.2
    project.write(params)
    after = trials()
    assert not keys(after, "Slow mover") & keys(before, "Slow mover")
    assert keys(after, "Mover") == keys(before, "Mover")
    assert keys(after, "Identity") == keys(before, "Identity")


def test_source_changes_its_familys_jobs_alone(project, trials, edit):
    """Editing a family's source changes that family's jobs but not their scoring's own settings, nor others."""
    before = trials()
    edit(project.root / "toy" / "family.py", "0.9 * noise", "0.8 * noise")
    after = trials()
    assert not keys(after, "Mover") & keys(before, "Mover")
    assert keys(after, "Identity") == keys(before, "Identity")


def test_data_changes_the_jobs_that_read_it(project, trials):
    """Other data, other keys, all the way down."""
    before = trials()
    (project.root / "data" / "squares" / "brightness.txt").write_text("100")
    assert not keys(trials()) & keys(before)


def test_each_seed_trains_anew_and_nothing_untrained_is_repeated(project, params, trials):
    """Two seeds make two trials of a trained tracker, and one of an untrained one."""
    params["studies"]["toy"]["seeds"] = [1, 2]
    project.write(params)
    names = [trial.name for trial in trials()]
    assert names.count("Identity") == 1
    assert "Mover / train" in names
    assert "Mover / train / seed 2" in names


def test_equal_work_is_planned_once(project, params, trials):
    """Two variants with the same settings under two names share their jobs."""
    params["studies"]["toy"]["trackers"]["Mover again"] = {"family": "toy.family"}
    project.write(params)
    found = trials()
    assert keys(found, "Mover") == keys(found, "Mover again")
    assert len(in_order(job for trial in found for job in trial.scores.values())) == 8


def test_selecting_what_is_not_there_is_refused(trials):
    """An unknown study or tracker is an error that names the known ones."""
    assert [t.tracker for t in plan.select(trials(), ["toy"], ["Mover"])] == ["Mover"]
    with pytest.raises(ValueError, match="no tracker 'Runner' in the parameters; expected one of Identity, Mover"):
        plan.select(trials(), [], ["Runner"])


def test_a_protocol_is_one_tracking_job_and_scores_are_taken_together(project, params, trials):
    """Each protocol of an experiment tracks once; one scoring job judges them all, with its measures and convention."""
    params["studies"]["toy"]["experiments"] = [
        {
            "train": "train",
            "test": ["test"],
            "protocols": ["one_pass", "temporal_robustness"],
            "measures": ["success_auc"],
            "convention": "otb",
        }
    ]
    project.write(params)
    trial = next(t for t in trials() if t.tracker == "Identity")
    assert list(trial.tracking) == [("test", "one_pass"), ("test", "temporal_robustness")]
    (score,) = trial.scores.values()
    assert list(score.needs) == ["one_pass", "temporal_robustness"]
    assert (score.arguments["measures"], score.arguments["convention"]) == (["success_auc"], "otb")
    assert [bool(job.arguments["pictures"]["frames"]) for job in trial.tracking.values()] == [True, False]


def test_folds_are_trials_of_their_own(project, params, trials):
    """Cross-validation trains once a fold, on what that fold does not test; the split is part of the key."""
    params["studies"]["toy"]["experiments"] = [{"train": "test", "test": ["test"], "folds": 4, "fold_seed": 7}]
    project.write(params)
    found = trials()
    assert [t.name for t in found if t.tracker == "Identity"] == [f"Identity / test / fold {i}" for i in range(4)]
    second = next(t for t in found if (t.tracker, t.fold) == ("Mover", 1))
    assert second.name == "Mover / test / fold 1"
    (fit,) = second.training.values()
    (track,) = second.tracking.values()
    assert fit.arguments["train"]["train"]["part"] == {"fold": 1, "of": 4, "seed": 7, "side": "train"}
    assert track.arguments["test"]["part"] == {"fold": 1, "of": 4, "seed": 7, "side": "test"}
    assert len({job.key for trial in found for job in trial.jobs}) == 4 * (2 * 3 + 2)


def test_a_benchmark_brings_its_protocols_measures_and_convention(project, params, trials):
    """What an experiment leaves open is as its benchmark has it; what it says goes before that."""
    experiment = params["studies"]["toy"]["experiments"][0]
    experiment |= {"benchmark": "VOT2016", "measures": ["failures", "eao"]}
    project.write(params)
    trial = next(t for t in trials() if t.tracker == "Identity")
    assert list(trial.tracking) == [("test", "supervised_reset")], "unsupervised tells nothing of these measures"
    arguments = trial.scores["test"].arguments
    assert (arguments["measures"], arguments["convention"]) == (["failures", "eao"], "vot-legacy")
    assert (arguments["interval"], arguments["legacy_rasterization"]) == ([108, 371], False)


def test_speed_is_measured_alone_where_asked_for(project, params, trials):
    """An experiment that asks for speed has one more job a tracker and data set, beside which nothing runs."""
    params["studies"]["toy"]["experiments"][0]["speed"] = True
    project.write(params)
    trial = next(t for t in trials() if t.tracker == "Mover")
    assert [job.kind for job in trial.jobs] == ["train", "track", "score", "speed"]
    assert trial.speed["test"].resources.alone


def test_tracking_is_told_what_its_protocol_and_measures_need(project, params, trials):
    """Random clips have a number, and pixels are counted for their measures; other tracking jobs are as they were."""
    before = next(t for t in trials() if t.tracker == "Identity")
    experiment = params["studies"]["toy"]["experiments"][0]
    experiment |= {"protocols": ["one_pass", "random_clips"], "measures": ["average_overlap", "mask_iou"], "clips": 7}
    project.write(params)
    masks = next(t for t in trials() if t.tracker == "Identity")
    assert masks.tracking["test", "one_pass"].key == before.tracking["test", "one_pass"].key
    clips = masks.tracking["test", "random_clips"].arguments
    assert (clips["clips"], "soft" in clips) == (7, False)
    experiment["measures"] = ["pixel_auc"]
    project.write(params)
    pixels = next(t for t in trials() if t.tracker == "Identity")
    assert [job.arguments["soft"] for job in pixels.tracking.values()] == [True, True]


DICE = """
from dataclasses import dataclass

from trackers.training import Step

stochastic = True


@dataclass(frozen=True)
class Config:
    weights: str | None = None


def steps(config):
    reads, files = (("train",), ()) if config.weights is None else ((), (config.weights,))
    return [Step("read", lambda inputs, config, reporter: {}, reads=reads, files=files)]


def tracker(config, weights, device):
    raise NotImplementedError
"""


def test_repetitions_are_of_stochastic_trackers_under_supervision(project, params, trials):
    """Other than VOT's 15 runs are told to the jobs that roll dice many times; all other jobs are as they were."""
    (project.root / "toy" / "dice.py").write_text(DICE)
    params["studies"]["toy"]["trackers"] = {
        "Dice": {"family": "toy.dice"},
        "Identity": {"family": "trackers.tracker:IdentityTracker"},
    }
    [experiment] = params["studies"]["toy"]["experiments"]
    experiment |= {"protocols": ["one_pass", "supervised_reset"], "measures": ["average_overlap", "accuracy"]}

    def tracking(**changes):
        experiment.update(changes)
        project.write(params)
        return {(t.tracker, protocol): job for t in trials() for (_, protocol), job in t.tracking.items()}

    before, after = tracking(repetitions=15), tracking(repetitions=3)
    assert before["Dice", "supervised_reset"].arguments.get("repetitions") is None
    assert after["Dice", "supervised_reset"].arguments["repetitions"] == 3
    changed = {name for name in before if before[name].key != after[name].key}
    assert changed == {("Dice", "supervised_reset")}


def test_weights_from_a_file_take_no_training_data(project, params, trials):
    """A tracker none of whose steps reads data is one trial, whatever its experiment trains on, or nothing."""
    (project.root / "toy" / "dice.py").write_text(DICE)
    trackers = {"Read": {"family": "toy.dice", "weights": "data/squares"}, "Learnt": {"family": "toy.dice"}}
    [experiment] = params["studies"]["toy"]["experiments"]
    params["studies"]["toy"] |= {"trackers": trackers, "seeds": [1, 2]}
    project.write(params)
    assert [t.name for t in trials() if t.tracker == "Read"] == ["Read", "Read / seed 2"]
    del experiment["train"]
    project.write(params)
    assert [(t.name, list(t.training)) for t in trials() if t.seed == 1] == [("Read", ["read"])]


def test_pictures_are_of_chosen_sequences_and_frames(project, params, trials):
    """An experiment says of which sequences and frames its first protocol keeps pictures; else they are as ever."""
    [experiment] = params["studies"]["toy"]["experiments"]
    before = trials()
    pictures = {"sequences": 2, "frames": [1, 4, 7, 10, 13, 16, 19]}
    assert [job.arguments["pictures"] for t in before for job in t.tracking.values()] == [pictures] * 3
    experiment["pictures"] = pictures
    project.write(params)
    assert keys(trials()) == keys(before)
    experiment["pictures"] = {"sequences": ["test/1"], "frames": [0, 5]}
    project.write(params)
    assert [job.arguments["pictures"] for t in trials() for job in t.tracking.values()] == [experiment["pictures"]] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocols": ["two_pass"]}, "protocols: expected some of one_pass, .*got 'two_pass'"),
        ({"measures": ["beauty"]}, "measures: expected some of .*got 'beauty'"),
        ({"measures": ["eao"], "convention": "vot"}, "eao means something under supervised_reset .*; .* one_pass"),
        ({"measures": ["success_auc"], "convention": "vot"}, "convention: success_auc is defined by .*; got 'vot'"),
        ({"benchmark": "otb2014"}, "benchmark: expected one of otb2015, .*got otb2014"),
        ({"folds": 0}, "folds: expected at least 1, got 0"),
        ({"clips": 0}, "clips: expected at least 1, got 0"),
        ({"repetitions": 0}, "repetitions: expected at least 1, got 0"),
        ({"pictures": {"sequences": -1}}, "pictures: sequences: expected at least 0, or names, got -1"),
        ({"pictures": {"frames": [-1]}}, "pictures: frames: expected numbers from 0 on, got -1"),
        ({"folds": 2}, "folds: expected what is tested to be among the training data, train, got test"),
        ({"test": []}, "test: expected at least one data set"),
    ],
)
def test_an_experiment_that_means_nothing_is_refused(change, message, project, params, trials):
    """Unknown protocols and measures, and those that do not go together, are refused when the parameters are read."""
    params["studies"]["toy"]["experiments"][0] |= change
    project.write(params)
    with pytest.raises(ValueError, match=message):
        trials()
