"""A paper's tables with our numbers beside its own, and their differences; and its tables by sequence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from orchestrator.report import scores
from orchestrator.report.charts import mean_speed
from orchestrator.report.comparisons import RANKED_BY_ATTRIBUTE, average_ranks
from orchestrator.report.paper import Aspect, Paper, PaperTable, Printed
from orchestrator.report.results import Study
from orchestrator.report.scores import Grid
from orchestrator.report.sequences import BySequence
from orchestrator.report.sequences import Row as Line
from orchestrator.report.summary import Summary, shown
from orchestrator.report.table import HOLE, Cell, Column, Mark, Row, Table, slug
from orchestrator.report.tables import cells

RANKS = {f"{measure}_rank": measure for measure in RANKED_BY_ATTRIBUTE}  # what a paper's table calls them
PRINTED = "in the paper"
Place = tuple[str, str, int]  # tracker, benchmark, number of the column


class Ours:
    """What was measured of what a paper's tables have.

    Besides measures they have what is no score of sequences: `fps`, and VOT's average ranks among the trackers of the
    study, `accuracy_rank` and `robustness_rank`.
    """

    def __init__(self, paper: Paper, grid: Grid, summaries: Iterable[Summary]) -> None:
        self.paper, self.grid = paper, grid
        self.ranks: dict[tuple[str, str], dict[str, dict[str, float]]] = {}  # in the first convention
        if any(aspect.measure in RANKS for table in paper.tables for aspect in table.columns):
            for summary in summaries:
                self.ranks.setdefault((summary.benchmark, summary.protocol), average_ranks(summary))

    def of(self, tracker: str, benchmark: str, aspect: Aspect) -> scores.Cell | float | None:
        """None if nothing was measured."""
        if aspect.measure == "fps":
            return mean_speed(self.grid.study, tracker, benchmark)
        if aspect.measure in RANKS:
            ranks = self.ranks.get((benchmark, aspect.protocol or self.paper.protocol), {})
            return ranks.get(RANKS[aspect.measure], {}).get(tracker)
        return self.grid.cells.get((tracker, benchmark, aspect))

    def best(self, table: PaperTable, benchmark: str, aspect: Aspect) -> str | None:
        """Who is the best of the table's trackers there."""
        found = {tracker: self.of(tracker, benchmark, aspect) for tracker in table.trackers}
        means = {t: one.mean if isinstance(one, scores.Cell) else one for t, one in found.items() if one is not None}
        return cells.best(means, self.grid.study.competing, cells.better(aspect.measure))


def paper_table(table: PaperTable, ours: Ours) -> Table:
    """One table, laid out as the paper has it; its number, and the difference to it, below each of ours.

    A row a tracker, where it is of one benchmark, or has trackers that the paper alone has; else a row a benchmark.
    """
    study = ours.grid.study
    filled = {
        (tracker, benchmark, i): _cell(table, ours, tracker, benchmark, i)
        for tracker in table.trackers
        for benchmark in table.benchmarks
        for i in range(len(table.columns))
    }
    by_tracker = bool(table.others) or len(table.benchmarks) == 1
    layout = _by_tracker if by_tracker else _by_benchmark
    head, rows = layout(table, study, filled)
    notes = ["Ours with its 95% bootstrap interval, below it the paper’s own number and ours minus it. Bold: our best."]
    if table.others:
        notes.append(f"Soft, “{PRINTED}”: numbers of trackers that the paper alone has.")
    notes += cells.caveats(study, table.trackers)
    title = "Ours beside the paper’s" + (f", {table.benchmarks[0]}" if by_tracker and not table.others else "")
    name = slug(study.name, "paper", str(table.number or "text"))
    return Table(name, title, head, rows, notes, cells.badge(study), f"{table.title} of the paper")


def _cell(table: PaperTable, ours: Ours, tracker: str, benchmark: str, column: int) -> Cell:
    """Ours in the manner of the paper's, which stands below it."""
    aspect, printed = table.columns[column], table.cells[tracker][benchmark][column]
    found = ours.of(tracker, benchmark, aspect)
    mark: Mark = "best" if ours.best(table, benchmark, aspect) == tracker else ""
    if found is None:
        cell = cells.failed(ours.grid, tracker, benchmark)
    elif not isinstance(found, scores.Cell):
        cell = Cell(f"{found:.2f}" if found >= 0.1 else f"{found:.2g}", float(found), mark=mark)
    elif printed is None or printed.std is None:
        cell = cells.mean_interval(found, mark)
    else:
        cell = cells.mean_std(found, mark)
    return cells.beside(cell, printed, aspect.measure)


