"""The recurrent network of Ning et al. 2016, Sections 2.1, 3.2 and 3.3: features and detections -> a location.

There is no output layer: as in the authors' code, an LSTM's state is as wide as its input, and those numbers of its
last state are the prediction which, in the input, are the detection.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.amp import custom_bwd, custom_fwd
from torch.autograd.function import once_differentiable

from trackers.families.rolo import heatmaps

Regress = Literal["location", "heatmap", "both"]
B = 6  # numbers of B_t (Eq. 3): (0, x, y, w, h, 0)
LOCATION = slice(1, 5)  # x, y, w, h among them


class Answer(NamedTuple):
    """location: (N, 4), centre, width and height in shares of the image; None where only heatmaps are regressed.

    heatmap: (N, side^2); None where only locations are. visual: (N, V), what else is in the last state.
    """

    location: Tensor | None
    heatmap: Tensor | None
    visual: Tensor


class Model(nn.Module):
    """One LSTM; or, where both are regressed, two: the first on heatmaps, the second on the first's state and B_t.

    features: D, of the visual vector. side: of heatmaps. width: of an input, see `inputs`.

    Forget gates begin with a bias of 1, as in TensorFlow; other initial weights are torch's.
    """

    by_heatmap: LSTM | None
    by_location: LSTM | None

    def __init__(self, features: int, regress: Regress = "location", side: int = 32) -> None:
        super().__init__()
        self.features = features
        self.side = side
        self.by_heatmap = LSTM(features + side**2) if regress != "location" else None
        self.by_location = LSTM(features + B) if regress != "heatmap" else None
        self.width = 4 * (features + (side**2 if self.by_heatmap else B)) + (B if regress == "both" else 0)

    def inputs(self, visual: Tensor, detections: Tensor) -> Tensor:
        """Visual vectors (..., D) and B_t (..., 6) of frames -> (..., width): what the network is to see of them.

        That is what they add to the first LSTM's gates, computed once for each frame, whatever windows it is in;
        and B_t once more, where there is a second.
        """
        if self.by_heatmap is None:
            assert self.by_location is not None
            return self.by_location.projected(torch.cat([visual, detections], -1))
        drawn = heatmaps.drawn(detections[..., LOCATION], self.side)
        gates = self.by_heatmap.projected(torch.cat([visual, drawn], -1))
        return torch.cat([gates, detections], -1) if self.by_location else gates

    def forward(self, inputs: Tensor) -> Answer:
        """N windows of `steps` frames (N, steps, width) -> where the targets are; each window begins from zeros."""
        D, location, heatmap, rest = self.features, None, None, []
        inputs = inputs.transpose(0, 1)  # (steps, N, width)
        if self.by_heatmap:
            states = self.by_heatmap(inputs[..., : 4 * (D + self.side**2)])  # (steps, N, D + side^2)
            heatmap = states[-1, :, D:]
            rest.append(states[-1, :, :D])
            if self.by_location:
                inputs = self.by_location.projected(torch.cat([states[..., :D], inputs[..., -B:]], -1))
        if self.by_location:
            states = self.by_location(inputs)  # (steps, N, D + 6)
            location = states[-1, :, D:][:, LOCATION]
            rest.append(states[-1, :, :D])
        return Answer(location, heatmap, torch.cat(rest, -1))


class LSTM(nn.Module):
    """Eq. 2, its state as wide as its input; what torch's own computes, with the same parameters.

    At the paper's width it has 135 million weights, and takes as long as these are read and written. So what does not
    wait for the step before is one product for all steps: the inputs' part of the gates, and all gradients of
    weights. Only the recurrent weights are read step by step; torch also adds up gradients of their size so.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        bound = width**-0.5
        # Rows of each are those of the gates, one behind the other: input, forget, cell, output.
        self.weight_ih_l0 = nn.Parameter(torch.empty(4 * width, width).uniform_(-bound, bound))
        self.weight_hh_l0 = nn.Parameter(torch.empty(4 * width, width).uniform_(-bound, bound))
        self.bias_ih_l0 = nn.Parameter(torch.empty(4 * width).uniform_(-bound, bound))
        self.bias_hh_l0 = nn.Parameter(torch.zeros(4 * width))
        nn.init.ones_(self.bias_ih_l0[width : 2 * width])

    def projected(self, inputs: Tensor) -> Tensor:
        """Inputs (..., width) -> their part of the gates (..., 4 width), biases included."""
        return F.linear(inputs, self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0)

    def forward(self, projected: Tensor) -> Tensor:
        """Projected inputs of T steps (T, N, 4 width) -> states (T, N, width), from zeros."""
        return cast(Tensor, Recurrence.apply(projected, self.weight_hh_l0))


class Recurrence(torch.autograd.Function):
    """What of Eq. 2 goes step by step: inputs' part of the gates (T, N, 4 H), weights (4 H, H) -> states (T, N, H)."""

    @staticmethod
    @custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    def forward(ctx: Any, projected: Tensor, weight: Tensor) -> Tensor:
        T, N, H = len(projected), projected.shape[1], weight.shape[1]
        gates = projected.unflatten(-1, (4, H)).clone(memory_format=torch.contiguous_format)  # (T, N, 4, H)
        cells, states = projected.new_empty(2, T, N, H)
        for t in range(T):
            if t:
                gates[t].view(N, 4 * H).addmm_(states[t - 1], weight.T)
            gates[t, :, :2].sigmoid_()
            gates[t, :, 2].tanh_()
            gates[t, :, 3].sigmoid_()
            i, f, g, o = gates[t].unbind(1)  # (N, H) each
            torch.mul(i, g, out=cells[t])
            if t:
                cells[t].addcmul_(f, cells[t - 1])
            torch.mul(o, cells[t].tanh(), out=states[t])
        ctx.save_for_backward(weight, gates, cells, states)
        return states

    @staticmethod
    @once_differentiable
    @custom_bwd(device_type="cuda")
    def backward(ctx: Any, wanted: Tensor) -> tuple[Tensor, Tensor | None]:  # type: ignore[override]
        """Gradients of states -> those of the inputs' part of the gates, and of the weights."""
        weight, gates, cells, states = ctx.saved_tensors
        T, N, H = states.shape
        i, f, g, o = gates.unbind(2)  # (T, N, H) each
        squashed = cells.tanh()
        before = torch.cat([cells.new_zeros(1, N, H), cells[:-1]])
        # What a cell's gradient is to be multiplied by, for each gate, and, for the output gate, a state's.
        slopes = torch.stack([g * i * (1 - i), before * f * (1 - f), i * (1 - g * g), squashed * o * (1 - o)], 2)
        through = o * (1 - squashed * squashed)  # from state to cell
        state, cell = wanted[-1], torch.zeros_like(wanted[-1])
        for t in reversed(range(T)):
            cell = torch.addcmul(cell, through[t], state)
            slopes[t, :, :3] *= cell[:, None]  # from here on, the gradients of the gates
            slopes[t, :, 3] *= state
            if t:
                cell = cell * f[t]
                state = torch.addmm(wanted[t - 1], slopes[t].flatten(1), weight)
        found = slopes.flatten(2)  # (T, N, 4 H)
        return found, found[1:].flatten(0, 1).T @ states[:-1].flatten(0, 1) if T > 1 else None
