"""Parameters and data -> trials and their jobs; pure and deterministic.

A trial is one (tracker variant, training data, fold, seed). Its jobs: the family's training steps,
then, for each data set that it is tested on, tracking and scoring.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from orchestrator.jobs import Code, Data, Job, Resources, digest, in_order
from orchestrator.params import (
    Dataset,
    Experiment,
    Extractor,
    Needs,
    Params,
    Pictures,
    Study,
    Variant,
    dataset_module,
    parts_of_one,
)
from trackers import extractors, families
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.protocols import REPETITIONS
from trackers.training import Step

SCORING = [
    "trackers.evaluation.measures",
    "trackers.evaluation.curves",
    "trackers.evaluation.archive",
    "orchestrator.score_files",
    "orchestrator.work",
]
TRAINING = ["orchestrator.learnt", "orchestrator.work"]
FEATURES, WEIGHTS = "features ", "extractor "  # how names of data begin that is none of the data sets
EXTRACTORS = "extractors"  # what stands for the name of a study where extractors are trained
NO_PICTURES: dict[str, Any] = {"sequences": 0, "frames": []}


_Jobs = dict[str, Job]


@dataclass(frozen=True)
class Trial:
    """train: names of the training data, in one; None for a tracker that learns from none.

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
        data = self.train or (None if self.fold is None else next(iter(self.scores)))
        parts = [self.tracker, data, None if self.fold is None else f"fold {self.fold}"]
        return " / ".join(part for part in parts if part) + ("" if self.seed == 1 else f" / seed {self.seed}")

    @property
    def steps(self) -> str:
        """Its training as a graph, each step with those that it needs: "pack; half (pack); whole (pack, half)"."""
        needs = {step: ", ".join(needed(job)) for step, job in self.training.items()}
        return "; ".join(f"{step} ({names})" if names else step for step, names in needs.items())

    @property
    def jobs(self) -> list[Job]:
        """All its jobs, needs first."""
        return in_order([*self.training.values(), *self.scores.values(), *self.speed.values()])

    @cached_property
    def keys(self) -> frozenset[str]:
        """Those of its jobs."""
        return frozenset(job.key for job in self.jobs)

    @property
    def key(self) -> str:
        """Changes when, and only when, any of its results may."""
        return digest(sorted(job.key for job in self.jobs))


def needed(job: Job) -> list[str]:
    """The names, short, of the jobs that it needs: of steps of a training, and of the protocols that are scored."""
    return [need.arguments.get("step", role) for role, need in job.needs.items()]


@dataclass(frozen=True)
class Sources:
    """How a plan learns what lies outside the parameters.

    data: where a folder's content is read, and its hash. code: fingerprint of modules and all that they reach.
    cpus, gpus: what each training and tracking job takes where its tracker says nothing else; 0 GPUs run on the CPU.
    extractors, features: the folders of what extractors have learnt, and of what they saw, a folder each in them.
    """

    data: Callable[[Path], Data]
    code: Callable[[Iterable[str]], dict[str, str]]
    gpus: float = 0.0
    cpus: int = 1
    extractors: Path = Path("build/extractors")
    features: Path = Path("build/features")

    def asked_once(self) -> Sources:
        """The same, which asks for the code of each set of modules once: thousands of jobs share it."""
        code = cache(lambda modules: Code(self.code(modules)))
        return replace(self, code=lambda modules: code(tuple(modules)))

    def resources(self, variant: Variant | None, *names: str, alone: bool = False) -> Resources:
        """Of a job that trains or tracks: what the variant says by the first of these names that it has."""
        said = {} if variant is None else variant.resources
        needs = next((said[name] for name in names if name in said), Needs())
        return Resources(
            self.cpus if needs.cpus is None else needs.cpus,
            self.gpus if needs.gpus is None else needs.gpus,
            round((needs.memory or 0) * 1e9),
            needs.processes,
            alone,
        )


def plan(params: Params, sources: Sources) -> list[Trial]:
    """All trials of all studies."""
    sources = sources.asked_once()
    return [trial for study in params.studies for trial in _study(study, params, sources)]


