"""Whole sequences of a benchmark under one protocol: trackers by measures, and by attributes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.report.results import Quantity
from orchestrator.report.scores import Cell, Grid
from trackers.evaluation.curves import CURVES
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import ALL

SPELLED = {"auc": "AUC", "eao": "EAO", "iou": "IoU", "os": "OS", "roc": "ROC", "sr": "SR"}
WRONG = {"released_overlap": " (wrong IoU)"}  # measures that were taken over with their mistakes


@dataclass(frozen=True)
class Summary:
    """One table. measures: its columns. subsets: attributes of sequences and tags of frames; tags: these alone."""

    grid: Grid
    benchmark: str
    protocol: str
    convention: str
    measures: tuple[str, ...]
    subsets: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def place(self) -> dict[str, object]:
        """What it is a table of, in the columns of the report's tidy tables."""
        return {
            "study": self.grid.study.name,
            "benchmark": self.benchmark,
            "protocol": self.protocol,
            "convention": self.convention,
        }

    @property
    def name(self) -> str:
        """The study's only table of that name."""
        return f"{self.benchmark} {self.protocol} {self.convention}"

    @property
    def heading(self) -> str:
        """Its name for readers."""
        return f"{self.benchmark}, {self.protocol.replace('_', ' ')}, convention {self.convention}"

    @property
    def trackers(self) -> tuple[str, ...]:
        """Those of the study, each a line."""
        return self.grid.study.trackers

    @property
    def tested(self) -> tuple[str, ...]:
        """Those of them that have any score here, or failed to: not all run under every protocol."""
        kind = self.benchmark, self.protocol, self.convention
        scored = {t for t, benchmark, q in self.grid.measured if (benchmark, q.protocol, q.convention) == kind}
        return tuple(t for t in self.trackers if t in scored or self.grid.failed(t, self.benchmark))

    @property
    def competing(self) -> tuple[str, ...]:
        """The trackers without those that have a caveat, as that is of what no tracker may know: they have no rank."""
        return self.grid.study.competing

    def cell(self, tracker: str, measure: str, subset: str = ALL) -> Cell | None:
        """What that tracker scored; None where nothing was measured."""
        quantity = Quantity(measure, self.protocol, None, subset, self.convention)
        return self.grid.measured.get((tracker, self.benchmark, quantity))

    def ranked(self, measure: str, subset: str = ALL) -> list[str]:
        """The trackers that have a score, the best by this measure first; behind them those that do not compete."""
        cells = {tracker: self.cell(tracker, measure, subset) for tracker in self.trackers}
        means = {tracker: cell.mean for tracker, cell in cells.items() if cell is not None}
        ordered = sorted(means, key=means.__getitem__, reverse=MEASURES[measure].better == "higher")
        return sorted(ordered, key=lambda tracker: tracker not in self.competing)

    def best(self, measure: str, subset: str = ALL) -> str | None:
        """The competing tracker that is best by this measure; None if there is nothing to compare."""
        ranked = [tracker for tracker in self.ranked(measure, subset) if tracker in self.competing]
        return ranked[0] if len(ranked) > 1 else None

    def curves(self) -> dict[str, dict[str, Cell]]:
        """What there is of each curve on the whole data set, by tracker; see `trackers.evaluation.curves`."""
        cells = self.grid.curves
        found: dict[str, dict[str, Cell]] = {}
        for name in CURVES:
            quantity = Quantity(name, self.protocol, None, ALL, self.convention)
            by_tracker = {t: (t, self.benchmark, quantity) for t in self.trackers}
            found[name] = {t: cells[key] for t, key in by_tracker.items() if key in cells}
        return {name: by_tracker for name, by_tracker in found.items() if by_tracker}


def summaries(grid: Grid) -> Iterable[Summary]:
    """A table for each benchmark, protocol and convention of which whole sequences were measured."""
    for benchmark in grid.study.benchmarks:
        found = [q for _, b, q in grid.measured if b == benchmark and q.length is None]
        for protocol, convention in dict.fromkeys((q.protocol, q.convention) for q in found):
            own = [q for q in found if (q.protocol, q.convention) == (protocol, convention)]
            measures = tuple(dict.fromkeys(q.measure for q in own))
            subsets = tuple(sorted({q.subset for q in own} - {ALL}))
            tags = tuple(subset for subset in subsets if subset not in grid.attributes.get(benchmark, ()))
            yield Summary(grid, benchmark, protocol, convention, measures, subsets, tags)


def subset_name(subset: str) -> str:
    """As readers see it: VOT's tag `empty` is of frames that have no other."""
    return "no attribute" if subset == "empty" else subset.replace("_", " ")


def measure_name(measure: str) -> str:
    """As readers see it; of one that is wrong, and known to be, what is wrong."""
    return measure.replace("_", " ") + WRONG.get(measure, "")


def titled(measure: str) -> str:
    """A measure, or a curve, as a title begins with it: Success AUC, EAO, Average overlap."""
    name = " ".join(SPELLED.get(word, word) for word in measure_name(measure).split())
    return name[0].upper() + name[1:]


def shown(measure: str, value: float) -> str:
    """A value as a table shows it: shares of one with three decimals, others with two, small ones with four."""
    if MEASURES[measure].bounds[1] <= 1:
        return f"{value:.3f}"
    return f"{value:.2f}" if abs(value) >= 0.1 or value == 0 else f"{value:.4f}"
