"""Cells: one tracker on one benchmark; and all of them as one tidy table, a number a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from orchestrator.report.paper import Aspect, Key, Paper
from orchestrator.report.results import Quantity, Study, Trial
from trackers.evaluation.results import ALL
from trackers.evaluation.scores import Pool, Score, pooled
from trackers.evaluation.statistics import interval

COLUMNS = (
    "study", "tracker", "benchmark", "protocol", "subset", "length", "fold", "measure",
    "value", "std", "low", "high", "n", "paper", "convention",
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """Scores of one tracker on one benchmark, a run for each seed.

    numerator, denominator: (len(sequences), runs, K), the terms of `trackers.evaluation.scores`. Folds of
    one seed are one run: each tests its own sequences. The unit of every statistic is the sequence:
    seeds are averaged, never counted as more sequences.
    """

    quantity: Quantity
    sequences: tuple[str, ...]
    numerator: np.ndarray
    denominator: np.ndarray
    pool: Pool = "mean"

    @property
    def n(self) -> int:
        """Number of sequences."""
        return len(self.sequences)

    @cached_property
    def values(self) -> np.ndarray:
        """(len(sequences), runs): of each sequence by itself; NaN where that is unknown."""
        return pooled(self.numerator, self.denominator, self.pool)

    def of(self, sequences: Sequence[str]) -> np.ndarray:
        """The values (len(sequences), runs) of these sequences."""
        rows = {name: i for i, name in enumerate(self.sequences)}
        return self.values[[rows[name] for name in sequences]]

    @cached_property
    def mean(self) -> float:
        """Over sequences, as the measure pools them, and over runs; NaN where it is unknown of one of these."""
        return float(pooled(self.numerator.sum(0), self.denominator.sum(0), self.pool).mean())

    @property
    def std(self) -> float:
        """Over the sequences of a run whose value is known (dividing by n, as papers do), averaged over runs."""
        return float(np.nanstd(self.values, 0).mean())

    @property
    def score(self) -> Score:
        """The terms averaged over runs, for statistics over sequences."""
        q, terms = self.quantity, (self.numerator.mean(1), self.denominator.mean(1))
        return Score(q.measure, q.convention, q.protocol, q.subset, q.length, self.sequences, *terms, self.pool)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """95% bootstrap interval of the mean, resampling sequences."""
        return interval(self.score)


def pool(trials: Iterable[Trial], benchmark: str, quantity: Quantity) -> Cell | None:
    """What these trials of one tracker scored there; None if nothing, or if their score is unknown.

    Where seeds tested different sequences (a fold of one failed), those that all of them tested count.
    """
    scored = [(trial.seed, trial.scores[benchmark].values) for trial in trials if benchmark in trial.scores]
    return _pool(scored, quantity)


def _pool(scored: Iterable[tuple[int, Mapping[Quantity, Score]]], quantity: Quantity) -> Cell | None:
    """What trials of these seeds scored."""
    runs: dict[int, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    kind: Pool = "mean"
    for seed, scores in scored:
        if quantity in scores:
            score = scores[quantity]
            kind = score.pool
            terms = zip(score.numerator, score.denominator, strict=True)
            runs.setdefault(seed, {}).update(zip(score.sequences, terms, strict=True))
    sequences = sorted(set.intersection(*(set(run) for run in runs.values()))) if runs else []
    if not sequences:
        return None
    width = max(len(numerator) for run in runs.values() for numerator, _ in run.values())
    terms_of = np.zeros((2, len(sequences), len(runs), width))  # an EAO curve is as long as the fold's longest sequence
    for j, run in enumerate(runs.values()):
        for i, name in enumerate(sequences):
            for k, term in enumerate(run[name]):
                terms_of[k, i, j, : len(term)] = term
    cell = Cell(quantity, tuple(sequences), terms_of[0], terms_of[1], kind)
    return None if np.isnan(cell.mean) else cell


@dataclass(frozen=True)
class Grid:
    """All cells of a study, folds and seeds pooled; absent where no trial got that far.

    measured: by tracker, benchmark and quantity. cells: the same, as the paper names them; where several
    conventions have one, the first. curves: as `measured`, with a column for each
    threshold. attributes: by benchmark, the subsets that are of sequences, not of frames.
    """

    study: Study
    measured: Mapping[tuple[str, str, Quantity], Cell]
    cells: Mapping[Key, Cell]
    curves: Mapping[tuple[str, str, Quantity], Cell] = field(default_factory=dict)
    attributes: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def failed(self, tracker: str, benchmark: str) -> bool:
        """Whether a trial of this tracker failed that was to run on this benchmark."""
        return any(t.tracker == tracker and benchmark in t.benchmarks for t in self.study.failures)


def grid(study: Study, paper: Paper) -> Grid:
    """Pool the study's trials, tracker by tracker and benchmark by benchmark."""
    measured: dict[tuple[str, str, Quantity], Cell] = {}
    curves: dict[tuple[str, str, Quantity], Cell] = {}
    attributes: dict[str, frozenset[str]] = {}
    for tracker in study.trackers:
        trials = study.trials_of(tracker)
        for benchmark in study.benchmarks:
            reached = [(trial.seed, trial.scores[benchmark]) for trial in trials if benchmark in trial.scores]
            for cells, scored in (
                (measured, [(seed, scores.values) for seed, scores in reached]),
                (curves, [(seed, scores.curves) for seed, scores in reached]),
            ):
                for quantity in dict.fromkeys(quantity for _, scores in scored for quantity in scores):
                    cell = _pool(scored, quantity)
                    if cell is not None:
                        cells[tracker, benchmark, quantity] = cell
            found = (scores.attributes for _, scores in reached)
            attributes[benchmark] = attributes.get(benchmark, frozenset()).union(*found)
    reported: dict[Key, Cell] = {}
    for (tracker, benchmark, quantity), cell in measured.items():
        reported.setdefault((tracker, benchmark, paper.aspect(quantity)), cell)
    return Grid(study, measured, reported, curves, attributes)


