"""A sequence: frames, their groundtruth, and what else a benchmark says of them.

Images are uint8 RGB (height, width, 3). A region is known by its shape: a box, float (4,) of x, y,
width, height; a polygon, float (8,) or longer, of its corners x1, y1, x2, y2, ...; a mask, bool
(height, width). Pixel coordinates are 0-based and continuous.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

Image = np.ndarray  # uint8 RGB (height, width, 3)
Region = np.ndarray  # a box: float (4,); a polygon: float (2 x corners,); a mask: bool (height, width)


class Frames(Protocol):
    """Images by number, read when asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, t: int) -> Image: ...


class Regions(Protocol):
    """Regions by frame, read when asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, t: int) -> Region: ...


@dataclass(frozen=True)
class GreyFrames:
    """Grey images (frames, height, width) uint8, seen as RGB without a copy."""

    grey: np.ndarray

    def __len__(self) -> int:
        return len(self.grey)

    def __getitem__(self, t: int) -> Image:
        return np.broadcast_to(self.grey[t, :, :, None], (*self.grey.shape[1:], 3))


@dataclass(frozen=True)
class Unseen:
    """Frames of which only the number is known: annotations without their images, for scoring."""

    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, t: int) -> Image:
        raise FileNotFoundError(f"frame {t}: expected an image, but annotations alone were read here")


@dataclass(frozen=True)
class Sequence:
    """One video and what is known of its target.

    name: unique in its benchmark. frames: see `Frames`. groundtruth: boxes (frames, 4); a row of NaN
    where the target is absent, and where nobody said where it is.
    regions: as annotated, one a frame, where that is more than boxes: the boxes are derived from them.
    labelled: bool (frames,), the annotated frames; None: all. omitted: bool (frames,), the frames at
    which no run should start (OTB's initOmit); None: none.
    tags: attributes of single frames, bool (frames,) each. attributes: those of the whole sequence.
    label: class of the target. size: width and height of the images, where known without reading one.
    origin: coordinate of the first pixel in the files that were read; toolkits that judge a box by the
    sign of its raw numbers need it.
    """

    name: str
    frames: Frames
    groundtruth: np.ndarray
    regions: Regions | None = None
    labelled: np.ndarray | None = None
    omitted: np.ndarray | None = None
    tags: Mapping[str, np.ndarray] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    label: str | None = None
    size: tuple[int, int] | None = None
    origin: float = 0.0

    def __post_init__(self) -> None:
        if len(self.frames) == 0:
            raise ValueError(f"sequence {self.name}: expected at least one frame, got none")
        if self.groundtruth.shape != (len(self.frames), 4):
            raise ValueError(
                f"sequence {self.name}: expected groundtruth of shape ({len(self.frames)}, 4), one box "
                f"a frame, got {self.groundtruth.shape}"
            )
        rows = {"regions": self.regions, "labelled": self.labelled, "omitted": self.omitted, **self.tags}
        for name, per_frame in rows.items():
            if per_frame is not None and len(per_frame) != len(self.frames):
                raise ValueError(
                    f"sequence {self.name}: expected {len(self.frames)} rows of {name}, one a frame, "
                    f"got {len(per_frame)}"
                )

    def __len__(self) -> int:
        return len(self.frames)

    def images(self, numbers: SequenceOf[int]) -> list[Image]:
        """The images of these frames."""
        return [self.frames[t] for t in numbers]

    def region(self, t: int) -> Region:
        """The target in frame t as annotated: a polygon or mask where there are such, else the box."""
        return self.groundtruth[t] if self.regions is None else self.regions[t]


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
