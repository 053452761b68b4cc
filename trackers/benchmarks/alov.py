"""ALOV300++: 314 videos of 14 kinds of difficulty, about every fifth frame labelled (Smeulders et al. 2014).

    alov300++_rectangleAnnotation_full/01-Light/01-Light_video00001.ann
    imagedata++/01-Light/01-Light_video00001/00000001.jpg

The two folders may have any name, or be one; only the last two parts of the names count. Annotations may
also lie side by side, their category the part before the first `_`. A row of an .ann file is a frame's
number and four corners, x1 y1 ... x4 y4, in no certain order: the box is between the smallest and the
largest of each. The first pixel is 1 and frames are counted from 1 (Held et al.'s code subtracts it, too).

A sequence begins at its first labelled frame. `labelled` says which frames have a box, the others have a
row of NaN: `np.flatnonzero(sequence.labelled)` are the frames to learn from. The category, 01-Light, is
the only attribute.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from trackers.benchmarks import reading
from trackers.benchmarks.collection import Collection, open_collection
from trackers.benchmarks.files import Files
from trackers.benchmarks.images import Images
from trackers.benchmarks.problems import Problems
from trackers.sequence import Frames, Sequence, Unseen

ORIGIN = 1.0
IN_VOT2014 = (  # as the README of Held et al.'s code lists them
    "01-Light_video00016",
    "01-Light_video00022",
    "01-Light_video00023",
    "02-SurfaceCover_video00012",
    "03-Specularity_video00003",
    "03-Specularity_video00012",
    "10-LowContrast_video00013",
)
VALIDATION = 0.2  # share of each category


@dataclass(frozen=True)
class Config:
    """split: "validation" are the last int(0.2 n) of the n videos of each category, by name, "train" the
    others, as in Held et al.'s code. Of the 307 videos that are not excluded these are 56 and 251, as they print.

    sequences: the videos to read; (): all. exclude: those to leave out, before the split; by default the
    seven that are in VOT2014, too.
    """

    split: Literal["all", "train", "validation"] = "all"
    sequences: tuple[str, ...] = ()
    exclude: tuple[str, ...] = IN_VOT2014

    def __post_init__(self) -> None:
        if self.split not in ("all", "train", "validation"):
            raise ValueError(f"split: expected all, train or validation, got {self.split}")


def open(config: Config, root: Path, name: str) -> Collection:
    """The data set of that name in the folder `root`; DataError lists all that is wrong with it."""
    return open_collection(read, config, root, name)


def read(config: Config, files: Files, problems: Problems) -> list[Sequence]:
    """Its sequences, by category and name; what is wrong is noted in `problems`."""
    annotations = {reading.stem(name): name for name in files.names if name.endswith(".ann")}
    folders = _image_folders(files, annotations, problems)
    kept = reading.chosen(annotations, config.sequences, files.show(""), problems) - set(config.exclude)
    categories = defaultdict(list)
    for video, name in annotations.items():
        if video in kept:
            categories[_category(video, name)].append(video)
    sequences = []
    for category, videos in sorted(categories.items()):
        for video in _split(sorted(videos), config.split):
            if folders and video not in folders:
                problems.say(files.show(annotations[video]), f"a folder of images {category}/{video}", "none")
                continue
            sequence = _read_video(video, category, annotations[video], folders.get(video), files, problems)
            if sequence is not None:
                sequences.append(sequence)
    return sequences


def _category(video: str, name: str) -> str:
    """01-Light, the folder of 01-Light_video00001.ann, or else the beginning of its name."""
    folder = name.rpartition("/")[0].rpartition("/")[2]
    return folder if video.startswith(f"{folder}_") else video.partition("_")[0]


def _split(videos: list[str], split: Literal["all", "train", "validation"]) -> list[str]:
    train = len(videos) - int(VALIDATION * len(videos))
    return {"all": videos, "train": videos[:train], "validation": videos[train:]}[split]


def _image_folders(files: Files, annotations: dict[str, str], problems: Problems) -> dict[str, str]:
    """{video: its folder of images}; {} where annotations lie there alone."""
    found: dict[str, str] = {}
    for folder in sorted({name.rpartition("/")[0] for name in files.names if reading.IMAGE.search(name)}):
        video = folder.rpartition("/")[2]
        if video not in annotations:
            continue
        other = found.setdefault(video, folder)
        if other != folder:
            problems.say(files.show(folder), "one folder of images of a video", f"also {files.show(other)}")
    return found


def _read_video(
    video: str, category: str, name: str, folder: str | None, files: Files, problems: Problems
) -> Sequence | None:
    """None where something is wrong with it."""
    before = len(problems)
    images = {} if folder is None else reading.images(files, folder, problems)
    rows = reading.read_table(files, name, problems, (9,))
    if rows is None:
        return None
    numbers = rows[:, 0]
    corners = rows[:, 1:].reshape(-1, 4, 2)
    low, high = corners.min(1), corners.max(1)
    last = max(images, default=reading.LONGEST)
    far = (np.abs(rows[:, 1:]) > reading.FARTHEST).any(1)
    for line, number in enumerate(numbers, 1):
        if not number >= 1 or number % 1 or (line > 1 and number <= numbers[line - 2]):
            problems.say(files.show(name), "frame numbers 1 or more that rise from row to row", f"{number:g}", line)
        elif number > last:
            what = ", the last image" if images else ""
            problems.say(files.show(name), f"frames up to {last}{what}", f"{number:g}", line)
        elif far[line - 1] or not (high > low).all(1)[line - 1]:
            what = f"numbers up to {reading.FARTHEST:g}" if far[line - 1] else "four corners of a box"
            problems.say(files.show(name), what, " ".join(f"{v:g}" for v in rows[line - 1, 1:]), line)
    if images and min(images) != 1:
        problems.say(files.show(folder or ""), "images from number 1 on", f"the first is {min(images)}")
    if len(problems) > before:
        return None
    first = int(numbers[0])
    frames: Frames = Unseen(int(numbers[-1]) - first + 1)
    if images:
        frames = Images(files, tuple(image for number, image in images.items() if number >= first))
    labelled = np.zeros(len(frames), bool)
    labelled[numbers.astype(int) - first] = True
    groundtruth = np.full((len(frames), 4), np.nan)
    groundtruth[labelled] = np.concatenate([low - ORIGIN, high - low], axis=1)
    return Sequence(
        video, frames, groundtruth, labelled=labelled, attributes=(category,), label=category, origin=ORIGIN
    )
