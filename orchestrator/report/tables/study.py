"""All tables of one study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.report.section import Section
from orchestrator.report.table import Table
from orchestrator.report.tables import claimed, measured, papers, ranks, trials
from orchestrator.report.tables.folds import folds
from orchestrator.report.tables.overview import headline


@dataclass(frozen=True)
class OfStudy:
    """By what they are found in the page; those that there are.

    headline: what is seen first. by_length: by benchmark. scores, by_attribute, ranks, folds: by `Summary.name`;
    against: by that and measure. contrasts: by the claim's name. papers, by_sequence: as the paper has them.
    """

    headline: Table | None
    by_length: Mapping[str, Table]
    scores: Mapping[str, Table]
    by_attribute: Mapping[str, Table]
    against: Mapping[str, Mapping[str, Table]]
    ranks: Mapping[str, Table]
    folds: Mapping[str, Table]
    speeds: Table | None
    claims: Table | None
    contrasts: Mapping[str, Table]
    papers: Sequence[Table]
    by_sequence: Sequence[Table]
    settings: Table | None
    trials: Table

    @property
    def everything(self) -> Iterator[Table]:
        """All of them."""
        if self.headline is not None:
            yield self.headline
        yield from self.by_length.values()
        for tables in (self.scores, self.by_attribute, self.ranks, self.folds, *self.against.values(), self.contrasts):
            yield from tables.values()
        yield from (*self.papers, *self.by_sequence)
        yield from (table for table in (self.speeds, self.claims, self.settings, self.trials) if table is not None)


def of(section: Section) -> OfStudy:
    """The tables of what the section says of its study."""
    study, paper, grid = section.study, section.paper, section.grid
    summaries = {table.summary.name: table.summary for table in section.tables}
    pairs = {table.summary.name: table.pairwise for table in section.tables}
    rankings = {compared.summary.name: compared.rankings for compared in section.tables}
    against = {n: {one.measure: ranks.against(s, one) for one in pairs[n]} for n, s in summaries.items()}
    ours = papers.Ours(paper, grid, summaries.values())
    return OfStudy(
        headline=headline(section),
        by_length={name: measured.by_length(grid, paper, name) for name in study.benchmarks if study.lengths},
        scores={name: measured.scores(summary) for name, summary in summaries.items()},
        by_attribute={name: measured.by_attribute(one) for name, one in summaries.items() if one.subsets},
        against={name: _present(tables) for name, tables in against.items() if _present(tables)},
        ranks=_present({name: ranks.ranks(summary, rankings[name]) for name, summary in summaries.items()}),
        folds=_present({name: folds(summary, section.measure(summary)) for name, summary in summaries.items()}),
        speeds=measured.speeds(study) if study.speeds else None,
        claims=claimed.claims(section) if section.findings else None,
        contrasts={one.claim.name: claimed.contrasts(study, one) for one in section.findings if one.contrasts},
        papers=[papers.paper_table(table, ours) for table in paper.tables],
        by_sequence=[papers.sequence_table(lines, study) for lines in section.by_sequence],
        settings=trials.settings(study),
        trials=trials.trials(study),
    )


def _present(tables: Mapping[str, Table | None]) -> dict[str, Table]:
    return {name: table for name, table in tables.items() if table is not None}
