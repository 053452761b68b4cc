"""VGG-M's weights where the user names no file: learnt by telling the classes of objects in still images.

The paper takes weights that were trained on ImageNet. Here patches are looked at as the tracker will: around the box
of an object, a little off, or around one that hardly overlaps any. Of the first the class is learnt, of the others that
they are background, since a tracker is to tell its target from that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers import crops
from trackers.backbones import vgg_m
from trackers.backbones.pictures import Pictures
from trackers.benchmarks.collection import Collection
from trackers.boxes import centre, iou
from trackers.families.rman.seeing import enlarged
from trackers.training import Reporter, Training, Weights, fit

APART = 0.3  # overlap with any object, below which a box is background
TRIES = 16  # boxes among which one of background is looked for
FAR = 1.5  # shift of those, in sides of an object


@dataclass(frozen=True)
class Pretraining:
    """Adam on cross entropy. held_out: of so many images one, by which accuracy is measured and nothing learnt.

    background: share of patches without an object. shift, scale: of boxes against their objects: in shares of the
    sides, and a factor, at most. light: how much darker or brighter half of the patches are made, at most, as a share.
    """

    background: float = 0.5
    shift: float = 0.1
    scale: float = 1.2
    light: float = 0.0
    held_out: int = 10
    training: Training = field(
        default_factory=lambda: Training(batch=50, updates_per_epoch=1000, epochs=20, patience=20, learning_rate=1e-4)
    )

    def __post_init__(self) -> None:
        if not 0 <= self.background < 1:
            raise ValueError(f"background: expected a share in [0, 1), got {self.background}")
        if not 0 <= self.shift < 0.5:
            raise ValueError(f"shift: expected a share in [0, 0.5), got {self.shift}")
        if not 1 <= self.scale < 2:
            raise ValueError(f"scale: expected a factor in [1, 2), got {self.scale}")
        if not 0 <= self.light < 1:
            raise ValueError(f"light: expected a share in [0, 1), got {self.light}")
        if self.held_out < 2:
            raise ValueError(f"held_out: expected at least 2, got {self.held_out}")


class Classifier(nn.Module):
    """The class of what is in a patch, by conv3 alone."""

    def __init__(self, backbone: vgg_m.Config, size: int, classes: int) -> None:
        super().__init__()
        self.backbone = vgg_m.VGGM(backbone)
        self.classes = nn.Linear(self.backbone.width * vgg_m.side(size) ** 2, 1 + classes)

    def forward(self, patches: Tensor) -> Tensor:
        """(B, 3, S, S) RGB in 0..255 -> scores (B, 1 + classes), background first."""
        return self.classes(self.backbone(patches).flatten(1))


def learn(
    data: Collection,
    backbone: vgg_m.Config,
    size: int,
    border: int,
    settings: Pretraining,
    seed: int,
    device: str,
    reporter: Reporter,
) -> Weights:
    """`pretrain` on a data set of still images. Raises ValueError for fewer than two classes, or images."""
    return pretrain(Pictures.of(data, reporter), backbone, size, border, settings, seed, device, reporter)


def pretrain(
    pictures: Pictures,
    backbone: vgg_m.Config,
    size: int,
    border: int,
    settings: Pretraining,
    seed: int,
    device: str,
    reporter: Reporter,
) -> Weights:
    """The weights of the backbone. size, border: of patches, in pixels: all but the border is the box."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Classifier(backbone, size, len(pictures.classes)).to(device)
    everything = np.arange(len(pictures.images))
    held_out, learning = everything[:: settings.held_out], np.delete(everything, np.s_[:: settings.held_out])
    training = settings.training

    def look(chosen: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        boxes, classes = draw(pictures, chosen, settings, rng)
        around = torch.from_numpy(enlarged(boxes, size, border))
        patches = crops.warp_on(device, [pictures.images[number] for number in chosen], around, size, backbone.grey)
        return patches, crops.send(torch.from_numpy(classes), device)

    def batch(update: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((seed, update))
        patches, classes = look(rng.choice(learning, training.batch), rng)
        return lit(patches, settings.light, rng), classes

    def costs(patches: Tensor, classes: Tensor) -> dict[str, Tensor]:
        return {"loss": F.cross_entropy(model(patches), classes)}

    @torch.no_grad()
    def validate() -> dict[str, float]:
        rng = np.random.default_rng(seed)
        parts = [held_out[i : i + training.batch] for i in range(0, len(held_out), training.batch)]
        right = sum(
            int((model(patches).argmax(1) == classes).sum()) for patches, classes in (look(p, rng) for p in parts)
        )
        return {"accuracy": right / len(held_out)}

    optimizer = torch.optim.Adam(model.parameters(), training.learning_rate)
    learnt = fit(model, optimizer, batch, costs, training, reporter, validate)
    weights = {name.removeprefix("backbone."): w for name, w in learnt.items() if name.startswith("backbone.")}
    patches, _ = look(learning[: training.batch], np.random.default_rng(seed))
    return scaled(model.backbone, weights, patches)


def draw(
    pictures: Pictures, chosen: np.ndarray, settings: Pretraining, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A box of each of these images, (B, 4), and what is in it, (B,): a class from 1 on, or 0, background."""
    boxes, classes = np.empty((len(chosen), 4)), np.zeros(len(chosen), np.int64)
    for i, number in enumerate(chosen):
        objects = pictures.boxes[number]
        which = rng.integers(len(objects))
        if rng.random() >= settings.background:
            classes[i] = 1 + pictures.labels[number][which]
            boxes[i] = moved(objects[which], settings.shift, settings.scale, 1, rng)[0]
        else:
            candidates = moved(objects[which], FAR, settings.scale, TRIES, rng)
            height, width = pictures.images[number].shape[:2]
            anywhere = rng.uniform(0, 1, (TRIES // 2, 2)) * (width, height)
            candidates[::2, :2] = anywhere - candidates[::2, 2:] / 2
            overlaps = iou(candidates[:, None], objects).max(1)  # (TRIES,)
            boxes[i] = candidates[np.argmax(overlaps < APART) if overlaps.min() < APART else np.argmin(overlaps)]
    return boxes, classes


def lit(patches: Tensor, light: float, rng: np.random.Generator) -> Tensor:
    """Patches (B, 3, S, S) in 0..255, half of them in another light.

    They are multiplied by a number in [1 - light, 1 + light], and up to 100 times `light` grey levels are added.
    """
    if not light:
        return patches
    chosen = rng.random(len(patches)) < 0.5
    change = light * chosen[:, None] * rng.uniform(-1, 1, (len(patches), 2)) * (1.0, 100.0)  # (B, 2)
    gain, offset = torch.from_numpy(change).to(patches)[:, :, None, None, None].unbind(1)
    return (patches * (1 + gain) + offset).clamp(0, 255)


def moved(box: np.ndarray, shift: float, scale: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """Boxes (count, 4): shifted by up to so much of the sides, and scaled by up to so much."""
    sides = box[2:] * scale ** rng.uniform(-1, 1, (count, 1))
    centres = centre(box) + rng.uniform(-shift, shift, (count, 2)) * box[2:]
    return np.concatenate([centres - sides / 2, sides], 1)


@torch.no_grad()
def scaled(backbone: vgg_m.VGGM, weights: Weights, patches: Tensor) -> Weights:
    """The weights with conv3 scaled so that its responses to these patches (B, 3, S, S) have the mean 1.

    What is trained on top has initial weights and a learning rate for features of about that size.
    """
    mean = float(backbone.eval()(patches).mean())
    factor = 1 / mean if mean > 0 else 1.0
    return {name: weight * factor if name.startswith("conv3.") else weight for name, weight in weights.items()}
