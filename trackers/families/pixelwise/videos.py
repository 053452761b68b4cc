"""Training videos, and their masks as the global model sees them: small maps of every frame, made once for all folds.

All is a flat dict of tensors, as steps publish it, F frames of V videos one behind the other:

    boxes   float64 (F, 4), around each mask, NaN where that is empty    starts  int64 (V + 1,), where each begins
    maps    uint8 (F, size, size / 8), eight pixels a byte               sizes   int64 (V, 2), width and height
    names   uint8, JSON of the videos' names
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from trackers.evaluation.folds import folds
from trackers.families.pixelwise import rois
from trackers.masks import bounding_box
from trackers.sequence import Regions, Sequence
from trackers.training import Reporter, Weights

READERS = 4  # threads


def make_maps(sequences: Iterable[Sequence], size: int, reporter: Reporter) -> dict[str, Tensor]:
    """The maps of these sequences. Raises ValueError, by name, where one has no masks or never shows its target."""
    known = list(sequences)
    boxes, maps, sizes = [], [], []
    with ThreadPoolExecutor(READERS) as threads:
        for done, sequence in enumerate(known, 1):
            regions = sequence.regions
            if regions is None or regions[0].ndim != 2:
                raise ValueError(
                    f"sequence {sequence.name}: expected masks of the target to learn from, got "
                    f"{'boxes' if regions is None else 'polygons'} (VOT has them by `regions: masks`)"
                )

            def small(t: int, regions: Regions = regions) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
                mask = regions[t]
                return bounding_box(mask), rois.squeezed(mask, size), mask.shape

            found = list(threads.map(small, range(len(sequence))))
            boxes.append(np.stack([box for box, _, _ in found]))
            maps.append(np.packbits(np.stack([small for _, small, _ in found]), axis=-1))
            sizes.append(found[0][2][::-1])
            try:
                rois.places(boxes[-1])
            except ValueError as cause:
                raise ValueError(f"sequence {sequence.name}: {cause}") from cause
            reporter.progress(done, len(known))
    arrays = {
        "boxes": np.concatenate(boxes),
        "maps": np.concatenate(maps),
        "starts": np.cumsum([0, *map(len, known)]),
        "sizes": np.array(sizes),
        "names": np.frombuffer(json.dumps([sequence.name for sequence in known]).encode(), np.uint8).copy(),
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


class Maps:
    """What `make_maps` made. names: of the videos. sizes: int (V, 2) of their frames."""

    def __init__(self, tensors: Weights) -> None:
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        self.names: tuple[str, ...] = tuple(json.loads(arrays["names"].tobytes()))
        self.sizes = arrays["sizes"]
        self._boxes, self._packed, self._starts = arrays["boxes"], arrays["maps"], arrays["starts"]

    def length(self, video: int) -> int:
        """Frames of a video."""
        return int(self._starts[video + 1] - self._starts[video])

    def boxes(self, video: int) -> np.ndarray:
        """(T, 4) around its masks."""
        return self._boxes[self._starts[video] : self._starts[video + 1]]

    def of(self, video: int, frames: np.ndarray) -> np.ndarray:
        """Bool (len(frames), size, size)."""
        return np.unpackbits(self._packed[self._starts[video] + frames], axis=-1).astype(bool)


def half(names: Iterable[str], number: int, seed: int) -> tuple[str, ...]:
    """Section 5.1, step 1: half 1 or 2 of the training videos. Raises ValueError for fewer than two of them."""
    known = sorted(names)
    if len(known) < 2:
        raise ValueError(f"expected at least two training videos for halves, got {', '.join(known) or 'none'}")
    return folds(known, 2, seed)[number - 1]
