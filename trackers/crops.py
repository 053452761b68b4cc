"""Crops: windows of images, resized together, and the way back from a window to the image.

A window is four whole numbers x, y, width, height in pixels. It may reach outside of its image; what lies there
is black.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trackers.boxes import centre, xywh_to_xyxy, xyxy_to_xywh
from trackers.sequence import Image


def windows(boxes: Tensor, context: float = 2.0) -> Tensor:
    """The window around each box: boxes (..., 4) float -> (..., 4) int64.

    It has the box's centre and `context` times its sides; its corner is rounded towards 0 and its sides up, to at
    least one pixel (Held et al. 2016, Section 3.2; the rounding is that of their code).
    """
    sides = context * boxes[..., 2:]
    corner = (centre(boxes) - sides / 2).trunc()
    return torch.cat([corner, sides.ceil().clamp(min=1)], -1).long()


def cut(image: Image, window: np.ndarray) -> Image:
    """The pixels of a window (4,) of an image: uint8 (height, width, 3), black outside of it.

    A view, where the image holds all of the window.
    """
    x, y, width, height = (int(value) for value in window)
    rows, columns = image.shape[:2]
    top, bottom = (min(max(edge, 0), rows) for edge in (y, y + height))
    left, right = (min(max(edge, 0), columns) for edge in (x, x + width))
    inside = image[top:bottom, left:right]
    if inside.shape[:2] == (height, width):
        return inside
    pixels = np.zeros((height, width, 3), np.uint8)
    if inside.size:
        pixels[top - y : bottom - y, left - x : right - x] = inside
    return pixels


def sample(images: Tensor | Sequence[Tensor], windows: Tensor, size: int, of: Tensor | None = None) -> Tensor:
    """Windows of images, resized: float32 (..., 3, size, size) in [0, 255], channels last in memory.

    images: uint8 (height, width, 3) each, of any sizes, all on the device that does the work. windows: int64
    (..., 4), each in coordinates of its image. of: int64 (...), the numbers of their images; None: the first axis
    of `windows` is that of the images.

    Bilinear between the centres of pixels, the window's own edge pixels repeated at its border: cv2.resize of what
    `cut` returns. A GPU makes all windows of all images by one grid-sample. On a CPU it is cv2.resize indeed, into
    one batch, rounded to whole grey levels: with 56 windows of 227 pixels at least four times as fast there.
    """
    if of is None:
        of = torch.arange(len(windows), device=windows.device)
        of = of.view(-1, *[1] * (windows.ndim - 2)).expand(windows.shape[:-1])
    resize = _resized if images[0].device.type == "cpu" else _grid_sampled
    crops = resize(images, windows.reshape(-1, 4), size, of.reshape(-1))  # (N, 3, S, S)
    return crops.unflatten(0, windows.shape[:-1])  # (..., 3, S, S)


def _resized(images: Tensor | Sequence[Tensor], windows: Tensor, size: int, of: Tensor) -> Tensor:
    pixels = [image.numpy() for image in images]
    crops = np.empty((len(windows), size, size, 3), np.float32)  # by NumPy: in large pages, where Linux gives such
    for crop, window, number in zip(crops, windows.tolist(), of.tolist(), strict=True):
        crop[:] = cv2.resize(cut(pixels[number], window), (size, size))
    return torch.from_numpy(crops).permute(0, 3, 1, 2)  # (N, 3, S, S)


def _grid_sampled(images: Tensor | Sequence[Tensor], windows: Tensor, size: int, of: Tensor) -> Tensor:
    device = windows.device
    # The images, one below the other, each in a frame of black one pixel wide: whatever is outside is sampled there.
    heights = [len(image) + 2 for image in images]
    atlas = torch.zeros(sum(heights), max(image.shape[1] for image in images) + 2, 3, device=device)
    for place, image in zip(atlas.split(heights), images, strict=True):
        place[1 : 1 + image.shape[0], 1 : 1 + image.shape[1]] = image
    sizes = torch.tensor([image.shape[1::-1] for image in images], device=device)[of]  # (N, 2) width, height
    corners = torch.zeros(len(heights), 2, dtype=torch.long)
    corners[1:, 1] = torch.tensor(heights[:-1]).cumsum(0)
    corners = corners.to(device)[of] + 1  # (N, 2) x, y of each window's image in the atlas

    extents = windows[:, None, 2:]  # (N, 1, 2)
    steps = (torch.arange(size, device=device)[:, None] + 0.5) / size  # (S, 1)
    points = (steps * extents - 0.5).clamp(min=0).minimum(extents - 1.0)  # (N, S, 2) from the window's first pixel
    points = (points + windows[:, None, :2]).clamp(min=-1).minimum(sizes[:, None])  # (N, S, 2) in the image
    whole = torch.tensor(atlas.shape[1::-1], device=device)
    points = (points + corners[:, None] + 0.5) / whole * 2 - 1  # (N, S, 2) in the atlas, its extent [-1, 1]
    x, y = points[:, None, :, 0], points[:, :, None, 1]  # (N, 1, S), (N, S, 1)
    grid = torch.stack(torch.broadcast_tensors(x, y), -1)  # (N, S, S, 2)
    crops = F.grid_sample(atlas.permute(2, 0, 1)[None], grid.view(1, -1, size, 2), align_corners=False)
    crops = crops[0].unflatten(1, (-1, size)).transpose(0, 1)  # (N, 3, S, S)
    return crops.contiguous(memory_format=torch.channels_last)


def to_window(boxes: Tensor, windows: Tensor) -> Tensor:
    """Boxes (..., 4) in pixels -> corners (..., 4) x0, y0, x1, y1, of which [0, 1] is the window's extent."""
    return ((xywh_to_xyxy(boxes).unflatten(-1, (2, 2)) - windows[..., None, :2]) / windows[..., None, 2:]).flatten(-2)


def from_window(corners: Tensor, windows: Tensor) -> Tensor:
    """Corners (..., 4) x0, y0, x1, y1 in units of the window -> boxes (..., 4) in pixels: undoes `to_window`."""
    return xyxy_to_xywh((corners.unflatten(-1, (2, 2)) * windows[..., None, 2:] + windows[..., None, :2]).flatten(-2))
