"""The local segmentation network (Song et al. 2017, Section 3, Figure 2, Table 1).

pool4 of the first ROI, and of the same with its target alone -> M-CNN -> first states
pool4 of each ROI -> F-CNN -> two ConvLSTM layers -> four deconvolutions -> how likely each pixel is the target's
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from trackers.families.pixelwise.convlstm import Stack, State

REDUCED = 16  # pixels of a ROI to one of pool4, which four deconvolutions undo
LAYERS = 2


@dataclass(frozen=True)
class Widths:
    """Filters, as Table 1 has them. M-CNN has four times the ConvLSTM's: two layers' memory cells and hidden states."""

    features: int = 512  # F-CNN
    memory: int = 256  # ConvLSTM
    deconvolutions: tuple[int, ...] = (128, 64, 32)  # and 1

    def __post_init__(self) -> None:
        if len(self.deconvolutions) != 3 or min(self.features, self.memory, *self.deconvolutions) < 1:
            raise ValueError(f"widths: expected numbers of filters from 1 on, 3 of deconvolutions, got {self}")


class Model(nn.Module):
    """channels: of pool4. size: pixels of a ROI. remembered: frames of which gradients are kept at once; None: all.

    With `remembered` a clip is gone through in parts of so many frames, and what is between them is computed again
    for gradients, which are the same: a long clip takes the memory of a part.
    """

    def __init__(self, channels: int, size: int, widths: Widths, remembered: int | None = None) -> None:
        super().__init__()
        side, memory = size // REDUCED, widths.memory
        self.remembered = remembered
        self.f_cnn = nn.Sequential(
            nn.Conv2d(channels, widths.features, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(widths.features, widths.features, 3, padding=1),
            nn.Tanh(),
        )
        self.m_cnn = nn.Sequential(
            nn.Conv2d(2 * channels, 2 * LAYERS * memory, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * LAYERS * memory, 2 * LAYERS * memory, 3, padding=1),
            nn.Tanh(),
        )
        self.memory = Stack(widths.features, memory, side, LAYERS)
        filters = pairwise((memory, *widths.deconvolutions, 1))
        self.deconvolutions = nn.ModuleList(
            nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1) for inputs, outputs in filters
        )
        self._begin()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # on a CPU half as long again without

    def _begin(self) -> None:
        """Initial weights: torch's own shrink what passes these many layers, and learning begins with a long wait."""
        for layer in self.modules():
            if isinstance(layer, nn.ConvTranspose2d):
                taps = 25 / 4 * layer.in_channels  # that meet in each pixel
                nn.init.normal_(layer.weight, std=(2 / taps) ** 0.5)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        for network in (self.f_cnn, self.m_cnn):
            before_relu, before_tanh = (layer for layer in network if isinstance(layer, nn.Conv2d))
            nn.init.kaiming_normal_(before_relu.weight, nonlinearity="relu")
            nn.init.xavier_normal_(before_tanh.weight)
            for layer in (before_relu, before_tanh):
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def start(self, first: Tensor, masked: Tensor) -> list[State]:
        """Section 3.2: pool4 of the first ROIs, and of their targets alone (N, channels, side, side) -> states."""
        states = self.m_cnn(torch.cat([first, masked], 1)).chunk(2 * LAYERS, 1)  # (N, memory, side, side) each
        return [State(hidden, cell) for hidden, cell in zip(states[::2], states[1::2], strict=True)]

    def forward(self, features: Tensor, states: list[State]) -> tuple[Tensor, list[State]]:
        """pool4 of ROIs (T, N, channels, side, side) -> logits (T, N, size, size) of their pixels, and last states."""
        if not (self.remembered and torch.is_grad_enabled()):
            return self._forward(features, states)
        logits = []
        for part in features.split(self.remembered):
            # Nothing is drawn at random; and in a CUDA graph a generator's state cannot be read.
            some, states = checkpoint(self._forward, part, states, use_reentrant=False, preserve_rng_state=False)
            logits.append(some)
        return torch.cat(logits), states

    def _forward(self, features: Tensor, states: list[State]) -> tuple[Tensor, list[State]]:
        shape = features.shape[:2]
        normalized = self.f_cnn(features.flatten(0, 1)).unflatten(0, shape)  # (T, N, features, side, side)
        hidden, states = self.memory(normalized, states)  # (T, N, memory, side, side)
        x = hidden.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        for i, deconvolution in enumerate(self.deconvolutions):
            x = deconvolution(x if i == 0 else F.leaky_relu(x, 0.2))  # sides x 2, 4, 8, 16
        return x[:, 0].unflatten(0, shape), states
