"""The frame-by-frame baseline: a fully convolutional network (Long, Shelhamer, Darrell 2014; Song et al. 2017, 3.4).

"The feature extraction part of our local model use the same model up to pool4": what follows is VGG-16's last block and
its fully connected layers as convolutions, scores of both pool4 and these, and bilinear upsampling: FCN-16s, with one
class. The paper's was trained on COCO; here it learns from the ROIs of the training videos, frame by frame, and then
from the first frame of each video that it tracks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers.backbones.vgg16 import CONVOLUTIONS
from trackers.training import Weights


@dataclass(frozen=True)
class Refining:
    """On the first frame: "small learning rate and few iterations", the paper says; gradient descent, read here."""

    iterations: int = 20
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        if self.iterations < 0 or not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"refining: expected iterations >= 0 and learning_rate > 0, got {self}")


class Model(nn.Module):
    """channels: of pool4 and of pool5. size: pixels of a ROI. units: of the fully connected layers."""

    def __init__(self, channels: tuple[int, int], size: int, units: int) -> None:
        super().__init__()
        pool4, pool5 = channels
        self.size = size
        inputs = (pool4, *[pool5] * (CONVOLUTIONS[4] - 1))
        self.block5 = nn.ModuleList(nn.Conv2d(number, pool5, 3, padding=1) for number in inputs)
        self.fc6 = nn.Conv2d(pool5, units, 7, padding=3)
        self.fc7 = nn.Conv2d(units, units, 1)
        for layer in (*self.block5, self.fc6, self.fc7):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.score7 = nn.Conv2d(units, 1, 1)
        self.score4 = nn.Conv2d(pool4, 1, 1)
        for layer in (self.score7, self.score4):
            nn.init.zeros_(layer.weight)  # as the authors of FCN begin
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def begin_from(self, backbone: Weights) -> None:
        """Take the last block's weights from VGG-16's."""
        with torch.no_grad():
            for number, layer in enumerate(self.block5, 1):
                for part in ("weight", "bias"):
                    getattr(layer, part).copy_(backbone[f"conv5_{number}.{part}"])

    def forward(self, features: Tensor) -> Tensor:
        """pool4 of ROIs (N, C4, side, side) -> logits (N, size, size) of their pixels."""
        x = features
        for layer in self.block5:
            x = F.relu(layer(x))
        x = F.max_pool2d(x, 2)  # (N, C5, side / 2, side / 2)
        x = F.relu(self.fc7(F.relu(self.fc6(x))))  # (N, units, side / 2, side / 2)
        coarse = F.interpolate(self.score7(x), features.shape[-2:], mode="bilinear")  # (N, 1, side, side)
        scores = coarse + self.score4(features)
        return F.interpolate(scores, (self.size, self.size), mode="bilinear")[:, 0]
