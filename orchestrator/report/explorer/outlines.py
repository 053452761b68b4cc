"""Regions as the page draws them: lists of whole numbers, tenths of a pixel of the frame.

None where there is nothing; a box x, y, width, height; a polygon x1, y1, x2, y2, ...; a mask as the list of its
outlines, polygons of which what lies in an odd number is inside.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from orchestrator.report.explorer.sheets import small_size
from trackers.evaluation.trajectory import Trajectory
from trackers.sequence import Sequence

SMOOTH = 0.5  # pixels by which a simpler outline may differ from that of the reduced mask


def of_sequence(sequence: Sequence, side: int) -> list[Any]:
    """What is annotated, frame by frame; masks are first made as small as their frames are shown."""
    if sequence.regions is None:
        return _rows(sequence.groundtruth)
    found = (sequence.regions[t] for t in range(len(sequence)))
    return [_mask(one, side) if one.ndim == 2 else _rows(one[None])[0] for one in found]


def of_run(run: Trajectory, side: int) -> list[Any]:
    """What was said, frame by frame."""
    if run.masks is None:
        return _rows(run.regions)
    return [_mask(run.masks[t], side) for t in range(len(run))]


def _rows(regions: np.ndarray) -> list[Any]:
    """Of boxes (frames, 4), or polygons with boxes among them that have NaN behind."""
    nothing, corners = np.isnan(regions[:, :4]).any(1), np.count_nonzero(~np.isnan(regions), 1)
    rows = _tenths(np.nan_to_num(regions)).tolist()
    return [None if no else row[:most] for row, no, most in zip(rows, nothing, corners, strict=True)]


def _mask(mask: np.ndarray, side: int) -> list[list[int]] | None:
    """Outlines run through the centres of the outermost pixels."""
    height, width = mask.shape
    size = small_size(width, height, side)
    shown = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5
    if not shown.any():
        return None
    found, _ = cv2.findContours(shown.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    scale = np.array([width / size[0], height / size[1]])
    return [_tenths((cv2.approxPolyDP(one, SMOOTH, True)[:, 0] + 0.5) * scale).ravel().tolist() for one in found]


def _tenths(numbers: np.ndarray) -> np.ndarray:
    return np.clip(np.round(numbers * 10), -(10**6), 10**6).astype(int)
