"""The grid of a cross-validation: what each fold came to."""

from __future__ import annotations

import numpy as np

from orchestrator.report import scores
from orchestrator.report.results import Quantity
from orchestrator.report.summary import Summary, measure_name, shown
from orchestrator.report.table import Cell, Column, Row, Table, slug
from orchestrator.report.tables import cells


def folds(summary: Summary, measure: str) -> Table | None:
    """A row a tracker, a column a fold: the score of the fold's sequences, the worst fold of each tracker marked.

    Behind them mean and standard deviation over folds (dividing by their number), of trackers that have them all; at
    the foot the number of sequences. None where there are not several folds.
    """
    study, quantity = summary.grid.study, Quantity(measure, summary.protocol, None, convention=summary.convention)
    trials = [t for t in study.trials if t.fold is not None and summary.benchmark in t.benchmarks]
    numbers = sorted({trial.fold for trial in trials if trial.fold is not None})
    if len(numbers) < 2:
        return None
    trackers = [tracker for tracker in summary.tested if any(trial.tracker == tracker for trial in trials)]
    sequences: dict[int, set[str]] = {number: set() for number in numbers}
    rows = []
    for tracker in trackers:
        own = {n: [t for t in trials if (t.tracker, t.fold) == (tracker, n)] for n in numbers}
        pooled = {n: scores.pool(several, summary.benchmark, quantity) for n, several in own.items()}
        found = {n: cell for n, cell in pooled.items() if cell is not None}
        for number, cell in found.items():
            sequences[number] |= set(cell.sequences)
        worst = _worst(found, measure)
        row = [
            cells.mean_interval(found[n], "worst" if n == worst else "")
            if n in found
            else cells.hole(any(trial.failed for trial in own[n]))
            for n in numbers
        ]
        whole = len(found) == len(numbers)
        over = _over(measure, [cell.mean for cell in found.values()]) if whole else [Cell(), Cell()]
        rows.append(Row(study.marked(tracker), [*row, *over]))
    rows.append(Row("sequences", [*(cells.count(len(sequences[n])) for n in numbers), Cell(), Cell()], foot=True))
    better = cells.better(measure)
    head = [
        Column("tracker", text=True),
        *(Column(f"fold {n}", measure_name(measure), better) for n in numbers),
        Column("mean", "over folds", better),
        Column("std", "over folds"),
    ]
    notes = ["95% bootstrap intervals over the fold’s sequences. ▾: the worst fold of a tracker."]
    notes += [f"Fold {n}: {', '.join(sorted(sequences[n]))}." for n in numbers if sequences[n]]
    notes += cells.caveats(study, trackers)
    return Table(slug(study.name, "folds", summary.name), "Fold by fold", head, rows, notes, place=summary.heading)


def _worst(found: dict[int, scores.Cell], measure: str) -> int | None:
    """None of fewer than two folds."""
    choose = min if cells.better(measure) == "higher" else max
    return choose(found, key=lambda fold: found[fold].mean) if len(found) > 1 else None


def _over(measure: str, means: list[float]) -> list[Cell]:
    """Their mean and standard deviation."""
    return [Cell(shown(measure, value), value) for value in (float(np.mean(means)), float(np.std(means)))]
