"""VGG-16's weights where the user names no file: learnt by telling, of still images, what is where.

The paper takes weights that were "pretrained for image segmentation" (Section 3.1). Here images with boxes are at hand:
of each part of a ROI the class of the object in whose box it lies is learnt, or that it is background. Where boxes
overlap the smaller one counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers import crops
from trackers.backbones import vgg16
from trackers.backbones.pictures import Pictures
from trackers.training import Reporter, Training, Weights, fit

PARTS = 4  # of a cell of pool4, each way, of which the class is told


@dataclass(frozen=True)
class Pretraining:
    """Adam on cross entropy. context: of ROIs, in sides of the object that they are drawn around, from and to.

    held_out: of so many images one, by which accuracy is measured and nothing learnt.
    """

    context: tuple[float, float] = (1.5, 3.0)
    held_out: int = 10
    training: Training = field(
        default_factory=lambda: Training(batch=32, updates_per_epoch=1000, epochs=20, patience=20, learning_rate=1e-4)
    )

    def __post_init__(self) -> None:
        if not 1 <= self.context[0] <= self.context[1]:
            raise ValueError(f"context: expected two numbers from 1 on, in order, got {list(self.context)}")
        if self.held_out < 2:
            raise ValueError(f"held_out: expected at least 2, got {self.held_out}")


class Segmenter(nn.Module):
    """What is where, by pool4 alone."""

    def __init__(self, backbone: vgg16.Config, classes: int) -> None:
        super().__init__()
        self.backbone = vgg16.VGG16(backbone)
        self.told = nn.Conv2d(backbone.widths[3], (classes + 1) * PARTS**2, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) RGB in 0..255 -> scores (N, 1 + classes, S / 4, S / 4), background first."""
        return F.pixel_shuffle(self.told(self.backbone.pool4(images)), PARTS)


def pretrain(
    pictures: Pictures,
    backbone: vgg16.Config,
    size: int,
    settings: Pretraining,
    seed: int,
    device: str,
    reporter: Reporter,
) -> Weights:
    """The weights of the backbone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Segmenter(backbone, len(pictures.classes)).to(device)
    everything = np.arange(len(pictures.images))
    held_out, learning = everything[:: settings.held_out], np.delete(everything, np.s_[:: settings.held_out])
    training = settings.training

    def batch(update: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((seed, update))
        return look(pictures, rng.choice(learning, training.batch), size, settings.context, rng, device)

    def costs(seen: Tensor, classes: Tensor) -> dict[str, Tensor]:
        return {"loss": F.cross_entropy(model(seen), classes)}

    @torch.no_grad()
    def validate() -> dict[str, float]:
        rng = np.random.default_rng(seed)
        parts = [held_out[i : i + training.batch] for i in range(0, len(held_out), training.batch)]
        told = [look(pictures, part, size, settings.context, rng, device) for part in parts]
        right = [float((model(seen).argmax(1) == classes).float().mean()) for seen, classes in told]
        return {"accuracy": float(np.mean(right))}

    capture = training.capture and device != "cpu"
    optimizer = torch.optim.Adam(model.parameters(), training.learning_rate, capturable=capture)
    learnt = fit(model, optimizer, batch, costs, training, reporter, validate)
    weights = {name.removeprefix("backbone."): w for name, w in learnt.items() if name.startswith("backbone.")}
    seen, _ = look(pictures, learning[: training.batch], size, settings.context, np.random.default_rng(seed), device)
    return scaled(model, weights, seen)


def look(
    pictures: Pictures,
    chosen: np.ndarray,
    size: int,
    context: tuple[float, float],
    rng: np.random.Generator,
    device: str,
) -> tuple[Tensor, Tensor]:
    """ROIs (N, 3, S, S) around an object of each of these images, and classes (N, S / 4, S / 4); 0 is background."""
    windows = np.empty((len(chosen), 4))
    for i, number in enumerate(chosen):
        x, y, width, height = rng.choice(pictures.boxes[number])
        side = max(width, height) * rng.uniform(*context)
        windows[i] = [
            *(np.array([x + width / 2, y + height / 2]) + rng.uniform(-0.25, 0.25, 2) * side - side / 2),
            side,
            side,
        ]
    whole = torch.from_numpy(np.rint(windows)).long()
    whole[:, 2:] = whole[:, 2:].clamp(min=1)
    images = crops.sample_on(device, [pictures.images[number] for number in chosen], whole, size)
    places = (np.arange(size // 16 * PARTS) + 0.5) / (size // 16 * PARTS)  # centres of parts, in shares of the ROI
    classes = np.zeros((len(chosen), len(places), len(places)), np.int64)
    for i, number in enumerate(chosen):
        left, top, side, _ = whole[i].numpy()
        boxes = pictures.boxes[number]
        for j in np.argsort(-boxes[:, 2:].prod(1), kind="stable"):
            x, y, width, height = boxes[j]
            columns = np.abs(left + places * side - x - width / 2) < width / 2
            rows = np.abs(top + places * side - y - height / 2) < height / 2
            classes[i][np.ix_(rows, columns)] = 1 + pictures.labels[number][j]
    return images, crops.send(torch.from_numpy(classes), device)


@torch.no_grad()
def scaled(model: Segmenter, weights: Weights, images: Tensor) -> Weights:
    """The backbone's weights with conv4_3 scaled so that pool4 of these images (N, 3, S, S) has the mean 1.

    What is trained on top has initial weights and a learning rate for features of about that size.
    """
    mean = float(model.eval().backbone.pool4(images).mean())
    factor = 1 / mean if mean > 0 else 1.0
    return {name: weight * factor if name.startswith("conv4_3.") else weight for name, weight in weights.items()}
