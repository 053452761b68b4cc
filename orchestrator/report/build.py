"""The report: build/results -> build/report.

    index.html         all of it to read, see and play; the same tables and plots beside it:
    tables/            each table as CSV, and as LaTeX for a paper
    figures/           each plot as SVG and PDF for a paper, with its points as CSV; strips of frames
    charts/, assets/, explorer/, frames/    what the page loads when it comes to be seen

`FILES` are all numbers, a number a row, and where they come from. The same results give the same bytes, but for what
the experiments took and how they were made (costs.csv, origins.json, and these parts of the page), and for the links
into MLflow, which name its runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator.facts import Facts
from orchestrator.files import replaced_folder
from orchestrator.params import Report
from orchestrator.report import (
    charts,
    claims,
    comparisons,
    costs,
    curves,
    dvc_files,
    explorer,
    made,
    page,
    paper,
    plots,
    results,
    scores,
    sequences,
    strips,
    table,
    tables,
)
from orchestrator.report.explorer.videos import Opened
from orchestrator.report.page import Everyone, Page, Shown
from orchestrator.report.paper import Paper
from orchestrator.report.section import Compared, Section, Together
from orchestrator.report.summary import Summary, summaries
from orchestrator.report.together import together

FILES = {
    "scores.csv": "everything measured",
    "curves.csv": "success, precision, EAO and ROC curves, IoU by frame, a point a row",
    "charts.csv": "what the papers’ own figures show, a point a row",
    "sequences.csv": "the papers’ tables by sequence: our trackers’ scores of each, and the paper’s",
    "comparisons.csv": "every two trackers by every measure of whole sequences: differences and tests",
    "ranks.csv": "average ranks, and what a critical-difference diagram shows; study “all”: of all trackers",
    "claims.csv": "the verdict on each claim",
    "costs.csv": "what each job took, and where",
    "origins.json": "of each table and plot the trials behind it; revisions and versions",
    "metrics.json": "the main measures and the verdicts, for dvc metrics",
    "measures.json": "all measures, for dvc metrics",
}
Links = Callable[[str], Mapping[str, str]]  # of a study: addresses in MLflow, by what they open


def build(
    folder: Path,
    out: Path,
    settings: Report | None = None,
    facts: Facts | None = None,
    opened: Opened | None = None,
    links: Links = lambda study: {},
) -> Path:
    """Read the results in `folder`, write the report in place of `out`; the path of its page.

    facts: what the experiments took, and where and of what; None: not known. opened: opens data sets, see
    `explorer.opener`; None: the explorer has no frames. links: of each study, into MLflow.

    Raises ResultsError, and leaves the old report as it was, where results are missing or damaged.
    """
    studies = results.read(folder)
    papers = {study.name: paper.load(study.name) for study in studies}
    grids = [scores.grid(study, papers[study.name]) for study in studies]
    joined = [Together(summary, comparisons.rankings(summary)) for summary in together(grids)]
    everyone = [one.summary for one in joined]
    with replaced_folder(out) as target:
        sections = [_section(grid, papers[grid.study.name], everyone, target) for grid in grids]
        played = explorer.write(studies, opened, settings or Report(), target, out)
        shown = [_shown(section, links(section.study.name)) for section in sections]
        shared = [_shared(one) for one in joined]
        spent = None if facts is None else costs.of(facts)
        overview = tables.overview(sections)
        all_tables = [overview, *(t for one in shown for t in one.tables.everything)]
        all_tables += [one.ranks for one in shared if one.ranks is not None]
        all_tables += spent.tables if spent is not None else []
        all_plots = [plot for one in shown for plot in one.plots.everything] + [p for one in shared for p in one.plots]
        all_plots += spent.plots if spent is not None else []
        table.tell_apart(all_tables)
        table.tell_apart(all_plots)
        how = made.of(studies, facts, all_tables, all_plots)
        table.write([*all_tables, *how.tables], target / "tables")
        plots.write(all_plots, target, out)
        made.write(how, studies, target)
        dvc_files.write(target, [dvc_files.Reported(one.grid, one.paper, tuple(one.findings)) for one in sections])
        for name, text in _rows(sections, joined):
            _write(target / name, text)
        if facts is not None:
            _write(target / "costs.csv", scores.as_csv(costs.COLUMNS, costs.rows(facts)))
        files = {name: what for name, what in FILES.items() if (target / name).exists()}
        whole = Page(overview, played, shown, shared, spent, how, files)
        _write(target / "index.html", page.render(whole))
    return out / "index.html"


def trial_figures(folder: Path, out: Path) -> Iterator[tuple[str, str, list[Path]]]:
    """(study, key, pictures in the report `out`) of each finished trial: for its record."""
    for study in results.read(folder):
        for trial in study.trials:
            if trial.state == "done":
                yield study.name, trial.key, sorted((out / strips.trial_folder(study, trial)).glob("*"))


def _section(grid: scores.Grid, reported: Paper, everyone: Sequence[Summary], target: Path) -> Section:
    compared = [Compared(summary, comparisons.comparisons(summary)) for summary in summaries(grid)]
    own = [one.summary for one in compared]
    return Section(
        grid.study,
        reported,
        grid,
        claims.check(reported, grid),
        compared,
        list(_by_sequence(reported, own, everyone)),
        strips.write_strips(grid.study, target),
        _drawn(reported, own, everyone),
    )


def _shown(section: Section, links: Mapping[str, str]) -> Shown:
    study = section.study
    drawn = page.Plots(
        plots.by_length(section.paper, section.grid),
        {
            one.summary.name: plots.of_summary(one.summary, one.pairwise, section.measure(one.summary))
            for one in section.tables
        },
        plots.of_paper(study, section.drawn),
        plots.training(study),
    )
    return Shown(section, tables.of(section), drawn, links)


def _shared(one: Together) -> Everyone:
    return Everyone(
        one.summary, tables.ranks_together(one), plots.of_together(one.summary, one.rankings, one.summary.measures[0])
    )


def _drawn(reported: Paper, own: Sequence[Summary], joined: Sequence[Summary]) -> dict[paper.Chart, charts.Drawing]:
    """What the paper's charts show; without those of benchmarks that were not tested under their protocols."""
    drawn = {}
    for chart in reported.charts:
        protocols = chart.protocols or (reported.protocol,)
        found = [_find(chart.benchmark, protocol, own) for protocol in protocols]
        there = [summary for summary in found if summary is not None]
        if there:
            drawn[chart] = charts.draw(chart, there, _everyone(there[0], joined))
    return {chart: drawing for chart, drawing in drawn.items() if drawing.points}


