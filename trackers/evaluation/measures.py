"""Measures: numbers that judge trajectories, one a sequence.

A measure is a function of predicted and true regions, (frames, 4) of one sequence or stacked
(sequences, frames, 4) of many, to one value a sequence: () or (sequences,). The conventions in which
toolkits differ are its keyword arguments. `MEASURES` declares what each number means; the defaults
are those of the studies here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trackers import boxes


@dataclass(frozen=True)
class Measure:
    """A measure and what its numbers mean; calling it gives one value a sequence.

    name: as in params.yaml and scores.csv. unit: "" for a ratio. bounds: the least and the greatest
    value. better: which end of them is the good one.
    """

    name: str
    unit: str
    bounds: tuple[float, float]
    better: Literal["higher", "lower"]
    values: Callable[[np.ndarray, np.ndarray], np.ndarray]

    def __call__(self, regions: np.ndarray, groundtruth: np.ndarray) -> np.ndarray:
        regions, groundtruth = np.asarray(regions, float), np.asarray(groundtruth, float)
        if regions.shape != groundtruth.shape or regions.ndim not in (2, 3) or regions.shape[-1] != 4:
            raise ValueError(
                f"{self.name}: expected regions and groundtruth of one shape, (frames, 4) or "
                f"(sequences, frames, 4), got {regions.shape} and {groundtruth.shape}"
            )
        return self.values(regions, groundtruth)


def overlaps(regions: np.ndarray, groundtruth: np.ndarray) -> np.ndarray:
    """IoU of each frame (..., frames) in [0, 1].

    NaN where the target is absent; 0 where the prediction is NaN or of no size.
    """
    predicted = np.isfinite(regions).all(-1, keepdims=True)
    return boxes.iou(np.where(predicted, regions, 0.0), groundtruth)


def average_overlap(regions: np.ndarray, groundtruth: np.ndarray, count_first: bool = False) -> np.ndarray:
    """Mean IoU over the frames of a sequence in which the target is present; NaN if in none (Gan et al. 2015, 6.1).

    count_first: whether the first frame counts. "All the frames", says the paper; as the tracker is
    given that box, and predicts nothing there, this study leaves it out.
    """
    return _mean_of_present(overlaps(regions, groundtruth)[..., 0 if count_first else 1 :])


def _mean_of_present(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN where nothing is left."""
    present = ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # 0 / 0: the target is never there
        return np.where(present, values, 0.0).sum(-1) / present.sum(-1)


MEASURES = {
    measure.name: measure
    for measure in [
        Measure("average_overlap", unit="", bounds=(0.0, 1.0), better="higher", values=average_overlap),
    ]
}
