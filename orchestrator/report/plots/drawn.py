"""The figures of numbers that a paper has, see `orchestrator.report.charts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from orchestrator.report import colours
from orchestrator.report.charts import BANDED, CURVED, FPS, OTHERS, Drawing, Point, height
from orchestrator.report.paper import Chart
from orchestrator.report.plots import labels
from orchestrator.report.plots.curves import MOST, lines
from orchestrator.report.plots.plot import Plot
from orchestrator.report.plots.scatter import PANEL, TICKS, ticks
from orchestrator.report.plots.spec import Spec, picked, said, told_apart, view, with_legend, x, y
from orchestrator.report.plots.style import PLAIN
from orchestrator.report.results import Study
from orchestrator.report.summary import measure_name, subset_name
from orchestrator.report.table import slug
from trackers.evaluation.curves import CURVES
from trackers.evaluation.results import ALL

ASIDE = 5  # pixels by which lines are moved aside for their intervals not to lie on each other, at most
RANKS = {"ranks": ("accuracy rank", "robustness rank"), "speed": (FPS, "overall rank")}  # axes


def of_paper(study: Study, drawn: Mapping[Chart, Drawing]) -> dict[Chart, list[Plot]]:
    """A plot for each panel of each of the charts; a series has the same colour in all of them."""
    series = dict.fromkeys(point.series for drawing in drawn.values() for point in drawing.points)
    palette = colours.of(dict.fromkeys([*study.trackers, *(name for name in series if name != OTHERS)]))
    return {chart: list(_panels(study, chart, drawing, palette)) for chart, drawing in drawn.items()}


def _panels(study: Study, chart: Chart, drawing: Drawing, palette: Mapping[str, str]) -> list[Plot]:
    plots = []
    for panel in dict.fromkeys(point.panel for point in drawing.points):
        points = [point for point in drawing.points if point.panel == panel]
        draw = _curves if chart.kind in CURVED else _beside if chart.kind in ("subsets", "trend") else _scattered
        shown = ", ".join(dict.fromkeys(_marked(p.label, drawing) for p in points))
        plots.append(
            Plot(
                slug(f"{study.name}-{chart.title}-{panel}".strip("-")),
                f"{chart.title}: {panel}" if panel else chart.title,
                f"{chart.title} of the paper with our numbers, on {chart.benchmark}: {shown}.",
                draw(chart, panel, points, drawing, {**palette, OTHERS: colours.SHARED}),
            )
        )
    return plots


def _curves(chart: Chart, panel: str, points: Sequence[Point], drawing: Drawing, palette: Mapping[str, str]) -> Spec:
    """A line for each tracker; the legend has the height of each."""
    by_tracker: dict[str, list[Point]] = {}
    for point in points:
        by_tracker.setdefault(point.series, []).append(point)
    rows, apart = [], {}
    for tracker, line in by_tracker.items():
        level = height(chart, *np.array([(point.x, point.y) for point in line]).T)
        label = f"{_marked(tracker, drawing)} [{level:.3f}]"
        apart[label] = palette[tracker]
        kept = np.unique(np.linspace(0, len(line) - 1, min(MOST, len(line))).round().astype(int)).tolist()
        rows += [{"tracker": tracker, "label": label, **_numbers(line[i])} for i in kept]
    return lines(rows, apart, CURVES[CURVED[chart.kind]].axes, band=chart.kind in BANDED)


def _scattered(chart: Chart, panel: str, points: Sequence[Point], drawing: Drawing, palette: Mapping[str, str]) -> Spec:
    """A point for each tracker, with its name beside it where there is room. Ranks run from the worst to the best."""
    ranked = chart.kind in ("ranks", "speed")
    across, up = RANKS.get(chart.kind, (FPS, measure_name(chart.measure)))
    log = chart.kind != "ranks"
    ends = [end for point in points for end in (point.low, point.high) if end is not None]
    places, scale = labels.shares([point.x for point in points], log, reverse=not log)
    heights, upward = labels.shares([*(point.y for point in points), *ends], False, ranked)
    names = [_marked(point.label, drawing) for point in points]
    corners = labels.placed(np.array([places, heights[: len(points)]]).T, names, PANEL)
    rows = [
        {"tracker": point.label, "label": _marked(point.series, drawing), "name": name, "corner": corner}
        | _numbers(point)
        for point, name, corner in zip(points, names, corners, strict=True)
    ]
    axes: Spec = {
        "x": x(panel or across, scale=scale, axis=ticks(scale) if log else TICKS),
        "y": y(up, scale=upward, axis=TICKS),
    }
    apart = {_marked(p.series, drawing): palette[p.series] for p in sorted(points, key=lambda p: p.series == OTHERS)}
    coloured = told_apart(apart, legend=len(apart) > 1)["color"]
    tooltip = [said("tracker", "tracker"), said("x", panel or across, ".3~g"), said("y", up, ".3~f")]
    layers: list[Spec] = []
    if ends:
        limits = {"y": {**axes["y"], "field": "low"}, "y2": {"field": "high"}}
        layers.append({"mark": "rule", "encoding": {"x": axes["x"], **limits, "color": coloured, **picked(0.6)}})
    if chart.kind == "ranks":
        layers.append(
            {
                "transform": [{"filter": f"datum.label !== '{OTHERS}'"}],
                "mark": "line",
                "encoding": {**axes, "color": coloured, "order": {"field": "order"}, **picked()},
            }
        )
        rows = [{**row, "order": i} for i, row in enumerate(rows)]
    marks = {"mark": {"type": "point", "size": 50}, "encoding": {**axes, "color": coloured, **picked()}}
    marks["encoding"] |= {"tooltip": tooltip}
    spec = [*layers, {**marks}, *labels.layers(axes)]
    return view(rows, spec, with_legend(len(apart)) if len(apart) > 1 else PLAIN)


def _beside(chart: Chart, panel: str, points: Sequence[Point], drawing: Drawing, palette: Mapping[str, str]) -> Spec:
    """Points with intervals, those of several series beside each other: by subset; or joined, by a setting."""
    series = list(dict.fromkeys(point.series for point in points))
    up = panel or measure_name(chart.measure)
    step = min(ASIDE, 20 / len(series))
    rows = [
        {"label": subset_name(_marked(point.series, drawing)), "of": subset_name(_marked(point.label, drawing))}
        | _numbers(point)
        for point in points
    ]
    apart = {subset_name(_marked(name, drawing)): palette[name] for name in series}
    layers: list[Spec] = []
    for i, name in enumerate(apart):
        own = [{"filter": {"field": "label", "equal": name}}]
        across: Spec
        if chart.kind == "subsets":
            across = x(None, "of", "nominal", sort=None, axis={"labelAngle": -30 if len(rows) > 5 * len(apart) else 0})
            across["axis"]["grid"] = False
            aside: Spec = {"field": "label", "type": "nominal", "sort": None, "scale": {"paddingOuter": 1}}
        else:
            settings = sorted({point.x for point in points})
            ticks_ = {"grid": False, "values": settings, "format": "~g"}
            across = x(chart.axis or chart.setting, scale={"zero": False}, axis=ticks_)
            aside = {"value": (i - (len(series) - 1) / 2) * step}
        heights = y(up, scale={"zero": True})
        coloured = {"color": told_apart(apart, legend=series != [ALL])["color"], "xOffset": aside}
        limits = {"y": {**heights, "field": "low"}, "y2": {"field": "high"}}
        tooltip = [
            said("label", "of"),
            said("of", "on" if chart.kind == "subsets" else "tracker"),
            said("y", up, ".3~f"),
        ]
        if any(point.low is not None for point in points):
            tooltip += [said("low", "95% from", ".3~f"), said("high", "to", ".3~f")]
            layers.append(
                {"transform": own, "mark": "rule", "encoding": {"x": across, **limits, **coloured, **picked()}}
            )
        if chart.kind == "trend":
            layers.append({"transform": own, "mark": "line",
                           "encoding": {"x": across, "y": heights, **coloured, **picked()}})  # fmt: skip
        marks = {"x": across, "y": heights, **coloured, **picked(), "tooltip": tooltip}
        layers.append({"transform": own, "mark": {"type": "point", "size": 50}, "encoding": marks})
    return view(rows, layers, with_legend(len(apart)) if series != [ALL] else PLAIN)


def _numbers(point: Point) -> dict[str, float]:
    """What is drawn of it."""
    return {
        k: v for k, v in {"x": point.x, "y": point.y, "low": point.low, "high": point.high}.items() if v is not None
    }


def _marked(name: str, drawing: Drawing) -> str:
    """With a dagger where there is a caveat, see `Study.marked`."""
    return f"{name}†" if name in drawing.caveats else name
