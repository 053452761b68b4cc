"""A paper's table by sequence, beside what the trackers of the project scored on each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orchestrator.report.paper import SequenceTable
from orchestrator.report.results import Study
from orchestrator.report.summary import Summary
from trackers.evaluation.measures import MEASURES

COLUMNS = ("study", "benchmark", "sequence", "tracker", "source", "measure", "value")
MEAN, MEAN_OF_REAL = "mean", "mean of real ones"


@dataclass(frozen=True)
class Row:
    """One sequence, or a mean over some: ours and the paper's scores by tracker. The paper's: {} of other sequences."""

    name: str
    ours: Mapping[str, float]
    paper: Mapping[str, float]


@dataclass(frozen=True)
class BySequence:
    """A paper's table, and all trackers of the project on its benchmark.

    The paper's scores count where the sequence is the real one: the paper has one of that name, and it has as many
    frames here as in the published benchmark. So sample data, and what was cut, has none of them.
    """

    table: SequenceTable
    summary: Summary

    @property
    def study(self) -> Study:
        """Whose trackers these are."""
        return self.summary.grid.study

    @cached_property
    def trackers(self) -> tuple[str, ...]:
        """Those that were scored there."""
        return tuple(t for t in self.summary.trackers if self.summary.cell(t, self.table.measure) is not None)

    @cached_property
    def real(self) -> tuple[str, ...]:
        """Names of the sequences that are the paper's."""
        benchmark, protocol = self.summary.benchmark, self.summary.protocol
        if self.study.data.get(benchmark, {}).get("sample"):
            return ()
        frames: dict[str, int] = {}
        for trial in self.study.trials:
            if benchmark in trial.benchmarks and not set(frames) >= set(self.sequences):
                frames |= trial.frames(benchmark, protocol)
        return tuple(name for name in self.sequences if self.table.frames.get(name, 0) == frames.get(name))

    @property
    def sequences(self) -> tuple[str, ...]:
        """Names of all that were scored."""
        return tuple(row.name for row in self._each)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """Each sequence, those of the paper in its order first; then the mean of all.

        Where only some are the paper's, the mean of these follows. A tracker that lacks a sequence has no mean.
        """
        paper = {name: dict(zip(self.table.trackers, self.table.cells[name], strict=True)) for name in self.real}
        each = [Row(row.name, row.ours, paper.get(row.name, {})) for row in self._each]
        means = [_mean(MEAN, each)]
        if 0 < len(paper) < len(each):
            means.append(_mean(MEAN_OF_REAL, [row for row in each if row.name in paper]))
        return (*each, *means)

    def best(self, row: Row) -> float | None:
        """The best score of the row, the paper's or that of a tracker of ours without a caveat."""
        choose = max if MEASURES[self.table.measure].better == "higher" else min
        competing = (row.ours[tracker] for tracker in self.study.competing if tracker in row.ours)
        return choose((*competing, *row.paper.values()), default=None)

    @cached_property
    def _each(self) -> tuple[Row, ...]:
        """Of each sequence our scores alone."""
        values: dict[str, dict[str, float]] = {}
        for tracker in self.trackers:
            cell = self.summary.cell(tracker, self.table.measure)
            assert cell is not None
            for name, value in zip(cell.sequences, cell.values.mean(1), strict=True):
                if not np.isnan(value):
                    values.setdefault(name, {})[tracker] = float(value)
        places = {name: i for i, name in enumerate(self.table.cells)}
        ordered = sorted(values, key=lambda name: (places.get(name, len(places)), name.lower()))
        return tuple(Row(name, values[name], {}) for name in ordered)


def rows(study: Study, by_sequence: BySequence) -> Iterator[dict[str, object]]:
    """Each score in the columns `COLUMNS`; source: "ours" or "paper". study: the one whose paper has the table."""
    table = by_sequence.table
    for row in by_sequence.rows:
        place = {"study": study.name, "benchmark": table.benchmark, "sequence": row.name, "measure": table.measure}
        for source, scores in (("ours", row.ours), ("paper", row.paper)):
            for tracker, value in scores.items():
                yield place | {"tracker": tracker, "source": source, "value": value}


def _mean(name: str, rows: Iterable[Row]) -> Row:
    rows = list(rows)
    return Row(name, _means([row.ours for row in rows]), _means([row.paper for row in rows]))


def _means(scores: list[Mapping[str, float]]) -> dict[str, float]:
    """Of the trackers that have a score in every one of them."""
    whole = [tracker for tracker in (scores[0] if scores else ()) if all(tracker in one for one in scores)]
    return {tracker: float(np.mean([one[tracker] for one in scores])) for tracker in whole}
