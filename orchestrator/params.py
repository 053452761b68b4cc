"""params.yaml -> typed settings; every problem found is named with its line, all of them at once.

The settings of families and data sets are their own frozen dataclasses (`Config`), which know
nothing of files. The check walks their annotations here, with no library beyond the YAML reader,
because a bare GPU machine has no more; a params.json is read without even that.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from orchestrator import search_space
from orchestrator.search_space import Search
from trackers import extractors, families
from trackers.benchmarks import catalogue
from trackers.evaluation.measure import Convention
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.protocols import CLIPS, PROTOCOLS, REPETITIONS
from trackers.training import Step

T = TypeVar("T")
Where = tuple[str | int, ...]
PROFILES = Path(__file__).parent / "profiles"
KINDS = ("train", "track", "speed")  # of jobs whose resources a tracker may name
# What stands where an experiment names no benchmark.
OWN = catalogue.Benchmark("own", (), "", None, measures=("average_overlap",), convention="trackmeet")


class ParamsError(ValueError):
    """What is wrong with the parameters: one line a problem."""


@dataclass(frozen=True)
class Dataset:
    """One data set as configured.

    format: the reader, a module of trackers.benchmarks. root: its folder. config: the reader's own. clip:
    where given, every sequence is made so many frames long, see `trackers.evaluation.clips.clip`.
    groups: names of sequences by the name of a group; it becomes an attribute of each of them.
    """

    name: str
    format: str
    root: Path
    config: Any
    clip: int | None = None
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def parts_of_one(one: Dataset, other: Dataset) -> bool:
    """Whether sequences of one name are the same in both: what is recorded, of one format and in one folder.

    They may differ in which sequences they have, in how long these are made, and in how they are annotated.
    Generated sequences are the same in no other data set.
    """
    if one.name == other.name:
        return True
    recorded = hasattr(dataset_module(one.format), "read")
    return recorded and (one.format, one.root) == (other.format, other.root)


@dataclass(frozen=True)
class Needs:
    """What jobs of a tracker take of a machine, which changes no result; what is not said is the run's own.

    cpus: cores, and threads. gpus: a share below 1, or one. memory: GB of the node. processes: how many do a
    training step together, data-parallel, each with all this; `gpus: 4` means four processes with one GPU each.
    """

    cpus: int | None = None
    gpus: float | None = None
    memory: float | None = None
    processes: int = 1

    def __post_init__(self) -> None:
        if self.cpus is not None and self.cpus < 1:
            raise ValueError(f"cpus: expected at least 1, got {self.cpus}")
        if self.gpus is not None and not (0 <= self.gpus <= 1 or (self.gpus > 1 and self.gpus.is_integer())):
            raise ValueError(f"gpus: expected a share from 0 to 1, or a whole number, got {self.gpus:g}")
        if self.memory is not None and self.memory < 0:
            raise ValueError(f"memory: expected GB, at least 0, got {self.memory:g}")
        if self.processes < 1:
            raise ValueError(f"processes: expected at least 1, got {self.processes}")
        if self.gpus is not None and self.gpus > 1:
            if self.processes > 1:
                raise ValueError("gpus: expected at most 1 for each of several processes")
            object.__setattr__(self, "processes", int(self.gpus))
            object.__setattr__(self, "gpus", 1.0)


@dataclass(frozen=True)
class Variant:
    """One tracker of a study. family: see `trackers.families.find`. config: the family's own.

    resources: what its jobs take, by the name of a training step or the kind of job ("train", "track", "speed").
    search: which other settings `trackmeet tune` tries.
    """

    name: str
    family: str
    config: Any
    resources: Mapping[str, Needs] = field(default_factory=dict)
    search: Search | None = None


@dataclass(frozen=True)
class Extractor:
    """What some trackers see through. kind: see `trackers.extractors.find`. config: its own.

    train: names of its training data, by the role that each plays; {} where its weights come from a file.
    """

    name: str
    kind: str
    config: Any
    train: Mapping[str, str]
    seed: int = 1


@dataclass(frozen=True)
class Pictures:
    """What the report shows of each data set under the first protocol.

    sequences: how many, the first of it; or their names. frames: of each, counted from the start of its first run.
    """

    sequences: int | tuple[str, ...] = 2
    frames: tuple[int, ...] = (1, 4, 7, 10, 13, 16, 19)

    def __post_init__(self) -> None:
        if isinstance(self.sequences, int) and self.sequences < 0:
            raise ValueError(f"sequences: expected at least 0, or names, got {self.sequences}")
        if self.frames and min(self.frames) < 0:
            raise ValueError(f"frames: expected numbers from 0 on, got {min(self.frames)}")


@dataclass(frozen=True)
class Experiment:
    """One comparison: what trackers are trained on, and how they are then tested.

    test: names of data sets. train: the name of one, or of several by the role that each plays in training;
    None where all that is tested here comes ready.
    folds: where more than 1, the tested data sets are split into so many parts by sequence, drawn by
    `fold_seed`, and each part is tracked by what was trained on the others: cross-validation. What is tested is
    among the training data, or another part of the same (`parts_of_one`): the split is drawn over the names of
    the first training data set of these, so that a sequence is in one fold, whatever data sets it stands in. A
    sequence that is tested must have such a name; one that is only trained on is in a fold all the same, and
    left out of that one's training.
    benchmark: a name in `trackers.benchmarks.catalogue`, whose settings stand where those that follow are
    not given. protocols (("one_pass",) else), measures (("average_overlap",)): by name; each measure is
    taken under those protocols that it knows. convention ("trackmeet"): whose definition of the measures,
    see `trackers.evaluation.measure`. interval: from which length to which EAO is averaged (else by the
    rule, from the lengths of the sequences). legacy_rasterization: see `trackers.evaluation.results.Results`.
    clips: how many of each sequence are played under `random_clips`.
    repetitions: how often a stochastic tracker runs through each sequence under `supervised_reset`. VOT says 15; means
    of fewer runs are noisier than what others publish, and comparable with it only as far as that noise allows.
    pictures: what the report shows; sequences that are named must be in each data set that is tested.
    speed: whether to measure frames per second as well, each tracker alone on its node; or of which trackers.
    trackers: of the study's, those that take part; (): all.
    """

    test: tuple[str, ...]
    train: str | dict[str, str] | None = None
    folds: int = 1
    fold_seed: int = 0
    benchmark: str | None = None
    protocols: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    convention: Convention | None = None
    interval: tuple[int, ...] | None = None
    legacy_rasterization: bool | None = None
    clips: int = CLIPS
    repetitions: int = REPETITIONS
    pictures: Pictures = Pictures()
    speed: bool | tuple[str, ...] = False
    trackers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known = OWN if self.benchmark is None else catalogue.find(self.benchmark)
        for name, usual in (
            ("measures", known.measures),
            ("convention", known.convention),
            ("interval", known.eao),
            ("legacy_rasterization", known.legacy_rasterization),
        ):
            if getattr(self, name) in (None, ()):
                object.__setattr__(self, name, usual)
        if not self.protocols:  # of the benchmark's, those under which anything is measured
            measures = [MEASURES[name] for name in self.measures if name in MEASURES]
            defined = {p for measure in measures for p in measure.protocols_of(self.convention or "trackmeet")}
            object.__setattr__(self, "protocols", tuple(p for p in known.protocols if p in defined) or known.protocols)
        self._check()

    def measures_speed(self, tracker: str) -> bool:
        """Whether that of this tracker is to be measured."""
        return self.speed if isinstance(self.speed, bool) else tracker in self.speed

    def has(self, tracker: str) -> bool:
        """Whether this tracker takes part."""
        return not self.trackers or tracker in self.trackers

    @property
    def roles(self) -> Mapping[str, str]:
        """The training data sets by role; one that is named alone has the role "train"."""
        if isinstance(self.train, str):
            return {"train": self.train}
        return self.train or {}

    @property
    def trained_on(self) -> str | None:
        """The names of the training data sets in one; None where there are none."""
        return " + ".join(self.roles.values()) or None

    def _check(self) -> None:
        if not self.test:
            raise ValueError("test: expected at least one data set, got none")
        if self.folds < 1:
            raise ValueError(f"folds: expected at least 1, got {self.folds}")
        if self.clips < 1:
            raise ValueError(f"clips: expected at least 1, got {self.clips}")
        if self.repetitions < 1:
            raise ValueError(f"repetitions: expected at least 1, got {self.repetitions}")
        if self.interval is not None and not (len(self.interval) == 2 and 1 <= self.interval[0] <= self.interval[1]):
            raise ValueError(f"interval: expected two lengths in frames, from and to, got {list(self.interval)}")
        if self.folds > 1 and "eao" in self.measures and self.interval is None:
            raise ValueError("interval: expected one for EAO in folds, each of which knows its own sequences alone")
        for name in self.protocols:
            if name not in PROTOCOLS:
                raise ValueError(f"protocols: expected some of {', '.join(PROTOCOLS)}, got {name!r}")
        for name in self.measures:
            self.check_measure(name)

    def check_measure(self, name: str) -> None:
        """ValueError unless this measure means something under this convention and one of these protocols."""
        if name not in MEASURES:
            raise ValueError(f"measures: expected some of {', '.join(MEASURES)}, got {name!r}")
        assert self.convention is not None  # it has a usual value
        protocols = MEASURES[name].protocols_of(self.convention)
        if not protocols:
            known = ", ".join(MEASURES[name].conventions)
            raise ValueError(f"convention: {name} is defined by {known}; got {self.convention!r}")
        if not set(protocols) & set(self.protocols):
            raise ValueError(
                f"measures: {name} means something under {', '.join(protocols)} in convention {self.convention}; "
                f"the protocols here are {', '.join(self.protocols)}"
            )


@dataclass(frozen=True)
class Study:
    """What one paper compares. lengths: in frames; scores are given for each such beginning of a sequence."""

    name: str
    experiments: tuple[Experiment, ...]
    trackers: tuple[Variant, ...]
    lengths: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Report:
    """How much of the videos the report has, which changes no number in it.

    frames: of each sequence, spread evenly; of shorter ones all, of longer ones also those in which trackers failed or
    were worst. side: at most so many pixels wide and high. sequences: of how many of each data set; None: of all.
    """

    frames: int = 120
    side: int = 320
    sequences: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("frames", 2), ("side", 16), ("sequences", 0)):
            given = getattr(self, name)
            if given is not None and given < least:
                raise ValueError(f"{name}: expected at least {least}, got {given}")


@dataclass(frozen=True)
class Params:
    """What runs. features: names of the caches of what extractors see, each `<extractor>-<data set>`."""

    profile: str
    datasets: Mapping[str, Dataset]
    studies: tuple[Study, ...]
    extractors: Mapping[str, Extractor] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    report: Report = Report()

    def seen(self, cache: str) -> tuple[Extractor, Dataset]:
        """Who sees what in a cache; KeyError for a name that is not one of `features`."""
        return _seen(cache, self.extractors, self.datasets)

    def cache(self, extractor: str, dataset: Dataset) -> str | None:
        """The name of the cache of what an extractor sees in a data set: its own, or one of another part of the same.

        Data sets of one format in one folder count as that. None where there is no such cache.
        """
        own = f"{extractor}-{dataset.name}"
        for name in sorted(self.features, key=lambda name: name != own):
            by, of = self.seen(name)
            if by.name == extractor and (of.format, of.root) == (dataset.format, dataset.root):
                return name
        return None


@dataclass(frozen=True)
class _StudyFile:
    """A study as it stands in the file; names and families are resolved afterwards."""

    experiments: tuple[Experiment, ...]
    trackers: dict[str, dict[str, Any]]
    lengths: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class _File:
    studies: dict[str, _StudyFile]
    datasets: dict[str, dict[str, Any]]
    profile: str = "custom"
    sequences: tuple[str, ...] = ()  # folders of data/ that the DVC stage `sequences` packs
    extractors: dict[str, dict[str, Any]] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    report: Report = Report()


@dataclass
class _Problems:
    """Collects what is wrong, each with file, line and field."""

    file: str
    lines: Mapping[Where, int]
    found: list[str] = field(default_factory=list)

    def say(self, where: Where, what: str) -> None:
        known = where
        while known and known not in self.lines:
            known = known[:-1]
        line = f":{self.lines[known]}" if known in self.lines else ""
        self.found.append(f"{self.file}{line}: {'.'.join(map(str, where)) or 'file'}: {what}")


def load(path: Path) -> Params:
    """Read params.yaml (or .json). Raises ParamsError that lists everything wrong with it."""
    if not path.exists():
        raise ParamsError(f"{path}: no such file; expected the parameters of a study ('trackmeet params sample')")
    data, lines = _read(path)
    problems = _Problems(str(path), lines)
    raw = _convert(data, _File, (), problems)
    if raw is not None:
        read = {name: _dataset(name, entry, problems) for name, entry in raw.datasets.items()}
        datasets = {name: dataset for name, dataset in read.items() if dataset is not None}
        named = [_extractor(name, entry, raw, problems) for name, entry in raw.extractors.items()]
        known = {extractor.name: extractor for extractor in named if extractor is not None}
        for i, cache in enumerate(raw.features):
            if not _is_cache(cache, raw):
                problems.say(("features", i), f"expected <extractor>-<data set>, of those named here, got {cache!r}")
        studies = tuple(_study(name, entry, raw, datasets, problems) for name, entry in raw.studies.items())
    if problems.found:
        raise ParamsError("\n".join(problems.found))
    assert raw is not None  # else there would be problems
    params = Params(raw.profile, datasets, studies, known, raw.features, raw.report)
    for study in studies:
        _check_sight(study, params, problems)
    if problems.found:
        raise ParamsError("\n".join(problems.found))
    return params


def profiles() -> list[str]:
    """Names of the packaged profiles."""
    return sorted(path.stem for path in PROFILES.glob("*.yaml"))


def build(config_class: type[T], settings: Mapping[str, Any]) -> T:
    """A Config from plain settings, checked like the file's; ParamsError lists what is wrong."""
    problems = _Problems("settings", {})
    config = _convert(dict(settings), config_class, (), problems)
    if problems.found:
        raise ParamsError("\n".join(problems.found))
    return typing.cast(T, config)


