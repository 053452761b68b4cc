"""Judge results that something else wrote: scores, their intervals, and trackers against each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.report.comparisons import Pairwise, compare
from orchestrator.report.scores import COLUMNS
from trackers.benchmarks.catalogue import Benchmark
from trackers.evaluation import result_files, vot_overlaps
from trackers.evaluation.measure import CONVENTIONS, Convention
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import ALL, Results, gather
from trackers.evaluation.scores import Score
from trackers.evaluation.statistics import interval, std


@dataclass(frozen=True)
class Entry:
    """A score of one tracker on a benchmark, under a protocol, in a convention."""

    tracker: str
    benchmark: str
    score: Score


@dataclass(frozen=True)
class Evaluation:
    """entries: every score, of all trackers. notes: what a reader of the numbers should know of them."""

    entries: tuple[Entry, ...]
    notes: tuple[str, ...]


def evaluate(
    benchmark: Benchmark,
    root: Path,
    results: Path,
    conventions: Sequence[Convention],
    *,
    protocol: str | None = None,
    trackers: Sequence[str] = (),
    measures: Sequence[str] = (),
    subsets: Sequence[str] | None = (ALL,),
    cut: bool = False,
    partial: bool = False,
) -> Evaluation:
    """Score the results below `results` by the groundtruth below `root`, in each of the conventions.

    protocol: None: as recognised from the results. trackers, measures: (): all that are there, and those that
    people mean by the benchmark's results; of several conventions, each takes the measures that it defines.
    subsets: attributes or tags; None: each of them, and all sequences. cut, partial: see `result_files.read`. Raises
    DataError that lists every problem of either folder, ValueError for a name that is not known, or a measure
    that the convention or the protocol does not define.
    """
    collection = benchmark.open(root)
    submissions = result_files.read(results, collection, cut, partial)
    there = [submission.tracker for submission in submissions]
    for tracker in trackers:
        if tracker not in there:
            raise ValueError(f"tracker: expected one of {', '.join(there)}, got {tracker}")
    for measure in measures:
        if measure not in MEASURES:
            raise ValueError(f"measure: expected one of {', '.join(MEASURES)}, got {measure}")
    notes = []
    missing = benchmark.missing(collection)
    if missing:
        notes.append(f"{root}: {missing} of the {benchmark.sequences} sequences of {benchmark.name} are not there")
    judged: list[tuple[str, Results]] = []
    for submission in submissions:
        if not trackers or submission.tracker in trackers:
            notes += [f"{submission.tracker}: {note}" for note in submission.notes]
            found = gather(collection, submission.trajectories, protocol or submission.protocol)
            found = replace(found, interval=benchmark.eao, legacy_rasterization=benchmark.legacy_rasterization)
            judged.append((submission.tracker, found))

    def chosen(convention: Convention, protocol: str) -> list[str]:
        known = _known(convention, protocol)
        named = [name for name in measures if len(conventions) == 1 or name in known]
        usual = [name for name in benchmark.measures if name in known]
        return named if measures else usual or (known if len(conventions) == 1 else [])

    resets = [found for _, found in judged if found.protocol == "supervised_reset"]
    for convention in conventions:
        wanted = set(chosen(convention, "supervised_reset")).intersection(_known(convention, "supervised_reset"))
        if resets and wanted & {"accuracy", "eao"}:
            vot_overlaps.compare_together(resets, convention)
    entries = [
        Entry(tracker, benchmark.name, score)
        for tracker, found in judged
        for convention in conventions
        for score in _scores(found, convention, chosen(convention, found.protocol), subsets)
    ]
    if not entries:
        protocol = judged[-1][1].protocol
        defined = {c: _known(c, protocol) for c in CONVENTIONS}
        listed = "; ".join(f"{c}: {', '.join(names)}" for c, names in defined.items() if names)
        raise ValueError(f"expected a convention with measures for {protocol} ({listed})")
    return Evaluation(tuple(entries), tuple(notes))


def rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Every score in the columns of scores.csv; `study` is empty, there are no folds and no papers."""
    return [
        {name: _finite(value) for name, value in zip(COLUMNS, _row(entry), strict=True)} for entry in evaluation.entries
    ]


