"""ROLO at the paper's widths: training from the cache against seeing each frame again; tracking, one lane and 32."""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from orchestrator.speed.goturn import sequences
from trackers import features
from trackers.backbones import yolo as network
from trackers.evaluation.clips import picked
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass
from trackers.evaluation.speed import Stopwatch, TimedTracker, wait_for_gpu
from trackers.extractors import Extractor, Remembering, yolo
from trackers.families.rolo import Config, squared_distance, tracker
from trackers.families.rolo.network import Model
from trackers.families.rolo.windows import Windows, video
from trackers.features import Features
from trackers.sequence import Frames, Sequence

LANES, LENGTH, SIZE = 32, 8, (320, 240)  # sequences, frames of each, and their size
TRACKED = 3  # of these frames
STEPS = 6  # frames of a window
PAPERS = yolo.Config(network=network.Config("small"))
BATCHES = {1: None, 16: None, 32: 20.0}  # windows of a minibatch: the paper's, its authors' later code's, twice that
SAMPLES = yolo.Config(network=network.Config("miniature", width=0.125, grid=5, features=400))
SAMPLES_BATCHES = {32: None}
PAPER = {"end to end": 20.0, "LSTM alone": 60.0}  # frames per second, on a GPU (Section 4)


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Training sequences per second, windows of 6 frames; and frames per second of tracking, decoding apart.

    YOLO-small sees 448 x 448 pixels and has random weights, but its last layer says where the target is. Both
    sides of training make the same updates of the same LSTM, 134 million weights and Adam; one reads features from
    the cache, the other runs our detector on all of a minibatch's frames, decoded from memory. Minibatches alone
    are these, without the update. Training is also measured at the widths of the sample's parameters. In tracking
    the LSTM alone reads what YOLO sees from the cache. What takes a minute is done once in five repeats. Two
    threads, or a GPU where there is one.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with tempfile.TemporaryDirectory() as folder:
            videos = sequences(LANES, LENGTH, SIZE)
            rows = []
            for name, config, batches in (("paper", PAPERS, BATCHES), ("sample", SAMPLES, SAMPLES_BATCHES)):
                see = yolo.extractor(config, pointing(config.network), device)
                cache = seen(videos, see, Path(folder) / name)
                for batch, target in batches.items():
                    rows += _training(f"{name}'s widths", videos, see, cache, batch, target, device, repeats)
                if name == "paper":
                    rows += _tracking(videos, see, cache, device, repeats)
            return rows
    finally:
        torch.set_num_threads(threads)


def pointing(config: network.Config) -> dict[str, Tensor]:
    """Random weights of these settings that say: in the middle is a box, a quarter of the image wide and high."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = network.YOLO(config)
    with torch.no_grad():
        last = cast(torch.nn.Linear, model.connected[-1])
        last.weight.zero_()
        classes, confidences, boxes = model.split(last.bias[None])
        middle = config.grid // 2
        classes[0, middle, middle, 0] = confidences[0, middle, middle, 0] = 1
        boxes[0, middle, middle, 0] = 0.5  # the middle of the cell, and square roots of sides
    return dict(model.state_dict())


def seen(videos: list[Sequence], see: Extractor, root: Path) -> Features:
    """A cache of what is seen in these videos; they have the same frames, at which the extractor looks once."""
    images = [videos[0].frames[t] for t in range(len(videos[0]))]
    found = see(images)
    parts = (features.part(video.name, zip(images, found, strict=True)) for video in videos)
    features.write(root, {}, parts)
    return Features(root)


@dataclass(frozen=True)
class SeenAgain:
    """Features of a sequence's frames (T, D) without a cache: the extractor looks at them whenever they are read."""

    see: Extractor
    frames: Frames

    def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
        return np.stack([seen.features for seen in self.see([self.frames[t] for t in numbers])])


