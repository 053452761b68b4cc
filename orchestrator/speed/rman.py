"""RMAN at the paper's widths, patch by patch and by ROI align, against a plain port of it; many lanes; overlaps."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from orchestrator.speed import rman_overlap
from orchestrator.speed.rman_port import Port
from trackers import families
from trackers.backbones import vgg_m
from trackers.evaluation.speed import Stopwatch, wait_for_gpu
from trackers.families.rman import Config
from trackers.families.rman.tracking import RMAN, Dice
from trackers.sequence import Image
from trackers.tracker import SingleTracker, Tracker

LANES, SIZE, SIDE = 8, (640, 360), 60  # lanes; of frames and target, in pixels
PAPERS = Config()
VARIANTS = {
    "RMAN, patch by patch": PAPERS,
    "RMAN, by ROI align": replace(PAPERS, features="roi_align"),
}
TARGETS = {"RMAN, patch by patch": (4.0, 4.0), "RMAN, by ROI align": (20.0, 15.0)}  # first frame, later ones
PAPERS_RATE, TARGET_ON_GPU = 1.0, 25.0  # frames per second: "1 FPS", on a GTX 1080 (Section V-A)


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Seconds of the first frame, and frames per second of those after it, an update every ten among them.

    Weights are random, scaled so that conv3's responses have the size of a trained network's; a patch of clouds moves
    over others. Ours and the port draw the same numbers of samples and learn in as many iterations; in two threads.
    As the port needs minutes, all is done once in five repeats. On a GPU, where there is one, ours is held against the
    paper's speed, too. Where the last run here has trained RMAN, overlaps are said last, see `rman_overlap`.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        rows = _against_port(-(-repeats // 5))
        if torch.cuda.is_available():
            rows += _on_gpu(repeats)
        return rows + rman_overlap.rows()
    finally:
        torch.set_num_threads(threads)


def video(length: int, size: tuple[int, int] = SIZE, side: int = SIDE, seed: int = 0) -> tuple[list[Image], np.ndarray]:
    """Frames (height, width, 3) of a square that moves 2 pixels right and 1 down in each; its boxes (length, 4)."""
    rng = np.random.default_rng(seed)
    background, target = _cloud(size, 16, rng), _cloud((side, side), side // 5, rng)
    frames, boxes = [], np.zeros((length, 4))
    for t in range(length):
        x, y = size[0] // 3 + 2 * t, size[1] // 3 + t
        frame = background.copy()
        frame[y : y + side, x : x + side] = target
        frames.append(frame)
        boxes[t] = x, y, side, side
    return frames, boxes


def random_weights(config: Config) -> dict[str, Tensor]:
    """Of VGG-M. conv3's responses to `video` are 0.5 in the mean."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = vgg_m.VGGM(config.backbone)
    [frame], boxes = video(1)
    port = Port(config, model.state_dict(), np.random.default_rng(0))
    scale = 0.5 / port.features(frame, boxes).mean()
    return {name: weight * scale if name == "conv3.weight" else weight for name, weight in model.state_dict().items()}


def ours(config: Config, weights: Mapping[str, Tensor], device: str = "cpu") -> RMAN:
    """Our tracker of these settings."""
    made = families.find("rman").tracker(config, weights, device)
    assert isinstance(made, RMAN)
    return made


def port(config: Config, weights: Mapping[str, Tensor]) -> Tracker:
    """The port, with the same weights, settings and random numbers as our tracker's first lane."""
    return SingleTracker(lambda: Port(config, weights, Dice.of(0, "cpu").boxes))


@dataclass
class Times:
    """Turn by turn: seconds of the first frame of each lane, and frames per second of the later ones."""

    first: list[float] = field(default_factory=list)
    later: list[float] = field(default_factory=list)

    def add(self, tracker: Tracker, frames: list[Image], box: np.ndarray, lanes: int) -> None:
        """Another turn: as many lanes of the same video."""
        starting, going_on = Stopwatch(wait_for_gpu), Stopwatch(wait_for_gpu)
        numbers = range(lanes)
        starting.time(tracker.initialize, numbers, frames[:1] * lanes, np.tile(box, (lanes, 1)))
        for frame in frames[1:]:
            going_on.time(tracker.update, numbers, [frame] * lanes)
        self.first.append(starting.seconds / lanes)
        self.later.append(lanes * (len(frames) - 1) / going_on.seconds)


