"""A bright square that moves one pixel a frame over a dark image."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trackers.sequence import GreyFrames, Sequence


@dataclass(frozen=True)
class Config:
    sequences: int = 3
    frames: int = 8


@dataclass(frozen=True)
class Squares:
    name: str
    config: Config
    brightness: int

    def __len__(self) -> int:
        return self.config.sequences

    def __iter__(self) -> Iterator[Sequence]:
        for i in range(self.config.sequences):
            grey = np.zeros((self.config.frames, 32, 32), np.uint8)
            boxes = np.array([[4.0 + t, 4.0 + i, 8.0, 8.0] for t in range(self.config.frames)])
            for t in range(self.config.frames):
                grey[t, 4 + i : 12 + i, 4 + t : 12 + t] = self.brightness
            yield Sequence(f"{self.name}/{i}", GreyFrames(grey), boxes)


def open(config: Config, root: Path, name: str) -> Squares:
    return Squares(name, config, int((root / "brightness.txt").read_text()))
