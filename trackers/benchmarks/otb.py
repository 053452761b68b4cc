"""The OTB benchmarks: OTB-2013 (51 sequences), OTB-50, OTB-2015 (100) and the OTB-30 of Ning et al.

Ning et al. (2016, Section 4.3) train on 22 of OTB-30 and test on 8, and do not say which. `otb30_train` and
`otb30_test` are the first 22 and the last 8 of the list in their code: a reading.

A folder a sequence, `<Seq>/img/%04d.jpg` and `<Seq>/groundtruth_rect.txt`; or annotations alone, as the
Matlab toolkit has them: `<seq>.txt` in one folder. Rows are x, y, width, height, 1-based; 0 0 0 0 where the
target is absent. A folder with two targets has `groundtruth_rect.1.txt` and `.2.txt`, which become the
sequences `Jogging-1` and `Jogging-2`; Human4's first file is empty, so that it gives Human4-2 alone.

Sequences of the benchmark get the name and the attributes of its authors' list, however a copy spells
them, so that scores by attribute do not depend on the copy: the attribute files of the Matlab toolkit
differ from that list in 21 sequences. For others, attributes are read from `attrs.txt` or `cfg.json`
beside the groundtruth or `att/<seq>.txt` beside the annotations. Frames at which no run should start
come from `initOmit/<seq>.txt`, anywhere below the root.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

Subset = Literal["all", "otb2013", "otb50", "otb2015", "otb30", "otb30_train", "otb30_test"]
ATTRIBUTES = ("IV", "OPR", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OV", "BC", "LR")  # in the order of att/*.txt
GROUNDTRUTH = "groundtruth_rect"


@dataclass(frozen=True)
class Config:
    """Which sequences: those of a `subset` ("all": whatever is there), and of these the ones named, if any are.

    origin: coordinates of the first pixel in the files.
    """

    subset: Subset = "all"
    sequences: tuple[str, ...] = ()
    origin: float = 1.0

    def __post_init__(self) -> None:
        if self.subset not in get_args(Subset):
            raise ValueError(f"subset: expected one of {', '.join(get_args(Subset))}, got {self.subset}")


@dataclass(frozen=True)
class Listed:
    """A sequence of the benchmark as published.

    frames: numbers of the first and last frame of the benchmark, where a copy may hold others, too.
    """

    name: str
    frames: tuple[int, int] | None
    subsets: tuple[str, ...]
    attributes: tuple[str, ...]


@cache
def published() -> Mapping[str, Listed]:
    """{name: sequence} of OTB-2015."""
    found = {}
    for line in (resources.files(__package__) / "lists" / "otb.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, frames, subsets, *attributes = line.split()
            first, _, last = frames.partition("-")
            found[name] = Listed(
                name, (int(first), int(last)) if first else None, ("otb2015", *subsets.split(",")), tuple(attributes)
            )
    return found


def names(subset: Subset) -> tuple[str, ...]:
    """Names of the sequences of a subset."""
    return tuple(name for name, listed in published().items() if subset == "all" or subset in listed.subsets)


def official(name: str) -> str:
    """The benchmark's own spelling of a sequence's name; the name itself if it is none of the benchmark's."""
    return _spellings().get(reading.key(name), name)


def read(config: Config, files: Files, problems: Problems) -> list[Sequence]:
    """The sequences, in order of their names; see the module for what is read."""
    targets = _targets(files, problems)
    listed = {name for name in targets if config.subset == "all" or name in names(config.subset)}
    chosen = reading.chosen(listed, tuple(map(official, config.sequences)), str(files.root), problems)
    omit = {
        official(reading.stem(name)): name
        for name in files.names
        if name.rpartition("/")[0].rpartition("/")[2] == "initOmit"
    }
    ordered = sorted(chosen, key=str.lower)
    rows = reading.read_tables(files, [targets[name][0] for name in ordered], problems, (4,))
    sequences = (
        _sequence(config, name, rows[targets[name][0]], *targets[name], omit.get(name), files, problems)
        for name in ordered
    )
    return [sequence for sequence in sequences if sequence is not None]


def open(config: Config, root: Path, name: str) -> Collection:  # noqa: A001 - every reader has it
    """The sequences below `root`. Raises DataError, OSError where there is no such folder."""
    return collection.open_collection(read, config, root, name)


def missing(config: Config, files: Files) -> tuple[str, ...]:
    """Names of the subset's sequences that are not there; () of "all", and where sequences are named one by one."""
    if config.subset == "all" or config.sequences:
        return ()
    there = _targets(files, Problems())
    return tuple(name for name in names(config.subset) if name not in there)


@cache
def _spellings() -> Mapping[str, str]:
    return {reading.key(name): name for name in published()} | {"human4": "Human4-2"}


def _targets(files: Files, problems: Problems) -> dict[str, tuple[str, str]]:
    """Groundtruth file and folder of the images, by name, of every sequence that is there."""
    targets: dict[str, tuple[str, str]] = {}
    for name, groundtruth, folder in list(_in_folders(files, problems)) or _flat(files):
        if name in targets:
            problems.say(files.show(groundtruth), f"one sequence {name}", f"also {files.show(targets[name][0])}")
        targets[name] = groundtruth, folder
    return targets


