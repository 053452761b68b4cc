"""Statistics over sequences: percentile bootstrap intervals of scores and means, and of paired differences.

The unit is the sequence: sequences are resampled with replacement, and the interval spans the
middle 95% of what the resamples give. Where values have a second axis, runs (seeds) of the same
sequences, a sequence is resampled with all its runs; runs are never counted as more sequences.
Sequences that contribute nothing to a score are no part of it. Resamples whose score is unknown (NaN) are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from trackers.evaluation.scores import Score, pooled

CONFIDENCE = 0.95
RESAMPLES = 10_000

Pair = tuple[np.ndarray, np.ndarray]  # (n,) or (n, runs) each; row i of both is the same sequence
Statistic = Literal["mean", "std"]


@dataclass(frozen=True)
class Estimate:
    """A difference, its bootstrap interval [low, high], and the number n of sequences behind it."""

    effect: float
    low: float
    high: float
    n: int


def bootstrap_interval(values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """95% interval of the mean over sequences. values: (n,) or (n, runs), finite."""
    values = _columns(values)
    return _middle(_mean(_resampled(len(values), resamples, (seed, 0)), values))


def interval(score: Score, resamples: int = RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """95% interval of a score; NaN where no sequence contributes to it, or it is unknown of all resamples."""
    rows = np.flatnonzero(_contributes(score))
    if not len(rows):
        return np.nan, np.nan
    return _middle(_values(score, rows, _resampled(len(rows), resamples, (seed, 0))))


def paired(a: Score, b: Score, resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """a - b over the sequences that contribute to both, whose names may come in any order; of n = 0, NaN.

    Raises ValueError for scores of different measures, conventions, protocols, subsets or lengths.
    """
    kinds = [(s.measure, s.convention, s.protocol, s.subset, s.length) for s in (a, b)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"expected two scores of one kind, got {kinds[0]} and {kinds[1]}")
    return paired_mean([[(a, b)]], resamples, seed)


def paired_mean(strata: Sequence[Sequence[tuple[Score, Score]]], resamples: int = RESAMPLES, seed: int = 0) -> Estimate:
    """The mean of many differences a - b of scores, each pooled as its measure says.

    strata: sets of sequences, each with the pairs measured on it. Of a set, those sequences count that contribute
    to all of its scores; they are resampled for all its pairs at once. NaN where a set has none, or a score of it is
    unknown; n: of all sets.
    """
    pairs = sum(len(stratum) for stratum in strata)
    whole, total, n = 0.0, np.zeros(resamples), 0
    for i, stratum in enumerate(strata):
        scores = [score for pair in stratum for score in pair]
        places = [{s.sequences[row]: row for row in np.flatnonzero(_contributes(s)).tolist()} for s in scores]
        shared = sorted(set.intersection(*(set(place) for place in places)))
        if not shared:
            return Estimate(np.nan, np.nan, np.nan, 0)
        counts = _resampled(len(shared), resamples, (seed, i))
        for score, place, sign in zip(scores, places, (1, -1) * len(stratum), strict=True):
            rows = np.array([place[name] for name in shared])
            whole += sign * float(_values(score, rows, np.ones((1, len(shared))))[0])
            total += sign * _values(score, rows, counts)
        n += len(shared)
    low, high = _middle(total / pairs)
    return Estimate(whole / pairs, low, high, n)


def band(score: Score, resamples: int = RESAMPLES // 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """95% intervals of each of a score's K ratios by itself, such as the points of a curve: (K,) low and high.

    NaN where no sequence contributes to one.
    """
    counts = _resampled(len(score.sequences), resamples, (seed, 0))
    numerator, denominator = counts @ score.numerator, counts @ score.denominator
    ratios = pooled(numerator[..., None], denominator[..., None], "mean")  # (resamples, K)
    known = ~np.isnan(ratios).all(0)
    ends = np.full((2, ratios.shape[1]), np.nan)
    ends[:, known] = np.nanquantile(ratios[:, known], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    return ends[0], ends[1]


def std(score: Score) -> float:
    """Standard deviation of the sequences' own known values, dividing by their number, as papers do; NaN of none."""
    values = score.values[_contributes(score)]
    values = values[~np.isnan(values)]
    return float(values.std()) if len(values) else np.nan


