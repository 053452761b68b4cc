from __future__ import annotations

import json
import shutil
import threading
import time
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


def test_fewer_sequences_than_folds_are_refused_before_anything_runs(call, project, folds):
    """Every job of trials that cannot be split is refused at once, those done for them alone as well, in one line."""
    study = folds["studies"]["toy"]
    study["experiments"] = [
        {"train": "some", "test": ["some"], "folds": 4},
        {"test": ["all"], "trackers": ["Identity"]},
    ]
    study["trackers"]["Identity"] = {"family": "trackers.tracker:IdentityTracker"}
    project.write(folds)
    code, _, error = call("run", "--executor", "local", "--record", "none")
    assert code == 1
    assert [line.split(": ", 1)[1] for line in error.splitlines() if line.startswith("FAILED")] == [
        "data set some: folds: expected from 2 to 3, the number of sequences, got 4"
    ]
    assert not (project.root / "diary").exists()
    assert not list(project.paths.store.rglob("weights.pt"))
    (read,) = results.read(project.paths.results)
    assert [trial.state for trial in read.trials_of("Halves")] == ["failed"] * 4
    assert [(trial.fold, trial.state) for trial in read.trials_of("Identity")] == [
        (None, "done"),
        *((fold, "failed") for fold in range(4)),
    ]


def test_what_no_fold_leaves_out_is_not_tested(project, folds):
    """A tested sequence that is not among those of the draw, which all folds might have learnt from, is refused."""
    folds["studies"]["toy"]["experiments"] = [{"train": "some", "test": ["all"], "folds": 3}]
    project.write(folds)
    failures = conduct(project.options(), project.paths).failures
    causes = [text for text in failures.values() if not text.startswith("needs ")]
    assert all(text.endswith("got Disc1, Disc2 as well") for text in causes)
    assert len(failures) == 1 + 3 * 5
    assert not (project.root / "diary").exists()


def test_a_dry_run_shows_the_graph(call, project, folds):
    """Each job is shown once with what it needs, and with the number of trials that share it, where there are more."""
    folds["studies"]["toy"]["experiments"][0]["test"] = ["short"]
    project.write(folds)
    _, out, _ = call("run", "--dry-run")
    shown = [line.removeprefix("run   toy / Halves / all / ").removesuffix(": never ran") for line in out.splitlines()]
    assert shown[:7] == [
        "fold 0 / seed 1 / pack  (shared by 3 trials)",
        "fold 0 / seed 1 / half-1  (needs pack)",
        "fold 0 / seed 1 / half-2  (needs pack)",
        "fold 0 / seed 1 / whole  (needs pack, half-1, half-2)",
        "fold 0 / seed 1 / track short / one_pass  (needs whole)",
        "fold 0 / seed 1 / score short  (needs one_pass)",
        "fold 1 / seed 1 / half-1  (needs pack)",
    ]
    assert shown[-1] == "16 jobs would run, 0 are done"


def test_the_record_tells_the_graph_of_a_training(project, folds):
    """A trial says its steps, each with those that it needs, in one line."""
    assert planned(project)[0].steps == "pack; half-1 (pack); half-2 (pack); whole (pack, half-1, half-2)"


def steps_done(project) -> Counter:
    """How often each update of each step was done, in all folds."""
    lines = (project.root / "diary").read_text().splitlines()
    return Counter(tuple(line.split()[:2]) for line in lines)


def test_killed_in_a_folds_last_step_it_goes_on_with_that_step_alone(project, folds):
    """A run that ends in the middle of a step does no update again: of this step, of those before, of other folds."""
    folds["studies"]["toy"]["trackers"]["Halves"]["fault"] = "interrupt"
    project.write(folds)
    assert conduct(project.options(), project.paths).interrupted
    before = steps_done(project)
    assert before["whole", "1"] == 1
    assert before["whole", "2"] == 0
    assert not conduct(project.options(), project.paths).failures
    assert steps_done(project) == {
        (kind, str(update)): 3 * times for kind, times in (("half", 2), ("whole", 1)) for update in range(4)
    }


@pytest.mark.slow
def test_a_worker_killed_in_a_folds_last_step_costs_that_step_alone(project, folds):
    """With Ray, a worker that dies in the middle of a fold's last step is replaced, and the step goes on from there."""
    folds["studies"]["toy"]["trackers"]["Halves"]["fault"] = "suicide"
    project.write(folds)
    checkpoints = [project.paths.store / "checkpoints" / trial.training["whole"].key for trial in planned(project)]

    def let_it_die() -> None:
        until, waiting = time.monotonic() + 90, 0
        while waiting < 10:  # that of another fold, which goes on, does not stay
            assert time.monotonic() < until, "no step came to its third update"
            waiting = waiting + 1 if any(list(folder.glob("*2.*.pt")) for folder in checkpoints) else 0
            time.sleep(0.05)
        (project.root / "diary.go").touch()

    watcher = threading.Thread(target=let_it_die)
    watcher.start()
    assert not conduct(project.options(executor="ray", workers=2), project.paths).failures
    watcher.join()
    assert steps_done(project) == {
        (kind, str(update)): 3 * times for kind, times in (("half", 2), ("whole", 1)) for update in range(4)
    }
