"""GOTURN at the paper's widths: tracking against a plain port of it, one lane and 32; examples to train it on."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from trackers import families
from trackers.backbones import alexnet
from trackers.benchmarks.collection import Collection
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass
from trackers.evaluation.speed import Stopwatch, TimedFrames, TimedTracker, wait_for_gpu
from trackers.families.goturn.examples import Examples
from trackers.families.goturn.motion import Motion, draw
from trackers.families.goturn.network import Model
from trackers.families.goturn.packed import Pack, pack_images, pack_videos
from trackers.sequence import Image, Sequence
from trackers.tracker import SingleTracker, Tracker
from trackers.training import Silent

LANES, LENGTH = 32, 8  # sequences, frames of each
SIZES = ((320, 240), (640, 480))
PAPER = 165.0  # frames per second, on a GPU (Section 3.4)
BACKBONES = {
    "CaffeNet": alexnet.Config(),
    "torchvision's AlexNet": alexnet.Config("torchvision", (64, 192, 384, 256, 256)),
}
BATCHES = 20  # of 50 training examples


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Frames per second of tracking, reading and decoding of frames apart; and training examples per second.

    Weights are random, but the last ones are 0 and say that targets stay, so that crops keep their size. The port
    crops with OpenCV and tracks one video at a time, in the better of one thread and two; it is CaffeNet as
    torch's own layers make it, and AlexNet as torchvision has it. Ours has two threads. On a GPU, where there is
    one, ours is held against the paper's.
    """
    rows = []
    for name, backbone in BACKBONES.items():
        for size in SIZES:
            rows += _tracking(f"{name}, {size[0]} x {size[1]}", backbone, size, repeats)
    return [*rows, _training(repeats)]


@dataclass(frozen=True)
class Jpegs:
    """Frames encoded, in memory; decoded when asked for."""

    files: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, t: int) -> Image:
        return cv2.cvtColor(cv2.imdecode(self.files[t], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def encoded(self, t: int) -> bytes:
        """The file of a frame."""
        return self.files[t].tobytes()


def sequences(count: int, length: int, size: tuple[int, int], seed: int = 0) -> list[Sequence]:
    """As many videos, width x height, of clouds, whose target, a quarter of either side, stays."""
    rng = np.random.default_rng(seed)
    width, height = size
    encoded = []
    for _ in range(length):
        coarse = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
        image = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
        encoded.append(cv2.imencode(".jpg", cv2.add(image, rng.integers(0, 24, image.shape, dtype=np.uint8)))[1])
    box = np.tile([width * 3 / 8, height * 3 / 8, width / 4, height / 4], (length, 1))
    return [Sequence(f"cloud{i}", Jpegs(tuple(encoded)), box, size=size) for i in range(count)]


class Port:
    """GOTURN as one writes it down: one video; two crops, by OpenCV; each stream by itself; float32."""

    def __init__(self, layers: nn.Sequential, head: nn.Sequential, caffe: bool, size: int) -> None:
        self.layers = layers
        self.head = head
        self.caffe = caffe
        self.size = size

    def initialize(self, image: Image, region: np.ndarray) -> None:
        self.box, self.previous = region, image

    @torch.no_grad()
    def update(self, image: Image) -> np.ndarray:
        x, y, width, height = self.box
        left, top = int(x - width / 2), int(y - height / 2)
        columns, rows = max(1, int(np.ceil(2 * width))), max(1, int(np.ceil(2 * height)))
        target = self.layers(self._crop(self.previous, left, top, columns, rows)).flatten(1)
        search = self.layers(self._crop(image, left, top, columns, rows)).flatten(1)
        corners = self.head(torch.cat([target, search], 1))[0].double().numpy() / 10
        x0, y0, x1, y1 = corners * [columns, rows, columns, rows] + [left, top, left, top]
        x0, x1 = np.clip([x0, x1], 0, image.shape[1])
        y0, y1 = np.clip([y0, y1], 0, image.shape[0])
        self.box, self.previous = np.array([x0, y0, max(x1 - x0, 1), max(y1 - y0, 1)]), image
        return self.box

    def _crop(self, image: Image, left: int, top: int, columns: int, rows: int) -> Tensor:
        height, width = image.shape[:2]
        crop = np.zeros((rows, columns, 3), np.uint8)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + columns, width), min(top + rows, height)
        if x1 > x0 and y1 > y0:
            crop[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
        resized = cv2.resize(crop, (self.size, self.size)).astype(np.float32)
        if self.caffe:
            resized = resized[..., ::-1] - np.array([104, 117, 123], np.float32)
        else:
            resized = (resized / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        return torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1), np.float32))[None]  # (1, 3, S, S)


