"""The tables of a study as plain text, for a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from pathlib import Path

from orchestrator.report import paper, results, scores
from orchestrator.report.paper import Aspect
from orchestrator.report.summary import Summary, measure_name, shown, summaries

_TRACKER, _CELL, _WIDE = 22, 13, 18  # widths in characters
_COLUMNS = 3  # measures beside each other
_LINE = 80
_SHORTER = {"normalized": "norm.", "released overlap (wrong IoU)": "overlap (wrong)"}


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
    parts = [_by_length(study, grid, reported.measure)] if study.lengths else []
    parts += [_summary(study, summary) for summary in summaries(grid)]
    if study.speeds:
        parts.append(_speeds(study))
    parts += [_caveat(study.marked(tracker), caveat) for tracker, caveat in study.caveats.items()]
    return "\n\n".join(parts)


def _caveat(tracker: str, caveat: str) -> str:
    return textwrap.fill(f"{tracker}: {caveat}", _LINE)


def _summary(study: results.Study, summary: Summary) -> str:
    title = f"{study.name}: {summary.benchmark}, {summary.protocol}, convention {summary.convention}"
    lines = [title]
    for first in range(0, len(summary.measures), _COLUMNS):
        measures = summary.measures[first : first + _COLUMNS]
        lines += [
            "",
            " " * _TRACKER + "".join(f"{_heading(measure):>{_WIDE}}" for measure in measures),
        ]
        for tracker in summary.tested:
            cells = [summary.cell(tracker, measure) for measure in measures]
            failed = "failed" if summary.grid.failed(tracker, summary.benchmark) else "-"
            texts = [failed if c is None else shown(m, c.mean) for m, c in zip(measures, cells, strict=True)]
            lines.append(f"  {study.marked(tracker):<{_TRACKER - 2}}" + "".join(f"{text:>{_WIDE}}" for text in texts))
    return "\n".join(lines)


def _heading(measure: str) -> str:
    """Its name, short enough for a column."""
    name = measure_name(measure)
    for words, shorter in _SHORTER.items():
        name = name.replace(words, shorter)
    return name


def _speeds(study: results.Study) -> str:
    lines = [f"{study.name}: speed, one video at a time, alone on its node", ""]
    lines.append(" " * _TRACKER + "".join(f"{name:>{_WIDE}}" for name in ("fps", "with decoding", "EFO")))
    for tracker, benchmark, speed in study.speeds:
        numbers = (speed["fps"], speed["fps_with_decoding"], speed["efo"])
        row = f"  {study.marked(tracker):<{_TRACKER - 2}}" + "".join(f"{number:>{_WIDE}.1f}" for number in numbers)
        lines.append(f"{row}  {benchmark}, {speed['hardware']}")
    return "\n".join(lines)


def _by_length(study: results.Study, grid: scores.Grid, measure: str) -> str:
    lines = [f"{study.name}: {measure_name(measure)}, mean ± std over sequences, by length in frames"]
    for benchmark in study.benchmarks:
        lines += ["", f"{benchmark:<{_TRACKER}}" + "".join(f"{length:>{_CELL}}" for length in study.lengths)]
        for tracker in study.trackers:
            cells = [_cell_text(grid, tracker, benchmark, Aspect(measure, length)) for length in study.lengths]
            lines.append(f"  {study.marked(tracker):<{_TRACKER - 2}}" + "".join(f"{text:>{_CELL}}" for text in cells))
    return "\n".join(lines)


def _cell_text(grid: scores.Grid, tracker: str, benchmark: str, aspect: Aspect) -> str:
    """ "0.61 ± 0.11", "failed" or "-"."""
    cell = grid.cells.get((tracker, benchmark, aspect))
    if cell is not None:
        return f"{cell.mean:.2f} ± {cell.std:.2f}"
    return "failed" if grid.failed(tracker, benchmark) else "-"
