"""All trackers of the project on one benchmark, whichever study tested them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from orchestrator.report.results import Quantity, Study, Trial
from orchestrator.report.scores import Cell, Grid
from orchestrator.report.summary import Summary, summaries

STUDY = "all"  # their name where that of a study stands


def together(grids: Sequence[Grid]) -> list[Summary]:
    """A table for each benchmark that several studies tested under one protocol and convention, on the same data.

    A tracker of the same name, settings and training data counts once, in the first study that has it; another one
    of the same name is called after its study, too.
    """
    found: dict[tuple[str, ...], list[Summary]] = {}
    for grid in grids:
        for summary in summaries(grid):
            data = json.dumps(grid.study.data.get(summary.benchmark), sort_keys=True)
            found.setdefault((summary.benchmark, summary.protocol, summary.convention, data), []).append(summary)
    return [_joined(several) for several in found.values() if len(several) > 1]


def _joined(several: Sequence[Summary]) -> Summary:
    names: dict[tuple[str, str], str] = {}  # of a tracker and what made it
    trials: list[Trial] = []
    measured: dict[tuple[str, str, Quantity], Cell] = {}
    benchmark = several[0].benchmark
    for summary in several:
        study = summary.grid.study
        for tracker in summary.trackers:
            own = [trial for trial in study.trials_of(tracker) if benchmark in trial.benchmarks]
            cells = _cells(summary, tracker)
            made = _made(own)
            if not cells or (tracker, made) in names:
                continue
            name = f"{tracker} ({study.name})" if tracker in names.values() else tracker
            names[tracker, made] = name
            trials += [replace(trial, tracker=name) for trial in own]
            measured |= {(name, benchmark, quantity): cell for quantity, cell in cells.items()}
    first = several[0].grid.study
    study = Study(STUDY, first.profile, first.data, (), tuple(names.values()), (benchmark,), tuple(trials))
    attributes = frozenset[str]().union(*(s.grid.attributes.get(benchmark, frozenset()) for s in several))
    [joined] = summaries(Grid(study, measured, {}, {}, {benchmark: attributes}))
    return joined


def _cells(summary: Summary, tracker: str) -> dict[Quantity, Cell]:
    kind = (summary.protocol, summary.convention)
    return {
        quantity: cell
        for (t, benchmark, quantity), cell in summary.grid.measured.items()
        if (t, benchmark, quantity.length) == (tracker, summary.benchmark, None)
        and (quantity.protocol, quantity.convention) == kind
    }


def _made(trials: Iterable[Trial]) -> str:
    """What a tracker was made of: settings, and data where it was trained."""
    return json.dumps(sorted({json.dumps([trial.train, trial.settings], sort_keys=True) for trial in trials}))
