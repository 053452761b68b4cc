"""What a study measured: by benchmark, length and attribute; and how fast its trackers are."""

from __future__ import annotations

from orchestrator.report.paper import Aspect, Paper
from orchestrator.report.results import Study
from orchestrator.report.scores import Grid
from orchestrator.report.summary import Summary, measure_name, subset_name, titled
from orchestrator.report.table import Cell, Column, Row, Table, slug
from orchestrator.report.tables import cells
from trackers.evaluation.results import ALL


def by_length(grid: Grid, paper: Paper, benchmark: str) -> Table:
    """The paper's measure at each length in frames: mean ± standard deviation over sequences; the best in bold."""
    study = grid.study
    columns: list[list[Cell]] = []
    for length in study.lengths:
        keys = {tracker: (tracker, benchmark, Aspect(paper.measure, length)) for tracker in study.trackers}
        found = {tracker: grid.cells[key] for tracker, key in keys.items() if key in grid.cells}
        means = {tracker: cell.mean for tracker, cell in found.items()}
        best = cells.best(means, study.competing, cells.better(paper.measure))
        columns.append(
            [
                cells.mean_std(found[t], "best" if t == best else "")
                if t in found
                else cells.failed(grid, t, benchmark)
                for t in study.trackers
            ]
        )
    head = [Column(str(length), "length in frames", cells.better(paper.measure)) for length in study.lengths]
    rows = [Row(study.marked(t), row) for t, *row in zip(study.trackers, *columns, strict=True)]
    said = "Mean ± standard deviation over sequences, and the mean’s 95% bootstrap interval. Bold: the best."
    notes = [said, *cells.caveats(study, study.trackers)]
    title = f"{titled(paper.measure)} by length, {benchmark}"
    head = [Column("tracker", text=True), *head]
    return Table(slug(study.name, "length", benchmark), title, head, rows, notes, place=study.name)


def scores(summary: Summary) -> Table:
    """Every measure on whole sequences: mean and 95% interval; the best in bold."""
    grid = summary.grid
    best = {measure: summary.best(measure) for measure in summary.measures}
    rows = [
        Row(grid.study.marked(tracker), [_score(summary, tracker, measure, ALL, best[measure]) for measure in best])
        for tracker in summary.tested
    ]
    head = [Column(measure_name(measure), better=cells.better(measure)) for measure in summary.measures]
    notes = ["95% bootstrap intervals over sequences. Bold: the best.", *cells.caveats(grid.study, summary.tested)]
    name = slug(grid.study.name, "scores", summary.name)
    return Table(name, "Scores", [Column("tracker", text=True), *head], rows, notes, place=summary.heading)


def by_attribute(summary: Summary) -> Table:
    """The first measure on each attribute of sequences and each tag of frames; at the foot, of how many sequences."""
    grid, measure = summary.grid, summary.measures[0]
    best = {subset: summary.best(measure, subset) for subset in summary.subsets}
    rows = [
        Row(grid.study.marked(tracker), [_score(summary, tracker, measure, subset, best[subset]) for subset in best])
        for tracker in summary.tested
    ]
    numbers = []
    for subset in summary.subsets:
        found = [summary.cell(tracker, measure, subset) for tracker in summary.tested]
        numbers.append(cells.count(max(cell.n for cell in found if cell)) if any(found) else cells.hole())
    rows.append(Row("sequences", numbers, foot=True))
    head = [Column(subset_name(subset), better=cells.better(measure)) for subset in summary.subsets]
    title = f"{titled(measure)} by attribute"
    name = slug(grid.study.name, "attributes", summary.name)
    notes = cells.caveats(grid.study, summary.tested)
    return Table(name, title, [Column("tracker", text=True), *head], rows, notes, place=summary.heading)


def speeds(study: Study) -> Table:
    """Frames per second of one video at a time, by tracker and benchmark."""
    rows = []
    for tracker, benchmark, speed in study.speeds:
        numbers = [(speed["fps"], 1), (speed["fps_with_decoding"], 1), (speed["efo"], 2)]
        measured = [Cell(f"{number:.{digits}f}", float(number)) for number, digits in numbers]
        row = [cells.words(benchmark), *measured, cells.words(str(speed["hardware"]))]
        rows.append(Row(study.marked(tracker), row))
    faster = [Column(name, better="higher") for name in ("frames/s, tracking alone", "with decoding", "EFO")]
    head = [Column("tracker", text=True), Column("on", text=True), *faster, Column("hardware", text=True)]
    notes = cells.caveats(study, (tracker for tracker, _, _ in study.speeds))
    title = "One video at a time, alone on its node"
    return Table(slug(study.name, "speed"), title, head, rows, notes, place=f"{study.name}, speed")


def _score(summary: Summary, tracker: str, measure: str, subset: str, best: str | None) -> Cell:
    cell = summary.cell(tracker, measure, subset)
    if cell is None:
        return cells.failed(summary.grid, tracker, summary.benchmark)
    return cells.mean_interval(cell, "best" if tracker == best else "")
