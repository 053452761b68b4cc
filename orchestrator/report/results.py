"""What the trials of a study found, read from what `orchestrator.results` writes:

    <study>/study.json                        profile, data, trackers, benchmarks, lengths, trials
    <study>/<trial>/training.json             curves: {"loss": [[step, value], ...], ...}; none if untrained
    <study>/<trial>/<benchmark>/scores.json   per measure, protocol and length: one value a sequence
    <study>/<trial>/<benchmark>/pictures.npz  example frames with boxes, and attention where there is any

A trial that failed or was not run may lack any of its own files; a finished one may not lack its scores.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np


class ResultsError(ValueError):
    """Results that cannot be read: which file, what was expected, what came."""


@dataclass(frozen=True)
class Quantity:
    """What is measured: a measure's name, the protocol, the length in frames (None: whole sequences)."""

    measure: str
    protocol: str
    length: int | None


@dataclass(frozen=True)
class Scores:
    """One trial on one benchmark. values: for each quantity, (len(sequences),) in the order of `sequences`."""

    sequences: tuple[str, ...]
    values: Mapping[Quantity, np.ndarray]


@dataclass(frozen=True)
class Pictures:
    """Example sequences (n) at a few frames (t), whose numbers are `numbers`.

    frames: uint8 (n, t, height, width) or (n, t, height, width, 3) RGB. regions, groundtruth:
    (n, t, 4). attention: (n, t, height, width) >= 0, or None where the tracker looks everywhere.
    """

    sequences: tuple[str, ...]
    numbers: tuple[int, ...]
    frames: np.ndarray
    regions: np.ndarray
    groundtruth: np.ndarray
    attention: np.ndarray | None


@dataclass(frozen=True)
class Trial:
    """One (tracker variant, training data, fold, seed).

    state: "done", "failed", or "missing" where it was not run. folder: where its results lie.
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

    @property
    def failed(self) -> bool:
        """Whether any of its jobs failed."""
        return self.state == "failed"

    @cached_property
    def scores(self) -> Mapping[str, Scores]:
        """By benchmark; only those that it reached, if it is not done."""
        paths = {benchmark: self.folder / benchmark / "scores.json" for benchmark in self.benchmarks}
        return {name: _scores(path) for name, path in paths.items() if path.exists() or self.state == "done"}

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

    def pictures(self, benchmark: str) -> Pictures | None:
        """Examples of this benchmark; None if none were kept."""
        path = self.folder / benchmark / "pictures.npz"
        return _pictures(path) if path.exists() else None


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
        """Whether its numbers may be held against the paper's: run with its settings, on its data."""
        return self.profile == "paper" and not self.sample

    @property
    def failures(self) -> list[Trial]:
        """The trials that failed."""
        return [trial for trial in self.trials if trial.failed]

    def trials_of(self, tracker: str) -> list[Trial]:
        """The trials of one tracker."""
        return [trial for trial in self.trials if trial.tracker == tracker]


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


def _scores(path: Path) -> Scores:
    entry = _json(path)
    try:
        sequences = tuple(entry["sequences"])
        values = {
            Quantity(score["measure"], score["protocol"], score["length"]): np.array(score["values"], float)
            for score in entry["scores"]
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ResultsError(
            f'{path}: expected {{"sequences", "scores": [{{"measure", "protocol", "length", "values"}}]}}, '
            f"got {_shown(entry)} ({type(error).__name__}: {error})"
        ) from error
    if not sequences or len(set(sequences)) < len(sequences):
        raise ResultsError(f"{path}: expected the names of one or more different sequences, got {_shown(sequences)}")
    for quantity, array in values.items():
        where = f"{path}: {quantity.measure}, {quantity.protocol}, length {quantity.length}"
        if array.shape != (len(sequences),):
            raise ResultsError(f"{where}: expected {len(sequences)} values, one a sequence, got shape {array.shape}")
        if not np.isfinite(array).all():
            worst = int(np.flatnonzero(~np.isfinite(array))[0])
            raise ResultsError(f"{where}: expected finite values, got {array[worst]} for sequence {sequences[worst]}")
    return Scores(sequences, values)


def _pictures(path: Path) -> Pictures:
    try:
        with np.load(path, allow_pickle=False) as stored:
            pictures = Pictures(
                tuple(str(name) for name in stored["sequences"]),
                tuple(int(number) for number in stored["numbers"]),
                stored["frames"],
                stored["regions"],
                stored["groundtruth"],
                stored.get("attention"),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ResultsError(f"{path}: expected pictures (npz), got {type(error).__name__}: {error}") from error
    shape = (len(pictures.sequences), len(pictures.numbers))
    for name in ("frames", "regions", "groundtruth", "attention"):
        array = getattr(pictures, name)
        if array is not None and array.shape[:2] != shape:
            raise ResultsError(f"{path}: {name}: expected shape {(*shape, '...')}, got {array.shape}")
    return pictures


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