def _contributes(score: Score) -> np.ndarray:
    """Bool (n,), which sequences do."""
    return (score.denominator != 0).any(1) | (score.numerator != 0).any(1)


def _values(score: Score, rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The score of each resample: (resamples,), of how often it draws each of these rows (resamples, rows)."""
    return pooled(counts @ score.numerator[rows], counts @ score.denominator[rows], score.pool)


def paired_difference(
    a: np.ndarray, b: np.ndarray, statistic: Statistic = "mean", resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """statistic(a) - statistic(b) over the same n sequences, in the same order; both (n,) or (n, runs).

    "mean" is over sequences and runs; "std" is over the sequences of a run (dividing by n, as
    papers do), averaged over runs.
    """
    return difference([[(a, b)]], statistic, resamples, seed)


def difference(
    strata: Sequence[Sequence[Pair]], statistic: Statistic, resamples: int = RESAMPLES, seed: int = 0
) -> Estimate:
    """The mean of many paired differences, such as those of all cells of a claim.

    strata: sets of sequences, each with the pairs measured on it. A set is resampled by itself, for
    all its pairs at once: so lengths of one sequence stay together. Raises ValueError for values
    that are not finite, for a set whose arrays disagree on its sequences, and for no pairs at all.
    """
    sets = [[(_columns(a), _columns(b)) for a, b in pairs] for pairs in strata]
    pairs = [pair for stratum in sets for pair in stratum]
    if not pairs or not all(sets):
        raise ValueError("expected at least one pair in every set of sequences, got none")
    for stratum in sets:
        sizes = sorted({len(values) for pair in stratum for values in pair})
        if len(sizes) > 1:
            raise ValueError(f"expected values of the same sequences in every pair of a set, got {sizes} sequences")

    of = {"mean": _mean, "std": _std}[statistic]
    whole = sum(float((of(np.ones((1, len(a))), a) - of(np.ones((1, len(b))), b))[0]) for a, b in pairs)
    total = np.zeros(resamples)
    for i, stratum in enumerate(sets):
        counts = _resampled(len(stratum[0][0]), resamples, (seed, i))
        total += sum(of(counts, a) - of(counts, b) for a, b in stratum)
    low, high = _middle(total / len(pairs))
    return Estimate(whole / len(pairs), low, high, sum(len(stratum[0][0]) for stratum in sets))


def _columns(values: np.ndarray) -> np.ndarray:
    """(n, runs), checked."""
    values = np.asarray(values, float)
    if values.ndim not in (1, 2) or values.size == 0:
        raise ValueError(f"expected values of shape (n,) or (n, runs), at least one, got shape {values.shape}")
    values = values.reshape(len(values), -1)
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(1))[0])
        raise ValueError(f"expected finite values, got {values[row].tolist()} of sequence {row}")
    return values


@lru_cache(maxsize=5)  # of 40 MB for 500 sequences: the draws are the same for all cells of a table
def _resampled(n: int, resamples: int, seed: tuple[int, int]) -> np.ndarray:
    """How often each of n sequences is drawn in each resample: (resamples, n)."""
    drawn = np.random.default_rng(seed).integers(n, size=(resamples, n)) + n * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * n).reshape(resamples, n).astype(float)
    counts.setflags(write=False)
    return counts


def _mean(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of each resample (resamples, n) of values (n, runs): (resamples,)."""
    return (counts @ values / len(values)).mean(1)


def _std(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(0)  # so that the difference of squares keeps its digits
    variance = counts @ centred**2 / len(values) - (counts @ centred / len(values)) ** 2
    return np.sqrt(variance.clip(min=0)).mean(1)


def _middle(resampled: np.ndarray) -> tuple[float, float]:
    known = resampled[~np.isnan(resampled)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
