"""The global attention network (Song et al. 2017, Section 4, Figure 6, Table 1): past maps of the target -> the ROI.

    pairs of convolutions, with pooling after each -> two ConvLSTM layers -> full 1 -> with the frame's shape, full 2

The three outputs are the logarithm of the scale, and the shifts; at 0 they leave the anchor as it is. The paper says
neither; nor which activation follows convolutions and full 1: relu here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers.families.pixelwise.convlstm import Stack, State


@dataclass(frozen=True)
class Widths:
    """Filters and units, as Table 1 has them."""

    convolutions: tuple[int, ...] = (8, 16, 32, 64)  # pairs of them
    memory: int = 64  # ConvLSTM
    units: int = 1024  # full 1

    def __post_init__(self) -> None:
        if not self.convolutions or min(*self.convolutions, self.memory, self.units) < 1:
            raise ValueError(f"widths: expected numbers of filters and units from 1 on, got {self}")


class Model(nn.Module):
    """size: pixels of a map, a multiple of 2 for each pair of convolutions."""

    def __init__(self, size: int, widths: Widths) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((1, *widths.convolutions)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            layers += [nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers)
        side = size // 2 ** len(widths.convolutions)
        self.memory = Stack(widths.convolutions[-1], widths.memory, side)
        self.full1 = nn.Linear(widths.memory * side * side, widths.units)
        self.full2 = nn.Linear(widths.units + 1, 3)
        for layer in (*self.convolutions, self.full1):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.full2.weight)  # training begins with the anchor in its place
        nn.init.zeros_(self.full2.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # on a CPU twice as fast

    def zeros(self, count: int) -> list[State]:
        """States of `count` videos of which nothing was seen."""
        return self.memory.zeros(count)

    def forward(self, maps: Tensor, aspect: Tensor, states: list[State]) -> tuple[Tensor, list[State]]:
        """Maps Z (T, N, size, size), float, and aspect ratios (N,) -> theta (T, N, 3), each of the frame after its map.

        And the last states. theta: s > 0, x, y; see `anchor`.
        """
        shape = maps.shape[:2]
        images = maps.flatten(0, 1)[:, None].contiguous(memory_format=torch.channels_last)
        features = self.convolutions(images).unflatten(0, shape)  # (T, N, 64, side, side)
        hidden, states = self.memory(features, states)  # (T, N, 64, side, side)
        full = F.relu(self.full1(hidden.flatten(2)))  # (T, N, 1024)
        shaped = torch.cat([full, aspect.expand(shape)[..., None]], -1)  # (T, N, 1025)
        with torch.autocast(maps.device.type, enabled=False):  # bfloat16 has 3 digits, and a frame more pixels
            log_scale, shift = self.full2(shaped.float()).split([1, 2], -1)
        return torch.cat([log_scale.clamp(-5, 5).exp(), shift], -1), states
