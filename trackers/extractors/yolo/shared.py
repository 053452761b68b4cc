"""YOLO whose fully connected layers do the same in every cell, while it learns.

A fully connected layer learns each of the S x S cells by itself, from the objects that lie there: too few of them,
where images are few. A convolution learns from all objects for all cells. What it has learnt is written out as the
weights of a YOLO that answers the same. Ours, for small data.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers.backbones.yolo import LEAK, YOLO, Config

AT_ONCE = 256  # inputs of a layer whose weights are written out in one pass


def check(config: Config) -> None:
    """ValueError where hidden units do not come in equal numbers to all cells."""
    cells = config.grid**2
    for hidden in config.hidden:
        if hidden % cells:
            raise ValueError(f"shared: expected hidden units in multiples of {cells}, the cells, got {hidden}")


class Shared(YOLO):
    """A YOLO of which a cell's hidden units see 3 x 3 cells in the first connected layer, that cell alone afterwards.

    Its hidden units must come in equal numbers to all cells, see `check`.
    """

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        cells = config.grid**2
        units = [config.convolutions[-1].filters, *(n // cells for n in [*config.hidden, config.outputs])]
        self.connected = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 1 if number else 3, padding=0 if number else 1)
            for number, (inputs, outputs) in enumerate(pairwise(units))
        )
        for name, parameter in self.connected.named_parameters():
            if name.endswith("weight"):
                nn.init.kaiming_normal_(parameter, a=LEAK, nonlinearity="leaky_relu")
            else:
                nn.init.zeros_(parameter)
        nn.init.normal_(self.get_parameter(f"connected.{len(self.connected) - 1}.weight"), std=0.01)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor, kept: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self.convolved(images)  # (N, C, S, S)
        for layer in self.connected[:-1]:
            x = F.leaky_relu(layer(x), LEAK)  # (N, D / S^2, S, S)
        return x.flatten(1), self._in_order(self.connected[-1](x if kept is None else x * kept.view_as(x)))

    def _in_order(self, answers: Tensor) -> Tensor:
        """What all cells say (N, C + B * 5, S, S) -> output (N, S * S * (C + B * 5)) in the order of `split`."""
        B, C = self.config.boxes, len(self.config.classes)
        parts = answers.permute(0, 2, 3, 1).split([C, B, B * 4], 3)
        return torch.cat([part.flatten(1) for part in parts], 1)

    @torch.no_grad()
    def written_out(self) -> dict[str, Tensor]:
        """The state of the `YOLO` that answers the same."""
        state = {name: weight for name, weight in self.state_dict().items() if not name.startswith("connected")}
        for number, layer in enumerate(self.connected):
            assert isinstance(layer, nn.Conv2d)
            inputs = layer.in_channels * self.config.grid**2
            bias = self._said(layer, torch.zeros(1, inputs))  # (1, outputs)
            weight = torch.empty(bias.shape[1], inputs)
            for some in torch.arange(inputs).split(AT_ONCE):
                alone = torch.zeros(len(some), inputs)
                alone[torch.arange(len(some)), some] = 1  # each input by itself
                weight[:, some] = (self._said(layer, alone) - bias).T
            state |= {f"connected.{number}.weight": weight, f"connected.{number}.bias": bias[0].clone()}
        return state

    def _said(self, layer: nn.Conv2d, inputs: Tensor) -> Tensor:
        """What a layer says to inputs (N, C * S * S): (N, outputs), in the order of `YOLO`'s."""
        S = self.config.grid
        said = layer(inputs.view(-1, layer.in_channels, S, S))
        return self._in_order(said) if layer is self.connected[-1] else said.flatten(1)