def dataset_module(format: str) -> Any:
    """The reader of that name: a module with `Config` and `open`. ValueError if there is none."""
    path = format if "." in format else f"trackers.benchmarks.{format}"
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name is None or not (path == error.name or path.startswith(error.name + ".")):
            raise
        raise ValueError(f"no module {path}; expected the name of a module in trackers/benchmarks") from error


def _dataset(name: str, entry: dict[str, Any], problems: _Problems) -> Dataset | None:
    where: Where = ("datasets", name)
    settings = dict(entry)
    format, root, clip, groups = (settings.pop(key, None) for key in ("format", "root", "clip", "groups"))
    for key, value in (("format", format), ("root", root)):
        if not isinstance(value, str):
            problems.say((*where, key), f"expected a string, got {_shown(value)}")
    if clip is not None and (not isinstance(clip, int) or isinstance(clip, bool) or clip < 1):
        problems.say((*where, "clip"), f"expected a number of frames, at least 1, got {_shown(clip)}")
    if not isinstance(format, str) or not isinstance(root, str):
        return None
    try:
        module = dataset_module(format)
    except ValueError as error:
        problems.say((*where, "format"), str(error))
        return None
    members = _convert(groups or {}, dict[str, tuple[str, ...]], (*where, "groups"), problems)
    return Dataset(name, format, Path(root), _convert(settings, module.Config, where, problems), clip, members)


