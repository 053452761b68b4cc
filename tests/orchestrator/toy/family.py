"""Learns, by gradient descent, how far the square moves; each update notes itself in the file that `diary` names."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from trackers.sequence import Image
from trackers.tracker import Tracker
from trackers.training import Inputs, Reporter, Step, Weights


@dataclass(frozen=True)
class Config:
    updates: int = 5
    rate: float = 0.3
    pause: float = 0.0  # seconds an update
    diary: str = ""
    fault: str = ""  # "bug", "suicide" of the first worker that takes it, or "memory" for one lane only


def steps(config: Config) -> list[Step]:
    return [Step("fit", fit)]


def fit(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    assert len(inputs.data["train"]) > 0
    state = reporter.resume() or {"update": 0, "motion": torch.zeros(2), "noise": torch.zeros(2)}
    motion, noise = state["motion"], state["noise"]
    for update in range(state["update"], config.updates):
        if config.fault == "bug" and update == 2:
            raise FloatingPointError("update 2: expected a finite loss, got nan")
        if config.fault == "suicide" and not Path(config.diary + ".died").exists():
            Path(config.diary + ".died").touch()
            os._exit(1)
        generator = torch.Generator().manual_seed(1000 * inputs.seed + update)
        noise = 0.9 * noise + 0.01 * torch.randn(2, generator=generator)
        motion = motion + config.rate * (torch.tensor([1.0, 0.0]) - motion) + noise
        if config.diary:
            with Path(config.diary).open("a") as file:
                file.write(f"{update}\n")
        reporter.metric("loss", float((motion - torch.tensor([1.0, 0.0])).square().sum()), update)
        reporter.progress(update + 1, config.updates)
        done = {"update": update + 1, "motion": motion, "noise": noise}
        reporter.checkpoint(update + 1, lambda done=done: done)
        time.sleep(config.pause)
    print("fitted")
    return {"motion": motion}


class Mover(Tracker):
    def __init__(self, motion: np.ndarray, most_lanes: int) -> None:
        self.motion = motion
        self.most_lanes = most_lanes
        self.boxes: dict[int, np.ndarray] = {}

    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        self.boxes.update(zip(lanes, np.array(regions), strict=True))

    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        if len(lanes) > self.most_lanes:
            raise torch.OutOfMemoryError(f"{len(lanes)} lanes")
        for lane in lanes:
            self.boxes[lane] = self.boxes[lane] + np.array([*self.motion, 0, 0])
        return np.stack([self.boxes[lane] for lane in lanes])


def tracker(config: Config, weights: Weights, device: str) -> Tracker:
    return Mover(weights["motion"].double().numpy(), 1 if config.fault == "memory" else 1000)
