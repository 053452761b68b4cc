"""Trackers against each other by one measure, and all such comparisons of a study as tidy tables.

They are compared on the sequences that count for every one of them; trackers with a caveat are not. A difference has
a 95% bootstrap interval over these, and p of Wilcoxon's signed-rank test, corrected after Holm for the number of
pairs; average ranks come with what a critical-difference diagram shows. EAO is an expectation over parts of all
sequences, of which one sequence has no value of its own: it has intervals, but neither tests nor ranks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from orchestrator.report.summary import Summary
from trackers.evaluation import significance, vot
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import ALL
from trackers.evaluation.scores import Score
from trackers.evaluation.significance import Ranking
from trackers.evaluation.statistics import Estimate, paired

COLUMNS = (
    "study", "benchmark", "protocol", "convention", "measure", "tracker", "than",
    "effect", "low", "high", "n", "p", "p_holm",
)  # fmt: skip
RANK_COLUMNS = (
    "study", "benchmark", "protocol", "convention", "subset", "measure", "tracker",
    "rank", "friedman_p", "critical_difference", "groups", "n",
)  # fmt: skip
LEAST = 2  # sequences, below which there is nothing to resample
WITHOUT_VALUES = ("eao",)  # measures of which a sequence has no value
RANKED_BY_ATTRIBUTE = ("accuracy", "robustness")  # in VOT's challenges
OVERALL = "accuracy+robustness"  # the mean of both ranks


@dataclass(frozen=True)
class Pair:
    """tracker minus than. p: two-sided, p_holm: corrected; None where sequences have no values."""

    tracker: str
    than: str
    estimate: Estimate
    p: float | None = None
    p_holm: float | None = None

    def reversed(self) -> Pair:
        """than minus tracker."""
        effect, low, high, n = vars(self.estimate).values()
        return replace(self, tracker=self.than, than=self.tracker, estimate=Estimate(-effect, -high, -low, n))


@dataclass(frozen=True)
class Pairwise:
    """Trackers against each other by one measure. ranking: None where sequences have no values."""

    measure: str
    pairs: tuple[Pair, ...]
    ranking: Ranking | None

    def of(self, tracker: str) -> list[Pair]:
        """This tracker minus each of the others."""
        turned = [pair if pair.tracker == tracker else pair.reversed() for pair in self.pairs]
        return [pair for pair in turned if pair.tracker == tracker]


def compare(scores: Mapping[str, Score], control: str | None = None) -> Pairwise | None:
    """Scores of one measure by tracker: all pairs, or control minus each other one, tested together.

    None where there are fewer than two trackers, or than `LEAST` sequences that count for all of them.
    """
    same = _shared(scores)
    if not _comparable(same):
        return None
    [measure] = {score.measure for score in same.values()}
    named = combinations(same, 2) if control is None else ((control, name) for name in same if name != control)
    pairs = [Pair(a, b, paired(same[a], same[b])) for a, b in named]
    if measure in WITHOUT_VALUES:
        return Pairwise(measure, tuple(pairs), None)
    values = {tracker: score.values for tracker, score in same.items()}
    tests = significance.comparisons(values, control)
    tested = (replace(pair, p=test.p, p_holm=test.adjusted) for pair, test in zip(pairs, tests, strict=True))
    return Pairwise(measure, tuple(tested), significance.ranking(values, MEASURES[measure].better))


def comparisons(summary: Summary) -> list[Pairwise]:
    """Of each of the summary's measures, on whole data sets, where there is something to compare."""
    found = [compare(_scores(summary, measure)) for measure in summary.measures]
    return [comparison for comparison in found if comparison is not None]


def rows(summary: Summary, compared: Iterable[Pairwise]) -> Iterator[dict[str, object]]:
    """Each pair in the columns `COLUMNS`: effect is the score of `tracker` minus that of `than`."""
    for comparison in compared:
        for pair in comparison.pairs:
            place = {**summary.place, "measure": comparison.measure, "tracker": pair.tracker, "than": pair.than}
            yield place | vars(pair.estimate) | {"p": _digits(pair.p), "p_holm": _digits(pair.p_holm)}


def rankings(summary: Summary) -> dict[str, Ranking]:
    """By measure, the average ranks alone, where sequences have values and there is something to compare."""
    found = {}
    for measure in summary.measures:
        same = _shared(_scores(summary, measure))
        if measure not in WITHOUT_VALUES and _comparable(same):
            values = {tracker: score.values for tracker, score in same.items()}
            found[measure] = significance.ranking(values, MEASURES[measure].better)
    return found


