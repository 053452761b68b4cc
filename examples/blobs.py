"""An extractor of one's own: what is brighter than its surroundings, and colours in a coarse grid.

How bright that is it learns from boxes. It takes the detector's place under any tracker that sees through an
extractor; by its names in params.yaml it is trained, and what it sees of a data set is kept:

    extractors:
      blobs: {kind: examples.blobs, train: {pictures: MNIST}, least: 20}
    features: [blobs-MNIST]
    studies:
      blobs:
        trackers:
          Blobs: {family: rolo, method: yolo, extractor: blobs}
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from trackers.extractors import Extractor
from trackers.features import Seen
from trackers.sequence import Image
from trackers.training import Inputs, Reporter, Step, Weights


@dataclass(frozen=True)
class Config:
    """The settings. least: pixels of the smallest blob. grid: cells of the colours, across and down."""

    least: int = 20
    grid: int = 4

    def __post_init__(self) -> None:
        for name in ("least", "grid"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")


def steps(config: Config) -> list[Step]:
    """One step, of data in the role "pictures"; it depends on no setting, and draws no random numbers."""
    return [Step("measure", measure, reads=("pictures",), settings=(), seeded=False)]


def measure(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """The brightness halfway between what is in the boxes of first frames and what is around them."""
    inside, outside = [], []
    for sequence in inputs.data["pictures"]:
        grey = cv2.cvtColor(sequence.frames[0], cv2.COLOR_RGB2GRAY)
        x, y, w, h = sequence.groundtruth[0].round().astype(int)
        mask = np.zeros(grey.shape, bool)
        mask[max(0, y) : y + h, max(0, x) : x + w] = True
        inside.append(grey[mask].mean())
        outside.append(grey[~mask].mean())
    return {"brightness": torch.tensor((np.mean(inside) + np.mean(outside)) / 2)}


def extractor(config: Config, weights: Weights, device: str) -> Extractor:
    """OpenCV looks at one image at a time."""
    brightness = float(weights["brightness"])
    return lambda images: look(images, brightness, config)


def look(images: Sequence[Image], brightness: float, config: Config) -> list[Seen]:
    """Connected blobs, the largest first: their share of the image is their score."""
    every = []
    for image in images:
        bright = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) > brightness).astype(np.uint8)
        stats = cv2.connectedComponentsWithStats(bright)[2][1:]  # (n, 5): x, y, width, height, area; no background
        stats = stats[stats[:, 4] >= config.least]
        stats = stats[np.argsort(-stats[:, 4], kind="stable")]
        colours = cv2.resize(image, (config.grid, config.grid), interpolation=cv2.INTER_AREA) / 255
        every.append(
            Seen(
                colours.ravel().astype(np.float16),
                stats[:, :4].astype(np.float32),
                (stats[:, 4] / bright.size).astype(np.float32),
                np.zeros(len(stats), np.int16),
            )
        )
    return every