def extractor_trial(extractor: Extractor, params: Params, sources: Sources) -> Trial:
    """An extractor's training, as a trial that nothing is tested in."""
    network, config = extractors.find(extractor.kind), extractor.config
    uses = {role: _Use(params.datasets[name], "train") for role, name in extractor.train.items()}
    title, owner = f"{EXTRACTORS} / {extractor.name}", {"kind": extractor.kind}
    variant = Variant(extractor.name, extractor.kind, extractor.config)
    steps = _Learning.of(network.steps(config), config)
    jobs = _steps(title, owner, network.module, steps, variant, uses, extractor.seed, sources)
    names = " + ".join(extractor.train.values()) or None
    return Trial(EXTRACTORS, extractor.name, names, extractor.seed, variant, jobs, {}, {}, {})


def extraction(cache: str, sequences: Iterable[str], params: Params, sources: Sources) -> dict[str, Job]:
    """The jobs that make a cache, by the sequence in which they look."""
    extractor, dataset = params.seen(cache)
    sight, use = _Sight(extractor, params), _Use(dataset, "test")
    module = extractors.find(extractor.kind).module
    code = sources.code([module, "trackers.features", *use.modules, "orchestrator.work"])
    data = use.data(sources) | _weights(sight, sources)
    return {
        name: Job(
            "extract",
            f"{cache} / {name}",
            {"extractor": _extractor(extractor), "dataset": use.argument, "sequence": name},
            data=data,
            code=code,
            resources=sources.resources(None),
        )
        for name in sequences
    }


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
class _Fold:
    """One of a cross-validation. tested: the data sets whose sequences it tests. drawn: the training data sets."""

    number: int
    of: int
    seed: int
    tested: tuple[Dataset, ...]
    drawn: tuple[Dataset, ...]

    def part(self, dataset: Dataset) -> dict[str, Any] | None:
        """Which part of a data set it tests, or leaves out, as it stands in a job; None where it tests nothing of it.

        drawn_over: the settings of the data set over whose names the folds are drawn, where they are others than its
        own: the first training data set that is a part of the same, for each data set that is one.
        """
        if not any(parts_of_one(dataset, test) for test in self.tested):
            return None
        part: dict[str, Any] = {"fold": self.number, "of": self.of, "seed": self.seed}
        over = next((other for other in self.drawn if parts_of_one(dataset, other)), dataset)
        return part if over.config == dataset.config else {**part, "drawn_over": dataclasses.asdict(over.config)}


@dataclass(frozen=True)
class _Entry:
    """What one trial of each seed trains on, by role, and is tested in. fold: of a cross-validation; None: all."""

    train: Mapping[str, _Use]
    tests: Mapping[str, tuple[_Use, Experiment]]
    fold: _Fold | None = None

    @classmethod
    def of(
        cls,
        train: Mapping[str, Dataset],
        tests: Mapping[str, Experiment],
        cast: _Cast,
        fold: _Fold | None = None,
    ) -> _Entry:
        """Of these data sets, as this tracker sees them."""

        def use(dataset: Dataset, side: Literal["train", "test"]) -> _Use:
            return _Use(dataset, side, None if fold is None else fold.part(dataset), cast.sight)

        return cls(
            {role: use(dataset, "train") for role, dataset in train.items()},
            {test: (use(cast.params.datasets[test], "test"), experiment) for test, experiment in tests.items()},
            fold,
        )


@dataclass(frozen=True)
class _Learning:
    """A step of a training, and the settings that it depends on."""

    step: Step
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, steps: Iterable[Step], config: Any) -> list[_Learning]:
        """Each of these steps."""
        return [cls(step, _settings(config, step)) for step in steps]


@dataclass(frozen=True)
class _Cast:
    """A variant, and what holds for all its trials: found once, however many folds and seeds there are."""

    variant: Variant
    params: Params

    @cached_property
    def family(self) -> families.Family:
        return families.find(self.variant.family)

    @cached_property
    def steps(self) -> list[_Learning]:
        return _Learning.of(self.family.steps(self.variant.config), self.variant.config)

    @property
    def learns(self) -> bool:
        """Else its weights come from files, or it has none."""
        return any(learning.step.reads for learning in self.steps)

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """Its own, besides the experiment's."""
        return self.family.measures(self.variant.config)

    @cached_property
    def sight(self) -> _Sight | None:
        name = self.family.extractor(self.variant.config)
        return None if name is None else _Sight(self.params.extractors[name], self.params)

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """Of a job: all its settings, and through what it sees."""
        own = {"family": self.variant.family, "settings": _settings(self.variant.config)}
        return own if self.sight is None else {**own, "extractor": _extractor(self.sight.extractor)}


