"""The report's page: one HTML file that needs neither network nor server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, isfinite
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.report.charts import Drawing, mean_speed
from orchestrator.report.claims import Finding
from orchestrator.report.colours import APART, GROUNDTRUTH, PREDICTION, TOGETHER
from orchestrator.report.comparisons import OVERALL, RANKED_BY_ATTRIBUTE, Pairwise, average_ranks
from orchestrator.report.paper import Aspect, Chart, Comparison, Paper
from orchestrator.report.results import Study, Trial, flattened
from orchestrator.report.scores import Cell, Grid
from orchestrator.report.sequences import BySequence
from orchestrator.report.strips import Strip
from orchestrator.report.summary import Summary, measure_name, shown, subset_name
from trackers.evaluation.significance import Ranking
from trackers.evaluation.statistics import Estimate

RANKS = {f"{measure}_rank": measure for measure in RANKED_BY_ATTRIBUTE}  # what a table calls them
Tile = tuple[str, Strip]  # a tracker, and what it saw


@dataclass(frozen=True)
class Table:
    """What was measured on whole sequences, and the trackers against each other by it."""

    summary: Summary
    pairwise: Sequence[Pairwise]

    @property
    def rankings(self) -> dict[str, Ranking]:
        """By measure, those that there are."""
        return {one.measure: one.ranking for one in self.pairwise if one.ranking is not None}


@dataclass(frozen=True)
class Together:
    """All trackers of the project on one benchmark, and their average ranks by measure."""

    summary: Summary
    rankings: Mapping[str, Ranking]

    @property
    def averages(self) -> dict[str, dict[str, float]]:
        """VOT's average ranks, by measure and tracker, the best tracker by the last of them first."""
        averages = average_ranks(self.summary)
        overall = averages.get(OVERALL, {})
        return {
            m: {t: ranks[t] for t in sorted(ranks, key=lambda t: overall.get(t, inf))} for m, ranks in averages.items()
        }


