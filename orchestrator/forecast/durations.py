"""How long jobs will take, by what such jobs took before: the same, else the most alike, else a guess.

Seconds are kept at pace 1 (`orchestrator.pace`): what a node of pace 2 did in 5 seconds counts as 10. Alike are jobs
of the same kind, family and step or protocol on the same data, else on any data, else of the same family, else of the
same kind; among those, the ones that differ in the fewest settings. What took a different number of updates, or of
frames, is scaled by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

from orchestrator.jobs import Job, digest
from orchestrator.progress import EXPECTED
from orchestrator.store import MANIFEST, Store, as_manifest

Basis = Literal["own history", "alike", "calibration", "guess"]
Leaf = tuple[str, Any]
APART = frozenset({"seed", "pictures", "groups", "features"})  # arguments that say nothing of how long a job takes
FOLD = frozenset({"fold", "seed"})  # nor which of the folds it is
COMPARED = 32  # of alike jobs, the newest, are looked at
LEAST = 0.01  # seconds


@dataclass(frozen=True)
class Kind:
    """What a job is like. step: of a training; protocol of a tracking.

    data: what it reads. leaves: its arguments, as far as they matter, each (path, value). updates: of its trainings, by
    path: number of updates x size of batch.
    """

    kind: str
    family: str
    step: str
    data: str
    leaves: frozenset[Leaf]
    updates: tuple[tuple[str, float], ...] = ()

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """By what jobs are alike, the most first."""
        return (
            (self.kind, self.family, self.step, self.data),
            (self.kind, self.family, self.step),
            (self.kind, self.family),
            (self.kind,),
        )

    @property
    def play(self) -> tuple[Any, ...]:
        """What decides how many frames a tracking job plays."""
        return (self.step, self.data, *sorted(leaf for leaf in self.leaves if leaf[0] in ("clips", "repetitions")))


@dataclass(frozen=True)
class Sample:
    """One job that was done. name: of its label, see `named`. seconds: at pace 1. The rest: a manifest's facts."""

    name: str
    kind: Kind
    seconds: float
    frames: int | None = None
    memory: int | None = None
    gpu_memory: int | None = None
    bytes: int | None = None
    calibrated: bool = False


@dataclass(frozen=True)
class Estimate:
    """What a job is expected to take. seconds: at pace 1. bytes: of its results. 0 where nobody knows."""

    seconds: float
    basis: Basis
    memory: int = 0
    gpu_memory: int = 0
    bytes: int = 0


@dataclass
class History:
    """All that is known of jobs that were done. pace: of the node that is meant where a record says none.

    paces: by host, those that were measured there. beside: seconds that jobs took besides a worker's own.
    """

    pace: float = 1.0
    samples: list[Sample] = field(default_factory=list)
    paces: dict[str, float] = field(default_factory=dict)
    beside: float = 0.0
    _own: dict[str, Sample] = field(default_factory=dict)
    _alike: dict[tuple[str, ...], dict[Kind, list[Sample]]] = field(default_factory=dict)
    _frames: dict[tuple[Any, ...], int] = field(default_factory=dict)
    _known: dict[Kind, Estimate] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, pace: float | None = None) -> History:
        """What the store remembers. pace: where a record says none; default: as most records have it, else 1."""
        records = _records(store)
        measured: dict[str, list[float]] = {}
        for _, _, facts in records:
            if facts.get("pace"):
                measured.setdefault(facts.get("host", ""), []).append(facts["pace"])
        paces = {host: median(found) for host, found in measured.items()}
        usual = median([value for found in measured.values() for value in found]) if measured else 1.0
        apart = [facts["seconds"] - facts["worked"] for _, _, facts in records if "worked" in facts]
        history = cls(usual if pace is None else pace, [], paces, max(median(apart), 0.0) if apart else 0.0)
        for name, identity, facts in records:
            # A host's usual pace: single measurements are noisy.
            by = paces.get(facts.get("host", "")) or history.pace
            history.add(
                Sample(
                    name,
                    kind(identity["kind"], identity["arguments"]),
                    facts.get("worked", facts["seconds"]) * by,
                    facts.get("frames"),
                    facts.get("memory"),
                    facts.get("gpu_memory"),
                    facts.get("bytes"),
                )
            )
        return history

    def add(self, sample: Sample) -> None:
        """Learn of one more."""
        self.samples.append(sample)
        if not sample.calibrated:
            self._own[sample.name] = sample
        if sample.frames:
            self._frames[sample.kind.play] = sample.frames
        for level in sample.kind.levels:
            self._alike.setdefault(level, {}).setdefault(sample.kind, []).append(sample)
        self._known.clear()

    def estimate(self, job: Job) -> Estimate:
        """What this job will take."""
        this = kind(job.kind, job.arguments)
        own = self._own.get(named(job.label))
        if own is not None and own.kind == this:
            return Estimate(own.seconds, "own history", own.memory or 0, own.gpu_memory or 0, own.bytes or 0)
        if this not in self._known:
            self._known[this] = self._by_others(this)
        return self._known[this]

    def _by_others(self, this: Kind) -> Estimate:
        for level in this.levels:
            known = self._alike.get(level, {})
            if this in known:
                return self._mean(this, known[this])
            others = [other for other in list(known)[-COMPARED:] if _compares(other, this)]
            if others:
                apart = {other: len(this.leaves ^ other.leaves) for other in others}
                nearest = [other for other in others if apart[other] == min(apart.values())]
                found = self._mean(this, [sample for other in nearest for sample in known[other]])
                return found if len(level) > 1 else replace(found, basis="guess")  # of another family
        return Estimate(EXPECTED[this.kind] * self.pace, "guess")

    def _mean(self, this: Kind, samples: Sequence[Sample]) -> Estimate:
        done = [sample for sample in samples if not sample.calibrated] or samples
        frames = self._frames.get(this.play) if this.kind == "track" else None

        def scaled(sample: Sample) -> float:
            factor = _more_updates(sample.kind, this)
            if frames and sample.frames:
                factor *= frames / sample.frames
            return max(sample.seconds * factor, LEAST)

        def mean(name: str) -> int:
            found = [value for sample in done if (value := getattr(sample, name)) is not None]
            return round(fmean(found)) if found else 0

        basis: Basis = "calibration" if all(sample.calibrated for sample in done) else "alike"
        seconds = fmean(map(scaled, done))
        return Estimate(seconds, basis, mean("memory"), mean("gpu_memory"), mean("bytes"))

    def count_frames(self, job: Job, frames: int) -> None:
        """Say how many frames a tracking job plays."""
        self._frames[kind(job.kind, job.arguments).play] = frames
        self._known.clear()


