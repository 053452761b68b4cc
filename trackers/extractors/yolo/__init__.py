"""YOLO (Redmon, Divvala, Girshick, Farhadi 2016), the detector that ROLO (Ning et al. 2016, Section 3.1) sees through.

Its features are the last hidden layer's, after the leaky ReLU. Its detections are those of the released code of ROLO:
scores of at least 0.08, and of boxes that overlap the best one, whatever their classes; average precision is
measured with boxes suppressed within their classes.
Weights are read from a file, or learnt here in the first two of ROLO's three phases: convolutions by classification,
of training data in the role "classes" (theirs: ImageNet), then everything by YOLO's own loss, "objects" (VOC).

    packed       what training looks at        examples   Section 2.2: minibatches
    pretraining  phase one                     loss       Equation 3
    shared       for small data                decoding   Sections 2 and 2.3
    detector     the network at work           precision  mean average precision

Readings of ours: the learning rate is not raised from 1e-3 to 1e-2 in the first epochs, and falls once, for the last
30 of 135 epochs (Section 2.2 has 1e-2 for 75, 1e-3 for 30 and 1e-4 for 30); an epoch is 300 updates, about VOC's 2007
and 2012 sets; one object a cell, the larger.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from trackers import inference
from trackers.backbones import yolo
from trackers.extractors import Extractor
from trackers.extractors.yolo import packed, shared
from trackers.extractors.yolo.detector import Detector
from trackers.extractors.yolo.examples import Augmentation, Examples
from trackers.extractors.yolo.loss import loss
from trackers.extractors.yolo.packed import Pack
from trackers.extractors.yolo.precision import mean_average_precision
from trackers.extractors.yolo.pretraining import Pretraining
from trackers.extractors.yolo.pretraining import pretrain as pretrain_on
from trackers.extractors.yolo.shared import Shared
from trackers.training import Inputs, Reporter, Step, Training, Weights, fit

LEAST = 0.005  # the score down to which detections count for average precision
AT_ONCE = 32  # images seen in one pass when precision is measured


@dataclass(frozen=True)
class Detection:
    """Phase two. held_out: of so many images one, on which precision is measured and nothing learnt.

    shared: whether connected layers are learnt as convolutions that all cells share, and written out at the end.
    """

    held_out: int = 10
    augmentation: Augmentation = field(default_factory=Augmentation)
    training: Training = field(
        default_factory=lambda: Training(
            batch=64,
            updates_per_epoch=300,
            epochs=135,
            patience=135,
            learning_rate=1e-3,
            drop_every=105 * 300,
            report_every=300,
        )
    )
    shared: bool = False

    def __post_init__(self) -> None:
        if self.held_out < 2:
            raise ValueError(f"held_out: expected at least 2, got {self.held_out}")


@dataclass(frozen=True)
class Config:
    """One detector. threshold, overlap: what of its answers is a detection, see `decoding.decode`; the code's.

    coordinates, nothing: lambda_coord, lambda_noobj. momentum, weight_decay: of sgd, the paper's; adam has its own.
    """

    network: yolo.Config = field(default_factory=yolo.Config)
    threshold: float = 0.08
    overlap: float = 0.5
    coordinates: float = 5.0
    nothing: float = 0.5
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: float = 0.9
    weight_decay: float = 5e-4
    pretraining: Pretraining = field(default_factory=Pretraining)  # where network.weights names no file
    detection: Detection = field(default_factory=Detection)

    def __post_init__(self) -> None:
        if self.optimizer not in ("sgd", "adam"):
            raise ValueError(f"optimizer: expected sgd or adam, got {self.optimizer!r}")
        for name in ("threshold", "overlap"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a number in [0, 1], got {getattr(self, name)}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum: expected a number in [0, 1), got {self.momentum}")
        for name in ("coordinates", "nothing", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")
        if self.detection.shared:
            shared.check(self.network)


def steps(config: Config) -> list[Step]:
    """Weights are read, or images are packed and both phases learnt; what is a detection plays no part in it."""
    path = config.network.weights
    if path is not None:
        return [Step("read", read, reads=(), files=(path,), settings=("network",), seeded=False)]
    learning = ("network", "optimizer", "momentum", "weight_decay")
    return [
        Step("classes", partial(pack, "classes"), reads=("classes",), settings=(), seeded=False),
        Step("objects", partial(pack, "objects"), reads=("objects",), settings=("network",), seeded=False),
        Step("pretrain", pretrain, ("classes",), reads=(), settings=(*learning, "pretraining"), parallel=True),
        Step(
            "detect",
            detect,
            ("objects", "pretrain"),
            reads=(),
            settings=(*learning, "detection", "coordinates", "nothing", "overlap"),
            parallel=True,
        ),
    ]


def read(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """All weights from the file that the settings name."""
    [path] = inputs.files.values()
    return yolo.read(path, config.network)


def pack(role: str, inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """The images of this role and their objects; see `packed`. A class to be detected must be among "objects"."""
    tensors = packed.pack(inputs.data[role], reporter)
    if role == "objects":
        Pack(tensors, config.network.classes)  # refuses now what `detect` would refuse after all of pre-training
    return tensors


def pretrain(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Phase one; see `pretraining`."""
    images, phase = Pack(inputs.weights["classes"]), config.pretraining
    optimizers = partial(_optimizer, config, phase.training, inputs.device)
    return pretrain_on(images, config.network, phase, optimizers, inputs.seed, inputs.device, reporter)