def _extractor(name: str, entry: dict[str, Any], file: _File, problems: _Problems) -> Extractor | None:
    where: Where = ("extractors", name)
    settings = dict(entry)
    kind, train, seed = settings.pop("kind", None), settings.pop("train", {}), settings.pop("seed", 1)
    if not isinstance(kind, str):
        problems.say((*where, "kind"), f"expected the name of a network, got {_shown(kind)}")
        return None
    try:
        network = extractors.find(kind)
    except ValueError as error:
        problems.say((*where, "kind"), str(error))
        return None
    roles = _convert({"train": train} if isinstance(train, str) else train, dict[str, str], (*where, "train"), problems)
    seed = _convert(seed, int, (*where, "seed"), problems)
    config = _convert(settings, network.Config, where, problems)
    if config is None or roles is None or seed is None:
        return None
    for dataset in roles.values():
        if dataset not in file.datasets:
            problems.say((*where, "train"), f"no data set {dataset!r}; datasets has {', '.join(file.datasets)}")
    read = {role for step in network.steps(config) for role in step.reads}
    if read != roles.keys():
        by = f"by the roles {', '.join(sorted(read))}" if read else "by no role, for nothing is learnt"
        problems.say((*where, "train"), f"expected training data {by}; got {', '.join(roles) or 'none'}")
    return Extractor(name, kind, config, roles, seed)