def windows(videos: list[Sequence], cache: Features, batch: int, see: Extractor | None = None) -> Windows:
    """Windows of these videos, each of as many different frames; features from the cache, or seen again."""
    learnt = []
    for one in videos:
        whole = video(one, cache[one.name], "all", STEPS, iou_min=0.3, released=False)
        assert whole is not None
        read = whole.features if see is None else cast(np.ndarray, SeenAgain(see, one.frames))
        learnt.append(replace(whole, features=read, ends=whole.ends[STEPS - 1 :], targets=whole.targets[STEPS - 1 :]))
    return Windows(learnt, STEPS, batch, seed=0)


def _training(
    name: str,
    videos: list[Sequence],
    see: Extractor,
    cache: Features,
    size: int,
    target: float | None,
    device: str,
    repeats: int,
) -> list[dict[str, Any]]:
    model = Model(cache.size).to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-5, fused=True)

    def update(visual: Tensor, detections: Tensor, locations: Tensor) -> None:
        said = model(model.inputs(visual, detections)).location
        assert said is not None
        optimizer.zero_grad(set_to_none=True)
        squared_distance(said, locations).backward()
        optimizer.step()

    sides = {"ours": windows(videos, cache, size), "other": windows(videos, cache, size, see)}
    making: dict[str, list[float]] = {side: [] for side in sides}  # sequences a second, in minibatches alone
    learning: dict[str, list[float]] = {side: [] for side in sides}  # and with updates
    for repeat in range(repeats + 1):
        for side, some in sides.items():
            if side == "other" and not _is_slow_turn(repeat):
                continue
            watch = Stopwatch(wait_for_gpu)
            batch = watch.time(some.batch, repeat, device)
            made = size / watch.seconds
            watch.time(update, *batch)
            if repeat:  # the first turn is to warm up
                making[side].append(made)
                learning[side].append(size / watch.seconds)
    what = f"minibatches of {size}, {name}, from the cache, against running the detector"
    return [
        _row(f"training, {what}", learning["ours"], learning["other"], "sequences/s", target),
        _row(f"making {what}", making["ours"], making["other"], "sequences/s", None),
    ]


def _tracking(
    videos: list[Sequence], see: Extractor, cache: Features, device: str, repeats: int
) -> list[dict[str, Any]]:
    config = Config(steps=STEPS)
    weights = Model(cache.size).state_dict()
    short = [picked(one, range(TRACKED)) for one in videos]
    trackers = {
        "end to end": tracker(config, weights, device, see),
        "LSTM alone": tracker(config, weights, device, Remembering(lambda: see, cache)),
    }
    rates: dict[tuple[str, int], list[float]] = {(name, lanes): [] for name in trackers for lanes in (1, LANES)}
    for repeat in range(repeats + 1):
        for (name, lanes), rate in rates.items():
            if name == "end to end" and lanes > 1 and not _is_slow_turn(repeat):
                continue
            watch = Stopwatch(wait_for_gpu)
            timed = TimedTracker(trackers[name], watch)
            for _ in follow(timed, one_pass, short[:lanes], lanes, readers=0):
                pass
            if repeat:
                rate.append(timed.frames / watch.seconds)
    rows = [
        _row(f"tracking, {name}, {LANES} lanes against one", rates[name, LANES], rates[name, 1], "frames/s", None)
        for name in trackers
    ]
    rows += [
        _row(f"tracking, {name}, one lane, against the paper on its GPU", rates[name, 1], [paper], "frames/s", None)
        for name, paper in PAPER.items()
    ]
    return rows


def _is_slow_turn(repeat: int) -> bool:
    """Whether what takes a minute has its turn: the first of five, and not to warm up."""
    return repeat % 5 == 1


def _row(what: str, ours: list[float], other: list[float], unit: str, target: float | None) -> dict[str, Any]:
    medians = statistics.median(ours), statistics.median(other)
    return {
        "what": what,
        "ours": medians[0],
        "other": medians[1],
        "unit": unit,
        "ratio": medians[0] / medians[1],
        "target": target,
    }
