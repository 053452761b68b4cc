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
    across_classes: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Detections in one image, best first: boxes float32 (n, 4) in its pixels, scores float32 (n,), classes int16 (n,).

    probabilities: (S, S, C). confidences: (S, S, B). boxes: (S, S, B, 4), as `YOLO.split` gives them. size: width and
    height of the image. A score, a class's probability times a box's confidence (Equation 1), is at least `threshold`,
    above 0, and at most 1. No box overlaps a better one by an IoU above `overlap`: none at all where `across_classes`,
    when each has its best class only; otherwise none of its class, and a box is there once for each. What is no number,
    or has no size, is no detection.
    """
    S = len(boxes)
    scores = confidences[..., None] * probabilities[:, :, None]  # (S, S, B, C)
    # Two negative factors make no detection.
    likely = (scores >= threshold) & (scores > 0) & (confidences[..., None] > 0)
    likely &= np.isfinite(boxes).all(-1)[..., None]
    if across_classes:
        best = np.where(likely, scores, 0).argmax(-1)  # (S, S, B)
        likely &= best[..., None] == np.arange(scores.shape[-1])
    row, column, predictor, classes = np.nonzero(likely)  # (n,)
    order = np.argsort(-scores[row, column, predictor, classes], kind="stable")
    row, column, predictor, classes = (index[order] for index in (row, column, predictor, classes))
    x, y, root_width, root_height = boxes[row, column, predictor].astype(float).T
    sides = np.stack([root_width, root_height], 1) ** 2 * size  # (n, 2)
    centres = np.stack([column + x, row + y], 1) / S * size  # (n, 2)
    found = np.concatenate([centres - sides / 2, sides], 1).astype(np.float32)  # (n, 4)
    said = scores[row, column, predictor, classes].clip(max=1).astype(np.float32)
    sized = np.flatnonzero((found[:, 2:] > 0).all(1))
    kept = sized[suppress(found[sized], overlap, None if across_classes else classes[sized])]
    return found[kept], said[kept], classes[kept].astype(np.int16)


def suppress(boxes: np.ndarray, overlap: float, classes: np.ndarray | None = None) -> np.ndarray:
    """Numbers (k,) of the boxes (n, 4), best first, that no kept better one, of their class if given, overlaps more."""
    overlaps = iou(boxes[:, None], boxes[None]) > overlap  # (n, n)
    if classes is not None:
        overlaps &= classes[:, None] == classes
    kept = np.ones(len(boxes), bool)
    for i in range(len(boxes)):
        if kept[i]:
            kept[i + 1 :] &= ~overlaps[i, i + 1 :]
    return np.flatnonzero(kept)
