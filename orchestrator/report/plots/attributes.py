"""A score by attribute: trackers beside each other with their intervals where they are few, else a heat map."""

from __future__ import annotations

from orchestrator.report import colours
from orchestrator.report.plots.heat import heat
from orchestrator.report.plots.names import slugged
from orchestrator.report.plots.plot import Plot
from orchestrator.report.plots.spec import Spec, picked, said, told_apart, view, with_legend, x, y
from orchestrator.report.summary import Summary, measure_name, subset_name, titled
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import ALL

FEW = 5  # trackers, up to which they stand beside each other


def by_attribute(summary: Summary, measure: str) -> Plot:
    """A score of each tracker that was measured by this on any attribute, and of all sequences."""
    subsets = [s for s in (ALL, *summary.subsets) if any(summary.cell(t, measure, s) for t in summary.trackers)]
    trackers = summary.ranked(measure)
    rows = [
        {"tracker": tracker, "label": summary.grid.study.marked(tracker), "subset": _named(subset), "value": cell.mean}
        | {"low": cell.interval[0], "high": cell.interval[1], "n": cell.n}
        for subset in subsets
        for tracker in trackers
        if (cell := summary.cell(tracker, measure, subset)) is not None
    ]
    name = measure_name(measure)
    title = f"{titled(measure)} by attribute"
    shown = f"The {name} of {len(trackers)} trackers on {len(subsets) - 1} attributes"
    better = MEASURES[measure].better
    text = f"{shown}, {better} is better."
    slugged_name = slugged(summary, f"{measure}-attributes")
    tooltip = [said("tracker", "tracker"), said("subset", "attribute"), said("value", name, ".3~f"),
               said("low", "95% from", ".3~f"), said("high", "to", ".3~f"), said("n", "sequences", "d")]  # fmt: skip
    if len(trackers) > FEW:
        return Plot(slugged_name, title, text, heat(rows, "subset", "label", tooltip, better), True, summary.heading)
    palette = colours.of(summary.trackers)
    apart = told_apart({summary.grid.study.marked(tracker): palette[tracker] for tracker in trackers})
    beside: Spec = {
        "y": y(None, "subset", "nominal", sort=None, axis={"domain": False, "ticks": False, "grid": False}),
        "yOffset": {"field": "label", "type": "nominal", "sort": None},
        **apart,
    }
    across = x(name, "value", scale={"zero": MEASURES[measure].bounds[1] <= 1}, axis={"tickCount": 10})
    layers: list[Spec] = [
        {"mark": "rule", "encoding": {**beside, "x": {**across, "field": "low"}, "x2": {"field": "high"}, **picked()}},
        {"mark": "point", "encoding": {**beside, "x": across, **picked(), "tooltip": tooltip}},
    ]
    lines = len(subsets) * (9 * len(trackers) + 7)
    spec = view(rows, layers, with_legend(len(trackers), True, 60 + lines), wide=True)
    return Plot(slugged_name, title, text, spec, True, summary.heading)


def _named(subset: str) -> str:
    return "all sequences" if subset == ALL else subset_name(subset)
