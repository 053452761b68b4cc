"""VOT2013 to VOT2022: a folder a sequence, with polygons, boxes or masks and tags of single frames.

    list.txt                          names of the sequences, in order; without it, all folders by name
    <sequence>/groundtruth.txt        one row a frame
    <sequence>/00000001.jpg           or below color/ or imgs/, or where the file `sequence` says
    <sequence>/occlusion.tag          0 or 1, one row a frame; .label until 2015

A row of groundtruth is a box of 4 numbers, a polygon of 6, 8 or more, or the run lengths of a mask (`m...`,
from 2020 on), and one file may hold several kinds; NaN, or the single number 0, is a target that is absent.
Coordinates are taken as they stand, the first pixel at 0: so both VOT toolkits rasterize them.

Rows belong to images by number, the first to 00000001. That decides the one known slip: `ball` of VOT2014
has 602 rows and 603 images, of which 00000000 belongs to no row.

Segmentations have a mask for each frame, of its size, of one value beside 0. An empty one is a target that is
absent, anywhere but at the start.

Tags keep their names. `empty` is added, as the VOT reports count it: the frames without any other tag. Rows
that a tag's file lacks at its end are 0, as both toolkits have it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from trackers import masks
from trackers.benchmarks import decimals, mask_images, reading
from trackers.benchmarks.collection import Collection, open_collection
from trackers.benchmarks.files import Files
from trackers.benchmarks.headers import image_size
from trackers.benchmarks.images import Images
from trackers.benchmarks.mask_images import MaskImages
from trackers.benchmarks.problems import Problems
from trackers.masks import Code, RunLengths
from trackers.sequence import Frames, Region, Regions, Sequence, Unseen

ONE_IMAGE_MORE = ("ball",)
IMAGE_FOLDERS = ("color", "imgs")
SIDE = re.compile(r"0*[1-9]\d{0,4}", re.ASCII)
WIDEST = 10**5  # pixels of an image that a mask lies in
ABSENT = np.full(4, np.nan)
FIELD = re.compile(r"[ \t]*[,;][ \t]*|[ \t]+")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan", re.ASCII | re.IGNORECASE)
ROW = "4 numbers of a box, an even number of 6 or more of a polygon, m and a mask's run lengths, or NaN"


@dataclass(frozen=True)
class Config:
    """box: what `groundtruth` is of a polygon. "bounding": the box around it; "equal_area": a box of the same
    area and centre (the mean of the corners), of the shape of the one around it, as many trackers start from.

    regions: "annotated", or "masks": the segmentations that came after VOT2016, images in a folder named
    `masks`, either one in each sequence or one beside the sequences that holds a folder of each.
    sequences: the names of those to read; (): all. exclude: those to leave out.
    """

    box: Literal["bounding", "equal_area"] = "bounding"
    regions: Literal["annotated", "masks"] = "annotated"
    masks: str = "masks"
    sequences: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.box not in ("bounding", "equal_area"):
            raise ValueError(f"box: expected bounding or equal_area, got {self.box}")
        if self.regions not in ("annotated", "masks"):
            raise ValueError(f"regions: expected annotated or masks, got {self.regions}")


def open(config: Config, root: Path, name: str) -> Collection:
    """The data set of that name in the folder `root`; DataError lists all that is wrong with it."""
    return open_collection(read, config, root, name)


def read(config: Config, files: Files, problems: Problems) -> list[Sequence]:
    """Its sequences, in order of list.txt or by name; what is wrong is noted in `problems`."""
    listed = _names(files, problems)
    kept = reading.chosen(listed, config.sequences, files.show(""), problems) - set(config.exclude)
    names = [name for name in listed if name in kept]
    contents = [reading.read(files, f"{name}/groundtruth.txt", problems) for name in names]
    plain = decimals.tables([content or b"" for content in contents])
    read_ones = [
        _read_sequence(config, name, content, table, files, problems)
        for name, content, table in zip(names, contents, plain, strict=True)
        if content is not None
    ]
    sequences = [sequence for sequence in read_ones if sequence is not None]
    if not any(sequence.tags for sequence in sequences):
        return sequences
    return [replace(sequence, tags={**sequence.tags, "empty": _untagged(sequence)}) for sequence in sequences]


def equal_area(polygon: np.ndarray) -> np.ndarray:
    """The box (4,) of the polygon's area, centred on the mean of its corners, with the sides of its bounding
    box in proportion. A rotated rectangle's is that of the common conversion (the VOT toolkit's examples, MDNet,
    pysot), where those add a pixel to both sides.
    """
    x, y = polygon.reshape(-1, 2).T
    sides = np.array([np.ptp(x), np.ptp(y)])
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    if sides.prod() > 0:
        sides = sides * np.sqrt(area / sides.prod())
    return np.concatenate([np.array([x.mean(), y.mean()]) - sides / 2, sides])


def bounding(polygon: np.ndarray) -> np.ndarray:
    """The box (4,) around a polygon (2 x corners,)."""
    corners = polygon.reshape(-1, 2)
    return np.concatenate([corners.min(0), np.ptp(corners, axis=0)])


def _names(files: Files, problems: Problems) -> tuple[str, ...]:
    """Names of the sequences, each that of a folder with groundtruth."""
    there = tuple(folder for folder in files.folders() if f"{folder}/groundtruth.txt" in files)
    if "list.txt" not in files:
        return there
    listed: dict[str, None] = {}
    content, place = reading.read(files, "list.txt", problems) or b"", files.show("list.txt")
    for line, name in enumerate(reading.lines(content, place, problems), 1):
        if name not in there:
            problems.say(place, "a folder of that name with groundtruth.txt", repr(name), line)
        elif name in listed:
            problems.say(place, "each sequence once", f"{name} again", line)
        else:
            listed[name] = None
    return tuple(listed)


def _read_sequence(
    config: Config, name: str, content: bytes, plain: np.ndarray | None, files: Files, problems: Problems
) -> Sequence | None:
    """None where something is wrong with it."""
    before = len(problems)
    about = _metadata(files, name, problems)
    size = _size(about, files.show(f"{name}/sequence"), problems)
    images = _images(files, name, about, problems)
    rows = _rows(content, files.show(f"{name}/groundtruth.txt"), plain, problems)
    if name in ONE_IMAGE_MORE and len(images) == len(rows) + 1:
        images = {number: image for number, image in images.items() if 1 <= number <= len(rows)}
    if images and rows and len(images) != len(rows):
        problems.say(files.show(f"{name}/groundtruth.txt"), f"{len(images)} rows, one an image", str(len(rows)))
    tags = _tags(files, name, len(rows), problems)
    if len(problems) > before:
        return None
    frames: Frames = Images(files, tuple(images.values())) if images else Unseen(len(rows))
    if images and not size and (config.regions == "masks" or any(isinstance(row, tuple) for row in rows)):
        size = _first_size(files, next(iter(images.values())), problems)
    boxes, regions = _groundtruth(config, rows, size)
    if config.regions == "masks":
        if not isinstance(regions, RunLengths):
            numbers = list(images or range(1, len(rows) + 1))
            regions = _segmentation(config.masks, name, files, numbers, size, problems)
        elif len(rows) and np.isnan(boxes[0]).any():
            _refuse_empty(files.show(f"{name}/groundtruth.txt"), name, problems, line=1)
    return None if len(problems) > before else Sequence(name, frames, boxes, regions, tags=tags, size=size)


def _metadata(files: Files, name: str, problems: Problems) -> dict[str, str]:
    """What the file `sequence` of the VOT toolkit says, key=value in each line; {} where there is none."""
    metadata = f"{name}/sequence"
    if metadata not in files:
        return {}
    place = files.show(metadata)
    about = {}
    for line, row in enumerate(reading.lines(reading.read(files, metadata, problems) or b"", place, problems), 1):
        key, equals, value = row.partition("=")
        if not equals:
            problems.say(place, "key=value", repr(row), line)
        about[key.strip()] = value.strip()
    return about


def _size(about: Mapping[str, str], file: str, problems: Problems) -> tuple[int, int] | None:
    """Width and height of the images, where the metadata has them."""
    sides = [about.get("width"), about.get("height")]
    if None in sides:
        return None
    if not all(side and SIDE.fullmatch(side) for side in sides):
        found = " and ".join(f"{side!r:.40}" for side in sides)
        problems.say(file, "width and height, whole numbers from 1 to 99999", found)
        return None
    return int(sides[0] or 0), int(sides[1] or 0)


def _images(files: Files, name: str, about: Mapping[str, str], problems: Problems) -> dict[int, str]:
    """{number: name} of the images; {} where annotations lie there alone."""
    channel = about.get("channels.color")
    if channel is not None:  # a pattern (color/%08d.jpg) or a folder (color/)
        parts = channel.replace("\\", "/").split("/")
        folders = [part for part in (parts[:-1] if "%" in parts[-1] else parts) if part not in ("", ".")]
        if ".." in folders or channel.startswith("/"):
            problems.say(files.show(f"{name}/sequence"), "channels.color inside the sequence's folder", channel)
            return {}
        return reading.images(files, "/".join([name, *folders]), problems)
    for folder in (name, *(f"{name}/{below}" for below in IMAGE_FOLDERS)):
        images = reading.images(files, folder, problems)
        if images:
            return images
    return {}


def _rows(content: bytes, file: str, plain: np.ndarray | None, problems: Problems) -> list[Region | Code]:
    """Each row of groundtruth: a box, of NaN where the target is absent, a polygon, or the code of a mask.

    file: its place, for messages. plain: its numbers, where `decimals.tables` could read them.
    """
    content = content.removeprefix(reading.BOM).rstrip()
    if not content:
        problems.say(file, "at least one row of groundtruth", "an empty file")
    table = None if content.startswith(b"m") else reading.numbers(content) if plain is None else plain
    if table is not None and _are_regions(table):  # as most files are: one look at all rows
        return list(np.ascontiguousarray(table))
    rows: list[Region | Code] = []
    wrong: list[tuple[int, str]] = []
    # Split as bytes, for text has more ends of lines than other programs know.
    for line, text in enumerate(content.splitlines(), 1):
        try:
            rows.append(_row(text.decode("utf-8", "replace").strip(" \t")))
        except ValueError as error:
            rows.append(ABSENT)
            wrong.append((line, str(error)))
    for line, message in wrong[: reading.LINES_TOLD]:
        expected, _, found = message.removeprefix("expected ").partition(", got ")
        problems.say(file, expected, found, line)
    if len(wrong) > reading.LINES_TOLD:
        more = f"{len(wrong) - reading.LINES_TOLD} more, the last of them here"
        problems.say(file, "no more wrong lines", more, wrong[-1][0])
    if any(isinstance(row, tuple) for row in rows):
        others = [t for t, row in enumerate(rows) if not isinstance(row, tuple) and row is not ABSENT]
        if others:
            problems.say(
                file, "a mask, as other rows of this file are", f"{len(rows[others[0]])} numbers", others[0] + 1
            )
    return rows


def _are_regions(table: np.ndarray) -> bool:
    """Whether all rows are boxes, or all polygons of four corners, and no target is absent."""
    is_box = table.shape[1] == 4 and bool((table[:, 2:] >= 0).all())
    return (is_box or table.shape[1] == 8) and bool((np.abs(table) <= reading.FARTHEST).all())


def _row(row: str) -> Region | Code:
    """One row; ValueError says what was expected, and what it is."""
    if row.startswith("m"):
        window, counts = masks.parse(row)
        if max(map(abs, window)) > WIDEST:
            raise ValueError(f"expected the window of a mask, numbers up to {WIDEST}, got {window}")
        return window, counts
    fields = FIELD.split(row)
    if all(NUMBER.fullmatch(field) for field in fields):
        region = np.array(fields, float)
        if np.isnan(region).all() or (len(region) == 1 and region[0] == 0):
            return ABSENT
        finite = bool((np.abs(region) <= reading.FARTHEST).all())
        if finite and len(region) == 4 and region[2:].min() >= 0:
            return region
        if finite and len(region) >= 6 and len(region) % 2 == 0:
            return region
    raise ValueError(f"expected {ROW}, got {row if len(row) <= 60 else f'{row[:60]}...'!r}")


def _groundtruth(
    config: Config, rows: list[Region | Code], size: tuple[int, int] | None
) -> tuple[np.ndarray, Regions | None]:
    """Boxes (frames, 4), and the regions where those are more than boxes."""
    if any(isinstance(row, tuple) for row in rows):
        coded = RunLengths.of_codes([row if isinstance(row, tuple) else masks.EMPTY for row in rows], size)
        return coded.bounding_boxes(), coded
    regions = tuple(row for row in rows if not isinstance(row, tuple))
    if config.box == "bounding" and all(len(region) == 8 for region in regions):
        corners = np.stack(regions).reshape(-1, 4, 2)
        return np.hstack([corners.min(1), np.ptp(corners, axis=1)]), regions
    box_of = bounding if config.box == "bounding" else equal_area
    boxes = np.array([region if len(region) == 4 else box_of(region) for region in regions])
    return boxes, regions if any(len(region) > 4 for region in regions) else None


def _first_size(files: Files, name: str, problems: Problems) -> tuple[int, int] | None:
    """Width and height of the first image, which masks are to have, too."""
    try:
        size = image_size(files.view(name))
    except (OSError, ValueError) as error:
        problems.note(files.show(name), error)
        return None
    if size is None:  # of a format whose header is not known
        try:
            height, width, _ = Images(files, (name,))[0].shape
        except ValueError:
            problems.say(files.show(name), "an image", "one that cannot be decoded")
            return None
        size = width, height
    return size


def _segmentation(
    folder: str, name: str, files: Files, numbers: list[int], size: tuple[int, int] | None, problems: Problems
) -> MaskImages | None:
    """The mask of each image, by number; all of them of this size."""
    places = f"{name}/{folder}", f"{folder}/{name}"
    for place in places:
        before = len(problems)
        found = reading.images(files, place, problems)
        if not found:
            continue
        if (min(found), max(found)) != (numbers[0], numbers[-1]):
            problems.say(files.show(place), f"masks {numbers[0]} to {numbers[-1]}", f"{min(found)} to {max(found)}")
        segmentation = MaskImages(files, tuple(found.values()))
        if len(problems) == before:
            _check_masks(segmentation, name, size, problems)
        return segmentation
    problems.say(files.show(places[0]), f"masks, or in {files.show(places[1])}", "none")
    return None


def _check_masks(segmentation: MaskImages, name: str, size: tuple[int, int] | None, problems: Problems) -> None:
    """What is wrong with their headers, and with the first of them, from which trackers start."""
    before, sizes = len(problems), dict[str, tuple[int, int]]()
    for mask in segmentation.names:
        try:
            found = image_size(segmentation.files.view(mask))
            if found is not None:
                sizes[mask] = found
        except (OSError, ValueError) as error:
            problems.note(segmentation.files.show(mask), error)
    expected = size or next(iter(sizes.values()), None)
    wrong = [mask for mask, found in sizes.items() if found != expected]
    if wrong and expected is not None:
        width, height = sizes[wrong[0]]
        more = f"; {len(wrong)} of {len(segmentation)} masks have another size" if len(wrong) > 1 else ""
        as_which = f"as the frames of {name}" if size else f"as the first mask of {name}"
        problems.say(
            segmentation.files.show(wrong[0]),
            f"a mask of {expected[0]} x {expected[1]} pixels, {as_which}",
            f"{width} x {height} pixels{more}",
        )
    if len(problems) > before:
        return
    first = segmentation.names[0]
    try:
        if not mask_images.of_one(mask_images.decode(segmentation.files.read(first))).any():
            _refuse_empty(segmentation.files.show(first), name, problems)
    except (OSError, ValueError) as error:
        problems.note(segmentation.files.show(first), error)


def _refuse_empty(file: str, name: str, problems: Problems, line: int = 0) -> None:
    """An empty mask is a target that is gone, which no tracker can start from."""
    expected = f"the target of {name} in its first mask, or the sequence left out (exclude: [{name}])"
    problems.say(file, expected, "an empty mask", line)


def _tags(files: Files, name: str, length: int, problems: Problems) -> dict[str, np.ndarray]:
    """The tags of single frames, bool (length,) each."""
    tags = {}
    for file in files.within(name):
        if not file.endswith((".tag", ".label")):
            continue
        flags = reading.read_table(files, file, problems, (1,)) if files.size(file) else np.zeros((0, 1))
        if flags is None:
            continue
        if len(flags) > length:
            problems.say(files.show(file), f"at most {length} rows, one a frame", str(len(flags)))
            continue
        wrong = np.flatnonzero(~np.isin(flags[:, 0], (0, 1)))
        if len(wrong):
            problems.say(files.show(file), "0 or 1", f"{flags[wrong[0], 0]:g}", int(wrong[0]) + 1)
            continue
        tags[reading.stem(file)] = np.pad(flags[:, 0] == 1, (0, length - len(flags)))
    return tags


def _untagged(sequence: Sequence) -> np.ndarray:
    """bool (frames,), the frames without any tag."""
    tagged = np.zeros(len(sequence), bool)
    for tag in sequence.tags.values():
        tagged |= tag
    return ~tagged
