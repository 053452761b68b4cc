"""A paper's claims, each checked on whatever data the study ran on.

A check looks at cells: one difference each, paired over the sequences of one benchmark, with a 95%
bootstrap interval. Its kind says which cells, and how they make one verdict:

    better_in_every_cell   mean of `tracker` minus mean of `than`, per benchmark and length; every cell above 0
    better_on_average      the same cells; their mean above 0
    hardly_differ          the same cells; every one within ± `margin`
    falls_with_length      mean at one length minus mean at the next, per benchmark; their mean above 0
    larger_spread          the first's cells again, of standard deviations; their mean above 0

A difference that is claimed to be positive "holds" where its whole interval lies above 0, "does not
hold" where all of it lies below, and is "undecided" otherwise. One that is claimed to be small holds
where the whole interval lies within the margin, does not hold where all of it lies outside.

A claim about the mean of its cells has the verdict of that mean's interval. A claim about every cell
holds where every cell holds, does not hold where any cell does not, and is undecided otherwise; no
interval is widened for the number of cells, so that one cell of many is weak evidence against it:
see the cells. A claim is "not tested" where any of its cells is missing.

Nothing here expects a claim to hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

from orchestrator.report.paper import Claim, Paper
from orchestrator.report.results import Study
from orchestrator.report.scores import Grid
from trackers.evaluation.statistics import Estimate, difference

HOLDS, FAILS, UNDECIDED, NOT_TESTED = "holds", "does not hold", "undecided", "not tested"
COLUMNS = ("study", "claim", "verdict", "effect", "low", "high", "n")

Key = tuple[str, str, int]  # tracker, benchmark, length
Pair = tuple[Key, Key]


@dataclass(frozen=True)
class Kind:
    """One kind of check.

    pairs: "trackers" against each other, or neighbouring "lengths" of one tracker. statistic: what
    of each cell is subtracted. every: the verdict is that of all cells, not of their mean. rule: in
    words.
    """

    pairs: Literal["trackers", "lengths"]
    statistic: Literal["mean", "std"]
    every: bool
    rule: str


KINDS = {
    "better_in_every_cell": Kind(
        "trackers", "mean", True, "the mean of {tracker} minus that of {than} is above 0 in every cell"
    ),
    "better_on_average": Kind(
        "trackers", "mean", False, "the mean of {tracker} minus that of {than}, averaged over the cells, is above 0"
    ),
    "hardly_differ": Kind(
        "trackers",
        "mean",
        True,
        "the means of {tracker} and {than} differ by less than {margin} (the margin is ours) in every cell",
    ),
    "falls_with_length": Kind(
        "lengths", "mean", False, "what the mean of {tracker} loses from one length to the next, averaged, is above 0"
    ),
    "larger_spread": Kind(
        "trackers",
        "std",
        False,
        "the standard deviation of {tracker} minus that of {than}, averaged over the cells, is above 0",
    ),
}


@dataclass(frozen=True)
class Contrast:
    """One cell of a claim: first minus second. paper: the same difference in the paper's tables."""

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
        return sum(decide(value, value, self.claim.margin) == HOLDS for value in known), len(known)


def check(paper: Paper, grid: Grid) -> list[Finding]:
    """Every claim of the paper, in its order."""
    return [_finding(claim, paper, grid) for claim in paper.claims]


def row(study: Study, finding: Finding) -> dict[str, object]:
    """The finding in the columns `COLUMNS`; no numbers where it was not tested."""
    estimate = vars(finding.estimate) if finding.estimate else dict.fromkeys(("effect", "low", "high", "n"))
    return {"study": study.name, "claim": finding.claim.name, "verdict": finding.verdict, **estimate}


def decide(low: float, high: float, margin: float | None = None) -> str:
    """The verdict of an interval on a difference claimed positive, or (with a margin) claimed small."""
    if margin is None:
        return HOLDS if low > 0 else FAILS if high < 0 else UNDECIDED
    return HOLDS if -margin < low and high < margin else FAILS if low > margin or high < -margin else UNDECIDED


def _finding(claim: Claim, paper: Paper, grid: Grid) -> Finding:
    kind = KINDS[claim.check]
    pairs = list(_pairs(claim, kind, grid.study))
    missing = dict.fromkeys(key for pair in pairs for key in _missing(pair, grid))
    contrasts = [_contrast(pair, claim, kind, paper, grid) for pair in pairs if missing.keys().isdisjoint(pair)]
    if missing or not pairs:
        return Finding(claim, NOT_TESTED, None, tuple(contrasts), tuple(missing))
    estimate = _estimate(pairs, kind, grid)
    verdicts = {contrast.verdict for contrast in contrasts}
    if not kind.every:
        verdict = decide(estimate.low, estimate.high, claim.margin)
    else:
        verdict = FAILS if FAILS in verdicts else HOLDS if verdicts == {HOLDS} else UNDECIDED
    return Finding(claim, verdict, estimate, tuple(contrasts), ())


def _pairs(claim: Claim, kind: Kind, study: Study) -> Iterator[Pair]:
    """What is subtracted from what, benchmark by benchmark."""
    for benchmark in study.benchmarks:
        if claim.benchmarks and benchmark not in claim.benchmarks:
            continue
        if kind.pairs == "lengths":
            for length, longer in pairwise(sorted(study.lengths)):
                yield (claim.tracker, benchmark, length), (claim.tracker, benchmark, longer)
        else:
            assert claim.than is not None, f"claim {claim.name}: than is missing"
            for length in study.lengths:
                yield (claim.tracker, benchmark, length), (claim.than, benchmark, length)


def _contrast(pair: Pair, claim: Claim, kind: Kind, paper: Paper, grid: Grid) -> Contrast:
    estimate = _estimate([pair], kind, grid)
    printed = [paper.cells.get(key) for key in pair]
    difference = None
    if printed[0] is not None and printed[1] is not None:
        difference = round(getattr(printed[0], kind.statistic) - getattr(printed[1], kind.statistic), 6)
    return Contrast(*pair, estimate, decide(estimate.low, estimate.high, claim.margin), difference)


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

    Sequences that one side lacks do not count.
    """
    strata = []
    for _, group in groupby(pairs, key=lambda pair: pair[0][1]):
        cells = list(group)
        shared = _shared(cells, grid)
        strata.append([(grid.cells[first].of(shared), grid.cells[second].of(shared)) for first, second in cells])
    return difference(strata, kind.statistic)
