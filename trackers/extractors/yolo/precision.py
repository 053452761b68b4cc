"""Mean average precision, as Pascal VOC counts it since 2010."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trackers.boxes import iou
from trackers.extractors import Seen


def mean_average_precision(
    seen: Sequence[Seen], truth: Sequence[tuple[np.ndarray, np.ndarray]], overlap: float = 0.5
) -> float:
    """The mean of `average_precision` over the classes that have objects; NaN where none has.

    seen: the detections in each image. truth: its objects, boxes (k, 4) and classes (k,).
    """
    classes = sorted({int(number) for _, classes in truth for number in classes})
    return float(np.mean([average_precision(seen, truth, one, overlap) for one in classes])) if classes else np.nan


def average_precision(
    seen: Sequence[Seen], truth: Sequence[tuple[np.ndarray, np.ndarray]], number: int, overlap: float
) -> float:
    """Area in [0, 1] below the curve of a class's precision over recall, made to fall: all points, not eleven.

    From the best score to the worst, over all images: a detection is right if the object that it overlaps most has an
    IoU of at least `overlap` with it and was found by no better one. The class must have an object.
    """
    scores, right, objects = list[float](), list[bool](), 0
    for one, (boxes, classes) in zip(seen, truth, strict=True):
        own, wanted = one.classes == number, boxes[classes == number]
        objects += len(wanted)
        scores += one.scores[own].tolist()
        overlaps = iou(one.boxes[own].astype(float)[:, None], wanted[None])  # (n, k)
        free = np.ones(len(wanted), bool)
        for each in overlaps:  # best first
            best = each.argmax() if len(wanted) else 0
            right.append(bool(len(wanted) and each[best] >= overlap and free[best]))
            if right[-1]:
                free[best] = False
    order = np.argsort(-np.array(scores), kind="stable")
    found = np.cumsum(np.array(right, bool)[order])  # (n,)
    recall, precision = found / objects, found / np.arange(1, len(found) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]  # (n,)
    return float((np.diff(recall, prepend=0.0) * falling).sum())
