"""A search's candidates -> jobs, by the same planner as everything else; and from their results -> scores.

The sequences of the validation data set are drawn into folds. Data sets that are made of those folds stand beside
those of the parameters: what is tested in one fold is trained on all sequences but that fold's and those held out.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator import plan
from orchestrator.jobs import Job, digest
from orchestrator.learnt import LearntFrom
from orchestrator.params import (
    Dataset,
    Experiment,
    Params,
    Pictures,
    Study,
    Variant,
    build,
    dataset_module,
    parts_of_one,
    validates,
)
from orchestrator.plan import Sources, Trial
from orchestrator.search_space import Search, changed, value_of
from orchestrator.store import Store
from orchestrator.work import SHORTER
from trackers import families
from trackers.benchmarks.collection import Collection
from trackers.evaluation import archive
from trackers.evaluation.folds import folds
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import ALL

Values = dict[str, float]  # of a measure, by sequence


@dataclass(frozen=True)
class Ground:
    """What a search stands on. datasets: those of the parameters, and those that are made of the folds.

    present: the tracker as the parameters have it. experiment: how it is trained and tracked. on: the data set whose
    sequences are split: `validating` (one name a fold) and held out. forbidden: the sequences that the study tests,
    by the digest of their folder.
    """

    params: Params
    study: Study
    present: Variant
    search: Search
    experiment: Experiment
    on: Dataset
    folds: tuple[tuple[str, ...], ...]
    forbidden: Mapping[str, frozenset[str]]
    sources: Sources

    @classmethod
    def of(cls, params: Params, study_name: str, tracker: str, sources: Sources) -> Ground:
        """Of the search of this tracker. ValueError where it has none, and for sequences that the study tests."""
        study, variant = _find(params, study_name, tracker)
        search = variant.search
        if search is None:
            raise ValueError(f"{study_name}/{tracker}: expected a tracker with `search:` in the parameters, got none")
        experiment = next(experiment for experiment in study.experiments if experiment.has(tracker))
        on = validates(search, experiment, params.datasets)
        names = _names(on, sources)
        forbidden: dict[str, frozenset[str]] = {}
        for test in dict.fromkeys(name for each in study.experiments for name in each.test):
            tested = params.datasets[test]
            known = forbidden.get(sources.data(tested.root).digest, frozenset())
            if hasattr(dataset_module(tested.format), "read"):
                forbidden[sources.data(tested.root).digest] = known | frozenset(_names(tested, sources))
        parts = folds(names, search.folds, search.seed)
        ground = cls(params, study, variant, search, experiment, on, parts, forbidden, sources)
        ground.refuse(sources.data(on.root).digest, names)
        return replace(ground, params=replace(params, datasets={**params.datasets, **ground._made()}))

    def refuse(self, digest: str, names: Iterable[str]) -> None:
        """ValueError where any of these sequences, which lie in this folder, is one that the study tests."""
        tested = sorted(self.forbidden.get(digest, frozenset()) & set(names))
        if tested:
            raise ValueError(
                f"{self.on.name}: expected sequences that study {self.study.name} does not test, to search on; got "
                f"{', '.join(tested)}: let `validation` of the search name another data set"
            )

    @property
    def identity(self) -> str:
        """Changes when the candidates' scores would no longer be comparable."""
        config = {"family": self.present.family, **dataclasses.asdict(self.present.config)}
        data = {name: self.sources.data(self.params.datasets[name].root).digest for name in self._read}
        said = [self.study.name, self.present.name, dataclasses.asdict(self.search), config, self.folds, data]
        return digest([*said, dataclasses.asdict(self.experiment)])

    @property
    def held_out(self) -> tuple[str, ...]:
        """Names of the sequences that nobody looks at before the end."""
        return tuple(sorted(name for fold in self.search.held_out for name in self.folds[fold]))

    @property
    def whole(self) -> int:
        """The budget that the parameters have."""
        if self.search.budget is None:
            raise ValueError("budget: expected `search:` to name the setting that ASHA and PBT divide, got none")
        return int(value_of(dataclasses.asdict(self.present.config), self.search.budget))

    def config(self, changes: Mapping[str, Any]) -> Any:
        """The tracker's settings with these changes. ParamsError where the family refuses them."""
        settings = changed(dataclasses.asdict(self.present.config), changes)
        return build(families.find(self.present.family).Config, settings)

    # Jobs.

    def validated(self, name: str, lineage: Sequence[Mapping[str, Any]], last: bool) -> list[Trial]:
        """A candidate in each validating fold. lineage: its changes, rung by rung, the budget of each among them.

        Each rung goes on from the one before; the last rung of all is one from which nothing does.
        """
        before: list[Trial] = []
        for i, changes in enumerate(lineage):
            trials = self._trials(f"{name}, rung {i}", self.config(changes), self.search.validating)
            steps = self._budgeted(self.config(changes))
            ends = last and i + 1 == len(lineage)
            earlier: list[Trial | None] = [*before] or [None] * len(trials)
            before = [_going_on(t, other, steps, ends) for t, other in zip(trials, earlier, strict=True)]
        return before

    def proven(self, name: str, changes: Mapping[str, Any]) -> list[Trial]:
        """The tracker with these changes, trained on everything but what is held out, and tested there."""
        return self._trials(name, self.config(changes), (None,))

    def _trials(self, name: str, config: Any, parts: Iterable[int | None]) -> list[Trial]:
        convention, protocol = self._judged()
        experiments = tuple(
            replace(
                self.experiment,
                train={role: self._without(dataset, part) for role, dataset in self.experiment.roles.items()} or None,
                test=(self._part(part),),
                folds=1,
                benchmark=None,
                measures=(self.search.measure,),
                convention=convention,
                protocols=(protocol,),
                pictures=Pictures(0, ()),
                speed=False,
                trackers=(),
            )
            for part in parts
        )
        variant = replace(self.present, name=f"{self.present.name}, {name}", config=config)
        study = Study(f"{self.study.name} search", experiments, (variant,), seeds=self.study.seeds[:1])
        return plan.plan(replace(self.params, studies=(study,)), self.sources)

    def _judged(self) -> tuple[Any, str]:
        """The convention and protocol: the experiment's, where they know the measure."""
        measure = MEASURES[self.search.measure]
        for convention in (self.experiment.convention, *measure.conventions):
            known = measure.protocols_of(convention) if convention else ()
            own = [protocol for protocol in self.experiment.protocols if protocol in known]
            if own or (known and convention != self.experiment.convention):
                return convention, (own or list(known))[0]
        raise ValueError(f"measure: expected one that some convention defines, got {self.search.measure}")

    def _budgeted(self, config: Any) -> set[str]:
        """Names of the training steps that depend on the budget: those go on from rung to rung."""
        budget = self.search.budget
        top = None if budget is None else budget.split(".")[0]
        steps = families.find(self.present.family).steps(config)
        return {step.name for step in steps if top and (step.settings is None or top in step.settings)}

    # Data sets that are made of the folds.

    @property
    def _read(self) -> list[str]:
        return list(dict.fromkeys([*self.experiment.roles.values(), self.on.name]))

    def _made(self) -> dict[str, Dataset]:
        made = {}
        for part in (*self.search.validating, None):
            own = self.held_out if part is None else self.folds[part]
            made[self._part(part)] = _some(self.on, self._part(part), own)
            away = {*own, *self.held_out}
            for dataset in (self.params.datasets[name] for name in self.experiment.roles.values()):
                if parts_of_one(dataset, self.on):
                    left = [name for name in _names(dataset, self.sources) if name not in away]
                    if not left:
                        raise ValueError(f"folds: expected a sequence of {dataset.name} to train on, got none")
                    made[self._without(dataset.name, part)] = _some(dataset, self._without(dataset.name, part), left)
        return made

    def _part(self, part: int | None) -> str:
        return f"{self.on.name}, {'held out' if part is None else f'fold {part}'}"

    def _without(self, dataset: str, part: int | None) -> str:
        if not parts_of_one(self.params.datasets[dataset], self.on):
            return dataset
        return f"{dataset}, not held out" + ("" if part is None else f", without fold {part}")

    # Scores.

    def values(self, trials: Iterable[Trial], store: Store) -> Values:
        """The measure by sequence, of finished trials; {} where no sequence has a value.

        ValueError for sequences that must not be among them.
        """
        found: Values = {}
        for trial in trials:
            for (test, _), job in trial.tracking.items():
                sequences, _ = archive.load(store.folder(job.key) / "trajectories.npz")
                names = [sequence.name for sequence in sequences]
                data = job.data[test].digest
                self.refuse(data, names)
                models = [store.folder(need.key) for need in job.needs.values()]
                models += [read.path for name, read in job.data.items() if name.startswith(plan.WEIGHTS)]
                for model in models:
                    LearntFrom.read(model).refuse(data, names)
            for job in trial.scores.values():
                scores = json.loads((store.folder(job.key) / "scores.json").read_text())["scores"]
                [score] = [s for s in scores if (s["measure"], s["subset"]) == (self.search.measure, ALL)]
                pairs = zip(score["sequences"], score["values"], strict=True)
                found |= {name: value for name, value in pairs if value is not None}
        return found


