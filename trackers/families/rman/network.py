"""Figure 2 behind the convolutions: memory generator, recurrent memory activation layer, classifier; of many lanes.

Each lane has heads of its own, which share one batch: parameters and inputs have a leading axis of lanes. What the
first layer makes of frozen features x, its projections W x, is computed apart (see `descent`): here they are given.

    L lanes, F sequences of K remembered patches, N samples, G = 4 U gates of an LSTM of U units (or U)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Heads = Mapping[str, Tensor]  # parameters, each (L, ...); without lanes, those of one
PROJECTION = "input.weight"  # (L, G, D): the first layer's


class Memory(NamedTuple):
    """What is remembered of F sequences: states h_{T-K} .. h_{T-1} (L, F, K, U), and c_{T-1} (L, F, U) of the LSTM."""

    states: Tensor
    cell: Tensor | None


class States(NamedTuple):
    """Of each sample: h_T (L, N, U), the weights theta (L, N, K), h_T* (L, N, U or 2 U), and a_T (L, N, U).

    theta and a_T are None where nothing is remembered.
    """

    current: Tensor
    weights: Tensor | None
    temporal: Tensor
    reference: Tensor | None


def initial(
    features: int, units: int, hidden: int, std: float, recurrent: bool, remembers: bool, generator: torch.Generator
) -> dict[str, Tensor]:
    """A lane's heads before they have learnt anything; features: of a sample, D.

    All weights are normal: those of the classifier with a deviation of `std`, and biases as in MDNet; those of the
    memory generator with the deviation that keeps the size of what passes (Glorot and Bengio 2010). An LSTM begins by
    remembering: its forget gate's bias is 1.
    """

    def normal(rows: int, columns: int, std: float) -> Tensor:
        return torch.randn(rows, columns, generator=generator) * std

    gates = 4 * units if recurrent else units
    heads = {PROJECTION: normal(gates, features, math.sqrt(2 / (features + units))), "input.bias": torch.zeros(gates)}
    if recurrent:
        heads["recurrent.weight"] = normal(gates, units, math.sqrt(1 / units))
        heads["input.bias"][units : 2 * units] = 1.0
    width = 2 * units if remembers else units
    return heads | {
        "hidden.weight": normal(hidden, width, std),
        "hidden.bias": torch.full((hidden,), 0.1),
        "output.weight": normal(2, hidden, std),
        "output.bias": torch.zeros(2),
    }


def memorize(heads: Heads, projected: Tensor) -> Memory:
    """The memory generator on remembered patches, from the oldest to the newest: projections (L, F, K, G)."""
    if "recurrent.weight" not in heads:
        return Memory(F.relu(projected + heads["input.bias"][:, None, None]), None)
    first, *others = projected.unbind(2)  # (L, F, G)
    hidden, cell = _lstm(first + heads["input.bias"][:, None], projected.new_zeros(()))
    states = [hidden]
    for step in others:
        hidden, cell = _lstm(step + _passed(heads, hidden), cell)
        states.append(hidden)
    return Memory(torch.stack(states, 2), cell)


def look(heads: Heads, projected: Tensor, memory: Memory | None, of: Tensor, activation: str) -> States:
    """Samples (L, N, G), each after the sequence `of` (L, N) in whose memory it is seen; Eqs. 1, 2 and 4.

    memory: None only where neither an LSTM nor the activation asks for it. activation: "cosine" is the recurrent memory
    activation layer, "average" an average pooling in its place, "none" leaves the memory states aside.
    """
    if memory is None or memory.cell is None:
        current = F.relu(projected + heads["input.bias"][:, None])
    else:
        passed = _passed(heads, memory.states[:, :, -1])  # made once a sequence, not once a sample: (L, F, G)
        current, _ = _lstm(projected + pick(passed, of), pick(memory.cell, of))
    if memory is None or activation == "none":
        return States(current, None, current, None)
    # Of all states, as they are few, the weights of those that each sample follows: others count 0.
    states, count = memory.states.flatten(1, 2), memory.states.shape[2]  # (L, F K, U), K
    own = of[..., None] * count + torch.arange(count, device=of.device)  # (L, N, K)
    alike = cosine(current, states)  # (L, N, F K)
    weights = alike.gather(2, own)  # theta (L, N, K): Eq. 1
    activating = weights if activation == "cosine" else torch.full_like(weights, 1 / count)
    none = torch.zeros_like(alike)
    activated = none.scatter(2, own, activating) @ states  # h~_T (L, N, U): Eq. 2
    reference = none.scatter(2, own, weights.softmax(2)) @ states  # a_T (L, N, U): Eq. 4
    return States(current, weights, torch.cat([activated, current], 2), reference)


def classify(heads: Heads, temporal: Tensor, kept: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Scores (L, N, 2) of background and target by h_T* (L, N, 2 U). kept: what dropout lets through to each layer."""
    before, between = kept or (None, None)
    x = temporal if before is None else temporal * before
    x = F.relu(_linear(heads, "hidden", x))  # (L, N, 512)
    return _linear(heads, "output", x if between is None else x * between)


def cosine(current: Tensor, states: Tensor) -> Tensor:
    """Eq. 1: of each of (..., N, U) with each of (..., M, U), (..., N, M) in [-1, 1]; 0 where either is 0."""
    norms = current.norm(dim=-1)[..., None] * states.norm(dim=-1)[..., None, :]
    return current @ states.mT / norms.clamp(min=1e-8)


def pick(values: Tensor, numbers: Tensor) -> Tensor:
    """Of each lane those of these numbers: (L, F, X), (L, ...) -> (L, ..., X).

    By an embedding, whose gradients are added up in one order; those of `values[lanes, numbers]` are by several threads
    in any.
    """
    first = len(values[0]) * torch.arange(len(values), device=values.device)  # (L,)
    return F.embedding(numbers + first.view(-1, *[1] * (numbers.ndim - 1)), values.flatten(0, 1))


def _passed(heads: Heads, hidden: Tensor) -> Tensor:
    """What the last states (L, N, U) add to an LSTM's gates: (L, N, G)."""
    return torch.baddbmm(heads["input.bias"][:, None], hidden, heads["recurrent.weight"].mT)


def _lstm(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """One step: (L, N, G), (L, N, U) -> h, c (L, N, U)."""
    i, f, g, o = gates.chunk(4, 2)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    return o.sigmoid() * cell.tanh(), cell


def _linear(heads: Heads, name: str, x: Tensor) -> Tensor:
    return torch.baddbmm(heads[f"{name}.bias"][:, None], x, heads[f"{name}.weight"].mT)
