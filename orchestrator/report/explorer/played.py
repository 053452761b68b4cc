"""What there is to play: the sequences of a benchmark under one protocol, as each tracker followed them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from orchestrator.report.results import Example, Study, Trial
from trackers.evaluation.protocols import PROTOCOLS
from trackers.evaluation.trajectory import Trajectory
from trackers.sequence import Sequence

# What is said of protocols of which one run of several is shown.
NOTES = {
    "temporal_robustness": "Shown is the first run, from the first frame on.",
    "spatial_robustness": "Shown is the first run, which starts on a box too far to the left.",
    "random_clips": "Shown is the first clip of each sequence.",
}


@dataclass(frozen=True)
class Played:
    """A sequence, its frames unseen, and the first run of each tracker through it.

    examples: by tracker, what it says of some frames; of those that say anything.
    """

    sequence: Sequence
    runs: Mapping[str, Trajectory]
    examples: Mapping[str, Example]


@dataclass(frozen=True)
class Set:
    """Some sequences of a study. trackers: those that followed any, in the study's order."""

    study: Study
    benchmark: str
    protocol: str
    trackers: tuple[str, ...]
    played: tuple[Played, ...]


def sets(study: Study) -> Iterator[Set]:
    """Each benchmark under each protocol of which trajectories were kept, in the study's order."""
    for benchmark in study.benchmarks:
        known = {name for trial in study.trials for name in trial.protocols(benchmark)}
        for protocol in sorted(known, key=_place):
            one = _set(study, benchmark, protocol)
            if one.played:
                yield one


def _place(protocol: str) -> tuple[int, str]:
    known = list(PROTOCOLS)
    return known.index(protocol) if protocol in known else len(known), protocol


def _set(study: Study, benchmark: str, protocol: str) -> Set:
    """Folds joined, each sequence as the fold's trial followed it that tests it; of several seeds the first."""
    sequences: dict[str, Sequence] = {}
    runs: dict[str, dict[str, Trajectory]] = {}
    examples: dict[str, dict[str, Example]] = {}
    for tracker in study.trackers:
        for trial in sorted(study.trials_of(tracker), key=lambda trial: trial.seed):
            for sequence, run in _first_runs(trial, benchmark, protocol):
                sequences.setdefault(sequence.name, sequence)
                runs.setdefault(sequence.name, {}).setdefault(tracker, run)
            for example in trial.pictures(benchmark):
                first = runs.get(example.sequence, {}).get(tracker)
                if first is not None and _shows(example, first, sequences[example.sequence]):
                    examples.setdefault(example.sequence, {}).setdefault(tracker, example)
    played = tuple(Played(sequences[name], runs[name], examples.get(name, {})) for name in sorted(sequences))
    present = {tracker for one in played for tracker in one.runs}
    return Set(study, benchmark, protocol, tuple(t for t in study.trackers if t in present), played)


def _first_runs(trial: Trial, benchmark: str, protocol: str) -> Iterator[tuple[Sequence, Trajectory]]:
    """Copied, as the file has many other runs."""
    kept, runs = trial.trajectories(benchmark, protocol)
    by_name = {sequence.name: sequence for sequence in kept}
    for run in runs:
        if run.run == 0:
            yield by_name[run.sequence], replace(run, regions=run.regions.copy(), events=run.events.copy())


def _shows(example: Example, run: Trajectory, sequence: Sequence) -> bool:
    """Whether the example is of this run, and not of that under another protocol, and says anything."""
    said = (example.attention, example.memory or None, example.patches, example.contrast)
    if all(one is None for one in said) or max(example.numbers) >= len(run):
        return False
    scale = 1.0 if sequence.size is None else example.frames.shape[1] / sequence.size[1]
    return np.allclose(example.regions, run.boxes[list(example.numbers)] * scale, equal_nan=True)
