"""A paper's claims, each checked on whatever data the study ran on.

A check looks at cells: one difference each, paired over the sequences of one benchmark, with a 95%
bootstrap interval. The sign is such that above 0 is better, whichever end of the measure is the good one.
A claim's kind says which cells, and how they make one verdict:

    better_in_every_cell   `tracker` minus `than`, per benchmark and length; every cell above 0
    better_on_average      the same cells; their mean above 0
    hardly_differ          the same cells; every one within ± `margin`
    hardly_better          the same cells; every one below `margin`, however far below 0
    falls_with_length      the score at one length minus that at the next, per benchmark; their mean above 0
    larger_spread          the first's cells again, of standard deviations; their mean above 0

What is subtracted are scores of the whole benchmark, as the tables have them, pooled anew in each resample: of
an error that is not a mean over sequences (1 - (A + R) / 2 with R = exp(-30 M) of all failures by all frames) the
mean of the sequences' own errors is another quantity, which may order trackers differently.

A difference that is claimed to be positive "holds" where its whole interval lies above 0, "does not
hold" where all of it lies below, and is "undecided" otherwise. One that is claimed to be small holds
where the whole interval lies within the margin, does not hold where all of it lies outside. Of one
sequence there is nothing to resample: a difference on it alone is undecided.

A claim about the mean of its cells has the verdict of that mean's interval. A claim about every cell
holds where every cell holds, does not hold where any cell does not, and is undecided otherwise; no
interval is widened for the number of cells, so that one cell of many is weak evidence against it:
see the cells. A claim is "not tested" where any of its cells is missing.

Nothing here expects a claim to hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Literal

from orchestrator.report.paper import Aspect, Claim, Key, Paper
from orchestrator.report.results import Study
from orchestrator.report.scores import Grid
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.statistics import Estimate, difference, paired_mean

HOLDS, FAILS, UNDECIDED, NOT_TESTED = "holds", "does not hold", "undecided", "not tested"
COLUMNS = ("study", "claim", "verdict", "effect", "low", "high", "n")
LEAST = 2  # sequences, below which there is nothing to resample

Pair = tuple[Key, Key]


@dataclass(frozen=True)
class Kind:
    """One kind of check.

    pairs: "trackers" against each other, or neighbouring "lengths" of one.
    statistic: what of each cell is subtracted. claimed: of the differences, see `Kind.range`. every: the
    verdict is that of all cells, not of their mean. rule: in words.
    """

    pairs: Literal["trackers", "lengths"]
    statistic: Literal["score", "std"]
    claimed: Literal["positive", "small", "not large"]
    every: bool
    rule: str

    def range(self, margin: float | None) -> tuple[float, float]:
        """Between what a difference is claimed to lie."""
        if self.claimed == "positive":
            return 0, inf
        assert margin is not None, "margin is missing"
        return -margin if self.claimed == "small" else -inf, margin


KINDS = {
    "better_in_every_cell": Kind(
        "trackers", "score", "positive", True, "{tracker} is better than {than} in every cell"
    ),
    "better_on_average": Kind(
        "trackers", "score", "positive", False, "{tracker} is better than {than}, averaged over the cells"
    ),
    "hardly_differ": Kind(
        "trackers",
        "score",
        "small",
        True,
        "{tracker} and {than} differ by less than {margin} (the margin is ours) in every cell",
    ),
    "hardly_better": Kind(
        "trackers",
        "score",
        "not large",
        True,
        "{tracker} is worse than {than}, or better by less than {margin} (the margin is ours), in every cell",
    ),
    "falls_with_length": Kind(
        "lengths", "score", "positive", False, "what {tracker} loses from one length to the next, averaged, is above 0"
    ),
    "larger_spread": Kind(
        "trackers",
        "std",
        "positive",
        False,
        "the standard deviation of {tracker} minus that of {than}, averaged over the cells, is above 0",
    ),
}


@dataclass(frozen=True)
class Contrast:
    """One cell of a claim: how much better first is than second. paper: the same difference in the paper's tables."""

    first: Key
    second: Key
    estimate: Estimate
    verdict: str
    paper: float | None


@dataclass(frozen=True)
class Finding:
    """What came of a claim. estimate: the mean over its cells; None where it was not tested.

    contrasts: the cells that there are. missing: those for want of which it was not tested.
    """

    claim: Claim
    verdict: str
    estimate: Estimate | None
    contrasts: tuple[Contrast, ...]
    missing: tuple[Key, ...]

    @property
    def rule(self) -> str:
        """The check in words."""
        return KINDS[self.claim.check].rule.format_map(vars(self.claim))

    @property
    def holding(self) -> int:
        """Number of cells that hold by themselves."""
        return sum(contrast.verdict == HOLDS for contrast in self.contrasts)

    @property
    def printed(self) -> tuple[int, int]:
        """In how many cells the means in the paper's own tables agree with its claim; how many cells they have."""
        known = [contrast.paper for contrast in self.contrasts if contrast.paper is not None]
        claimed = KINDS[self.claim.check].range(self.claim.margin)
        return sum(decide(value, value, claimed) == HOLDS for value in known), len(known)


