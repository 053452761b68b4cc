"""Parameters and data -> trials and their jobs; pure and deterministic.

A trial is one (tracker variant, training data, fold, seed). Its jobs: the family's training steps,
then, for each data set that it is tested on, tracking and scoring.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.jobs import Data, Job, Resources, digest, in_order
from orchestrator.params import Dataset, Params, Study, Variant, dataset_module
from trackers import families

# Pictures for the report: so many sequences of each data set, at these frames.
PICTURES: dict[str, Any] = {"sequences": 2, "frames": [1, 4, 7, 10, 13, 16, 19]}


@dataclass(frozen=True)
class Trial:
    """train: name of the training data; None for a tracker that is not trained.

    training: its training jobs by step. scores: its scoring jobs by test data set.
    """

    study: str
    tracker: str
    train: str | None
    seed: int
    variant: Variant
    training: dict[str, Job]
    tracking: dict[str, Job]
    scores: dict[str, Job]
    fold: int | None = None

    @property
    def name(self) -> str:
        """Unique in its study."""
        parts = [self.tracker, self.train, None if self.fold is None else f"fold {self.fold}"]
        return " / ".join(part for part in parts if part) + ("" if self.seed == 1 else f" / seed {self.seed}")

    @property
    def jobs(self) -> list[Job]:
        """All its jobs, needs first."""
        return in_order(self.scores.values())

    @property
    def key(self) -> str:
        """Changes when, and only when, any of its results may."""
        return digest(sorted(job.key for job in self.jobs))


@dataclass(frozen=True)
class Sources:
    """How a plan learns what lies outside the parameters.

    data: content hash of a folder. code: fingerprint of modules and all that they reach.
    gpus: the share of a GPU that each training and tracking job takes; 0 runs on the CPU.
    """

    data: Callable[[Path], str]
    code: Callable[[Iterable[str]], dict[str, str]]
    gpus: float = 0.0
    cpus: int = 1


def plan(params: Params, sources: Sources) -> list[Trial]:
    """All trials of all studies."""
    return [trial for study in params.studies for trial in _study(study, params, sources)]


def select(trials: list[Trial], studies: list[str], trackers: list[str]) -> list[Trial]:
    """The trials of these studies and trackers (all, where none are named); ValueError for an unknown name."""
    for wanted, known, kind in (
        (studies, {trial.study for trial in trials}, "study"),
        (trackers, {trial.tracker for trial in trials}, "tracker"),
    ):
        for name in wanted:
            if name not in known:
                raise ValueError(f"no {kind} {name!r} in the parameters; expected one of {', '.join(sorted(known))}")
    return [t for t in trials if (not studies or t.study in studies) and (not trackers or t.tracker in trackers)]


def _study(study: Study, params: Params, sources: Sources) -> Iterable[Trial]:
    for variant in study.trackers:
        family = families.find(variant.family)
        if family.steps(variant.config):
            for seed in study.seeds:
                for experiment in study.experiments:
                    yield _trial(study, params, variant, experiment.train, experiment.test, seed, sources)
        else:  # nothing is trained, so neither training data nor seed can matter
            tests = tuple(dict.fromkeys(name for e in study.experiments for name in e.test))
            yield _trial(study, params, variant, None, tests, study.seeds[0], sources)


def _trial(
    study: Study,
    params: Params,
    variant: Variant,
    train: str | None,
    tests: tuple[str, ...],
    seed: int,
    sources: Sources,
) -> Trial:
    title = " / ".join(part for part in (study.name, variant.name, train, f"seed {seed}") if part)
    training = {} if train is None else _training(title, variant, params.datasets[train], seed, sources)
    trained = list(training.values())[-1] if training else None
    tracking = {test: _tracking(title, study, variant, params.datasets[test], trained, sources) for test in tests}
    scores = {
        test: Job(
            "score",
            f"{title} / score {test}",
            {"measures": list(study.measures), "protocol": study.protocol, "lengths": list(study.lengths)},
            {"trajectories": job},
            code=sources.code(["trackers.evaluation.measures", "orchestrator.work"]),
        )
        for test, job in tracking.items()
    }
    return Trial(study.name, variant.name, train, seed, variant, training, tracking, scores)


def _training(title: str, variant: Variant, dataset: Dataset, seed: int, sources: Sources) -> dict[str, Job]:
    family = families.find(variant.family)
    jobs: dict[str, Job] = {}
    for step in family.steps(variant.config):
        jobs[step.name] = Job(
            "train",
            f"{title} / {step.name}",
            {**_variant(variant), "step": step.name, "train": _dataset(dataset), "seed": seed},
            {name: jobs[name] for name in step.needs},
            {dataset.name: Data(dataset.root, sources.data(dataset.root))},
            sources.code([family.module, dataset_module(dataset.format).__name__, "orchestrator.work"]),
            Resources(sources.cpus, sources.gpus),
        )
    return jobs


def _tracking(
    title: str, study: Study, variant: Variant, dataset: Dataset, trained: Job | None, sources: Sources
) -> Job:
    modules = [
        families.find(variant.family).module,
        dataset_module(dataset.format).__name__,
        "trackers.evaluation.lanes",
        "trackers.evaluation.protocols",
        "orchestrator.work",
    ]
    return Job(
        "track",
        f"{title} / track {dataset.name}",
        {**_variant(variant), "test": _dataset(dataset), "protocol": study.protocol, "pictures": PICTURES},
        {} if trained is None else {"weights": trained},
        {dataset.name: Data(dataset.root, sources.data(dataset.root))},
        sources.code(modules),
        Resources(sources.cpus, sources.gpus),
    )


def _variant(variant: Variant) -> dict[str, Any]:
    return {"family": variant.family, "settings": dataclasses.asdict(variant.config)}


def _dataset(dataset: Dataset) -> dict[str, Any]:
    return {"name": dataset.name, "format": dataset.format, "settings": dataclasses.asdict(dataset.config)}
