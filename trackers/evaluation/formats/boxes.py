"""A box a line: x, y, width, height with commas, tabs or spaces between. OTB, GOT-10k, LaSOT, UAV123, pysot.

GOT-10k keeps the seconds that each frame took beside it, <sequence>_time.txt with a column for each repetition;
its OTB results have them in a folder `times`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from trackers.benchmarks.files import Files
from trackers.benchmarks.problems import Problems
from trackers.benchmarks.reading import join, numbers, table
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence


def read(
    content: bytes,
    file: str,
    sequence: Sequence,
    run: int,
    problems: Problems,
    cut: bool = False,
    seconds: np.ndarray | None = None,
    plain: np.ndarray | None = None,
) -> Trajectory | None:
    """The run in a text; None, and problems, where it is not a row of four numbers for each frame.

    file: its place, for messages. plain: its numbers, where `decimals.tables` could read them. cut: to the
    shorter of results and groundtruth, as the GOT-10k toolkit does: frames without a row are skipped, rows without
    a frame are left out.
    """
    rows = table(content, file, problems, (4,), plain)
    if rows is None:
        return None
    if len(rows) != len(sequence) and not cut:
        problems.say(file, f"{len(sequence)} rows, one a frame of {sequence.name}", str(len(rows)))
        return None
    return trajectory(sequence, rows[: len(sequence)], run, seconds=seconds)


def trajectory(
    sequence: Sequence, rows: np.ndarray, run: int, start: int = 0, seconds: np.ndarray | None = None
) -> Trajectory:
    """A run that begins in frame `start`, of rows (frames, 4) in the coordinates of the benchmark's files."""
    placed = rows - np.array([sequence.origin, sequence.origin, 0, 0])
    events = np.full(len(rows), Event.PREDICTED, np.int8)
    events[0] = Event.INITIALIZED
    around = start, len(sequence) - start - len(rows)
    regions = np.pad(placed, (around, (0, 0)), constant_values=np.nan) if any(around) else placed
    events = np.pad(events, around, constant_values=Event.SKIPPED) if any(around) else events
    return Trajectory(sequence.name, regions, events, run, seconds=seconds)


def write(folder: Path, sequence: Sequence, run: Trajectory, numbered: bool) -> None:
    """Write <sequence>.txt into `folder`, or, numbered, <sequence>/<sequence>_001.txt.

    Rows of NaN where there is no box. Seconds, where known, go where the GOT-10k toolkit looks for them.
    """
    rows = run.boxes + (sequence.origin, sequence.origin, 0, 0)
    name = f"{sequence.name}/{sequence.name}_{run.run + 1:03}.txt" if numbered else f"{sequence.name}.txt"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line(row)}\n" for row in rows.tolist()))
    if run.seconds is not None:
        times = path.parent / ("" if numbered else "times") / f"{sequence.name}_time.txt"
        times.parent.mkdir(exist_ok=True)
        times.write_text("".join(f"{seconds:.8f}\n" for seconds in np.nan_to_num(run.seconds).tolist()))


def line(numbers: Iterable[float]) -> str:
    """Numbers with commas between, to ten decimals where they have as many: far below what any tracker means."""
    return ",".join(repr(round(number, 10)).removesuffix(".0") for number in numbers)


def seconds(files: Files, name: str, sequence: Sequence, run: int) -> np.ndarray | None:
    """What each frame took, NaN where nobody measured; None unless a file beside `name` says it of all frames."""
    folder, _, file = name.rpartition("/")
    for place in (join(folder, f"{file[:-4]}_time.txt"), join(folder, f"times/{file[:-4]}_time.txt"),
                  join(folder, f"{sequence.name}_time.txt")):  # fmt: skip
        if place in files:
            rows = numbers(files.read(place))
            if rows is not None and len(rows) == len(sequence) and run < rows.shape[1]:
                return np.where(rows[:, run] > 0, rows[:, run], np.nan)
    return None
