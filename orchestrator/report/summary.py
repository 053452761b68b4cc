"""Whole sequences of a benchmark under one protocol: trackers by measures, and by attributes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.report.results import Quantity
from orchestrator.report.scores import Cell, Grid
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import ALL


@dataclass(frozen=True)
class Summary:
    """One table. quantities: its columns, those of whole data sets first, by measure. subsets: attributes and tags."""

    grid: Grid
    benchmark: str
    protocol: str
    convention: str
    measures: tuple[str, ...]
    subsets: tuple[str, ...]

    def cell(self, tracker: str, measure: str, subset: str = ALL) -> Cell | None:
        """What that tracker scored; None where nothing was measured."""
        quantity = Quantity(measure, self.protocol, None, subset, self.convention)
        return self.grid.measured.get((tracker, self.benchmark, quantity))

    def best(self, measure: str, subset: str = ALL) -> str | None:
        """The tracker that is best by this measure; None if there is nothing to compare."""
        cells = {tracker: self.cell(tracker, measure, subset) for tracker in self.grid.study.trackers}
        means = {tracker: cell.mean for tracker, cell in cells.items() if cell is not None}
        if len(means) < 2:
            return None
        sign = 1.0 if MEASURES[measure].better == "higher" else -1.0
        return max(means, key=lambda tracker: sign * means[tracker])


def summaries(grid: Grid) -> Iterable[Summary]:
    """A table for each benchmark, protocol and convention of which whole sequences were measured."""
    for benchmark in grid.study.benchmarks:
        found = [q for _, b, q in grid.measured if b == benchmark and q.length is None]
        for protocol, convention in dict.fromkeys((q.protocol, q.convention) for q in found):
            own = [q for q in found if (q.protocol, q.convention) == (protocol, convention)]
            measures = tuple(dict.fromkeys(q.measure for q in own))
            subsets = tuple(sorted({q.subset for q in own} - {ALL}))
            yield Summary(grid, benchmark, protocol, convention, measures, subsets)


def shown(measure: str, value: float) -> str:
    """A value as a table shows it: shares of one with three decimals, others with two, small ones with four."""
    if MEASURES[measure].bounds[1] <= 1:
        return f"{value:.3f}"
    return f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.4f}"
