"""pysot's JSON of a benchmark: the annotations of all sequences in one file, with the images below the same folder.

    {sequence: {"img_names": [...], "gt_rect": [[x, y, width, height] or [x1, y1, ..., x4, y4], ...],
                "init_rect": [...], "width": ..., "height": ..., "attr": [...], tag of frames: [0, 1, ...]}}

A row of NaN, or an empty one, is a target that is absent. Coordinates are taken as they stand, as pysot does. Where
the images are not there, the annotations are enough to score results by.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from trackers.benchmarks.collection import Collection, open_collection
from trackers.benchmarks.files import Files
from trackers.benchmarks.images import Images
from trackers.benchmarks.problems import Problems
from trackers.benchmarks.reading import LINES_TOLD, chosen
from trackers.benchmarks.reading import read as read_bytes
from trackers.benchmarks.vot import bounding
from trackers.sequence import Frames, Region, Sequence, Unseen

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
    try:
        held = json.loads(content)
    except (ValueError, RecursionError) as error:
        problems.say(place, "JSON", str(error))
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
    rows = _rows(name, entry.get("gt_rect"), config.origin, file, problems)
    tags = _tags(name, entry, len(rows), file, problems)
    images = entry.get("img_names")
    images = tuple(images) if isinstance(images, list) and all(isinstance(image, str) for image in images) else ()
    if images and len(images) != len(rows):
        problems.say(file, f"{name}: {len(images)} rows of gt_rect, one an image", str(len(rows)))
    if len(problems) > before:
        return None
    there = [image in files for image in images]
    if any(there) and not all(there):
        problems.say(files.show(images[there.index(False)]), f"an image of {name}", "no such file")
        return None
    frames: Frames = Images(files, images) if images and all(there) else Unseen(len(rows))
    width, height = entry.get("width"), entry.get("height")
    attributes = entry.get("attr", entry.get("attributes"))
    return Sequence(
        name,
        frames,
        np.array([row if len(row) == 4 else bounding(row) for row in rows]),
        rows if any(len(row) == 8 for row in rows) else None,
        tags=tags,
        attributes=tuple(map(str, attributes)) if isinstance(attributes, list) else (),
        size=(int(width), int(height)) if _is_side(width) and _is_side(height) else None,
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
        values = row if isinstance(row, list) and all(map(_is_number, row)) else [None]
        if values == [] or (len(values) in (4, 8) and any(value is None or math.isnan(value) for value in values)):
            rows.append(np.full(4, np.nan))
        elif len(values) in (4, 8) and all(map(math.isfinite, values)):
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


def _is_side(value: Any) -> TypeGuard[float]:
    return _is_number(value) and 1 <= value < math.inf


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
