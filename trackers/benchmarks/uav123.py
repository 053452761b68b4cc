"""UAV123 (123 sequences at 30 frames a second), UAV20L (20 long ones) and UAV123@10fps.

`anno/[UAV123/]<name>.txt`, rows x, y, width, height, 1-based, NaN where the target is out of view, and
`data_seq/[UAV123/]<folder>/%06d.jpg`; or annotations alone. Many sequences are parts of one video: the
published list says of which folder and from which frame on. At 10 frames a second every third frame is
kept, numbered anew; of annotations at 30 frames a second every third row. `att/<name>.txt` holds twelve
flags. An annotation that is none of the benchmark's is read, too: as the sequence of its name, all frames of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal, get_args

from trackers.benchmarks import collection, reading
from trackers.benchmarks.collection import Collection
from trackers.benchmarks.files import Files
from trackers.benchmarks.images import Images
from trackers.benchmarks.problems import Problems
from trackers.sequence import Frames, Sequence, Unseen

Version = Literal["uav123", "uav20l", "uav123_10fps"]
ATTRIBUTES = ("SV", "ARC", "LR", "FM", "FOC", "POC", "OV", "BC", "IV", "VC", "CM", "SOB")  # in the order of att/*.txt


@dataclass(frozen=True)
class Config:
    """Which of the three data sets, and of its sequences the ones named, if any are.

    origin: coordinates of the first pixel in the files.
    """

    version: Version = "uav123"
    sequences: tuple[str, ...] = ()
    origin: float = 1.0

    def __post_init__(self) -> None:
        if self.version not in get_args(Version):
            raise ValueError(f"version: expected one of {', '.join(get_args(Version))}, got {self.version}")


@dataclass(frozen=True)
class Listed:
    """Where a sequence's frames lie: in which folder, from which number to which."""

    folder: str
    first: int
    last: int


@cache
def published(version: Version) -> Mapping[str, Listed]:
    """{name: where its frames lie} of a data set."""
    step = 3 if version == "uav123_10fps" else 1
    found = {}
    for line in (resources.files(__package__) / "lists" / "uav123.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            which, name, folder, first, last = line.split()
            if which == version.removesuffix("_10fps"):
                found[name] = Listed(folder, (int(first) - 1) // step + 1, (int(last) - 1) // step + 1)
    return found


def read(config: Config, files: Files, problems: Problems) -> list[Sequence]:
    """The sequences, in order of their names; see the module for what is read."""
    listed = published(config.version)
    folder = reading.annotation_folder(files, listed, preferred=config.version)
    texts = () if folder is None else files.within(folder)
    other = {*published("uav123"), *published("uav20l"), *(part.folder for part in published("uav123").values())}
    found = {name: text for text in texts if text.endswith(".txt") for name in [reading.stem(text)]}
    there = {name for name in found if name in listed or name not in other}
    chosen = reading.chosen(there, config.sequences, str(files.root), problems)
    images = _Videos(files, config.version)
    sequences = (_sequence(config, name, found[name], images, files, problems) for name in sorted(chosen))
    return [sequence for sequence in sequences if sequence is not None]


def open(config: Config, root: Path, name: str) -> Collection:  # noqa: A001 - every reader has it
    """The sequences below `root`. Raises DataError, OSError where there is no such folder."""
    return collection.open_collection(read, config, root, name)


class _Videos:
    """The folders of images, each looked at once: {number: name} of its images, {} where there is none."""

    def __init__(self, files: Files, version: Version) -> None:
        self.files = files
        self.folders: dict[str, str] = {}
        for folder in sorted({name.rpartition("/")[0] for name in files.names if reading.IMAGE.search(name)}):
            parents, _, last = folder.rpartition("/")
            if last not in self.folders or parents.rpartition("/")[2].lower() == version:
                self.folders[last] = folder
        self.seen: dict[str, dict[int, str]] = {}

    def __call__(self, title: str, problems: Problems) -> dict[int, str]:
        if title not in self.seen:
            self.seen[title] = (
                reading.images(self.files, self.folders[title], problems) if title in self.folders else {}
            )
        return self.seen[title]


def _sequence(
    config: Config, name: str, text: str, videos: _Videos, files: Files, problems: Problems
) -> Sequence | None:
    before = len(problems)
    place = files.show(text)
    listed = published(config.version).get(name) or Listed(name, 1, 0)
    rows = reading.read_table(files, text, problems, (4,))
    boxes = None if rows is None else reading.boxes(rows, place, problems, config.origin)
    part = listed.folder != name and name not in videos.folders  # some copies have a folder for every part
    video = listed.folder if part else name
    images = videos(video, problems)
    folder = text.rpartition("/")[0]
    flags = reading.join(folder, f"att/{name}.txt")
    attributes = reading.flagged(files, flags, ATTRIBUTES, problems) if flags in files else ()
    if rows is None or boxes is None or len(problems) > before:
        return None
    full = published("uav123").get(name)
    if config.version == "uav123_10fps" and full is not None and len(rows) == full.last - full.first + 1:
        rows, boxes = rows[::3], boxes[::3]  # the annotation at 30 frames a second
    frames: Frames = Unseen(len(boxes))
    if images:
        numbers = range(listed.first, listed.last + 1) if part else images
        if len(numbers) != len(boxes):
            what = f"frames {listed.first} to {listed.last} of {video}" if part else "images"
            problems.say(place, f"{len(numbers)} rows, one for each of the {what}", str(len(boxes)))
            return None
        missing = [number for number in numbers if number not in images]
        if missing:
            problems.say(
                files.show(videos.folders[video]),
                f"images {listed.first} to {listed.last}, the frames of {name}",
                f"{len(missing)} less, the first of them {missing[0]}",
            )
            return None
        frames = Images(files, tuple(images[number] for number in numbers))
    regions = reading.annotated(rows, boxes, config.origin)
    return Sequence(name, frames, boxes, regions, attributes=attributes, origin=config.origin)
