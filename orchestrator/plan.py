"""Parameters and data -> trials and their jobs; pure and deterministic.

A trial is one (tracker variant, training data, fold, seed). Its jobs: the family's training steps,
then, for each data set that it is tested on, tracking and scoring.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.jobs import Data, Job, Resources, digest, in_order
from orchestrator.params import Dataset, Experiment, Params, Study, Variant, dataset_module
from trackers import families
from trackers.training import Step

# Pictures for the report: so many sequences of each data set, at these frames.
PICTURES: dict[str, Any] = {"sequences": 2, "frames": [1, 4, 7, 10, 13, 16, 19]}
SCORING = [
    "trackers.evaluation.measures",
    "trackers.evaluation.curves",
    "trackers.evaluation.archive",
    "orchestrator.score_files",
    "orchestrator.work",
]
NO_PICTURES: dict[str, Any] = {"sequences": 0, "frames": []}


@dataclass(frozen=True)
class Trial:
    """train: names of the training data, in one; None for a tracker that is not trained.

    training: its training jobs by step. tracking: by test data set and protocol. scores: its scoring
    jobs by test data set. speed: its measurements of speed by test data set, where asked for. fold:
    which part of the tested sequences this is, from 0, of `folds` that `fold_seed` drew; None where all
    are tested.
    """

    study: str
    tracker: str
    train: str | None
    seed: int
    variant: Variant
    training: dict[str, Job]
    tracking: dict[tuple[str, str], Job]
    scores: dict[str, Job]
    speed: dict[str, Job]
    fold: int | None = None
    folds: int = 1
    fold_seed: int = 0

    @property
    def name(self) -> str:
        """Unique in its study."""
        data = self.train if self.fold is None else next(iter(self.scores))
        parts = [self.tracker, data, None if self.fold is None else f"fold {self.fold}"]
        return " / ".join(part for part in parts if part) + ("" if self.seed == 1 else f" / seed {self.seed}")

    @property
    def jobs(self) -> list[Job]:
        """All its jobs, needs first."""
        return in_order([*self.scores.values(), *self.speed.values()])

    @property
    def key(self) -> str:
        """Changes when, and only when, any of its results may."""
        return digest(sorted(job.key for job in self.jobs))


@dataclass(frozen=True)
class Sources:
    """How a plan learns what lies outside the parameters.

    data: where a folder's content is read, and its hash. code: fingerprint of modules and all that they reach.
    gpus: the share of a GPU that each training and tracking job takes; 0 runs on the CPU.
    """

    data: Callable[[Path], Data]
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


@dataclass(frozen=True)
class _Entry:
    """What one trial trains on, by role, and is tested in. part: of the cross-validation; None: everything."""

    train: Mapping[str, Dataset]
    tests: Mapping[str, Experiment]
    fold: int | None = None
    part: Mapping[str, int] | None = None


def _study(study: Study, params: Params, sources: Sources) -> Iterable[Trial]:
    for variant in study.trackers:
        family = families.find(variant.family)
        trained = bool(family.steps(variant.config))
        # Where nothing is trained and nothing is drawn, no seed can matter.
        seeds = study.seeds if trained or family.stochastic else study.seeds[:1]
        for seed in seeds:
            for entry in _entries(study, params, trained):
                if entry.train or not trained:
                    yield _trial(study, params, variant, entry, seed, sources)


def _entries(study: Study, params: Params, trained: bool) -> Iterable[_Entry]:
    """The trials of one tracker and seed. One that is not trained is tested once, whatever others were trained on."""
    whole = [experiment for experiment in study.experiments if experiment.folds == 1]
    if trained:
        for experiment in whole:
            yield _Entry(_train(experiment, params), dict.fromkeys(experiment.test, experiment))
    elif whole:
        yield _Entry({}, {test: experiment for experiment in whole for test in experiment.test})
    for experiment in study.experiments:
        for fold in range(experiment.folds if experiment.folds > 1 else 0):
            part = {"fold": fold, "of": experiment.folds, "seed": experiment.fold_seed}
            tests = dict.fromkeys(experiment.test, experiment)
            yield _Entry(_train(experiment, params) if trained else {}, tests, fold, part)


def _train(experiment: Experiment, params: Params) -> Mapping[str, Dataset]:
    return {role: params.datasets[name] for role, name in experiment.roles.items()}


def _trial(study: Study, params: Params, variant: Variant, entry: _Entry, seed: int, sources: Sources) -> Trial:
    train = " + ".join(dataset.name for dataset in entry.train.values()) or None
    title = " / ".join(
        part
        for part in (
            study.name,
            variant.name,
            train,
            None if entry.fold is None else f"fold {entry.fold}",
            f"seed {seed}",
        )
        if part
    )
    training = _training(title, variant, entry, seed, sources)
    trained = list(training.values())[-1] if training else None
    tracking: dict[tuple[str, str], Job] = {}
    scores: dict[str, Job] = {}
    speed: dict[str, Job] = {}
    for test, experiment in entry.tests.items():
        for protocol in experiment.protocols:
            tracking[test, protocol] = _tracking(
                f"{title} / track {test} / {protocol}",
                variant,
                params.datasets[test],
                entry.part,
                {"protocol": protocol, "pictures": PICTURES if protocol == experiment.protocols[0] else NO_PICTURES},
                seed,
                trained,
                sources,
            )
        scores[test] = Job(
            "score",
            f"{title} / score {test}",
            {
                "measures": list(experiment.measures),
                "convention": experiment.convention,
                "interval": None if experiment.interval is None else list(experiment.interval),
                "legacy_rasterization": experiment.legacy_rasterization,
                "partial": entry.part is not None,
                "lengths": list(study.lengths),
            },
            {protocol: tracking[test, protocol] for protocol in experiment.protocols},
            code=sources.code(SCORING),
        )
        if experiment.measures_speed(variant.name):
            speed[test] = _speed(
                f"{title} / speed {test}", variant, params.datasets[test], entry.part, trained, sources
            )
    part = entry.part or {"of": 1, "seed": 0}
    return Trial(
        study=study.name,
        tracker=variant.name,
        train=train,
        seed=seed,
        variant=variant,
        training=training,
        tracking=tracking,
        scores=scores,
        speed=speed,
        fold=entry.fold,
        folds=part["of"],
        fold_seed=part["seed"],
    )


def _training(title: str, variant: Variant, entry: _Entry, seed: int, sources: Sources) -> dict[str, Job]:
    family = families.find(variant.family)
    jobs: dict[str, Job] = {}
    for step in family.steps(variant.config) if entry.train else ():
        # A fold leaves out what it tests, and all of what it does not test is trained on.
        read = {role: (entry.train[role], _part(entry, entry.train[role])) for role in step.reads}
        jobs[step.name] = Job(
            "train",
            f"{title} / {step.name}",
            {
                **_variant(variant, step),
                "step": step.name,
                "train": {role: _dataset(dataset, part, "train") for role, (dataset, part) in read.items()},
                "seed": seed if step.seeded else 0,
            },
            {name: jobs[name] for name in step.needs},
            {dataset.name: sources.data(dataset.root) for dataset, _ in read.values()}
            | {path: sources.data(Path(path)) for path in step.files},
            sources.code([family.module, *(m for pair in read.values() for m in _modules(*pair)), "orchestrator.work"]),
            Resources(sources.cpus, sources.gpus),
        )
    return jobs


def _part(entry: _Entry, dataset: Dataset) -> Mapping[str, int] | None:
    return entry.part if dataset.name in entry.tests else None


def _tracking(
    label: str,
    variant: Variant,
    dataset: Dataset,
    part: Mapping[str, int] | None,
    arguments: Mapping[str, Any],
    seed: int,
    trained: Job | None,
    sources: Sources,
) -> Job:
    family = families.find(variant.family)
    modules = [family.module, *_modules(dataset, part), "trackers.evaluation.lanes", "trackers.evaluation.archive"]
    return Job(
        "track",
        label,
        {
            **_variant(variant),
            "test": _dataset(dataset, part, "test"),
            "seed": seed if family.stochastic else 0,
            **arguments,
        },
        {} if trained is None else {"weights": trained},
        {dataset.name: sources.data(dataset.root)},
        sources.code([*modules, "orchestrator.work"]),
        Resources(sources.cpus, sources.gpus),
    )


def _speed(
    label: str,
    variant: Variant,
    dataset: Dataset,
    part: Mapping[str, int] | None,
    trained: Job | None,
    sources: Sources,
) -> Job:
    modules = [families.find(variant.family).module, *_modules(dataset, part), "trackers.evaluation.speed"]
    return Job(
        "speed",
        label,
        {**_variant(variant), "test": _dataset(dataset, part, "test")},
        {} if trained is None else {"weights": trained},
        {dataset.name: sources.data(dataset.root)},
        sources.code([*modules, "orchestrator.work"]),
        Resources(sources.cpus, sources.gpus, alone=True),
    )


def _variant(variant: Variant, step: Step | None = None) -> dict[str, Any]:
    """As arguments of a job: all its settings, or those that this step of its training depends on."""
    config = variant.config
    if step is not None and step.settings is not None:
        config = type(config)(**{name: getattr(config, name) for name in step.settings})
    return {"family": variant.family, "settings": dataclasses.asdict(config)}


def _dataset(dataset: Dataset, part: Mapping[str, int] | None, side: str) -> dict[str, Any]:
    """As an argument of a job. part: of its sequences, those tested in a fold, or (side "train") all others."""
    settings = dataclasses.asdict(dataset.config)
    argument: dict[str, Any] = {"name": dataset.name, "format": dataset.format, "settings": settings}
    if dataset.clip is not None:
        argument["clip"] = dataset.clip
    if dataset.groups and side == "test":
        argument["groups"] = {group: list(members) for group, members in dataset.groups.items()}
    if part is not None:
        argument["part"] = {**part, "side": side}
    return argument


def _modules(dataset: Dataset, part: Mapping[str, int] | None) -> list[str]:
    """Those by which its sequences are read, clipped and split."""
    return [
        dataset_module(dataset.format).__name__,
        *(["trackers.evaluation.clips"] if dataset.clip is not None else []),
        *(["trackers.evaluation.folds"] if part is not None else []),
    ]