def _study(study: Study, params: Params, sources: Sources) -> Iterable[Trial]:
    for variant in study.trackers:
        cast = _Cast(variant, params)
        entries = [entry for entry in _entries(study, cast) if entry.train or not cast.learns]
        # Where nothing is trained and nothing is drawn, no seed can matter.
        seeds = study.seeds if cast.steps or cast.family.stochastic else study.seeds[:1]
        yield from (_trial(study, cast, entry, seed, sources) for seed in seeds for entry in entries)


def _entries(study: Study, cast: _Cast) -> Iterable[_Entry]:
    """The trials of one tracker and seed. One that learns from no data is tested once, whatever others learnt from."""
    params = cast.params
    experiments = [experiment for experiment in study.experiments if experiment.has(cast.variant.name)]
    whole = [experiment for experiment in experiments if experiment.folds == 1]
    if cast.learns:
        for several in _alike(whole):
            yield _Entry.of(_train(several[0], params), _tests(several), cast)
    elif whole:
        yield _Entry.of({}, _tests(whole), cast)
    for several in _alike(experiment for experiment in experiments if experiment.folds > 1):
        train, tests = _train(several[0], params), _tests(several)
        tested, drawn = tuple(params.datasets[test] for test in tests), tuple(train.values())
        for number in range(several[0].folds):
            fold = _Fold(number, several[0].folds, several[0].fold_seed, tested, drawn)
            yield _Entry.of(train if cast.learns else {}, tests, cast, fold)


def _alike(experiments: Iterable[Experiment]) -> Iterable[list[Experiment]]:
    """Experiments that train on the same, split alike: they test what is trained once."""
    alike: dict[tuple[str, int, int], list[Experiment]] = {}
    for experiment in experiments:
        seed = experiment.fold_seed if experiment.folds > 1 else 0
        alike.setdefault((str(experiment.roles), experiment.folds, seed), []).append(experiment)
    return alike.values()


def _tests(experiments: Iterable[Experiment]) -> dict[str, Experiment]:
    return {test: experiment for experiment in experiments for test in experiment.test}


def _train(experiment: Experiment, params: Params) -> Mapping[str, Dataset]:
    return {role: params.datasets[name] for role, name in experiment.roles.items()}


def _trial(study: Study, cast: _Cast, entry: _Entry, seed: int, sources: Sources) -> Trial:
    variant = cast.variant
    train = " + ".join(use.dataset.name for use in entry.train.values()) or None
    title = " / ".join(
        part
        for part in (
            study.name,
            variant.name,
            train,
            None if entry.fold is None else f"fold {entry.fold.number}",
            f"seed {seed}",
        )
        if part
    )
    owner, module = {"family": variant.family}, cast.family.module
    training = _steps(title, owner, module, cast.steps, variant, entry.train, seed, sources)
    trained = list(training.values())[-1] if training else None
    tracking: dict[tuple[str, str], Job] = {}
    scores: dict[str, Job] = {}
    speed: dict[str, Job] = {}
    for test, (use, experiment) in entry.tests.items():
        measures = list(dict.fromkeys((*experiment.measures, *cast.measures)))
        for protocol in experiment.protocols:
            tracking[test, protocol] = _tracking(
                f"{title} / track {test} / {protocol}",
                cast,
                use,
                _playing(experiment, protocol, measures, cast.family.stochastic),
                seed,
                trained,
                sources,
            )
        scores[test] = Job(
            "score",
            f"{title} / score {test}",
            {
                "measures": measures,
                "convention": experiment.convention,
                "interval": None if experiment.interval is None else list(experiment.interval),
                "legacy_rasterization": experiment.legacy_rasterization,
                "partial": entry.fold is not None,
                "lengths": list(study.lengths),
            },
            {protocol: tracking[test, protocol] for protocol in experiment.protocols},
            code=sources.code(SCORING),
        )
        if experiment.measures_speed(variant.name):
            speed[test] = _speed(f"{title} / speed {test}", cast, use, trained, sources)
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
        fold=None if entry.fold is None else entry.fold.number,
        folds=1 if entry.fold is None else entry.fold.of,
        fold_seed=0 if entry.fold is None else entry.fold.seed,
    )


