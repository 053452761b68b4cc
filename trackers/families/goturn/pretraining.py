"""Convolutional weights where the user names no file: learnt by telling the classes of the still images' objects.

The paper takes weights that were trained on ImageNet (Section 4.3). Here the same kind of task is learnt, on
whatever still images the study has: the class of the object in a crop like those that the tracker will see.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers import crops
from trackers.backbones import alexnet
from trackers.families.goturn.motion import Motion, draw
from trackers.families.goturn.packed import Pack
from trackers.training import Reporter, Training, Weights, fit


@dataclass(frozen=True)
class Pretraining:
    """Adam on cross entropy. held_out: of so many objects one, by which accuracy is measured and nothing learnt."""

    held_out: int = 10
    training: Training = field(
        default_factory=lambda: Training(batch=50, updates_per_epoch=1000, epochs=20, patience=20, learning_rate=1e-4)
    )

    def __post_init__(self) -> None:
        if self.held_out < 2:
            raise ValueError(f"held_out: expected at least 2, got {self.held_out}")


class Classifier(nn.Module):
    """The class of what is in the middle of a crop."""

    def __init__(self, backbone: alexnet.Config, size: int, classes: int) -> None:
        super().__init__()
        self.backbone = alexnet.AlexNet(backbone)
        self.classes = nn.Linear(self.backbone.features(size), classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) RGB in 0..255 -> scores (B, classes)."""
        return self.classes(self.backbone(images).flatten(1))


def pretrain(
    images: Pack,
    backbone: alexnet.Config,
    size: int,
    context: float,
    settings: Pretraining,
    seed: int,
    device: str,
    reporter: Reporter,
) -> Weights:
    """The weights of the backbone. Raises ValueError where fewer than two classes are named."""
    if len(images.labels) < 2:
        raise ValueError(
            f"pre-training: expected still images of at least two classes, got {len(images.labels)}; "
            "or name a file of convolutional weights in backbone.weights"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Classifier(backbone, size, len(images.labels)).to(device)
    labelled = np.flatnonzero(images.label >= 0)
    held_out, learning = labelled[:: settings.held_out], np.delete(labelled, np.s_[:: settings.held_out])
    training = settings.training

    def batch(update: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((seed, update))
        return look(images, rng.choice(learning, training.batch), size, context, rng, device)

    def costs(seen: Tensor, classes: Tensor) -> dict[str, Tensor]:
        return {"loss": F.cross_entropy(model(seen), classes)}

    @torch.no_grad()
    def validate() -> dict[str, float]:
        rng = np.random.default_rng(seed)
        parts = [held_out[i : i + training.batch] for i in range(0, len(held_out), training.batch)]
        batches = [look(images, part, size, context, rng, device) for part in parts]
        right = sum(int((model(seen).argmax(1) == classes).sum()) for seen, classes in batches)
        return {"accuracy": right / len(held_out)}

    optimizer = torch.optim.Adam(model.parameters(), training.learning_rate)
    learnt = fit(model, optimizer, batch, costs, training, reporter, validate)
    weights = {name.removeprefix("backbone."): w for name, w in learnt.items() if name.startswith("backbone.")}
    seen, _ = look(images, learning[: training.batch], size, context, np.random.default_rng(seed), device)
    return scaled(model, weights, seen)


def look(
    images: Pack, items: np.ndarray, size: int, context: float, rng: np.random.Generator, device: str
) -> tuple[Tensor, Tensor]:
    """Crops (B, 3, S, S) of these objects, moved a little, and their classes (B,)."""
    boxes = draw(Motion(), images.boxes[items], images.frame_sizes[items], 1, rng, context)[:, 0]  # (B, 4)
    windows = crops.windows(torch.from_numpy(boxes), context)  # (B, 4)
    classes = crops.send(torch.from_numpy(images.label[items]), device)
    return crops.sample_on(device, [images.pixels(i) for i in items], windows, size), classes


@torch.no_grad()
def scaled(model: Classifier, weights: Weights, images: Tensor) -> Weights:
    """The backbone's weights with conv5 scaled so that pool5 of these images (B, 3, S, S) has the mean 1.

    What is trained on top has initial weights and a learning rate for features of about that size, whatever
    pre-training happened to end with.
    """
    mean = float(model.eval().backbone(images).mean())
    factor = 1 / mean if mean > 0 else 1.0
    return {name: weight * factor if name.startswith("conv5.") else weight for name, weight in weights.items()}
