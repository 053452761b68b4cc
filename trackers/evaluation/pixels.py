"""Pixels told apart by soft maps: how many of each class have which probability, the ROC and the area under it.

Song et al. 2017, Section 3.4 and Fig. 4: "true positive rate and false positive rate is defined at the pixel level".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVELS = 201  # of the counts of a run: half percents, so that 0.4 and 0.7 are levels
TIE = 1e-4  # of a level: what float32 may lack of the level that was meant


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
        level = (probabilities * (levels - 1) + TIE).astype(np.intp)
        level += levels * mask
        return cls(np.bincount(level.ravel(), minlength=2 * levels).reshape(2, levels))

    @classmethod
    def in_window(
        cls, window: np.ndarray, probabilities: np.ndarray, mask: np.ndarray, levels: int = LEVELS
    ) -> PixelCounts:
        """Of the soft map (height, width) of a window of a frame, int (4,) x, y, width, height, and the frame's mask.

        The pixels of the window that lie in the image count: a wider frame is no easier. The target's pixels that it
        leaves out count too, with probability 0: else who lost sight of the target would miss none.
        Raises ValueError for a map of another size than its window.
        """
        x, y, width, height = (int(value) for value in window)
        if probabilities.shape != (height, width):
            raise ValueError(
                f"expected a soft map (height, width) of the size of its window, {(height, width)}, "
                f"got {probabilities.shape}"
            )
        rows = slice(max(0, y), max(0, min(y + height, mask.shape[0])))
        columns = slice(max(0, x), max(0, min(x + width, mask.shape[1])))
        inside = mask[rows, columns]
        top, left = rows.start - y, columns.start - x
        seen = cls.of(probabilities[top : top + inside.shape[0], left : left + inside.shape[1]], inside, levels)
        missed = np.zeros((2, levels), int)
        missed[1, 0] = np.count_nonzero(mask) - np.count_nonzero(inside)
        return seen + cls(missed)

    def __add__(self, other: PixelCounts) -> PixelCounts:
        return PixelCounts(self.counts + other.counts)

    def roc(self) -> tuple[np.ndarray, np.ndarray]:
        """False and true positive rates (levels + 1,), see `roc`."""
        background, target = np.asarray(self.counts)
        return roc(target, background)

    def auc(self) -> float:
        """Area under the ROC, see `auc`."""
        background, target = np.asarray(self.counts)
        return float(auc(target, background))

    def iou(self, threshold: float) -> float:
        """Of the pixels with a probability of at least `threshold`, with the target's; 1 where there are neither."""
        counts = np.asarray(self.counts)
        false, true = counts[:, round(threshold * (counts.shape[1] - 1)) :].sum(1)
        either = counts[1].sum() + false
        return float(true / either) if either else 1.0


def roc(target: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates (..., levels + 1) as the threshold falls (Song et al., Fig. 4).

    target, background: how many pixels of each are at each level (..., levels). NaN where there are none.
    """
    return _share_above(background), _share_above(target)


def auc(target: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Area (...) under the ROC: the chance that a pixel of the target has more than one of the background, ties half.

    NaN where there are no pixels of one of them.
    """
    below = np.cumsum(background, axis=-1)
    pairs = target.sum(-1) * below[..., -1]
    ordered = np.einsum("...k,...k->...", target, below - background / 2)
    return np.divide(ordered, pairs, out=np.full(np.shape(pairs), np.nan), where=pairs > 0)


def _share_above(counts: np.ndarray) -> np.ndarray:
    above = np.cumsum(counts[..., ::-1], axis=-1)
    above = np.concatenate([np.zeros((*above.shape[:-1], 1)), above], axis=-1)
    with np.errstate(invalid="ignore"):  # 0 / 0: no pixel of a class
        return above / above[..., -1:]
