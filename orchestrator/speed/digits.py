"""Moving digits: clips made in batches against a straightforward loop over frames, both on one core."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch

from orchestrator.sample_data import digits
from trackers.synthetic.digits import INK, Renderer, Settings

CLIPS, LENGTH = 32, 20  # a minibatch of the paper
SETTINGS = Settings()


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Frames per second, clutter included: a minibatch at a time, and frame by frame in NumPy and SciPy.

    Both strew two canvases with clutter for every clip; the loop also cuts its pieces anew, ours come cut.
    """
    images, _ = digits()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_row(what, images, objects, repeats) for what, objects in (("Single", 1), ("Multi", 2))]
    finally:
        torch.set_num_threads(threads)


def _row(what: str, images: np.ndarray, objects: int, repeats: int) -> dict[str, Any]:
    renderer, rng = Renderer(images, SETTINGS, objects), np.random.default_rng(0)
    ours: list[float] = []
    other: list[float] = []
    for repeat in range(repeats + 1):
        start = time.perf_counter()
        for _ in range(10):
            renderer.render(CLIPS, LENGTH, rng)
        middle = time.perf_counter()
        for _ in range(10):
            loop(images, objects, LENGTH, rng)
        end = time.perf_counter()
        if repeat:  # the first turn is to warm up
            ours.append(10 * CLIPS * LENGTH / (middle - start))
            other.append(10 * LENGTH / (end - middle))
    return {
        "what": f"MNIST-{what}: batches against a loop",
        "ours": statistics.median(ours),
        "other": statistics.median(other),
        "unit": "frames/s",
        "ratio": statistics.median(ours) / statistics.median(other),
        "target": 20.0,
    }


def loop(images: np.ndarray, objects: int, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One clip as one writes it down: frames uint8 (length, size, size), boxes (length, 4) of the first object."""
    from scipy import ndimage

    size, cell = SETTINGS.size, images.shape[-1]
    behind, before = _clutter(images, rng), _clutter(images, rng)
    glyphs = images[rng.integers(len(images), size=objects)] * (rng.uniform(*SETTINGS.intensity, (objects, 1, 1)) / 255)
    step = np.array([SETTINGS.clutter_step] * 2 + [SETTINGS.step] * objects)[:, None]
    angle = rng.uniform(0, 2 * np.pi, 2 + objects)
    velocity = np.stack([np.cos(angle), np.sin(angle)], -1) * rng.normal(0, SETTINGS.initial_speed, (2 + objects, 1))
    position, scale = rng.random((2 + objects, 2)), np.ones(objects)
    frames, boxes = np.empty((length, size, size), np.uint8), np.empty((length, 4))
    for t in range(length):
        (bx, by), (fx, fy) = np.rint(position[:2] * (SETTINGS.canvas_size - size)).astype(int)
        frame = behind[by : by + size, bx : bx + size].copy()
        for i in range(objects):
            glyph = ndimage.zoom(glyphs[i], scale[i], order=1)
            height, width = glyph.shape
            x, y = (position[2 + i] * (size - width, size - height)).astype(int)
            ink = glyph > INK * glyph.max()
            np.copyto(frame[y : y + height, x : x + width], glyph, where=ink, casting="unsafe")
            if i == 0:
                rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
                boxes[t] = x + columns[0], y + rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1
        over = before[fy : fy + size, fx : fx + size]
        frames[t] = np.where(over > 0, over, frame)
        position += step * velocity
        velocity[(position < 0) | (position > 1)] *= -1
        position = position.clip(0, 1)
        velocity += rng.normal(0, SETTINGS.acceleration_variance**0.5, velocity.shape)
        scale *= np.exp(SETTINGS.scale_change * rng.uniform(-0.5, 0.5, objects))
        scale = scale.clip(SETTINGS.smallest / cell, SETTINGS.largest / cell)
    return frames, boxes


def _clutter(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    canvas = np.zeros((SETTINGS.canvas_size, SETTINGS.canvas_size), np.uint8)
    count = SETTINGS.pieces
    which = rng.integers(len(images), size=count)
    sizes = rng.integers(SETTINGS.smallest_piece, SETTINGS.largest_piece + 1, count)
    corners = rng.integers(images.shape[-1] - sizes + 1, size=(2, count))
    places = rng.integers(SETTINGS.canvas_size - sizes + 1, size=(2, count))
    gains = rng.uniform(*SETTINGS.intensity, count) / 255
    for image, size, (y, x), (row, column), gain in zip(images[which], sizes, corners.T, places.T, gains, strict=True):
        piece = image[y : y + size, x : x + size]
        ink = piece > INK * piece.max()
        canvas[row : row + size, column : column + size][ink] = piece[ink] * gain
    return canvas
