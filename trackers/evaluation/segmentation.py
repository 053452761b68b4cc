"""Segmentation: overlap of masks frame by frame, and pixels told apart by soft maps (Song et al. 2017).

A sequence counts where its groundtruth is masks; in it, the frames that a tracker predicts and in which the
target is labelled and present (some pixel of it is shown). DAVIS leaves out the last frame as well.
A tracker that gives boxes or polygons is judged by the pixels inside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trackers import masks
from trackers.evaluation.measure import Convention, Measure, Terms
from trackers.evaluation.ope import PROTOCOLS
from trackers.evaluation.results import ALL, Results
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence


def frame_ious(sequence: Sequence, trajectory: Trajectory, tag: str = ALL) -> np.ndarray:
    """IoU (frames,) of predicted and true masks, 0 where nothing was predicted; NaN where a frame does not count."""
    ious = np.full(len(sequence), np.nan)
    regions = sequence.regions
    if regions is None or regions[0].ndim != 2:
        return ious
    counted = np.isin(trajectory.events, (Event.PREDICTED, Event.FAILED))
    for flags in (sequence.labelled, None if tag == ALL else sequence.tags[tag]):
        if flags is not None:
            counted = counted & flags
    for t in np.flatnonzero(counted).tolist():
        true = regions[t]
        if true.any():
            ious[t] = masks.iou(masks.of_region(trajectory.region(t), true.shape[::-1]), true)
    return ious


def mask_iou(results: Results, above: float | None = None) -> Terms:
    """J of DAVIS (Perazzi et al. 2016): mean IoU over the frames of a sequence, then over sequences.

    above: IoU counts as 0 unless it is more than this.
    """
    numerator = np.zeros((len(results.sequences), 1))
    for i, (sequence, runs) in enumerate(zip(results.sequences, results.runs, strict=True)):
        ious = np.concatenate([np.zeros(0), *(frame_ious(sequence, run, results.tag) for run in runs)])
        ious = ious[~np.isnan(ious)]
        if above is not None:
            ious = np.where(ious > above, ious, 0.0)
        numerator[i] = ious.mean() if len(ious) else np.nan
    counted = ~np.isnan(numerator)
    return np.where(counted, numerator, 0.0), counted.astype(float)


def framewise_iou(results: Results) -> tuple[np.ndarray, np.ndarray]:
    """Mean IoU (frames,) over all runs by the number of the frame, and of how many (Song et al., Eq. 3, Fig. 4).

    frames: of the longest sequence; NaN where none counts.
    """
    longest = max((len(sequence) for sequence in results.sequences), default=0)
    sums, numbers = np.zeros(longest), np.zeros(longest, int)
    for sequence, runs in zip(results.sequences, results.runs, strict=True):
        for run in runs:
            ious = frame_ious(sequence, run, results.tag)
            sums[: len(ious)] += np.nan_to_num(ious)
            numbers[: len(ious)] += ~np.isnan(ious)
    with np.errstate(invalid="ignore"):
        return sums / numbers, numbers


@dataclass(frozen=True)
class PixelCounts:
    """How many pixels of each class have which probability: (2, levels), background first.

    Level k holds probabilities from k / (levels - 1), in steps of as much, so that a sum over all frames
    of a data set takes no more memory than one frame's. `sum(counts, PixelCounts())` adds them up.
    """

    counts: np.ndarray | int = 0

    @classmethod
    def of(cls, probabilities: np.ndarray, mask: np.ndarray, levels: int = 1001) -> PixelCounts:
        """Of soft maps in [0, 1] and masks, bool, both (..., height, width). ValueError for other values or sizes."""
        if probabilities.shape != mask.shape or mask.dtype != bool:
            raise ValueError(
                f"expected probabilities and masks, bool, of one shape, "
                f"got {probabilities.shape} and {mask.dtype} {mask.shape}"
            )
        if not (probabilities.min(initial=0) >= 0 and probabilities.max(initial=0) <= 1):
            raise ValueError(
                f"expected probabilities in [0, 1], got {probabilities.min():g} to {probabilities.max():g}"
            )
        level = np.floor(probabilities.astype(float) * (levels - 1) + 1e-9).astype(int) + levels * mask
        return cls(np.bincount(level.ravel(), minlength=2 * levels).reshape(2, levels))

    def __add__(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts(self.counts + other.counts)

    def roc(self) -> tuple[np.ndarray, np.ndarray]:
        """False and true positive rates (levels + 1,) as the threshold falls (Song et al., Fig. 4)."""
        above = np.pad(np.cumsum(np.asarray(self.counts)[:, ::-1], axis=1), ((0, 0), (1, 0)))
        with np.errstate(invalid="ignore"):  # 0 / 0: no pixel of a class
            false, true = above / above[:, -1:]
        return false, true

    def auc(self) -> float:
        """Area under the ROC: the chance that a pixel of the target has more than one of the background, ties half."""
        false, true = self.roc()
        return float((np.diff(false) * (true[1:] + true[:-1]) / 2).sum())

    def iou(self, threshold: float) -> float:
        """Of the pixels with a probability of at least `threshold`, with the target's; 1 where there are neither."""
        counts = np.asarray(self.counts)
        false, true = counts[:, round(threshold * (counts.shape[1] - 1)) :].sum(1)
        either = counts[1].sum() + false
        return float(true / either) if either else 1.0


def _ratio(name: str, above: float | None = None) -> Measure:
    def terms(results: Results, convention: Convention) -> Terms:
        return mask_iou(results, above)

    return Measure(name, "", (0.0, 1.0), "higher", ("trackmeet",), PROTOCOLS, terms)


# Tables 2 and 3 of Song et al. give "average IOU" with a "threshold at 0.4" and "at 0.7", and no definition.
# Read here: a frame's IoU counts where it is above the threshold. The other reading, pixels whose probability is
# above it, is `PixelCounts.iou`.
MEASURES = [_ratio("mask_iou"), _ratio("mask_iou_above_40", 0.4), _ratio("mask_iou_above_70", 0.7)]
