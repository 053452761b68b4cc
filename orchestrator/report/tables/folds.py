"""The grid of a cross-validation: what each fold came to."""

from __future__ import annotations

import numpy as np

from orchestrator.report import scores
from orchestrator.report.results import Quantity
from orchestrator.report.summary import Summary, measure_name, shown
from orchestrator.report.table import HOLE, Cell, Column, Mark, Row, Table, slug
from orchestrator.report.tables import cells


def folds(summary: Summary, measure: str) -> Table | None:
    """A row a fold, a column a tracker: the score of the fold's sequences, the worst fold of each tracker marked.

    At the foot mean and standard deviation over folds (dividing by their number), of trackers that have them all.
    None where there are not several folds.
    """
    study, quantity = summary.grid.study, Quantity(measure, summary.protocol, None, convention=summary.convention)
    trials = [t for t in study.trials if t.fold is not None and summary.benchmark in t.benchmarks]
    numbers = sorted({trial.fold for trial in trials if trial.fold is not None})
    trackers = [tracker for tracker in study.trackers if any(trial.tracker == tracker for trial in trials)]
    if len(numbers) < 2:
        return None
    found: dict[tuple[str, int], scores.Cell] = {}
    for tracker in trackers:
        for fold in numbers:
            own = (t for t in trials if (t.tracker, t.fold) == (tracker, fold))
            cell = scores.pool(own, summary.benchmark, quantity)
            if cell is not None:
                found[tracker, fold] = cell
    lost = {
        (tracker, fold)
        for tracker in trackers
        for fold in numbers
        if any(t.failed and (t.tracker, t.fold) == (tracker, fold) for t in trials)
    }
    worst = {(tracker, _worst(found, tracker, measure)) for tracker in trackers}
    rows = []
    for fold in numbers:
        tested = sorted(set().union(*(cell.sequences for (_, f), cell in found.items() if f == fold)))
        row = []
        for tracker in trackers:
            cell = found.get((tracker, fold))
            mark: Mark = "worst" if (tracker, fold) in worst else ""
            row.append(cells.mean_interval(cell, mark) if cell else cells.hole((tracker, fold) in lost))
        rows.append(Row(f"fold {fold}", [cells.count(len(tested)), *row, cells.words(", ".join(tested))]))
    whole = {t: [found[t, f].mean for f in numbers] for t in trackers if all((t, f) in found for f in numbers)}
    for heading, statistic in (("mean over folds", np.mean), ("std over folds", np.std)):
        row = [_over(measure, float(statistic(whole[t]))) if t in whole else Cell() for t in trackers]
        rows.append(Row(heading, [Cell(), *row, Cell()], foot=True))
    head = [
        Column("fold", text=True),
        Column("sequences"),
        *(Column(study.marked(tracker), measure_name(measure), cells.better(measure)) for tracker in trackers),
        Column("which", text=True),
    ]
    notes = ["95% bootstrap intervals over the fold’s sequences. ▾: the worst fold of a tracker."]
    notes += cells.caveats(study, trackers)
    return Table(slug(study.name, "folds", summary.name), "Fold by fold", head, rows, notes, place=summary.heading)


def _worst(found: dict[tuple[str, int], scores.Cell], tracker: str, measure: str) -> int | None:
    """None where it has fewer than two folds."""
    means = {fold: cell.mean for (t, fold), cell in found.items() if t == tracker}
    choose = min if cells.better(measure) == "higher" else max
    return choose(means, key=means.__getitem__) if len(means) > 1 else None


def _over(measure: str, value: float) -> Cell:
    return Cell(shown(measure, value), value) if np.isfinite(value) else Cell(HOLE)