def rank_rows(summary: Summary, ranked: Mapping[str, Ranking]) -> Iterator[dict[str, object]]:
    """Ranks in the columns `RANK_COLUMNS`, 1 the best. ranked: by measure.

    subset "all": the mean of a tracker's ranks on each of n sequences, with Friedman's p, the critical
    difference after Nemenyi (0.05), and the numbers of the groups that it is in: trackers of one group do
    not differ. Other rows are the ranks of VOT2013 and VOT2014, without their equivalence of trackers that
    hardly differ: of accuracy and robustness on the frames of n sequences that have a tag; subset "average": their
    mean over n tags, and the mean of both. Both rank the same trackers: one without accuracy on a tag, as no frame
    of it counted, is last there in accuracy, with n = 0.
    """
    for measure, ranking in ranked.items():
        yield from _by_sequence(summary, measure, ranking)
    if summary.protocol in vot.PROTOCOLS:
        yield from _by_attribute(summary)


def average_ranks(summary: Summary) -> dict[str, dict[str, float]]:
    """VOT's average ranks of accuracy, of robustness and `OVERALL`, by tracker; {} under other protocols."""
    averages: dict[str, dict[str, float]] = {}
    for row in _by_attribute(summary) if summary.protocol in vot.PROTOCOLS else ():
        if row["subset"] == "average":
            averages.setdefault(str(row["measure"]), {})[str(row["tracker"])] = float(str(row["rank"]))
    return averages


def _by_sequence(summary: Summary, measure: str, ranking: Ranking) -> Iterator[dict[str, object]]:
    for tracker, rank in ranking.ranks.items():
        groups = [str(i) for i, group in enumerate(ranking.groups, 1) if tracker in group]
        yield {
            **_rank(summary, ALL, measure, tracker, rank, ranking.n),
            "friedman_p": _digits(ranking.p),
            "critical_difference": ranking.difference,
            "groups": " ".join(groups) or None,
        }


def _by_attribute(summary: Summary) -> Iterator[dict[str, object]]:
    measures = [measure for measure in RANKED_BY_ATTRIBUTE if measure in summary.measures]
    tested = [
        tracker
        for tracker in summary.competing
        if all(any(summary.cell(tracker, measure, tag) is not None for measure in measures) for tag in summary.tags)
    ]
    if len(tested) < 2 or not summary.tags:
        return
    averages: dict[str, np.ndarray] = {}
    for measure in measures:
        better = MEASURES[measure].better
        last = -np.inf if better == "higher" else np.inf
        cells = [[summary.cell(tracker, measure, subset) for tracker in tested] for subset in summary.tags]
        means = np.array([[last if cell is None else cell.mean for cell in row] for row in cells])
        ranks = vot.ranks(means, better)  # (tags, trackers)
        for subset, of_subset, row in zip(summary.tags, ranks.tolist(), cells, strict=True):
            for tracker, rank, cell in zip(tested, of_subset, row, strict=True):
                yield _rank(summary, subset, measure, tracker, rank, 0 if cell is None else cell.n)
        averages[measure] = ranks.mean(0)
    if len(averages) == 2:
        averages[OVERALL] = np.mean(list(averages.values()), 0)
    for measure, average in averages.items():
        for tracker, rank in zip(tested, average.tolist(), strict=True):
            yield _rank(summary, "average", measure, tracker, rank, len(summary.tags))


def _rank(summary: Summary, subset: str, measure: str, tracker: str, rank: float, n: int) -> dict[str, object]:
    empty = dict.fromkeys(RANK_COLUMNS)
    return {**empty, **summary.place, "subset": subset, "measure": measure, "tracker": tracker, "rank": rank, "n": n}


def _scores(summary: Summary, measure: str) -> dict[str, Score]:
    cells = {tracker: summary.cell(tracker, measure) for tracker in summary.competing}
    return {tracker: cell.score for tracker, cell in cells.items() if cell is not None}


def _comparable(scores: Mapping[str, Score]) -> bool:
    return len(scores) > 1 and min(len(score.sequences) for score in scores.values()) >= LEAST


def _shared(scores: Mapping[str, Score]) -> dict[str, Score]:
    """The scores on the sequences that count in all of them, in one order."""
    counting = [
        {name for name, value in zip(score.sequences, score.values, strict=True) if not np.isnan(value)}
        for score in scores.values()
    ]
    names = tuple(sorted(set.intersection(*counting))) if counting else ()
    same = {}
    for tracker, score in scores.items():
        places = {name: i for i, name in enumerate(score.sequences)}
        rows = [places[name] for name in names]
        numerator, denominator = score.numerator[rows], score.denominator[rows]
        same[tracker] = replace(score, sequences=names, numerator=numerator, denominator=denominator)
    return same


def _digits(p: float | None) -> str | None:
    """Three significant digits: of a p, six decimals would often be none."""
    return None if p is None else f"{p:.3g}"