def main_aspect(grid: Grid, paper: Paper, benchmark: str) -> Aspect | None:
    """What a benchmark is mostly about: the paper's measure of whole sequences, else of the longest it was cut to;
    where there is neither, what was measured first. None where nothing was.
    """
    found = dict.fromkeys(aspect for _, b, aspect in grid.cells if b == benchmark and aspect.subset == ALL)
    wanted = [Aspect(paper.measure, length) for length in (None, *sorted(grid.study.lengths, reverse=True))]
    return next((aspect for aspect in wanted if aspect in found), next(iter(found), None))


def rows(grid: Grid, paper: Paper) -> Iterator[dict[str, object]]:
    """Everything that was measured, in the columns `COLUMNS`.

    fold "all" pools all folds; where there are several, each has its own row as well. value and
    std: mean and standard deviation over the n sequences; low, high: 95% bootstrap interval of
    the mean; paper: the mean that the paper prints, where it has this cell. fps and efo are means of n
    measurements of speed, which have no interval.
    """
    for (tracker, benchmark, quantity), cell in grid.measured.items():
        printed = paper.cells.get((tracker, benchmark, paper.aspect(quantity)))
        trials = grid.study.trials_of(tracker)
        folds = sorted({trial.fold for trial in trials if trial.fold is not None})
        place = {"study": grid.study.name, "tracker": tracker, "benchmark": benchmark}
        yield place | _row(cell, quantity, "all", printed.mean if printed else None)
        for fold in folds if len(folds) > 1 else ():
            part = pool((trial for trial in trials if trial.fold == fold), benchmark, quantity)
            if part is not None:
                yield place | _row(part, quantity, fold, None)
    yield from _speeds(grid.study)


def _speeds(study: Study) -> Iterator[dict[str, object]]:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for tracker, benchmark, speed in study.speeds:
        found.setdefault((tracker, benchmark), []).append(speed)
    for (tracker, benchmark), speeds in found.items():
        for measure in ("fps", "efo"):
            yield dict.fromkeys(COLUMNS) | {
                "study": study.name,
                "tracker": tracker,
                "benchmark": benchmark,
                "protocol": "one_pass",  # the one that `orchestrator.work.speed` plays
                "subset": ALL,
                "fold": "all",
                "measure": measure,
                "value": float(np.mean([speed[measure] for speed in speeds])),
                "n": len(speeds),
                "convention": "trackmeet",
            }


def _row(cell: Cell, quantity: Quantity, fold: int | str, printed: float | None) -> dict[str, object]:
    low, high = cell.interval
    return {
        "protocol": quantity.protocol,
        "subset": quantity.subset,
        "length": quantity.length,
        "fold": fold,
        "measure": quantity.measure,
        "value": cell.mean,
        "std": cell.std,
        "low": low,
        "high": high,
        "n": cell.n,
        "paper": printed,
        "convention": quantity.convention,
    }


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """The rows as CSV: six decimals (never -0), an empty field for None, lines ended by a newline alone."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([f"{row[c]:z.6f}" if isinstance(row[c], float) else row[c] for c in columns])
    return file.getvalue()