def _playing(experiment: Experiment, protocol: str, measures: Iterable[str], stochastic: bool) -> dict[str, Any]:
    """The protocol as arguments of a tracking job; clips: of each sequence, where it is `random_clips`.

    repetitions: of a stochastic tracker under `supervised_reset`, where they are not VOT's 15. soft: True where a
    measure counts pixels by how likely they are, for which trackers have to be asked.
    """
    pictures = _pictures(experiment.pictures) if protocol == experiment.protocols[0] else NO_PICTURES
    arguments: dict[str, Any] = {"protocol": protocol, "pictures": pictures}
    if protocol == "random_clips":
        arguments["clips"] = experiment.clips
    if protocol == "supervised_reset" and stochastic and experiment.repetitions != REPETITIONS:
        arguments["repetitions"] = experiment.repetitions
    if any(MEASURES[name].soft and protocol in MEASURES[name].protocols for name in measures):
        arguments["soft"] = True
    return arguments


def _pictures(chosen: Pictures) -> dict[str, Any]:
    """As arguments of an `Album`."""
    some = chosen.sequences
    return {"sequences": some if isinstance(some, int) else list(some), "frames": list(chosen.frames)}


def _steps(
    title: str,
    owner: Mapping[str, str],
    module: str,
    steps: Iterable[_Learning],
    variant: Variant,
    uses: Mapping[str, _Use],
    seed: int,
    sources: Sources,
) -> _Jobs:
    """The jobs of a training, by step. owner: whose training it is. uses: its data by role.

    A step that prepares is given all sequences, whatever the fold: so that is one job for all of them. Raises
    ValueError for a step that learns from what was prepared and does not read which sequences of it are its own.
    """
    jobs: _Jobs = {}
    prepared: dict[str, set[str]] = {}  # roles of which all sequences lie in a step's result
    for step, settings in ((learning.step, learning.settings) for learning in steps):
        read = {role: uses[role].whole if step.prepares else uses[role] for role in step.reads}
        given = {role for need in step.needs for role in prepared[need]}
        prepared[step.name] = given | set(step.reads) if step.prepares else set()
        unread = {role for role in given - set(step.reads) if uses[role].part is not None}
        if unread and not step.prepares:
            raise ValueError(
                f"{module}: step {step.name!r} needs what was prepared of all folds: expected it to read, too, "
                f"{', '.join(sorted(unread))}, to know its own sequences; got {', '.join(step.reads) or 'none'}"
            )
        data = {name: data for use in read.values() for name, data in use.data(sources).items()}
        asked = sources.resources(variant, step.name, "train")
        jobs[step.name] = Job(
            "train",
            f"{title} / {step.name}",
            {
                **owner,
                "settings": settings,
                "step": step.name,
                "train": {role: use.argument for role, use in read.items()},
                "seed": seed if step.seeded else 0,
            },
            {name: jobs[name] for name in step.needs},
            data | {path: sources.data(Path(path)) for path in step.files},
            sources.code([module, *(m for use in read.values() for m in use.modules), *TRAINING]),
            replace(asked, processes=asked.processes if step.parallel else 1),
        )
    return jobs


def _tracking(
    label: str,
    cast: _Cast,
    use: _Use,
    arguments: Mapping[str, Any],
    seed: int,
    trained: Job | None,
    sources: Sources,
) -> Job:
    """use: of the data that is tracked."""
    modules = [cast.family.module, *use.modules, "trackers.evaluation.lanes", "trackers.evaluation.archive"]
    if use.sight is not None:
        modules.append(extractors.find(use.sight.extractor.kind).module)
    return Job(
        "track",
        label,
        {
            **cast.arguments,
            "test": use.argument,
            "seed": seed if cast.family.stochastic else 0,
            **arguments,
        },
        {} if trained is None else {"weights": trained},
        use.data(sources) | _weights(use.sight, sources),
        sources.code([*modules, "orchestrator.work"]),
        sources.resources(cast.variant, "track"),
    )


