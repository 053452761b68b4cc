"""What a tracker says of single frames, as pictures: where it looks, what it remembers, how it tells things apart."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from orchestrator.report.explorer.sheets import LOSSLESS, Shelf, in_rows
from orchestrator.report.results import Example
from orchestrator.report.strips import contrast_tiles, memory_tiles, recalled_tiles

OPAQUE = 0.8  # share of the frame that the strongest attention covers


def said(example: Example, shelf: Shelf) -> list[dict[str, Any]]:
    """The kinds of pictures that there are, each as a sheet with one for each of the frames `at`.

    Attention is to be laid over the frame.
    """
    at = list(example.numbers)
    found = []
    if example.attention is not None:
        found.append({"kind": "attention", "sheet": shelf.keep(in_rows(attention_tiles(example.attention)))})
    if example.contrast is not None:
        found.append({"kind": "contrast", "sheet": shelf.keep(in_rows(contrast_tiles(example)), LOSSLESS)})
    if example.memory:
        sheet = in_rows(memory_tiles(example))
        found.append({"kind": f"memory: {', '.join(example.memory)}", "sheet": shelf.keep(sheet, LOSSLESS)})
    if example.patches is not None:
        found.append({"kind": "recalled", "sheet": shelf.keep(in_rows(recalled_tiles(example)))})
    return [one | {"at": at} for one in found]


def attention_tiles(attention: np.ndarray) -> list[np.ndarray]:
    """RGBA (height, width, 4) of each frame's (t, height, width), by its share of the frame's largest value.

    From dark violet to bright yellow, and ever less transparent; wholly so where there is none.
    """
    tiles = []
    for one in np.nan_to_num(attention.astype(np.float32), nan=0.0):
        share = one / max(float(one.max()), 1e-12)
        colours = cv2.applyColorMap((share * 255).round().astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
        tiles.append(np.dstack([colours, (share * OPAQUE * 255).round().astype(np.uint8)]))
    return tiles
