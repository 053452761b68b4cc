"""Charts, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.report.charts import BANDED, CURVED, FPS, OF_EVERYONE, OTHERS, Drawing, Point, height
from orchestrator.report.colours import COLOURS, SHARED
from orchestrator.report.curves import points as curve_points
from orchestrator.report.paper import Aspect, Chart, Paper
from orchestrator.report.results import Study, Trial
from orchestrator.report.scores import Cell, Grid
from orchestrator.report.summary import Summary, measure_name, shown, subset_name
from orchestrator.results import slug
from trackers.evaluation.curves import CURVES
from trackers.evaluation.results import ALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHART_STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "font.size": 9,
    "grid.color": "#dddddd",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "savefig.transparent": True,  # the page's own background, light or dark, shows through
}
MANY = 12  # lines, above which a legend stands below its panel


# Charts


def write_charts(study: Study, paper: Paper, grid: Grid, folder: Path) -> dict[str, Path]:
    """Training curves and score by length, where there is something to draw; paths below the report, by chart."""
    charts: dict[str, Callable[[], Figure]] = {}
    if any(trial.curves for trial in study.trials):
        charts["training"] = lambda: _training(study)
    if any(aspect.length for _, _, aspect in grid.cells) and len(study.lengths) > 1:
        charts["length"] = lambda: _by_length(study, paper, grid)
    return _draw(study, charts, folder)


def write_curves(study: Study, summaries: Iterable[Summary], folder: Path) -> dict[str, Path]:
    """The plots of curves behind each summary that has any; paths below the report, by its name."""
    charts = {}
    for summary in summaries:
        curves = summary.curves()
        if curves:
            charts[summary.name] = partial(_curves, summary, curves)
    return _draw(study, charts, folder)


def write_points(study: Study, drawn: Mapping[Chart, Drawing], folder: Path) -> dict[str, Path]:
    """The paper's own figures of numbers; paths below the report, by title."""
    kinds = {chart: _plots if chart.kind in CURVED else _points for chart in drawn}
    colours = series_colours(study, drawn.values())
    return _draw(study, {chart.title: partial(kinds[chart], chart, drawn[chart], colours) for chart in drawn}, folder)


def series_colours(study: Study, drawings: Iterable[Drawing]) -> dict[str, str]:
    """A colour for each series, the same in all drawings: for trackers in the study's order, then for the others."""
    places = {tracker: i for i, tracker in enumerate(study.trackers)}
    names = dict.fromkeys(point.series for drawing in drawings for point in drawing.points if point.series != OTHERS)
    ordered = sorted(names, key=lambda name: places.get(name, len(places)))
    return {OTHERS: SHARED, **dict(zip(ordered, cycle(COLOURS), strict=False))}


def _draw(study: Study, charts: Mapping[str, Callable[[], Figure]], folder: Path) -> dict[str, Path]:
    import matplotlib as mpl

    paths = {name: Path("figures") / study.name / f"{slug(name)}.png" for name in charts}
    for name, draw in charts.items():
        (folder / paths[name]).parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(CHART_STYLE):
            # No software version in the file: the same results give the same bytes.
            draw().savefig(folder / paths[name], dpi=144, metadata={"Software": None})
    return paths


def _training(study: Study) -> Figure:
    """One panel a metric, one line a trial; a tracker keeps its colour, training data its dashes.

    A metric of one step of several is called after both: "train: loss". A step that trials share is one line.
    Losses and errors that span more than a decade have a log axis.
    """
    trained = [trial for trial in study.trials if trial.curves]
    metrics = list(dict.fromkeys(name for trial in trained for name in trial.curves))
    dashes = dict(zip(dict.fromkeys(trial.train for trial in trained), ("-", "--", ":", "-."), strict=False))
    colours = _colours(study)
    figure, panels = _panels([metric.replace("/", ": ") for metric in metrics])
    for metric, axes in zip(metrics, panels, strict=True):
        drawn = [trial for trial in trained if metric in trial.curves]
        alike: dict[bytes, list[Trial]] = {}
        for trial in drawn:
            alike.setdefault(trial.curves[metric].tobytes(), []).append(trial)
        for trial, *others in alike.values():
            steps, values = trial.curves[metric].T
            style, colour = dashes.get(trial.train, "-"), colours[trial.tracker]
            label = f"{trial.name}†" if trial.caveat else trial.name
            if others:
                style, colour, label = "-", SHARED, f"shared by {len(others) + 1} trials"
            axes.plot(steps, values, style, color=colour, label=label)
        axes.set_xlabel("step")
        reached = np.concatenate([trial.curves[metric][:, 1] for trial in drawn])
        if metric.endswith(("loss", "error")) and 0 < 10 * reached.min(initial=np.inf) < reached.max(initial=0):
            axes.set_yscale("log")
    _legend(figure, panels)
    return figure