def port(config: Any, weights: dict[str, Tensor]) -> Tracker:
    """The port, with the weights of our own tracker of these settings."""
    caffe, inputs = config.backbone.layout == "caffenet", 3
    layers: list[nn.Module] = []
    paddings, groups = (0 if caffe else 2, 2, 1, 1, 1), (1, 2, 1, 2, 2) if caffe else (1, 1, 1, 1, 1)
    for i, outputs in enumerate(config.backbone.widths):
        conv = nn.Conv2d(inputs, outputs, (11, 5, 3, 3, 3)[i], 4 if i == 0 else 1, paddings[i], groups=groups[i])
        conv.load_state_dict({part: weights[f"backbone.conv{i + 1}.{part}"] for part in ("weight", "bias")})
        layers += [conv, nn.ReLU(inplace=True)]
        if i in (0, 1, 4):
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=caffe))
        if i in (0, 1) and caffe:
            layers.append(nn.LocalResponseNorm(5, 1e-4, 0.75))
        inputs = outputs
    head: list[nn.Module] = []
    for name in ("fc6", "fc7", "fc7b", "fc8"):
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.load_state_dict({"weight": weight, "bias": bias})
        head += [linear, nn.ReLU(inplace=True), nn.Dropout()]
    one = Port(nn.Sequential(*layers).eval(), nn.Sequential(*head[:-2]).eval(), caffe, config.size)
    return SingleTracker(lambda: one)  # one video at a time


def still(config: Any) -> dict[str, Tensor]:
    """Random weights of these settings that say: the target has not moved."""
    model = Model(config.backbone, config.size, config.units)
    nn.init.zeros_(model.fc8.weight)
    with torch.no_grad():
        model.fc8.bias.copy_(torch.tensor([2.5, 2.5, 7.5, 7.5]))
    return dict(model.state_dict())


@dataclass
class Rates:
    """Frames per second, turn by turn: in the tracker alone, and with decoding."""

    tracking: list[float] = field(default_factory=list)
    in_all: list[float] = field(default_factory=list)

    def add(self, tracker: Tracker, videos: list[Sequence], lanes: int, threads: int) -> None:
        """Another turn."""
        torch.set_num_threads(threads)
        decoding, working = Stopwatch(), Stopwatch(wait_for_gpu)
        timed = TimedTracker(tracker, working)
        watched = [replace(video, frames=TimedFrames(video.frames, decoding)) for video in videos]
        for _ in follow(timed, one_pass, watched, lanes, readers=0):
            pass
        updates = sum(len(video) - 1 for video in videos)
        self.tracking.append(updates / working.seconds)
        self.in_all.append(updates / (working.seconds + decoding.seconds))


