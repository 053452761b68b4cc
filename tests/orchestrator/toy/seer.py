"""Goes where its extractor detects something; learns the mean of what that saw. An oracle notes what is revealed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trackers.extractors import Extractor
from trackers.sequence import Image
from trackers.sequence import Sequence as VideoSequence
from trackers.tracker import Tracker
from trackers.training import Inputs, Reporter, Step, Weights

LEARNT: list[list[str]] = []  # sequences that each training in this process found features of
REVEALED: list[tuple[list[int], list[str], list[int]]] = []  # lanes, sequences and frames of each call


@dataclass(frozen=True)
class Config:
    extractor: str = "eye"
    rate: float = 1.0
    trained: bool = True
    oracle: bool = False
    measures: tuple[str, ...] = ()


def extractor(config: Config) -> str:
    return config.extractor


def steps(config: Config) -> list[Step]:
    return [Step("fit", fit)] if config.trained else []


def measures(config: Config) -> tuple[str, ...]:
    return config.measures


def caveat(config: Config) -> str | None:
    return "it is shown where the target is." if config.oracle else None


def fit(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    seen = inputs.features["train"]
    parts = [seen[sequence.name] for sequence in inputs.data["train"]]
    LEARNT.append([part.name for part in parts])
    means = [part.features.astype(np.float32).mean() for part in parts]
    return {"mean": torch.tensor(config.rate * np.mean(means))}


class Seer(Tracker):
    def __init__(self, see: Extractor, oracle: bool) -> None:
        self.see, self.oracle = see, oracle

    def reveal(self, lanes: Sequence[int], sequences: Sequence[VideoSequence], frames: Sequence[int]) -> None:
        REVEALED.append((list(lanes), [sequence.name for sequence in sequences], list(frames)))

    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None: ...

    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        return np.stack([seen.boxes[0] for seen in self.see(images)])


def tracker(config: Config, weights: Weights, device: str, see: Extractor) -> Tracker:
    return Seer(see, config.oracle)
