"""Minibatches of whole images for YOLO's training (Redmon et al. 2016, Section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trackers import crops
from trackers.extractors.yolo.packed import Pack


@dataclass(frozen=True)
class Augmentation:
    """What is done to an image at random before it is learnt from.

    jitter: by up to this share of its sides each edge of the image moves in or out, which scales and translates it;
    outside is black. colour: exposure and saturation in HSV are multiplied, or divided, by up to this. flip: whether
    half of all images are mirrored.
    """

    jitter: float = 0.2
    colour: float = 1.5
    flip: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.jitter < 0.5:
            raise ValueError(f"jitter: expected a share in [0, 0.5), got {self.jitter}")
        if not 1 <= self.colour < float("inf"):
            raise ValueError(f"colour: expected at least 1, got {self.colour}")


class Examples:
    """Minibatches without end, numbered from 0; each is a function of the seed and its number alone.

    images: numbers of those to learn from. size: of the network's input, in pixels. grid: S.
    """

    def __init__(
        self, pack: Pack, images: np.ndarray, augmentation: Augmentation, batch: int, size: int, grid: int, seed: int
    ) -> None:
        self.pack, self.images = pack, images
        self.augmentation = augmentation
        self.count, self.size, self.grid = batch, size, grid
        self.seed = seed

    def batch(self, update: int, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images (N, 3, size, size) in [0, 255], channels last; present, classes, truth of their cells, see `loss`."""
        rng = np.random.default_rng((self.seed, update))
        chosen = rng.choice(self.images, self.count)  # (N,)
        windows = _windows(self.pack.sizes[chosen], self.augmentation.jitter, rng)  # (N, 4)
        flips = rng.random(self.count) < (0.5 if self.augmentation.flip else 0)  # (N,)
        factors = self.augmentation.colour ** rng.uniform(-1, 1, (2, self.count)).astype(np.float32)  # (2, N)
        images = look(self.pack.pixels, chosen, windows, self.size, device)
        images = torch.where(crops.send(torch.from_numpy(flips), device)[:, None, None, None], images.flip(3), images)
        saturation, exposure = crops.send(torch.from_numpy(factors), device)
        places = [self.pack.objects(image) for image in chosen]
        of = np.repeat(np.arange(self.count), [len(boxes) for boxes, _ in places])  # (n,)
        boxes, classes = (np.concatenate(parts) for parts in zip(*places, strict=True))  # (n, 4), (n,)
        corners = crops.to_window(torch.from_numpy(boxes), torch.from_numpy(windows[of])).numpy()  # (n, 4)
        corners[flips[of]] = (corners * [-1, 1, -1, 1] + [1, 0, 1, 0])[flips[of]][:, [2, 1, 0, 3]]
        cells = targets(of, corners, classes, self.count, self.grid)
        present, classes_, truth = (crops.send(torch.from_numpy(part), device) for part in cells)
        return coloured(images, saturation, exposure), present, classes_, truth


def look(
    pixels: Callable[[int], np.ndarray], images: np.ndarray, windows: np.ndarray, size: int, device: str
) -> Tensor:
    """Windows (N, 4) of these images (N,), decoded in threads and resized: (N, 3, size, size) in [0, 255]."""
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        shown = list(threads.map(pixels, images))
    return crops.sample_on(device, shown, torch.from_numpy(windows), size)


def _windows(sizes: np.ndarray, jitter: float, rng: np.random.Generator) -> np.ndarray:
    """What is seen of images of these sizes (N, 2): windows, int64 (N, 4)."""
    edges = np.rint(rng.uniform(-jitter, jitter, (len(sizes), 2, 2)) * sizes[:, None]).astype(np.int64)  # (N, 2, 2)
    return np.concatenate([edges[:, 0], (sizes - edges[:, 0] - edges[:, 1]).clip(min=1)], 1)


def coloured(images: Tensor, saturation: Tensor, exposure: Tensor) -> Tensor:
    """Images (N, 3, H, W) in [0, 255], S and V of whose HSV are multiplied by factors (N,), and at most 1 after."""
    value, least = images.amax(1, keepdim=True), images.amin(1, keepdim=True)  # (N, 1, H, W)
    # S is (value - least) / value; a colour's distances from its value are proportional to it.
    most = value / (value - least).clamp(min=1e-3)  # (N, 1, H, W): 1 / S
    factor = saturation[:, None, None, None].minimum(most)
    gain = exposure[:, None, None, None].minimum(255 / value.clamp(min=1e-3))
    return (value - (value - images) * factor) * gain


def targets(
    of: np.ndarray, corners: np.ndarray, classes: np.ndarray, count: int, grid: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each cell of `count` images is to say: present bool (N, S, S), classes int64, truth float32 (.., 4).

    of: int64 (n,), numbers of the objects' images. corners: (n, 4) x0, y0, x1, y1 in units of the image. An object
    whose centre is outside of the image is dropped, and others are cut at its border. A cell has one object (Section
    2.2 has no word for more): the larger one.
    """
    low, high = corners[:, :2], corners[:, 2:]
    middle = (low + high) / 2
    low, high = low.clip(0, 1), high.clip(0, 1)
    centres, sides = (low + high) / 2 * grid, high - low  # (n, 2)
    inside = ((middle >= 0) & (middle < 1) & (sides > 0)).all(1)
    order = np.argsort(sides.prod(1), kind="stable")
    order = order[inside[order]]  # the largest last: it overwrites others
    image, (column, row) = of[order], centres[order].astype(np.int64).T
    present = np.zeros((count, grid, grid), bool)
    numbers = np.zeros((count, grid, grid), np.int64)
    truth = np.zeros((count, grid, grid, 4), np.float32)
    present[image, row, column] = True
    numbers[image, row, column] = classes[order]
    truth[image, row, column] = np.concatenate([centres[order] % 1, sides[order]], 1)
    return present, numbers, truth
