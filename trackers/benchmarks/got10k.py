"""GOT-10k: `<split>/<name>/groundtruth.txt` beside the images `%08d.jpg`; `<split>/list.txt` names the sequences.

Rows are x, y, width, height, 1-based. Of the test split only the first row is public: its other frames are
not labelled. `absence.label` is 1 where the target is out of view: there is no box then. `cover.label` says
how much of it is seen, in eighths, and `cut_by_image.label` whether the border cuts it. They become tags of
the frames: "absence", "cover" (true: seen at all; GOT-10k's scores leave out the others) and "cut_by_image".
`meta_info.ini` gives the class and the size of the images.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from trackers.benchmarks import collection, reading
from trackers.benchmarks.collection import Collection
from trackers.benchmarks.files import Files
from trackers.benchmarks.images import Images
from trackers.benchmarks.problems import Problems
from trackers.sequence import Frames, Sequence, Unseen

Split = Literal["train", "val", "test"]
LABELS = {"absence": 1, "cover": 8, "cut_by_image": 1}  # the greatest value of each
RESOLUTION = re.compile(r"\(?\s*(\d{1,6})\s*,\s*(\d{1,6})\s*\)?")


@dataclass(frozen=True)
class Config:
    """Which split, and of its sequences the ones named, if any are.

    The root may be the folder of the splits, or of the split itself. origin: coordinates of the first pixel
    in the files.
    """

    split: Split = "val"
    sequences: tuple[str, ...] = ()
    origin: float = 1.0

    def __post_init__(self) -> None:
        if self.split not in get_args(Split):
            raise ValueError(f"split: expected one of {', '.join(get_args(Split))}, got {self.split}")


def read(config: Config, files: Files, problems: Problems) -> list[Sequence]:
    """The sequences, in the order of list.txt; in that of their names where there is none."""
    split = config.split if config.split in files.folders() else ""
    folders = [folder.rpartition("/")[2] for folder in files.folders(split)]
    names = folders
    listing = reading.join(split, "list.txt")
    if listing in files:
        names = reading.lines(reading.read(files, listing, problems) or b"", files.show(listing), problems)
        for name in sorted(set(names).difference(folders)):
            problems.say(
                files.show(listing), f"names of folders beside it, as {folders[0] if folders else '...'}", name
            )
        names = [name for name in names if name in folders]
    chosen = reading.chosen(names, config.sequences, str(files.root), problems)
    sequences = (
        _sequence(config, name, reading.join(split, name), files, problems) for name in names if name in chosen
    )
    return [sequence for sequence in sequences if sequence is not None]


def open(config: Config, root: Path, name: str) -> Collection:  # noqa: A001 - every reader has it
    """The sequences below `root`. Raises DataError, OSError where there is no such folder."""
    return collection.open_collection(read, config, root, name)


def _sequence(config: Config, name: str, folder: str, files: Files, problems: Problems) -> Sequence | None:
    before = len(problems)
    text = reading.join(folder, "groundtruth.txt")
    rows = reading.read_table(files, text, problems, (4,))
    images = reading.images(files, folder, problems)
    label, size = _meta(files, reading.join(folder, "meta_info.ini"), problems)
    if rows is None:
        return None
    count = len(images) or len(rows)
    if len(rows) != count and not (config.split == "test" and len(rows) == 1):
        problems.say(files.show(text), f"{count} rows, one an image", str(len(rows)))
        return None
    known = reading.boxes(rows, files.show(text), problems, config.origin, empty_is_absent=True)
    tags: dict[str, np.ndarray] = {}
    for tag, greatest in LABELS.items():
        file = reading.join(folder, f"{tag}.label")
        if file in files:
            values = reading.labels(files, file, problems, count, greatest)
            if values is not None:
                tags[tag] = values > 0
    if known is None or len(problems) > before:
        return None
    unknown = np.full((count - len(rows), 4), np.nan)
    rows, boxes = np.concatenate([rows, unknown]), np.concatenate([known, unknown])
    if "absence" in tags:
        boxes[tags["absence"]] = np.nan
    regions = reading.annotated(rows, boxes, config.origin)
    labelled = None if len(known) == count else np.arange(count) < len(known)
    frames: Frames = Images(files, tuple(images.values())) if images else Unseen(count)
    return Sequence(name, frames, boxes, regions, labelled, tags=tags, label=label, size=size, origin=config.origin)


def _meta(files: Files, name: str, problems: Problems) -> tuple[str | None, tuple[int, int] | None]:
    """Class of the target and size of the images, where a file of `key: value` says so."""
    if name not in files:
        return None, None
    text = reading.lines(reading.read(files, name, problems) or b"", files.show(name), problems)
    values = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text)}
    size = None
    if "resolution" in values:
        found = RESOLUTION.fullmatch(values["resolution"])
        if found is None:
            problems.say(files.show(name), "resolution: (width, height)", repr(values["resolution"]))
        else:
            size = int(found[1]), int(found[2])
    return values.get("object_class"), size