def detect(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Phase two: whole images and the loss of all that is in them, on all layers; reports "mAP" at an IoU of 0.5."""
    network, training, device = config.network, config.detection.training, inputs.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs.seed)
        model = (Shared if config.detection.shared else yolo.YOLO)(network)
    model.load_state_dict({**model.state_dict(), **inputs.weights["pretrain"]})
    model.to(device)
    images = Pack(inputs.weights["objects"], network.classes)
    is_held_out = np.arange(len(images)) % config.detection.held_out == 0
    held_out, learning = np.flatnonzero(is_held_out), np.flatnonzero(~is_held_out)
    examples = Examples(
        images, learning, config.detection.augmentation, training.batch, network.size, network.grid, inputs.seed
    )

    def batch(update: int) -> tuple[Tensor, ...]:
        return *examples.batch(update, device), dropout(network, training.batch, inputs.seed, update, device)

    def costs(seen: Tensor, present: Tensor, classes: Tensor, truth: Tensor, kept: Tensor) -> dict[str, Tensor]:
        _, output = model(seen, kept)
        return loss(model.split(output), present, classes, truth, config.coordinates, config.nothing)

    def validate() -> dict[str, float]:
        see = Detector(model, LEAST, config.overlap, across_classes=False, device=device)
        return {"mAP": precision(see, images, held_out)}

    optimizer = _optimizer(config, training, device, model.parameters())
    learnt = fit(model, optimizer, batch, costs, training, reporter, validate)
    return model.cpu().written_out() if isinstance(model, Shared) else learnt


def precision(see: Extractor, pack: Pack, images: np.ndarray) -> float:
    """Mean average precision of what is seen in these images."""
    parts = [images[i : i + AT_ONCE] for i in range(0, len(images), AT_ONCE)]
    seen = [one for part in parts for one in see([pack.pixels(image) for image in part])]
    return mean_average_precision(seen, [pack.objects(image) for image in images])


def dropout(network: yolo.Config, count: int, seed: int, update: int, device: str) -> Tensor:
    """What dropout lets through at this update: (count, D), 0 or 1 / (1 - rate)."""
    # On a CPU torch looks at 32 bits of a seed.
    rng = torch.Generator(device).manual_seed(int(np.random.SeedSequence((seed, update)).generate_state(1)[0]))
    drawn = torch.rand(count, network.features, generator=rng, device=device)
    return (drawn >= network.dropout) / (1 - network.dropout)


def _optimizer(
    config: Config, training: Training, device: str, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    rate, capture = training.learning_rate, training.capture and device != "cpu"
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, rate, fused=True, capturable=capture)  # on a CPU, too, in half of the time
    # In a CUDA graph the learning rate is a tensor, which only the fused step reads there.
    return torch.optim.SGD(parameters, rate, config.momentum, weight_decay=config.weight_decay, fused=capture or None)


def extractor(config: Config, weights: Weights, device: str) -> Extractor:
    """The detector of these settings and weights."""
    model = yolo.YOLO(config.network)
    model.load_state_dict(dict(weights))
    model.eval()
    if device == "cpu":
        inference.on_cpu(model)
    return Detector(model, config.threshold, config.overlap, across_classes=True, device=device)
