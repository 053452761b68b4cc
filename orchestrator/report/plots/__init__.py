"""Plots of results: descriptions in Vega-Lite, drawn in the page, and as SVG and PDF for papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.report.comparisons import RANKED_BY_ATTRIBUTE, Pairwise
from orchestrator.report.plots import costs
from orchestrator.report.plots.attributes import by_attribute
from orchestrator.report.plots.curves import curve
from orchestrator.report.plots.drawn import of_paper
from orchestrator.report.plots.folds import folds
from orchestrator.report.plots.lengths import by_length
from orchestrator.report.plots.plot import Plot, write
from orchestrator.report.plots.ranked import critical_difference, scores
from orchestrator.report.plots.scatter import accuracy_robustness, speed
from orchestrator.report.plots.training import training
from orchestrator.report.summary import Summary
from trackers.evaluation import vot
from trackers.evaluation.significance import Ranking

__all__ = ["Plot", "by_length", "costs", "of_paper", "of_summary", "of_together", "training", "write"]


def of_summary(summary: Summary, pairwise: Sequence[Pairwise], measure: str) -> list[Plot]:
    """All that there is to draw of one table, the most telling first. measure: by which trackers are ranked."""
    rankings = {one.measure: one.ranking for one in pairwise if one.ranking is not None}
    curves = [curve(summary, name, cells) for name, cells in summary.curves().items()]
    lost = folds(summary, measure)
    return [*curves, *of_together(summary, rankings, measure), *_attributes(summary), *([lost] if lost else [])]


def of_together(summary: Summary, rankings: Mapping[str, Ranking], measure: str) -> list[Plot]:
    """What is drawn of all trackers of the project, too: scores, average ranks, accuracy and robustness, speed."""
    fast = speed(summary, measure)
    ranked = measure if measure in rankings else next(iter(rankings), None)  # by EAO there is no diagram
    differences = [critical_difference(summary, ranked, rankings[ranked])] if ranked else []
    drawn = [scores(summary, measure), *differences, *accuracy_robustness(summary), *([fast] if fast else [])]
    return sorted(drawn, key=lambda plot: plot.wide)  # the others stand in pairs


def _attributes(summary: Summary) -> list[Plot]:
    """By the first measure that attributes have, or by both that VOT has."""
    known = [
        m for m in summary.measures if any(summary.cell(t, m, s) for t in summary.trackers for s in summary.subsets)
    ]
    both = [m for m in known if m in RANKED_BY_ATTRIBUTE] if summary.protocol in vot.PROTOCOLS else []
    return [by_attribute(summary, measure) for measure in (both or known[:1])]
