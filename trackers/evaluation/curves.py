"""The curves that measures are points or means of, by name: as scores with a column for each threshold.

So folds, seeds and attributes are pooled, and intervals found, as of any score (see `trackers.evaluation.scores`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from trackers.evaluation import ope, segmentation
from trackers.evaluation.eao import eao_terms
from trackers.evaluation.measure import Convention, Terms
from trackers.evaluation.pixels import LEVELS, roc
from trackers.evaluation.protocols import FOLLOWING
from trackers.evaluation.results import ALL, Results
from trackers.evaluation.scores import Score, pooled


@dataclass(frozen=True)
class Curve:
    """A curve; calling it judges results under a convention that has one of its measures.

    axes: what x and y are, with units. measures: those that are points or means of it, or the area under it.
    thresholds: of K columns, x (K,), ascending. terms: numerators and denominators, (n, K) each.
    protocols: under which there is one; None: those of its measures. trace: where a falling threshold moves along both
    axes, x and y (..., L) of sums of terms (..., K); None: x are the thresholds, and y the ratios.
    """

    name: str
    axes: tuple[str, str]
    measures: tuple[str, ...]
    thresholds: Callable[[int], np.ndarray]
    terms: Callable[[Results, Convention], Terms]
    protocols: tuple[str, ...] | None = None
    trace: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None

    def belongs(self, measures: Iterable[str], protocol: str) -> bool:
        """Whether one of these measures, taken under this protocol, is of it."""
        known = self.protocols is None or protocol in self.protocols
        return known and not set(measures).isdisjoint(self.measures)

    def points(self, numerator: np.ndarray, denominator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x and y (..., L) of sums of terms (..., K); NaN where nothing counts."""
        if self.trace is not None:
            return self.trace(numerator, denominator)
        y = pooled(numerator[..., None], denominator[..., None], "mean")
        return np.broadcast_to(self.thresholds(y.shape[-1]), y.shape), y

    def __call__(self, results: Results, convention: Convention = "trackmeet") -> Score:
        """Its terms over all sequences, as the score of a measure with the curve's name."""
        names = tuple(sequence.name for sequence in results.sequences)
        return Score(self.name, convention, results.protocol, ALL, None, names, *self.terms(results, convention))


def _of_frames(curve: ope.Curve, axes: tuple[str, str], *measures: str) -> Curve:
    return Curve(curve.name, axes, measures, _fixed(curve.name, curve.thresholds), curve.terms)


def _fixed(name: str, x: np.ndarray) -> Callable[[int], np.ndarray]:
    """Thresholds that are the same for all."""

    def thresholds(number: int) -> np.ndarray:
        if number != len(x):
            raise ValueError(f"{name}: expected {len(x)} columns, got {number}")
        return x

    return thresholds


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
        Curve(
            "roc",
            ("false positive rate", "true positive rate"),
            ("pixel_auc",),
            _fixed("roc", np.linspace(0, 1, LEVELS)),
            lambda results, convention: segmentation.pixel_counts(results),
            trace=roc,
        ),
        Curve(
            "framewise_iou",
            ("frame of the clip", "IoU"),
            ("mask_iou",),
            _fixed("framewise_iou", np.arange(1.0, FOLLOWING + 1)),
            lambda results, convention: segmentation.framewise_iou(results),
            protocols=("random_clips",),
        ),
    )
}
