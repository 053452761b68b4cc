"""Whether data sets are whole: every annotation, and the header of every frame; all problems in one list."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from orchestrator.params import Dataset, dataset_module
from trackers.benchmarks import files
from trackers.benchmarks.collection import read_sequences
from trackers.benchmarks.files import Files
from trackers.benchmarks.headers import image_size
from trackers.benchmarks.images import Images
from trackers.benchmarks.mask_images import MaskImages
from trackers.benchmarks.packs import Pack
from trackers.benchmarks.problems import DataError, Problem, Problems
from trackers.benchmarks.reading import IMAGE
from trackers.sequence import Sequence, Unseen

THREADS = 4  # enough to wait for several files at once; the rest of the work is Python's, one thread at a time
_MESSAGE = re.compile(r"(?:(?P<file>.+?)(?::(?P<line>\d+))?: )?expected (?P<expected>.*), (?:got|found) (?P<found>.*)")


@dataclass(frozen=True)
class Reading:
    """A data set as far as it can be read. made: its sequences are made when asked for, not read from files."""

    dataset: Dataset
    sequences: Collection[Sequence] = ()
    made: bool = False
    problems: Problems = field(default_factory=Problems)

    @property
    def frames(self) -> int:
        """Frames in all sequences that lie there; 0 where they are made."""
        return 0 if self.made else sum(map(len, self.sequences))

    def as_json(self) -> dict[str, Any]:
        """Plain values: what was looked at, and each problem's file, line, expected and found."""
        return {
            "name": self.dataset.name,
            "format": self.dataset.format,
            "root": str(self.dataset.root),
            "sequences": len(self.sequences),
            "frames": self.frames,
            "problems": [vars(problem) for problem in self.problems],
        }


def read(dataset: Dataset) -> Reading:
    """Read all annotations; never raises for bad data."""
    module, problems = dataset_module(dataset.format), Problems()
    reading = Reading(dataset, problems=problems)
    try:
        if not hasattr(module, "read"):
            return Reading(dataset, module.open(dataset.config, dataset.root, dataset.name), made=True)
        reading = Reading(
            dataset, read_sequences(module.read, dataset.config, dataset.root, problems), problems=problems
        )
    except DataError as error:
        problems.found += error.problems
    except (OSError, ValueError) as error:
        problems.found.append(_problem(str(dataset.root), error))
    return reading


def check(
    datasets: Iterable[Dataset],
    deep: bool = False,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> list[Reading]:
    """Read every annotation and the header of every frame.

    deep: decode every frame and mask, too, and compare packed data sets with what was packed, byte by byte.
    progress: called with (frames looked at, frames in all) after each sequence.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        readings = list(pool.map(read, datasets))
        tasks = [(reading, task) for reading in readings if not reading.made for task in _tasks(reading)]
        done, total = 0, sum(len(task) for _, task in tasks)
        found = pool.map(lambda task: check_frames(task[1], deep), tasks)
        for (reading, task), problems in zip(tasks, found, strict=True):
            reading.problems.found += problems
            done += len(task)
            progress(done, total)
    for reading in readings:
        packed = _files(reading) if deep else None
        if isinstance(packed, Pack):
            packed.verify(reading.problems)
        reading.problems.found[:] = dict.fromkeys(reading.problems.found)  # some are found by two ways
    return readings


def check_frames(sequence: Sequence | Images, deep: bool = False) -> Problems:
    """What is wrong with frames: damaged or cut short; those of a sequence also, that they are not all of one size.

    deep: every frame, and every mask that lies in an image, is decoded.
    """
    problems, sizes = Problems(), dict[str, tuple[int, int]]()
    frames, name = (sequence.frames, sequence.name) if isinstance(sequence, Sequence) else (sequence, "")
    if isinstance(frames, Unseen) or not (deep or isinstance(frames, Images)):
        return problems
    for t in range(len(frames)):
        place = frames.files.show(frames.names[t]) if isinstance(frames, Images) else f"{name}, frame {t}"
        try:
            size = image_size(frames.files.view(frames.names[t])) if isinstance(frames, Images) else None
            if deep or size is None:
                height, width = frames[t].shape[:2]
                size = width, height
            sizes[place] = size
        except (OSError, ValueError) as error:
            problems.found.append(_problem(place, error))
    if deep and isinstance(sequence, Sequence) and isinstance(sequence.regions, MaskImages):
        for t in range(len(sequence)):
            try:
                sequence.regions[t]
            except (OSError, ValueError) as error:
                problems.found.append(_problem(f"{name}, frame {t}", error))
    if isinstance(sequence, Sequence) and sizes:
        expected, source = sequence.size, "as annotated"
        if expected is None:
            expected, source = Counter(sizes.values()).most_common(1)[0][0], f"as most frames of {sequence.name}"
        wrong = [place for place, size in sizes.items() if size != expected]
        if wrong:
            more = f"; {len(wrong)} of {len(frames)} frames have another size" if len(wrong) > 1 else ""
            width, height = sizes[wrong[0]]
            problems.say(
                wrong[0], f"{expected[0]} x {expected[1]} pixels, {source}", f"{width} x {height} pixels{more}"
            )
    return problems


def _tasks(reading: Reading) -> Iterator[Sequence | Images]:
    """What there is to look at: the sequences, and the images that a problem kept from becoming one."""
    yield from reading.sequences
    there = _files(reading) if reading.problems else None
    if there is not None:
        seen = {name for s in reading.sequences if isinstance(s.frames, Images) for name in s.frames.names}
        left = (name for name in there.names if name not in seen and IMAGE.search(name))
        for _, names in groupby(left, lambda name: name.rpartition("/")[0]):
            yield Images(there, tuple(names))


def _files(reading: Reading) -> Files | None:
    """The files of a data set; None where they cannot be opened, which has been noted."""
    try:
        return files.open(reading.dataset.root)
    except (OSError, ValueError):
        return None


def _problem(place: str, error: OSError | ValueError) -> Problem:
    """What an error says, taken apart; `place` where it names none."""
    parts = _MESSAGE.fullmatch(str(error))
    if parts is None:
        return Problem(place, 0, "data that can be read", getattr(error, "strerror", None) or str(error))
    return Problem(parts["file"] or place, int(parts["line"] or 0), parts["expected"], parts["found"])
