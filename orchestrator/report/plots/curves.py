"""Curves of whole data sets: success, precision, EAO, ROC, IoU by frame; the legend has the best first, and scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from orchestrator.report import colours
from orchestrator.report.curves import points
from orchestrator.report.plots.names import slugged
from orchestrator.report.plots.plot import Plot
from orchestrator.report.plots.spec import Spec, nearest, picked, said, told_apart, unit, view, with_legend, x, y
from orchestrator.report.scores import Cell
from orchestrator.report.summary import Summary, measure_name, shown, titled
from trackers.evaluation.curves import CURVES

MOST = 120  # points of a line: more are not seen


def curve(summary: Summary, name: str, cells: Mapping[str, Cell]) -> Plot:
    """One curve of `Summary.curves`, a line a tracker."""
    kind = CURVES[name]
    measure = next(measure for measure in kind.measures if measure in summary.measures)
    palette = colours.of(summary.trackers)
    labels, rows = {}, []
    for tracker in summary.ranked(measure):
        score = summary.cell(tracker, measure)
        if tracker in cells and score is not None:
            label = f"{summary.grid.study.marked(tracker)} [{shown(measure, score.mean)}]"
            labels[label] = palette[tracker]
            rows += [{"tracker": tracker, "label": label, "x": a, "y": b} for a, b in thinned(*points(cells[tracker]))]
    return Plot(
        slugged(summary, name),
        f"{titled(name)} curve",
        f"A line for each of {len(labels)} trackers: {kind.axes[1]} by {kind.axes[0]}. "
        f"By {measure_name(measure)} the best is {next(iter(labels), 'none')}.",
        lines(rows, labels, kind.axes),
        place=summary.heading,
    )


def lines(rows: list[dict[str, object]], labels: Mapping[str, str], axes: tuple[str, str], band: bool = False) -> Spec:
    """A line for each label, in its colour; y from 0 to 1. rows: label, tracker, x, y; with a band low and high."""
    across = x(axes[0], scale={"nice": False, "zero": False}, axis={"grid": False})
    encoding: Spec = {"x": across, "y": y(axes[1], scale=unit()), **told_apart(labels)}
    tooltip = [said("tracker", "tracker"), said("x", axes[0], ".4~g"), said("y", axes[1], ".3f")]
    layers: list[Spec] = [{"mark": "line", "encoding": {**encoding, **picked()}}]
    if band:
        ends = {"y": y(axes[1], "low", scale=unit()), "y2": {"field": "high"}}
        layers.append({"mark": {"type": "area"}, "encoding": {**encoding, **ends, **picked(0.15, 0.02)}})
    return view(rows, [*layers, nearest(encoding, tooltip)], with_legend(len(labels)))


def thinned(x: np.ndarray, y: np.ndarray, most: int = MOST) -> list[tuple[float, float]]:
    """At most so many of a line's known points, evenly spread, its ends among them."""
    known = np.flatnonzero(~np.isnan(y))
    kept = known[np.unique(np.linspace(0, len(known) - 1, min(most, len(known))).round().astype(int))]
    return list(zip(x[kept].tolist(), y[kept].tolist(), strict=True))