def _in_folders(files: Files, problems: Problems) -> Iterator[tuple[str, str, str]]:
    """Name, groundtruth file and folder of the images of each target in a folder that holds a sequence or two."""
    folders: dict[str, list[str]] = {}
    for name in files.names:
        folder, _, file = name.rpartition("/")
        if file.startswith(GROUNDTRUTH) and file.endswith(".txt"):
            folders.setdefault(folder, []).append(name)
        elif folder.endswith("/img") and reading.IMAGE.search(file):
            folders.setdefault(folder.removesuffix("/img"), [])
    for folder, groundtruths in folders.items():
        title = folder.rpartition("/")[2] or files.root.name
        if not groundtruths:
            problems.say(files.show(folder), f"{GROUNDTRUTH}.txt", "images without it")
        for groundtruth in groundtruths:
            target = reading.stem(groundtruth).removeprefix(GROUNDTRUTH).strip("._-")
            sequence = official(f"{title}-{target}" if target else title)
            other = len(groundtruths) > 1 and sequence not in published()
            if other and not (reading.read(files, groundtruth, problems) or b"").strip():
                continue  # Human4-1
            yield sequence, groundtruth, reading.join(folder, "img")


def _flat(files: Files) -> Iterator[tuple[str, str, str]]:
    """The same of a folder of annotations."""
    folder = reading.annotation_folder(files, published())
    for name in () if folder is None else files.within(folder):
        if name.endswith(".txt"):
            yield official(reading.stem(name)), name, ""


def _sequence(
    config: Config,
    name: str,
    rows: np.ndarray | None,
    groundtruth: str,
    folder: str,
    omit: str | None,
    files: Files,
    problems: Problems,
) -> Sequence | None:
    before = len(problems)
    listed = published().get(name)
    images = reading.images(files, folder, problems) if folder else {}
    attributes = listed.attributes if listed else _attributes(files, groundtruth, problems)
    ranges = reading.read_table(files, omit, problems, (2,)) if omit and reading.size(files, omit) else ()
    if rows is None or ranges is None or len(problems) > before:
        return None
    place = files.show(groundtruth)
    boxes = reading.boxes(rows, place, problems, config.origin)
    numbers = _numbers(len(rows), images, listed, place, problems)
    if boxes is None or numbers is None:
        return None
    if listed and listed.frames and numbers[0] == 1 and numbers[-1] == listed.frames[1]:
        keep = numbers >= listed.frames[0]  # annotated from the start of the video, judged from later on: Tiger1
        rows, boxes, numbers = rows[keep], boxes[keep], numbers[keep]
    omitted = np.zeros(len(boxes), bool)
    for first, last in ranges:
        omitted |= (numbers >= first) & (numbers <= last)
    frames: Frames = Images(files, tuple(images[n] for n in numbers)) if images else Unseen(len(boxes))
    return Sequence(
        name,
        frames,
        boxes,
        regions=reading.annotated(rows, boxes, config.origin),
        omitted=omitted if omitted.any() else None,
        attributes=attributes,
        origin=config.origin,
    )


def _numbers(
    rows: int, images: Mapping[int, str], listed: Listed | None, place: str, problems: Problems
) -> np.ndarray | None:
    """Numbers of the frames that the rows of an annotation belong to: those of all images, or the published ones."""
    if images and len(images) == rows:
        return np.array(list(images))
    first, last = (listed and listed.frames) or (1, rows)
    if rows == last or rows != last - first + 1:
        first = 1  # annotated from the start of the video
    if not images:
        return np.arange(first, first + rows)
    published = listed is not None and listed.frames is not None and first + rows - 1 == last
    if published and first in images and last in images:
        return np.arange(first, last + 1)
    if published:
        problems.say(place, f"images {first} to {last}, one a row", f"{min(images)} to {max(images)}")
    else:
        problems.say(place, f"{len(images)} rows, one an image", str(rows))
    return None


def _attributes(files: Files, groundtruth: str, problems: Problems) -> tuple[str, ...]:
    """The attributes that files near the groundtruth give."""
    folder = groundtruth.rpartition("/")[0]
    codes, flags, config = (
        reading.join(folder, name) for name in ("attrs.txt", f"att/{reading.stem(groundtruth)}.txt", "cfg.json")
    )
    if codes in files:
        text = reading.lines(reading.read(files, codes, problems) or b"", files.show(codes), problems)
        return reading.attributes(
            [code.strip() for line in text for code in line.split(",")], ATTRIBUTES, files.show(codes), problems
        )
    if flags in files:
        return reading.flagged(files, flags, ATTRIBUTES, problems)
    if config in files:
        place, before = files.show(config), len(problems)
        content = reading.read(files, config, problems)
        held = None if content is None else reading.parse_json(content, place, problems)
        found = held.get("attributes", []) if isinstance(held, dict) else None
        if isinstance(found, list):
            return reading.attributes(map(str, found), ATTRIBUTES, place, problems)
        if len(problems) == before:
            problems.say(place, 'an object with a list of "attributes"', f"{held!r:.60}")
    return ()