def as_text(evaluation: Evaluation) -> str:
    """Tables with the trackers by rank, each number with its 95% interval, and the trackers against the first."""
    parts = []
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in evaluation.entries:
        score = entry.score
        groups.setdefault((score.convention, score.protocol, score.subset), []).append(entry)
    for (convention, protocol, subset), entries in groups.items():
        measures = list(dict.fromkeys(entry.score.measure for entry in entries))
        ranked = _ranked([entry for entry in entries if entry.score.measure == measures[0]])
        of = {(entry.tracker, entry.score.measure): entry for entry in entries}
        count = _count(len(ranked[0].score.sequences), "sequence")
        title = f"{entries[0].benchmark}, convention {convention}, {protocol}, {count}"
        table = [["tracker", *map(_heading, measures)]]
        for entry in ranked:
            scores = (of.get((entry.tracker, measure)) for measure in measures)
            table.append([entry.tracker, *("" if one is None else _with_interval(one) for one in scores)])
        parts.append("\n".join([title + (f", {subset}" if subset != ALL else ""), *_aligned(table)]))
        found = compare({entry.tracker: entry.score for entry in ranked}, ranked[0].tracker) if subset == ALL else None
        if found is not None:
            parts.append(_against_first(found, ranked[0].tracker))
    return "\n\n".join(parts)


def _scores(
    found: Results, convention: Convention, measures: Sequence[str], subsets: Sequence[str] | None
) -> Iterator[Score]:
    for subset in found.subsets if subsets is None else subsets:
        if subset not in found.subsets:
            raise ValueError(f"subset: expected one of {', '.join(found.subsets)}, got {subset}")
        for name in measures:
            yield MEASURES[name](found, convention, subset)


def _known(convention: Convention, protocol: str) -> list[str]:
    """The measures that a convention defines under a protocol."""
    return [name for name, measure in MEASURES.items() if protocol in measure.protocols_of(convention)]


def _row(entry: Entry) -> tuple[Any, ...]:
    score = entry.score
    place = ("", entry.tracker, entry.benchmark, score.protocol, score.subset, score.length, ALL, score.measure)
    return (*place, score.value, std(score), *interval(score), len(score.sequences), None, score.convention)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _ranked(entries: list[Entry]) -> list[Entry]:
    """The best first; those without a number last."""
    sign = -1.0 if MEASURES[entries[0].score.measure].better == "higher" else 1.0
    return sorted(entries, key=lambda e: (np.isnan(e.score.value), sign * e.score.value, e.tracker))


def _heading(measure: str) -> str:
    unit = MEASURES[measure].unit
    return f"{measure} ({unit})" if unit else measure


def _with_interval(entry: Entry) -> str:
    if np.isnan(entry.score.value):
        return "-"
    value, low, high = (_shown(number) for number in (entry.score.value, *interval(entry.score)))
    return f"{value} [{low}, {high}]"


def _against_first(found: Pairwise, first: str) -> str:
    """What the best has before each of the others, and how sure that is."""
    ranks = found.ranking.ranks if found.ranking else {}
    of_first = f"{ranks[first]:.2f}" if ranks else ""
    table = [["", "difference [95%]", "p", "p, Holm", "average rank"], [first, "", "", "", of_first]]
    for pair in found.pairs:
        e = pair.estimate
        row = [pair.than, f"{_shown(e.effect)} [{_shown(e.low)}, {_shown(e.high)}]"]
        tests = [f"{p:.2g}" for p in (pair.p, pair.p_holm) if p is not None]
        table.append([*row, *(tests or ["", ""]), f"{ranks[pair.than]:.2f}" if ranks else ""])
    how = "bootstrap over sequences; Wilcoxon signed-rank" if ranks else "bootstrap over sequences"
    lines = [f"{found.measure}, {first} against each other ({how})", *_aligned(table)]
    if found.ranking:
        lines.append(f"critical difference of average ranks (Nemenyi, 0.05): {found.ranking.difference:.2f}")
    return "\n".join(lines)


def _shown(value: float) -> str:
    size = abs(value)
    return f"{value:.2f}" if size >= 1 else f"{value:.3f}" if size >= 0.01 or size == 0 else f"{value:.3g}"


def _aligned(table: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table, its columns under each other."""
    cells = [list(row) for row in table]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
