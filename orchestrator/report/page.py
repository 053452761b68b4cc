"""The report's page: one HTML file that needs neither network nor server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.report.colours import APART, GROUNDTRUTH, PREDICTION, TOGETHER
from orchestrator.report.costs import Costs
from orchestrator.report.explorer import Explorer
from orchestrator.report.made import Made
from orchestrator.report.paper import Chart
from orchestrator.report.plots import Plot
from orchestrator.report.results import flattened
from orchestrator.report.section import Section
from orchestrator.report.summary import Summary, measure_name, subset_name
from orchestrator.report.table import Table, slug
from orchestrator.report.tables import OfStudy
from orchestrator.report.tables.cells import caveats
from orchestrator.report.tables.trials import setting


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
    """A study as the page shows it. links: into MLflow, by what they open."""

    section: Section
    tables: OfStudy
    plots: Plots
    links: Mapping[str, str]


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

    @property
    def verdicts(self) -> Counter[str]:
        """How many claims of all papers came to each verdict."""
        return Counter(finding.verdict for one in self.studies for finding in one.section.findings)


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
    filters = (caveats, flattened, measure_name, setting, slug, subset_name)
    environment.filters |= {function.__name__: function for function in filters}
    named = {"groundtruth": GROUNDTRUTH, "prediction": PREDICTION, "together": TOGETHER, "apart": APART}
    environment.globals["colours"] = {name: f"rgb{colour}" for name, colour in named.items()}
    return environment.get_template("page.html").render(vars(page), verdicts=page.verdicts)
