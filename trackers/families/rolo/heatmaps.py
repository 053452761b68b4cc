"""Heatmaps of locations (Ning et al. 2016, Section 3.3): side x side cells across the image, row by row."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor


def drawn(locations: Tensor, side: int) -> Tensor:
    """Locations (..., 4), x, y, w, h of Eq. 3 -> (..., side^2): 1 in the cells whose centres they cover, 0 elsewhere.

    A location is cut at the image's border, and covers at least the cell in which its centre then lies. One without
    a size, such as the zeros of a frame without a detection, covers none.
    """
    centre, half = locations[..., None, :2], locations[..., None, 2:] / 2  # (..., 1, 2)
    low, high = (centre - half).clamp(0, 1), (centre + half).clamp(0, 1)
    cells = torch.arange(side, device=locations.device)[:, None]  # (side, 1)
    middles = (cells + 0.5) / side
    nearest = ((low + high) / 2 * side).floor().clamp(max=side - 1)
    covered = ((middles >= low) & (middles < high)) | (cells == nearest)  # (..., side, 2): columns and rows
    covered = covered & (half > 0).all(-1, keepdim=True)
    return (covered[..., :, None, 1] & covered[..., None, :, 0]).flatten(-2).to(locations.dtype)


def box(heatmap: np.ndarray) -> np.ndarray:
    """Where a heatmap (side, side) says that the target is: x, y, width, height (4,), in [0, 1] across the image.

    It is the extent of the cells of at least half of the maximum that are connected with it, by sides or corners; a
    reading of ours, as the paper never turns one into a box. NaN where the maximum is not a positive number.
    """
    row, column = np.unravel_index(np.argmax(heatmap), heatmap.shape)  # of a NaN, where there is one
    highest = heatmap[row, column]
    if not (np.isfinite(highest) and highest > 0):
        return np.full(4, np.nan)
    _, components = cv2.connectedComponents((heatmap >= highest / 2).astype(np.uint8))
    mask = components == components[row, column]
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    corner = np.array([columns[0], rows[0]])
    return np.concatenate([corner, np.array([columns[-1], rows[-1]]) + 1 - corner]) / len(heatmap)
