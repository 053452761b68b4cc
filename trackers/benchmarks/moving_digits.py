"""MNIST-{Single,Multi}-{Same,Diff} of Gan et al. 2015, section 4: cluttered moving digits, made on the fly.

Nothing is stored but the digits, a folder in MNIST's idx layout. Test sequences are fixed by a seed.
A longer sequence begins with the shorter one of the same seed: the motion is Markov, so that the first
20 frames of 160 are distributed as a sequence of 20, and the paper's lengths (20, 40, 80, 160) are
compared on the same sequences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trackers.benchmarks import mnist
from trackers.sequence import GreyFrames, Sequence
from trackers.synthetic.digits import Renderer, Settings

TOGETHER = 8  # sequences are made so many at a time, however many are asked for
MINIBATCH, SEQUENCES = 1, 2  # two streams of random numbers from one seed


@dataclass(frozen=True)
class Config:
    """split: of the digits. objects: digits that move; the first is the target. overlaid: digits that make one.

    length: frames in a sequence. sequences: how many there are to iterate over. seed: of these.
    MNIST-Single-Same is objects=1, overlaid=1; Multi is objects=2; Diff, MNIST-2 digits, is overlaid=2.
    """

    split: mnist.Split = "test"
    objects: int = 1
    overlaid: int = 1
    length: int = 20
    sequences: int = 500
    seed: int = 0
    generator: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        for name, least in (("objects", 1), ("overlaid", 1), ("length", 1), ("sequences", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected at least {least}, got {getattr(self, name)}")


def open(config: Config, root: Path, name: str) -> MovingDigits:
    """The data set of that name, of the digits in `root`.

    Raises what `mnist.read` raises, and ValueError where the digits do not fit the generator's settings.
    """
    images, _ = mnist.read(root, config.split)
    try:
        return MovingDigits(config, images, name)
    except ValueError as error:
        raise ValueError(f"{root}: {error}") from error


class MovingDigits:
    """Test sequences to iterate over, and minibatches to train on, of the digits uint8 (count, side, side)."""

    def __init__(self, config: Config, images: np.ndarray, name: str) -> None:
        self.config = config
        self.name = name
        self.images = images
        self.renderers = {"cpu": self._renderer("cpu")}

    def __len__(self) -> int:
        return self.config.sequences

    def __iter__(self) -> Iterator[Sequence]:
        """Sequences of grey frames, uint8, and float64 boxes; made when asked for, always the same."""
        for first in range(0, len(self), TOGETHER):
            rng = np.random.default_rng((self.config.seed, SEQUENCES, first // TOGETHER))
            frames, boxes = self.renderers["cpu"].render(TOGETHER, self.config.length, rng)
            for i in range(min(TOGETHER, len(self) - first)):
                groundtruth = boxes[i].numpy().astype(np.float64)
                yield Sequence(f"{self.name}/{first + i:04d}", GreyFrames(frames[i].numpy()), groundtruth)

    def clips(self, count: int, seed: int, index: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Minibatch number `index` of the training with that seed, and of nothing else.

        Frames, uint8 (count, length, size, size), and boxes, float32 (count, length, 4), on the device.
        """
        if str(device) not in self.renderers:  # the digits go to a device once
            self.renderers[str(device)] = self._renderer(str(device))
        rng = np.random.default_rng((seed, MINIBATCH, index))
        return self.renderers[str(device)].render(count, self.config.length, rng)

    def _renderer(self, device: str) -> Renderer:
        config = self.config
        return Renderer(self.images, config.generator, config.objects, config.overlaid, device)
