"""The report: build/results -> build/report.

    scores.csv         everything measured, a number a row
    curves.csv         success, precision, EAO and ROC curves, IoU by frame, a point a row
    charts.csv         what the figures of the papers show, a point a row
    sequences.csv      the papers' tables by sequence: of each sequence, our trackers' scores and the paper's
    comparisons.csv    every two trackers by every measure of whole sequences: differences and tests
    ranks.csv          average ranks, and what a critical-difference diagram shows; study "all": of all trackers
    claims.csv         the verdict on each claim
    metrics.json       study -> tracker -> benchmark -> length, or protocol/measure -> score, for `dvc metrics`
    plots/*.csv        score by length, mean over benchmarks, a column a tracker, for `dvc plots`
    figures/           strips of frames and charts
    index.html         all of it to read

The same results give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.files import replaced_folder, write_json
from orchestrator.report import (
    charts,
    claims,
    comparisons,
    curves,
    figures,
    page,
    paper,
    results,
    scores,
    sequences,
    strips,
)
from orchestrator.report.paper import Aspect, Paper
from orchestrator.report.scores import Grid
from orchestrator.report.summary import Summary, summaries
from orchestrator.report.together import together
from trackers.evaluation.results import ALL

TABLES = {
    "scores": scores.COLUMNS,
    "curves": curves.COLUMNS,
    "charts": charts.COLUMNS,
    "sequences": sequences.COLUMNS,
    "comparisons": comparisons.COLUMNS,
    "ranks": comparisons.RANK_COLUMNS,
    "claims": claims.COLUMNS,
}


def build(folder: Path, out: Path) -> Path:
    """Read the results in `folder`, write the report in place of `out`; the path of its page.

    Raises ResultsError, and leaves the old report as it was, where results are missing or damaged.
    """
    studies = results.read(folder)
    papers = {study.name: paper.load(study.name) for study in studies}
    grids = [scores.grid(study, papers[study.name]) for study in studies]
    joined = [page.Together(summary, comparisons.rankings(summary)) for summary in together(grids)]
    tables: dict[str, list[dict[str, object]]] = {name: [] for name in TABLES}
    metrics: dict[str, object] = {}
    sections = []
    with replaced_folder(out) as target:
        for study, grid in zip(studies, grids, strict=True):
            pictures = strips.write_strips(study, target)
            reported = papers[study.name]
            findings = claims.check(reported, grid)
            shown = [page.Table(summary, comparisons.comparisons(summary)) for summary in summaries(grid)]
            own, everyone = [table.summary for table in shown], [one.summary for one in joined]
            drawn = _drawn(reported, own, everyone)
            by_sequence = list(_by_sequence(reported, own, everyone))
            tables["scores"] += scores.rows(grid, reported)
            tables["curves"] += curves.rows(grid)
            tables["charts"] += charts.rows(study, drawn)
            for lines in by_sequence:
                tables["sequences"] += sequences.rows(study, lines)
            for table in shown:
                tables["comparisons"] += comparisons.rows(table.summary, table.pairwise)
                tables["ranks"] += comparisons.rank_rows(table.summary, table.rankings)
            tables["claims"] += [claims.row(study, finding) for finding in findings]
            metrics[study.name] = _metrics(grid, reported)
            if study.lengths:
                _write(target / "plots" / f"{study.name}.csv", _by_length(grid, reported))
            paths = figures.write_charts(study, reported, grid, target)
            paths |= figures.write_curves(study, (table.summary for table in shown), target)
            paths |= figures.write_points(study, drawn, target)
            sections.append(page.Section(study, reported, grid, findings, shown, by_sequence, pictures, drawn, paths))
        for one in joined:
            tables["ranks"] += comparisons.rank_rows(one.summary, one.rankings)
        for name, columns in TABLES.items():
            _write(target / f"{name}.csv", scores.as_csv(columns, tables[name]))
        write_json(target / "metrics.json", metrics)
        _write(target / "index.html", page.render(sections, joined))
    return out / "index.html"


def trial_figures(folder: Path, out: Path) -> Iterator[tuple[str, str, list[Path]]]:
    """(study, key, pictures in the report `out`) of each finished trial: for its record."""
    for study in results.read(folder):
        for trial in study.trials:
            if trial.state == "done":
                yield study.name, trial.key, sorted((out / strips.trial_folder(study, trial)).glob("*"))


def _drawn(reported: Paper, own: Sequence[Summary], joined: Sequence[Summary]) -> dict[paper.Chart, charts.Drawing]:
    """What the paper's charts show; without those of benchmarks that were not tested under their protocols."""
    drawn = {}
    for chart in reported.charts:
        protocols = chart.protocols or (reported.protocol,)
        found = [_find(chart.benchmark, protocol, own) for protocol in protocols]
        there = [summary for summary in found if summary is not None]
        if there:
            drawn[chart] = charts.draw(chart, there, _everyone(there[0], joined))
    return {chart: drawing for chart, drawing in drawn.items() if drawing.points}


def _by_sequence(reported: Paper, own: Sequence[Summary], joined: Sequence[Summary]) -> Iterator[sequences.BySequence]:
    """The paper's tables by sequence, of those benchmarks that were tested under its protocol."""
    for table in reported.sequence_tables:
        summary = _find(table.benchmark, reported.protocol, own)
        if summary is not None:
            yield sequences.BySequence(table, _everyone(summary, joined))


def _find(benchmark: str, protocol: str, own: Sequence[Summary]) -> Summary | None:
    """The study's table of that name, in its first convention; None if there is none."""
    return next((one for one in own if (one.benchmark, one.protocol) == (benchmark, protocol)), None)


def _everyone(summary: Summary, joined: Sequence[Summary]) -> Summary:
    """The same with all trackers of the project, where others were tested there as well."""
    same = (one for one in joined if one.place | {"study": None} == summary.place | {"study": None})
    return next(same, summary)


def _metrics(grid: Grid, reported: Paper) -> dict[str, dict[str, dict[str, float]]]:
    metrics: dict[str, dict[str, dict[str, float]]] = {}
    for (tracker, benchmark, aspect), cell in grid.cells.items():
        if aspect.length is not None and aspect == Aspect(reported.measure, aspect.length):
            metrics.setdefault(tracker, {}).setdefault(benchmark, {})[str(aspect.length)] = round(cell.mean, 6)
    for (tracker, benchmark, quantity), cell in grid.measured.items():
        if quantity.length is None and quantity.subset == ALL:
            name = f"{quantity.protocol}/{quantity.measure}"
            metrics.setdefault(tracker, {}).setdefault(benchmark, {})[name] = round(cell.mean, 6)
    return metrics


def _by_length(grid: Grid, reported: Paper) -> str:
    """Empty where a tracker lacks a benchmark: a mean over fewer is another quantity."""
    study = grid.study
    table: list[dict[str, object]] = []
    for length in study.lengths:
        row: dict[str, object] = {"length": length}
        for tracker in study.trackers:
            aspect = Aspect(reported.measure, length)
            cells = [grid.cells.get((tracker, benchmark, aspect)) for benchmark in study.benchmarks]
            means = [cell.mean for cell in cells if cell is not None]
            row[tracker] = sum(means) / len(means) if means and len(means) == len(cells) else None
        table.append(row)
    return scores.as_csv(["length", *study.trackers], table)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
