"""pysot's JSON of a benchmark: the annotations of all sequences in one file, with the images below the same folder.

    {sequence: {"img_names": [...], "gt_rect": [[x, y, width, height] or [x1, y1, ..., x4, y4], ...],
                "init_rect": [...], "width": ..., "height": ..., "attr": [...], tag of frames: [0, 1, ...]}}

A row of NaN, or an empty one, is a target that is absent. Coordinates are taken as they stand, as pysot does. Where
the images are not there, the annotations are enough to score results by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trackers.benchmarks.collection import Collection, open_collection
from trackers.benchmarks.files import Files
from trackers.benchmarks.images import Images
from trackers.benchmarks.problems import Problems
from trackers.benchmarks.reading import FARTHEST, LINES_TOLD, chosen, parse_json
from trackers.benchmarks.reading import read as read_bytes
from trackers.benchmarks.vot import bounding
from trackers.sequence import Frames, Region, Sequence, Unseen

NAME = re.compile(r"[^/\\\x00-\x1f]*[^/\\\x00-\x1f.][^/\\\x00-\x1f]*")  # files of results will have it
WIDEST = 10**5  # pixels of an image
FACTS = ("video_dir", "init_rect", "img_names", "gt_rect", "width", "height", "attr", "attributes")


@dataclass(frozen=True)
class Config:
    """file: name of the JSON file; "": the only one there is. sequences: names of those to read; (): all.

    origin: coordinate of the first pixel; files made of OTB's annotations have 1.
    """

    file: str = ""
    sequences: tuple[str, ...] = ()
    origin: float = 0.0


def open(config: Config, root: Path, name: str) -> Collection:  # noqa: A001 - every reader has it
    """The data set of that name in the folder `root`; DataError lists all that is wrong with it."""
    return open_collection(read, config, root, name)


def read(config: Config, files: Files, problems: Problems) -> list[Sequence]:
    """Its sequences, in the order of the file; what is wrong is noted in `problems`."""
    there = [name for name in files.within("") if name.lower().endswith(".json")]
    file = config.file or (there[0] if len(there) == 1 else "")
    if not file:
        problems.say(str(files.root), "one .json file", ", ".join(there) or "none")
        return []
    content = read_bytes(files, file, problems)
    if content is None:
        return []
    place = files.show(file)
    before = len(problems)
    held = parse_json(content, place, problems)
    if len(problems) > before:
        return []
    if not isinstance(held, dict) or not all(isinstance(entry, dict) for entry in held.values()):
        problems.say(place, "an object of sequences, each an object", "something else")
        return []
    wanted = chosen(held, config.sequences, place, problems)
    found = (_sequence(name, held[name], config, files, place, problems) for name in held if name in wanted)
    return [sequence for sequence in found if sequence is not None]


def _sequence(
    name: str, entry: dict[str, Any], config: Config, files: Files, file: str, problems: Problems
) -> Sequence | None:
    """None where something is wrong with it."""
    before = len(problems)
    if not NAME.fullmatch(name):
        problems.say(file, "names of sequences, such as a file may have", f"{name!r:.60}")
    rows = _rows(name, entry.get("gt_rect"), config.origin, file, problems)
    tags = _tags(name, entry, len(rows), file, problems)
    images = _texts(name, entry, "img_names", file, problems)
    attributes = _texts(name, entry, "attr" if "attr" in entry else "attributes", file, problems)
    size = _size(name, entry, file, problems)
    if images and len(images) != len(rows):
        problems.say(file, f"{name}: {len(images)} rows of gt_rect, one an image", str(len(rows)))
    if len(problems) > before:
        return None
    there = [image in files for image in images]
    if any(there) and not all(there):
        problems.say(files.show(images[there.index(False)]), f"an image of {name}", "no such file")
        return None
    frames: Frames = Images(files, images) if images and all(there) else Unseen(len(rows))
    return Sequence(
        name,
        frames,
        np.array([row if len(row) == 4 else bounding(row) for row in rows]),
        rows if any(len(row) == 8 for row in rows) else None,
        tags=tags,
        attributes=attributes,
        size=size,
        origin=config.origin,
    )


def _rows(name: str, found: Any, origin: float, file: str, problems: Problems) -> tuple[Region, ...]:
    """A box, of NaN where the target is absent, or a polygon for each frame."""
    if not isinstance(found, list) or not found:
        problems.say(file, f"{name}: rows of gt_rect", "none")
        return ()
    rows: list[Region] = []
    wrong = 0
    for number, row in enumerate(found, 1):
        values: list[Any] = row if isinstance(row, list) and all(map(_is_number, row)) else [None]
        if values == [] or (len(values) in (4, 8) and any(value is None or value != value for value in values)):
            rows.append(np.full(4, np.nan))
        elif len(values) in (4, 8) and all(abs(value) <= FARTHEST for value in values):
            shift = (origin, origin, 0.0, 0.0) if len(values) == 4 else (origin,) * 8
            rows.append(np.array(values, float) - shift)
        else:
            wrong += 1
            if wrong <= LINES_TOLD:
                problems.say(file, f"{name}, frame {number}: 4 or 8 numbers, or none", repr(row)[:60])
    if wrong > LINES_TOLD:
        problems.say(file, f"{name}: no more wrong rows", f"{wrong - LINES_TOLD} more")
    return tuple(rows)


def _tags(name: str, entry: dict[str, Any], frames: int, file: str, problems: Problems) -> dict[str, np.ndarray]:
    """The tags of single frames, and `empty`, as VOT's reports have it: the frames without any of them."""
    tags = {}
    for tag, flags in entry.items():
        if tag in FACTS or not isinstance(flags, list) or not flags:
            continue
        if len(flags) != frames or not all(flag in (0, 1) for flag in flags):
            problems.say(file, f"{name}: {frames} times 0 or 1 for {tag}, one a frame", f"{len(flags)} of something")
            continue
        tags[tag] = np.array(flags, bool)
    if not tags or "absent" in tags:
        return tags
    return {**tags, "empty": ~np.logical_or.reduce(list(tags.values()))}


def _texts(name: str, entry: dict[str, Any], key: str, file: str, problems: Problems) -> tuple[str, ...]:
    """The list of texts at a key; () where there is none."""
    found = entry.get(key)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        problems.say(file, f"{name}: a list of texts at {key}", f"{found!r:.60}")
        return ()
    return tuple(found)


def _size(name: str, entry: dict[str, Any], file: str, problems: Problems) -> tuple[int, int] | None:
    """Width and height of the images, where both are given."""
    sides = entry.get("width"), entry.get("height")
    if None in sides:
        return None
    width, height = (side if type(side) is int and 0 < side < WIDEST else 0 for side in sides)
    if not width or not height:
        problems.say(file, f"{name}: width and height, whole numbers above 0", f"{sides!r:.60}")
        return None
    return width, height


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
