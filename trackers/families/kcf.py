"""KerCorrTracker: the kernelized correlation filter (KCF) of Henriques et al. 2015.

J. F. Henriques, R. Caseiro, P. Martins, J. Batista: High-Speed Tracking with Kernelized
Correlation Filters, IEEE TPAMI 37(3), 2015. Nothing is trained offline, and the size of the
target never changes. The settings are those of the paper's table of parameters; where it is
silent, those of the authors' Matlab code. Lanes whose windows have the same number of cells
are transformed together. This module reads the original so:

- Window: centred on the target; its sides are rounded to whole steps of 8 pixels, or two HOG
  cells, so that targets of nearly the same size share a transform (Matlab: rounded down to whole
  cells, which grow from the top left). It has at least 3 cells a side: of 2, the cosine window
  leaves nothing.
- Borders: the image's are replicated; the gradients at the window's rim see one pixel beyond it.
- Large targets (`half_size_from`) are seen at half size through means of 2 x 2 pixels (Matlab: bicubic).
- Shifts: those of n cells lie in [-n/2, n/2), for odd n too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trackers.sequence import Image, Region
from trackers.tracker import Tracker
from trackers.training import Step, Weights

PAPER: dict[str, dict[str, Any]] = {
    "hog": {"cell_size": 4, "interpolation_factor": 0.02, "kernel_sigma": 0.5},
    "grey": {"cell_size": 1, "interpolation_factor": 0.075, "kernel_sigma": 0.2},
}


@dataclass(frozen=True)
class Config:
    """The settings; None stands for the paper's value for the chosen features.

    features: "hog" (31 channels a cell) or "grey" (the mean of a cell).
    kernel: "gaussian" (KCF) or "linear" (DCF).
    padding: the window is 1 + padding times the target.
    regularization: lambda of the ridge regression.
    interpolation_factor: the share of each new frame in the model.
    kernel_sigma: bandwidth of the Gaussian kernel.
    output_sigma_factor: bandwidth of the regression target, in sqrt(width x height) of the target.
    cell_size: pixels a side of a cell. window_step: the window's sides are multiples of it, in pixels.
    half_size_from: sqrt(width x height), in pixels, from which on a target is seen at half size.
    """

    features: Literal["hog", "grey"] = "hog"
    kernel: Literal["gaussian", "linear"] = "gaussian"
    padding: float = 1.5
    regularization: float = 1e-4
    interpolation_factor: float | None = None  # hog 0.02, grey 0.075
    kernel_sigma: float | None = None  # hog 0.5, grey 0.2
    output_sigma_factor: float = 0.1
    cell_size: int | None = None  # hog 4, grey 1
    window_step: int = 8
    half_size_from: float = 100.0

    def __post_init__(self) -> None:
        for name, choices in {"features": ("hog", "grey"), "kernel": ("gaussian", "linear")}.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if self.padding < 0:
            raise ValueError(f"padding: expected at least 0, got {self.padding:g}")
        for name in ("regularization", "kernel_sigma", "output_sigma_factor", "cell_size", "half_size_from"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}: expected more than 0, got {value:g}")
        if self.interpolation_factor is not None and not 0 <= self.interpolation_factor <= 1:
            raise ValueError(f"interpolation_factor: expected a value in [0, 1], got {self.interpolation_factor:g}")
        cell = self.cell_size or PAPER[self.features]["cell_size"]
        if self.features == "hog" and cell % 2:
            raise ValueError(f"cell_size: expected an even number of pixels for hog, got {cell}")
        if self.window_step < 1 or self.window_step % cell:
            raise ValueError(f"window_step: expected a multiple of the cell size {cell}, got {self.window_step}")


def steps(config: Config) -> list[Step]:
    """No offline training: the filter is learnt while it tracks."""
    return []


def tracker(config: Config, weights: Weights, device: str) -> KerCorrTracker:
    """The tracker; it takes no weights."""
    return KerCorrTracker(config, device)


class Window(NamedTuple):
    """What lanes must share to be transformed together."""

    rows: int  # of cells
    columns: int
    reduction: int  # image pixels a side for one pixel of the window: 1, or 2 at half size


class Filter(NamedTuple):
    """The state of one lane, or of many with a leading lane axis L; h, w are the window's cells."""

    corner: Tensor  # (L, 2) the window's top left pixel: row, column; int64
    labels: Tensor  # (L, h, w/2+1) the regression target, transformed
    appearance: Tensor  # (L, C, h, w/2+1) the model of the target's features, transformed
    alpha: Tensor  # (L, h, w/2+1) the dual coefficients, transformed