def _seen(cache: str, by: Mapping[str, T], of: Mapping[str, Any]) -> tuple[T, Any]:
    """What a cache's name means: either part may hold hyphens itself."""
    parts = cache.split("-")
    for i in range(1, len(parts)):
        one, other = "-".join(parts[:i]), "-".join(parts[i:])
        if one in by and other in of:
            return by[one], of[other]
    raise KeyError(cache)


def _is_cache(name: str, file: _File) -> bool:
    try:
        _seen(name, file.extractors, file.datasets)
    except KeyError:
        return False
    return True


def _check_sight(study: Study, params: Params, problems: _Problems) -> None:
    """Whether trackers that see through an extractor have it, and a cache of all data that they work on."""
    for variant in study.trackers:
        family = families.find(variant.family)
        extractor = family.extractor(variant.config)
        if extractor is None:
            continue
        where: Where = ("studies", study.name, "trackers", variant.name)
        if extractor not in params.extractors:
            known = ", ".join(params.extractors) or "none"
            problems.say(where, f"no extractor {extractor!r}; extractors has {known}")
            continue
        read = {role for step in family.steps(variant.config) for role in step.reads}
        for experiment in study.experiments:
            if not experiment.has(variant.name):
                continue
            used = [name for role, name in experiment.roles.items() if role in read]
            for name in dict.fromkeys([*used, *experiment.test]):
                if params.datasets[name].clip is not None:
                    problems.say(where, f"expected data as it was recorded to see in, got {name}, whose clips are cut")
                elif params.cache(extractor, params.datasets[name]) is None:
                    problems.say(where, f"expected {extractor}-{name} among features, got none of that data")


