"""Boxes: float arrays (..., 4) of x, y, width, height; 0-based, continuous, top-left origin.

Every function takes NumPy arrays or torch tensors (both arguments of the same kind, any
broadcastable leading shape) and returns the same kind; torch is never imported here. An array
in another order says so in its name (`boxes_xyxy`). An absent target is a row of NaN, and NaN
passes through.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

Array = Any  # np.ndarray or torch.Tensor, shape (..., 4)


def _namespace(array: Array) -> Any:
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


def xywh_to_xyxy(boxes: Array) -> Array:
    """(..., 4) x, y, width, height -> left, top, right, bottom."""
    return _namespace(boxes).concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], -1)


def xyxy_to_xywh(boxes_xyxy: Array) -> Array:
    """(..., 4) left, top, right, bottom -> x, y, width, height."""
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return _namespace(boxes_xyxy).concatenate([low, high - low], -1)


def centre(boxes: Array) -> Array:
    """Centres (..., 2) of boxes (..., 4), in pixels."""
    return boxes[..., :2] + boxes[..., 2:] / 2


def centre_distance(a: Array, b: Array) -> Array:
    """Euclidean distance (...) between the centres of two arrays of boxes, in pixels."""
    return ((centre(a) - centre(b)) ** 2).sum(-1) ** 0.5


def area(boxes: Array) -> Array:
    """Area (...) in square pixels; a negative width or height counts as 0."""
    sides = boxes[..., 2:].clip(min=0)
    return sides[..., 0] * sides[..., 1]


def iou(a: Array, b: Array) -> Array:
    """Intersection over union (...) in [0, 1]; 0 where both are empty, NaN where either is NaN."""
    low = _namespace(a).maximum(a[..., :2], b[..., :2])
    high = _namespace(a).minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    sides = (high - low).clip(min=0)
    intersection = sides[..., 0] * sides[..., 1]
    union = area(a) + area(b) - intersection
    ratio = intersection / _namespace(a).where(union == 0, _namespace(a).ones_like(union), union)
    return ratio.clip(max=1)  # where x is much larger than width, rounding may pass it


def clip(boxes: Array, width: float, height: float) -> Array:
    """The part of each box inside the image [0, width] x [0, height]; width or height 0 if none."""
    edges = xywh_to_xyxy(boxes)
    x = edges[..., 0::2].clip(0, width)
    y = edges[..., 1::2].clip(0, height)
    corners = [x[..., 0], y[..., 0], x[..., 1] - x[..., 0], y[..., 1] - y[..., 0]]
    return _namespace(boxes).stack(corners, -1)


def inside(boxes: Array, width: float, height: float) -> Array:
    """The part of each box inside the image, at least a pixel wide and high, where need be at the border."""
    cut = clip(boxes, width, height)
    sides = cut[..., 2:].clip(min=1)
    x = cut[..., 0].clip(max=width - sides[..., 0])
    y = cut[..., 1].clip(max=height - sides[..., 1])
    return _namespace(boxes).stack([x, y, sides[..., 0], sides[..., 1]], -1)
