"""From the numbers of YOLO's last layer to detections (Redmon et al. 2016, Sections 2 and 2.3)."""

from __future__ import annotations

import numpy as np

from trackers.boxes import iou


def decode(
    probabilities: np.ndarray,
    confidences: np.ndarray,
    boxes: np.ndarray,
    size: tuple[int, ...],
    threshold: float,
    overlap: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Detections in one image, best first: boxes float32 (n, 4) in its pixels, scores float32 (n,), classes int16 (n,).

    probabilities: (S, S, C). confidences: (S, S, B). boxes: (S, S, B, 4), as `YOLO.split` gives them. size: width and
    height of the image. A score, a class's probability times a box's confidence (Equation 1), is above `threshold`, and
    at most 1; of a class, no box overlaps a better one by an IoU above `overlap`. What is no number is no detection.
    """
    S = len(boxes)
    scores = confidences[..., None] * probabilities[:, :, None]  # (S, S, B, C)
    # Two negative factors make no detection.
    likely = (scores > threshold) & (confidences[..., None] > 0) & np.isfinite(boxes).all(-1)[..., None]
    row, column, predictor, classes = np.nonzero(likely)  # (n,)
    order = np.argsort(-scores[row, column, predictor, classes], kind="stable")
    row, column, predictor, classes = (index[order] for index in (row, column, predictor, classes))
    x, y, root_width, root_height = boxes[row, column, predictor].astype(float).T
    sides = np.stack([root_width, root_height], 1) ** 2 * size  # (n, 2)
    centres = np.stack([column + x, row + y], 1) / S * size  # (n, 2)
    found = np.concatenate([centres - sides / 2, sides], 1).astype(np.float32)  # (n, 4)
    kept = suppress(found, classes, overlap)
    best = scores[row, column, predictor, classes][kept].clip(max=1).astype(np.float32)
    return found[kept], best, classes[kept].astype(np.int16)


def suppress(boxes: np.ndarray, classes: np.ndarray, overlap: float) -> np.ndarray:
    """Numbers (k,) of the boxes (n, 4), best first, that no kept better one of their class overlaps by more."""
    overlaps = (iou(boxes[:, None], boxes[None]) > overlap) & (classes[:, None] == classes)  # (n, n)
    kept = np.ones(len(boxes), bool)
    for i in range(len(boxes)):
        if kept[i]:
            kept[i + 1 :] &= ~overlaps[i, i + 1 :]
    return np.flatnonzero(kept)
