"""The claims of a paper with their verdicts, and the cells that each rests on."""

from __future__ import annotations

from urllib.parse import quote

from orchestrator.report.claims import FAILS, HOLDS, NOT_TESTED, UNDECIDED, Contrast, Finding
from orchestrator.report.results import Study
from orchestrator.report.section import Section
from orchestrator.report.table import Cell, Column, Mark, Row, Table, slug
from orchestrator.report.tables import cells

MARKS: dict[str, Mark] = {HOLDS: "holds", FAILS: "does-not-hold", UNDECIDED: "undecided", NOT_TESTED: "not-tested"}


def claims(section: Section) -> Table:
    """A row a claim: its verdict, the mean difference over its cells, and in how many of these it holds.

    Each leads to its details in the page.
    """
    study, findings = section.study, section.findings
    axes = {
        measure: cells.axis(one.estimate for one in findings if one.estimate and _measure(one) == measure)
        for measure in {_measure(one) for one in findings}
    }
    rows = []
    for i, finding in enumerate(findings, 1):
        estimate, (agree, known) = finding.estimate, finding.printed
        row = [
            _verdict(finding.verdict),
            cells.difference(estimate, axes[_measure(finding)]) if estimate else cells.hole(),
            cells.count(estimate.n) if estimate else cells.hole(),
            _share(finding.holding, len(finding.contrasts)),
            _share(agree, known),
        ]
        rows.append(Row(finding.claim.statement, row, link=f"#{quote(section.place)}-claim-{i}"))
    head = [
        Column("claim", text=True), Column("verdict", text=True), Column("difference"), Column("n"),
        Column("here", "cells that hold", "higher"), Column("as the paper prints them", "cells that hold", "higher"),
    ]  # fmt: skip
    notes = [
        "Differences paired over n sequences, with 95% bootstrap intervals; above 0 is better. Drawings of one measure "
        "share an axis."
    ]
    return Table(slug(study.name, "claims"), "Verdicts", head, rows, notes, place=f"Claims of {study.name}")


def contrasts(study: Study, finding: Finding) -> Table:
    """The cells of one claim, a row each."""
    axis = cells.axis(contrast.estimate for contrast in finding.contrasts)
    rows = [_contrast(study, contrast, axis) for contrast in finding.contrasts]
    head = [
        Column("benchmark", text=True), Column("of", text=True), Column("trackers", text=True), Column("difference"),
        Column("verdict", text=True), Column("n"), Column("the paper’s difference"),
    ]  # fmt: skip
    named = [tracker for tracker in (finding.claim.tracker, finding.claim.than) if tracker]
    notes = cells.caveats(study, named)
    name = slug(study.name, "claim", finding.claim.name)
    return Table(name, "Cell by cell", head, rows, notes, cells.badge(study), finding.claim.statement)


def _contrast(study: Study, contrast: Contrast, axis: cells.Axis) -> Row:
    tracker, benchmark, aspect = contrast.first
    than, _, other = contrast.second
    longer = f" → {other.length}" if other.length != aspect.length else ""
    row = [
        cells.words(cells.aspect_name(aspect) + longer),
        cells.words(", ".join(study.marked(name) for name in dict.fromkeys((tracker, than)))),
        cells.difference(contrast.estimate, axis),
        _verdict(contrast.verdict),
        cells.count(contrast.estimate.n),
        cells.hole() if contrast.paper is None else Cell(cells.signed(contrast.paper, 2), contrast.paper),
    ]
    return Row(benchmark, row)


def _measure(finding: Finding) -> str | None:
    """Of all its cells."""
    return next((contrast.first[2].measure for contrast in finding.contrasts), None)


def _verdict(verdict: str) -> Cell:
    return cells.words(verdict, MARKS[verdict])


def _share(part: int, whole: int) -> Cell:
    return Cell(f"{part} of {whole}", part) if whole else cells.hole()
