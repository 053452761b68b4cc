"""The folds of a cross-validation: which of them a tracker loses."""

from __future__ import annotations

from typing import Any

from orchestrator.report.plots.heat import heat
from orchestrator.report.plots.names import slugged
from orchestrator.report.plots.plot import Plot
from orchestrator.report.plots.spec import said
from orchestrator.report.results import Quantity
from orchestrator.report.scores import pool
from orchestrator.report.summary import Summary, measure_name, titled
from trackers.evaluation.measures import MEASURES


def folds(summary: Summary, measure: str) -> Plot | None:
    """A cell for each tracker and fold: the score on the sequences of that fold; None if no tracker has several."""
    study = summary.grid.study
    quantity = Quantity(measure, summary.protocol, None, convention=summary.convention)
    rows: list[dict[str, Any]] = []
    for tracker in summary.ranked(measure):
        trials = study.trials_of(tracker)
        numbers = sorted({trial.fold for trial in trials if trial.fold is not None})
        parts = {n: pool((trial for trial in trials if trial.fold == n), summary.benchmark, quantity) for n in numbers}
        known = {number: cell for number, cell in parts.items() if cell is not None}
        if len(known) > 1:
            rows += [
                {"tracker": tracker, "label": study.marked(tracker), "fold": f"fold {number}"}
                | {"value": cell.mean, "n": cell.n, "sequences": ", ".join(cell.sequences[:8])}
                for number, cell in known.items()
            ]
    if not rows:
        return None
    name, better = measure_name(measure), MEASURES[measure].better
    tooltip = [said("tracker", "tracker"), said("fold", "fold"), said("value", name, ".3~f"),
               said("n", "sequences", "d"), said("sequences", "among them")]  # fmt: skip
    worst = (min if better == "higher" else max)(rows, key=lambda row: row["value"])
    return Plot(
        slugged(summary, f"{measure}-folds"),
        f"{titled(measure)} by fold",
        f"A line a tracker, a column a fold of the cross-validation: the {name} on its sequences, {better} is better. "
        f"The worst is {worst['tracker']} on {worst['fold']}, {worst['value']:.3f}.",
        heat(rows, "fold", "label", tooltip, better),
        True,
        summary.heading,
    )
