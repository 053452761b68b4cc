"""A cache of what YOLO sees in a whole data set: two workers against one."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from orchestrator.conduct import Options
from orchestrator.extraction import make_features, train_extractors
from orchestrator.paths import Paths
from orchestrator.speed.rolo import pointing
from trackers.backbones import yolo
from trackers.synthetic.layouts import write_otb
from trackers.synthetic.shapes import LABELS
from trackers.synthetic.sprites import Scene, render

SIZE = (320, 240)
LENGTHS = (12, 14, 16, 20, 22, 24, 28, 32, 36, 42, 48, 66)  # frames of 12 sequences
START = (1, 1)  # of which little more than the start is left
WORKERS = (1, 2)


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Seconds of `trackmeet features`, from reading the parameters to the cache in its place; Ray starts each time.

    The network is YOLO-small, on 448 x 448 pixels, of random weights read from a file; each worker has one thread.
    The start, of Ray, of the workers and of the network in each, is what two sequences of one frame take. As whole
    caches take minutes they are made once in five repeats.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder), yolo.Config("small"), {"whole": LENGTHS, "start": START})
        seconds: dict[tuple[str, int], list[float]] = {}
        for repeat in range(-(-repeats // 5) + 1):
            for workers in WORKERS:
                for data in ("start", "whole") if repeat else ("start",):  # the first turn is to warm up
                    taken = project.seconds(data, workers)
                    if repeat:
                        seconds.setdefault((data, workers), []).append(taken)
    one, two = (statistics.median(seconds["whole", workers]) for workers in WORKERS)
    begun = [statistics.median(seconds["start", workers]) for workers in WORKERS]
    rates = [(sum(LENGTHS) - sum(START)) / (whole - start) for whole, start in zip((one, two), begun, strict=True)]
    what = f"{sum(LENGTHS)} frames in {len(LENGTHS)} sequences"
    return [
        _row(f"a cache of {what}, two workers against one", two, one, "s", one / two, 1 / 0.6),
        _row("of which the start, two workers against one", begun[1], begun[0], "s", begun[0] / begun[1], None),
        _row("the rest, two workers against one", rates[1], rates[0], "frames/s", rates[1] / rates[0], None),
    ]


@dataclass(frozen=True)
class Alone(Paths):
    """The paths of a project that shares nothing."""

    @property
    def store(self) -> Path:
        return self.build / "store"


class Project:
    """A project with this network, whose weights are random, and data sets of sequences of so many frames."""

    def __init__(self, root: Path, network: yolo.Config, data: dict[str, tuple[int, ...]]) -> None:
        self.paths = Alone(root)
        for name, lengths in data.items():
            scenes = (Scene(label, length=length, size=SIZE) for label, length in zip(LABELS, lengths, strict=False))
            write_otb(root / name, {scene.label: render(scene, seed=i) for i, scene in enumerate(scenes)})
        torch.save(pointing(network), root / "yolo.pt")
        settings = asdict(network) | {"classes": list(network.classes), "weights": str(root / "yolo.pt")}
        params = {
            "profile": "speed",
            "datasets": {name: {"format": "otb", "root": str(root / name)} for name in data},
            "extractors": {"yolo": {"kind": "yolo", "network": settings}},
            "features": [f"yolo-{name}" for name in data],
            "studies": {},
        }
        (root / "params.yaml").write_text(yaml.safe_dump(params))
        with contextlib.redirect_stdout(sys.stderr):
            outcome = train_extractors(self._options(1), self.paths)
        if outcome.failed:
            raise RuntimeError(f"expected weights to be read, got {outcome.failures}")

    def seconds(self, name: str, workers: int) -> float:
        """How long it takes to make the cache of a data set, which is thrown away then."""
        with contextlib.redirect_stdout(sys.stderr):
            start = time.perf_counter()
            outcome = make_features(self._options(workers), self.paths, [f"yolo-{name}"])
            taken = time.perf_counter() - start
        if outcome.failed or not (self.paths.features / f"yolo-{name}").is_dir():
            raise RuntimeError(f"{name}: expected a cache, got {outcome.failures}")
        shutil.rmtree(self.paths.features)
        shutil.rmtree(self.paths.store)
        return taken

    def _options(self, workers: int) -> Options:
        return Options(self.paths.root / "params.yaml", [], [], record="none", workers=workers)


def _row(what: str, ours: float, other: float, unit: str, ratio: float, target: float | None) -> dict[str, Any]:
    return {"what": what, "ours": ours, "other": other, "unit": unit, "ratio": ratio, "target": target}