def _by_length(study: Study, paper: Paper, grid: Grid) -> Figure:
    """One panel a benchmark, one line a tracker in its 95% interval; crosses are the paper's own, if comparable."""
    figure, panels = _panels(list(study.benchmarks), shared=True)
    for benchmark, axes in zip(study.benchmarks, panels, strict=True):
        for tracker, colour in _colours(study).items():
            keys = {length: (tracker, benchmark, Aspect(paper.measure, length)) for length in study.lengths}
            found = {length: grid.cells[key] for length, key in keys.items() if key in grid.cells}
            printed = {length: paper.cells.get(key) for length, key in keys.items()}
            if found:
                low, high = zip(*(cell.interval for cell in found.values()), strict=True)
                axes.fill_between(list(found), low, high, color=colour, alpha=0.15, linewidth=0)
                axes.plot(
                    list(found), [cell.mean for cell in found.values()], "o-", color=colour, label=study.marked(tracker)
                )
            if study.comparable:
                means = {length: cell.mean for length, cell in printed.items() if cell is not None}
                axes.plot(list(means), list(means.values()), "x", color=colour)
        axes.set_xscale("log", base=2)
        axes.set_xticks(study.lengths, [str(length) for length in study.lengths])
        axes.minorticks_off()
        axes.set_xlabel("length in frames")
    panels[0].set_ylim(bottom=0)  # of all: they share it
    figure.supylabel(measure_name(paper.measure), fontsize=9)
    _legend(figure, panels)
    return figure


def _curves(summary: Summary, curves: Mapping[str, Mapping[str, Cell]]) -> Figure:
    """One panel a curve, one line a tracker; the legend has the best first, with its score, as OTB's plots do."""
    from matplotlib.figure import Figure

    most = max(map(len, curves.values()))
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17), "ncols": 2, "fontsize": 6} if most > MANY else {}
    height = 3 + (0.06 * most if below else 0)  # a line of the legend for every two
    figure = Figure(figsize=(3.6 * max(2, len(curves)), height), layout="constrained")
    panels = figure.subplots(1, max(2, len(curves)), squeeze=False)[0]
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    colours = _colours(summary.grid.study)
    for (name, cells), axes in zip(curves.items(), panels, strict=False):
        curve = CURVES[name]
        measure = next(measure for measure in curve.measures if measure in summary.measures)
        for tracker in summary.ranked(measure):
            if tracker in cells:
                score = summary.cell(tracker, measure)
                assert score is not None
                label = f"{summary.grid.study.marked(tracker)} [{shown(measure, score.mean)}]"
                line = "-" if list(colours).index(tracker) < len(COLOURS) else "--"  # the colours recur
                axes.plot(*curve_points(cells[tracker]), line, color=colours[tracker], label=label)
        axes.set_title(f"{name.replace('_', ' ')} [{measure_name(measure)}]")
        axes.set_xlabel(curve.axes[0])
        axes.set_ylabel(curve.axes[1])
        axes.set_ylim(0, 1)
        axes.margins(x=0)
        axes.legend(**below)
    return figure


def _plots(chart: Chart, drawing: Drawing, colours: Mapping[str, str]) -> Figure:
    """One panel a protocol, one line a tracker; the legend has the height of each."""
    curve = CURVES[CURVED[chart.kind]]
    figure, panels = _panels(list(dict.fromkeys(point.panel for point in drawing.points)))
    for axes in panels:
        lines: dict[str, list[Point]] = {}
        for point in drawing.points:
            if point.panel == axes.get_title(loc="left"):
                lines.setdefault(point.series, []).append(point)
        for tracker, line in lines.items():
            x, y = np.array([(point.x, point.y) for point in line]).T
            label = f"{_marked(tracker, drawing)} [{height(chart, x, y):.3f}]"
            axes.plot(x, y, color=colours[tracker], label=label)
            if chart.kind in BANDED:
                low, high = np.array([(point.low, point.high) for point in line], float).T
                axes.fill_between(x, low, high, color=colours[tracker], alpha=0.15, linewidth=0)
        axes.set_xlabel(curve.axes[0])
        axes.set_ylabel(curve.axes[1])
        axes.set_ylim(0, 1)
        axes.margins(x=0)
        axes.legend()
    return figure


def _marked(name: str, drawing: Drawing) -> str:
    """With a dagger where there is a caveat, see `Study.marked`."""
    return f"{name}†" if name in drawing.caveats else name


