"""What was measured as cells of a table, and what must be said of a study below or above one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import isfinite, isnan
from typing import Literal

import numpy as np

from orchestrator.report import scores
from orchestrator.report.paper import Aspect, Printed
from orchestrator.report.results import Study
from orchestrator.report.scores import Grid
from orchestrator.report.summary import measure_name, shown, subset_name
from orchestrator.report.table import HOLE, Beside, Cell, Mark, Whisker
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import ALL
from trackers.evaluation.statistics import Estimate

Better = Literal["higher", "lower"]
Axis = tuple[float, float]


def hole(failed: bool = False) -> Cell:
    """Where nothing was measured: because it failed, or was not run."""
    return Cell("failed", mark="failed") if failed else Cell()


def mean_interval(cell: scores.Cell, mark: Mark = "") -> Cell:
    """A score with its 95% interval."""
    measure, (low, high) = cell.quantity.measure, cell.interval
    spread = f"[{shown(measure, low)}, {shown(measure, high)}]"
    return Cell(shown(measure, cell.mean), cell.mean, spread, low, high, mark=mark)


def mean_std(cell: scores.Cell, mark: Mark = "") -> Cell:
    """A score with its standard deviation over sequences, two decimals, as papers have it; below it the interval."""
    low, high = cell.interval
    spread = f"± {cell.std:.2f}\n[{low:.2f}, {high:.2f}]"
    return Cell(f"{cell.mean:.2f}", cell.mean, spread, low, high, cell.std, mark=mark)


def count(number: int) -> Cell:
    """A whole number."""
    return Cell(str(number), number)


def words(text: str, mark: Mark = "") -> Cell:
    """Words; a hole where there are none."""
    return Cell(text, mark=mark) if text else Cell()


def difference(estimate: Estimate, axis: Axis) -> Cell:
    """A difference with its interval, in numbers and drawn on an axis from one to the other."""
    effect, low, high, _ = vars(estimate).values()
    if isnan(effect):
        return Cell()
    spread = f"[{signed(low)}, {signed(high)}]"
    return Cell(signed(effect), effect, spread, low, high, whisker=Whisker(low, effect, high, *axis))


def beside(cell: Cell, printed: Printed | None, measure: str) -> Cell:
    """The same with the paper's number below it, and how much above that it is, with as many decimals."""
    below = in_paper(printed, measure)
    if printed is not None and cell.value is not None:
        gap = cell.value - printed.mean
        below = below._replace(difference=gap, differs=signed(gap, _decimals(cell.text)))
    return replace(cell, beside=below)


def in_paper(printed: Printed | None, measure: str) -> Beside:
    """The paper's number alone."""
    return Beside(HOLE) if printed is None else Beside(as_printed(printed, measure), printed.mean, printed.std)


def as_printed(printed: Printed, measure: str) -> str:
    """With the digits that it has in the paper, two at least: 0.30, 0.093, 0.36 ± 0.12; a speed as it is: 1, 0.3."""
    if printed.std is not None:
        return f"{printed.mean:.2f} ± {printed.std:.2f}"
    if measure == "fps":
        return np.format_float_positional(printed.mean, trim="-")
    return np.format_float_positional(printed.mean, min_digits=2)


def best(values: Mapping[str, float], competing: Iterable[str], better: Better) -> str | None:
    """Whose value is the best of those that compete; None if there is nothing to compare."""
    known = {name: values[name] for name in competing if name in values}
    choose = max if better == "higher" else min
    return choose(known, key=known.__getitem__) if len(known) > 1 else None


def better(measure: str) -> Better:
    """Which end is the good one; of a rank, which is no measure, the lower."""
    if measure in MEASURES:
        return MEASURES[measure].better
    return "lower" if measure.endswith("_rank") else "higher"


def signed(value: float, digits: int = 3) -> str:
    """With its sign, typeset: +0.120, −0.066."""
    return f"{value:+z.{digits}f}".replace("-", "−")


def axis(estimates: Iterable[Estimate]) -> Axis:
    """The ends of an axis that shows all their intervals, and 0."""
    ends = [end for one in estimates for end in (one.low, one.effect, one.high) if isfinite(end)]
    least, most = min([0.0, *ends]), max([0.0, *ends])
    return (least, most) if least < most else (-1.0, 1.0)


def aspect_name(aspect: Aspect) -> str:
    """As a table's head has it: "cle", "success auc, occlusion at 20, random clips"."""
    subset = f", {subset_name(aspect.subset)}" if aspect.subset != ALL else ""
    length = f" at {aspect.length}" if aspect.length else ""
    protocol = f", {aspect.protocol.replace('_', ' ')}" if aspect.protocol else ""
    return f"{measure_name(aspect.measure)}{subset}{length}{protocol}"


def caveats(study: Study, trackers: Iterable[str], ranked: bool = False) -> list[str]:
    """What must be said of those of these trackers that have a dagger; ranked: that they were left out."""
    said: dict[str, list[str]] = {}
    for tracker in dict.fromkeys(trackers):
        if tracker in study.caveats:
            said.setdefault(study.caveats[tracker], []).append(tracker)
    return [f"{'Not among them: ' if ranked else ''}† {', '.join(named)}: {text}" for text, named in said.items()]


def incomparable(study: Study) -> str:
    """Why its numbers may not be held against the paper's; "" where they may."""
    reasons = (
        ("sample data", study.sample),
        (f"{study.profile} settings", study.profile != "paper"),
        ("sequences missing", bool(study.missing)),
    )
    return ", ".join(reason for reason, so in reasons if so)


def badge(study: Study) -> str:
    """The same as a table's badge."""
    return f"not comparable: {incomparable(study)}" if incomparable(study) else ""


def failed(grid: Grid, tracker: str, benchmark: str) -> Cell:
    """The hole that this tracker has there."""
    return hole(grid.failed(tracker, benchmark))


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])
