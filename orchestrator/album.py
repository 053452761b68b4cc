"""The album of a tracking job: what the report shows of it as pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trackers.evaluation.trajectory import Trajectory
from trackers.sequence import Sequence
from trackers.tracker import Contrast, Recalled, Tracker

PICTURE = 200  # pixels: the height at which the report shows a frame
PATCH = 64  # pixels: the side of a remembered patch
BINS = 40  # of a histogram of correlations, over [-1, 1]
CELLS = 16  # of each layer of a memory: "the top 16 activations out of 256 cells" (Song et al. 2017, Fig. 3)


@dataclass(frozen=True)
class Look:
    """One frame as it is shown. mask: of the target, where one is annotated. The rest: what the tracker says of it.

    contrast: float32 (2, BINS), see `told_apart`.
    """

    image: np.ndarray
    mask: np.ndarray | None
    attention: np.ndarray | None
    memory: Mapping[str, np.ndarray] | None
    recalled: Recalled | None
    contrast: np.ndarray | None


@dataclass
class Page:
    """The first run through one sequence. lane: where it is followed. start, last: the first frame seen, and the last.

    scale: by which its frames are reduced. looks: by the number of the frame.
    """

    lane: int
    start: int
    last: int
    scale: float
    groundtruth: np.ndarray
    looks: dict[int, Look] = field(default_factory=dict)
    over: bool = False


@dataclass
class Album:
    """Frames, regions and what the tracker says of them, of some sequences of a benchmark: for the report's pictures.

    sequences: how many, the first ones; or their names. frames: which frames are kept of each, counted from the start
    of its first run; they are as large as they are shown.
    """

    sequences: int | list[str]
    frames: list[int]
    pages: dict[str, Page] = field(default_factory=dict)

    def look(self, sequence: Sequence, t: int, tracker: Tracker, lane: int) -> None:
        """Keep this step of this lane, if it is one of those wanted. The first run of a sequence is seen first."""
        page = self.pages.get(sequence.name)
        if page is None:
            if not self._wants(sequence.name):
                return
            scale = min(1.0, PICTURE / sequence.frames[t].shape[0])
            page = self.pages[sequence.name] = Page(lane, t, t - 1, scale, sequence.groundtruth)
        if lane != page.lane or page.over:
            return
        page.over = t <= page.last  # the next run through it is in the same lane
        page.last = t
        if page.over or t - page.start not in self.frames:
            return
        region, attention, memory = sequence.region(t), tracker.attention([lane]), tracker.memory([lane])
        recalled, contrast = tracker.recalled([lane]), tracker.contrast([lane])
        page.looks[t] = Look(
            image=_reduced(np.array(sequence.frames[t]), page.scale),
            mask=_reduced_mask(region, page.scale) if region.ndim == 2 else None,
            attention=None if attention is None else _reduced(attention[0], page.scale).astype(np.float16),
            memory=None if memory is None else {layer: np.array(cells[0]) for layer, cells in memory.items()},
            recalled=None if recalled is None else _small(recalled[0]),
            contrast=None if contrast is None else told_apart(contrast[0]),
        )

    def _wants(self, name: str) -> bool:
        return len(self.pages) < self.sequences if isinstance(self.sequences, int) else name in self.sequences

    def save(self, path: Path, trajectories: Iterable[Trajectory]) -> None:
        """Of each sequence i: numbers/i (t), frames/i (t, H, W, 3), regions/i and groundtruth/i (t, 4).

        Where there are such: masks/i and groundtruth_masks/i (t, H, W) bool; attention/i (t, H, W); memory/i/<layer>
        (t, cells, h, w), of at most 16 cells, those that are the most active in these frames, the most active first;
        patches/i (t, K + 1, S, S, 3) and weights/i (t, K), what was recalled; contrast/i (t, 2, BINS).
        """
        runs = {trajectory.sequence: trajectory for trajectory in trajectories if trajectory.run == 0}
        names = sorted(name for name, page in self.pages.items() if page.looks and name in runs)
        if not names:
            return
        kept: dict[str, np.ndarray] = {"sequences": np.array(names)}
        for i, name in enumerate(names):
            page, run = self.pages[name], runs[name]
            numbers = sorted(page.looks)
            looks = [page.looks[t] for t in numbers]
            kept[f"numbers/{i}"] = np.array(numbers)
            kept[f"frames/{i}"] = np.stack([look.image for look in looks])
            kept[f"regions/{i}"] = run.boxes[numbers] * page.scale
            kept[f"groundtruth/{i}"] = page.groundtruth[numbers] * page.scale
            if run.masks is not None:
                kept[f"masks/{i}"] = np.stack([_reduced_mask(run.masks[t], page.scale) for t in numbers])
            _keep(kept, f"groundtruth_masks/{i}", [look.mask for look in looks])
            _keep(kept, f"attention/{i}", [look.attention for look in looks])
            _keep(kept, f"patches/{i}", [look.recalled and look.recalled.patches for look in looks])
            _keep(kept, f"weights/{i}", [look.recalled and look.recalled.weights for look in looks])
            _keep(kept, f"contrast/{i}", [look.contrast for look in looks])
            for layer in looks[0].memory or {}:
                _keep(kept, f"memory/{i}/{layer}", [(look.memory or {}).get(layer) for look in looks])
        kept |= {name: most_active(cells) for name, cells in kept.items() if name.startswith("memory/")}
        np.savez_compressed(path, allow_pickle=False, **kept)


def most_active(cells: np.ndarray) -> np.ndarray:
    """Of the cells (t, cells, h, w) of a layer the 16 with the largest mean magnitude, the largest first; float16."""
    activity = np.abs(cells.astype(np.float32)).mean((0, 2, 3))
    best = np.argsort(-activity, kind="stable")[:CELLS]
    largest = float(np.finfo(np.float16).max)
    return cells[:, best].clip(-largest, largest).astype(np.float16)


def told_apart(contrast: Contrast) -> np.ndarray:
    """Histograms of the Pearson correlation of samples: of all pairs of positives, and of each with each negative.

    float32 (2, BINS) over [-1, 1], shares of the pairs; all 0 where there are none. A sample whose D features are all
    alike correlates with none: its pairs do not count.
    """
    positives, negatives = _standard(contrast.positives), _standard(contrast.negatives)
    first, second = np.triu_indices(len(positives), 1)
    counts = np.stack(
        [
            np.histogram(pairs.clip(-1, 1), BINS, (-1, 1))[0]
            for pairs in ((positives @ positives.T)[first, second], positives @ negatives.T)
        ]
    )
    return (counts / np.maximum(counts.sum(1, keepdims=True), 1)).astype(np.float32)


def _standard(samples: np.ndarray) -> np.ndarray:
    """Those (n, D) that vary, centred and of length 1: their products are correlations."""
    centred = samples - samples.mean(1, keepdims=True, dtype=np.float64)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    varying = lengths[:, 0] > 1e-12
    return np.divide(centred[varying], lengths[varying])


def _small(recalled: Recalled) -> Recalled:
    """Patches of at most PATCH pixels."""
    scale = min(1.0, PATCH / recalled.patches.shape[1])
    patches = np.stack([_reduced(np.array(patch), scale) for patch in recalled.patches])
    return Recalled(patches, np.array(recalled.weights, np.float32))


def _keep(kept: dict[str, np.ndarray], name: str, arrays: list[np.ndarray | None]) -> None:
    """One array of a frame each; nothing where any frame has none."""
    there = [array for array in arrays if array is not None]
    if len(there) == len(arrays):
        kept[name] = np.stack(there)


def _reduced(image: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1.0:
        return image
    import cv2

    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return cv2.resize(image.astype(image.dtype if image.dtype == np.uint8 else np.float32), size, interpolation=3)


def _reduced_mask(mask: np.ndarray, scale: float) -> np.ndarray:
    """On where at least half of a pixel's area is."""
    return mask if scale == 1.0 else _reduced(mask.astype(np.float32), scale) >= 0.5
