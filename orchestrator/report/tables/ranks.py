"""Trackers against each other: differences from the best, and average ranks."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from orchestrator.report.comparisons import OVERALL, Pairwise, average_ranks
from orchestrator.report.section import Together
from orchestrator.report.summary import Summary, measure_name, titled
from orchestrator.report.table import Cell, Column, Row, Table, slug
from orchestrator.report.tables import cells
from trackers.evaluation.significance import Ranking


def against(summary: Summary, pairwise: Pairwise) -> Table | None:
    """The best tracker minus each of the others by one measure; None where none is the best."""
    study, best = summary.grid.study, summary.best(pairwise.measure)
    if best is None:
        return None
    pairs = pairwise.of(best)
    axis = cells.axis(pair.estimate for pair in pairs)
    rows = [
        Row(
            study.marked(pair.than),
            [
                cells.difference(pair.estimate, axis),
                cells.hole() if pair.p_holm is None else Cell(f"{pair.p_holm:.2g}", pair.p_holm),
                cells.count(pair.estimate.n),
            ],
        )
        for pair in pairs
    ]
    title = f"{titled(pairwise.measure)} of {best} minus that of each other"
    notes = ["95% bootstrap intervals, paired over the sequences that count for every tracker."]
    if any(pair.p_holm is not None for pair in pairs):
        notes.append("p of Wilcoxon’s signed-rank test after Holm, of all pairs.")
    notes += cells.caveats(study, summary.tested, ranked=True)
    head = [Column("tracker", text=True), Column("difference"), Column("p, Holm"), Column("sequences")]
    name = slug(study.name, "against", summary.name, pairwise.measure)
    return Table(name, title, head, rows, notes, place=summary.heading)


def ranks(summary: Summary, rankings: Mapping[str, Ranking]) -> Table | None:
    """Average ranks, 1 the best: over sequences by measure, and VOT's over tags of frames; None where nothing ranks."""
    averages = average_ranks(summary)
    tables = [*(ranking.ranks for ranking in rankings.values()), *averages.values()]
    if not tables:
        return None
    last = averages.get(OVERALL) or tables[-1]
    trackers = sorted({t: None for ranked in tables for t in ranked}, key=lambda t: last.get(t, inf))
    study = summary.grid.study
    rows = [Row(study.marked(tracker), [_rank(ranked.get(tracker)) for ranked in tables]) for tracker in trackers]
    empty = [cells.hole()] * len(averages)
    if rankings:
        tests = {
            "critical difference": [Cell(f"{one.difference:.2f}", one.difference) for one in rankings.values()],
            "p that all are alike": [Cell(f"{one.p:.2g}", one.p) for one in rankings.values()],
            "sequences": [cells.count(one.n) for one in rankings.values()],
        }
        rows += [Row(heading, [*row, *empty], foot=True) for heading, row in tests.items()]
    tagged = f"over {len(summary.tags)} tags of frames"
    head = [
        *(Column(measure_name(measure), "over sequences", "lower") for measure in rankings),
        *(Column(measure_name(measure).replace("+", " + "), tagged, "lower") for measure in averages),
    ]
    notes = cells.caveats(study, summary.trackers, ranked=True)
    if rankings:
        alike = "Ranks that differ by less than the critical difference (Nemenyi, 0.05) are alike; p is Friedman’s."
        notes.insert(0, f"{alike} In the diagram a bar joins what is alike.")
    name, head = slug(study.name, "ranks", summary.name), [Column("tracker", text=True), *head]
    return Table(name, "Average ranks", head, rows, notes, place=summary.heading)


def ranks_together(one: Together) -> Table | None:
    """The same of all trackers of the project on one benchmark."""
    return ranks(one.summary, one.rankings)


def _rank(rank: float | None) -> Cell:
    return cells.hole() if rank is None else Cell(f"{rank:.2f}", float(rank))