@dataclass
class Target:
    """One lane: the box and the corner from which it started, and its filter now."""

    box: Region
    window: Window
    start: np.ndarray  # row, column
    filter: Filter


class KerCorrTracker(Tracker):
    """KCF: kernel ridge regression on all shifts of one window, in the Fourier domain."""

    def __init__(self, config: Config, device: str = "cpu") -> None:
        paper = {name: value for name, value in PAPER[config.features].items() if getattr(config, name) is None}
        self.config: Any = replace(config, **paper)  # nothing is None any more
        self.device = torch.device(device)
        self.targets: dict[int, Target] = {}

    @torch.inference_mode()
    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        boxes = np.array(regions, float)
        windows = [self._window(box) for box in boxes]
        for window in sorted(set(windows)):
            members = [i for i, other in enumerate(windows) if other == window]
            frames = Frames.of([images[i] for i in members], self.device)
            start = self._corner(boxes[members], window)
            corner = torch.from_numpy(start).to(self.device)
            x = self._appearance(frames, corner, window)
            labels = torch.fft.rfft2(self._labels(boxes[members], window))
            filters = Filter(corner, labels, x, self._train(x, labels, window))
            for i, at, *parts in zip(members, start, *filters, strict=True):
                self.targets[lanes[i]] = Target(boxes[i], window, at, Filter(*parts))

    @torch.inference_mode()
    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        targets = [self.targets[lane] for lane in lanes]
        for window in sorted({target.window for target in targets}):
            members = [i for i, target in enumerate(targets) if target.window == window]
            frames = Frames.of([images[i] for i in members], self.device)
            old = Filter(*(torch.stack(parts) for parts in zip(*(targets[i].filter for i in members), strict=True)))

            z = self._appearance(frames, old.corner, window)
            corner = old.corner + self.config.cell_size * self._shift(old, z, window)

            x = self._appearance(frames, corner, window)
            alpha = self._train(x, old.labels, window)
            rate = self.config.interpolation_factor
            new = Filter(corner, old.labels, old.appearance.lerp(x, rate), old.alpha.lerp(alpha, rate))
            for i, *parts in zip(members, *new, strict=True):
                targets[i].filter = Filter(*parts)
        corners = torch.stack([target.filter.corner for target in targets]).cpu().numpy()
        moved = (corners - [target.start for target in targets]) * [[target.window.reduction] for target in targets]
        boxes = np.stack([target.box for target in targets])
        boxes[:, :2] += moved[:, ::-1]
        return boxes

    def _train(self, x: Tensor, labels: Tensor, window: Window) -> Tensor:
        """The dual coefficients of the ridge regression, (L, h, w/2+1), of x (L, C, h, w/2+1); transformed."""
        return labels / (self._kernel(x, x, window) + self.config.regularization)

    def _shift(self, model: Filter, z: Tensor, window: Window) -> Tensor:
        """How far the target moved, in cells: (L, 2) rows and columns; the maximum of the response."""
        h, w, _ = window
        response = torch.fft.irfft2(model.alpha * self._kernel(z, model.appearance, window), s=(h, w))
        return cyclic_shifts(h, w, self.device)[response.flatten(1).argmax(1)]

    def _kernel(self, z: Tensor, x: Tensor, window: Window) -> Tensor:
        """The multi-channel kernel correlation of z and x, per element as in the Matlab code."""
        h, w, _ = window
        elements = x.shape[1] * h * w
        cross = (z * x.conj()).sum(1)  # (L, h, w/2+1)
        if self.config.kernel == "linear":
            return cross / elements
        products = torch.fft.irfft2(cross, s=(h, w))  # (L, h, w) of z, shifted, with x
        squares = 2 * products[:, :1, :1] if z is x else squared_norm(z, w) + squared_norm(x, w)
        distance = (squares - 2 * products).clamp_(min=0)
        # The kernel is nearly 1 all over: transformed less 1, float32 keeps what matters.
        k = torch.fft.rfft2(torch.expm1(distance * (-1 / (elements * self.config.kernel_sigma**2))))
        k[:, 0, 0] += h * w
        return k

    def _labels(self, boxes: np.ndarray, window: Window) -> Tensor:
        """The regression targets (L, h, w): Gaussians that peak, cyclically, at shift 0."""
        spread = self.config.output_sigma_factor / (window.reduction * self.config.cell_size)
        sigma = torch.tensor(np.sqrt(boxes[:, 2] * boxes[:, 3]) * spread, dtype=torch.float32, device=self.device)
        h, w, _ = window
        squares = cyclic_shifts(h, w, self.device).square().sum(1).view(h, w)
        return torch.exp(-squares / (2 * sigma[:, None, None] ** 2))

    def _window(self, box: Region) -> Window:
        reduction = 2 if math.sqrt(box[2] * box[3]) >= self.config.half_size_from else 1
        cell, step = self.config.cell_size, self.config.window_step
        sides = box[2:] * (1 + self.config.padding) / reduction
        least = math.ceil(3 * cell / step)
        columns, rows = (max(least, math.floor(side / step + 0.5)) * step // cell for side in sides)
        return Window(rows, columns, reduction)

    def _corner(self, boxes: np.ndarray, window: Window) -> np.ndarray:
        """The top left pixels (L, 2), row and column, of the windows centred on the boxes."""
        centres = (boxes[:, :2] + boxes[:, 2:] / 2)[:, ::-1] / window.reduction
        sides = np.array([window.rows, window.columns]) * self.config.cell_size
        return np.floor(centres - sides / 2 + 0.5).astype(np.int64)

    def _appearance(self, frames: Frames, corner: Tensor, window: Window) -> Tensor:
        """The features of the windows under a cosine window, transformed."""
        cell = self.config.cell_size
        height, width = window.rows * cell, window.columns * cell
        if self.config.features == "hog":
            features = fhog(frames.patches(corner - 1, height + 2, width + 2, window.reduction), cell)
        else:
            pixels = frames.patches(corner, height, width, window.reduction)
            cells = F.avg_pool2d(pixels[:, None], cell)
            features = cells - cells.mean((2, 3), keepdim=True)
        return torch.fft.rfft2(features * cosine_window(window.rows, window.columns, self.device))


def squared_norm(x: Tensor, columns: int) -> Tensor:
    """Of real features (L, C, h, columns), given transformed: (L, 1, 1), by Parseval's theorem."""
    power = (x * x.conj()).sum((1, 2), keepdim=True).real[:, 0]  # (L, 1, w/2+1)
    return power @ multiplicity(columns, x.device) / (x.shape[2] * columns)


@lru_cache(64)
def multiplicity(columns: int, device: torch.device) -> Tensor:
    """For how many columns of a whole transform each column of its half stands: (w/2+1, 1)."""
    inner = (columns - 1) // 2
    return torch.tensor([1] + [2] * inner + [1] * (1 - columns % 2), dtype=torch.float32, device=device)[:, None]


@lru_cache(64)
def cyclic_shifts(rows: int, columns: int, device: torch.device) -> Tensor:
    """(h * w, 2) rows and columns by which a window was rolled; more than half means backwards."""
    y, x = ((torch.arange(n, device=device) + n // 2) % n - n // 2 for n in (rows, columns))
    return torch.cartesian_prod(y, x)


@lru_cache(64)
def cosine_window(rows: int, columns: int, device: torch.device) -> Tensor:
    """(h, w) Hann window, 0 at its rim."""
    y, x = (torch.hann_window(n, periodic=False, device=device) for n in (rows, columns))
    return y[:, None] * x


@dataclass(frozen=True)
class Frames:
    """Grey images of any sizes on the tracker's device, end to end: one gather serves all lanes."""

    pixels: Tensor  # (total,) uint8
    layout: Tensor  # (3, L, 1) int64: where each image begins, its last row and its last column

    @classmethod
    def of(cls, images: Sequence[Image], device: torch.device) -> Frames:
        """Images (height, width, 3) uint8 RGB as they come."""
        grey = [_grey(image) for image in images]
        pixels = torch.from_numpy(np.concatenate([image.ravel() for image in grey]))
        begins = np.cumsum([0] + [image.size for image in grey[:-1]])
        layout = torch.from_numpy(np.stack([begins, *np.array([image.shape for image in grey]).T - 1]))
        return cls(pixels.to(device), layout[:, :, None].to(device))

    def patches(self, corner: Tensor, height: int, width: int, reduction: int) -> Tensor:
        """Windows (L, height, width) in [0, 1], one an image; borders are replicated.

        corner: (L, 2) top left pixels, row and column, in the images reduced `reduction` times.
        """
        begin, last_row, last_column = self.layout
        top, left = (reduction * corner).T[:, :, None]
        rows = top + torch.arange(reduction * height, device=corner.device)
        columns = left + torch.arange(reduction * width, device=corner.device)
        rows = torch.minimum(rows.clamp_(min=0), last_row) * (last_column + 1) + begin
        columns = torch.minimum(columns.clamp_(min=0), last_column)
        patches = self.pixels.take(rows[:, :, None] + columns[:, None, :]) / 255
        return patches if reduction == 1 else F.avg_pool2d(patches, reduction)


def _grey(image: Image) -> np.ndarray:
    if image.strides[2] == 0:  # a grey image seen as RGB
        return image[:, :, 0]
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def fhog(grey: Tensor, cell: int) -> Tensor:
    """Felzenszwalb's histograms of oriented gradients (TPAMI 2010, section 6).

    grey: (L, h * cell + 2, w * cell + 2) in [0, 1], one pixel wider on each side than its cells.
    cell: pixels a side, even. Returns (L, 31, h, w): 18 signed orientations, 9 unsigned, 4 textures.
    """
    dx = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2]
    dy = grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    magnitude = (dx.square() + dy.square()).sqrt_()
    orientation = torch.atan2(dy, dx).mul_(9 / math.pi).round_().remainder_(18).long()

    # Each pixel votes for its nearest orientation, and for its four nearest cells by their distance.
    votes = grey.new_zeros(*magnitude.shape, 18)
    votes.scatter_(3, orientation[..., None], magnitude[..., None])
    signed = F.conv2d(votes.permute(0, 3, 1, 2), nearness(cell, grey.device), stride=cell, padding=cell // 2, groups=18)
    signed = signed.contiguous()  # (L, 18, h, w)
    unsigned = signed[:, :9] + signed[:, 9:]

    # Each cell is normalized by the energy of the four 2 x 2 blocks that it is part of, and cut at 0.2.
    energy = unsigned.square().sum(1, keepdim=True)
    blocks = F.pad((4 * F.avg_pool2d(energy, 2, stride=1) + 1e-4).rsqrt(), (1, 1, 1, 1), mode="replicate")
    (top, bottom), (left, right) = ((slice(None, -1), slice(1, None)),) * 2
    norms = torch.stack([blocks[:, :, y, x] for y in (top, bottom) for x in (left, right)], 1)  # (L, 4, 1, h, w)
    cut = (torch.cat([signed, unsigned], 1)[:, None] * norms).clamp_(max=0.2)  # (L, 4, 27, h, w)
    return torch.cat([cut.sum(1) / 2, 0.2357 * cut[:, :, :18].sum(2)], 1)


@lru_cache(64)
def nearness(cell: int, device: torch.device) -> Tensor:
    """(18, 1, 2 * cell, 2 * cell) bilinear weights of the pixels around a cell, for each orientation."""
    near = 1 - ((torch.arange(2 * cell, device=device) + 0.5) / cell - 1).abs()
    return (near[:, None] * near).repeat(18, 1, 1, 1)
