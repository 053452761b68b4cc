"""Benchmarks and results that nobody tracked, written as the toolkits expect them on disk.

Groundtruth drifts at random; a tracker is the groundtruth and noise, more of it from one tracker to the next. With
`hard`, there are the frames on which toolkits disagree: targets at the edge (x = 0) and beyond it, boxes of no size.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from trackers.benchmarks import lasot
from trackers.evaluation import result_files
from trackers.evaluation.formats.boxes import line
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence, Unseen

SIZE = (640, 480)
PAUSE = 5  # frames from a failure to the next start


def sequences(number: int, frames: tuple[int, int], seed: int, hard: bool = False) -> list[Sequence]:
    """Sequences of `frames` (from, to) with boxes of whole numbers, the first pixel of their files at 1."""
    rng, made = np.random.default_rng(seed), []
    for i, length in enumerate(rng.integers(frames[0], frames[1] + 1, number)):
        boxes = np.cumsum(rng.normal(0, 2, (length, 4)), 0) + rng.uniform((100, 100, 40, 40), (400, 300, 90, 90))
        boxes[:, 2:] = 20 + np.abs(boxes[:, 2:] - 20)
        boxes[:, :2] = np.clip(boxes[:, :2], 1, (SIZE[0] - 130, SIZE[1] - 130))
        boxes = np.rint(boxes)
        if hard:
            boxes[rng.integers(1, length, 4)] = [(0, 50, 30, 30), (20, 0, 30, 30), (-3, 9, 30, 30), (400, 300, 1, 2)]
        made.append(Sequence(f"Sequence{i:03}", Unseen(length), boxes - (1, 1, 0, 0), size=SIZE, origin=1.0))
    return made


def absences(sequences: list[Sequence], seed: int) -> list[Sequence]:
    """The same with targets that cannot be seen in a tenth of the frames, but the first; as LaSOT tags them."""
    rng, made = np.random.default_rng(seed), []
    for sequence in sequences:
        tags = {name: rng.random(len(sequence)) < 0.05 for name in lasot.ABSENT}
        for flags in tags.values():
            flags[0] = False
        made.append(replace(sequence, tags={**tags, "absent": np.logical_or.reduce(list(tags.values()))}))
    return made


def one_pass(sequences: list[Sequence], noise: float, seed: int, runs: int = 1, hard: bool = False) -> list[Trajectory]:
    """Runs of one tracker: the groundtruth and noise, in pixels, to three decimals."""
    rng, made = np.random.default_rng(seed), []
    for sequence in sequences:
        for run in range(runs):
            boxes = sequence.groundtruth + np.cumsum(rng.normal(0, noise / 8, (len(sequence), 4)), 0)
            boxes += rng.normal(0, noise, boxes.shape)
            boxes[:, 2:] = np.maximum(boxes[:, 2:], 1)
            if hard:
                boxes[rng.integers(1, len(sequence), 3), 2] = 0
            boxes[0] = sequence.groundtruth[0]
            events = np.full(len(sequence), Event.PREDICTED, np.int8)
            events[0] = Event.INITIALIZED
            made.append(Trajectory(sequence.name, boxes.round(3), events, run))
    return made


def polygons(sequences: list[Sequence], seed: int) -> list[Sequence]:
    """The same with rotated rectangles as groundtruth, the first pixel of their files at 0; every fourth has boxes."""
    rng, made = np.random.default_rng(seed), []
    for i, sequence in enumerate(sequences):
        corners = _rotated(sequence.groundtruth, rng.uniform(-0.6, 0.6) + np.linspace(0, 0.3, len(sequence)))
        regions = sequence.groundtruth if i % 4 == 3 else corners.round(3)
        made.append(replace(sequence, regions=tuple(regions), origin=0.0))
    return made


def supervised(
    sequences: list[Sequence], noise: float, failures: float, seed: int, runs: int = 1, rotated: bool = False
) -> list[Trajectory]:
    """Runs with resets: failures at random, so many a frame, and a new start 5 frames after each."""
    made = []
    for free in one_pass(sequences, noise, seed, runs):
        sequence = next(sequence for sequence in sequences if sequence.name == free.sequence)
        rng = np.random.default_rng((seed, free.run, int(sequence.name[-3:])))
        events = np.full(len(free), Event.PREDICTED, np.int8)
        events[0], start = Event.INITIALIZED, 0
        for t in np.flatnonzero(rng.random(len(free)) < failures).tolist():
            if t > start:
                events[t], start = Event.FAILED, t + PAUSE
                events[t + 1 : start] = Event.SKIPPED
                events[start : start + 1] = Event.INITIALIZED
        regions = _rotated(free.regions, rng.uniform(-0.4, 0.4, len(free))) if rotated else free.regions
        made.append(replace(free, regions=regions.round(4), events=events))
    return made


def write_otb(root: Path, sequences: list[Sequence], images: bool) -> None:
    """<root>/<sequence>/groundtruth_rect.txt and images of one byte, or <root>/<sequence>.txt alone."""
    for sequence in sequences:
        rows = sequence.groundtruth + (1, 1, 0, 0)
        path = root / sequence.name / "groundtruth_rect.txt" if images else root / f"{sequence.name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line(row)}\n" for row in rows.tolist()))
        if images:
            (path.parent / "img").mkdir()
            for t in range(len(sequence)):
                (path.parent / "img" / f"{t + 1:04}.jpg").write_bytes(b"\0")


def write_lasot(root: Path, sequences: list[Sequence]) -> None:
    """Annotations alone, and the tags of targets that cannot be seen."""
    for sequence in sequences:
        folder = root / sequence.name
        folder.mkdir(parents=True)
        rows = sequence.groundtruth + (1, 1, 0, 0)
        (folder / "groundtruth.txt").write_text("".join(f"{line(row)}\n" for row in rows.tolist()))
        for name in lasot.ABSENT:
            (folder / f"{name}.txt").write_text(",".join(f"{flag:d}" for flag in sequence.tags[name]) + "\n")


def write_got10k(root: Path, sequences: list[Sequence], seed: int) -> None:
    """A validation set, images of one byte, targets out of view now and then."""
    rng = np.random.default_rng(seed)
    (root / "val").mkdir(parents=True)
    (root / "val" / "list.txt").write_text("".join(f"{sequence.name}\n" for sequence in sequences))
    for sequence in sequences:
        folder, cover = root / "val" / sequence.name, rng.integers(0, 9, len(sequence))
        folder.mkdir()
        rows = sequence.groundtruth + (1, 1, 0, 0)
        (folder / "groundtruth.txt").write_text("".join(f"{line(row)}\n" for row in rows.tolist()))
        (folder / "meta_info.ini").write_text(f"[METAINFO]\nobject_class: none\nresolution: {SIZE}\n")
        for label, values in (("cover", cover), ("absence", cover == 0), ("cut_by_image", cover == 1)):
            (folder / f"{label}.label").write_text("".join(f"{value:d}\n" for value in values))
        for t in range(len(sequence)):
            (folder / f"{t + 1:08}.jpg").write_bytes(b"\0")


def write_pysot(root: Path, name: str, sequences: list[Sequence]) -> None:
    """A benchmark as pysot has it: <root>/<name>.json, and one image that stands for all, which it opens.

    LaSOT is <name>_new.json in later versions; what is called `absent` there is 1 where the target is seen.
    """
    root.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(root / "frame.jpg"), np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    facts = {}
    for sequence in sequences:
        # A box, or four corners, in the coordinates of the files.
        rows = [sequence.region(t) + sequence.origin * _places(sequence.region(t)) for t in range(len(sequence))]
        facts[sequence.name] = {
            "video_dir": sequence.name,
            "init_rect": rows[0].tolist(),
            "img_names": ["frame.jpg"] * len(rows),
            "gt_rect": [row.round(10).tolist() for row in rows],
            "attr": [],
            "absent": (~sequence.tags.get("absent", np.zeros(len(rows), bool))).astype(int).tolist(),
            **dict.fromkeys(("camera_motion", "illum_change", "motion_change", "size_change", "occlusion"), []),
        }
    for file in (f"{name}.json", f"{name}_new.json"):
        (root / file).write_text(json.dumps(facts))


def write_vot(root: Path, sequences: list[Sequence], results: dict[str, list[Trajectory]]) -> None:
    """A workspace of vot-toolkit, without images, with the results of these trackers."""
    root.mkdir(parents=True)
    (root / "config.yaml").write_text("registry: [./trackers.ini]\nstack: vot2016/rgb\nsequences: sequences\n")
    (root / "trackers.ini").write_text("".join(f"[{name}]\ncommand = none\n\n" for name in results))
    for sequence in sequences:
        folder = root / "sequences" / sequence.name
        folder.mkdir(parents=True)
        facts = {"channels.color": "color/%08d.jpg", "width": SIZE[0], "height": SIZE[1], "length": len(sequence)}
        facts |= {"name": sequence.name, "fps": 30, "format": "default"}
        (folder / "sequence").write_text("".join(f"{name}={value}\n" for name, value in facts.items()))
        rows = (sequence.region(t) for t in range(len(sequence)))
        (folder / "groundtruth.txt").write_text("".join(f"{line(row.tolist())}\n" for row in rows))
    (root / "sequences" / "list.txt").write_text("".join(f"{sequence.name}\n" for sequence in sequences))
    for name, runs in results.items():
        result_files.write("vot", root / "results", name, "supervised_reset", sequences, runs)


def _places(region: np.ndarray) -> np.ndarray:
    """1 for each number that is a coordinate, 0 for a width and a height."""
    return np.array([1, 1, 0, 0]) if len(region) == 4 else np.ones(8)


def _rotated(boxes: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Polygons (frames, 8) of boxes turned about their centres, by angles in radians."""
    half, centre = boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    corners = half[:, None] * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], 1).reshape(-1, 2, 2)
    return (corners @ turn.swapaxes(1, 2) + centre[:, None]).reshape(-1, 8)
