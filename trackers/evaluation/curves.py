"""The curves that measures are points or means of, by name: as scores with a column for each threshold.

So folds, seeds and attributes are pooled, and intervals found, as of any score (see `trackers.evaluation.scores`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trackers.evaluation import ope
from trackers.evaluation.eao import eao_terms
from trackers.evaluation.measure import Convention, Terms
from trackers.evaluation.results import ALL, Results
from trackers.evaluation.scores import Score


@dataclass(frozen=True)
class Curve:
    """A curve; calling it judges results under a convention that has one of its measures.

    axes: what x and y are, with units. measures: those that are points or means of it. thresholds: of K
    columns, x (K,), ascending. terms: numerators and denominators, (n, K) each.
    """

    name: str
    axes: tuple[str, str]
    measures: tuple[str, ...]
    thresholds: Callable[[int], np.ndarray]
    terms: Callable[[Results, Convention], Terms]

    def __call__(self, results: Results, convention: Convention = "trackmeet") -> Score:
        """Its terms over all sequences, as the score of a measure with the curve's name."""
        names = tuple(sequence.name for sequence in results.sequences)
        return Score(self.name, convention, results.protocol, ALL, None, names, *self.terms(results, convention))


def _of_frames(curve: ope.Curve, axes: tuple[str, str], *measures: str) -> Curve:
    def thresholds(number: int) -> np.ndarray:
        if number != len(curve.thresholds):
            raise ValueError(f"{curve.name}: expected {len(curve.thresholds)} columns, got {number}")
        return curve.thresholds

    return Curve(curve.name, axes, measures, thresholds, curve.terms)


CURVES = {
    curve.name: curve
    for curve in (
        _of_frames(ope.SUCCESS, ("overlap threshold", "success rate"), "success_auc", "os_50"),
        _of_frames(ope.PRECISION, ("distance threshold (pixels)", "precision"), "precision_20"),
        _of_frames(
            ope.NORMALIZED_PRECISION,
            ("normalized distance threshold", "normalized precision"),
            *("normalized_precision_auc", "normalized_precision"),
        ),
        _of_frames(ope.POOLED_SUCCESS, ("overlap threshold", "success rate of all frames"), "sr_50", "sr_75"),
        Curve(
            "eao",
            ("length (frames)", "expected average overlap"),
            ("eao",),
            lambda number: np.arange(2.0, number + 2),
            eao_terms,
        ),
    )
}