def _tracking(what: str, backbone: alexnet.Config, size: tuple[int, int], repeats: int) -> list[dict[str, Any]]:
    family = families.find("goturn")
    config = family.Config(backbone=backbone)
    weights = still(config)
    on_gpu = torch.cuda.is_available()
    ours, plain = family.tracker(config, weights, "cuda" if on_gpu else "cpu"), port(config, weights)
    videos = sequences(LANES, LENGTH, size)
    turns: dict[str, tuple[Tracker, list[Sequence], int, int]] = {
        "one": (ours, videos[:2], 1, 2),
        "many": (ours, videos, LANES, 2),
        "port, 1 thread": (plain, videos[:2], 1, 1),
        "port, 2 threads": (plain, videos[:2], 1, 2),
    }
    rates = {name: Rates() for name in turns}
    threads = torch.get_num_threads()
    try:
        for repeat in range(repeats + 1):
            for name, turn in turns.items():
                (rates[name] if repeat else Rates()).add(*turn)  # the first turn is to warm up
    finally:
        torch.set_num_threads(threads)
    best = max(("port, 1 thread", "port, 2 threads"), key=lambda name: statistics.median(rates[name].tracking))
    rows = []
    for name, lanes, target in (("one", "one lane", 1.5), ("many", f"{LANES} lanes", 2.5)):
        against = f"{what}, {lanes}, against a {best}"
        rows += [
            _row(f"tracking, {against}", rates[name].tracking, rates[best].tracking, "frames/s", target),
            _row(f"decoding and tracking, {against}", rates[name].in_all, rates[best].in_all, "frames/s", None),
        ]
    if on_gpu:
        rows.append(
            _row(
                f"tracking, {what}, {LANES} lanes, against the paper", rates["many"].tracking, [PAPER], "frames/s", 10.0
            )
        )
    return rows


def _training(repeats: int) -> dict[str, Any]:
    """Minibatches of the paper's 50 examples, from frames of 640 x 480 pixels."""
    videos = Collection("clouds", tuple(sequences(8, LENGTH, SIZES[1])))
    packs = Pack(pack_videos(videos, Silent())), Pack(pack_images(videos, Silent()))
    examples = Examples(*packs, Motion(), seed=0)
    loop = ExamplesOneByOne(videos.sequences)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    threads = torch.get_num_threads()
    ours: list[float] = []
    other: list[float] = []
    torch.set_num_threads(2)
    try:
        for repeat in range(repeats + 1):
            seconds = [
                _seconds(lambda: [examples.batch(update, device) for update in range(BATCHES)]),
                _seconds(lambda: [loop.batch() for _ in range(BATCHES)]),
            ]
            if repeat:
                ours.append(BATCHES * 50 / seconds[0])
                other.append(BATCHES * 50 / seconds[1])
    finally:
        torch.set_num_threads(threads)
    return _row("training examples, against a loop of OpenCV's", ours, other, "examples/s", 5.0)


class ExamplesOneByOne:
    """Training examples as one writes them down: frames decoded, each crop cut, resized and made a tensor."""

    def __init__(self, videos: tuple[Sequence, ...], crops: int = 10, size: int = 227) -> None:
        self.videos = videos
        self.crops = crops
        self.cropping = Port(nn.Sequential(), nn.Sequential(), caffe=True, size=size)
        self.rng = np.random.default_rng(0)
        self.waiting: list[tuple[Tensor, Tensor, np.ndarray]] = []

    def batch(self, count: int = 50) -> tuple[Tensor, Tensor, Tensor]:
        """Targets and searches (count, 3, S, S), corners (count, 4)."""
        while len(self.waiting) < count:
            self._pair()
        targets, searches, corners = zip(*self.waiting[:count], strict=True)
        del self.waiting[:count]
        return torch.cat(targets), torch.cat(searches), torch.from_numpy(np.stack(corners))

    def _pair(self) -> None:
        video = self.videos[self.rng.integers(len(self.videos))]
        t = int(self.rng.integers(len(video) - 1))
        before, after = video.frames[t], video.frames[t + 1]
        sizes = np.array([after.shape[1::-1]])
        moved = draw(Motion(), video.groundtruth[t + 1][None], sizes, self.crops, self.rng)[0]  # (crops, 4)
        for around in [video.groundtruth[t], *moved]:
            target, _ = self._crop(before, video.groundtruth[t])
            search, (left, top, columns, rows) = self._crop(after, around)
            x, y, width, height = video.groundtruth[t + 1] - [left, top, 0, 0]
            corners = np.array([x, y, x + width, y + height]) / [columns, rows, columns, rows]
            self.waiting.append((target, search, corners))

    def _crop(self, image: Image, box: np.ndarray) -> tuple[Tensor, tuple[int, int, int, int]]:
        x, y, width, height = box
        window = int(x - width / 2), int(y - height / 2), int(np.ceil(2 * width)), int(np.ceil(2 * height))
        return self.cropping._crop(image, *window), window


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    wait_for_gpu()
    return time.perf_counter() - start


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
