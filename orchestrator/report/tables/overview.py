"""What is seen first: a row a study, and of each study its trackers by the measure that its paper is mostly about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from orchestrator.report import claims, scores
from orchestrator.report.paper import Aspect
from orchestrator.report.section import Section
from orchestrator.report.table import Beside, Cell, Column, Row, Table, slug
from orchestrator.report.tables import cells

REFERENCES = ("KerCorrTracker", "Identity")  # against which a study is read, the first that it has
VERDICTS = (claims.HOLDS, claims.FAILS, claims.UNDECIDED, claims.NOT_TESTED)


def overview(sections: Sequence[Section]) -> Table:
    """A row a study: what ran, its best tracker on the main benchmark beside a reference, and what became of claims."""
    head = [
        Column("study", text=True),
        Column("measure", "on its first benchmark", text=True),
        Column("best", "on its first benchmark"),
        Column("reference", "on its first benchmark"),
        *(Column(verdict, "claims of the paper") for verdict in VERDICTS),
        Column("benchmarks"),
        Column("trials done"),
        Column("comparable", text=True),
    ]
    notes = [
        "Best: of the study’s own trackers that compete, by the measure that the paper is mostly about. Reference: a "
        "correlation filter (KerCorrTracker), or one that never moves (Identity). Bold: the better of the two.",
        "Comparable: whether numbers may be held against the paper’s.",
    ]
    return Table("overview", "Studies", head, [_study(section) for section in sections], notes)


def headline(section: Section) -> Table | None:
    """The study's trackers by the main measure of each of its benchmarks; the best of each column in bold.

    None where nothing was measured.
    """
    study, grid = section.study, section.grid
    head, columns = [Column("tracker", text=True)], []
    for benchmark, aspect in _main(section).items():
        found = _scored(section, benchmark, aspect)
        best = _best(section, found, aspect)
        row = {tracker: cells.failed(grid, tracker, benchmark) for tracker in study.trackers}
        columns.append(row | {t: cells.mean_interval(c, "best" if t == best else "") for t, c in found.items()})
        head.append(Column(cells.aspect_name(aspect), benchmark, cells.better(aspect.measure)))
    rows = [Row(study.marked(tracker), [column[tracker] for column in columns]) for tracker in study.trackers]
    notes = ["95% bootstrap intervals over sequences. Bold: the best.", *cells.caveats(study, study.trackers)]
    if not columns:
        return None
    title, badge = "Trackers at a glance", cells.badge(study)
    return Table(slug(study.name, "headline"), title, head, rows, notes, badge, study.name)


def _main(section: Section) -> dict[str, Aspect]:
    """By benchmark, what is looked at first."""
    grid, paper = section.grid, section.paper
    found = {benchmark: scores.main_aspect(grid, paper, benchmark) for benchmark in section.study.benchmarks}
    return {benchmark: aspect for benchmark, aspect in found.items() if aspect is not None}


def _scored(section: Section, benchmark: str, aspect: Aspect) -> dict[str, scores.Cell]:
    keys = {tracker: (tracker, benchmark, aspect) for tracker in section.study.trackers}
    return {tracker: section.grid.cells[key] for tracker, key in keys.items() if key in section.grid.cells}


def _best(section: Section, scored: Mapping[str, scores.Cell], aspect: Aspect) -> str | None:
    means = {tracker: cell.mean for tracker, cell in scored.items()}
    return cells.best(means, section.study.competing, cells.better(aspect.measure))


def _study(section: Section) -> Row:
    study, paper = section.study, section.paper
    done = sum(trial.state == "done" for trial in study.trials)
    failed = f", {len(study.failures)} failed" if study.failures else ""
    trackers = Beside(f"{len(study.trackers)} trackers")
    verdicts = [finding.verdict for finding in section.findings]
    row = [
        *_first(section),
        *(cells.count(verdicts.count(verdict)) if verdicts else Cell() for verdict in VERDICTS),
        cells.count(len(study.benchmarks)),
        Cell(f"{done} of {len(study.trials)}{failed}", done, beside=trackers, mark="failed" if failed else ""),
        _comparable(section),
    ]
    return Row(study.name, row, link=f"#{quote(section.place)}", below=paper.cited)


def _first(section: Section) -> list[Cell]:
    """What is measured on the first benchmark, the best tracker by it, and the reference."""
    found = _main(section)
    if not found:
        return [Cell(), Cell(), Cell()]
    benchmark, aspect = next(iter(found.items()))
    scored = _scored(section, benchmark, aspect)
    means = {tracker: cell.mean for tracker, cell in scored.items()}
    own = [tracker for tracker in section.study.competing if tracker in means and tracker not in REFERENCES]
    choose = max if cells.better(aspect.measure) == "higher" else min
    best = choose(own, key=means.__getitem__, default=None)
    reference = next((tracker for tracker in REFERENCES if tracker in means), None)
    ahead = choose((tracker for tracker in (best, reference) if tracker), key=means.__getitem__, default=None)
    named = [_named(tracker, scored, tracker == ahead) for tracker in (best, reference)]
    named[1] = replace(named[1], spread="")  # the page is only so wide
    return [Cell(cells.aspect_name(aspect), beside=Beside(f"on {benchmark}")), *named]


def _named(tracker: str | None, scored: Mapping[str, scores.Cell], ahead: bool) -> Cell:
    if tracker is None:
        return Cell()
    return replace(cells.mean_interval(scored[tracker], "best" if ahead else ""), beside=Beside(tracker))


def _comparable(section: Section) -> Cell:
    if not section.paper.title:
        return Cell()
    why = cells.incomparable(section.study)
    return Cell("no", beside=Beside(why)) if why else Cell("yes")
