"""RMAN (Pu et al. 2020, "Learning Recurrent Memory Activation Networks for Visual Tracking").

A classifier says of boxes around the last one whether they hold the target. Nothing is trained offline but the frozen
convolutions: each sequence trains heads of its own in its first frame, and goes on learning from what it finds. An LSTM
passes the last K predicted patches, then the box in question; how alike its states are weighs what is remembered.

    network   Figure 2, Eqs. 1, 2 and 4      seeing      patches, or ROI align    tracking     Section IV
    losses    Eqs. 3, 5, 6 and 7             memory      what a lane keeps        regression   boxes refined
    learning  online, of many lanes          descent     of the first layer       insight      Section III-C
    sampling  boxes around a target          pretraining convolutions, where no file is named

The configurations of Figure 6 are settings: `recurrent`, `activation`, `coherence`, `compactness`.

Where the paper is silent, this is as in MDNet (Nam and Han 2016) and DAT (Pu et al. 2018, by the same first author):
how boxes are drawn, what is kept of them, hard-negative mining, dropout, momentum, weight decay, the clipping of
gradients, and the tenfold rate of the last layer; that where the target is not found, its box stays, and the next
search is wider. Readings of ours:

- The classifier is given 2 x 512 numbers by the concatenation, 512 without a memory layer (Baseline, Baseline +
  LSTM).
- Without the LSTM a fully connected layer of as many units, with a ReLU, makes the states: MDNet's first.
- The LSTM goes on from the newest remembered patch to the box in question: all boxes of a frame share its states. Its
  initial weights, which the paper does not give, are those of Glorot and Bengio, with a forget bias of 1.
- "All the input patches for the network are from the first frame" there (Section IV-A): they are drawn from its
  positive samples, in eight sequences, each of which some samples follow. While tracking, the target's own patch
  stands for all frames before the first.
- Samples are drawn in each frame in which the target was found, and learnt from every N_3 = 10 frames (Section IV-C
  could also be read as one draw in ten frames). N_2 = 256 of them are 51 and 205, in the ratio of the first frame's.
- a_T is Eq. 4 also where states are pooled by their average.
- Pairs of Eq. 5 are the m-th positive and the m-th negative of a minibatch, negatives in the order of their scores.
- A target is not found where its probability is at most 0.5 (MDNet and DAT: its score before the softmax, at most 0).
  Nothing more is learnt then (MDNet trains at once, on the last `short` frames); what lies in its box is remembered.
- The box regression is that of R-CNN with the overlaps of MDNet, at least 0.6 with the target, on features each of
  one norm; it is not applied to what was not found. As in MDNet, refined boxes are only said: the candidate that was
  chosen is what is remembered, what samples are drawn around, and around what the target is looked for next.
- Of the first frame all positives are kept, and as many negatives, about, as of any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from trackers.backbones import vgg_m
from trackers.families.rman import pretraining
from trackers.families.rman.pretraining import Pretraining
from trackers.families.rman.seeing import Maps, Patches
from trackers.families.rman.tracking import RMAN
from trackers.tracker import Tracker
from trackers.training import Inputs, Reporter, Step, Weights

stochastic = True


@dataclass(frozen=True)
class Learning:
    """One training of the heads: iterations of gradient descent, and its learning rate."""

    iterations: int
    learning_rate: float

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ValueError(f"iterations: expected at least 1, got {self.iterations}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate: expected a positive number, got {self.learning_rate}")


@dataclass(frozen=True)
class Sampling:
    """How boxes are drawn around a target; shifts are in shares of its mean side, and scales are factors.

    candidates: where the target is looked for; lost: the shift while it is. positives, negatives: what the heads learn
    from; half of the first frame's negatives are anywhere in it. regression: what the box regressor learns from.
    """

    candidates: int = 256  # N_2 (Section V-A)
    shift: float = 0.6  # and all below, where nothing else is said: MDNet's and DAT's
    lost: float = 1.5
    scale: float = 1.05
    first_positives: int = 500  # with the negatives N_1 = 5500 (Section V-A)
    first_negatives: int = 5000
    positives: int = 51  # with the negatives N_2 = 256 (Section IV-C)
    negatives: int = 205
    regression: int = 1000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 1 if isinstance(value, int) else 1.0 if name == "scale" else 0.0
            if not least <= value < math.inf:
                raise ValueError(f"{name}: expected at least {least:g}, got {value}")


@dataclass(frozen=True)
class Config:
    """One variant; the defaults are the paper's full method.

    mined: negatives at each iteration, of which the hardest `pairs` are learnt from. every: frames from one training to
    the next. long, short: of so many of the last frames in which the target was found, positives and negatives are
    kept. clip: norm above which a lane's gradients are scaled down to it. last_rate: how much faster the classifier's
    last layer learns. best: candidates, of whose refined boxes the mean is taken. found: probability above which they
    are taken for the target. ridge: strength of the box regression's penalty.
    """

    features: Literal["patches", "roi_align"] = "patches"  # Section V-A; "roi_align" is its future work (Section V-D)
    backbone: vgg_m.Config = field(default_factory=vgg_m.Config)
    pretraining: Pretraining = field(default_factory=Pretraining)
    size: int = 107  # pixels of a patch, MDNet's
    border: int = 16  # of which so many on each side are around the box
    recurrent: bool = True  # False: a fully connected layer in place of the LSTM
    activation: Literal["cosine", "average", "none"] = "cosine"  # MAL (Eqs. 1 and 2), APL (Section V-C), no memory
    units: int = 512  # of h_T
    hidden: int = 512  # between the two fully connected layers of the classifier
    initial_std: float = 0.01  # of the classifier's weights, MDNet's
    remembered: int = 5  # K
    margin: float = 1.0  # tau of Eq. 5
    coherence: float = 2.0  # lambda_1 of Eq. 7; 0: without L_a
    compactness: float = 5e-4  # lambda_2 of Eq. 7; 0: without L_b
    positive: float = 0.7  # tau_1
    negative: float = 0.3  # tau_2
    pairs: int = 32  # N
    mined: int = 1024
    sampling: Sampling = field(default_factory=Sampling)
    first: Learning = field(default_factory=lambda: Learning(50, 2e-4))
    update: Learning = field(default_factory=lambda: Learning(15, 3e-4))
    every: int = 10  # N_3
    long: int = 100
    short: int = 20
    dropout: float = 0.5
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip: float = 10.0
    last_rate: float = 10.0
    best: int = 1  # Section IV-B: "the candidate with the highest positive classification probability"
    found: float = 0.5
    ridge: float = 1000.0

    def __post_init__(self) -> None:
        if self.features not in ("patches", "roi_align"):
            raise ValueError(f"features: expected patches or roi_align, got {self.features!r}")
        if self.activation not in ("cosine", "average", "none"):
            raise ValueError(f"activation: expected cosine, average or none, got {self.activation!r}")
        for name in ("units", "hidden", "remembered", "pairs", "every", "long", "short", "best"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 <= self.border < self.size / 2:
            raise ValueError(f"border: expected at least 0 and less than half of size, {self.size}, got {self.border}")
        if self.mined < self.pairs:
            raise ValueError(f"mined: expected at least pairs, {self.pairs}, got {self.mined}")
        if self.best > self.sampling.candidates:
            raise ValueError(f"best: expected at most sampling.candidates, {self.sampling.candidates}, got {self.best}")
        if self.activation == "none" and (self.coherence or self.compactness):
            raise ValueError("activation: expected cosine or average, as coherence or compactness count, got none")
        if not 0 <= self.negative <= self.positive <= 1:
            raise ValueError(
                f"negative, positive: expected overlaps in [0, 1], in order, got {self.negative}, {self.positive}"
            )
        for name in ("dropout", "momentum", "found"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}: expected a number in [0, 1), got {getattr(self, name)}")
        for name in ("margin", "coherence", "compactness", "weight_decay", "last_rate", "initial_std"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")
        for name in ("clip", "ridge"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")
        vgg_m.side(self.size)  # ValueError where nothing would be left


def steps(config: Config) -> list[Step]:
    """The backbone alone: everything else is learnt online, in each sequence."""
    if config.backbone.weights is None:
        settings = ("backbone", "size", "border", "pretraining")
        return [Step("backbone", learn_backbone, reads=("images",), settings=settings, parallel=True)]
    path = config.backbone.weights
    return [Step("backbone", read_backbone, reads=(), files=(path,), settings=("backbone",), seeded=False)]


def learn_backbone(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Convolutional weights, learnt on still images."""
    return pretraining.learn(
        inputs.data["images"],
        config.backbone,
        config.size,
        config.border,
        config.pretraining,
        inputs.seed,
        inputs.device,
        reporter,
    )


def read_backbone(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Convolutional weights from the file that the settings name."""
    [path] = inputs.files.values()
    return vgg_m.read(path, config.backbone)


def tracker(config: Config, weights: Weights, device: str) -> Tracker:
    """The tracker of these settings, on this backbone's weights."""
    backbone = vgg_m.VGGM(config.backbone)
    backbone.load_state_dict(dict(weights))
    backbone.to(device).eval().requires_grad_(False)
    see = (Patches if config.features == "patches" else Maps)(
        backbone, config.size, config.border, config.backbone.grey, device
    )
    return RMAN(see, config, device)