def _by_sequence(reported: Paper, own: Sequence[Summary], joined: Sequence[Summary]) -> Iterator[sequences.BySequence]:
    """The paper's tables by sequence, of those benchmarks that were tested under its protocol."""
    for one in reported.sequence_tables:
        summary = _find(one.benchmark, reported.protocol, own)
        if summary is not None:
            yield sequences.BySequence(one, _everyone(summary, joined))


def _find(benchmark: str, protocol: str, own: Sequence[Summary]) -> Summary | None:
    """The study's table of that name, in its first convention; None if there is none."""
    return next((one for one in own if (one.benchmark, one.protocol) == (benchmark, protocol)), None)


def _everyone(summary: Summary, joined: Sequence[Summary]) -> Summary:
    """The same with all trackers of the project, where others were tested there as well."""
    same = (one for one in joined if one.place | {"study": None} == summary.place | {"study": None})
    return next(same, summary)


def _rows(sections: Sequence[Section], joined: Sequence[Together]) -> Iterator[tuple[str, str]]:
    """The tidy tables, by name, as text."""
    tidy: dict[str, tuple[Sequence[str], list[dict[str, object]]]] = {
        "scores": (scores.COLUMNS, [row for one in sections for row in scores.rows(one.grid, one.paper)]),
        "curves": (curves.COLUMNS, [row for one in sections for row in curves.rows(one.grid)]),
        "charts": (charts.COLUMNS, [row for one in sections for row in charts.rows(one.study, one.drawn)]),
        "sequences": (
            sequences.COLUMNS,
            [row for one in sections for lines in one.by_sequence for row in sequences.rows(one.study, lines)],
        ),
        "comparisons": (
            comparisons.COLUMNS,
            [row for one in sections for t in one.tables for row in comparisons.rows(t.summary, t.pairwise)],
        ),
        "ranks": (
            comparisons.RANK_COLUMNS,
            [row for t in _ranked(sections, joined) for row in comparisons.rank_rows(t.summary, t.rankings)],
        ),
        "claims": (claims.COLUMNS, [claims.row(one.study, finding) for one in sections for finding in one.findings]),
    }
    for name, (columns, rows) in tidy.items():
        yield f"{name}.csv", scores.as_csv(columns, rows)


def _ranked(sections: Sequence[Section], joined: Sequence[Together]) -> Iterator[Compared | Together]:
    for section in sections:
        yield from section.tables
    yield from joined


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