def _study(name: str, entry: _StudyFile, file: _File, datasets: Mapping[str, Dataset], problems: _Problems) -> Study:
    where: Where = ("studies", name)
    tested: set[tuple[str | None, str, str]] = set()
    for i, experiment in enumerate(entry.experiments):
        taking_part = [tracker for tracker in entry.trackers if experiment.has(tracker)]
        own = {(experiment.trained_on, tracker, test) for tracker in taking_part for test in experiment.test}
        for test in sorted({test for *_, test in own & tested}):
            problems.say((*where, "experiments", i), f"{test} is tested in an earlier experiment, too")
        tested |= own
        for dataset in (*experiment.roles.values(), *experiment.test):
            if dataset not in file.datasets:
                problems.say(
                    (*where, "experiments", i), f"no data set {dataset!r}; datasets has {', '.join(file.datasets)}"
                )
    read = [_variant(tracker, settings, where, problems) for tracker, settings in entry.trackers.items()]
    trackers = tuple(variant for variant in read if variant is not None and variant.config is not None)
    _check_folds(where, entry.experiments, datasets, problems)
    _check_roles(where, entry.experiments, trackers, problems)
    _check_own_measures(where, entry.experiments, trackers, problems)
    _check_searches(where, entry.experiments, trackers, datasets, problems)
    for i, experiment in enumerate(entry.experiments):
        timed = () if isinstance(experiment.speed, bool) else experiment.speed
        for key, given in (("speed", timed), ("trackers", experiment.trackers)):
            for strange in sorted(set(given) - entry.trackers.keys()):
                problems.say((*where, "experiments", i, key), f"no tracker {strange!r}; expected some of the study's")
    return Study(name, entry.experiments, trackers, entry.lengths, entry.seeds)


def _check_folds(
    study: Where, experiments: tuple[Experiment, ...], datasets: Mapping[str, Dataset], problems: _Problems
) -> None:
    """Whether what is tested in folds is trained on in the others, and training data is split in one way only."""
    splits: dict[str, tuple[int, int]] = {}
    for i, experiment in enumerate(experiments):
        names = (*experiment.roles.values(), *experiment.test)
        if experiment.folds == 1 or experiment.trained_on is None or not datasets.keys() >= set(names):
            continue
        train = [datasets[name] for name in experiment.roles.values()]
        strange = [t for t in experiment.test if not any(parts_of_one(datasets[t], other) for other in train)]
        if strange:
            problems.say(
                (*study, "experiments", i),
                f"folds: expected what is tested to be among the training data, {experiment.trained_on}, "
                f"got {', '.join(strange)}, which is no other part of it",
            )
        split = experiment.folds, experiment.fold_seed
        if splits.setdefault(experiment.trained_on, split) != split:
            before = splits[experiment.trained_on]
            problems.say(
                (*study, "experiments", i),
                f"folds: expected {before[0]} folds drawn by seed {before[1]}, as {experiment.trained_on} is split in "
                f"an earlier experiment, got {split[0]} by seed {split[1]}",
            )


