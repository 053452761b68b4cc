"""The headline of the page: a row a study, and all trackers by the measures that their papers are mostly about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.report import claims, scores
from orchestrator.report.paper import Aspect
from orchestrator.report.table import Beside, Cell, Column, Row, Table
from orchestrator.report.tables import cells
from trackers.evaluation.results import ALL

if TYPE_CHECKING:
    from orchestrator.report.page import Section

REFERENCES = ("KerCorrTracker", "Identity")  # against which a study is read, the first that it has
VERDICTS = (claims.HOLDS, claims.FAILS, claims.UNDECIDED, claims.NOT_TESTED)


def overview(sections: Sequence[Section]) -> Table:
    """A row a study: what ran, its best tracker on the main benchmark beside a reference, and what became of claims."""
    head = [
        Column("study", text=True),
        Column("trackers"),
        Column("trials done"),
        Column("benchmarks", text=True),
        Column("measure", "on its first benchmark", text=True),
        Column("best", "on its first benchmark"),
        Column("reference", "on its first benchmark"),
        *(Column(verdict, "claims of the paper") for verdict in VERDICTS),
        Column("comparable with the paper", text=True),
    ]
    notes = [
        "Best: of the trackers that compete, by the measure that the paper is mostly about; “error” and the like are "
        "good when low. Reference: a correlation filter (KerCorrTracker), or one that never moves (Identity)."
    ]
    return Table("overview", "Studies", head, [_study(section) for section in sections], notes)


def headline(sections: Sequence[Section]) -> Table:
    """All trackers of the project by the main measure of each study's benchmarks; the best of each column in bold."""
    head, columns = [Column("tracker", text=True)], []
    for section in sections:
        for benchmark, aspect in main(section).items():
            name = f"{benchmark}, {cells.aspect_name(aspect)}"
            head.append(Column(name, section.study.name, cells.better(aspect.measure)))
            found = _scored(section, benchmark, aspect)
            means = {tracker: cell.mean for tracker, cell in found.items()}
            best = cells.best(means, section.study.competing, cells.better(aspect.measure))
            row = {t: cells.failed(section.grid, t, benchmark) for t in section.study.trackers}
            columns.append(row | {t: cells.mean_interval(c, "best" if t == best else "") for t, c in found.items()})
    caveats = {tracker: section for section in sections for tracker in section.study.caveats}
    trackers = dict.fromkeys(tracker for section in sections for tracker in section.study.trackers)
    rows = [
        Row(f"{tracker}†" if tracker in caveats else tracker, [column.get(tracker, Cell()) for column in columns])
        for tracker in trackers
    ]
    said = [note for section in sections for note in cells.caveats(section.study, section.study.trackers)]
    notes = ["95% bootstrap intervals. Bold: the best of the study there.", *dict.fromkeys(said)]
    return Table("headline", "All trackers by the main measures of their studies", head, rows, notes)


def main(section: Section) -> dict[str, Aspect]:
    """By benchmark, what is looked at first: the paper's measure, at the first length, where that was measured."""
    found: dict[str, Aspect] = {}
    for _, benchmark, aspect in section.grid.cells:
        if aspect.subset == ALL:
            first = found.setdefault(benchmark, aspect)
            mine = aspect.measure == section.paper.measure and aspect.protocol is None
            if mine and (first.measure, first.protocol) != (aspect.measure, None):
                found[benchmark] = aspect
    return {benchmark: found[benchmark] for benchmark in section.study.benchmarks if benchmark in found}


def _scored(section: Section, benchmark: str, aspect: Aspect) -> dict[str, scores.Cell]:
    keys = {tracker: (tracker, benchmark, aspect) for tracker in section.study.trackers}
    return {tracker: section.grid.cells[key] for tracker, key in keys.items() if key in section.grid.cells}


def _study(section: Section) -> Row:
    study, paper = section.study, section.paper
    done = sum(trial.state == "done" for trial in study.trials)
    failed = f", {len(study.failures)} failed" if study.failures else ""
    verdicts = [finding.verdict for finding in section.findings]
    row = [
        cells.count(len(study.trackers)),
        Cell(f"{done} of {len(study.trials)}{failed}", done, mark="failed" if failed else ""),
        cells.words(", ".join(study.benchmarks)),
        *_first(section),
        *(cells.count(verdicts.count(verdict)) if verdicts else Cell() for verdict in VERDICTS),
        cells.words(_comparable(section)),
    ]
    below = f"{paper.authors} {paper.year}" if paper.title else ""
    return Row(study.name, row, link=f"#{study.name}", below=below)


def _first(section: Section) -> list[Cell]:
    """What is measured on the first benchmark, the best tracker by it, and the reference."""
    study, found = section.study, main(section)
    if not found:
        return [Cell(), Cell(), Cell()]
    benchmark, aspect = next(iter(found.items()))
    scored = _scored(section, benchmark, aspect)
    means = {tracker: cell.mean for tracker, cell in scored.items()}
    best = cells.best(means, study.competing, cells.better(aspect.measure))
    reference = next((name for name in REFERENCES if name in scored), None)
    named = [_named(tracker, scored) for tracker in (best, reference)]
    return [Cell(cells.aspect_name(aspect), beside=Beside(f"on {benchmark}")), *named]


def _named(tracker: str | None, scored: dict[str, scores.Cell]) -> Cell:
    if tracker is None:
        return Cell()
    cell = cells.mean_interval(scored[tracker])
    return Cell(cell.text, cell.value, cell.spread, cell.low, cell.high, beside=Beside(tracker))


def _comparable(section: Section) -> str:
    if not section.paper.title:
        return ""
    why = cells.incomparable(section.study)
    return f"no: {why}" if why else "yes"
