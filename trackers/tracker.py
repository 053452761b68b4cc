"""Trackers follow many videos at once, each in its own lane.

A lane is a small integer: the place in which a tracker keeps one video's state. Results never
depend on who shares the batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from trackers.sequence import Image, Region
from trackers.sequence import Sequence as VideoSequence


class SoftMap(NamedTuple):
    """How likely each pixel of a part of a frame is the target's; no pixel outside of it is.

    window: int (4,) x, y, width, height in pixels; it may reach outside of the frame.
    probabilities: float32 (height, width) in [0, 1].
    """

    window: np.ndarray
    probabilities: np.ndarray


class Recalled(NamedTuple):
    """How much of each remembered patch a tracker recalled when it looked at the patch that it chose.

    patches: uint8 RGB (K + 1, S, S, 3), the remembered ones, the oldest first, then the chosen one. weights: float32
    (K,) in [-1, 1].
    """

    patches: np.ndarray
    weights: np.ndarray


class Contrast(NamedTuple):
    """What a tracker's classifier is given of samples on the target, and of as many on what looks most like it.

    positives, negatives: float32 (P, D) and (N, D).
    """

    positives: np.ndarray
    negatives: np.ndarray


class Tracker(ABC):
    """The stateful algorithm.

    `lanes` are distinct integers >= 0, `images` as many uint8 RGB (height, width, 3) arrays.

    region: what it starts on: boxes, one float array (len(lanes), 4) of x, y, width, height; or masks,
    a list of bool arrays, (height, width) each. stochastic: whether it draws random numbers. oracle: whether it is
    shown what no tracker may know, see `reveal`.
    """

    region: Literal["box", "mask"] = "box"
    stochastic: bool = False
    oracle: bool = False

    @abstractmethod
    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: Any) -> None:
        """Start, or restart, these lanes: the target of lane i is regions[i] in images[i]."""

    @abstractmethod
    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray | Sequence[Region]:
        """One step of these lanes, in one batch: where the targets are in `images`.

        Boxes (len(lanes), 4), or a list of as many regions: boxes (4,), polygons (8,), masks (height, width).
        """

    def reseed(self, lanes: Sequence[int], seeds: Sequence[int]) -> None:  # noqa: B027  # not all have dice
        """A new run begins in these lanes: what each draws from here on is to depend on its seed alone.

        Called before a run's first `initialize`; a restart in the middle of a run draws on. Seeds are in
        [0, 2^31). Trackers that are not stochastic have nothing to do.
        """

    def reveal(self, lanes: Sequence[int], sequences: Sequence[VideoSequence], frames: Sequence[int]) -> None:  # noqa: B027
        """Of an oracle only: these lanes are about to start in these frames of these sequences, which it may look into.

        Called before `initialize`. Groundtruth and frames to come are in a sequence.
        """

    def attention(self, lanes: Sequence[int]) -> np.ndarray | None:
        """Where these lanes looked in the last step, (len(lanes), height, width) >= 0; None if everywhere."""
        return None

    def soft(self, lanes: Sequence[int]) -> list[SoftMap] | None:
        """How likely each pixel was the target's in the last step of these lanes; None if that is not known."""
        return None

    def memory(self, lanes: Sequence[int]) -> Mapping[str, np.ndarray] | None:
        """What these lanes remember of the last step: by layer, (len(lanes), cells, height, width); None if nothing."""
        return None

    def recalled(self, lanes: Sequence[int]) -> list[Recalled] | None:
        """What these lanes recalled in the last step; None if they remember no patches, or have not stepped yet."""
        return None

    def contrast(self, lanes: Sequence[int]) -> list[Contrast] | None:
        """How these lanes tell the target from what looks most like it in the last step; None if that is not known."""
        return None


class TwoMethods(Protocol):
    """What a user writes to enter a tracker of his own: one video, two methods.

    A class may say `stochastic = True` if it draws random numbers; then a third method, `seed(number)`,
    is called before `initialize`. It may say `region = "mask"` to start on masks.
    """

    def initialize(self, image: Image, region: Region) -> None: ...

    def update(self, image: Image) -> Region: ...


class LaneError(RuntimeError):
    """A tracker failed in one lane; the cause is chained."""

    def __init__(self, lane: int, cause: Exception) -> None:
        super().__init__(f"lane {lane}: {type(cause).__name__}: {cause}")
        self.lane = lane
        self.cause = cause


class SingleTracker(Tracker):
    """Lanes for a tracker of two methods: one fresh instance a start, made by `create()`.

    stochastic, region: as of `Tracker`. Instances with a method `seed` are given numbers drawn from the seed
    of their run, another one for each start.
    """

    def __init__(
        self,
        create: Callable[[], TwoMethods],
        stochastic: bool = False,
        region: Literal["box", "mask"] = "box",
    ) -> None:
        self.create = create
        self.stochastic = stochastic
        self.region = region
        self.single: dict[int, TwoMethods] = {}
        self.seeds: dict[int, np.random.Generator] = {}

    def reseed(self, lanes: Sequence[int], seeds: Sequence[int]) -> None:
        for lane, seed in zip(lanes, seeds, strict=True):
            self.seeds[lane] = np.random.default_rng(seed)

    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: Any) -> None:
        for lane, image, region in zip(lanes, images, regions, strict=True):
            try:
                single = self.single[lane] = self.create()
                if lane in self.seeds and hasattr(single, "seed"):
                    single.seed(int(self.seeds[lane].integers(2**31)))
                single.initialize(image, region)
            except Exception as cause:
                raise LaneError(lane, cause) from cause

    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray | Sequence[Region]:
        regions = []
        for lane, image in zip(lanes, images, strict=True):
            try:
                regions.append(checked_region(self.single[lane].update(image), image))
            except Exception as cause:
                raise LaneError(lane, cause) from cause
        return np.stack(regions) if all(region.shape == (4,) for region in regions) else regions


def checked_region(answer: Any, image: Image) -> Region:
    """A tracker's answer as a region of its own: float box (4,) or polygon (8,), or bool mask (height, width).

    Raises ValueError where it is neither, or a mask of another size than the image.
    """
    region = np.asarray(answer)
    if region.shape == image.shape[:2] and region.dtype == bool:
        return region.copy()
    region = np.array(answer, float)
    if region.shape not in ((4,), (8,)):
        height, width = image.shape[:2]
        raise ValueError(
            f"expected a box of 4 numbers, a polygon of 8 or a bool mask ({height}, {width}) from update, "
            f"got shape {region.shape}"
        )
    return region


class IdentityTracker(Tracker):
    """Says that nothing ever moves: the floor under every comparison."""

    def __init__(self) -> None:
        self.boxes: dict[int, Region] = {}

    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        self.boxes.update(zip(lanes, np.asarray(regions, float), strict=True))

    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        return np.stack([self.boxes[lane] for lane in lanes])
