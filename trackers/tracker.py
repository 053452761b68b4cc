"""Trackers follow many videos at once, each in its own lane.

A lane is a small integer: the place in which a tracker keeps one video's state. Results never
depend on who shares the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from trackers.sequence import Image, Region


class Tracker(ABC):
    """The stateful algorithm.

    `lanes` are distinct integers >= 0, `images` as many uint8 RGB (height, width, 3) arrays,
    `regions` as many boxes: a float array (len(lanes), 4) of x, y, width, height.
    """

    @abstractmethod
    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        """Start, or restart, these lanes: the target of lane i is regions[i] in images[i]."""

    @abstractmethod
    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        """One step of these lanes, in one batch: the targets' boxes (len(lanes), 4) in `images`."""

    def attention(self, lanes: Sequence[int]) -> np.ndarray | None:
        """Where these lanes looked in the last step, (len(lanes), height, width) >= 0; None if everywhere."""
        return None


class TwoMethods(Protocol):
    """What a user writes to enter a tracker of his own: one video, two methods."""

    def initialize(self, image: Image, region: Region) -> None: ...

    def update(self, image: Image) -> Region: ...


class LaneError(RuntimeError):
    """A tracker failed in one lane; the cause is chained."""

    def __init__(self, lane: int, cause: Exception) -> None:
        super().__init__(f"lane {lane}: {type(cause).__name__}: {cause}")
        self.lane = lane
        self.cause = cause


class SingleTracker(Tracker):
    """Lanes for a tracker of two methods: one fresh instance a video, made by `create()`."""

    def __init__(self, create: Callable[[], TwoMethods]) -> None:
        self.create = create
        self.single: dict[int, TwoMethods] = {}

    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        for lane, image, region in zip(lanes, images, regions, strict=True):
            try:
                self.single[lane] = self.create()
                self.single[lane].initialize(image, region)
            except Exception as cause:
                raise LaneError(lane, cause) from cause

    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        boxes = np.empty((len(lanes), 4))
        for i, (lane, image) in enumerate(zip(lanes, images, strict=True)):
            try:
                box = np.asarray(self.single[lane].update(image), float)
                if box.shape != (4,):
                    raise ValueError(f"expected a box of 4 numbers from update, got shape {box.shape}")
            except Exception as cause:
                raise LaneError(lane, cause) from cause
            boxes[i] = box
        return boxes


class IdentityTracker(Tracker):
    """Says that nothing ever moves: the floor under every comparison."""

    def __init__(self) -> None:
        self.region: dict[int, Region] = {}

    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        self.region.update(zip(lanes, np.asarray(regions, float), strict=True))

    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        return np.stack([self.region[lane] for lane in lanes])
