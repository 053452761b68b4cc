"""The report's page: one HTML file that needs neither network nor server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.report.colours import APART, GROUNDTRUTH, PREDICTION, TOGETHER
from orchestrator.report.costs import Costs
from orchestrator.report.explorer import Explorer
from orchestrator.report.made import Made
from orchestrator.report.paper import Chart
from orchestrator.report.plots import Plot
from orchestrator.report.results import Study, flattened
from orchestrator.report.section import Section
from orchestrator.report.summary import Summary, measure_name, subset_name
from orchestrator.report.table import Table, slug
from orchestrator.report.tables import OfStudy
from trackers.evaluation.statistics import Estimate


@dataclass(frozen=True)
class Plots:
    """All that is drawn of a study. scores: by the name of the summary that they are of."""

    lengths: Sequence[Plot]
    scores: Mapping[str, Sequence[Plot]]
    papers: Mapping[Chart, Sequence[Plot]]
    training: Sequence[Plot]

    @property
    def everything(self) -> list[Plot]:
        """In the page's order."""
        groups = (self.lengths, *self.scores.values(), *self.papers.values(), self.training)
        return [plot for group in groups for plot in group]


@dataclass(frozen=True)
class Shown:
    """A study as the page shows it.

    links: into MLflow, by what they open. sequences: links into the explorer, by benchmark and protocol.
    """

    section: Section
    tables: OfStudy
    plots: Plots
    links: Mapping[str, str]
    sequences: Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class Everyone:
    """All trackers of the project on one benchmark, as the page shows them."""

    summary: Summary
    ranks: Table | None
    plots: Sequence[Plot]


@dataclass(frozen=True)
class Page:
    """All that the page shows, in its order. costs: None where nobody knows them. files: what each one has, by name."""

    overview: Table
    explorer: Explorer | None
    studies: Sequence[Shown]
    together: Sequence[Everyone]
    costs: Costs | None
    made: Made
    files: Mapping[str, str]


def render(page: Page) -> str:
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
    filters = (caveats_of, flattened, largest_end, measure_name, setting, signed, slug, subset_name)
    environment.filters |= {function.__name__: function for function in filters}
    named = {"groundtruth": GROUNDTRUTH, "prediction": PREDICTION, "together": TOGETHER, "apart": APART}
    environment.globals["colours"] = {name: f"rgb{colour}" for name, colour in named.items()}
    return environment.get_template("page.html").render(vars(page))


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
