"""Trackers that the record keeps, ready to track: what stands behind `mlflow.pyfunc.load_model`.

A model is a folder, and no pickle:

    tracker.json    name, study, family, settings and seed; kind and settings of the extractor that it sees through
    weights.pt      what it has learnt, a state_dict; not there where nothing is trained
    extractor.pt    what its extractor has learnt; only where it has one
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trackers.tracker import Tracker

if TYPE_CHECKING:
    import torch

FACTS, WEIGHTS, EXTRACTOR = "tracker.json", "weights.pt", "extractor.pt"


@dataclass(frozen=True)
class Model:
    """One trained tracker. seed: of its trial. folder: where its weights lie."""

    name: str
    study: str
    family: str
    settings: Mapping[str, Any]
    seed: int
    folder: Path
    extractor: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, folder: Path) -> Model:
        """Of a folder; ValueError where it holds none."""
        path = folder / FACTS
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")), folder=folder)
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"{path}: expected a tracker's settings, got {type(error).__name__}: {error}") from error

    def tracker(self, device: str = "") -> Tracker:
        """It, ready to track. device: of torch; cuda where there is one, else cpu, if not given."""
        from orchestrator import params
        from trackers import extractors, families

        device = device or _device()
        family = families.find(self.family)
        config: Any = params.build(family.Config, self.settings)
        weights = _weights(self.folder / WEIGHTS) if (self.folder / WEIGHTS).exists() else {}
        if self.extractor is None:
            return family.tracker(config, weights, device)
        network = extractors.find(self.extractor["kind"])
        seen_by: Any = params.build(network.Config, self.extractor["settings"])
        extractor = network.extractor(seen_by, _weights(self.folder / EXTRACTOR), device)
        return family.tracker(config, weights, device, extractor)


def find(run: str, uri: str) -> Model:
    """The model of a run in the MLflow store at `uri`.

    run: a run's id, a registered model ("models:/goturn.GOTURN@current"), or a trial's key. Raises ValueError where
    there is none.
    """
    from orchestrator.record.mlflow_store import fetch_model

    return Model.read(fetch_model(run, uri))


def load(run: str, uri: str, device: str = "") -> Tracker:
    """The tracker of a run, see `find`, ready to track on this torch device."""
    return find(run, uri).tracker(device)


class Follower:
    """What MLflow calls a model: it takes a video and a box, and gives a box in each frame."""

    def __init__(self, model: Model, device: str = "") -> None:
        self.model = model
        self._tracker = model.tracker(device)

    def predict(self, asked: Any, params: Mapping[str, Any] | None = None) -> np.ndarray:
        """Boxes (frames, 4) of x, y, width and height in pixels, the given one first; see `footage.follow`.

        asked: {"video": path of a video or of a folder of images, or frames (frames, height, width, 3), uint8 RGB;
        "box": [x, y, width, height] in the first frame}; MLflow makes a table of one row of it. Raises ValueError for
        more rows than one and for other frames, and what `footage.open` and `footage.follow` raise.
        """
        from orchestrator import footage

        video, box = (_one(asked[name], name) for name in ("video", "box"))
        x, y, width, height = map(float, box)
        start = x, y, width, height
        sequence = footage.of_frames(video) if isinstance(video, np.ndarray) else footage.open(Path(video), start)
        return footage.follow(self._tracker, sequence, start, self.model.seed)


def _load_pyfunc(path: str) -> Follower:
    """By this name MLflow finds it."""
    return Follower(Model.read(Path(path)))


def _one(column: Any, name: str) -> Any:
    """The value of a column of one row, or the value itself."""
    if not hasattr(column, "iloc"):
        return column
    if len(column) != 1:
        raise ValueError(f"{name}: expected one video at a time, got {len(column)}")
    return column.iloc[0]


def _weights(path: Path) -> dict[str, torch.Tensor]:
    import torch

    return torch.load(path, map_location="cpu", mmap=True, weights_only=True)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
