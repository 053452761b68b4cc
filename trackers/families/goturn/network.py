"""The network of Held et al. 2016, Figure 2: two crops -> where the target went.

What it sees and says is in windows (`trackers.crops`): the target's corners x0, y0, x1, y1, with [0, 10]
across the search window ("we scale the output by a factor of 10", Section 3.3).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trackers.backbones import alexnet

SCALE = 10.0  # Section 3.3


class Model(nn.Module):
    """Convolutions that never learn, and fully connected layers that compare.

    size: pixels of a crop's side. units: of each fully connected layer. previous: whether the target's crop
    from the frame before is an input; False is the network of Section 6.2, which sees the current frame only.
    initial_std: of the first weights of the fully connected layers; the authors' code: 0.005.
    """

    def __init__(
        self, backbone: alexnet.Config, size: int, units: int, previous: bool = True, initial_std: float = 0.005
    ) -> None:
        super().__init__()
        self.previous = previous
        self.backbone = alexnet.AlexNet(backbone).requires_grad_(False)  # "we do not fine-tune these layers" (4.3)
        features = self.backbone.features(size)
        self.fc6 = nn.Linear(features * (2 if previous else 1), units)
        self.fc7 = nn.Linear(units, units)
        self.fc7b = nn.Linear(units, units)
        self.fc8 = nn.Linear(units, 4)
        for layer in (self.fc6, self.fc7, self.fc7b):  # as the authors' code has it, and below
            nn.init.normal_(layer.weight, std=initial_std)
            nn.init.ones_(layer.bias)
        nn.init.normal_(self.fc8.weight, std=2 * initial_std)
        nn.init.zeros_(self.fc8.bias)

    def forward(self, targets: Tensor, searches: Tensor, of: Tensor, kept: Tensor | None = None) -> Tensor:
        """Corners (B, 4) in [0, 10] of the targets in their search windows.

        targets: (P, 3, S, S), crops from the frames before. searches: (B, 3, S, S), from the current ones.
        of: (B,), the row of `targets` that belongs to each. RGB in 0..255. kept: (3, B, units), what dropout
        lets through of each fully connected layer, 0 or 1 / (1 - its rate); None: everything.
        """
        with torch.no_grad():
            if self.previous:
                features = self.backbone(torch.cat([targets, searches])).flatten(1)  # (P + B, F)
                x = torch.cat([features[: len(targets)][of], features[len(targets) :]], dim=1)  # (B, 2 F)
            else:
                x = self.backbone(searches).flatten(1)  # (B, F)
        for i, layer in enumerate((self.fc6, self.fc7, self.fc7b)):
            x = layer(x).relu()  # (B, units)
            x = x if kept is None else x * kept[i]
        return self.fc8(x)  # (B, 4)
