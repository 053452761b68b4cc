"""Convolutional LSTMs with peepholes (Song et al. 2017, Eq. 1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class State(NamedTuple):
    """Hidden states H and memory cells C, (N, channels, side, side) each."""

    hidden: Tensor
    cell: Tensor


class ConvLSTM(nn.Module):
    """One layer on maps of side x side.

    The weights W_c of the memory are one for each channel and place: a Hadamard product, which keeps channels apart
    (Section 3.1). They begin at 0, and forget gates with a bias of 1.
    """

    def __init__(self, inputs: int, channels: int, side: int, kernel: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.side = side
        # Filters of each are those of the gates, one behind the other: input, forget, cell, output.
        self.of_input = nn.Conv2d(inputs, 4 * channels, kernel, padding=kernel // 2)
        self.of_hidden = nn.Conv2d(channels, 4 * channels, kernel, padding=kernel // 2, bias=False)
        self.of_cell = nn.Parameter(torch.zeros(3, channels, side, side))  # W_ci, W_cf, W_co
        assert self.of_input.bias is not None
        with torch.no_grad():
            self.of_input.bias.zero_()[channels : 2 * channels] = 1
            for convolution in (self.of_input, self.of_hidden):
                nn.init.xavier_normal_(convolution.weight)

    def zeros(self, count: int) -> State:
        """The state of `count` maps of which nothing is known."""
        empty = self.of_cell.new_zeros(count, self.channels, self.side, self.side)
        return State(empty, empty)

    def step(self, projected: Tensor, state: State) -> State:
        """One step; projected: `of_input` of the inputs (N, 4 channels, side, side)."""
        gates = projected + self.of_hidden(state.hidden)  # (N, 4 C, S, S)
        i, f, g, o = gates.chunk(4, 1)  # (N, C, S, S) each
        to_input, to_forget, to_output = self.of_cell
        i = torch.sigmoid(torch.addcmul(i, to_input, state.cell))
        f = torch.sigmoid(torch.addcmul(f, to_forget, state.cell))
        cell = f * state.cell + i * torch.tanh(g)
        o = torch.sigmoid(torch.addcmul(o, to_output, cell))
        return State(o * torch.tanh(cell), cell)

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Inputs (T, N, inputs, side, side) -> hidden states (T, N, channels, side, side), and the last state.

        What does not wait for the step before, the inputs' part of all gates, is one convolution for all steps.
        """
        projected = self.of_input(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])  # (T, N, 4 C, S, S)
        hidden = []
        for now in projected:
            state = self.step(now, state)
            hidden.append(state.hidden)
        return torch.stack(hidden), state


class Stack(nn.Module):
    """ConvLSTM layers, each of which sees the hidden states of the one before."""

    def __init__(self, inputs: int, channels: int, side: int, layers: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ConvLSTM(inputs if i == 0 else channels, channels, side) for i in range(layers))

    def zeros(self, count: int) -> list[State]:
        """States of `count` maps of which nothing is known."""
        return [layer.zeros(count) for layer in self.layers]  # type: ignore[operator]  # all are ConvLSTMs

    def forward(self, inputs: Tensor, states: list[State]) -> tuple[Tensor, list[State]]:
        """Inputs (T, N, inputs, side, side) -> the last layer's (T, N, channels, side, side), and all last states."""
        last = []
        for layer, state in zip(self.layers, states, strict=True):
            inputs, after = layer(inputs, state)
            last.append(after)
        return inputs, last
