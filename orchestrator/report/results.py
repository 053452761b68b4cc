"""What the trials of a study found, read from what `orchestrator.results` writes:

    <study>/study.json                        profile, data, trackers, benchmarks, lengths, trials
    <study>/<trial>/training.json             curves: {"loss": [[step, value], ...], ...}; none if untrained
    <study>/<trial>/<benchmark>/scores.json   what was measured: one value a sequence, for people to read
    <study>/<trial>/<benchmark>/terms.npz     the same, as terms that can be pooled (trackers.evaluation.scores)
    <study>/<trial>/<benchmark>/speed.json    frames per second, where that was asked for
    <study>/<trial>/<benchmark>/pictures.npz  example frames with regions; what the tracker says of itself, if it does
    <study>/<trial>/<benchmark>/<protocol>/trajectories.npz   the sequences, and how each was followed

A trial that failed or was not run may lack any of its own files; a finished one may not lack its scores.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from orchestrator import score_files
from trackers.evaluation import archive
from trackers.evaluation.results import ALL
from trackers.evaluation.scores import Score

SAID = ("patches", "weights", "contrast")  # by a tracker of an example, if it says so
MASKS = ("masks", "groundtruth_masks")  # of an example, where it has any


class ResultsError(ValueError):
    """Results that cannot be read: which file, what was expected, what came."""


@dataclass(frozen=True)
class Quantity:
    """What is measured: a measure's name, the protocol, the length in frames (None: whole sequences).

    subset: "all", an attribute of sequences or a tag of frames. convention: whose definition.
    """

    measure: str
    protocol: str
    length: int | None
    subset: str = ALL
    convention: str = "trackmeet"


@dataclass(frozen=True)
class Scores:
    """One trial on one benchmark. values: of each quantity, over those of `sequences` in which it counts.

    curves: by the quantity that a curve is named after, the same, with a column for each threshold.
    attributes: the subsets that are of sequences; other subsets are tags of frames.
    """

    sequences: tuple[str, ...]
    values: Mapping[Quantity, Score]
    curves: Mapping[Quantity, Score]
    attributes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Example:
    """A sequence at a few frames (t), whose numbers are `numbers`.

    frames: uint8 (t, height, width, 3) RGB. regions, groundtruth: (t, 4), in pixels of these frames.
    attention: (t, height, width) >= 0, or None where the tracker looks everywhere. masks, groundtruth_masks: bool
    (t, height, width), or None where there are only boxes. memory: by layer (t, cells, h, w); {} where none is shown.
    patches: uint8 (t, K + 1, S, S, 3), those remembered and the chosen one, and weights (t, K) in [-1, 1], by which
    they were recalled; contrast: (t, 2, bins), histograms of correlations over [-1, 1], of positives with positives and
    with negatives. None where the tracker does not say.
    """

    sequence: str
    numbers: tuple[int, ...]
    frames: np.ndarray
    regions: np.ndarray
    groundtruth: np.ndarray
    attention: np.ndarray | None
    masks: np.ndarray | None = None
    groundtruth_masks: np.ndarray | None = None
    memory: Mapping[str, np.ndarray] = field(default_factory=dict)
    patches: np.ndarray | None = None
    weights: np.ndarray | None = None
    contrast: np.ndarray | None = None


@dataclass(frozen=True)
class Trial:
    """One (tracker variant, training data, fold, seed).

    state: "done", "failed", or "missing" where it was not run. folder: where its results lie. caveat: what
    whoever reads its scores must know, a sentence.
    """

    name: str
    key: str
    tracker: str
    train: str | None
    fold: int | None
    seed: int
    state: Literal["done", "failed", "missing"]
    error: str | None
    log: str | None
    benchmarks: tuple[str, ...]
    settings: Mapping[str, Any]
    folder: Path
    folds: int = 1
    fold_seed: int = 0
    caveat: str | None = None

    @property
    def failed(self) -> bool:
        """Whether any of its jobs failed."""
        return self.state == "failed"

    @cached_property
    def scores(self) -> Mapping[str, Scores]:
        """By benchmark; only those that it reached, if it is not done."""
        folders = {benchmark: self.folder / benchmark for benchmark in self.benchmarks}
        reached = {name: f for name, f in folders.items() if (f / "scores.json").exists() or self.state == "done"}
        return {name: _scores(folder) for name, folder in reached.items()}

    @cached_property
    def curves(self) -> Mapping[str, np.ndarray]:
        """Training metrics by name, each (points, 2) of step and value; {} if nothing was trained."""
        path = self.folder / "training.json"
        if not path.exists():
            return {}
        curves = _json(path)
        try:
            return {name: np.array(points, float).reshape(-1, 2) for name, points in curves.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise ResultsError(f"{path}: expected lists of [step, value] by name, got {_shown(curves)}") from error

    @cached_property
    def speeds(self) -> Mapping[str, Mapping[str, Any]]:
        """What was measured of speed, by benchmark; see `trackers.evaluation.speed.Speed`."""
        paths = {benchmark: self.folder / benchmark / "speed.json" for benchmark in self.benchmarks}
        return {name: _json(path) for name, path in paths.items() if path.exists()}

    def frames(self, benchmark: str, protocol: str) -> dict[str, int]:
        """How many each sequence of this benchmark has, as it was tracked; {} where no trajectories were kept."""
        return {sequence.name: len(sequence) for sequence in self.trajectories(benchmark, protocol)[0]}

    def protocols(self, benchmark: str) -> tuple[str, ...]:
        """Those under which trajectories through this benchmark were kept."""
        paths = (self.folder / benchmark).glob("*/trajectories.npz") if benchmark in self.benchmarks else ()
        return tuple(sorted(path.parent.name for path in paths))

    def trajectories(self, benchmark: str, protocol: str) -> archive.Archive:
        """The sequences of this benchmark, without images, and how they were followed; none where that was not kept."""
        path = self.folder / benchmark / protocol / "trajectories.npz"
        if not path.exists():
            return (), ()
        try:
            return archive.load(path)
        except ValueError as error:
            raise ResultsError(str(error)) from error

    def pictures(self, benchmark: str) -> list[Example]:
        """Examples of this benchmark; [] if none were kept."""
        path = self.folder / benchmark / "pictures.npz"
        return _pictures(path) if path.exists() else []


@dataclass(frozen=True)
class Study:
    """What one paper compares, as it was run. data: facts of each data set, by name."""

    name: str
    profile: str
    data: Mapping[str, Mapping[str, Any]]
    lengths: tuple[int, ...]
    trackers: tuple[str, ...]
    benchmarks: tuple[str, ...]
    trials: tuple[Trial, ...]

    @property
    def sample(self) -> bool:
        """Whether any of its data is a sample that stands in for the real one."""
        return any(facts.get("sample") for facts in self.data.values())

    @property
    def comparable(self) -> bool:
        """Whether its numbers may be held against the paper's: run with its settings, on all of its data."""
        return self.profile == "paper" and not self.sample and not self.missing

    @property
    def missing(self) -> dict[str, tuple[str, ...]]:
        """Names of sequences that the data it was trained or tested on lacks, by data set; of those that lack any."""
        used = [*self.benchmarks, *(name for trial in self.trials for name in (trial.train or "").split(" + "))]
        lacking = {name: tuple(self.data.get(name, {}).get("missing", ())) for name in used}
        return {name: sequences for name, sequences in lacking.items() if sequences}

    @property
    def caveats(self) -> dict[str, str]:
        """What must be said of trackers, by tracker; of those of which anything must."""
        return {trial.tracker: trial.caveat for trial in self.trials if trial.caveat}

    @property
    def competing(self) -> tuple[str, ...]:
        """The trackers that may be compared: those without a caveat."""
        return tuple(tracker for tracker in self.trackers if tracker not in self.caveats)

    def marked(self, name: str) -> str:
        """A tracker's name, with a dagger where it has a caveat."""
        return f"{name}†" if name in self.caveats else name

    def videos(self, benchmark: str) -> str:
        """The first of the study's benchmarks that has the same videos, maybe cut to another length.

        These are the same where format, folder and the reader's settings are; the benchmark itself, where that is not
        known. Scores on two such benchmarks are no independent evidence.
        """
        known = ("format", "root", "settings")
        own = [self.data.get(benchmark, {}).get(name) for name in known]
        alike = (other for other in self.benchmarks if [self.data.get(other, {}).get(name) for name in known] == own)
        return benchmark if None in own else next(alike, benchmark)

    @property
    def failures(self) -> list[Trial]:
        """The trials that failed."""
        return [trial for trial in self.trials if trial.failed]

    @property
    def speeds(self) -> list[tuple[str, str, Mapping[str, Any]]]:
        """(tracker, benchmark, what was measured) of each measurement of speed."""
        return [(trial.tracker, benchmark, speed) for trial in self.trials for benchmark, speed in trial.speeds.items()]

    def trials_of(self, tracker: str) -> list[Trial]:
        """The trials of one tracker."""
        return [trial for trial in self.trials if trial.tracker == tracker]

    def differences(self, tracker: str, than: str) -> dict[str, tuple[Any, Any]]:
        """The settings in which two trackers differ, by flattened name: the values of one, and of the other.

        Of different families the family alone: their other settings do not compare. {} where one has no trial.
        """
        trials = self.trials_of(tracker)[:1] + self.trials_of(than)[:1]
        if len(trials) < 2:
            return {}
        one, other = (flattened(trial.settings) for trial in trials)
        differing = {n: (one.get(n), other.get(n)) for n in {**one, **other} if one.get(n) != other.get(n)}
        return {"family": differing["family"]} if "family" in differing else differing