def difference(config: Config, weights: Mapping[str, Tensor], frame: Image, box: np.ndarray, boxes: int = 64) -> float:
    """How far patch mode's features are from the port's, at most, as a share of the largest."""
    rng = np.random.default_rng(0)
    corners, sides = rng.uniform(-box[2], box[2], (boxes, 2)), rng.uniform(box[2] / 2, 2 * box[2], (boxes, 2))
    around = np.concatenate([box[:2] + corners, sides], 1)
    with torch.no_grad():
        [seen] = ours(config, weights).see([frame], [around], [box])
    plain = Port(config, weights, rng).features(frame, around)
    return float((seen - plain).abs().max() / plain.abs().max())


def _against_port(repeats: int) -> list[dict[str, Any]]:
    frames, boxes = video(1 + PAPERS.every)
    weights = random_weights(PAPERS)
    off = difference(PAPERS, weights, frames[0], boxes[0])
    times: dict[tuple[str, str | int], Times] = {}
    for _ in range(repeats):
        for name, config in VARIANTS.items():
            turns: dict[str | int, Tracker] = {1: ours(config, weights)}
            if config.features == "patches":
                turns["port"] = port(config, weights)  # for either way
            else:
                turns[LANES] = turns[1]
            for which, tracker in turns.items():
                lanes = which if isinstance(which, int) else 1
                times.setdefault((name, which), Times()).add(tracker, frames, boxes[0], lanes)
    rows = []
    for name in VARIANTS:
        own, other = times[name, 1], times["RMAN, patch by patch", "port"]
        exact = f" (features within {off:.0e} of its largest)" if name == "RMAN, patch by patch" else ""
        first, later = TARGETS.get(name, (None, None))
        rows += [
            _row(f"{name}: the first frame, against the port{exact}", own.first, other.first, "s", first),
            _row(f"{name}: {PAPERS.every} later frames, one update", own.later, other.later, "frames/s", later),
        ]
    one, many = (times["RMAN, by ROI align", lanes] for lanes in (1, LANES))
    what = f"RMAN, by ROI align: {LANES} lanes against one"
    return [
        *rows,
        _row(f"{what}, the first frame of each", many.first, one.first, "s", None),
        _row(f"{what}, later frames", many.later, one.later, "frames/s", None),
    ]


def _on_gpu(repeats: int) -> list[dict[str, Any]]:
    frames, boxes = video(1 + 2 * PAPERS.every)
    weights = random_weights(PAPERS)
    rows = []
    for name, config in VARIANTS.items():
        for lanes in (1, LANES):
            tracker, times = ours(config, weights, "cuda"), Times()
            for repeat in range(repeats + 1):
                times.add(tracker, frames, boxes[0], lanes)
                if not repeat:  # the first turn is to warm up
                    times = Times()
            target = TARGET_ON_GPU if name == "RMAN, by ROI align" and lanes == 1 else None
            what = f"{name}, on a GPU, {'one lane' if lanes == 1 else f'{lanes} lanes'}, against the paper's"
            first = statistics.median(times.first)
            rows.append(_row(f"{what} (first frame {first:.2g} s)", times.later, [PAPERS_RATE], "frames/s", target))
    return rows


def _cloud(size: tuple[int, int], grain: int, rng: np.random.Generator) -> Image:
    coarse = rng.integers(0, 256, (size[1] // grain, size[0] // grain, 3), dtype=np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def _row(what: str, ours: Iterable[float], other: Iterable[float], unit: str, target: float | None) -> dict[str, Any]:
    medians = statistics.median(ours), statistics.median(other)
    return {
        "what": what,
        "ours": medians[0],
        "other": medians[1],
        "unit": unit,
        "ratio": medians[0] / medians[1] if unit.endswith("/s") else medians[1] / medians[0],
        "target": target,
    }
