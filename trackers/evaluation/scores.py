"""A score: a measure's number for a tracker on a benchmark, with what each sequence contributes to it.

Every measure is a mean of K ratios of sums over sequences: value = mean_k(sum_i numerator[i, k] /
sum_i denominator[i, k]). A mean over sequences has denominators of 1; a mean over frames has the
numbers of frames there; EAO has one k for each length in its interval. So one bootstrap over sequences
serves them all, and folds are pooled by putting their rows under each other. The one exception is
a total over sequences (`pool` "sum"): value = sum_i numerator[i].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Pool = Literal["mean", "sum"]


@dataclass(frozen=True)
class Score:
    """sequences: their n names. numerator, denominator: (n, K); a row of zeros in both contributes nothing."""

    measure: str
    convention: str
    protocol: str
    subset: str
    length: int | None
    sequences: tuple[str, ...]
    numerator: np.ndarray
    denominator: np.ndarray
    pool: Pool = "mean"

    @property
    def value(self) -> float:
        """Over all sequences; NaN where nothing counts."""
        return float(pooled(self.numerator.sum(0), self.denominator.sum(0), self.pool))

    @property
    def values(self) -> np.ndarray:
        """(n,) of each sequence by itself; NaN where nothing of it counts."""
        return pooled(self.numerator, self.denominator, self.pool)


def pooled(numerator: np.ndarray, denominator: np.ndarray, pool: Pool) -> np.ndarray:
    """Sums (..., K) of numerators and denominators -> the value (...).

    Where a denominator is 0, that k does not count (an EAO curve beyond the last frame of all sequences).
    """
    if pool == "sum":
        return numerator[..., 0]
    counted = denominator > 0
    ratio = np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=counted)
    with np.errstate(invalid="ignore"):
        return ratio.sum(-1) / counted.sum(-1)
