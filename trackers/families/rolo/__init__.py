"""ROLO (Ning et al. 2016, "Spatially Supervised Recurrent Convolutional Neural Networks for Visual Object Tracking").

A detector, YOLO, looks at each frame; of its detections one is assigned to the target. An LSTM regresses, from its
4096 visual features and that detection, frame after frame, where the target is. It learns this offline, from what
the detector saw in whole data sets, which is cached (`trackers.features`), and never again.

    assignment  Section 2.2                   network   Sections 2.1, 3.2, 3.3: the LSTM
    windows     Sections 3.2, 4.3: examples   heatmaps  Section 3.3
    tracking    ROLO, YOLO alone, YOLO+SORT   kalman    SORT's filter

Settings of one variant each: steps (Figure 9), heatmaps (Section 3.3), what was tried and dropped (`dropout`,
`offset`, `auxiliary`; Section 4.4), and two stacked LSTMs (Section 5).

Where the paper is silent, this is as the authors' code has it: the state is the prediction, with no output layer;
forget gates begin open; Adam at a learning rate of 1e-5, one window a batch, 200 passes (experiment 3).
Readings of ours: the short-term history is as long as the LSTM's, 6 validated detections, however old they are; the
least IoU is 0.3, SORT's; groundtruth takes the mean's place until a first detection is validated. So the mean is that
of 3.5 frames ago, and even perfect detections of a target that moves, frame by frame, by more than 0.15 of its width,
or 0.09 of both of its sides, are no longer assigned. A frame before a run's first is the first; "1/3 frames" are the
first third, as in the code; "1/3 ground truths" are those of every third frame, so many labels in both; a box is the
part of a heatmap above half of its maximum.

The released code shows its tracker what no tracker may know: `released` is that, and off. Training and test take
the detection that overlaps most with the groundtruth of every frame, however little; a window's target is its last
but one frame, so that each answer has seen one frame ahead; class and probability of the detection are in B_t. Its
score is in `trackers.evaluation.ope`, as `released_overlap`: wrong, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from trackers.extractors import Extractor
from trackers.families.rolo import heatmaps
from trackers.families.rolo.assignment import ByHistory
from trackers.families.rolo.network import B, Model, Regress
from trackers.families.rolo.tracking import ROLO, SORT, YOLO
from trackers.families.rolo.windows import LearnFrom, Windows, video
from trackers.tracker import Tracker
from trackers.training import Inputs, Reporter, Step, Training, Weights, fit

CHOICES = {
    "method": ("rolo", "yolo", "sort"),
    "regress": ("location", "heatmap", "both"),
    "learn_from": ("all", "first_third", "every_third"),
}


@dataclass(frozen=True)
class Config:
    """One variant; the defaults are the paper's full method, in its third experiment.

    extractor: the network to see through, of those that the parameters name. method: yolo and sort are the
    baselines, the detector alone and with SORT's Kalman filter. learn_from: the labels of Section 4.3's experiments:
    all of them (1), those of the first third of each video, which is all that is seen of it (2), those of every
    third frame, with all frames (3). history, iou_min: see `assignment`. side: of heatmaps, in cells. offset: of
    detections while training, at most, in their widths and heights. auxiliary: weight of a cost on the visual part
    of the last state, its mean square, so that the state is to tell of the detection. released: as the released
    code has it, which knows the groundtruth; see the module.
    """

    extractor: str = "yolo"
    method: Literal["rolo", "yolo", "sort"] = "rolo"
    regress: Regress = "location"  # Sections 3.2, 3.3; "both": Section 5
    steps: int = 6  # Section 4.4
    learn_from: LearnFrom = "every_third"
    history: int = 6
    iou_min: float = 0.3
    side: int = 32  # Section 3.3
    dropout: float = 0.0  # of visual features
    offset: float = 0.0
    auxiliary: float = 0.0
    released: bool = False
    training: Training = field(
        default_factory=lambda: Training(  # an epoch: a third of the 14,698 frames of OTB-30
            batch=1, updates_per_epoch=4900, epochs=200, patience=200, learning_rate=1e-5, report_every=980
        )
    )

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}")
        if not self.extractor:
            raise ValueError("extractor: expected the name of an extractor, got an empty one")
        for name in ("steps", "history", "side"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 < self.iou_min <= 1:
            raise ValueError(f"iou_min: expected a share in (0, 1], got {self.iou_min}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: expected a share in [0, 1), got {self.dropout}")
        for name in ("offset", "auxiliary"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name)}")


def extractor(config: Config) -> str:
    """The extractor that its trackers see through."""
    return config.extractor


def caveat(config: Config) -> str | None:
    """What every table that shows it must say."""
    if not config.released:
        return None
    ahead = ", and each answer has seen the next frame" if config.method == "rolo" else ""
    return (
        "as in ROLO's released code, the detection of every frame, the first to the last, is chosen by the groundtruth"
        f"{ahead}: no tracker may know that, and no score here is comparable with it."
    )


def measures(config: Config) -> tuple[str, ...]:
    """What it is judged by besides: the released code's average overlap, of what is as in that code."""
    return ("released_overlap",) if config.released else ()


def steps(config: Config) -> list[Step]:
    """One, of the LSTM; the baselines learn nothing."""
    return [Step("train", train, parallel=True)] if config.method == "rolo" else []


def train(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Section 3.2: Adam on windows whose features are in the cache."""
    training, features = config.training, inputs.features["train"]
    videos = [
        video(sequence, features[sequence.name], config.learn_from, config.history, config.iou_min, config.released)
        for sequence in inputs.data["train"]
    ]
    windows = Windows(
        [each for each in videos if each is not None],
        config.steps,
        training.batch,
        config.offset,
        config.dropout,
        seed=inputs.seed,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs.seed)
        model = Model(features.size, config.regress, config.side)
    model.to(inputs.device)

    def costs(visual: Tensor, detections: Tensor, locations: Tensor) -> dict[str, Tensor]:
        said = model(model.inputs(visual, detections))
        parts = {}
        if said.location is not None:
            parts["location"] = squared_distance(said.location, locations)  # Eq. 4
        if said.heatmap is not None:
            parts["heatmap"] = squared_distance(said.heatmap, heatmaps.drawn(locations, config.side))  # Eq. 5
        if config.auxiliary:
            parts["visual"] = config.auxiliary * said.visual.square().mean()
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    capture = training.capture and inputs.device != "cpu"
    optimizer = torch.optim.Adam(model.parameters(), training.learning_rate, fused=True, capturable=capture)
    return fit(model, optimizer, partial(windows.batch, device=inputs.device), costs, training, reporter)


def squared_distance(predicted: Tensor, true: Tensor) -> Tensor:
    """Eqs. 4 and 5: the squared Euclidean distance of (N, K), in the mean over the N samples -> a scalar."""
    return (predicted - true).square().sum(-1).mean()


def tracker(config: Config, weights: Weights, device: str, see: Extractor) -> Tracker:
    """The tracker of these settings and weights; the extractor's weights are in `see`."""
    rule = None if config.released else partial(ByHistory, history=config.history, iou_min=config.iou_min)
    if config.method == "yolo":
        return YOLO(see, rule)
    if config.method == "sort":
        return SORT(see, config.released)
    lstm = "by_heatmap" if config.regress == "heatmap" else "by_location"
    others = config.side**2 if config.regress == "heatmap" else B
    model = Model(weights[f"{lstm}.weight_ih_l0"].shape[1] - others, config.regress, config.side)
    model.load_state_dict(dict(weights))
    return ROLO(model, see, rule, config.steps, device)