@dataclass(frozen=True)
class Section:
    """All that the page says of one study.

    strips: see `strips.write_strips`. drawn: what the paper's charts show. charts: see `figures.write_charts`,
    `write_curves` and `write_points`.
    """

    study: Study
    paper: Paper
    grid: Grid
    findings: Sequence[Finding]
    tables: Sequence[Table]
    by_sequence: Sequence[BySequence]
    strips: Mapping[tuple[str, str, str], Strip]
    drawn: Mapping[Chart, Drawing]
    charts: Mapping[str, Path]

    def best(self, benchmark: str, length: int) -> str | None:
        """The tracker with the highest mean there, of those without a caveat; None if there is nothing to compare."""
        cells = {tracker: self.at_length(tracker, benchmark, length) for tracker in self.study.competing}
        means = {tracker: cell.mean for tracker, cell in cells.items() if cell is not None}
        return max(means, key=means.__getitem__) if len(means) > 1 else None

    def at_length(self, tracker: str, benchmark: str, length: int) -> Cell | None:
        """What the paper's measure came to there."""
        return self.grid.cells.get((tracker, benchmark, Aspect(self.paper.measure, length)))

    def ours(self, tracker: str, benchmark: str, aspect: Aspect) -> Cell | float | None:
        """What stands beside a cell of the paper's tables; None if nothing was measured.

        Besides measures, tables have what is no score of sequences: `fps`, and VOT's average ranks among the trackers
        of the study, `accuracy_rank` and `robustness_rank`.
        """
        if aspect.measure == "fps":
            return mean_speed(self.study, tracker, benchmark)
        if aspect.measure in RANKS:
            ranks = self._ranks.get((benchmark, aspect.protocol or self.paper.protocol), {})
            return ranks.get(RANKS[aspect.measure], {}).get(tracker)
        return self.grid.cells.get((tracker, benchmark, aspect))

    @cached_property
    def _ranks(self) -> dict[tuple[str, str], dict[str, dict[str, float]]]:
        """By benchmark and protocol, in its first convention; see `average_ranks`."""
        summaries = [table.summary for table in self.tables]
        return {(one.benchmark, one.protocol): average_ranks(one) for one in reversed(summaries)}

    def comparisons(self) -> Sequence[Comparison]:
        """The paper's figures; where it names none, all trackers next to each other."""
        caption = "The same sequences, as each tracker saw them."
        everyone = Comparison(
            "Pictures", caption, self.study.trackers, attention=True, memory=True, recalled=True, contrast=True
        )
        return self.paper.pictures or (everyone,)

    def pictures(self, comparison: Comparison) -> dict[str, dict[str, list[Tile]]]:
        """By benchmark and example sequence, what each tracker of the comparison saw of it: those with pictures."""
        found: dict[str, dict[str, list[Tile]]] = {}
        for benchmark in self.study.benchmarks:
            for tracker in comparison.trackers:
                for trial in self._pictured(tracker, benchmark, comparison.every_fold):
                    for (name, b, sequence), strip in self.strips.items():
                        if (name, b) == (trial.name, benchmark):
                            found.setdefault(benchmark, {}).setdefault(sequence, []).append((tracker, strip))
        chosen = {
            benchmark: {name: sequences[name] for name in comparison.sequences if name in sequences} or sequences
            for benchmark, sequences in found.items()
        }
        return {benchmark: dict(sorted(sequences.items())) for benchmark, sequences in chosen.items()}

    def _pictured(self, tracker: str, benchmark: str, every_fold: bool) -> list[Trial]:
        """The first of the tracker's trials that has pictures of the benchmark; or of each fold the first."""
        drawn = {name for name, b, _ in self.strips if b == benchmark}
        trials = [t for t in self.study.trials if t.tracker == tracker and t.name in drawn]
        first = {t.fold: t for t in reversed(trials)}
        return [t for t in trials if first[t.fold] is t] if every_fold else trials[:1]


def render(sections: Sequence[Section], together: Sequence[Together] = ()) -> str:
    """The page as HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = (as_printed, caveats_of, flattened, largest_end, measure_name, setting, shown, signed, subset_name)
    environment.filters |= {function.__name__: function for function in filters}
    named = {"groundtruth": GROUNDTRUTH, "prediction": PREDICTION, "together": TOGETHER, "apart": APART}
    colours = {name: f"rgb{colour}" for name, colour in named.items()}
    return environment.get_template("page.html").render(sections=sections, together=together, colours=colours)


def as_printed(value: float, measure: str = "") -> str:
    """A number of a paper with the digits that it has there, two at least: 0.30, 0.093; a speed as it is: 1, 0.3."""
    if measure == "fps":
        return np.format_float_positional(value, trim="-")
    return np.format_float_positional(value, min_digits=2)


def caveats_of(study: Study, trackers: Iterable[str]) -> dict[str, list[str]]:
    """What must be said below a table of these trackers: by sentence, of whom."""
    said: dict[str, list[str]] = {}
    for tracker in dict.fromkeys(trackers):
        if tracker in study.caveats:
            said.setdefault(study.caveats[tracker], []).append(tracker)
    return said


def largest_end(estimates: Iterable[Estimate | None]) -> float:
    """How far from 0 their intervals reach: half the width of an axis that shows them all."""
    return (
        max((abs(end) for e in estimates if e is not None for end in (e.low, e.high) if isfinite(end)), default=0)
        or 1.0
    )


def signed(value: float, digits: int = 3) -> str:
    """With its sign, typeset: +0.120, −0.066."""
    return f"{value:+z.{digits}f}".replace("-", "−")


def setting(value: Any) -> str:
    """A setting's value as params.yaml would have it: 0.00003, true, null, [videos, images]."""
    if isinstance(value, float):
        return np.format_float_positional(value, trim="-")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(setting, value))}]"
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)
