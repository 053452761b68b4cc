"""RMAN (Pu et al. 2020, "Learning Recurrent Memory Activation Networks for Visual Tracking")."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Sampling:
    """How boxes are drawn around a target; shifts are in shares of its mean side, and scales are factors.

    candidates: where the target is looked for; lost: the shift while it is. positives, negatives: what the heads learn
    from. whole: negatives of the first frame all over it. regression: what the box regressor learns from.
    """

    candidates: int = 256  # N_2 (Section V-A)
    shift: float = 0.6  # and all below: MDNet's and DAT's, see the facts
    lost: float = 1.5
    scale: float = 1.05
    first_positives: int = 500  # with the negatives N_1 = 5500 (Section V-A)
    first_negatives: int = 5000
    positives: int = 51  # with the negatives N_2 = 256 (Section IV-C)
    negatives: int = 205
    regression: int = 1000


@dataclass(frozen=True)
class Config:
    """One variant; the defaults are the paper's full method."""

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
    sampling: Sampling = field(default_factory=Sampling)
    mined: int = 1024  # negatives of which the hardest `pairs` are learnt from
    first: Learning = field(default_factory=lambda: Learning(50, 2e-4))
    update: Learning = field(default_factory=lambda: Learning(15, 3e-4))
    every: int = 10  # N_3
    long: int = 100  # frames whose positives are kept
    short: int = 20  # frames whose negatives are kept
    dropout: float = 0.5
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip: float = 10.0  # norm of a lane's gradients
    last_rate: float = 10.0  # how much faster the last layer learns
    best: int = 1  # candidates, of whose boxes the mean is taken (Section IV-B: "the highest")
    found: float = 0.5  # probability above which the best candidate is taken for the target
    ridge: float = 1000.0  # of the box regression


def steps(config: Config) -> list[Step]:
    """The backbone alone: everything else is learnt online, in each sequence."""
    if config.backbone.weights is None:
        settings = ("backbone", "size", "border", "pretraining")
        return [Step("backbone", learn_backbone, reads=("images",), settings=settings)]
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
