"""The paper's measure by length of the sequences."""

from __future__ import annotations

from orchestrator.report import colours
from orchestrator.report.paper import Aspect, Paper
from orchestrator.report.plots.plot import Plot
from orchestrator.report.plots.spec import Spec, nearest, picked, said, told_apart, view, with_legend, x, y
from orchestrator.report.scores import Grid
from orchestrator.report.summary import measure_name, titled
from orchestrator.report.table import slug

FEW = 6  # lines, up to which each has its interval around it


def by_length(paper: Paper, grid: Grid) -> list[Plot]:
    """A plot for each benchmark that was measured at several lengths."""
    found = [_benchmark(paper, grid, benchmark) for benchmark in grid.study.benchmarks]
    return [plot for plot in found if plot is not None] if len(grid.study.lengths) > 1 else []


def _benchmark(paper: Paper, grid: Grid, benchmark: str) -> Plot | None:
    """A line for each tracker, in its 95% interval; crosses are the paper's own numbers, where comparable."""
    study, palette = grid.study, colours.of(grid.study.trackers)
    rows: list[dict[str, object]] = []
    for tracker in study.trackers:
        for length in study.lengths:
            key = (tracker, benchmark, Aspect(paper.measure, length))
            cell, printed = grid.cells.get(key), paper.cells.get(key) if study.comparable else None
            if cell is not None:
                row = {"tracker": tracker, "label": study.marked(tracker), "x": length, "y": cell.mean}
                ends = {"low": cell.interval[0], "high": cell.interval[1]}
                rows.append(row | ends | ({"paper": printed.mean} if printed else {}))
    if not rows:
        return None
    name = measure_name(paper.measure)
    labels = {str(row["label"]): palette[str(row["tracker"])] for row in rows}
    up = y(name, scale={"zero": True})
    encoding: Spec = {
        "x": x("length (frames)", scale={"type": "log", "base": 2, "nice": False},
               axis={"values": list(study.lengths), "format": "d", "grid": False}),
        "y": up,
        **told_apart(labels),
    }  # fmt: skip
    tooltip = [said("tracker", "tracker"), said("x", "length", "d"), said("y", name, ".3f"),
               said("low", "95% from", ".3f"), said("high", "to", ".3f")]  # fmt: skip
    line = {"type": "line", "point": {"size": 25}}
    layers: list[Spec] = [{"mark": line, "encoding": {**encoding, **picked()}}]
    if len(labels) <= FEW:
        around: Spec = {
            "x": encoding["x"],
            "y": {**up, "field": "low"},
            "y2": {"field": "high"},
            "color": encoding["color"],
        }
        layers.append({"mark": "area", "encoding": {**around, **picked(0.12, 0.02)}})
    if any("paper" in row for row in rows):
        tooltip.append(said("paper", "paper", ".3~f"))
        crosses = {**encoding, "y": {**up, "field": "paper"}, **picked()}
        layers.append({"transform": [{"filter": "isValid(datum.paper)"}],
                       "mark": {"type": "point", "shape": "cross", "angle": 45}, "encoding": crosses})  # fmt: skip
    return Plot(
        slug(f"{study.name}-{benchmark}-length"),
        f"{titled(paper.measure)} by length, {benchmark}",
        f"A line for each of {len(labels)} trackers on {benchmark}: {name} by length, with its 95% interval.",
        view(rows, [*layers, nearest(encoding, tooltip)], with_legend(len(labels))),
        place=study.name,
    )
