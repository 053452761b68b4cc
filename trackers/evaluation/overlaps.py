"""Overlaps of boxes, frame by frame: of continuous rectangles, and to the last bit as toolkits compute them."""

from __future__ import annotations

import numpy as np

from trackers import boxes
from trackers.evaluation.measure import Convention

EPSILON = np.finfo(float).eps


def overlaps(regions: np.ndarray, groundtruth: np.ndarray) -> np.ndarray:
    """IoU (..., frames) in [0, 1] of boxes (..., frames, 4).

    NaN where the target is absent; 0 where the prediction is NaN or of no size.
    """
    predicted = np.isfinite(regions).all(-1, keepdims=True)
    return boxes.iou(np.where(predicted, regions, 0.0), groundtruth)


def average_overlap(regions: np.ndarray, groundtruth: np.ndarray, count_first: bool = False) -> np.ndarray:
    """Mean IoU over the frames of a sequence in which the target is present; NaN if in none (Gan et al. 2015, 6.1).

    regions, groundtruth: boxes (..., frames, 4). count_first: whether the first frame counts. "All the
    frames", says the paper; as the tracker is given that box, and predicts nothing there, it is left out.
    """
    values = overlaps(regions, groundtruth)[..., 0 if count_first else 1 :]
    present = ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # 0 / 0: the target is never there
        return np.where(present, values, 0.0).sum(-1) / present.sum(-1)


def toolkit_overlaps(regions: np.ndarray, groundtruth: np.ndarray, convention: Convention) -> np.ndarray:
    """IoU (frames,) of boxes (frames, 4) of positive size, NaN where either is NaN.

    All three toolkits mean the area of continuous rectangles; the last bit, which decides at a threshold,
    depends on how they get there. otb: calcRectInt.m, by the last pixels of a box. got10k: rect_iou,
    with an epsilon in the denominator. pysot: overlap_ratio.
    """
    pixel = 1.0 if convention == "otb" else 0.0
    x, y, w, h = regions.T
    gx, gy, gw, gh = groundtruth.T
    wide = np.minimum(x + w - pixel, gx + gw - pixel) - np.maximum(x, gx) + pixel
    high = np.minimum(y + h - pixel, gy + gh - pixel) - np.maximum(y, gy) + pixel
    intersection = np.maximum(wide, 0) * np.maximum(high, 0)
    union = w * h + gw * gh - intersection
    if convention == "got10k":
        union += EPSILON
    with np.errstate(invalid="ignore", divide="ignore"):  # two boxes of no size
        ratio = intersection / union
    return ratio if convention == "otb" else np.clip(ratio, 0, 1)
