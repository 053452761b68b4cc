"""The figures of numbers that a paper has, as points, a row each; `orchestrator.report.figures` draws them.

    ranks      accuracy rank against robustness rank of all trackers of the project, and a line through some
    speed      frames per second, and in EFO, against the overall rank of all trackers of the project
    subsets    a measure by subset (none named: by tag of frames), some trackers beside each other
    trend      a measure by one of the trackers' settings, a line a subset (none named: of everything)

Ranks are VOT's: by attribute of frames, then averaged (see `orchestrator.report.comparisons.rank_rows`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from orchestrator.report.comparisons import OVERALL, RANKED_BY_ATTRIBUTE, average_ranks
from orchestrator.report.paper import Chart
from orchestrator.report.results import Study
from orchestrator.report.scores import Cell
from orchestrator.report.summary import Summary
from trackers.evaluation.results import ALL

COLUMNS = ("study", "chart", "benchmark", "panel", "series", "label", "x", "y", "low", "high")
OTHERS = "other trackers"  # the series of those that the chart does not name
SPEEDS = {"EFO": "efo", "frames per second": "fps"}  # panels


@dataclass(frozen=True)
class Point:
    """label: the tracker, or the subset, that it is of. low, high: 95% interval of y; None where there is none."""

    panel: str
    series: str
    label: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None


def points(chart: Chart, own: Summary, everyone: Summary) -> list[Point]:
    """What there is to draw; [] if nothing. own: the study's trackers there; everyone: all of the project's."""
    if chart.kind == "ranks":
        return list(_ranks(chart, everyone))
    if chart.kind == "speed":
        return list(_speed(chart, everyone))
    if chart.kind == "subsets":
        return list(_subsets(chart, own))
    return list(_trend(chart, own))


def rows(study: Study, drawn: Mapping[Chart, Iterable[Point]]) -> Iterator[dict[str, object]]:
    """Each point in the columns `COLUMNS`."""
    for chart, shown in drawn.items():
        for point in shown:
            place = {"study": study.name, "chart": chart.title, "benchmark": chart.benchmark}
            yield place | vars(point) | {"panel": point.panel or None}


def _ranks(chart: Chart, summary: Summary) -> Iterator[Point]:
    averages = average_ranks(summary)
    accuracy, robustness = (averages.get(measure, {}) for measure in RANKED_BY_ATTRIBUTE)
    line = [tracker for tracker in chart.trackers if tracker in accuracy]
    for tracker in [*line, *(t for t in accuracy if t not in line)]:
        if tracker in robustness:
            series = chart.trackers[-1] if tracker in line else OTHERS
            yield Point("", series, tracker, accuracy[tracker], robustness[tracker])


def _speed(chart: Chart, summary: Summary) -> Iterator[Point]:
    overall = average_ranks(summary).get(OVERALL, {})
    for panel, name in SPEEDS.items():
        for tracker, rank in overall.items():
            measured = [
                speed[name] for t, b, speed in summary.grid.study.speeds if (t, b) == (tracker, chart.benchmark)
            ]
            if measured:
                series = tracker if tracker in chart.trackers else OTHERS
                yield Point(panel, series, tracker, float(np.mean(measured)), rank)


def _subsets(chart: Chart, summary: Summary) -> Iterator[Point]:
    for tracker in chart.trackers:
        for x, subset in enumerate(chart.subsets or summary.tags):
            cell = summary.cell(tracker, chart.measure, subset)
            if cell is not None:
                yield _point(tracker, subset, x, cell)


def _trend(chart: Chart, summary: Summary) -> Iterator[Point]:
    places = {trial.tracker: trial.settings.get(chart.setting) for trial in summary.grid.study.trials}
    for subset in chart.subsets or (ALL,):
        for tracker in chart.trackers:
            cell, x = summary.cell(tracker, chart.measure, subset), places.get(tracker)
            if cell is not None and x is not None:
                yield _point(subset, tracker, x, cell)


def _point(series: str, label: str, x: float, cell: Cell) -> Point:
    return Point("", series, label, float(x), cell.mean, *cell.interval)
