"""The tables of a study as plain text, for a terminal of 80 columns."""

from __future__ import annotations

from pathlib import Path

from orchestrator.report import paper, results, scores

_TRACKER, _CELL = 22, 13  # widths in characters


def print_tables(folder: Path) -> None:
    """Print `as_text`."""
    print(as_text(folder))


def as_text(folder: Path) -> str:
    """Every study of the results folder: all trackers by data set and length, mean ± standard deviation.

    A cell says "failed" where the trial failed, "-" where none was run.
    """
    return "\n\n".join(_study(study) for study in results.read(folder))


def _study(study: results.Study) -> str:
    reported = paper.load(study.name)
    grid = scores.grid(study, reported)
    measure = reported.measure.replace("_", " ")
    lines = [f"{study.name}: {measure}, mean ± std over sequences, by length in frames"]
    for benchmark in study.benchmarks:
        lines += ["", f"{benchmark:<{_TRACKER}}" + "".join(f"{length:>{_CELL}}" for length in study.lengths)]
        for tracker in study.trackers:
            cells = [cell_text(grid, tracker, benchmark, length) for length in study.lengths]
            lines.append(f"  {tracker:<{_TRACKER - 2}}" + "".join(f"{text:>{_CELL}}" for text in cells))
    return "\n".join(lines)


def cell_text(grid: scores.Grid, tracker: str, benchmark: str, length: int) -> str:
    """ "0.61 ± 0.11", "failed" or "-"."""
    cell = grid.get(tracker, benchmark, length)
    if cell is not None:
        return f"{cell.mean:.2f} ± {cell.std:.2f}"
    return "failed" if grid.failed(tracker, benchmark) else "-"
