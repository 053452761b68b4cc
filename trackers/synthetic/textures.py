"""Textures: what fills sprites and backgrounds, in whole numbers, so that a seed gives the same bytes."""

from __future__ import annotations

import cv2
import numpy as np

PATTERNS = ("plain", "stripes", "bars", "slants", "checks", "spots", "rings", "grain")


def colour(hue: int, saturation: int, value: int) -> np.ndarray:
    """RGB, uint8 (3,), of a hue in OpenCV's half degrees (taken modulo 180), saturation and value of 0 to 255."""
    return cv2.cvtColor(np.array([[[hue % 180, saturation, value]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0]


def mix(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Two colours (3,), or two images (height, width, 3), uint8, by `weight` of the second: uint8 (height, width)."""
    share = weight[..., None].astype(np.uint16)
    return ((first * (255 - share) + second * share + 127) // 255).astype(np.uint8)


def noise(height: int, width: int, cell: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth grey noise, uint8 (height, width): random levels `cell` pixels apart, interpolated."""
    levels = rng.integers(256, size=(height // cell + 2, width // cell + 2), dtype=np.uint8)
    return cv2.resize(levels, None, fx=cell, fy=cell, interpolation=cv2.INTER_LINEAR)[:height, :width]


def background(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Ground of two dull colours, mixed by coarse and fine noise: uint8 RGB (height, width, 3)."""
    dark, bright = (
        colour(int(rng.integers(180)), int(rng.integers(40, 140)), int(rng.integers(*value)))
        for value in ((40, 100), (130, 210))
    )
    coarse, middle, fine = (noise(height, width, cell, rng).astype(np.uint16) for cell in (40, 14, 6))
    return mix(dark, bright, (4 * coarse + 3 * middle + fine) // 8)


def pattern(kind: str, side: int, period: int, rng: np.random.Generator) -> np.ndarray:
    """One of `PATTERNS`, uint8 (side, side), repeating after so many pixels; bright (255) on dark (0)."""
    y, x = np.indices((side, side))
    if kind == "grain":
        return noise(side, side, max(1, period // 2), rng)
    half = max(1, period // 2)
    across, down = x + rng.integers(period), y + rng.integers(period)
    centre = side // 2
    bright = {
        "plain": np.zeros_like(x),
        "stripes": across // half,
        "bars": down // half,
        "slants": (across + down) // half,
        "checks": across // half + down // half,
        "spots": 16 * ((across % period - half) ** 2 + (down % period - half) ** 2) < 5 * period**2,
        "rings": (((x - centre) ** 2 + (y - centre) ** 2) ** 0.5).astype(int) // half,
    }[kind]
    return ((bright % 2) * 255).astype(np.uint8)