def expected(jobs: Iterable[Job], store: Store) -> dict[str, float]:
    """Seconds that each of these jobs will take on a node of usual pace, by key: cheap, and nothing is measured."""
    history = History.of(store)
    return {job.key: history.estimate(job).seconds / history.pace for job in jobs}


def kind(name: str, arguments: Mapping[str, Any]) -> Kind:
    """What a job of this kind with these arguments is like."""
    return _kind(name, json.dumps({key: value for key, value in arguments.items() if key not in APART}))


@lru_cache(maxsize=4096)  # the arguments are texts of kB
def _kind(name: str, arguments: str) -> Kind:
    """Jobs of all seeds share one."""
    given = _plain(json.loads(arguments))
    data = [use for use in (given.get("test"), given.get("dataset"), *given.get("train", {}).values()) if use]
    extractor = given.get("extractor")
    family = given.get("family") or given.get("kind") or (extractor["kind"] if extractor else "")
    step = given.get("step") or given.get("protocol") or ""
    updates = tuple(sorted(_updates(given, "")))
    return Kind(name, family, step, json.dumps(data, sort_keys=True), frozenset(_leaves(given, "")), updates)


def _plain(value: Any) -> Any:
    """Without what says nothing of how long a job takes: of all folds that is the same."""
    if not isinstance(value, dict):
        return value
    return {
        name: {key: one for key, one in part.items() if key not in FOLD} if name == "part" else _plain(part)
        for name, part in value.items()
        if name not in ("groups", "features")
    }


def _leaves(value: Any, path: str) -> Iterator[Leaf]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, f"{path}.{name}" if path else name)
    else:
        yield path, json.dumps(value) if isinstance(value, list) else value


def _updates(value: Any, path: str) -> Iterator[tuple[str, float]]:
    """Of each `trackers.training.Training` among the settings."""
    if not isinstance(value, dict):
        return
    if value.keys() >= {"epochs", "updates_per_epoch"}:
        yield path, float(value["epochs"] * value["updates_per_epoch"] * value.get("batch", 1))
    for name, part in value.items():
        yield from _updates(part, f"{path}.{name}")


def _differing(old: Kind, new: Kind) -> tuple[float, float]:
    """Updates of those trainings that are not as long in both."""
    before, now = dict(old.updates), dict(new.updates)
    paths = [path for path in before if path in now and before[path] != now[path]]
    return sum(before[path] for path in paths), sum(now[path] for path in paths)


def _compares(old: Kind, new: Kind) -> bool:
    """Whether one tells of the other: who did not train at all knows nothing of how long training takes."""
    if old.kind != "train" or old.step != new.step:
        return True
    before, now = _differing(old, new)
    return before > 0 or now == 0


def _more_updates(old: Kind, new: Kind) -> float:
    if old.kind != "train" or old.step != new.step:
        return 1.0
    before, now = _differing(old, new)
    return now / before if before else 1.0


def _records(store: Store) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """(named(label), identity, facts) of the last finished job of each label, the oldest first.

    What stores of earlier versions remember so says not what jobs took: then the manifests of all jobs are read.
    """
    known: dict[str, tuple[float, Mapping[str, Any], Mapping[str, Any]]] = {}
    old = False
    for path in (store.root / "last").glob("*.json"):
        last = as_manifest(_json(path))
        if "seconds" in last:
            known[path.stem] = path.stat().st_mtime, last["identity"], last
        else:
            old = True
    earlier: dict[str, tuple[float, Mapping[str, Any], Mapping[str, Any]]] = {}
    for path in (store.root / "done").glob(f"*/*/{MANIFEST}") if old else ():
        manifest = _json(path)
        name = named(manifest.get("label", ""))
        if "seconds" in manifest and name not in known and manifest["finished"] > earlier.get(name, (0.0,))[0]:
            facts = {"bytes": _size(path.parent, manifest["files"]), **manifest}
            earlier[name] = manifest["finished"], manifest["identity"], facts
    rows = sorted((known | earlier).items(), key=lambda row: row[1][0])
    return [(name, identity, facts) for name, (_, identity, facts) in rows]


def named(label: str) -> str:
    """What stands for a label in the names of the store's files."""
    return digest(label)[:24]


def _json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _size(folder: Path, names: Iterable[str]) -> int:
    return sum((folder / name).stat().st_size for name in names if (folder / name).exists())