def _check_roles(
    study: Where, experiments: tuple[Experiment, ...], trackers: tuple[Variant, ...], problems: _Problems
) -> None:
    """Whether each experiment that trains has the data that each tracker's training reads."""
    for i, experiment in enumerate(experiments):
        for variant in (t for t in trackers if experiment.has(t.name)) if experiment.roles else ():
            read = {role for step in families.find(variant.family).steps(variant.config) for role in step.reads}
            if not read <= experiment.roles.keys():
                problems.say(
                    (*study, "experiments", i, "train"),
                    f"expected training data by the roles that {variant.name} reads, {', '.join(sorted(read))}; "
                    f"got {', '.join(experiment.roles)}",
                )


def _check_own_measures(
    study: Where, experiments: tuple[Experiment, ...], trackers: tuple[Variant, ...], problems: _Problems
) -> None:
    """Whether each experiment can judge its trackers by the measures of their own."""
    for i, experiment in enumerate(experiments):
        for variant in (t for t in trackers if experiment.has(t.name)):
            for measure in families.find(variant.family).measures(variant.config):
                try:
                    experiment.check_measure(measure)
                except ValueError as error:
                    problems.say((*study, "experiments", i), f"{variant.name} is judged by {measure}; {error}")


def _check_searches(
    study: Where,
    experiments: tuple[Experiment, ...],
    trackers: tuple[Variant, ...],
    datasets: Mapping[str, Dataset],
    problems: _Problems,
) -> None:
    """Whether each search has an experiment to go by, and data to judge by."""
    for variant in trackers:
        if variant.search is None:
            continue
        taking_part = [experiment for experiment in experiments if experiment.has(variant.name)]
        where = (*study, "trackers", variant.name, "search")
        if not taking_part:
            problems.say(where, "expected a tracker that an experiment tests, got one of none")
        elif datasets.keys() >= set(taking_part[0].roles.values()):
            try:
                validates(variant.search, taking_part[0], datasets)
            except ValueError as error:
                problems.say(where, str(error))


def _variant(name: str, entry: dict[str, Any], study: Where, problems: _Problems) -> Variant | None:
    where = (*study, "trackers", name)
    settings = dict(entry)
    family_name, resources = settings.pop("family", None), settings.pop("resources", {})
    searched = settings.pop("search", None)
    if not isinstance(family_name, str):
        problems.say((*where, "family"), f"expected the name of a family or module:Class, got {_shown(family_name)}")
        return None
    try:
        family = families.find(family_name)
    except ValueError as error:
        problems.say((*where, "family"), str(error))
        return None
    needs = _convert(resources, dict[str, Needs], (*where, "resources"), problems)
    config = _convert(settings, family.Config, where, problems)
    if needs and config is not None:
        _check_needs(needs, family.steps(config), (*where, "resources"), problems)
    search = None if searched is None else _search(searched, family, config, (*where, "search"), problems)
    return Variant(name, family_name, config, needs or {}, search)


def _search(entry: Any, family: families.Family, config: Any, where: Where, problems: _Problems) -> Search | None:
    """What a tracker's search says, whose every value its family must take."""
    search: Search | None = _convert(entry, Search, where, problems)
    if search is None or config is None:
        return search

    def refusal(settings: dict[str, Any]) -> str | None:
        found = _Problems("settings", {})
        _convert(settings, family.Config, (), found)
        return "; ".join(found.found) or None

    for place, text in search_space.problems(search, config, refusal):
        problems.say((*where, *place), text)
    return search


def validates(search: Search, experiment: Experiment, datasets: Mapping[str, Dataset]) -> Dataset:
    """The data set that a search's candidates are judged on. ValueError where there is none that can be split."""
    known = [search.validation] if search.validation is not None else list(experiment.roles.values())
    for name in known:
        if name not in datasets:
            raise ValueError(f"validation: no data set {name!r}; datasets has {', '.join(datasets)}")
        dataset = datasets[name]
        chosen = getattr(dataset.config, "sequences", None)
        if hasattr(dataset_module(dataset.format), "read") and isinstance(chosen, tuple):
            return dataset
    raise ValueError(
        "validation: expected a data set of recorded sequences, whose reader has a setting `sequences` that chooses "
        f"some, got {', '.join(known) or 'none to train on, and none named'}"
    )


