"""Which of many trackers differ, judged by their values on the same sequences (Demsar 2006).

Wilcoxon's signed-rank tests of pairs, corrected after Holm; average ranks, Friedman's test, and
what a critical-difference diagram shows. Values are arrays (n,) by tracker, row i the same sequence in all;
a sequence in which any is NaN is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

Zeros = Literal["wilcox", "pratt", "zsplit"]


@dataclass(frozen=True)
class Comparison:
    """A pair of trackers. median: of the differences a - b. p: two-sided. adjusted: p after Holm."""

    a: str
    b: str
    median: float
    p: float
    adjusted: float


@dataclass(frozen=True)
class Ranking:
    """What a critical-difference diagram shows.

    ranks: average rank by tracker, best (lowest) first. difference: between average ranks from which on two
    trackers differ. groups: of trackers among which no two differ, the largest, of at least two. p: of
    Friedman's test that all are alike. n: sequences.
    """

    ranks: Mapping[str, float]
    difference: float
    groups: tuple[tuple[str, ...], ...]
    p: float
    n: int


def comparisons(
    values: Mapping[str, np.ndarray], control: str | None = None, zeros: Zeros = "zsplit"
) -> list[Comparison]:
    """All pairs of trackers, or control against each other one, tested together."""
    names, table = _table(values)
    if control is not None and control not in names:
        raise ValueError(f"control: expected one of {', '.join(names)}, got {control}")
    pairs = list(combinations(names, 2)) if control is None else [(control, name) for name in names if name != control]
    differences = [table[:, names.index(a)] - table[:, names.index(b)] for a, b in pairs]
    found = [wilcoxon(difference, zeros) for difference in differences]
    return [
        Comparison(a, b, float(np.median(difference)), p, adjusted)
        for (a, b), difference, p, adjusted in zip(pairs, differences, found, holm(np.array(found)), strict=True)
    ]


def wilcoxon(differences: np.ndarray, zeros: Zeros = "zsplit") -> float:
    """p of the two-sided signed-rank test that differences (n,) lie about 0.

    zeros: what becomes of differences of 0: "wilcox" drops them, "pratt" drops their ranks, "zsplit"
    gives half of their ranks to each side (as Demsar does). Exact for up to 50 without zeros and ties, else the
    normal approximation. 1 where all are 0.
    """
    from scipy.stats import wilcoxon as test

    if not differences.any():
        return 1.0
    sizes = np.unique(np.abs(differences))
    exact = len(sizes) == len(differences) <= 50 and sizes[0] > 0
    return float(test(differences, zero_method=zeros, method="exact" if exact else "approx").pvalue)


def holm(p: np.ndarray) -> list[float]:
    """p (m,) of m tests, adjusted so that the chance of one false alarm in all stays below the level (Holm 1979)."""
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    adjusted = np.empty(len(p))
    adjusted[order] = steps
    return adjusted.tolist()


def average_ranks(values: Mapping[str, np.ndarray], better: Literal["higher", "lower"] = "higher") -> dict[str, float]:
    """Mean over sequences of a tracker's rank, 1 the best; equals share the mean of their ranks."""
    names, table = _table(values)
    return dict(zip(names, _ranks(table, better).mean(0).tolist(), strict=True))


def ranking(
    values: Mapping[str, np.ndarray], better: Literal["higher", "lower"] = "higher", level: float = 0.05
) -> Ranking:
    """Average ranks with Nemenyi's critical difference, q sqrt(k (k + 1) / 6 n), of at least two trackers."""
    from scipy.stats import studentized_range

    names, table = _table(values)
    n, k = table.shape
    if k < 2 or n == 0:
        raise ValueError(f"expected at least 2 trackers and 1 sequence that all have, got {k} and {n}")
    ranks = _ranks(table, better)
    order = sorted(range(k), key=lambda j: (ranks[:, j].mean(), names[j]))
    means = [float(ranks[:, j].mean()) for j in order]
    difference = float(studentized_range.ppf(1 - level, k, np.inf) / np.sqrt(2) * np.sqrt(k * (k + 1) / (6 * n)))
    groups: list[tuple[str, ...]] = []
    reached = 0
    for i in range(k):
        end = max(j for j in range(i, k) if means[j] - means[i] < difference) + 1
        if end > max(reached, i + 1):
            groups.append(tuple(names[j] for j in order[i:end]))
            reached = end
    named = dict(zip((names[j] for j in order), means, strict=True))
    return Ranking(named, difference, tuple(groups), _friedman(ranks), n)


def _table(values: Mapping[str, np.ndarray]) -> tuple[list[str], np.ndarray]:
    """Names, and finite values (n, trackers)."""
    sizes = {name: np.shape(column) for name, column in values.items()}
    if len(set(sizes.values())) != 1 or any(len(size) != 1 for size in sizes.values()):
        raise ValueError(f"expected values (n,) of the same sequences of every tracker, got {sizes}")
    table = np.stack([np.asarray(column, float) for column in values.values()], 1)
    return list(values), table[~np.isnan(table).any(1)]


def _ranks(table: np.ndarray, better: Literal["higher", "lower"]) -> np.ndarray:
    """(n, trackers)."""
    signed = -table if better == "higher" else table
    ahead = (signed[:, None, :] < signed[:, :, None]).sum(2)
    alike = (signed[:, None, :] == signed[:, :, None]).sum(2)
    return ahead + (alike + 1) / 2


def _friedman(ranks: np.ndarray) -> float:
    """p of Friedman's chi-square, corrected for ties; 1 where all trackers are alike on every sequence."""
    from scipy.stats import chi2

    n, k = ranks.shape
    spread = ((ranks - (k + 1) / 2) ** 2).sum()
    if spread == 0:
        return 1.0
    statistic = n * n * ((ranks.mean(0) - (k + 1) / 2) ** 2).sum() * (k - 1) / spread
    return float(chi2.sf(statistic, k - 1))
