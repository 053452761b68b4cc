from __future__ import annotations

import pytest

from orchestrator import lineage, params, plan
from orchestrator.jobs import in_order


@pytest.fixture
def trials(project):
    def make():
        sources = plan.Sources(lineage.Digests(project.paths.digests).folder, lineage.fingerprint)
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
