"""LaSOT: `[<class>/]<class>-<n>/groundtruth.txt` and `img/%08d.jpg`.

Rows are x, y, width, height, 1-based. `full_occlusion.txt` and `out_of_view.txt`, a line of 0 and 1 for
each frame, say where the target cannot be seen: there is no box then; they become tags of the
frames, with "absent" for either.
The test set is the published one of 280 sequences, four of each class; the training set is the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from trackers.benchmarks import collection, reading
from trackers.benchmarks.collection import Collection
from trackers.benchmarks.files import Files
from trackers.benchmarks.images import Images
from trackers.benchmarks.problems import Problems
from trackers.sequence import Frames, Sequence, Unseen

Split = Literal["all", "train", "test"]
ABSENT = ("full_occlusion", "out_of_view")


@dataclass(frozen=True)
class Config:
    """Which split, and of its sequences the ones named, if any are. origin: coordinates of the first pixel."""

    split: Split = "all"
    sequences: tuple[str, ...] = ()
    origin: float = 1.0

    def __post_init__(self) -> None:
        if self.split not in get_args(Split):
            raise ValueError(f"split: expected one of {', '.join(get_args(Split))}, got {self.split}")


@cache
def published() -> frozenset[str]:
    """Names of the test sequences."""
    text = (resources.files(__package__) / "lists" / "lasot_test.txt").read_text("utf-8")
    rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return frozenset(f"{label}-{number}" for label, *numbers in rows for number in numbers)


def read(config: Config, files: Files, problems: Problems) -> list[Sequence]:
    """The sequences, in order of their names."""
    found: dict[str, str] = {}
    for name in files.names:
        folder, _, file = name.rpartition("/")
        if file != "groundtruth.txt":
            if folder.endswith("/img") and reading.IMAGE.search(file):
                folder = folder.removesuffix("/img")
            else:
                continue
        title = folder.rpartition("/")[2] or files.root.name
        if found.setdefault(title, folder) != folder:
            problems.say(files.show(folder), f"one sequence {title}", f"also {files.show(found[title])}")
    there = {name for name in found if config.split == "all" or (name in published()) == (config.split == "test")}
    chosen = reading.chosen(there, config.sequences, str(files.root), problems)
    sequences = (_sequence(config, name, found[name], files, problems) for name in sorted(chosen))
    return [sequence for sequence in sequences if sequence is not None]


def open(config: Config, root: Path, name: str) -> Collection:  # noqa: A001 - every reader has it
    """The sequences below `root`. Raises DataError, OSError where there is no such folder."""
    return collection.open_collection(read, config, root, name)


def _sequence(config: Config, name: str, folder: str, files: Files, problems: Problems) -> Sequence | None:
    before = len(problems)
    text = reading.join(folder, "groundtruth.txt")
    rows = reading.read_table(files, text, problems, (4,))
    images = reading.images(files, reading.join(folder, "img"), problems)
    if rows is None:
        return None
    if images and len(images) != len(rows):
        problems.say(files.show(text), f"{len(images)} rows, one an image", str(len(rows)))
        return None
    boxes = reading.boxes(rows, files.show(text), problems, config.origin, empty_is_absent=True)
    tags: dict[str, np.ndarray] = {}
    for tag in ABSENT:
        file = reading.join(folder, f"{tag}.txt")
        if file in files:
            values = reading.labels(files, file, problems, len(rows))
            if values is not None:
                tags[tag] = values > 0
    if boxes is None or len(problems) > before:
        return None
    if tags:
        tags["absent"] = np.logical_or.reduce(list(tags.values()))
        boxes[tags["absent"]] = np.nan
    frames: Frames = Images(files, tuple(images.values())) if images else Unseen(len(boxes))
    regions = reading.annotated(rows, boxes, config.origin)
    label = name.rpartition("-")[0] or None
    return Sequence(name, frames, boxes, regions, tags=tags, label=label, origin=config.origin)
