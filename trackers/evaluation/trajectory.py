"""A trajectory: what a tracker said in one run through one sequence, and what happened in each frame."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from trackers.sequence import Region, Regions


class Event(IntEnum):
    """What happened in a frame; the first three are VOT's codes in result files."""

    SKIPPED = 0  # not asked: before the run's start, or after a failure
    INITIALIZED = 1  # told where the target is
    FAILED = 2  # predicted, judged to have lost the target
    PREDICTED = 3


@dataclass(frozen=True)
class Trajectory:
    """One run of a tracker through a sequence.

    sequence: its name. regions: (frames, 4) boxes, or (frames, 8) where some are polygons, boxes among
    them with NaN behind; the given region where INITIALIZED, NaN where SKIPPED or FAILED, and where the
    tracker said nothing usable. events: int8 (frames,) of `Event`. run: number of the repetition, segment
    or perturbation, from 0. masks: bool (height, width) by frame, of trackers that give masks. seconds:
    (frames,) that the tracker took, NaN where it was not measured. pixels: (2, levels) of the background and of the
    target over all frames, of trackers that tell how likely each is (see `trackers.evaluation.pixels`).
    """

    sequence: str
    regions: np.ndarray
    events: np.ndarray
    run: int = 0
    masks: Regions | None = None
    seconds: np.ndarray | None = None
    pixels: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.regions.ndim != 2 or self.regions.shape[1] not in (4, 8) or self.events.shape != self.regions.shape[:1]:
            raise ValueError(
                f"sequence {self.sequence}, run {self.run}: expected regions (frames, 4 or 8) and events (frames,), "
                f"got {self.regions.shape} and {self.events.shape}"
            )

    def __len__(self) -> int:
        return len(self.regions)

    def region(self, t: int) -> Region:
        """What was said in frame t: the mask where there are masks, else the polygon or box."""
        if self.masks is not None:
            return self.masks[t]
        region = self.regions[t]
        return region[:4] if np.isnan(region[4:]).all() else region

    @property
    def boxes(self) -> np.ndarray:
        """(frames, 4): the regions, and the bounding boxes of those that are polygons."""
        if self.regions.shape[1] == 4:
            return self.regions
        x, y = self.regions[:, 0::2], self.regions[:, 1::2]
        low = np.stack([x.min(1), y.min(1)], 1)
        bounding = np.concatenate([low, np.stack([x.max(1), y.max(1)], 1) - low], 1)
        return np.where(np.isnan(self.regions[:, 4:]).all(1, keepdims=True), self.regions[:, :4], bounding)
