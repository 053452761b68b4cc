"""Which of a frame's detections is the target (Ning et al. 2016, Section 2.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from trackers.boxes import iou

Choose = Callable[[np.ndarray], int | None]  # boxes (N, 4), the detections of the next frame -> one of them, or none


def most_overlapping(boxes: np.ndarray, reference: np.ndarray, least: float) -> int | None:
    """The box of (N, 4) with the highest IoU with the reference (4,), if that is at least `least`, and above 0.

    None where there is no such box, or the reference is NaN. Of equal ones the first, which has the highest score.
    """
    if not len(boxes):
        return None
    overlaps = iou(np.asarray(boxes, float), np.asarray(reference, float))  # (N,), NaN where the reference is
    best = int(np.argmax(overlaps))
    return best if overlaps[best] > 0 and overlaps[best] >= least else None


class ByHistory:
    """The paper's rule, of one target: called with the detections of each frame, from that in which it is given.

    A detection is validated where its IoU with the mean of the last `history` validated ones is the highest, and at
    least `iou_min`. Until there is one, `given` (4,), the groundtruth of the first frame, takes the mean's place.
    """

    def __init__(self, given: np.ndarray, history: int, iou_min: float) -> None:
        self.given = np.asarray(given, float)
        self.validated: deque[np.ndarray] = deque(maxlen=history)
        self.iou_min = iou_min

    def __call__(self, boxes: np.ndarray) -> int | None:
        mean = np.mean(self.validated, axis=0) if self.validated else self.given  # (4,)
        chosen = most_overlapping(boxes, mean, self.iou_min)
        if chosen is not None:
            self.validated.append(np.array(boxes[chosen], float))
        return chosen


class ByGroundtruth:
    """The released code's rule, which no tracker may use: the detection that overlaps most with the groundtruth.

    groundtruth: (T, 4), of the frames from that in which the target is given; a frame where it is NaN has none.
    """

    def __init__(self, groundtruth: np.ndarray) -> None:
        self.rest = iter(groundtruth)

    def __call__(self, boxes: np.ndarray) -> int | None:
        return most_overlapping(boxes, next(self.rest), 0.0)
