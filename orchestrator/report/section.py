"""What the page says of one study, and of all trackers of the project on one benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.report.charts import Drawing
from orchestrator.report.claims import Finding
from orchestrator.report.comparisons import Pairwise
from orchestrator.report.paper import Chart, Comparison, Paper
from orchestrator.report.results import Study, Trial
from orchestrator.report.scores import Grid
from orchestrator.report.sequences import BySequence
from orchestrator.report.strips import Strip
from orchestrator.report.summary import Summary
from orchestrator.report.table import numbered, slug
from trackers.evaluation.significance import Ranking

CHAPTERS = ("overview", "failures", "explorer", "together", "costs", "made", "files")  # of the page, besides studies
Tile = tuple[str, Strip]  # a tracker, and what it saw


@dataclass(frozen=True)
class Compared:
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


@dataclass(frozen=True)
class Section:
    """All that there is to say of one study. strips: see `strips.write_strips`. drawn: what the paper's charts show."""

    study: Study
    paper: Paper
    grid: Grid
    findings: Sequence[Finding]
    tables: Sequence[Compared]
    by_sequence: Sequence[BySequence]
    strips: Mapping[tuple[str, str, str], Strip]
    drawn: Mapping[Chart, Drawing]

    @property
    def summaries(self) -> list[Summary]:
        """What was measured on whole sequences, a table each."""
        return [compared.summary for compared in self.tables]

    @property
    def place(self) -> str:
        """Of its chapter in the page."""
        return f"study-{self.study.name}" if self.study.name in CHAPTERS else self.study.name

    @property
    def places(self) -> dict[str, str]:
        """Of the parts of the chapter that are of summaries, by their names."""
        names = [summary.name for summary in self.summaries]
        slugs = numbered(f"{self.place}-{slug(name)}" for name in names)
        return dict(zip(names, slugs, strict=True))

    def measure(self, summary: Summary) -> str:
        """By which its trackers are ranked first: the paper's, where that was measured there."""
        return self.paper.measure if self.paper.measure in summary.measures else summary.measures[0]

    def several(self, benchmark: str) -> bool:
        """Whether this benchmark was tested under several protocols, or in several conventions."""
        return sum(summary.benchmark == benchmark for summary in self.summaries) > 1

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
