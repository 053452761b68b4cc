"""The album of a tracking job: what the report shows of it as pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trackers.evaluation.trajectory import Trajectory
from trackers.sequence import Sequence
from trackers.tracker import Tracker

PICTURE = 200  # pixels: the height at which the report shows a frame


@dataclass
class Album:
    """Frames, boxes and attention of the first sequences of a benchmark, for the report's pictures.

    sequences: how many. frames: the numbers of the frames that are kept of each, as large as they are shown.
    """

    sequences: int
    frames: list[int]
    images: dict[str, dict[int, np.ndarray]] = dataclasses.field(default_factory=dict)
    masks: dict[str, dict[int, np.ndarray]] = dataclasses.field(default_factory=dict)
    scales: dict[str, float] = dataclasses.field(default_factory=dict)
    truths: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def look(self, sequence: Sequence, t: int, tracker: Tracker, lane: int) -> None:
        """Keep this step of this lane, if it is one of those wanted, and the first time."""
        kept = self.images.get(sequence.name)
        if t not in self.frames or (kept is None and len(self.images) == self.sequences) or (kept and t in kept):
            return
        image = sequence.frames[t]
        scale = min(1.0, PICTURE / image.shape[0])
        self.images.setdefault(sequence.name, {})[t] = _reduced(np.array(image), scale)
        self.scales[sequence.name] = scale
        self.truths[sequence.name] = sequence.groundtruth
        attention = tracker.attention([lane])
        if attention is not None:
            self.masks.setdefault(sequence.name, {})[t] = _reduced(attention[0], scale).astype(np.float16)

    def save(self, path: Path, trajectories: Iterable[Trajectory]) -> None:
        """Of each sequence i: numbers/i (t), frames/i (t, H, W, 3), regions/i and groundtruth/i (t, 4), attention/i."""
        runs = {trajectory.sequence: trajectory for trajectory in trajectories if trajectory.run == 0}
        names = sorted(name for name in self.images if name in runs)
        if not names:
            return
        kept: dict[str, np.ndarray] = {"sequences": np.array(names)}
        for i, name in enumerate(names):
            numbers = sorted(self.images[name])
            kept[f"numbers/{i}"] = np.array(numbers)
            kept[f"frames/{i}"] = np.stack([self.images[name][t] for t in numbers])
            kept[f"regions/{i}"] = runs[name].boxes[numbers] * self.scales[name]
            kept[f"groundtruth/{i}"] = self.truths[name][numbers] * self.scales[name]
            if name in self.masks:
                kept[f"attention/{i}"] = np.stack([self.masks[name][t] for t in numbers])
        np.savez_compressed(path, allow_pickle=False, **kept)


def _reduced(image: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1.0:
        return image
    import cv2

    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return cv2.resize(image.astype(image.dtype if image.dtype == np.uint8 else np.float32), size, interpolation=3)
