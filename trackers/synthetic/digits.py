"""Cluttered moving digits: the generator of Gan et al. 2015, section 4.

A clip shows digits that move, accelerate, grow and shrink between two layers of moving clutter. What is
where, in which frame, is drawn on the CPU, a few numbers a frame; the pixels of many clips are then made
at once, on the CPU or a GPU, in arithmetic that is exact: both make the same clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

INK = 0.25  # ink is brighter than this share of a digit's brightest pixel, as in the original code
FINE = 256  # places and scales are whole 1/256ths, so that sums of products stay exact in float32
BANK = 2**15  # pieces of clutter, cut once
PART = 240  # frames painted at once on a CPU: what stays in its cache


@dataclass(frozen=True)
class Settings:
    """What a clip is made of; the defaults are the paper's, or the original code's where it is silent.

    size: side of the frames, in pixels. intensity: range of the brightness of each digit and piece of
    clutter. overlaid_size: of the digits where several make one object. The paper lays "normal MNIST digits
    on top of each other", of full size, which is the default; the original code shrinks them to 18 pixels
    and lays each at a random place in the object's cell. The brighter pixel shows.

    A position runs from 0 to 1 over what the object leaves free of the image; at both ends it is stopped
    and its velocity turned round, as in the original code. Each frame changes it by `step` (the paper's
    k) times the velocity, and the velocity by N(0, `acceleration_variance` I). The paper prints its
    v' = 0.1 as a covariance, which is the default; the original code takes 0.1 for the standard
    deviation, a variance of 0.01. The first velocity has a uniform direction and a speed drawn from
    N(0, `initial_speed`^2) for each object of each clip (the original code: once for a minibatch).

    The paper prints the factor of each change of scale as f = p exp(f~), which would shrink a digit to a
    tenth in every frame. It is read as exp(p f~), f~ ~ U(-0.5, 0.5), as in the original code, with p =
    `scale_change`. The cell of a digit, 28 pixels wide in MNIST and in the first frame, stays between
    `smallest` and `largest` pixels: the logarithm of its scale is reflected there.

    A layer of clutter is a window on a canvas of side `canvas_size`, strewn with `pieces` squares of
    `smallest_piece` to `largest_piece` pixels cut from random digits; the brighter pixel shows. The
    window moves as digits do, with `clutter_step` for `step`: about a pixel a frame.
    """

    size: int = 100
    intensity: tuple[int, int] = (64, 255)
    overlaid_size: int = 28
    step: float = 0.1
    initial_speed: float = 1.0
    acceleration_variance: float = 0.1
    scale_change: float = 0.1
    smallest: float = 14.0
    largest: float = 56.0
    canvas_size: int = 200
    pieces: int = 80
    smallest_piece: int = 5
    largest_piece: int = 9
    clutter_step: float = 0.01

    def __post_init__(self) -> None:
        dark, bright = self.intensity
        rules = {
            "0 <= intensity[0] <= intensity[1] <= 255": 0 <= dark <= bright <= 255,
            "overlaid_size >= 1": self.overlaid_size >= 1,
            "initial_speed >= 0": self.initial_speed >= 0,
            "acceleration_variance >= 0": self.acceleration_variance >= 0,
            "0 < smallest < largest <= size": 0 < self.smallest < self.largest <= self.size,
            "canvas_size >= size": self.canvas_size >= self.size,
            "pieces >= 0": self.pieces >= 0,
            "1 <= smallest_piece <= largest_piece": 1 <= self.smallest_piece <= self.largest_piece,
        }
        for rule, kept in rules.items():
            if not kept:
                raise ValueError(f"expected {rule}, got {self}")


class Renderer:
    """Makes clips, on a device, of the digits `images`: uint8 (count, cell, cell).

    objects: digits in a clip; the first is the target, later ones pass in front of earlier ones.
    overlaid: digits that make one object; two of them make an MNIST-2 digit. Raises ValueError where
    settings and digits do not fit together.
    """

    def __init__(
        self,
        images: np.ndarray,
        settings: Settings,
        objects: int = 1,
        overlaid: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        cell = images.shape[-1]
        if not settings.smallest <= cell <= settings.largest:
            raise ValueError(
                f"expected smallest <= {cell} <= largest, as digits are {cell} pixels wide, got {settings}"
            )
        if max(settings.largest_piece, settings.overlaid_size) > cell:
            raise ValueError(f"expected largest_piece and overlaid_size <= {cell}, the digits' width, got {settings}")
        self.settings, self.objects, self.overlaid = settings, objects, overlaid
        self.device = torch.device(device)
        self.digits = _Glyphs(images, self.device)
        self.bank = self._cut(np.random.default_rng(0))

    def render(self, clips: int, length: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """So many clips of so many frames, uint8 (clips, length, size, size), and the target's boxes.

        The boxes, float32 (clips, length, 4) of x, y, width and height in pixels, are the tight extent of
        the target's ink, whether or not something covers it, and lie inside the image. The same
        generator makes the same clips on any device, and a longer clip begins with the shorter one.
        (Where TF32 or autocast rounds a GPU's matrix products, its grey levels may differ slightly.)
        """
        size = self.settings.size
        appearance, acceleration, growth = rng.spawn(3)  # so that more frames change nothing that comes before
        glyphs, which = self._choose(clips, appearance)
        position = self._walk(clips, length, appearance, acceleration)
        scale = self._grow(clips, length, growth)
        intensity = appearance.uniform(*self.settings.intensity, (self.objects, clips))
        behind, before, windows_at = self._clutter(position[:2], appearance)
        sprites, boxes = self._sprites(glyphs, which, position[2:], scale, intensity)

        frames = torch.empty(clips, length, size, size, dtype=torch.uint8, device=self.device)
        part = max(1, PART // length) if self.device.type == "cpu" else clips
        for now in (slice(i, i + part) for i in range(0, clips, part)):
            painted = frames[now].flatten(0, 1)
            torch.index_select(behind, 0, windows_at[0, now].flatten(), out=painted)
            for patch, at in zip(sprites.draw(now), sprites.at[:, now].flatten(1), strict=True):
                hidden = _windows(frames, sprites.side).index_select(0, at) & patch.clamp(max=1).neg_()
                _add(frames, at, patch - hidden)
            cover = before.index_select(0, windows_at[1, now].flatten())
            painted &= cover.clamp(max=1).sub_(1)  # 255 where nothing covers it, 0 where something does
            painted |= cover
        return frames, boxes

    def _to(self, array: np.ndarray, dtype: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype)).to(self.device)

    def _choose(self, clips: int, rng: np.random.Generator) -> tuple[_Glyphs, np.ndarray]:
        """The glyphs of these clips, and which of them each object is: (objects, clips)."""
        cell = self.digits.cell
        which = rng.integers(len(self.digits.images), size=(self.objects, clips, self.overlaid))
        if self.overlaid == 1:
            return self.digits, which[..., 0]
        shrunk = self.settings.overlaid_size * FINE // cell
        corner = torch.from_numpy(rng.integers(FINE * cell - shrunk * cell, endpoint=True, size=(2, *which.shape))).float()
        images = torch.from_numpy(self.digits.images[which]).float().flatten(0, 1)
        stretch = torch.full((*images.shape[:2], 1), float(shrunk))
        laid = _resample(images, -corner.flatten(1, 2)[..., None], stretch, cell)  # (objects * clips, overlaid, 1, ...)
        made = (laid.amax((1, 2)) / FINE**2).to(torch.uint8).numpy()
        return _Glyphs(made, self.device), np.arange(len(made)).reshape(-1, clips)

    def _walk(
        self, clips: int, length: int, appearance: np.random.Generator, acceleration: np.random.Generator
    ) -> np.ndarray:
        """Positions, x and y in [0, 1], of both layers and of the objects: (2 + objects, clips, length, 2)."""
        settings, movers = self.settings, 2 + self.objects
        step = np.array([settings.clutter_step] * 2 + [settings.step] * self.objects)[:, None, None]
        direction = appearance.uniform(0, 2 * np.pi, (movers, clips))
        speed = appearance.normal(0, settings.initial_speed, (movers, clips, 1))
        velocity = step * speed * np.stack([np.cos(direction), np.sin(direction)], -1)  # a frame
        changes = step * acceleration.normal(0, settings.acceleration_variance**0.5, (length, movers, clips, 2))
        walk = np.empty_like(changes)
        walk[0] = appearance.random((movers, clips, 2))
        for t in range(1, length):
            moved = walk[t - 1] + velocity
            np.minimum(np.maximum(moved, 0), 1, out=walk[t])
            np.negative(velocity, out=velocity, where=moved != walk[t])
            velocity += changes[t]
        return np.moveaxis(walk, 0, 2)

    def _grow(self, clips: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """Scales of the objects, 1 in the first frame: (objects, clips, length)."""
        change = self.settings.scale_change * rng.uniform(-0.5, 0.5, (length, self.objects, clips))
        change[0] = 0
        low, high = np.log(self.settings.smallest / self.digits.cell), np.log(self.settings.largest / self.digits.cell)
        reflected = high - np.abs((change.cumsum(0) - low) % (2 * (high - low)) - (high - low))
        return np.moveaxis(np.rint(FINE * np.exp(reflected)) / FINE, 0, 2)

    def _sprites(
        self, glyphs: _Glyphs, which: np.ndarray, position: np.ndarray, scale: np.ndarray, intensity: np.ndarray
    ) -> tuple[_Sprites, Tensor]:
        """The objects, ready to be drawn, and the boxes (clips, length, 4) of the first."""
        size, extent = self.settings.size, glyphs.extent
        scale = scale[..., None]  # (objects, clips, length, 1)
        ink = glyphs.ink[which][:, :, None]  # (objects, clips, 1, 4)
        cell = np.floor(FINE * position * (size - glyphs.cell * scale)) / FINE
        boxes = np.concatenate([cell + scale * ink[..., :2], scale * ink[..., 2:]], -1)
        cut = np.minimum(ink[..., :2], glyphs.cell - extent)  # from here on the cell holds all its ink
        cuts_at = which * glyphs.cell**2 + cut[:, :, 0] @ [1, glyphs.cell]
        cuts = _windows(glyphs.pixels, extent).index_select(0, self._to(cuts_at.ravel(), np.int64)).float()
        corner = cell + scale * cut
        side = min(size, 4 * int(np.ceil((extent * scale.max() + 1) / 4)))  # matrix products like multiples of 4
        pixel = np.floor(corner).clip(0, size - side)
        frame = np.arange(cell[0, ..., 0].size).reshape(cell.shape[1:3])
        sprites = _Sprites(
            cuts=cuts.unflatten(0, which.shape),
            gain=self._to(intensity[..., None, None, None] / (255 * FINE**2), np.float32),
            stretch=self._to(FINE * scale[..., 0], np.float32),
            shift=self._to(FINE * np.moveaxis(pixel - corner, -1, 0), np.float32),
            at=self._to(frame * size**2 + pixel @ [1, size], np.int64),
            side=side,
        )
        return sprites, self._to(boxes[0], np.float32)

    def _cut(self, rng: np.random.Generator) -> Tensor:
        """Pieces of clutter, uint8 (BANK, largest_piece, largest_piece), small ones in the top left corner."""
        settings, cell, largest = self.settings, self.digits.cell, self.settings.largest_piece
        which = rng.integers(len(self.digits.images), size=BANK)
        y, x = rng.integers(cell - largest + 1, size=(2, BANK))
        piece = _windows(torch.from_numpy(self.digits.images), largest)[(which * cell + y) * cell + x].numpy()
        piece = piece * (
            np.indices((largest, largest)).max(0) < rng.integers(settings.smallest_piece, largest + 1, (BANK, 1, 1))
        )
        ink = piece > INK * piece.max((1, 2), keepdims=True)
        return self._to(piece * ink * rng.uniform(*settings.intensity, (BANK, 1, 1)) / 255, np.uint8)

    def _clutter(self, position: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """All windows on the canvases behind and before the digits, and where those are that `position` asks for.

        position: (layers, clips, length, 2). The last value returned: (layers, clips, length).
        """
        settings, largest, width = self.settings, self.settings.largest_piece, self.settings.canvas_size
        layers, clips = position.shape[:2]
        which = rng.integers(BANK, size=(layers, clips, settings.pieces))
        place = rng.integers(width - largest + 1, size=(2, *which.shape))
        corner = np.moveaxis(np.rint(position * (width - settings.size)).astype(np.int64), -1, 0)
        first, last = corner.min(-1, keepdims=True) - largest, corner.max(-1, keepdims=True) + settings.size
        seen = ((first < place) & (place < last)).all(0)  # the others never come into the window
        layer, clip, _ = np.nonzero(seen)
        x, y = place[:, seen]
        pieces_at = self._to(((layer * clips + clip) * width + y) * width + x, np.int64)
        pieces = self.bank.index_select(0, self._to(which[seen], np.int64))
        canvases = torch.zeros(layers, clips, width, width, dtype=torch.uint8, device=self.device)
        pixels_at = _pixels(pieces_at, largest, width)
        canvases.view(-1).scatter_reduce_(0, pixels_at.flatten(), pieces.flatten(), "amax")
        x, y = corner
        windows_at = self._to((np.arange(clips)[:, None] * width + y) * width + x, np.int64)
        return _windows(canvases[0], settings.size), _windows(canvases[1], settings.size), windows_at


class _Sprites(NamedTuple):
    """Objects that move; each is drawn in a square patch of every frame.

    cuts: what is drawn, float32 (objects, clips, extent, extent). gain: (objects, clips, 1, 1, 1). stretch
    (objects, clips, length), shift (2, objects, clips, length), side: see `_resample`. at: places of the
    patches in the frames' memory, (objects, clips, length).
    """

    cuts: Tensor
    gain: Tensor
    stretch: Tensor
    shift: Tensor
    at: Tensor
    side: int

    def draw(self, clips: slice) -> Tensor:
        """The patches of these clips, 0 where there is no ink: uint8 (objects, clips * length, side, side)."""
        drawn = _resample(self.cuts[:, clips], self.shift[:, :, clips], self.stretch[:, clips], self.side)
        functional.threshold(drawn, INK * 255 * FINE**2, 0, inplace=True)
        drawn *= self.gain[:, clips]
        return drawn.to(torch.int16).to(torch.uint8).flatten(1, 2)  # in two steps, which is quicker


class _Glyphs:
    """What objects look like: images uint8 (count, cell, cell), the brightest pixel of each raised to 255.

    pixels: the images on the device. ink: (count, 4), the tight box of each one's ink, in its cell.
    extent: side of the smallest square that holds any of these boxes.
    """

    def __init__(self, images: np.ndarray, device: torch.device) -> None:
        brightest = images.max((1, 2), keepdims=True).clip(1)
        self.images = (images * np.uint16(255) // brightest).astype(np.uint8)
        self.pixels = torch.from_numpy(self.images).to(device)
        self.cell = images.shape[-1]
        inked = self.images > INK * 255
        (x, width), (y, height) = _extent(inked.any(1)), _extent(inked.any(2))
        self.ink = np.stack([x, y, width, height], -1)
        self.extent = int(self.ink[:, 2:].max())


def _extent(line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the set part of each of the lines (count, cell) begins, and how long it is."""
    first = line.argmax(1)
    return first, line.shape[1] - line[:, ::-1].argmax(1) - first


def _windows(images: Tensor, side: int) -> Tensor:
    """Every side x side window of `images` (..., width), numbered by the place of its first pixel in memory."""
    width = images.shape[-1]
    return images.as_strided((images.numel() - (side - 1) * (width + 1), side, side), (1, width, 1))


def _pixels(at: Tensor, side: int, width: int) -> Tensor:
    """Places in memory of all pixels (count, side, side) of the windows at `at`, of images `width` wide."""
    row = torch.arange(side, device=at.device)
    return at[:, None, None] + (row[:, None] * width + row)


def _add(images: Tensor, at: Tensor, patches: Tensor) -> None:
    """Add `patches` (count, side, side) to the windows of `images` at `at`, in place; sums wrap at 256."""
    side, width = patches.shape[-1], images.shape[-1]
    if images.is_cuda:
        images.view(-1).index_add_(0, _pixels(at, side, width).flatten(), patches.flatten())
    else:  # with an index of 32 bits it goes patch by patch, several times as fast as pixel by pixel
        _windows(images, side).index_add_(0, at.int(), patches)


def _resample(images: Tensor, shift: Tensor, stretch: Tensor, side: int) -> Tensor:
    """Square patches in which each pixel is the mean of the part of the image that it covers.

    images: (objects, clips, extent, extent). stretch: (objects, clips, length), the width of an image's
    pixel in 1/FINE of a patch's. shift: (2, objects, clips, length), x and y from the image's corner to
    the patch's, in 1/FINE. Returns (objects, clips, length, side, side), FINE^2 times too bright.
    """
    extent = images.shape[-1]
    edges = shift[..., None, None] + torch.arange(0, FINE * (side + 1), FINE, device=images.device)[:, None]
    width = stretch[..., None, None]
    covered = edges - width * torch.arange(extent, device=images.device)  # of each image pixel, up to each edge
    covered = torch.minimum(covered, width, out=covered).relu_()
    covered = covered[..., 1:, :] - covered[..., :-1, :]  # (2, objects, clips, length, side, extent)
    columns, rows = covered.flatten(1, 2)
    rows = torch.bmm(rows.flatten(1, 2), images.flatten(0, 1))  # (objects * clips, length * side, extent)
    patches = torch.bmm(rows.view(-1, side, extent), columns.flatten(0, 1).mT)
    return patches.view(*stretch.shape, side, side)
