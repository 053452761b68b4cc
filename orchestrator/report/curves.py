"""The curves of a study, tracker by tracker, as one tidy table: a point a row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from orchestrator.report.scores import Cell, Grid
from trackers.evaluation.curves import CURVES
from trackers.evaluation.results import ALL
from trackers.evaluation.scores import pooled
from trackers.evaluation.statistics import band

COLUMNS = (
    "study", "tracker", "benchmark", "protocol", "subset", "curve", "x", "value", "low", "high", "n", "convention",
)  # fmt: skip


def points(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """Of a cell of `Grid.curves`: thresholds and values (K,), over sequences and runs; NaN where nothing counts."""
    numerator, denominator = cell.numerator.sum(0)[..., None], cell.denominator.sum(0)[..., None]  # (runs, K, 1)
    return CURVES[cell.quantity.measure].thresholds(numerator.shape[1]), pooled(numerator, denominator, "mean").mean(0)


def rows(grid: Grid) -> Iterator[dict[str, object]]:
    """Each point in the columns `COLUMNS`; low, high: a 95% bootstrap interval for whole data sets."""
    for (tracker, benchmark, quantity), cell in grid.curves.items():
        x, values = points(cell)
        ends = dict(zip(("low", "high"), band(cell.score), strict=True)) if quantity.subset == ALL else {}
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
