"""What the record says of studies and runs in words: Markdown, a few lines and a table."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.plan import Trial
from orchestrator.record.layout import Group, Headline
from orchestrator.report.paper import Paper
from orchestrator.report.results import Quantity

MOST_ROWS = 40


def of_study(name: str, paper: Paper, trackers: Sequence[str], comparable: str) -> str:
    """Of an experiment."""
    source = f"{paper.authors} {paper.year}: [{paper.title}]({paper.url}). " if paper.title else ""
    return (
        f"{source}Compares {', '.join(trackers)}.\n\nNumbers may be held against the paper's: {comparable}.\n\n"
        "A run is a tracker, and stands for the mean of its folds and seeds, which are below it. "
        f'Trackers are in the model registry: `models:/{name}.TRACKER@current`. The run "report" says how results '
        "have changed."
    )


def of_trial(trial: Trial, paper: Paper, found: Headline, problem: str = "") -> str:
    """Of a trial's run. problem: what went wrong with it."""
    fold = "" if trial.fold is None else f" Fold {trial.fold} of {trial.folds}: it is tested in this part."
    return "\n\n".join([_what(trial) + fold, *_failed(problem), *_table(trial.tracker, paper, found)])


def of_group(group: Group, paper: Paper, found: Headline, losing: str, problem: str = "") -> str:
    """Of the run above several trials. found: their means. losing: which of them is the worst, and how bad."""
    trial = group.trials[0]
    what = f"{_what(trial)} Means of {len(group.trials)} runs below."
    worst = [f"Worst: {losing}."] if losing else []
    return "\n\n".join([what, *worst, *_failed(problem), *_table(trial.tracker, paper, found)])


def _what(trial: Trial) -> str:
    learnt, tests = trial.train or "nothing here", ", ".join(trial.scores) or "nothing"
    return f"**{trial.tracker}** of the study {trial.study}, trained on {learnt}, tested on {tests}."


def _failed(problem: str) -> list[str]:
    return [f"Failed: {problem}"] if problem else []


def _table(tracker: str, paper: Paper, found: Headline) -> list[str]:
    """Benchmark by measure, beside what the paper prints."""
    if not found:
        return []
    printed = {key: paper.cells.get((tracker, key[0], paper.aspect(key[1]))) for key in found}
    shown = any(printed.values())
    lines = [f"| benchmark | measure | score |{' paper |' if shown else ''}", f"|---|---|--:|{'--:|' if shown else ''}"]
    for (benchmark, quantity), value in list(found.items())[:MOST_ROWS]:
        paper_has = printed[benchmark, quantity]
        beside = f" {paper_has.mean if paper_has else ''} |" if shown else ""
        lines.append(f"| {benchmark} | {named(quantity)} | {value:.3f} |{beside}")
    more = len(found) - MOST_ROWS
    return ["\n".join(lines), *([f"and {more} more"] if more > 0 else [])]


def named(quantity: Quantity) -> str:
    """A quantity in words."""
    protocol = "" if quantity.protocol == "one_pass" else f", {quantity.protocol.replace('_', ' ')}"
    length = "" if quantity.length is None else f", {quantity.length} frames"
    return f"{quantity.measure}{protocol}{length}"
