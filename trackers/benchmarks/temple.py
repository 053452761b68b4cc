"""Temple-color-128: `<Seq>/img/*.jpg`, `<Seq>/<Seq>_gt.txt`, `<Seq>_frames.txt` and `<Seq>_att.txt`.

Rows of groundtruth are x, y, width, height, 1-based; frames.txt has the numbers of the first and the last
annotated image, for a video may be longer; att.txt the codes of the attributes. The last two may be absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trackers.benchmarks import collection, reading
from trackers.benchmarks.collection import Collection
from trackers.benchmarks.files import Files
from trackers.benchmarks.images import Images
from trackers.benchmarks.problems import Problems
from trackers.sequence import Frames, Sequence, Unseen

ATTRIBUTES = ("IV", "OPR", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OV", "BC", "LR")  # those of OTB
GROUNDTRUTH = "_gt.txt"


@dataclass(frozen=True)
class Config:
    """The sequences named, if any are. origin: coordinates of the first pixel in the files."""

    sequences: tuple[str, ...] = ()
    origin: float = 1.0


def read(config: Config, files: Files, problems: Problems) -> list[Sequence]:
    """The sequences, in order of their names."""
    found: dict[str, str] = {}
    for text in files.names:
        if text.endswith(GROUNDTRUTH):
            name = text.rpartition("/")[2].removesuffix(GROUNDTRUTH)
            if name in found:
                problems.say(files.show(text), f"one sequence {name}", f"also {files.show(found[name])}")
            found[name] = text
    annotated = {text.rpartition("/")[0] for text in found.values()}
    for folder in sorted({name.rpartition("/")[0] for name in files.names if reading.IMAGE.search(name)}):
        sequence, _, last = folder.rpartition("/")
        if last == "img" and sequence not in annotated:
            problems.say(files.show(sequence), f"a file *{GROUNDTRUTH}", "images without it")
    chosen = reading.chosen(found, config.sequences, str(files.root), problems)
    sequences = (_sequence(config, name, found[name], files, problems) for name in sorted(chosen, key=str.lower))
    return [sequence for sequence in sequences if sequence is not None]


def open(config: Config, root: Path, name: str) -> Collection:  # noqa: A001 - every reader has it
    """The sequences below `root`. Raises DataError, OSError where there is no such folder."""
    return collection.open_collection(read, config, root, name)


def _sequence(config: Config, name: str, text: str, files: Files, problems: Problems) -> Sequence | None:
    before = len(problems)
    place = files.show(text)
    folder = text.rpartition("/")[0]
    rows = reading.read_table(files, text, problems, (4,))
    boxes = None if rows is None else reading.boxes(rows, place, problems, config.origin)
    images = reading.images(files, reading.join(folder, "img"), problems)
    span = _span(files, reading.join(folder, f"{name}_frames.txt"), problems)
    attributes = _attributes(files, reading.join(folder, f"{name}_att.txt"), problems)
    if rows is None or boxes is None or len(problems) > before:
        return None
    if span is None:
        numbers = range(min(images), max(images) + 1) if images else range(len(boxes))
    else:
        numbers = range(span[0], span[1] + 1)
    if len(numbers) != len(boxes):
        one = "one an image" if span is None else f"one for each of the frames {span[0]} to {span[1]}"
        problems.say(place, f"{len(numbers)} rows, {one}", str(len(boxes)))
        return None
    frames: Frames = Unseen(len(boxes))
    if images:
        if numbers[0] not in images or numbers[-1] not in images:
            problems.say(
                files.show(reading.join(folder, "img")),
                f"images {numbers[0]} to {numbers[-1]}",
                f"{min(images)} to {max(images)}",
            )
            return None
        frames = Images(files, tuple(images[number] for number in numbers))
    regions = reading.annotated(rows, boxes, config.origin)
    return Sequence(name, frames, boxes, regions, attributes=attributes, origin=config.origin)


def _span(files: Files, name: str, problems: Problems) -> tuple[int, int] | None:
    """Numbers of the first and the last annotated frame, if there is a file that says so."""
    if name not in files:
        return None
    found = reading.read_table(files, name, problems, (1, 2))
    if found is None:
        return None
    numbers = found.ravel()
    if len(numbers) != 2 or (numbers % 1 != 0).any() or not 0 <= numbers[0] <= numbers[1] < 2**31:
        problems.say(files.show(name), "numbers of the first and the last frame", " ".join(f"{n:g}" for n in numbers))
        return None
    return int(numbers[0]), int(numbers[1])


def _attributes(files: Files, name: str, problems: Problems) -> tuple[str, ...]:
    if name not in files:
        return ()
    place = files.show(name)
    text = reading.lines(reading.read(files, name, problems) or b"", place, problems)
    codes = [code for line in text for code in line.replace(",", " ").split()]
    return reading.attributes(codes, ATTRIBUTES, place, problems)