def flattened(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings as one level: {"a": {"b": 1}} -> {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": v for inner, v in flattened(value).items()}
        else:
            flat[name] = value
    return flat


def read(results: Path) -> list[Study]:
    """Every study below `results`, by name. Raises ResultsError where anything is missing or damaged."""
    if not results.is_dir():
        raise ResultsError(f"{results}: expected the folder that `trackmeet run` writes, got nothing there")
    folders = sorted(path.parent for path in results.glob("*/study.json"))
    if not folders:
        raise ResultsError(f"{results}: expected at least one <study>/study.json, got none")
    return [_study(folder) for folder in folders]


def _study(folder: Path) -> Study:
    path = folder / "study.json"
    entry = _json(path)
    try:
        trials = [_trial(trial, folder) for trial in entry["trials"]]
        study = Study(
            name=entry["study"],
            profile=entry["profile"],
            data=dict(entry["data"]),
            lengths=tuple(entry["lengths"]),
            trackers=tuple(entry["trackers"]),
            benchmarks=tuple(entry["benchmarks"]),
            trials=tuple(trials),
        )
    except KeyError as error:
        raise ResultsError(f"{path}: expected the key {error}, got {_shown(entry)}") from error
    except (TypeError, ValueError) as error:
        raise ResultsError(f"{path}: expected a study and its trials, got {_shown(entry)} ({error})") from error
    for trial in trials:
        strange = [name for name in trial.benchmarks if name not in study.benchmarks]
        if strange or trial.tracker not in study.trackers:
            raise ResultsError(
                f"{path}: trial {trial.name}: expected a tracker and benchmarks that the study lists, "
                f"got {', '.join(strange) or trial.tracker}"
            )
    return study


def _trial(entry: Mapping[str, Any], folder: Path) -> Trial:
    given = {**entry, "benchmarks": tuple(entry["benchmarks"]), "folder": folder / entry["folder"]}
    return Trial(**given)


def _scores(folder: Path) -> Scores:
    try:
        stored = score_files.read(folder)
    except ValueError as error:
        raise ResultsError(str(error)) from error
    values, curves = (_by_quantity(scores, stored.attributes) for scores in (stored.scores, stored.curves))
    return Scores(stored.sequences, values, curves, frozenset(stored.attributes))


def _by_quantity(scores: Iterable[Score], attributes: Mapping[str, frozenset[str]]) -> dict[Quantity, Score]:
    """The scores, and of those of all sequences the part with each attribute."""
    found: dict[Quantity, Score] = {}
    for score in scores:
        subsets = {score.subset: frozenset(score.sequences)}
        if score.subset == ALL:
            subsets |= attributes
        for subset, members in subsets.items():
            part = _part(score, subset, members)
            if part.sequences:
                found[Quantity(score.measure, score.protocol, score.length, subset, score.convention)] = part
    return found


def _part(score: Score, subset: str, members: frozenset[str]) -> Score:
    """The score of those of these sequences in which anything counts."""
    rows = [i for i, name in enumerate(score.sequences) if name in members and score.denominator[i].any()]
    names = tuple(score.sequences[i] for i in rows)
    return replace(
        score, subset=subset, sequences=names, numerator=score.numerator[rows], denominator=score.denominator[rows]
    )


def _pictures(path: Path) -> list[Example]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            examples = [
                Example(
                    str(name),
                    tuple(int(number) for number in stored[f"numbers/{i}"]),
                    stored[f"frames/{i}"],
                    stored[f"regions/{i}"],
                    stored[f"groundtruth/{i}"],
                    stored.get(f"attention/{i}"),
                    stored.get(f"masks/{i}"),
                    stored.get(f"groundtruth_masks/{i}"),
                    {
                        name.removeprefix(f"memory/{i}/"): stored[name]
                        for name in stored.files
                        if name.startswith(f"memory/{i}/")
                    },
                    **{name: stored.get(f"{name}/{i}") for name in SAID},
                )
                for i, name in enumerate(stored["sequences"])
            ]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ResultsError(f"{path}: expected pictures (npz), got {type(error).__name__}: {error}") from error
    for example in examples:
        given = {
            name: getattr(example, name) for name in ("frames", "regions", "groundtruth", "attention", *MASKS, *SAID)
        }
        for name, array in (given | {f"memory of {layer}": cells for layer, cells in example.memory.items()}).items():
            if array is not None and len(array) != len(example.numbers):
                raise ResultsError(
                    f"{path}: {example.sequence}: {name}: expected {len(example.numbers)} of them, got {len(array)}"
                )
        for name in MASKS:
            array, size = given[name], example.frames.shape[:3]
            if array is not None and (array.dtype != bool or array.shape != size):
                raise ResultsError(
                    f"{path}: {example.sequence}: {name}: expected bool {size}, got {array.dtype} {array.shape}"
                )
        _assert_said(example, path)
        for layer, cells in example.memory.items():
            if cells.ndim != 4:
                raise ResultsError(
                    f"{path}: {example.sequence}: memory of {layer}: expected (t, cells, h, w), got {cells.shape}"
                )
    return examples


def _assert_said(example: Example, path: Path) -> None:
    patches, weights, contrast = example.patches, example.weights, example.contrast
    if contrast is not None and (contrast.ndim != 3 or contrast.shape[1] != 2):
        raise ResultsError(f"{path}: {example.sequence}: contrast: expected (t, 2, bins), got {contrast.shape}")
    if patches is None and weights is None:
        return
    shapes = [None if array is None else array.shape for array in (patches, weights)]
    fit = (
        patches is not None
        and weights is not None
        and (patches.ndim, patches.shape[-1], weights.ndim) == (5, 3, 2)
        and patches.shape[1] == weights.shape[1] + 1
    )
    if not fit:
        raise ResultsError(
            f"{path}: {example.sequence}: recalled: expected patches (t, K + 1, S, S, 3) and weights (t, K), "
            f"got {shapes[0]} and {shapes[1]}"
        )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResultsError(f"{path}: expected this file, got nothing there") from error
    except (OSError, ValueError) as error:  # JSON and UTF-8 errors are ValueErrors
        raise ResultsError(f"{path}: expected JSON, got {type(error).__name__}: {error}") from error


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
