"""What DVC shows of a report: numbers for `dvc metrics` and `dvc exp show`, lines for `dvc plots`.

    metrics.json           study -> benchmark -> main measure -> tracker -> score, and study -> claims -> verdict ->
                           how many: what is compared at a glance
    measures.json          the scores by every measure: `dvc metrics diff --targets build/report/measures.json`
    plots/curves/*.csv     of each study: success, precision, EAO and ROC curves of whole data sets
    plots/lengths/*.csv    of each study that has lengths: its main measure by length
    plots/training/*.csv   of each study that trains: what its trials said while they trained, by step

Every file of plots/ has the columns `COLUMNS`, a point a row. Every score is that of a row of scores.csv: all folds
together, in the benchmark's first convention.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from orchestrator.files import write_json
from orchestrator.report.claims import FAILS, HOLDS, NOT_TESTED, UNDECIDED, Finding
from orchestrator.report.curves import points
from orchestrator.report.paper import Aspect, Key, Paper
from orchestrator.report.results import Study
from orchestrator.report.scores import Grid, as_csv, main_aspect
from orchestrator.report.summary import measure_name
from trackers.evaluation.curves import CURVES
from trackers.evaluation.results import ALL

COLUMNS = ("panel", "line", "x", "y")
POINTS = 200  # of a training curve: more cannot be told apart in a panel

Tree = dict[str, dict[str, dict[str, float]]]
Row = Mapping[str, object]  # in the columns `COLUMNS`


class Reported(NamedTuple):
    """A study: all that was measured, what its paper says, and the verdicts on that."""

    grid: Grid
    paper: Paper
    findings: tuple[Finding, ...]


def write(folder: Path, studies: Iterable[Reported]) -> None:
    """Write all of it into the report's folder."""
    headlines: dict[str, Tree] = {}
    measures: dict[str, Tree] = {}
    for study in studies:
        name = study.grid.study.name
        headlines[name], measures[name] = headline(study), _tree(study.grid, study.grid.cells)
        for kind, rows in (
            ("curves", list(_curves(study))),
            ("lengths", list(_lengths(study))),
            ("training", list(_training(study.grid.study))),
        ):
            path = folder / "plots" / kind / f"{name}.csv"
            if rows:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(as_csv(COLUMNS, rows), encoding="utf-8")
    write_json(folder / "metrics.json", headlines)
    write_json(folder / "measures.json", measures)


def headline(study: Reported) -> Tree:
    """The scores by each benchmark's main measure, and how many claims came to each verdict."""
    grid = study.grid
    chosen = {benchmark: main_aspect(grid, study.paper, benchmark) for benchmark in grid.study.benchmarks}
    tree = _tree(grid, [key for key in grid.cells if key[2] == chosen[key[1]]])
    if study.findings:
        verdicts = [finding.verdict for finding in study.findings]
        counts: dict[str, float] = {
            verdict: verdicts.count(verdict) for verdict in (HOLDS, FAILS, UNDECIDED, NOT_TESTED)
        }
        tree["claims"] = {"verdict": counts} | tree.get("claims", {})
    return tree


def measure_key(aspect: Aspect) -> str:
    """How the files call it: "success_auc/160"; "supervised_reset/accuracy", where that is not the paper's protocol."""
    parts = [aspect.protocol, aspect.measure, None if aspect.length is None else str(aspect.length)]
    return "/".join(part for part in parts if part is not None)


def _tree(grid: Grid, keys: Iterable[Key]) -> Tree:
    tree: Tree = {}
    for tracker, benchmark, aspect in keys:
        if aspect.subset == ALL:
            score = round(grid.cells[tracker, benchmark, aspect].mean, 6)
            tree.setdefault(benchmark, {}).setdefault(measure_key(aspect), {})[tracker] = score
    return tree


def _curves(study: Reported) -> Iterator[Row]:
    grid, seen = study.grid, set()
    for (tracker, benchmark, quantity), cell in grid.curves.items():
        aspect = study.paper.aspect(quantity)
        if quantity.subset != ALL or (tracker, benchmark, aspect) in seen:
            continue
        seen.add((tracker, benchmark, aspect))
        x, y = points(cell)
        across, up = CURVES[quantity.measure].axes
        panel = f"{benchmark}{f', {aspect.protocol}' if aspect.protocol else ''}: {up} by {across}"
        for i in np.flatnonzero(~np.isnan(y)).tolist():
            yield {"panel": panel, "line": tracker, "x": float(x[i]), "y": float(y[i])}


def _lengths(study: Reported) -> Iterator[Row]:
    for (tracker, benchmark, aspect), cell in study.grid.cells.items():
        if aspect.length is not None and aspect == Aspect(study.paper.measure, aspect.length):
            panel = f"{benchmark}: {measure_name(aspect.measure)} by length (frames)"
            yield {"panel": panel, "line": tracker, "x": aspect.length, "y": cell.mean}


def _training(study: Study) -> Iterator[Row]:
    for trial in study.trials:
        for name, curve in trial.curves.items():
            kept = np.linspace(0, len(curve) - 1, min(len(curve), POINTS)).round().astype(int)
            for step, value in curve[kept].tolist():
                yield {"panel": f"{name} by step", "line": trial.name, "x": int(step), "y": value}
