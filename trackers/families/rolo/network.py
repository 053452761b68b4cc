"""The recurrent network of Ning et al. 2016, Sections 2.1, 3.2 and 3.3: features and detections -> a location.

There is no output layer: as in the authors' code, an LSTM's state is as wide as its input, and those numbers of its
last state are the prediction which, in the input, are the detection.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

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

    by_heatmap: nn.LSTM | None
    by_location: nn.LSTM | None

    def __init__(self, features: int, regress: Regress = "location", side: int = 32) -> None:
        super().__init__()
        self.features = features
        self.side = side
        self.by_heatmap = _lstm(features + side**2) if regress != "location" else None
        self.by_location = _lstm(features + B) if regress != "heatmap" else None
        self.width = features + (side**2 if self.by_heatmap else 0) + (B if self.by_location else 0)

    def inputs(self, visual: Tensor, detections: Tensor) -> Tensor:
        """Visual vectors (..., D) and B_t (..., 6) of frames -> (..., width): what the network is to see of them."""
        parts = [visual]
        if self.by_heatmap:
            parts.append(heatmaps.drawn(detections[..., LOCATION], self.side))
        if self.by_location:
            parts.append(detections)
        return torch.cat(parts, -1)

    def forward(self, inputs: Tensor) -> Answer:
        """N windows of `steps` frames (N, steps, width) -> where the targets are; each window begins from zeros."""
        D, location, heatmap, rest = self.features, None, None, []
        if self.by_heatmap:
            states, _ = self.by_heatmap(inputs[..., : D + self.side**2])  # (N, steps, D + side^2)
            heatmap = states[:, -1, D:]
            rest.append(states[:, -1, :D])
            if self.by_location:
                inputs = torch.cat([states[..., :D], inputs[..., -B:]], -1)  # (N, steps, D + 6)
        if self.by_location:
            states, _ = self.by_location(inputs)  # (N, steps, D + 6)
            location = states[:, -1, D:][:, LOCATION]
            rest.append(states[:, -1, :D])
        return Answer(location, heatmap, torch.cat(rest, -1))


def _lstm(width: int) -> nn.LSTM:
    lstm = nn.LSTM(width, width, batch_first=True)
    biases = dict(lstm.named_parameters())  # two of each gate, in the order input, forget, cell, output
    nn.init.zeros_(biases["bias_hh_l0"])
    nn.init.ones_(biases["bias_ih_l0"][width : 2 * width])
    return lstm
