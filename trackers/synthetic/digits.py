"""Cluttered moving digits: the generator of Gan et al. 2015, section 4.

A clip shows digits that move, accelerate, grow and shrink between two layers of moving clutter. What is
where, in which frame, is drawn on the CPU, a few numbers a frame; the pixels of many clips are then made
at once, on the CPU or a GPU, in arithmetic that is exact: both make the same clip.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

INK = 0.25  # ink is brighter than this share of a digit's brightest pixel, as in the original code
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
    `smallest` and `largest` pixels: the logarithm of its scale is reflected there. A cell covers whole
    pixels, as in the original code: its place and width are rounded where it is drawn.

    A layer of clutter is a window on a canvas of side `canvas_size`, strewn with `pieces` squares of
    `smallest_piece` to `largest_piece` pixels cut from random digits; the brighter pixel shows. Every
    canvas is strewn anew, with pieces out of 32,768 cut beforehand (the original code takes each of 10,000
    canvases as it is). The window moves as digits do, with `clutter_step` for `step`: about a pixel a frame.
    """

    size: int = 100
    intensity: tuple[int, int] = (64, 255)
    overlaid_size: int = 28
    step: float = 0.1
    initial_speed: float = 1.0
    acceleration_variance: float = 0.1
    scale_change: float = 0.1
    smallest: int = 14
    largest: int = 56
    canvas_size: int = 200
    pieces: int = 80
    smallest_piece: int = 5
    largest_piece: int = 9
    clutter_step: float = 0.01

    def __post_init__(self) -> None:
        dark, bright = self.intensity
        rules = {
            "0 <= dark <= bright <= 255 in intensity": 0 <= dark <= bright <= 255,
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
                names = [name for name in re.findall(r"[a-z_]+", rule) if hasattr(self, name)]
                raise ValueError(f"expected {rule}, got " + ", ".join(f"{n}={getattr(self, n)}" for n in names))


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
                f"expected smallest <= {cell}, the digits' width, <= largest, "
                f"got smallest={settings.smallest}, largest={settings.largest}"
            )
        if settings.largest_piece > cell or (overlaid > 1 and settings.overlaid_size > cell):
            raise ValueError(
                f"expected largest_piece, overlaid_size <= {cell}, the digits' width, "
                f"got largest_piece={settings.largest_piece}, overlaid_size={settings.overlaid_size}"
            )
        self.settings, self.objects, self.overlaid = settings, objects, overlaid
        self.device = torch.device(device)
        self.digits = _Glyphs(images, self.device)
        self.weights = self._to(_weights(cell, max(cell, settings.largest)), np.float32)
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
        intensity = appearance.uniform(*self.settings.intensity, (self.objects, clips))
        position = self._walk(clips, length, appearance, acceleration)
        behind, before, windows_at = self._clutter(position[:2], appearance)

        width = self._grow(clips, length, growth)  # (objects, clips, length)
        corner = np.rint(position[2:] * (size - width)[..., None]).astype(np.int64)
        patches, drawn, inset = self._draw(glyphs, which, intensity, width)
        side = patches.shape[-1]
        first = np.arange(clips * length).reshape(clips, length) * size**2
        patches_at = self._to(first + (corner + inset) @ [1, size], np.int64)

        # Patches may reach over the right and lower border, but are 0 there: what is added to other pixels is 0.
        memory = torch.empty(clips * length * size + side, size, dtype=torch.uint8, device=self.device)
        frames = memory[:-side].view(clips, length, size, size)
        part = max(1, PART // length) if self.device.type == "cpu" else clips
        for now in (slice(i, i + part) for i in range(0, clips, part)):
            painted = frames[now].flatten(0, 1)
            torch.index_select(behind, 0, windows_at[0, now].flatten(), out=painted)
            for number, at in zip(drawn[:, now].flatten(1), patches_at[:, now].flatten(1), strict=True):
                patch = patches.index_select(0, number)
                hidden = _windows(memory, side, side).index_select(0, at) & patch.clamp(max=1).neg_()
                _add(memory, at, patch - hidden)
            cover = before.index_select(0, windows_at[1, now].flatten())
            painted &= cover.clamp(max=1).sub_(1)  # 255 where nothing covers it, 0 where something does
            painted |= cover

        boxes = glyphs.ink[which[0]][:, None] * (width[0] / glyphs.cell)[..., None]  # (clips, length, 4)
        boxes[..., :2] += corner[0]
        return frames, self._to(boxes, np.float32)

    def _to(self, array: np.ndarray, dtype: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype)).to(self.device)

    def _choose(self, clips: int, rng: np.random.Generator) -> tuple[_Glyphs, np.ndarray]:
        """The glyphs of these clips, and which of them each object is: (objects, clips)."""
        cell, small = self.digits.cell, self.settings.overlaid_size
        which = rng.integers(len(self.digits.images), size=(self.objects, clips, self.overlaid))
        if self.overlaid == 1:
            return self.digits, which[..., 0]
        corner = rng.integers(cell - small + 1, size=(2, which.size))
        images = self.digits.pixels.index_select(0, self._to(which.ravel(), np.int64)).float()
        laid = self._resize(images, np.full(which.size, small), -corner, np.zeros_like(corner), cell)
        made = (laid.view(-1, self.overlaid, cell, cell).amax(1) / cell**2).to(torch.uint8)
        return _Glyphs(made.cpu().numpy(), self.device), np.arange(len(made)).reshape(-1, clips)

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
        """Widths of the objects' cells, in whole pixels: (objects, clips, length)."""
        cell = self.digits.cell
        change = self.settings.scale_change * rng.uniform(-0.5, 0.5, (length, self.objects, clips))
        change[0] = 0
        low, high = np.log(self.settings.smallest / cell), np.log(self.settings.largest / cell)
        reflected = high - np.abs((change.cumsum(0) - low) % (2 * (high - low)) - (high - low))
        return np.moveaxis(np.rint(cell * np.exp(reflected)).astype(np.int64), 0, 2)

    def _draw(
        self, glyphs: _Glyphs, which: np.ndarray, intensity: np.ndarray, width: np.ndarray
    ) -> tuple[Tensor, Tensor, np.ndarray]:
        """Each object in each of its widths, once: in square patches of uint8, 0 where there is no ink.

        Also, the number of the patch of each object in each frame, (objects, clips, length), and where in
        the object's cell it lies, (objects, clips, length, 2).
        """
        cell, extent, widths = glyphs.cell, glyphs.extent, self.settings.largest + 1
        objects = np.arange(which.size).reshape(*which.shape, 1)
        pairs, drawn = np.unique(objects * widths + width, return_inverse=True)
        drawn, (objects, each) = drawn.reshape(width.shape), np.divmod(pairs, widths)
        glyph = which.ravel()[objects]
        cut = np.minimum(glyphs.ink[glyph, :2], cell - extent).T  # from here on the cell holds all its ink
        cuts_at = self._to(glyph * cell**2 + [1, cell] @ cut, np.int64)
        cuts = _windows(glyphs.pixels, extent, extent).index_select(0, cuts_at).float()
        first = cut * each // cell
        side = 4 * int(np.ceil((extent * width.max() // cell + 2) / 4))  # matrix products like multiples of 4
        patches = self._resize(cuts, each, first, cut, min(side, self.settings.size))
        functional.threshold(patches, INK * 255 * cell**2, 0, inplace=True)
        patches *= self._to(intensity.ravel()[objects, None, None] / (255 * cell**2), np.float32)
        return patches.round_().to(torch.uint8), self._to(drawn, np.int64), first.T[drawn]

    def _resize(self, images: Tensor, width: np.ndarray, first: np.ndarray, cut: np.ndarray, side: int) -> Tensor:
        """Resize cells to `width`, and return the `side` pixels each way from the one numbered `first`.

        images: (count, extent, extent), the part of each cell that begins at `cut`, float32. width:
        (count,). first, cut: (2, count), x and y. Each pixel is the mean of what it covers of the cell,
        cell^2 times too bright, a whole number that float32 holds exactly: (count, side, side).
        """
        _, rows, cell = self.weights.shape
        at = self._to((width * rows + rows // 3 + first) * cell + cut, np.int64)
        across, down = _windows(self.weights, side, images.shape[-1]).index_select(0, at.flatten()).chunk(2)
        return torch.bmm(torch.bmm(down, images), across.mT)

    def _cut(self, rng: np.random.Generator) -> Tensor:
        """Pieces of clutter, uint8 (BANK, largest_piece, largest_piece), small ones in the top left corner."""
        settings, cell, largest = self.settings, self.digits.cell, self.settings.largest_piece
        which = rng.integers(len(self.digits.images), size=BANK)
        y, x = rng.integers(cell - largest + 1, size=(2, BANK))
        size = rng.integers(settings.smallest_piece, largest + 1, size=(BANK, 1, 1))
        images = _windows(torch.from_numpy(self.digits.images), largest, largest)
        piece = images[(which * cell + y) * cell + x].numpy() * (np.indices((largest, largest)).max(0) < size)
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
        behind, before = (_windows(canvas, settings.size, settings.size) for canvas in canvases)
        return behind, before, windows_at


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


def _weights(cell: int, largest: int) -> np.ndarray:
    """For cells of `cell` pixels resized to any width: how much of each old pixel each new one covers.

    (widths 0 to largest, 3 * largest new pixels, cell old ones), in 1 / cell of a new pixel. The new pixels
    are numbered from -largest, so that what lies beside the resized cell is there too, as zeros.
    """
    width = np.arange(largest + 1)[:, None, None]
    new, old = np.arange(-largest, 2 * largest)[:, None] * cell, np.arange(cell) * width
    return (np.minimum(new + cell, old + width) - np.maximum(new, old)).clip(0)


def _windows(images: Tensor, height: int, width: int) -> Tensor:
    """Every height x width window of `images` (..., columns), numbered by its first pixel's place in memory."""
    columns = images.shape[-1]
    count = images.numel() - (height - 1) * columns - (width - 1)
    return images.as_strided((count, height, width), (1, columns, 1))


def _pixels(at: Tensor, side: int, columns: int) -> Tensor:
    """Places in memory of all pixels (count, side, side) of the windows at `at`."""
    row = torch.arange(side, device=at.device)
    return at[:, None, None] + (row[:, None] * columns + row)


def _add(images: Tensor, at: Tensor, patches: Tensor) -> None:
    """Add `patches` (count, side, side) to the windows of `images` at `at`, in place; sums wrap at 256."""
    side, columns = patches.shape[-1], images.shape[-1]
    if images.is_cuda:
        images.view(-1).index_add_(0, _pixels(at, side, columns).flatten(), patches.flatten())
    else:  # with an index of 32 bits it goes patch by patch, several times as fast as pixel by pixel
        _windows(images, side, side).index_add_(0, at.int(), patches)
