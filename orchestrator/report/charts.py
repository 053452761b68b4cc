"""The figures of numbers that a paper has, as points, a row each; `orchestrator.report.plots.drawn` draws them.

    ranks      accuracy rank against robustness rank of all trackers of the project, and a line through some
    speed      frames per second, and in EFO, against the overall rank of all trackers of the project
    tradeoff   frames per second against a measure, of all trackers of the project
    subsets    a measure by subset (none named: by tag of frames), some trackers beside each other
    trend      a measure by one of the trackers' settings, a line a subset (none named: of everything); where the
               chart asks for speed, a second panel has frames per second by the same setting
    success    share of frames by the overlap that they exceed, a line a tracker, the best first, a panel a protocol
    precision  share of frames by the distance of centres that they do not exceed, in the same manner
    roc        share of the target's pixels found by that of others taken for it, a line a tracker, the best first
    framewise  IoU of masks by the number of frames since the start, with its interval, a line a tracker, the best first

Ranks are VOT's: by attribute of frames, then averaged (see `orchestrator.report.comparisons.rank_rows`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from orchestrator.report.comparisons import OVERALL, RANKED_BY_ATTRIBUTE, average_ranks
from orchestrator.report.curves import points as curve_points
from orchestrator.report.paper import Chart
from orchestrator.report.results import Study
from orchestrator.report.scores import Cell
from orchestrator.report.summary import Summary, measure_name
from trackers.evaluation.results import ALL
from trackers.evaluation.statistics import band

COLUMNS = ("study", "chart", "benchmark", "panel", "series", "label", "x", "y", "low", "high")
OTHERS = "other trackers"  # the series of those that the chart does not name
FPS = "frames per second"
SPEEDS = {"EFO": "efo", FPS: "fps"}  # panels
CURVED = {
    "success": "success",
    "precision": "precision",
    "roc": "roc",
    "framewise": "framewise_iou",
}  # by kind, of which curve it is
BANDED = ("framewise",)  # kinds that show intervals
OF_EVERYONE = ("ranks", "speed", "tradeoff")  # kinds that show all trackers of the project
NEAR = 20  # pixels: of a precision plot the legend has DP_20


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


@dataclass(frozen=True)
class Drawing:
    """What a chart shows. caveats: of trackers that it shows, by tracker."""

    points: tuple[Point, ...]
    caveats: Mapping[str, str]


def draw(chart: Chart, own: Sequence[Summary], everyone: Summary) -> Drawing:
    """What there is to draw; no points if nothing.

    own: the study's trackers on the chart's benchmark, a table for each of its protocols. everyone: all of the
    project's trackers there, under the first of them.
    """
    points = tuple(_draw(chart, own, everyone))
    shown = {name for point in points for name in (point.series, point.label)}
    study = everyone.grid.study if chart.kind in OF_EVERYONE else own[0].grid.study
    return Drawing(points, {name: caveat for name, caveat in study.caveats.items() if name in shown})


def _draw(chart: Chart, own: Sequence[Summary], everyone: Summary) -> Iterator[Point]:
    if chart.kind == "ranks":
        return _ranks(chart, everyone)
    if chart.kind == "speed":
        return _speed(chart, everyone)
    if chart.kind == "tradeoff":
        return _tradeoff(chart, everyone)
    if chart.kind == "subsets":
        return _subsets(chart, own[0])
    if chart.kind in CURVED:
        return _curve(chart, own)
    return _trend(chart, own[0])


def rows(study: Study, drawn: Mapping[Chart, Drawing]) -> Iterator[dict[str, object]]:
    """Each point in the columns `COLUMNS`."""
    for chart, shown in drawn.items():
        for point in shown.points:
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
            speed = mean_speed(summary.grid.study, tracker, summary.benchmark, name)
            if speed is not None:
                series = tracker if tracker in chart.trackers else OTHERS
                yield Point(panel, series, tracker, speed, rank)


def _tradeoff(chart: Chart, summary: Summary) -> Iterator[Point]:
    for tracker in summary.trackers:
        speed = mean_speed(summary.grid.study, tracker, summary.benchmark)
        cell = summary.cell(tracker, chart.measure)
        if speed is not None and cell is not None:
            yield _point(tracker if tracker in chart.trackers else OTHERS, tracker, speed, cell)


def mean_speed(study: Study, tracker: str, benchmark: str, name: str = SPEEDS[FPS]) -> float | None:
    """Over all measurements of the tracker there; None if there is none."""
    measured = [speed[name] for t, b, speed in study.speeds if (t, b) == (tracker, benchmark)]
    return float(np.mean(measured)) if measured else None


def _subsets(chart: Chart, summary: Summary) -> Iterator[Point]:
    for tracker in chart.trackers:
        for x, subset in enumerate(chart.subsets or summary.tags):
            cell = summary.cell(tracker, chart.measure, subset)
            if cell is not None:
                yield _point(tracker, subset, x, cell)


def _trend(chart: Chart, summary: Summary) -> Iterator[Point]:
    places = {trial.tracker: trial.settings.get(chart.setting) for trial in summary.grid.study.trials}
    panel = measure_name(chart.measure) if chart.speed else ""
    for subset in chart.subsets or (ALL,):
        for tracker in chart.trackers:
            cell, x = summary.cell(tracker, chart.measure, subset), places.get(tracker)
            if cell is not None and x is not None:
                yield replace(_point(subset, tracker, x, cell), panel=panel)
    for tracker in chart.trackers if chart.speed else ():
        speed, x = mean_speed(summary.grid.study, tracker, summary.benchmark), places.get(tracker)
        if speed is not None and x is not None:
            yield Point(FPS, ALL, tracker, float(x), speed)


def _curve(chart: Chart, summaries: Iterable[Summary]) -> Iterator[Point]:
    """Of one protocol the panel has no name: the page and the caption say which."""
    for summary in summaries:
        panel = summary.protocol.replace("_", " ") if len(chart.protocols) > 1 else ""
        found = summary.curves().get(CURVED[chart.kind], {})
        curves = {tracker: curve_points(found[tracker]) for tracker in chart.trackers if tracker in found}
        caveats = summary.grid.study.caveats
        for tracker in sorted(curves, key=lambda tracker: (tracker in caveats, -height(chart, *curves[tracker]))):
            x, y = curves[tracker]
            low, high = band(found[tracker].score) if chart.kind in BANDED else (None, None)
            for i in np.flatnonzero(~np.isnan(y)).tolist():
                ends = (float(low[i]), float(high[i])) if low is not None and high is not None else (None, None)
                yield Point(panel, tracker, tracker, float(x[i]), float(y[i]), *ends)


def height(chart: Chart, x: np.ndarray, y: np.ndarray) -> float:
    """Of a curve (L,): the area under a ROC, precision at 20 pixels, else the mean, the area under even steps."""
    if chart.kind == "roc":
        return float(np.trapezoid(y, x))
    return float(np.interp(NEAR, x, y)) if chart.kind == "precision" else float(np.nanmean(y))


def _point(series: str, label: str, x: float, cell: Cell) -> Point:
    return Point("", series, label, float(x), cell.mean, *cell.interval)
