"""A sequence: frames and their groundtruth.

Images are uint8 RGB (height, width, 3). Groundtruth is one region a frame: for boxes a float
array (frames, 4) of x, y, width, height, a row of NaN where the target is absent.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Image = np.ndarray  # uint8 RGB (height, width, 3)
Region = np.ndarray  # a box: float (4,)


class Frames(Protocol):
    """Images by number, read when asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, t: int) -> Image: ...


@dataclass(frozen=True)
class GreyFrames:
    """Grey images (frames, height, width) uint8, seen as RGB without a copy."""

    grey: np.ndarray

    def __len__(self) -> int:
        return len(self.grey)

    def __getitem__(self, t: int) -> Image:
        return np.broadcast_to(self.grey[t, :, :, None], (*self.grey.shape[1:], 3))


@dataclass(frozen=True)
class Sequence:
    """One video and what is known of its target.

    name: unique in its benchmark. frames: see `Frames`. groundtruth: (frames, 4).
    """

    name: str
    frames: Frames
    groundtruth: np.ndarray

    def __post_init__(self) -> None:
        if len(self.frames) == 0:
            raise ValueError(f"sequence {self.name}: expected at least one frame, got none")
        if self.groundtruth.shape != (len(self.frames), 4):
            raise ValueError(
                f"sequence {self.name}: expected groundtruth of shape ({len(self.frames)}, 4), one box "
                f"a frame, got {self.groundtruth.shape}"
            )

    def __len__(self) -> int:
        return len(self.frames)

    def images(self, numbers: SequenceOf[int]) -> list[Image]:
        """The images of these frames."""
        return [self.frames[t] for t in numbers]


def check_box(box: Region, image: Image, where: str) -> None:
    """Raise ValueError unless `box` is finite, of positive size and touches `image`."""
    height, width = image.shape[:2]
    x, y, w, h = (float(value) for value in box)
    if not np.all(np.isfinite(box)) or w <= 0 or h <= 0:
        raise ValueError(
            f"{where}: expected a finite box of positive size, got x={x:g} y={y:g} width={w:g} height={h:g}"
        )
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise ValueError(
            f"{where}: expected a box that touches the {width} x {height} image, "
            f"got x={x:g} y={y:g} width={w:g} height={h:g}"
        )
