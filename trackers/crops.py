"""Crops: windows of images, resized together, and the way back from a window to the image.

A window is four whole numbers x, y, width, height in pixels. It may reach outside of its image; what lies there
is black.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trackers.boxes import centre, xywh_to_xyxy, xyxy_to_xywh
from trackers.sequence import Image

EACH = 8  # windows that are worth a thread


def windows(boxes: Tensor, context: float = 2.0) -> Tensor:
    """The window around each box: boxes (..., 4) float -> (..., 4) int64.

    It has the box's centre and `context` times its sides; its corner is rounded towards 0 and its sides up, to at
    least one pixel (Held et al. 2016, Section 3.2; the rounding is that of their code).
    """
    sides = context * boxes[..., 2:]
    # long() rounds towards 0. So does trunc(), but it wakes threads, which takes milliseconds.
    return torch.cat([centre(boxes) - sides / 2, sides.ceil().clamp(min=1)], -1).long()


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


def sample_on(device: str, images: Sequence[Image], windows: Tensor, size: int, of: Tensor | None = None) -> Tensor:
    """`sample` on a device, of images in main memory: no more of each is sent there than its windows show.

    images, windows, size, of, and what is returned: as of `sample`, but for images being arrays. A GPU is not
    waited for.
    """
    if of is None:
        of = torch.arange(len(windows)).view(-1, *[1] * (windows.ndim - 2)).expand(windows.shape[:-1])
    flat, number = windows.reshape(-1, 4).numpy(), of.reshape(-1).numpy()  # (N, 4), (N,)
    edges = xywh_to_xyxy(flat)  # (N, 4)
    shown, origins = [], np.zeros((len(images), 2), np.int64)
    for i, image in enumerate(images):
        own = edges[number == i]
        rows, columns = image.shape[:2]
        low = np.clip(own[:, :2].min(0, initial=max(rows, columns)), 0, (columns, rows))
        high = np.clip(own[:, 2:].max(0, initial=0), low, (columns, rows))
        origins[i] = low
        shown.append(send(torch.from_numpy(image[low[1] : high[1], low[0] : high[0]]), device))
    moved = torch.from_numpy(flat - np.pad(origins, ((0, 0), (0, 2)))[number]).view(windows.shape)  # (..., 4)
    return sample(shown, send(moved, device), size, send(of, device))


def send(tensor: Tensor, device: str | torch.device) -> Tensor:
    """A tensor in main memory, on a device; a GPU is not waited for."""
    if torch.device(device).type == "cpu":
        return tensor
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)


def _resized(images: Tensor | Sequence[Tensor], windows: Tensor, size: int, of: Tensor) -> Tensor:
    pixels, places, numbers = [image.numpy() for image in images], windows.tolist(), of.tolist()
    crops = np.empty((len(windows), size, size, 3), np.float32)  # by NumPy: in large pages, where Linux gives such
    threads = max(1, min(torch.get_num_threads(), len(windows) // EACH))

    def resize(first: int) -> None:
        for i in range(first, len(crops), threads):
            crops[i] = cv2.resize(cut(pixels[numbers[i]], places[i]), (size, size))

    if threads == 1:
        resize(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(resize, range(threads)))
    return torch.from_numpy(crops).permute(0, 3, 1, 2)  # (N, 3, S, S)


def _grid_sampled(images: Tensor | Sequence[Tensor], windows: Tensor, size: int, of: Tensor) -> Tensor:
    device = windows.device
    # The images, one below the other, each in a frame of black one pixel wide: whatever is outside is sampled there.
    heights = [len(image) + 2 for image in images]
    atlas = torch.zeros(sum(heights), max(image.shape[1] for image in images) + 2, 3, device=device)
    for place, image in zip(atlas.split(heights), images, strict=True):
        place[1 : 1 + image.shape[0], 1 : 1 + image.shape[1]] = image
    tops = [sum(heights[:i]) + 1 for i in range(len(heights))]
    table = torch.tensor([(*image.shape[1::-1], 1, top) for image, top in zip(images, tops, strict=True)])  # (M, 4)
    # (N, 2) each: width, height of each window's image, and x, y of it in the atlas
    sizes, corners = send(table, device)[of].chunk(2, -1)

    extents = windows[:, None, 2:]  # (N, 1, 2)
    steps = (torch.arange(size, device=device)[:, None] + 0.5) / size  # (S, 1)
    points = (steps * extents - 0.5).clamp(min=0).minimum(extents - 1.0)  # (N, S, 2) from the window's first pixel
    points = (points + windows[:, None, :2]).clamp(min=-1).minimum(sizes[:, None])  # (N, S, 2) in the image
    points = (points + corners[:, None] + 0.5) * 2  # (N, S, 2) in halves of a pixel of the atlas
    # (N, 1, S), (N, S, 1) in the atlas, its extent [-1, 1]
    x, y = points[:, None, :, 0] / atlas.shape[1] - 1, points[:, :, None, 1] / atlas.shape[0] - 1
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