def _points(chart: Chart, drawing: Drawing, colours: Mapping[str, str]) -> Figure:
    """One panel of points, or two; a line, or a colour, is a series. Ranks run from the worst to the best."""
    points = [replace(point, label=_marked(point.label, drawing)) for point in drawing.points]
    figure, panels = _panels(list(dict.fromkeys(point.panel for point in points)))
    names = list(dict.fromkeys(point.series for point in points))
    for axes in panels:
        for i, name in enumerate(names):
            own = [point for point in points if (point.series, point.panel) == (name, axes.get_title(loc="left"))]
            x, y = np.array([(point.x, point.y) for point in own]).reshape(-1, 2).T
            if chart.kind in ("subsets", "trend"):  # beside each other
                width = 0.6 if chart.kind == "subsets" else 0.02 * np.ptp([point.x for point in points])
                x = x + width * ((i + 0.5) / len(names) - 0.5)
            line = "-" if chart.kind == "trend" or (chart.kind == "ranks" and name != OTHERS) else ""
            axes.plot(x, y, "o" + line, color=colours[name], label=subset_name(_marked(name, drawing)))
            if chart.kind in ("subsets", "trend", "tradeoff"):
                low, high = np.array([(point.low, point.high) for point in own], float).reshape(-1, 2).T
                axes.vlines(x, low, high, color=colours[name], linewidth=1)
        _label(chart, points, axes)
        if chart.kind in OF_EVERYONE:
            _name([point for point in points if point.panel == axes.get_title(loc="left")], axes, len(panels))
    if names != [ALL]:
        _legend(figure, panels)
    return figure


def _label(chart: Chart, points: Sequence[Point], axes: Axes) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_ylabel(FPS if axes.get_title(loc="left") == FPS else measure_name(chart.measure))
    if chart.kind in ("ranks", "speed"):
        axes.invert_yaxis()
    if chart.kind in OF_EVERYONE:
        axes.margins(0.15)
    if chart.kind == "ranks":
        axes.invert_xaxis()
        axes.set_xlabel("accuracy rank")
        axes.set_ylabel("robustness rank")
    elif chart.kind in ("speed", "tradeoff"):
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 30 * low else (1,)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(axes.get_title(loc="left") or FPS)
        if chart.kind == "speed":
            axes.set_ylabel("overall rank")
        else:
            axes.set_ylim(bottom=0)
    elif chart.kind == "subsets":
        places = {point.x: subset_name(point.label) for point in points}
        axes.set_xticks(list(places), list(places.values()))
        axes.set_ylim(bottom=0)
    else:
        axes.set_xlabel(chart.axis or chart.setting)
        axes.set_ylim(bottom=0)


def _name(points: Sequence[Point], axes: Axes, columns: int) -> None:
    """Write each point's label beside it, at the first of four corners where it is on no other, nor on a point."""
    height, width = 150, 460 / columns  # of a panel, in typographic points, about
    to_axes = axes.transScale + axes.transLimits
    at = to_axes.transform([(point.x, point.y) for point in points]) * (width, height)
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in at]
    for point, (x, y) in zip(points, at, strict=True):
        wide = 3.8 * len(point.label)
        corners = [(x + 4, y + 2), (x + 4, y - 10), (x - 4 - wide, y + 2), (x - 4 - wide, y - 10)]
        boxes = [(left, low, left + wide, low + 8) for left, low in corners]
        crossed = [
            sum(a < right and left < c and b < top and low < d for a, b, c, d in taken)
            for left, low, right, top in boxes
        ]
        best = crossed.index(min(crossed))
        taken.append(boxes[best])
        offset, side = (4 if best < 2 else -4, (2, -10)[best % 2]), ("left", "right")[best // 2]
        place = (point.x, point.y)
        axes.annotate(point.label, place, offset, textcoords="offset points", fontsize=7, ha=side)


def _colours(study: Study) -> dict[str, str]:
    return dict(zip(study.trackers, cycle(COLOURS), strict=False))


def _panels(titles: list[str], shared: bool = False) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure  # without pyplot: no display, no state

    columns = min(2, len(titles))
    lines = -(-len(titles) // columns)
    figure = Figure(figsize=(7.2, 2.6 * lines + 0.8), layout="constrained")
    panels = list(figure.subplots(lines, columns, squeeze=False, sharey=shared).flat)
    for axes in panels[len(titles) :]:
        axes.set_visible(False)
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(title)
    return figure, panels[: len(titles)]


def _legend(figure: Figure, panels: list[Axes]) -> None:
    """One legend for all panels, below them."""
    entries: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    if entries:
        columns = max(1, 110 // (max(map(len, entries)) + 8))  # about 110 letters stand in a line
        figure.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=columns)