def _going_on(trial: Trial, before: Trial | None, steps: set[str], ends: bool) -> Trial:
    """The same trial, whose training goes on from that of a shorter one, and can be gone on with unless it ends."""
    if before is None and ends:
        return trial
    names = {job.key: step for step, job in trial.training.items() if step in steps}
    built: dict[str, Job] = {}

    def build_again(job: Job) -> Job:
        if job.key not in built:
            needs = {role: build_again(need) for role, need in job.needs.items()}
            arguments = job.arguments
            if job.key in names:
                needs |= {} if before is None else {SHORTER: before.training[names[job.key]]}
                arguments = arguments if ends else {**arguments, "goes_on": True}
            built[job.key] = replace(job, needs=needs, arguments=arguments)
        return built[job.key]

    return replace(
        trial,
        training={step: build_again(job) for step, job in trial.training.items()},
        tracking={use: build_again(job) for use, job in trial.tracking.items()},
        scores={test: build_again(job) for test, job in trial.scores.items()},
    )


def _find(params: Params, study_name: str, tracker: str) -> tuple[Study, Variant]:
    for study in params.studies:
        for variant in study.trackers:
            if (study.name, variant.name) == (study_name, tracker):
                return study, variant
    known = ", ".join(f"{s.name}/{v.name}" for s in params.studies for v in s.trackers if v.search is not None)
    raise ValueError(f"no tracker {study_name}/{tracker} in the parameters; those with a search: {known or 'none'}")


def _some(dataset: Dataset, name: str, sequences: Iterable[str]) -> Dataset:
    """Those of a data set's sequences, as a data set of this name."""
    return replace(dataset, name=name, config=replace(dataset.config, sequences=tuple(sequences)), groups={})


def _names(dataset: Dataset, sources: Sources) -> tuple[str, ...]:
    """Of its sequences, as they lie here."""
    opened = dataset_module(dataset.format).open(dataset.config, sources.data(dataset.root).path, dataset.name)
    if not isinstance(opened, Collection):
        raise ValueError(f"{dataset.name}: expected recorded sequences, which have names, got generated ones")
    return tuple(sequence.name for sequence in opened)
