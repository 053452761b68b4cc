"""One video to track in: a file, a folder of images, or a benchmark's folder of one sequence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from trackers.benchmarks import got10k, lasot, otb, plain, vot
from trackers.benchmarks.files import Files, Folder
from trackers.benchmarks.problems import Problems
from trackers.sequence import Sequence, Unseen

Box = tuple[float, float, float, float]
WHERE = "a video, a folder of images or a sequence of a benchmark"


class Alone(Folder):
    """One folder, or one video and the rows beside it, as if nothing else lay there.

    Names begin with the folder's own, as readers of benchmarks expect of a sequence.
    """

    def __init__(self, source: Path) -> None:
        if source.is_dir():
            names = [f"{source.name}/{name}" for name in Folder(source).names]
        elif source.is_file():
            beside = (source.with_suffix(".txt"), source.with_name("groundtruth.txt"))
            names = [source.name, *(path.name for path in beside if path.is_file())]
        else:
            raise FileNotFoundError(f"{source}: expected {WHERE}, found nothing there")
        Files.__init__(self, source.parent, names)


def open(source: Path, box: Box | None = None) -> Sequence:
    """The sequence of this name, with the groundtruth that lies there.

    box: x, y, width and height in the first frame, in pixels from 0: the only groundtruth where none lies there;
    beside a video none is then looked for. Of a folder, `groundtruth_rect.txt` is OTB's; `groundtruth.txt` is
    LaSOT's beside a folder `img`, GOT-10k's beside `absence.label`, one box where it has one row, and VOT's else.

    Raises DataError that lists what is wrong with the files, ValueError where there is no frame, no box to start
    from, or more than one sequence; FileNotFoundError where nothing is.
    """
    source = source.resolve()
    files = Alone(source)
    format, config = _reader(source, files, box)
    problems = Problems()
    found = format.read(config, files, problems)
    problems.refuse()
    seen = [sequence for sequence in found if not isinstance(sequence.frames, Unseen)]
    if len(seen) != 1:
        formats = f"; videos end in {', '.join(plain.VIDEOS)}" if source.is_file() else ""
        raise ValueError(f"{source}: expected {WHERE}, found {len(seen) or 'no'} sequences with frames{formats}")
    return replace(seen[0], name=source.stem if source.is_file() else source.name)


def _reader(source: Path, files: Files, box: Box | None) -> tuple[Any, Any]:
    """The module that reads it, and its Config."""
    if source.is_file():
        if box is None and len(files.names) == 1 and source.name.lower().endswith(plain.VIDEOS):
            raise ValueError(
                f"{source}: expected the first box: --box x,y,width,height, or {source.stem}.txt beside it"
            )
        return plain, plain.Config(box)
    if f"{source.name}/groundtruth_rect.txt" in files:
        return otb, otb.Config()
    groundtruth = f"{source.name}/groundtruth.txt"
    if groundtruth not in files:
        if box is None:
            rows = "groundtruth.txt or groundtruth_rect.txt in it"
            raise ValueError(f"{source}: expected the first box: --box x,y,width,height, or {rows}")
        return plain, plain.Config(box)
    if f"{source.name}/img" in files.folders(source.name):
        return lasot, lasot.Config()
    if f"{source.name}/absence.label" in files:
        return got10k, got10k.Config()
    if len(bytes(files.read(groundtruth)).strip().splitlines()) <= 1:
        return plain, plain.Config()
    return vot, vot.Config()
