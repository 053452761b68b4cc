"""A score: a measure's number for a tracker on a benchmark, with what each sequence contributes to it.

Every measure is a mean of K ratios of sums over sequences: value = mean_k(sum_i numerator[i, k] /
sum_i denominator[i, k]). A mean over sequences has denominators of 1; a mean over frames has the
numbers of frames there; EAO has one k for each length in its interval. So one bootstrap over sequences
serves them all, and folds are pooled by putting their rows under each other. Where that is not enough, `pool`
says how the value comes of the ratios (see `pooled`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trackers.evaluation import pixels

Pool = Literal["mean", "sum", "reliability", "robustness_error", "overall_error", "pixel_auc"]

SENSITIVITY = 30  # S in exp(-S M), the chance to track S frames without a failure, as the VOT reports have it


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
        """(n,) of each sequence by itself; NaN where nothing of it counts, or too little to say (see `pooled`)."""
        return pooled(self.numerator, self.denominator, self.pool)


def pooled(numerator: np.ndarray, denominator: np.ndarray, pool: Pool) -> np.ndarray:
    """Sums (..., K) of numerators and denominators -> the value (...).

    mean: of the K ratios; where a denominator is 0, that k does not count (an EAO curve beyond the last frame of
    all sequences). sum: the first numerator, a total. reliability: exp(-30 M), M the product of the ratios,
    failures by frame. robustness_error: 1 - that. overall_error: 1 - (A + R) / 2, A the first ratio and
    R the reliability of the others. Where no frame counts for A (its denominator is 0), A is 0 if something failed
    there, as of a tracker that never lasts; if nothing failed, as in few frames soon after a reset, it is unknown: NaN.
    pixel_auc: of pixels counted at K levels of probability, the target's (numerator) and the background's
    (denominator), the area under the ROC.
    """
    if pool == "pixel_auc":
        return pixels.auc(numerator, denominator)
    if pool == "sum":
        return numerator[..., 0]
    counted = denominator > 0
    ratio = np.divide(numerator, denominator, out=np.zeros(np.shape(numerator)), where=counted)
    with np.errstate(invalid="ignore"):
        mean = ratio.sum(-1) / counted.sum(-1)
    if pool == "mean":
        return mean
    rates = ratio[..., 1:] if pool == "overall_error" else ratio
    failed = rates.prod(-1)  # by frame
    reliability = np.where(counted.any(-1), np.exp(-SENSITIVITY * failed), np.nan)
    if pool == "overall_error":
        accuracy = np.where(counted[..., 0] | (failed > 0), ratio[..., 0], np.nan)
        return 1 - (accuracy + reliability) / 2
    return reliability if pool == "reliability" else 1 - reliability
