"""Plain folders of images and video files, with the box of the target: to track in what one has at hand.

    walk/0001.png, walk/0002.png, ...   each folder of images is a sequence, walk
    walk/groundtruth.txt                x, y, width, height: one row of the first frame, or one a frame
    dog.mp4                             each video is a sequence, dog
    dog.txt                             its row or rows; groundtruth.txt, where there is no such file

The box may be in the configuration instead, if there is one sequence alone. Images are taken in order of the
numbers that end their names, or by name if any has none. Coordinates count from 0. After a single row, the other
frames are not labelled. A row of NaN is a target that is absent.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trackers.benchmarks import reading
from trackers.benchmarks.collection import Collection, open_collection
from trackers.benchmarks.files import Files
from trackers.benchmarks.images import Images
from trackers.benchmarks.problems import Problems
from trackers.benchmarks.videos import Video
from trackers.sequence import Frames, Sequence

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


@dataclass(frozen=True)
class Config:
    """box: x, y, width and height in the first frame, in pixels from 0; None: it is in a file.

    sequences: those to read, by name: of the folder, or of the video without extension; (): all.
    exclude: those to leave out.
    """

    box: tuple[float, float, float, float] | None = None
    sequences: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.box is not None and (
            len(self.box) != 4 or not np.isfinite(self.box).all() or self.box[2] <= 0 or self.box[3] <= 0
        ):
            raise ValueError(f"box: expected x, y and positive width and height, got {self.box}")


def open(config: Config, root: Path, name: str) -> Collection:
    """The data set of that name in the folder `root`; DataError lists all that is wrong with it."""
    return open_collection(read, config, root, name)


def read(config: Config, files: Files, problems: Problems) -> list[Sequence]:
    """Its sequences, by name; what is wrong is noted in `problems`."""
    sources: dict[str, str] = {}  # {name: folder or video}
    folders = {name.rpartition("/")[0] for name in files.names if reading.IMAGE.search(name)}
    for source in [*sorted(folders), *filter(_is_video, files.names)]:
        name = reading.stem(source) if _is_video(source) else source.rpartition("/")[2]
        other = sources.setdefault(name or files.root.resolve().name, source)
        if other != source:
            problems.say(files.show(source), "one folder or video of a name", f"also {files.show(other)}")
    kept = reading.chosen(sources, config.sequences, files.show(""), problems) - set(config.exclude)
    if config.box is not None and len(kept) > 1:
        problems.say(files.show(""), "one sequence for the one box of the configuration", f"{len(kept)} sequences")
        return []
    found = [_read_sequence(config, name, sources[name], files, problems) for name in sorted(kept)]
    return [sequence for sequence in found if sequence is not None]


def _read_sequence(config: Config, name: str, source: str, files: Files, problems: Problems) -> Sequence | None:
    """None where something is wrong with it."""
    before, file = len(problems), _box_file(source, files)
    if config.box is not None:
        boxes: np.ndarray | None = np.array([config.box], float)
    else:
        rows = reading.read_table(files, file, problems, (4,))
        boxes = None if rows is None else reading.boxes(rows, files.show(file), problems, origin=0)
    frames = _frames(source, files, problems)
    if boxes is None or frames is None or len(problems) > before:
        return None
    if len(boxes) not in (1, len(frames)):
        problems.say(files.show(file), f"1 row, or {len(frames)}, one a frame", str(len(boxes)))
        return None
    labelled = None if len(boxes) == len(frames) else np.arange(len(frames)) == 0
    groundtruth = np.full((len(frames), 4), np.nan)
    groundtruth[: len(boxes)] = boxes
    return Sequence(name, frames, groundtruth, labelled=labelled)


def _is_video(name: str) -> bool:
    return name.lower().endswith(VIDEOS)


def _box_file(source: str, files: Files) -> str:
    if not _is_video(source):
        return reading.join(source, "groundtruth.txt")
    beside = f"{source.rpartition('.')[0]}.txt"
    common = reading.join(source.rpartition("/")[0], "groundtruth.txt")
    return common if beside not in files and common in files else beside


def _frames(source: str, files: Files, problems: Problems) -> Frames | None:
    if not _is_video(source):
        names = [name for name in files.within(source) if reading.IMAGE.search(name)]
        if all(reading.NUMBER.search(name) for name in names):
            names = list(reading.images(files, source, problems).values())
        return Images(files, tuple(names))
    try:
        return Video(files.path(source))
    except (ValueError, OSError):
        problems.say(files.show(source), "a video", "a file of which no frame can be decoded")
        return None
