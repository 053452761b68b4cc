"""GOTURN (Held, Thrun, Savarese 2016, "Learning to Track at 100 FPS with Deep Regression Networks").

A network sees a crop of the frame before, around the target, and the same window of the current frame, and says
where in it the target is. It learns this offline, from pairs of labelled frames of videos and from still images
(Section 4), and never again: tracking is one forward pass a frame (Section 3.4).

    network     Figure 2                                 packed      what training looks at
    motion      Section 4.2                              examples    Section 4.1 and 4.3: minibatches
    tracking    Section 3.4                              pretraining convolutions, where no file is named

The ablations of Sections 6.2 and 6.4 and Figure 5 are settings of one variant each: `previous`, `loss`,
`motion.kind`, `sources`, `videos`.

Where the paper is silent, this is as the authors' code has it: the sizes of crops in whole pixels, initial weights,
biases that learn twice as fast as weights and do not decay, a learning rate that falls to a tenth every 100,000
batches, and 450,000 batches. Readings of ours: the learning rate of 1e-5 is that of the fully connected weights;
both losses are summed over a batch, as the code sums L1 (L2 is half of the squared error; Caffe's own would be the mean
over the batch); momentum is torch's, which does not carry the old learning rate over a drop of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from trackers import inference
from trackers.backbones import alexnet
from trackers.families.goturn import packed
from trackers.families.goturn.examples import Examples
from trackers.families.goturn.motion import Motion
from trackers.families.goturn.network import SCALE, Model
from trackers.families.goturn.packed import Pack
from trackers.families.goturn.pretraining import Pretraining, pretrain
from trackers.families.goturn.tracking import GOTURN
from trackers.tracker import Tracker
from trackers.training import Inputs, Reporter, Step, Training, Weights, fit

ROLES = ("videos", "images", "validation")  # of training data
VALIDATED = 4  # batches, by which the error on held-out videos is measured
VIDEOS = 307  # of ALOV300++, less those of VOT2014 (Section 5.1)


@dataclass(frozen=True)
class Config:
    """One variant; the defaults are the paper's full method.

    sources: what is trained on. videos: of the paper's 307 training videos, so many, drawn by the seed; of other
    data, the same share. validation: whether the error is measured meanwhile on the videos that have this role in
    the experiment's training data (Section 5.1: 56 of 307, to choose hyperparameters by; then all are trained on).
    """

    backbone: alexnet.Config = field(default_factory=alexnet.Config)  # Section 3.3: CaffeNet
    pretraining: Pretraining = field(default_factory=Pretraining)  # where backbone.weights names no file
    size: int = 227  # pixels of a crop, CaffeNet's
    context: float = 2.0  # k_1 = k_2 (Section 3.2)
    units: int = 4096  # Section 3.3
    initial_std: float = 0.005
    dropout: float = 0.5  # Section 3.3: "as in CaffeNet"
    previous: bool = True  # False: the network of Section 6.2 that sees the current frame only
    loss: Literal["l1", "l2"] = "l1"  # Sections 4 and 6.4
    sources: tuple[Literal["videos", "images"], ...] = ("videos", "images")  # Section 4.3
    motion: Motion = field(default_factory=Motion)  # Section 4.2
    crops: int = 10  # k_3 (Section 4.3)
    videos: int = VIDEOS  # Figure 5: 14, 37, 157, 307
    validation: bool = False
    momentum: float = 0.9  # CaffeNet's, as the two below
    weight_decay: float = 5e-4
    bias_rate: float = 2.0  # how much faster biases learn than weights
    training: Training = field(
        default_factory=lambda: Training(  # Section 4.3: batches of 50, a learning rate of 1e-5
            batch=50, updates_per_epoch=1000, epochs=450, patience=450, learning_rate=1e-5, drop_every=100_000
        )
    )

    def __post_init__(self) -> None:
        for name in ("size", "units", "crops"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not self.sources or len(set(self.sources)) < len(self.sources):
            raise ValueError(f"sources: expected videos, images or both, got {list(self.sources)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: expected a share in [0, 1), got {self.dropout}")
        if not 1 <= self.videos <= VIDEOS:
            raise ValueError(f"videos: expected 1 to {VIDEOS}, got {self.videos}")
        if not 1 <= self.context < math.inf:
            raise ValueError(f"context: expected at least 1, the target's own size, got {self.context}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum: expected a number in [0, 1), got {self.momentum}")
        for name in ("weight_decay", "bias_rate", "initial_std"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")
        with torch.device("meta"):
            alexnet.AlexNet(self.backbone).side(self.size)  # ValueError where nothing would be left


def steps(config: Config) -> list[Step]:
    """Frames are packed, and convolutions learnt or read, once for all variants that agree on them."""
    learnt_from = (*config.sources, *(["validation"] if config.validation else []))
    path = config.backbone.weights
    if path is None:
        settings = ("backbone", "size", "context", "pretraining")
        backbone = Step("backbone", learn_backbone, ("images",), reads=(), settings=settings, parallel=True)
    else:
        backbone = Step("backbone", read_backbone, reads=(), files=(path,), settings=("backbone",), seeded=False)
    roles = [role for role in ROLES if role in (*learnt_from, *backbone.needs)]
    packs = [Step(role, partial(pack, role), reads=(role,), settings=(), seeded=False) for role in roles]
    return [*packs, backbone, Step("train", train, ("backbone", *learnt_from), reads=(), parallel=True)]


def pack(role: str, inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """The labelled frames of the training data of this role; see `packed`."""
    packed_as = packed.pack_images if role == "images" else packed.pack_videos
    return packed_as(inputs.data[role], reporter)


def learn_backbone(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Convolutional weights, learnt on the still images."""
    images = Pack(inputs.weights["images"])
    return pretrain(
        images,
        config.backbone,
        config.size,
        config.context,
        config.pretraining,
        inputs.seed,
        inputs.device,
        reporter,
    )


