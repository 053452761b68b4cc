"""Learns in four steps from videos that are packed for all folds; each update is noted in the file `diary` names.

A line of the diary is the step, the number of the update, and the sequences that the step learns from.
"""

import os
import signal
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
    updates: int = 4
    diary: str = ""
    fault: str = ""  # in the last step, the first time: "interrupt", or "suicide" once a file <diary>.go is there
    reads: tuple[str, ...] = ("train",)  # what the steps that learn read


def steps(config: Config) -> list[Step]:
    reads = config.reads
    return [
        Step("pack", pack, settings=(), seeded=False, prepares=True),
        Step("half-1", learn, needs=("pack",), reads=reads),
        Step("half-2", learn, needs=("pack",), reads=reads),
        Step("whole", learn, needs=("pack", "half-1", "half-2"), reads=reads),
    ]


def pack(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    return {sequence.name: torch.tensor(sequence.groundtruth) for sequence in inputs.data["train"]}


def learn(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    own = sorted(sequence.name for sequence in inputs.data["train"]) if inputs.data else []
    last = len(inputs.weights) == 3
    state = reporter.resume() or {"update": 0}
    for update in range(state["update"], config.updates):
        if last and update == 2 and config.fault in ("interrupt", "suicide") and _first_time(config.diary):
            if config.fault == "interrupt":
                raise KeyboardInterrupt
            while not Path(config.diary + ".go").exists():
                time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGKILL)
        if config.diary:
            with Path(config.diary).open("a") as file:
                file.write(f"{'whole' if last else 'half'} {update} {' '.join(own)}\n")
        reporter.metric("loss", 1.0 / (update + 1), update)
        reporter.checkpoint(update + 1, lambda done=update + 1: {"update": done})
    motions = [(inputs.weights["pack"][name][1:] - inputs.weights["pack"][name][:-1]).mean(0) for name in own]
    return {"motion": torch.stack(motions).mean(0)[:2] if motions else torch.zeros(2)}


def _first_time(diary: str) -> bool:
    died = Path(diary + ".died")
    before = died.exists()
    died.touch()
    return not before


class Follower(Tracker):
    def __init__(self, motion: np.ndarray) -> None:
        self.motion = motion
        self.boxes: dict[int, np.ndarray] = {}

    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        self.boxes.update(zip(lanes, np.array(regions), strict=True))

    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        for lane in lanes:
            self.boxes[lane] = self.boxes[lane] + np.array([*self.motion, 0, 0])
        return np.stack([self.boxes[lane] for lane in lanes])


def tracker(config: Config, weights: Weights, device: str) -> Tracker:
    return Follower(weights["motion"].double().numpy())
