"""Pixel-wise object tracking (Song, Li, Wang 2017, "Pixel-wise object tracking").

A global attention model looks at the maps of where the target was, and says where to look next; a local segmentation
model says which pixels there are the target's. Both remember, by convolutional LSTMs. They learn from each other's
mistakes: once trained, they predict videos that they have not seen, and learn again from what they made of these.

    convlstm      Eq. 1                             videos        masks of the training videos as small maps
    segmentation  Figure 2: the local model         clips, rois   Section 3.3: minibatches
    attention     Figure 6: the global model        learning      Section 5.1: the steps
    anchor        Section 4: its spatial transform  locating      where the ROI is: 2-stage, 1-stage, near groundtruth
    losses        Eqs. 2 and 4                      tracking      Algorithm 1
    fcn           Section 3.4: the baseline         pretraining   VGG-16, where no file is named

The steps of one round, each a job:

    maps, backbone, clips     what all folds share
    half-1, half-2            1: the local model on each half of the training videos
    global-0                  2: the global model on groundtruth
    crossed-1-1, crossed-1-2  3: half-1 and half-2 with global-0, each on the other half
    global-1                  4: the global model on their predictions
    local-0, local-1          5: the local model near the groundtruth; then on the ROIs that global-1 gives

With `rounds: 0` nothing is updated. A further round updates the halves' models by the global model's ROIs (half-1-1,
half-2-1), and crosses again.

Where the paper is silent: it gives no optimizer, learning rate, number of iterations, minibatch or length of a clip but
32 frames for the global model; Adam, 1e-4, minibatches of 4 clips and 32 frames for both are ours. So are the
probability of 1/2 at which maps are cut, the dilation of the first mask, the weight of the target's pixels and lambda
in Eq. 4, and beta in Algorithm 1, which is taken to be that of Section 5.3. Cross entropy is the sum over a clip's
pixels, as printed in Eq. 2; beside it total variation hardly counts, unless `cross_entropy` is "mean". Updated models
go on from what they were: "we iteratively adapt our global model and local model" (Section 4). From what the final
local model goes on, the paper does not say, as step 1 trains halves alone; here from one that was trained like them on
all videos, local-0, which is also that of Table 2. Nor does it say which local model is that of 1-stage: here that of
2-stage, the final one, though it has adapted to the ROIs of a global model that 1-stage does not have.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from trackers.backbones import vgg16
from trackers.families.pixelwise import attention, fcn, learning, segmentation
from trackers.families.pixelwise.clips import Drawing
from trackers.families.pixelwise.locating import Centroid, Locator, Near
from trackers.families.pixelwise.pretraining import Pretraining
from trackers.families.pixelwise.rois import ROI
from trackers.families.pixelwise.segmentation import REDUCED
from trackers.families.pixelwise.tracking import Pixelwise, Refined, Segmenter
from trackers.tracker import Tracker
from trackers.training import Inputs, Reporter, Step, Training, Weights

CHOICES = {
    "network": ("ConvLSTM", "FCN"),
    "stages": ("2-stage", "1-stage", "near"),
    "cross_entropy": ("sum", "mean"),
}
# Settings by which clips are seen. A step's settings are a Config by themselves, the others at their defaults: burn_in
# stands beside clips, which must not be shorter.
LOOKING = ("backbone", "size", "roi", "clips", "burn_in", "grown", "map_size")
LEARNING = (*LOOKING, "local", "remembered", "noise", "cross_entropy")  # and the local model learns from them


@dataclass(frozen=True)
class Config:
    """One variant; the defaults are the paper's full method.

    network: what says which pixels are the target's. stages: what says where to look: the global model; the centroid of
    the last map (Eq. 5); or the groundtruth five frames before (Section 5.3), which no tracker may know. The FCN has no
    global model: with 2-stage it looks where 1-stage does. rounds: of steps 3 to 5. size: of a ROI, in pixels;
    map_size: of a map. grown: pixels of the ROI by which the first mask is dilated. noise: whether a frame of each clip
    is another video's (Section 3.3, step 4). remembered: frames of a clip whose gradients are kept at once; None: all.
    training, halves, updating: of the local model on all videos, on halves, and when it goes on with the ROIs of the
    updated global model; attention_training, attention_updating: of the global model, at first and when it goes on.
    anchor_pixels: of the anchor's image; few make a wide edge, over which it is drawn to targets. foreground,
    smoothness, burn_in: see `losses.attention_cost`. dilation: of maps at first, in their pixels each way; it shrinks
    by one every `dilation_shrinks` updates. moved: see `learning.moved`. every: frames from one crossed clip to the
    next. beta: of Algorithm 1 and Section 5.3. cut: the probability above which a pixel is the target's. units,
    refining: of the FCN.
    """

    network: Literal["ConvLSTM", "FCN"] = "ConvLSTM"
    stages: Literal["2-stage", "1-stage", "near"] = "2-stage"
    rounds: int = 1
    backbone: vgg16.Config = field(default_factory=vgg16.Config)
    pretraining: Pretraining = field(default_factory=Pretraining)  # where backbone.weights names no file
    size: int = 224  # Section 3.3
    map_size: int = 224  # Section 2
    roi: ROI = field(default_factory=ROI)
    clips: Drawing = field(default_factory=Drawing)
    grown: int = 7
    local: segmentation.Widths = field(default_factory=segmentation.Widths)
    remembered: int | None = None
    noise: bool = True
    cross_entropy: Literal["sum", "mean"] = "sum"
    training: Training = field(
        default_factory=lambda: Training(batch=4, updates_per_epoch=1000, epochs=40, patience=40, learning_rate=1e-4)
    )
    halves: Training = field(
        default_factory=lambda: Training(batch=4, updates_per_epoch=1000, epochs=20, patience=20, learning_rate=1e-4)
    )
    updating: Training = field(
        default_factory=lambda: Training(batch=4, updates_per_epoch=1000, epochs=20, patience=20, learning_rate=1e-4)
    )
    attention: attention.Widths = field(default_factory=attention.Widths)
    attention_training: Training = field(
        default_factory=lambda: Training(batch=4, updates_per_epoch=1000, epochs=60, patience=60, learning_rate=1e-4)
    )
    attention_updating: Training = field(
        default_factory=lambda: Training(batch=4, updates_per_epoch=1000, epochs=20, patience=20, learning_rate=1e-4)
    )
    anchor_pixels: int = 32
    foreground: float = 10.0
    smoothness: float = 1e-4
    burn_in: int = 5  # i of Eq. 4
    dilation: int = 4
    dilation_shrinks: int = 10_000  # Section 5.1, step 2
    moved: float = 0.0
    every: int = 32
    beta: float = 0.8
    cut: float = 0.5
    units: int = 4096
    refining: fcn.Refining = field(default_factory=fcn.Refining)

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}")
        for name, least in (("grown", 0), ("dilation", 0), ("rounds", 0), ("anchor_pixels", 2), ("burn_in", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected at least {least}, got {getattr(self, name)}")
        for name in ("every", "dilation_shrinks", "units"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.remembered is not None and self.remembered < 1:
            raise ValueError(f"remembered: expected at least 1 frame, got {self.remembered}")
        if self.size < 2 * REDUCED or self.size % REDUCED:
            raise ValueError(f"size: expected a multiple of {REDUCED}, from {2 * REDUCED} on, got {self.size}")
        reduced = math.lcm(2 ** len(self.attention.convolutions), 16)  # 16 by the default ones, see LOOKING
        if self.map_size < reduced or self.map_size % reduced:
            raise ValueError(f"map_size: expected a multiple of {reduced}, got {self.map_size}")
        if self.burn_in > self.clips.length:
            raise ValueError(f"burn_in: expected at most clips.length, {self.clips.length}, got {self.burn_in}")
        least = min(self.training.batch, self.halves.batch, self.updating.batch)
        if self.network == "ConvLSTM" and self.noise and least < 2:
            raise ValueError("noise: expected minibatches of 2 clips or more, as noise frames are of another, got 1")
        for name in ("foreground", "smoothness", "moved"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")
        if not 0 < self.cut < 1:
            raise ValueError(f"cut: expected a probability in (0, 1), got {self.cut}")
        if not 0 < self.beta <= 1:
            raise ValueError(f"beta: expected a share in (0, 1], got {self.beta}")


def caveat(config: Config) -> str | None:
    """What every table that shows it must say."""
    if config.stages != "near":
        return None
    return (
        f"the ROI of each frame is near the groundtruth (frames late: {config.roi.delay}; the paper: 5) and as large "
        "as the target asks for: no tracker may know that. It says how well the target is cut out where the ROI is "
        "right."
    )


def steps(config: Config) -> list[Step]:
    """Section 5.1; see the module."""
    shared = _shared(config)
    if config.network == "FCN":
        own = [
            _step("fcn", learning.train_fcn, (*_seen(config), "backbone"), (*LOOKING, "network", "units", "training"))
        ]
    elif config.rounds == 0:
        own = [_local_0(config)]
        if config.stages == "2-stage":
            own.append(_global_0())
    else:
        own = _rounds(config)
    last = tuple(dict.fromkeys(("backbone", *_used(config))))
    return [*shared, *own, Step("tracker", join, last, reads=(), settings=(), seeded=False)]


def _shared(config: Config) -> list[Step]:
    path = config.backbone.weights
    if path is None:
        learnt = ("backbone", "size", "pretraining")
        network = Step("backbone", learning.learn_backbone, reads=("images",), settings=learnt, parallel=True)
    else:
        read = learning.read_backbone
        network = Step("backbone", read, reads=(), files=(path,), settings=("backbone",), seeded=False)
    maps = Step("maps", learning.pack_maps, reads=("videos",), settings=("map_size",), seeded=False, prepares=True)
    if config.clips.prepared is None:
        return [maps, network]
    clips = Step("clips", learning.prepare_clips, ("maps", "backbone"), ("videos",), settings=LOOKING, prepares=True)
    return [maps, network, clips]


def _seen(config: Config) -> tuple[str, ...]:
    """The steps that learning from ROIs near the groundtruth needs."""
    return ("maps", "backbone") if config.clips.prepared is None else ("maps", "clips")


def _step(
    name: str,
    run: Callable[[Inputs, Config, Reporter], Weights],
    needs: tuple[str, ...],
    settings: tuple[str, ...],
    parallel: bool = True,
) -> Step:
    return Step(name, run, tuple(dict.fromkeys(needs)), ("videos",), settings=settings, parallel=parallel)


ATTENTION = ("map_size", "attention", "attention_training", "anchor_pixels", "foreground", "smoothness", "burn_in")
MOVING = (*ATTENTION, "clips", "moved", "dilation", "dilation_shrinks")  # of maps


def _local_0(config: Config) -> Step:
    return _step("local-0", learning.train_local, _seen(config), (*LEARNING, "training"))


def _global_0() -> Step:
    return _step("global-0", learning.train_global, ("maps",), MOVING)


def _rounds(config: Config) -> list[Step]:
    halves = {number: f"half-{number}" for number in (1, 2)}
    early, tracking = (*LEARNING, "halves"), (*LOOKING, "local", "attention", "beta", "cut")
    steps = [
        *(_step(name, partial(learning.train_half, number), _seen(config), early) for number, name in halves.items()),
        _local_0(config),
        _global_0(),
    ]
    for round in range(1, config.rounds + 1):
        own = ("rounds",) if round > 1 else ()  # such steps are no part of fewer rounds
        crossed = {number: f"crossed-{round}-{number}" for number in halves}
        before, after = f"global-{round - 1}", f"global-{round}"
        for number, name in crossed.items():
            needs = ("maps", "backbone", halves[number], before)
            cross = partial(learning.cross, number)  # it learns nothing
            steps.append(_step(name, cross, needs, (*tracking, *own, "every"), parallel=False))
        steps.append(
            _step(
                after,
                learning.update_global,
                ("maps", before, *crossed.values()),
                (*MOVING, *own, "attention_updating"),
            )
        )
        tracked = ("maps", "backbone", after, *crossed.values())
        updating = (*LEARNING, "attention", "beta", "rounds", "updating")
        if round == config.rounds:
            update = partial(learning.update_local, round)
            steps.append(_step(f"local-{round}", update, (*tracked, "local-0"), updating))
        else:
            for number, name in halves.items():
                halves[number] = f"half-{number}-{round}"
                update = partial(learning.update_half, number, round)
                steps.append(_step(halves[number], update, (*tracked, name), updating))
    return steps


def _used(config: Config) -> tuple[str, ...]:
    """The steps whose models track."""
    if config.network == "FCN":
        return ("fcn",)
    pointing = (f"global-{config.rounds}",) if config.stages == "2-stage" else ()
    return (f"local-{config.rounds}", *pointing)


def join(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """All models of a tracker in one: names begin with "backbone.", "local.", "global." or "fcn."."""
    return {
        f"{step.partition('-')[0]}.{name}": weight
        for step, weights in inputs.weights.items()
        for name, weight in weights.items()
    }


def tracker(config: Config, weights: Weights, device: str) -> Tracker:
    """The tracker of these settings and weights."""
    parts: dict[str, dict] = {}
    for name, weight in weights.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = weight
    if config.stages == "2-stage" and config.network == "ConvLSTM":
        return learning.two_stage(config, parts["backbone"], parts["local"], parts["global"], device)
    locator: Locator = Near(config.roi, config.beta) if config.stages == "near" else Centroid(config.roi)
    segmenter: Segmenter
    if config.network == "FCN":
        baseline = learning.fcn_model(config)
        baseline.load_state_dict(parts["fcn"])
        segmenter = Refined(baseline, config.refining, device)
    else:
        segmenter = learning.recurrent(config, parts["local"], device)
    network = learning.backbone(config, parts["backbone"], device)
    return Pixelwise(network, segmenter, locator, config.roi, config.size, config.grown, config.cut, device)
