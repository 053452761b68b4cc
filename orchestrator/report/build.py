"""The report: build/results -> build/report.

    scores.csv      everything measured, a number a row
    claims.csv      the verdict on each claim
    metrics.json    study -> tracker -> benchmark -> length, or protocol/measure -> score, for `dvc metrics`
    plots/*.csv     score by length, mean over benchmarks, a column a tracker, for `dvc plots`
    figures/        strips of frames and charts
    index.html      all of it to read

The same results give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestrator.files import replaced_folder, write_json
from orchestrator.report import claims, figures, page, paper, results, scores
from orchestrator.report.scores import Grid
from trackers.evaluation.results import ALL


def build(folder: Path, out: Path) -> Path:
    """Read the results in `folder`, write the report in place of `out`; the path of its page.

    Raises ResultsError, and leaves the old report as it was, where results are missing or damaged.
    """
    studies = results.read(folder)
    rows: list[dict[str, object]] = []
    verdicts: list[dict[str, object]] = []
    metrics: dict[str, object] = {}
    sections = []
    with replaced_folder(out) as target:
        for study in studies:
            strips = figures.write_strips(study, target)
            reported = paper.load(study.name)
            grid = scores.grid(study, reported)
            findings = claims.check(reported, grid)
            rows += scores.rows(grid, reported)
            verdicts += [claims.row(study, finding) for finding in findings]
            metrics[study.name] = _metrics(grid)
            if study.lengths:
                _write(target / "plots" / f"{study.name}.csv", _by_length(grid))
            charts = figures.write_charts(study, reported, grid, target)
            sections.append(page.Section(study, reported, grid, findings, strips, charts))
        _write(target / "scores.csv", scores.as_csv(scores.COLUMNS, rows))
        _write(target / "claims.csv", scores.as_csv(claims.COLUMNS, verdicts))
        write_json(target / "metrics.json", metrics)
        _write(target / "index.html", page.render(sections))
    return out / "index.html"


def trial_figures(folder: Path, out: Path) -> Iterator[tuple[str, str, list[Path]]]:
    """(study, key, pictures in the report `out`) of each finished trial: for its record."""
    for study in results.read(folder):
        for trial in study.trials:
            if trial.state == "done":
                yield study.name, trial.key, sorted((out / figures.trial_folder(study, trial)).glob("*.png"))


def _metrics(grid: Grid) -> dict[str, dict[str, dict[str, float]]]:
    metrics: dict[str, dict[str, dict[str, float]]] = {}
    for (tracker, benchmark, length), cell in grid.cells.items():
        if length is not None:
            metrics.setdefault(tracker, {}).setdefault(benchmark, {})[str(length)] = round(cell.mean, 6)
    for (tracker, benchmark, quantity), cell in grid.measured.items():
        if quantity.length is None and quantity.subset == ALL:
            name = f"{quantity.protocol}/{quantity.measure}"
            metrics.setdefault(tracker, {}).setdefault(benchmark, {})[name] = round(cell.mean, 6)
    return metrics


def _by_length(grid: Grid) -> str:
    """Empty where a tracker lacks a benchmark: a mean over fewer is another quantity."""
    study = grid.study
    table: list[dict[str, object]] = []
    for length in study.lengths:
        row: dict[str, object] = {"length": length}
        for tracker in study.trackers:
            cells = [grid.get(tracker, benchmark, length) for benchmark in study.benchmarks]
            means = [cell.mean for cell in cells if cell is not None]
            row[tracker] = sum(means) / len(means) if means and len(means) == len(cells) else None
        table.append(row)
    return scores.as_csv(["length", *study.trackers], table)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
