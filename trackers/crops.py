"""Crops: windows of images, resized together, and the way back from a window to the image.

A window is four whole numbers x, y, width, height in pixels. It may reach outside of its image; what lies there
is black. To `warp`, windows are boxes, of any numbers, and what lies outside has any grey level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    resize = _resized if images[0].device.type == "cpu" else _grid_sampled
    crops = resize(images, windows.reshape(-1, 4), size, _numbers(windows, of).reshape(-1))  # (N, 3, S, S)
    return crops.unflatten(0, windows.shape[:-1])  # (..., 3, S, S)


def sample_on(device: str, images: Sequence[Image], windows: Tensor, size: int, of: Tensor | None = None) -> Tensor:
    """`sample` on a device, of images in main memory: no more of each is sent there than its windows show.

    images, windows, size, of, and what is returned: as of `sample`, but for images being arrays. A GPU is not
    waited for.
    """
    of = _numbers(windows, of)
    flat, number = windows.reshape(-1, 4).numpy(), of.reshape(-1).numpy()  # (N, 4), (N,)
    shown, origins = _sent(device, images, xywh_to_xyxy(flat), number)
    moved = torch.from_numpy(flat - origins[number]).view(windows.shape)  # (..., 4)
    return sample(shown, send(moved, device), size, send(of, device))


def send(tensor: Tensor, device: str | torch.device) -> Tensor:
    """A tensor in main memory, on a device; a GPU is not waited for."""
    if torch.device(device).type == "cpu":
        return tensor
    return tensor.contiguous().pin_memory().to(device, non_blocking=True)


def warp(
    images: Tensor | Sequence[Tensor],
    boxes: Tensor,
    size: int | tuple[int, int],
    outside: float = 0.0,
    of: Tensor | None = None,
) -> Tensor:
    """Boxes of images, resized: float32 (..., 3, rows, columns) in [0, 255], channels last in memory.

    images: uint8 (height, width, 3) each, of any sizes, all on the device that does the work. boxes: float (..., 4)
    x, y, width, height in pixels of their images, taken as they are: none is moved to whole pixels, which in targets
    of a few pixels would be much. size: rows and columns, or one number for both. outside: the grey level of what lies
    outside of an image. of: int64 (...), the numbers of their images; None: as of `sample`.

    Bilinear between the centres of pixels, at the borders of an image between these and the grey outside. No more than
    four pixels make one: of boxes much larger than `size` most pixels are passed over, and fine patterns alias. On a
    CPU crops are rounded to whole grey levels.
    """
    size = (size, size) if isinstance(size, int) else size
    warped = _warped if images[0].device.type == "cpu" else _grid_warped
    crops = warped(images, boxes.reshape(-1, 4), size, outside, _numbers(boxes, of).reshape(-1))
    return crops.unflatten(0, boxes.shape[:-1])  # (..., 3, rows, columns)


def warp_on(
    device: str,
    images: Sequence[Image],
    boxes: Tensor,
    size: int | tuple[int, int],
    outside: float = 0.0,
    of: Tensor | None = None,
) -> Tensor:
    """`warp` on a device, of images and boxes in main memory: as `sample_on` is to `sample`."""
    of = _numbers(boxes, of)
    if torch.device(device).type == "cpu":  # whole images: in a part of one OpenCV may round some pixels otherwise
        return warp([torch.from_numpy(image) for image in images], boxes, size, outside, of)
    flat, number = boxes.reshape(-1, 4).numpy(), of.reshape(-1).numpy()  # (N, 4), (N,)
    edges = xywh_to_xyxy(flat)
    edges = np.concatenate([np.floor(edges[:, :2] - 0.5), np.ceil(edges[:, 2:] + 0.5)], 1)  # (N, 4)
    shown, origins = _sent(device, images, edges, number)
    moved = torch.from_numpy(flat - origins[number].astype(flat.dtype)).view(boxes.shape)  # (..., 4)
    return warp(shown, send(moved, device), size, outside, send(of, device))


def _numbers(windows: Tensor, of: Tensor | None) -> Tensor:
    """The numbers (...) of the images of windows (..., 4): those given, or the places along the first axis."""
    if of is not None:
        return of
    of = torch.arange(len(windows), device=windows.device)
    return of.view(-1, *[1] * (windows.ndim - 2)).expand(windows.shape[:-1])


def _sent(
    device: str, images: Sequence[Image], edges: np.ndarray, number: np.ndarray
) -> tuple[list[Tensor], np.ndarray]:
    """Of each image what lies between its edges (N, 4) x0, y0, x1, y1, on the device, and x, y, 0, 0 of it (M, 4).

    number: (N,), whose edges they are.
    """
    shown, origins = [], np.zeros((len(images), 4), np.int64)
    for i, image in enumerate(images):
        own = edges[number == i]
        rows, columns = image.shape[:2]
        low = np.clip(own[:, :2].min(0, initial=max(rows, columns)), 0, (columns, rows)).astype(np.int64)
        high = np.clip(own[:, 2:].max(0, initial=0), low, (columns, rows)).astype(np.int64)
        origins[i, :2] = low
        shown.append(send(torch.from_numpy(image[low[1] : high[1], low[0] : high[0]]), device))
    return shown, origins


def _resized(images: Tensor | Sequence[Tensor], windows: Tensor, size: int, of: Tensor) -> Tensor:
    pixels, places, numbers = [image.numpy() for image in images], windows.tolist(), of.tolist()
    return _each(len(places), (size, size), lambda i: cv2.resize(cut(pixels[numbers[i]], places[i]), (size, size)))


def _warped(
    images: Tensor | Sequence[Tensor], boxes: Tensor, size: tuple[int, int], outside: float, of: Tensor
) -> Tensor:
    pixels, numbers, (rows, columns) = [image.numpy() for image in images], of.tolist(), size
    steps = boxes[:, 2:].double() / torch.tensor([columns, rows])  # (N, 2): pixels of the image from one to the next
    starts = (boxes[:, :2] + steps / 2 - 0.5).numpy()  # (N, 2): where the first one is
    maps = np.zeros((len(boxes), 2, 3))
    maps[:, [0, 1], [0, 1]], maps[:, :, 2] = steps.numpy(), starts
    grey = (outside,) * 3

    def warped(i: int) -> np.ndarray:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        image = pixels[numbers[i]]
        if not image.size:
            return np.full((rows, columns, 3), round(outside), np.uint8)
        return cv2.warpAffine(
            image, maps[i], (columns, rows), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=grey
        )

    return _each(len(boxes), size, warped)


def _each(count: int, size: tuple[int, int], make: Callable[[int], np.ndarray]) -> Tensor:
    """Crops (N, 3, rows, columns), each made by itself, by as many threads as are worth it."""
    crops = np.empty((count, *size, 3), np.float32)  # by NumPy: in large pages, where Linux gives such
    threads = max(1, min(torch.get_num_threads(), count // EACH))

    def some(first: int) -> None:
        for i in range(first, count, threads):
            crops[i] = make(i)

    if threads == 1:
        some(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(some, range(threads)))
    return torch.from_numpy(crops).permute(0, 3, 1, 2)  # (N, 3, rows, columns)


def _grid_sampled(images: Tensor | Sequence[Tensor], windows: Tensor, size: int, of: Tensor) -> Tensor:
    extents = windows[:, None, 2:]  # (N, 1, 2)
    steps = (torch.arange(size, device=windows.device)[:, None] + 0.5) / size  # (S, 1)
    points = (steps * extents - 0.5).clamp(min=0).minimum(extents - 1.0)  # (N, S, 2) from the window's first pixel
    x, y = (points + windows[:, None, :2]).unbind(-1)  # (N, S) each, in the image
    return _between_pixels(images, x, y, 0.0, of)


def _grid_warped(
    images: Tensor | Sequence[Tensor], boxes: Tensor, size: tuple[int, int], outside: float, of: Tensor
) -> Tensor:
    x, y = (
        boxes[:, [axis]] + boxes[:, [axis + 2]] * ((torch.arange(length, device=boxes.device) + 0.5) / length) - 0.5
        for axis, length in enumerate(reversed(size))
    )  # (N, columns), (N, rows)
    return _between_pixels(images, x.float(), y.float(), outside, of)


def _between_pixels(images: Tensor | Sequence[Tensor], x: Tensor, y: Tensor, outside: float, of: Tensor) -> Tensor:
    """Grey levels at columns x (N, W) and rows y (N, H) of images, from 0 at the first pixel's centre: (N, 3, H, W)."""
    device = x.device
    # The images, one below the other, each in a frame one pixel wide of what is outside, which is sampled there.
    heights = [len(image) + 2 for image in images]
    atlas = torch.full((sum(heights), max(image.shape[1] for image in images) + 2, 3), float(outside), device=device)
    for place, image in zip(atlas.split(heights), images, strict=True):
        place[1 : 1 + image.shape[0], 1 : 1 + image.shape[1]] = image
    tops = [sum(heights[:i]) + 1 for i in range(len(heights))]
    table = torch.tensor([(*image.shape[1::-1], 1, top) for image, top in zip(images, tops, strict=True)])  # (M, 4)
    # (N, 1) each: width, height of each window's image, and x, y of it in the atlas
    width, height, left, top = send(table, device)[of].split(1, -1)

    x, y = x.clamp(min=-1).minimum(width), y.clamp(min=-1).minimum(height)  # in the image's frame at most
    # (N, 1, W), (N, H, 1) in the atlas, its extent [-1, 1]
    x = ((x + left + 0.5) * 2 / atlas.shape[1] - 1)[:, None]
    y = ((y + top + 0.5) * 2 / atlas.shape[0] - 1)[:, :, None]
    grid = torch.stack(torch.broadcast_tensors(x, y), -1)  # (N, H, W, 2)
    crops = F.grid_sample(atlas.permute(2, 0, 1)[None], grid.flatten(0, 1)[None], align_corners=False)
    crops = crops[0].unflatten(1, grid.shape[:2]).transpose(0, 1)  # (N, 3, H, W)
    return crops.contiguous(memory_format=torch.channels_last)


def to_window(boxes: Tensor, windows: Tensor) -> Tensor:
    """Boxes (..., 4) in pixels -> corners (..., 4) x0, y0, x1, y1, of which [0, 1] is the window's extent."""
    return ((xywh_to_xyxy(boxes).unflatten(-1, (2, 2)) - windows[..., None, :2]) / windows[..., None, 2:]).flatten(-2)


def from_window(corners: Tensor, windows: Tensor) -> Tensor:
    """Corners (..., 4) x0, y0, x1, y1 in units of the window -> boxes (..., 4) in pixels: undoes `to_window`."""
    return xyxy_to_xywh((corners.unflatten(-1, (2, 2)) * windows[..., None, 2:] + windows[..., None, :2]).flatten(-2))