def read_backbone(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Convolutional weights from the file that the settings name."""
    [path] = inputs.files.values()
    return alexnet.read(path, config.backbone)


def train(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Section 4: stochastic gradient descent on the fully connected layers."""
    training, device = config.training, inputs.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs.seed)
        model = _model(config)
    model.backbone.load_state_dict(dict(inputs.weights["backbone"]))
    model.to(device)
    learning, held_out = _examples(config, inputs)

    def batch(update: int) -> tuple[Tensor, ...]:
        return *learning.batch(update, device), dropout(config, inputs.seed, update, device)

    def costs(targets: Tensor, searches: Tensor, of: Tensor, corners: Tensor, kept: Tensor) -> dict[str, Tensor]:
        predicted = model(targets, searches, of, kept)  # (B, 4)
        return {"loss": cost(predicted, corners * SCALE, config.loss), "error": error(predicted, corners)}

    @torch.no_grad()
    def validate() -> dict[str, float]:
        if held_out is None:
            return {}
        batches = (held_out.batch(i, device) for i in range(VALIDATED))
        errors = [float(error(model(targets, searches, of), corners)) for targets, searches, of, corners in batches]
        return {"validation error": float(np.mean(errors))}

    learnt = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    weights = [parameter for name, parameter in learnt.items() if name.endswith("weight")]
    biases = [parameter for name, parameter in learnt.items() if name.endswith("bias")]
    rate = training.learning_rate
    optimizer = torch.optim.SGD(
        [
            {"params": weights, "lr": rate, "weight_decay": config.weight_decay},
            {"params": biases, "lr": rate * config.bias_rate, "weight_decay": 0.0},
        ],
        momentum=config.momentum,
    )
    axes = (None, 0, 0, 0, 1)  # a target may be that of examples in several parts
    return fit(model, optimizer, batch, costs, training, reporter, validate, axes, sums=("loss",))


def cost(predicted: Tensor, corners: Tensor, loss: Literal["l1", "l2"]) -> Tensor:
    """The sum over a batch of the L1 or (half of the) squared L2 distance of corners (B, 4) -> a scalar, >= 0."""
    difference = predicted - corners
    return difference.abs().sum() if loss == "l1" else difference.square().sum() / 2


def error(predicted: Tensor, corners: Tensor) -> Tensor:
    """Mean distance of corners predicted (B, 4) in [0, 10] from true ones in [0, 1], in shares of a window."""
    return (predicted / SCALE - corners).abs().mean()


def dropout(config: Config, seed: int, update: int, device: str) -> Tensor:
    """What dropout lets through at this update: (3, B, units), 0 or 1 / (1 - rate)."""
    # On a CPU torch looks at 32 bits of a seed.
    rng = torch.Generator(device).manual_seed(int(np.random.SeedSequence((seed, update)).generate_state(1)[0]))
    drawn = torch.rand(3, config.training.batch, config.units, generator=rng, device=device)
    return (drawn >= config.dropout) / (1 - config.dropout)


def _examples(config: Config, inputs: Inputs) -> tuple[Examples, Examples | None]:
    """What is learnt from, and what the error is validated on, if anything."""

    def examples(videos: Pack | None, images: Pack | None) -> Examples:
        batch = config.training.batch
        return Examples(
            videos, images, config.motion, config.crops, batch, config.size, config.context, seed=inputs.seed
        )

    packs = {name: Pack(tensors) for name, tensors in inputs.weights.items() if name != "backbone"}
    videos = packs.get("videos")
    if videos is not None:
        videos = videos.select(chosen(len(videos.names), config.videos, inputs.seed))
    return (
        examples(videos, packs["images"] if "images" in config.sources else None),
        examples(packs["validation"], None) if config.validation else None,
    )


def chosen(count: int, videos: int, seed: int) -> list[int]:
    """Numbers of the training videos to learn from: of all `count`, what `videos` are of `VIDEOS`, one at least.

    Whoever learns from more of them learns from these as well.
    """
    order = np.random.default_rng(seed).permutation(count)
    return sorted(order[: max(1, round(count * videos / VIDEOS))].tolist())


def _model(config: Config) -> Model:
    return Model(config.backbone, config.size, config.units, config.previous, config.initial_std)


def tracker(config: Config, weights: Weights, device: str) -> Tracker:
    """The tracker of these settings and weights."""
    model = _model(config)
    model.load_state_dict(dict(weights))
    if device == "cpu":
        inference.on_cpu(model)
    return GOTURN(model, config.size, config.context, device)
