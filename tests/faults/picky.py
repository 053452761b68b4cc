"""A toy family that fails on the node that tries it first: file `first` says which that was."""

from dataclasses import dataclass
from pathlib import Path

import torch
from toy.family import Mover

from trackers.tracker import Tracker
from trackers.training import Inputs, Reporter, Step, Weights


@dataclass(frozen=True)
class Config:
    first: str


def steps(config: Config) -> list[Step]:
    return [Step("fit", fit)]


def fit(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    import ray

    node = ray.get_runtime_context().get_node_id()
    try:
        with Path(config.first).open("x") as file:
            file.write(node)
    except FileExistsError:
        pass
    if Path(config.first).read_text() == node:
        raise OSError("expected a library that this node lacks")
    return {"motion": torch.tensor([1.0, 0.0])}


def tracker(config: Config, weights: Weights, device: str) -> Tracker:
    return Mover(weights["motion"].double().numpy(), 1000)
