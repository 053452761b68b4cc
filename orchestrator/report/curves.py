"""The curves of a study, tracker by tracker, as one tidy table: a point a row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from orchestrator.report.scores import Cell, Grid
from trackers.evaluation.curves import CURVES
from trackers.evaluation.results import ALL
from trackers.evaluation.statistics import band

COLUMNS = (
    "study", "tracker", "benchmark", "protocol", "subset", "curve", "x", "value", "low", "high", "n", "convention",
)  # fmt: skip


def points(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """Of a cell of `Grid.curves`: x and y (L,), over sequences and runs; NaN where nothing counts."""
    x, y = CURVES[cell.quantity.measure].points(cell.numerator.sum(0), cell.denominator.sum(0))  # (runs, L)
    return x.mean(0), y.mean(0)


def rows(grid: Grid) -> Iterator[dict[str, object]]:
    """Each point in the columns `COLUMNS`; low, high: a 95% bootstrap interval for whole data sets.

    None of a curve that a threshold traces: its points move along both axes.
    """
    for (tracker, benchmark, quantity), cell in grid.curves.items():
        x, values = points(cell)
        banded = quantity.subset == ALL and CURVES[quantity.measure].trace is None
        ends = dict(zip(("low", "high"), band(cell.score), strict=True)) if banded else {}
        place = {
            "study": grid.study.name,
            "tracker": tracker,
            "benchmark": benchmark,
            "protocol": quantity.protocol,
            "subset": quantity.subset,
            "curve": quantity.measure,
            "n": cell.n,
            "convention": quantity.convention,
        }
        for i in np.flatnonzero(~np.isnan(values)).tolist():
            interval = {name: float(ends[name][i]) if name in ends else None for name in ("low", "high")}
            yield place | {"x": float(x[i]), "value": float(values[i])} | interval
