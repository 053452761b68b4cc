from dataclasses import replace

import pytest

from orchestrator.report import results
from orchestrator.speed import folds
from trackers.synthetic.shapes import LABELS


@pytest.fixture
def measured(project, tmp_path, monkeypatch):
    """The project that is measured, in this process and with a toy family; what each run has done is kept."""
    options = folds.Project._options
    monkeypatch.setattr(
        folds.Project, "_options", lambda self, *which: replace(options(self, *which), executor="local")
    )
    monkeypatch.setattr(folds, "FOLDS", 2)
    ran = []

    def conduct(given, paths):
        outcome = conducted(given, paths)
        [study] = [study for study in results.read(paths.results) if study.name == given.studies[0]]
        tested = [name for t in study.trials for scores in t.scores.values() for name in scores.sequences]
        ran.append((given.workers, len(outcome.prospect.todo), sorted(tested)))
        return outcome

    conducted = folds.conduct
    monkeypatch.setattr(folds, "conduct", conduct)
    return folds.Project(
        tmp_path / "speed", {"family": "toy.halves", "updates": 1}, "train", sequences=2, length=3
    ), ran


def test_each_time_all_folds_are_run(measured):
    """What is measured is the work: all steps of all folds, which leave out each sequence once, each time anew."""
    project, ran = measured
    assert min(project.seconds("folds", workers) for workers in folds.WORKERS) > 0
    project.seconds("start", 2)
    names = sorted(f"{label}{i}" for i, label in enumerate(LABELS[:2]))
    assert ran == [(1, 1 + 2 * 5, names), (2, 1 + 2 * 5, names), (2, 2, [f"{LABELS[0]}0"])]
