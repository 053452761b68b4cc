"""Results of any size that nobody got, in the files that a run leaves: for what is to show many of them.

The groundtruth drifts at random; a tracker is the groundtruth and noise, more of it from one tracker to the next.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from orchestrator import work
from orchestrator.compare import synthetic
from orchestrator.files import write_json
from orchestrator.jobs import Data, digest
from orchestrator.results import slug
from orchestrator.work import Task
from trackers.benchmarks import otb
from trackers.evaluation import archive
from trackers.evaluation.trajectory import Trajectory
from trackers.sequence import Sequence

STUDY, BENCHMARK, PROTOCOL = "invented", "OTB", "one_pass"
MEASURES = ("success_auc", "precision_20", "os_50")
SCORING: dict[str, Any] = {
    "convention": "otb",
    "interval": None,
    "legacy_rasterization": False,
    "partial": False,
    "lengths": [],
}
GROUND = 90  # grey of the background, and how far noise goes from it
NOISE = 40


def write(
    root: Path, trackers: int, sequences: int, frames: tuple[int, int], pictured: int = 0, folds: int = 1
) -> Path:
    """Write one study of so many trackers on so many sequences of `frames` (from, to) below `root` -> its results.

    pictured: of so many sequences there are images, in root/data. folds: the first tracker is tested in so many parts.
    """
    rng = np.random.default_rng(0)
    videos = [
        replace(video, attributes=tuple(sorted(rng.choice(otb.ATTRIBUTES, 3, replace=False).tolist())))
        for video in synthetic.sequences(sequences, frames, seed=0)
    ]
    if pictured:
        _write_images(root / "data", videos[:pictured])
    folder, trials = root / "results", []
    for number in range(trackers):
        runs, name = synthetic.one_pass(videos, 2 + number, seed=number), f"Tracker {number + 1}"
        parts = folds if number == 0 else 1
        for fold in range(parts):
            title = name if parts == 1 else f"{name} / fold {fold}"
            trials.append(_trial(title, name, fold if parts > 1 else None, parts, noise=2 + number))
            place = folder / STUDY / slug(title) / BENCHMARK
            _judge(place, videos[fold::parts], runs[fold::parts])
    write_json(
        folder / STUDY / "study.json",
        {
            "study": STUDY,
            "profile": "invented",
            "lengths": [],
            "trackers": list(dict.fromkeys(trial["tracker"] for trial in trials)),
            "benchmarks": [BENCHMARK],
            "data": {BENCHMARK: _facts(root / "data")},
            "trials": trials,
        },
    )
    return folder


def _judge(place: Path, videos: list[Sequence], runs: list[Trajectory]) -> None:
    """Trajectories, and what they are worth, by the code that experiments run."""
    (place / PROTOCOL).mkdir(parents=True)
    archive.save(place / PROTOCOL / "trajectories.npz", videos, runs)
    arguments = {**SCORING, "measures": MEASURES}
    work.score(Task("score", STUDY, arguments, {PROTOCOL: Data(place / PROTOCOL, "")}, {}, {}), place)


def _trial(title: str, tracker: str, fold: int | None, folds: int, **settings: Any) -> dict[str, Any]:
    return {
        "name": title,
        "key": digest(title),
        "folder": slug(title),
        "tracker": tracker,
        "train": None,
        "fold": fold,
        "folds": folds,
        "fold_seed": 0,
        "seed": 1,
        "benchmarks": [BENCHMARK],
        "settings": {"family": STUDY, **settings},
        "caveat": None,
        "state": "done",
        "error": None,
        "log": None,
    }


def _facts(root: Path) -> dict[str, Any]:
    settings = json.loads(json.dumps(dataclasses.asdict(otb.Config())))
    return {"format": "otb", "root": root.as_posix(), "settings": settings, "sample": True, "missing": []}


def _write_images(root: Path, videos: list[Sequence]) -> None:
    """A bright rectangle, the target, over noise that stands still."""
    synthetic.write_otb(root, videos, images=True)
    noise = np.random.default_rng(1).integers(-NOISE, NOISE, (synthetic.SIZE[1] // 8, synthetic.SIZE[0] // 8))
    ground = cv2.resize((GROUND + noise).astype(np.uint8), synthetic.SIZE)
    for video in videos:
        for t, box in enumerate(video.groundtruth.round().astype(int).tolist()):
            image = cv2.rectangle(np.repeat(ground[..., None], 3, -1), box, (70, 160, 250), -1)
            cv2.imwrite(str(root / video.name / "img" / f"{t + 1:04}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 80])
