"""Ten folds of the two-stage pixel-wise tracker: two workers against one."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from orchestrator.conduct import Options, conduct
from orchestrator.speed.features import Alone
from trackers.backbones import vgg16
from trackers.synthetic.layouts import write_vot
from trackers.synthetic.shapes import LABELS
from trackers.synthetic.sprites import Scene, render

FOLDS = 10
SEQUENCES, LENGTH, SIZE = 20, 40, (128, 96)
WORKERS = (1, 2)
WIDTHS = (8, 16, 32, 48, 48)  # of VGG-16, whose random weights are read from a file


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Seconds of `trackmeet run`, from reading the parameters to the results in their place; Ray starts each time.

    Every step of the training of each fold, then tracking and scoring of the two sequences that it left out, and what
    is done once for all of them; each worker has one thread. The start, of Ray and of the workers, is what a mask
    that never moves takes in one fold of as many. As ten folds take minutes they are run once in five repeats.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder), small(Path(folder)), "videos")
        seconds: dict[tuple[str, int], list[float]] = {}
        for repeat in range(-(-repeats // 5) + 1):
            for workers in WORKERS:
                for study in ("start", "folds") if repeat else ("start",):  # the first turn is to warm up
                    taken = project.seconds(study, workers)
                    if repeat:
                        seconds.setdefault((study, workers), []).append(taken)
    one, two = (statistics.median(seconds["folds", workers]) for workers in WORKERS)
    begun = [statistics.median(seconds["start", workers]) for workers in WORKERS]
    return [
        _row(f"{FOLDS} folds of {SEQUENCES} sequences, two workers against one", two, one, 1 / 0.6),
        _row("of which the start, two workers against one", begun[1], begun[0], None),
    ]


def small(root: Path) -> dict[str, Any]:
    """The two-stage tracker at the widths of the sample's parameters: a fold takes some 24 seconds of one core."""
    states = iter(vgg16.VGG16(vgg16.Config(WIDTHS)).state_dict().values())
    names = [f"features.{number}.{part}" for number in vgg16.TORCHVISION for part in ("weight", "bias")]
    path = root / "vgg16.pt"
    torch.save(dict(zip(names, states, strict=True)), path)
    training = {"batch": 4, "updates_per_epoch": 40, "epochs": 2, "patience": 2, "learning_rate": 0.003}
    return {
        "family": "pixelwise",
        "size": 64,
        "map_size": 32,
        "roi": {"least": 16, "most": 96},
        "backbone": {"widths": list(WIDTHS), "weights": str(path)},
        "clips": {"length": 8, "prepared": 4},
        "every": 8,
        "local": {"features": 48, "memory": 32, "deconvolutions": [16, 12, 8]},
        "training": training,
        "halves": training,
        "updating": training,
        "attention": {"convolutions": [8, 16, 16], "memory": 16, "units": 64},
        "attention_training": training,
        "attention_updating": training,
    }


class Project:
    """A project that shares nothing, with VOT2016's layout of masks, and this tracker.

    Its study `folds` trains and tests it in ten folds; `start` tests a mask that never moves in whole. role: which the
    training data plays.
    """

    def __init__(
        self, root: Path, tracker: Mapping[str, Any], role: str, sequences: int = SEQUENCES, length: int = LENGTH
    ) -> None:
        self.paths = Alone(root)
        scenes = (Scene(LABELS[i % len(LABELS)], length=length, size=SIZE) for i in range(sequences))
        clips = {f"{scene.label}{i}": render(scene, seed=i) for i, scene in enumerate(scenes)}
        write_vot(root / "vot2016", clips, masks=True)
        write_vot(root / "start", dict(list(clips.items())[:1]), masks=True)
        vot, judged = {"format": "vot", "regions": "masks"}, {"protocols": ["one_pass"], "measures": ["mask_iou"]}
        params = {
            "profile": "speed",
            "datasets": {
                "VOT2016-masks": {**vot, "root": str(root / "vot2016")},
                "start": {**vot, "root": str(root / "start")},
            },
            "studies": {
                "folds": {
                    "experiments": [
                        {"train": {role: "VOT2016-masks"}, "test": ["VOT2016-masks"], "folds": FOLDS, **judged}
                    ],
                    "trackers": {"2-stage ConvLSTM": dict(tracker)},
                },
                "start": {
                    "experiments": [{"test": ["start"], **judged}],
                    "trackers": {"Identity": {"family": "trackers.tracker:IdentityTracker"}},
                },
            },
        }
        (root / "params.yaml").write_text(yaml.safe_dump(params))

    def seconds(self, study: str, workers: int) -> float:
        """How long it takes to run a study, whose results are thrown away then."""
        with contextlib.redirect_stdout(sys.stderr):
            start = time.perf_counter()
            outcome = conduct(self._options(study, workers), self.paths)
            taken = time.perf_counter() - start
        if outcome.failed or outcome.interrupted:
            raise RuntimeError(f"{study}: expected a study that runs, got {outcome.failures}")
        shutil.rmtree(self.paths.store)
        shutil.rmtree(self.paths.results)
        return taken

    def _options(self, study: str, workers: int) -> Options:
        return Options(self.paths.root / "params.yaml", [study], [], record="none", workers=workers)


def _row(what: str, ours: float, other: float, target: float | None) -> dict[str, Any]:
    return {"what": what, "ours": ours, "other": other, "unit": "s", "ratio": other / ours, "target": target}
