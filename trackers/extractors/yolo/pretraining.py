"""Phase one: convolutions that tell the classes of objects (Redmon et al. 2016, Section 2.2; Ning et al., Section 3.1).

The paper's first 20 convolutions learn ImageNet's 1000 classes at half of the detector's resolution, with average
pooling and a fully connected layer on top. Here the same is learnt from whatever still images the study has: the class
of the object in a crop around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers import crops
from trackers.backbones import yolo
from trackers.extractors.yolo.examples import look
from trackers.extractors.yolo.packed import Pack
from trackers.training import Reporter, Training, Weights, fit

Optimizers = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


@dataclass(frozen=True)
class Pretraining:
    """held_out: of so many images one, on whose objects accuracy is measured and nothing learnt.

    context: sides of a crop in those of the object. jitter: by up to this share of its sides it is moved and resized.
    """

    held_out: int = 10
    context: float = 2.0
    jitter: float = 0.2
    training: Training = field(
        default_factory=lambda: Training(batch=64, updates_per_epoch=1000, epochs=20, patience=20, learning_rate=1e-3)
    )

    def __post_init__(self) -> None:
        if self.held_out < 2:
            raise ValueError(f"held_out: expected at least 2, got {self.held_out}")
        if not 1 <= self.context < float("inf"):
            raise ValueError(f"context: expected at least 1, the object's own size, got {self.context}")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter: expected a share in [0, 1), got {self.jitter}")


class Classifier(nn.Module):
    """The class of what is in the middle of a crop."""

    def __init__(self, network: yolo.YOLO, classes: int) -> None:
        super().__init__()
        self.layers = yolo.PRETRAINED[network.config.layout]
        self.network = network
        filters = network.config.convolutions[self.layers - 1].filters
        self.classes = nn.Linear(filters, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) RGB in 0..255 -> scores (N, classes)."""
        return self.classes(self.network.convolved(images, self.layers).mean((2, 3)))


def pretrain(
    pack: Pack,
    network: yolo.Config,
    settings: Pretraining,
    optimizers: Optimizers,
    seed: int,
    device: str,
    reporter: Reporter,
) -> Weights:
    """The weights of the first convolutions, by their names in `YOLO`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Classifier(yolo.YOLO(network), len(pack.names))
    del model.network.convolutions[model.layers :], model.network.connected
    model.to(device)
    is_held_out = pack.frame % settings.held_out == 0  # (n,)
    held_out, learning = np.flatnonzero(is_held_out), np.flatnonzero(~is_held_out)
    training, size = settings.training, network.size // 2

    def seen(items: np.ndarray, windows: np.ndarray) -> tuple[Tensor, Tensor]:
        images = look(pack.pixels, pack.frame[items], windows, size, device)
        return images, crops.send(torch.from_numpy(pack.classes[items]), device)

    def batch(update: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((seed, update))
        items = rng.choice(learning, training.batch)
        return seen(items, _around(pack.boxes[items], settings.context, settings.jitter, rng))

    def costs(images: Tensor, classes: Tensor) -> dict[str, Tensor]:
        return {"loss": F.cross_entropy(model(images), classes)}

    @torch.no_grad()
    def validate() -> dict[str, float]:
        right = 0
        for at in range(0, len(held_out), training.batch):
            items = held_out[at : at + training.batch]
            images, classes = seen(items, _around(pack.boxes[items], settings.context, 0.0, np.random.default_rng(0)))
            right += int((model(images).argmax(1) == classes).sum())
        return {"accuracy": right / len(held_out)}

    learnt = fit(model, optimizers(model.parameters()), batch, costs, training, reporter, validate)
    weights = {name.removeprefix("network."): w for name, w in learnt.items() if name.startswith("network.")}
    return scaled(model, weights, batch(0)[0])


@torch.no_grad()
def scaled(model: Classifier, weights: Weights, images: Tensor) -> Weights:
    """The weights, the last layer scaled so that its responses to these images (B, 3, S, S) have a mean square of 1.

    That is what the initial weights on top of it are for, whatever pre-training happened to end with.
    """
    size = float(model.network.convolved(images, model.layers).square().mean().sqrt())
    factor = 1 / size if size > 0 else 1.0
    last = f"convolutions.{model.layers - 1}."
    return {name: weight * factor if name.startswith(last) else weight for name, weight in weights.items()}


def _around(boxes: np.ndarray, context: float, jitter: float, rng: np.random.Generator) -> np.ndarray:
    """Windows (N, 4) int64 around boxes (N, 4), moved and resized by up to `jitter` of their sides."""
    moves, scales = rng.uniform(-jitter, jitter, (2, len(boxes), 2))
    sides = boxes[:, 2:] * (1 + scales)
    centres = boxes[:, :2] + boxes[:, 2:] * (0.5 + moves)
    return crops.windows(torch.from_numpy(np.concatenate([centres - sides / 2, sides], 1)), context).numpy()