def check(paper: Paper, grid: Grid) -> list[Finding]:
    """Every claim of the paper, in its order."""
    return [_finding(claim, paper, grid) for claim in paper.claims]


def row(study: Study, finding: Finding) -> dict[str, object]:
    """The finding in the columns `COLUMNS`; no numbers where it was not tested."""
    estimate = vars(finding.estimate) if finding.estimate else dict.fromkeys(("effect", "low", "high", "n"))
    return {"study": study.name, "claim": finding.claim.name, "verdict": finding.verdict, **estimate}


def decide(low: float, high: float, claimed: tuple[float, float]) -> str:
    """The verdict of an interval on a difference that is claimed to lie between two others."""
    least, most = claimed
    return HOLDS if least < low and high < most else FAILS if high < least or low > most else UNDECIDED


def _decide(estimate: Estimate, claim: Claim) -> str:
    claimed = KINDS[claim.check].range(claim.margin)
    return decide(estimate.low, estimate.high, claimed) if estimate.n >= LEAST else UNDECIDED


def _finding(claim: Claim, paper: Paper, grid: Grid) -> Finding:
    kind = KINDS[claim.check]
    pairs = list(_pairs(claim, kind, paper, grid.study))
    missing = dict.fromkeys(key for pair in pairs for key in _missing(pair, grid))
    contrasts = [_contrast(pair, claim, kind, paper, grid) for pair in pairs if missing.keys().isdisjoint(pair)]
    if missing or not pairs:
        return Finding(claim, NOT_TESTED, None, tuple(contrasts), tuple(missing))
    estimate = _estimate(pairs, kind, grid)
    verdicts = {contrast.verdict for contrast in contrasts}
    if not kind.every:
        verdict = _decide(estimate, claim)
    else:
        verdict = FAILS if FAILS in verdicts else HOLDS if verdicts == {HOLDS} else UNDECIDED
    return Finding(claim, verdict, estimate, tuple(contrasts), ())


def _pairs(claim: Claim, kind: Kind, paper: Paper, study: Study) -> Iterator[Pair]:
    """What is subtracted from what, benchmark by benchmark: the better first, if the claim is true."""
    measure = claim.measure or paper.measure
    protocol = None if claim.protocol == paper.protocol else claim.protocol
    lengths = study.lengths if study.lengths and protocol is None else (None,)
    aspects = [Aspect(measure, length, claim.subset, protocol) for length in lengths]
    for benchmark in study.benchmarks:
        if claim.benchmarks and benchmark not in claim.benchmarks:
            continue
        if kind.pairs == "lengths":
            for shorter, longer in pairwise(sorted(aspects)):
                yield (claim.tracker, benchmark, shorter), (claim.tracker, benchmark, longer)
        else:
            assert claim.than is not None, f"claim {claim.name}: than is missing"
            for aspect in aspects:
                yield (claim.tracker, benchmark, aspect), (claim.than, benchmark, aspect)


def _contrast(pair: Pair, claim: Claim, kind: Kind, paper: Paper, grid: Grid) -> Contrast:
    estimate = _estimate([pair], kind, grid)
    first, second = (paper.cells.get(key) for key in pair)
    printed = None
    if first is not None and second is not None and kind.statistic == "score":
        printed = _sign(pair) * (first.mean - second.mean)
    elif first is not None and second is not None and first.std is not None and second.std is not None:
        printed = first.std - second.std
    return Contrast(*pair, estimate, _decide(estimate, claim), None if printed is None else round(printed, 6))


def _sign(pair: Pair) -> int:
    """Of first minus second, so that above 0 is better."""
    return 1 if MEASURES[pair[0][2].measure].better == "higher" else -1


def _missing(pair: Pair, grid: Grid) -> tuple[Key, ...]:
    """Those of the two cells that are not there; both, where they have no sequence in common."""
    absent = tuple(key for key in pair if key not in grid.cells)
    return absent or (() if _shared([pair], grid) else pair)


def _shared(pairs: Sequence[Pair], grid: Grid) -> list[str]:
    """Names of the sequences that every one of these cells has."""
    cells = [grid.cells[key] for pair in pairs for key in pair]
    return sorted(set.intersection(*(set(cell.sequences) for cell in cells)))


def _estimate(pairs: Sequence[Pair], kind: Kind, grid: Grid) -> Estimate:
    """The mean over the pairs' differences. Sequences are resampled within their benchmark, for all its cells at once.

    Benchmarks that are the same videos cut to several lengths are one. Sequences that one side lacks do not count.
    """
    by_videos: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_videos.setdefault(grid.study.videos(pair[0][1]), []).append(pair)
    strata = list(by_videos.values())
    if kind.statistic == "std":
        shared = [_shared(stratum, grid) for stratum in strata]
        return difference(
            [
                [(grid.cells[first].of(names), grid.cells[second].of(names)) for first, second in stratum]
                for stratum, names in zip(strata, shared, strict=True)
            ],
            "std",
        )
    ordered = [[pair if _sign(pair) > 0 else pair[::-1] for pair in stratum] for stratum in strata]
    return paired_mean([[(grid.cells[a].score, grid.cells[b].score) for a, b in stratum] for stratum in ordered])