def _check_needs(needs: Mapping[str, Needs], steps: list[Step], where: Where, problems: _Problems) -> None:
    """Whether resources are of jobs that there are, and several processes are for steps that can be shared."""
    shared = {step.name: step.parallel for step in steps}
    for name, need in needs.items():
        if name not in (*KINDS, *shared):
            problems.say((*where, name), f"expected one of {', '.join((*KINDS, *shared))}")
        can = any(shared.values()) if name == "train" else shared.get(name, False)
        if need.processes > 1 and not can:
            problems.say(
                (*where, name),
                f"expected one process, for {name} cannot be shared by {need.processes}; steps that can: "
                f"{', '.join(step for step, parallel in shared.items() if parallel) or 'none'}",
            )


# Reading: plain data, and the line on which each part of it stands.


def _read(path: Path) -> tuple[Any, dict[Where, int]]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        try:
            return json.loads(text), {}
        except json.JSONDecodeError as error:
            raise ParamsError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise ParamsError(f"{path}: reading YAML takes the package pyyaml; a .json file is read without it") from error
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            lines: dict[Where, int] = {}
            if root is not None:
                _number_lines(loader, root, (), lines)
            return (loader.construct_document(root) if root is not None else None), lines
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ParamsError(f"{path}:{line}: not YAML: {error.problem}") from error


def _number_lines(loader: Any, node: Any, where: Where, lines: dict[Where, int]) -> None:
    lines[where] = node.start_mark.line + 1
    if node.id == "mapping":
        loader.flatten_mapping(node)  # resolves `<<: *anchor`
        for key, value in node.value:
            name = loader.construct_object(key)
            _number_lines(loader, value, (*where, name), lines)
            lines[(*where, name)] = key.start_mark.line + 1
    elif node.id == "sequence":
        for i, value in enumerate(node.value):
            _number_lines(loader, value, (*where, i), lines)


# Checking: plain data against an annotation. Returns None where a problem was said.

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def _convert(value: Any, kind: Any, where: Where, problems: _Problems) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _convert_dataclass(value, kind, where, problems)
    if origin is Literal:
        if value in typing.get_args(kind):
            return value
        choices = ", ".join(repr(choice) for choice in typing.get_args(kind))
        return problems.say(where, f"expected one of {choices}, got {_shown(value)}")
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, kind, where, problems)
    if origin in (list, tuple):
        item = typing.get_args(kind)[0]
        if not isinstance(value, list | tuple):
            return problems.say(where, f"expected a list, got {_shown(value)}")
        return origin(_convert(part, item, (*where, i), problems) for i, part in enumerate(value))
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            return problems.say(where, f"expected a mapping, got {_shown(value)}")
        item = typing.get_args(kind)[1]
        return {str(name): _convert(part, item, (*where, name), problems) for name, part in value.items()}
    return _convert_scalar(value, kind, where, problems)


def _convert_dataclass(value: Any, kind: Any, where: Where, problems: _Problems) -> Any:
    if not isinstance(value, dict):
        return problems.say(where, f"expected settings (a mapping), got {_shown(value)}")
    before = len(problems.found)
    hints = _hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in value:
        if name not in fields:
            problems.say((*where, name), f"unknown key; expected one of {', '.join(fields)}")
    for name, f in fields.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and name not in value:
            problems.say(where, f"the key {name!r} is missing")
    given = {
        name: _convert(part, hints[name], (*where, name), problems) for name, part in value.items() if name in fields
    }
    if len(problems.found) > before:
        return None
    try:
        return kind(**given)
    except ValueError as error:
        return problems.say(where, str(error))


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _convert_union(value: Any, kind: Any, where: Where, problems: _Problems) -> Any:
    options = typing.get_args(kind)
    if value is None and types.NoneType in options:
        return None
    wanted = [option for option in options if option is not types.NoneType]
    if len(wanted) == 1:
        return _convert(value, wanted[0], where, problems)
    for option in wanted:
        trial = _Problems(problems.file, problems.lines)
        converted = _convert(value, option, where, trial)
        if not trial.found:
            return converted
    names = " or ".join(getattr(option, "__name__", str(option)) for option in options)
    return problems.say(where, f"expected {names}, got {_shown(value)}")


def _convert_scalar(value: Any, kind: Any, where: Where, problems: _Problems) -> Any:
    if kind is float and isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)  # YAML 1.1 takes 1e-4, which has no dot, for a word
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if math.isnan(value):
            return problems.say(where, "expected a number, got nan")
        return float(value)
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    return problems.say(where, f"expected {kind.__name__}, got {_shown(value)}")


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{value!r} ({type(value).__name__})"