def _by_tracker(table: PaperTable, study: Study, filled: Mapping[Place, Cell]) -> tuple[list[Column], list[Row]]:
    places = [(benchmark, i) for benchmark in table.benchmarks for i in range(len(table.columns))]
    columns = [
        Column(cells.aspect_name(table.columns[i]), b if table.others else "", cells.better(table.columns[i].measure))
        for b, i in places
    ]
    rows = [Row(study.marked(t), [filled[t, b, i] for b, i in places], below=PRINTED) for t in table.trackers]
    for tracker, printed in table.others.items():
        row = [_theirs(printed[b][i], table.columns[i].measure) for b, i in places]
        rows.append(Row(f"{tracker}, {PRINTED}", row))
    return [Column("tracker", text=True), *columns], rows


def _by_benchmark(table: PaperTable, study: Study, filled: Mapping[Place, Cell]) -> tuple[list[Column], list[Row]]:
    places = [(tracker, i) for tracker in table.trackers for i in range(len(table.columns))]
    lengths = all(aspect.length for aspect in table.columns) and len({a.measure for a in table.columns}) == 1
    columns = []
    for tracker, i in places:
        aspect = table.columns[i]
        name = str(aspect.length) if lengths else cells.aspect_name(aspect)
        columns.append(Column(name, study.marked(tracker), cells.better(aspect.measure)))
    rows = [Row(b, [filled[t, b, i] for t, i in places], below=PRINTED) for b in table.benchmarks]
    return [Column("benchmark", text=True), *columns], rows


def _theirs(printed: Printed | None, measure: str) -> Cell:
    """Of a tracker that the paper alone has."""
    if printed is None:
        return Cell()
    return Cell(cells.as_printed(printed, measure), printed.mean, std=printed.std, mark="soft")


def sequence_table(lines: BySequence, study: Study) -> Table:
    """A paper's table by sequence: all trackers of the project, and the paper's where the sequence is the real one.

    study: the one whose paper has the table.
    """
    table, everyone = lines.table, lines.study
    better = cells.better(table.measure)
    theirs = table.trackers if lines.real else ()
    group = ("ours", "the paper’s") if theirs else ("", "")
    head = [
        Column("sequence", text=True),
        *(Column(everyone.marked(tracker), group[0], better) for tracker in lines.trackers),
        *(Column(tracker, group[1], better) for tracker in theirs),
    ]
    rows = [_line(lines, row, i >= len(lines.sequences)) for i, row in enumerate(lines.rows)]
    place = f"{table.benchmark}, {lines.summary.protocol.replace('_', ' ')}, convention {lines.summary.convention}"
    notes = ["All trackers of the project that ran on it. Bold: the best of each line."]
    if lines.real:
        apart = " They are not comparable: they come from the paper’s own settings." if study.profile != "paper" else ""
        notes.append(
            f"Beside ours the paper’s own numbers, of the {len(lines.real)} of {len(lines.sequences)} sequences that "
            f"are the benchmark’s by name and number of frames.{apart}"
        )
    else:
        notes.append(
            "None of these sequences is the benchmark’s by name and number of frames, so that the paper’s own numbers "
            "are not shown."
        )
    notes += cells.caveats(everyone, lines.trackers)
    name = slug(study.name, "sequences", str(table.number), table.benchmark)
    return Table(name, place, head, rows, notes, cells.badge(study), f"Table {table.number} of the paper")


def _line(lines: BySequence, row: Line, foot: bool) -> Row:
    best, competing = lines.best(row), lines.study.competing
    ours = [_number(lines, row.ours.get(t), best if t in competing else None) for t in lines.trackers]
    theirs = [_number(lines, row.paper.get(t), best) for t in (lines.table.trackers if lines.real else ())]
    return Row(row.name, [*ours, *theirs], foot=foot)


def _number(lines: BySequence, value: float | None, best: float | None) -> Cell:
    if value is None:
        return Cell(HOLE)
    return Cell(shown(lines.table.measure, value), value, mark="best" if value == best else "")
