from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import score_files
from orchestrator.report.build import build
from trackers.evaluation.scores import Score

SETS = ("MNIST-Single-Same", "MNIST-Single-Diff", "MNIST-Multi-Same", "MNIST-Multi-Diff")
TRAINED = ("RecTracker-ID", "RecTracker-Att-1", "RecTracker-Att-3", "ConvTracker")
TRACKERS = (*TRAINED, "KerCorrTracker")
LENGTHS = (20, 40, 80, 160)
QUALITY = dict(zip(TRACKERS, (0.6, 0.55, 0.54, 0.3, 0.35), strict=True))

Write = Callable[..., Path]


def trial(
    tracker: str, train: str | None, benchmarks: tuple[str, ...], seed: int = 1, **changes: Any
) -> dict[str, Any]:
    """One entry of study.json's trials."""
    name = " / ".join(part for part in (tracker, train) if part) + (f" / seed {seed}" if seed > 1 else "")
    return {
        "name": name,
        "key": name.encode().hex(),
        "tracker": tracker,
        "train": train,
        "fold": None,
        "seed": seed,
        "state": "done",
        "error": None,
        "log": None,
        "benchmarks": list(benchmarks),
        "settings": {"family": "rectracker", "hidden": 200, "optimizer": {"learning_rate": 0.001}},
        "folder": name.replace(" / ", "_"),
    } | changes


def scores_of(tracker: str, benchmark: str, sequences: int, seed: int = 1) -> dict[int, np.ndarray]:
    """Made-up overlaps: they fall with length; the correlation filter's spread is wide. By length, (sequences,)."""
    rng = np.random.default_rng([TRACKERS.index(tracker), SETS.index(benchmark), seed])
    start = QUALITY[tracker] - (0.2 if "Multi" in benchmark else 0)
    spread = 0.2 if tracker == "KerCorrTracker" else 0.08
    values = start + spread * rng.standard_normal(sequences)
    return {length: np.clip(values - 0.03 * i, 0, 1) for i, length in enumerate(LENGTHS)}


def overlap_score(names: tuple[str, ...], length: int, values: np.ndarray) -> Score:
    """The average overlap at that length, one value a sequence."""
    return Score(
        "average_overlap", "trackmeet", "one_pass", "all", length, names, values[:, None], np.ones((len(names), 1))
    )


def write_trial(folder: Path, entry: dict[str, Any], sequences: int) -> None:
    """Everything that one trial leaves."""
    for benchmark in entry["benchmarks"]:
        target = folder / entry["folder"] / benchmark
        target.mkdir(parents=True)
        values = scores_of(entry["tracker"], benchmark, sequences, entry["seed"])
        names = tuple(f"{i:04d}" for i in range(sequences))
        score_files.write(target, names, {}, [overlap_score(names, length, v) for length, v in values.items()])
        (target / "pictures.npz").write_bytes(pictures(masks="Att" in entry["tracker"]))
    if entry["train"]:
        steps = np.arange(0, 500, 10)
        curves = {"loss": np.stack([steps, 0.3 * np.exp(-steps / 150) + 0.02], 1).tolist()}
        (folder / entry["folder"] / "training.json").write_text(json.dumps(curves))


@cache
def pictures(masks: bool) -> bytes:
    """Two sequences of a bright disc that moves over noise, at seven frames, and a prediction near it: an npz file."""
    rng = np.random.default_rng(0)
    file = io.BytesIO()
    numbers = np.arange(1, 20, 3)
    y, x = np.mgrid[:100, :100]
    centres = np.stack([25 + 3 * numbers, 40 + numbers], -1)  # (t, 2)
    distance = np.hypot(x - centres[:, :1, None], y - centres[:, 1:, None])  # (t, 100, 100)
    noise = 60 * (rng.random((2, len(numbers), 100, 100)) > 0.93)
    frames = np.clip(255 * (distance < 12) + noise, 0, 255).astype(np.uint8)
    groundtruth = np.broadcast_to(np.concatenate([centres - 12, np.full_like(centres, 24)], -1), (2, len(numbers), 4))
    regions = groundtruth + rng.normal(0, 3, groundtruth.shape)
    attention = np.broadcast_to(np.exp(-(distance**2) / 800), frames.shape).astype(np.float16)
    kept: dict[str, np.ndarray] = {"sequences": np.array(["0000", "0001"])}
    for i in range(2):
        kept |= {
            f"numbers/{i}": numbers,
            f"frames/{i}": np.repeat(frames[i][..., None], 3, -1),
            f"regions/{i}": regions[i].astype(float),
            f"groundtruth/{i}": groundtruth[i].astype(float),
            **({f"attention/{i}": attention[i]} if masks else {}),
        }
    np.savez_compressed(file, **kept)
    return file.getvalue()


def all_trials() -> list[dict[str, Any]]:
    """The study's trials, all done: each network trained on one digit and on two, the filter on nothing."""
    single, multi = SETS[:2], SETS[2:]
    trained = [trial(tracker, sets[0], sets) for tracker in TRAINED for sets in (single, multi)]
    return [*trained, trial("KerCorrTracker", None, SETS)]


def write_study(
    root: Path, trials: list[dict[str, Any]], sequences: int = 12, profile: str = "sample", **changes: Any
) -> Path:
    """The results of these trials, with made-up scores, below `root`; returns the results folder."""
    folder = root / "results" / "rectracker"
    folder.mkdir(parents=True)
    study = {
        "study": "rectracker",
        "profile": profile,
        "data": {name: {"format": "moving_digits", "settings": {"seed": 1}} for name in SETS},
        "lengths": list(LENGTHS),
        "trials": trials,
        "trackers": list(TRACKERS),
        "benchmarks": list(SETS),
    } | changes
    (folder / "study.json").write_text(json.dumps(study))
    for entry in trials:
        if entry["state"] == "done":
            write_trial(folder, entry, sequences)
    return folder.parent


@pytest.fixture
def trials() -> list[dict[str, Any]]:
    """What `write_results` writes, to be changed before it is called."""
    return all_trials()


@pytest.fixture
def write_results(tmp_path: Path, trials: list[dict[str, Any]]) -> Write:
    """Writes the results of `trials` and returns their folder."""
    return partial(write_study, tmp_path, trials)


@pytest.fixture(scope="session")
def results_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of all trials, not to be changed."""
    return write_study(tmp_path_factory.mktemp("study"), all_trials())


@pytest.fixture(scope="session")
def report(results_folder: Path) -> Path:
    """The report on `results_folder`, not to be changed."""
    return build(results_folder, results_folder.parent / "report").parent
