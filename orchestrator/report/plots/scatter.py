"""A point for each tracker: accuracy against robustness, and a score against speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.report import colours
from orchestrator.report.charts import mean_speed
from orchestrator.report.comparisons import average_ranks
from orchestrator.report.plots import labels
from orchestrator.report.plots.names import slugged
from orchestrator.report.plots.plot import Plot
from orchestrator.report.plots.spec import Spec, picked, said, told_apart, view, with_legend, x, y
from orchestrator.report.plots.style import PLAIN, WIDTH
from orchestrator.report.summary import Summary, measure_name, titled
from trackers.evaluation.measures import MEASURES

PANEL = (WIDTH - 60, PLAIN - 50)  # pixels: about what the axes leave
TICKS = {"grid": True, "tickCount": 6}
STEPS = {1.5: (1, 2, 5), 0.6: (1, 2, 3, 5, 7), 0.0: (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)}  # by decades spanned


@dataclass(frozen=True)
class Axis:
    """of: by tracker. ends: 95% intervals, of y. better: which way the best lie, who stand at the right, or on top."""

    title: str
    of: Mapping[str, float]
    better: str = "higher"
    log: bool = False
    ends: Mapping[str, tuple[float, float]] | None = None


def accuracy_robustness(summary: Summary) -> list[Plot]:
    """VOT's A-R plots, of the scores and of ranks averaged over attributes; the best at the upper right."""
    cells = {
        measure: {t: cell.mean for t in summary.competing if (cell := summary.cell(t, measure)) is not None}
        for measure in ("accuracy", "robustness")
    }
    found = []
    if len(set(cells["accuracy"]) & set(cells["robustness"])) > 1:
        across, up = (Axis(measure, cells[measure], MEASURES[measure].better) for measure in ("robustness", "accuracy"))
        found.append(_scatter(summary, "ar", "Accuracy and robustness", across, up))
    ranks = average_ranks(summary)
    if {"accuracy", "robustness"} <= set(ranks):
        across, up = (Axis(f"{name} rank", ranks[name], "lower") for name in ("robustness", "accuracy"))
        found.append(_scatter(summary, "ar-ranks", "Accuracy and robustness by rank", across, up))
    return found


def speed(summary: Summary, measure: str) -> Plot | None:
    """The score, with its 95% interval, by frames per second; None if fewer than two trackers have both."""
    fps, scores, ends = {}, {}, {}
    for tracker in summary.trackers:
        made = mean_speed(summary.grid.study, tracker, summary.benchmark)
        cell = summary.cell(tracker, measure)
        if made and cell is not None:
            fps[tracker], scores[tracker], ends[tracker] = made, cell.mean, cell.interval
    if len(scores) < 2:
        return None
    up = Axis(measure_name(measure), scores, MEASURES[measure].better, ends=ends)
    across = Axis("frames per second", fps, log=True)
    return _scatter(summary, "speed", f"{titled(measure)} and speed", across, up)


def _scatter(summary: Summary, kind: str, title: str, across: Axis, up: Axis) -> Plot:
    study = summary.grid.study
    trackers = [tracker for tracker in summary.trackers if tracker in across.of and tracker in up.of]
    palette = colours.of(summary.trackers)
    rows = [
        {"tracker": tracker, "label": study.marked(tracker), "x": across.of[tracker], "y": up.of[tracker]}
        | (dict(zip(("low", "high"), up.ends[tracker], strict=True)) if up.ends else {})
        for tracker in trackers
    ]
    best = min(trackers, key=lambda t: up.of[t] * (1 if up.better == "lower" else -1))
    return Plot(
        slugged(summary, kind),
        title,
        f"A point for each of {len(rows)} trackers: {up.title} by {across.title}, the best at the upper right. "
        f"By {up.title} the best is {best}.",
        scatter(rows, {study.marked(tracker): palette[tracker] for tracker in trackers}, across, up),
        place=summary.heading,
    )


def scatter(rows: Sequence[Mapping[str, object]], series: Mapping[str, str], across: Axis, up: Axis) -> Spec:
    """Points, each with its name beside it where they are few; else a legend, with shapes besides colours.

    rows: tracker, label (a key of `series`, which has its colour), x, y; low and high where `up` has intervals.
    """
    few = len(rows) <= labels.FEW
    places, scale = labels.shares([float(str(row["x"])) for row in rows], across.log, across.better == "lower")
    ends = [float(str(row[name])) for row in rows for name in ("low", "high") if up.ends]
    heights, upward = labels.shares([*(float(str(row["y"])) for row in rows), *ends], False, up.better == "lower")
    corners = labels.placed(np.array([places, heights[: len(rows)]]).T, [str(row["label"]) for row in rows], PANEL, few)
    axes: Spec = {
        "x": x(across.title, scale=scale, axis=ticks(scale) if across.log else TICKS),
        "y": y(up.title, scale=upward, axis=TICKS),
    }
    apart = told_apart(series, shapes=True, legend=not few)
    tooltip = [said("tracker", "tracker"), said("x", across.title, ".3~g"), said("y", up.title, ".3~f")]
    layers: list[Spec] = []
    if up.ends:
        tooltip += [said("low", "95% from", ".3~f"), said("high", "to", ".3~f")]
        limits = {"y": {**axes["y"], "field": "low"}, "y2": {"field": "high"}}
        layers.append(
            {"mark": {"type": "rule"}, "encoding": {"x": axes["x"], **limits, "color": apart["color"], **picked(0.6)}}
        )
    points = {"mark": {"type": "point", "size": 60}, "encoding": {**axes, **apart, **picked(), "tooltip": tooltip}}
    layers.append(points)
    if few:
        named = labels.layers(axes, "label")
        return view([{**row, "corner": c} for row, c in zip(rows, corners, strict=True)], [*layers, *named], PLAIN)
    return view(rows, layers, with_legend(len(series)))


def ticks(scale: Spec) -> Spec:
    """An axis for a log scale, with round numbers, enough of them for what it spans."""
    low, high = np.log10(scale["domain"])
    steps = next(steps for least, steps in STEPS.items() if high - low >= least)
    values = [m * 10.0**e for e in range(int(np.floor(low)), int(np.ceil(high)) + 1) for m in steps]
    return {"format": "~g", "grid": True, "values": [value for value in values if low <= np.log10(value) <= high]}