def _speed(label: str, cast: _Cast, use: _Use, trained: Job | None, sources: Sources) -> Job:
    """use: of the data that is tracked; what an extractor saw of it before does not count."""
    modules = [cast.family.module, *use.modules, "trackers.evaluation.speed"]
    if use.sight is not None:
        modules.append(extractors.find(use.sight.extractor.kind).module)
    unseen = replace(use, sight=None)
    return Job(
        "speed",
        label,
        {**cast.arguments, "test": unseen.argument},
        {} if trained is None else {"weights": trained},
        unseen.data(sources) | _weights(use.sight, sources),
        sources.code([*modules, "orchestrator.work"]),
        sources.resources(cast.variant, "speed", "track", alone=True),
    )


@dataclass(frozen=True)
class _Sight:
    """Through what a tracker sees."""

    extractor: Extractor
    params: Params

    def cache(self, dataset: Dataset) -> str:
        """The name of the cache of what it saw in this data set."""
        name = self.params.cache(self.extractor.name, dataset)
        assert name is not None, f"{self.extractor.name}-{dataset.name}: a cache is missing, which params checks"
        return name


@dataclass(frozen=True)
class _Use:
    """A data set as a job reads it.

    part: of its sequences, those tested in a fold, or (side "train") all others; see `_Fold.part`. sight: through
    what it was seen. What follows from these is found once, and shared by all jobs that read it.
    """

    dataset: Dataset
    side: Literal["train", "test"]
    part: Mapping[str, Any] | None = None
    sight: _Sight | None = None

    @cached_property
    def argument(self) -> dict[str, Any]:
        """As an argument of a job."""
        dataset = self.dataset
        settings = dataclasses.asdict(dataset.config)
        argument: dict[str, Any] = {"name": dataset.name, "format": dataset.format, "settings": settings}
        if dataset.clip is not None:
            argument["clip"] = dataset.clip
        if dataset.groups and self.side == "test":
            argument["groups"] = {group: list(members) for group, members in dataset.groups.items()}
        if self.part is not None:
            argument["part"] = {**self.part, "side": self.side}
        if self.sight is not None:
            argument["features"] = FEATURES + self.cache
        return argument

    @cached_property
    def cache(self) -> str:
        """The name of the cache of what was seen in it; only where it has a sight."""
        assert self.sight is not None
        return self.sight.cache(self.dataset)

    @cached_property
    def whole(self) -> _Use:
        """All its sequences."""
        return self if self.part is None else replace(self, part=None)

    @property
    def modules(self) -> list[str]:
        """Those by which its sequences are read, clipped and split, and what was seen in them is read."""
        return [
            dataset_module(self.dataset.format).__name__,
            *(["trackers.evaluation.clips"] if self.dataset.clip is not None else []),
            *(["trackers.evaluation.folds", "orchestrator.parts"] if self.part is not None else []),
            *(["trackers.features", "trackers.evaluation.missed"] if self.sight is not None else []),
        ]

    def data(self, sources: Sources) -> dict[str, Data]:
        """What a job reads of it, by name."""
        data = {self.dataset.name: sources.data(self.dataset.root)}
        if self.sight is not None:
            data[FEATURES + self.cache] = sources.data(sources.features / self.cache)
        return data


def _settings(config: Any, step: Step | None = None) -> dict[str, Any]:
    """All settings, or those that this step of a training depends on."""
    if step is not None and step.settings is not None:
        config = type(config)(**{name: getattr(config, name) for name in step.settings})
    return dataclasses.asdict(config)


def _extractor(extractor: Extractor) -> dict[str, Any]:
    return {
        "kind": extractor.kind,
        "settings": _settings(extractor.config),
        "weights": WEIGHTS + extractor.name,
    }


def _weights(sight: _Sight | None, sources: Sources) -> dict[str, Data]:
    """What an extractor has learnt, by a name that no data set has."""
    if sight is None:
        return {}
    name = sight.extractor.name
    return {WEIGHTS + name: sources.data(sources.extractors / name)}
