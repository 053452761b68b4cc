"""VOT's trajectories, <sequence>_001.txt: a line a frame, a region or a code where there is none.

A region is a box x, y, width, height, a polygon of four corners, or a mask (`m` and its run-length code). The
codes are 0 for a frame that was skipped, 1 where the tracker was told the target, 2 where it had lost it.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from trackers import masks
from trackers.benchmarks import decimals
from trackers.benchmarks.files import Files
from trackers.benchmarks.problems import Problems
from trackers.benchmarks.reading import BOM, LINES_TOLD
from trackers.evaluation.formats import boxes
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.masks import RunLengths
from trackers.sequence import Sequence

NUMERIC = b"0123456789+-.eEnaNAm, \t\r\n"  # float() knows more: 1_000, other alphabets' digits, infinity
CODES = {"0": Event.SKIPPED, "1": Event.INITIALIZED, "2": Event.FAILED}


def looks_like(content: bytes) -> bool:
    """Whether a text begins with a code, as every trajectory does."""
    return content.lstrip()[:24].split(b"\n")[0].strip() in (b"0", b"1", b"1.0", b"0.0", b"1.0000", b"0.0000")


def by_line(content: bytes) -> bytes:
    """The same numbers, one a line: a table of one column."""
    return content.replace(b",", b"\n")


def read(
    content: bytes,
    file: str,
    sequence: Sequence,
    run: int,
    problems: Problems,
    seconds: np.ndarray | None = None,
    plain: np.ndarray | None = None,
) -> Trajectory | None:
    """The run in a text; None, and problems, where a line is neither a region nor a code that may stand there.

    file: its place, for messages. plain: its numbers `by_line`, (numbers, 1), where `decimals.tables` could read them.
    """
    lines = _lines(content) if plain is None else []
    widths = np.array([line.count(",") + 1 for line in lines]) if plain is None else _widths(content)
    if len(widths) != len(sequence):
        problems.say(file, f"{len(sequence)} lines, one a frame of {sequence.name}", str(len(widths)))
        return None
    coded, masked = None, np.zeros(len(widths), bool)
    if b"m" in content:
        masked = np.array([line.startswith("m") for line in lines])
        coded = _masks(lines, masked, file, sequence, problems)
        if coded is None:
            return None
        lines = ["nan,nan,nan,nan" if mask else line for line, mask in zip(lines, masked, strict=True)]
        widths[masked] = 4
    try:
        flat = np.array(list(map(float, ",".join(lines).split(",")))) if plain is None else plain[:, 0]
    except ValueError:
        _tell_lines(lines, file, problems)
        return None
    starts = np.cumsum(widths) - widths
    codes = flat[starts]
    known = np.where(widths == 1, _any_of(codes, 0, 1, 2), _any_of(widths, 4, 8)).all()
    if not known or np.isinf(flat).any() or content.removeprefix(BOM).translate(None, NUMERIC):
        _tell_lines(lines or _lines(content), file, problems)
        return None
    events = np.where(widths == 1, codes, Event.PREDICTED).astype(np.int8)
    if not _is_run(events, file, problems):
        return None
    regions = _regions(flat, starts, widths, events, sequence, coded, masked)
    return Trajectory(sequence.name, regions, events, run, masks=coded, seconds=seconds)


def write(folder: Path, sequence: Sequence, run: Trajectory) -> None:
    """Write <sequence>/<sequence>_001.txt, and the seconds of each frame, where known, as <sequence>_001_time.value."""
    path = folder / sequence.name / f"{sequence.name}_{run.run + 1:03}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    origin = np.tile([sequence.origin, sequence.origin], 4)
    rows = run.regions[:, :4] + (sequence.origin, sequence.origin, 0, 0)
    polygons = run.regions + origin if run.regions.shape[1] == 8 else None
    text = []
    for t, event in enumerate(run.events):
        if event != Event.PREDICTED:
            text.append(str(int(event)))
        elif run.masks is not None:
            text.append(masks.format(run.masks[t]))
        elif polygons is not None and not np.isnan(polygons[t, 4:]).all():
            text.append(boxes.line(polygons[t].tolist()))
        else:
            text.append(boxes.line(rows[t].tolist()))
    path.write_text("".join(f"{row}\n" for row in text))
    if run.seconds is not None:
        seconds = ("" if np.isnan(value) else repr(value) for value in run.seconds.tolist())
        path.with_name(f"{path.stem}_time.value").write_text("".join(f"{value}\n" for value in seconds))


def seconds(files: Files, name: str, frames: int) -> np.ndarray | None:
    """What each frame took, NaN where nobody measured; None unless a file beside `name` says it of all frames."""
    place = f"{name[:-4]}_time.value"
    if place not in files:
        return None
    lines = bytes(files.read(place)).decode("utf-8", "backslashreplace").splitlines()
    try:
        values = np.array([float(text) if text.strip() else np.nan for text in lines])
    except ValueError:
        return None
    return np.where(values > 0, values, np.nan) if len(values) == frames else None


def _lines(content: bytes) -> list[str]:
    """Its lines, parted as bytes, for text has more ends of lines than other programs know."""
    plain = content.removeprefix(BOM).rstrip()
    return [line.decode("utf-8", "backslashreplace") for line in plain.splitlines()]


def _widths(content: bytes) -> np.ndarray:
    """How many numbers are in each line of plain text."""
    marks = np.frombuffer(content.translate(None, decimals.NUMERIC), np.uint8)
    return np.diff(np.flatnonzero(marks == ord("\n")), prepend=-1)


def _regions(
    flat: np.ndarray,
    starts: np.ndarray,
    widths: np.ndarray,
    events: np.ndarray,
    sequence: Sequence,
    coded: RunLengths | None,
    masked: np.ndarray,
) -> np.ndarray:
    """(frames, 4 or 8), with the groundtruth where the tracker was told it."""
    given = {int(t): sequence.region(int(t)) for t in np.flatnonzero(events == Event.INITIALIZED)}
    given = {t: region if region.shape in ((4,), (8,)) else sequence.groundtruth[t] for t, region in given.items()}
    polygons = (widths == 8).any() or any(len(region) == 8 for region in given.values())
    regions = np.full((len(events), 8 if polygons else 4), np.nan)
    for width, origin in ((4, (sequence.origin, sequence.origin, 0, 0)), (8, (sequence.origin,) * 8)):
        rows = np.flatnonzero(widths == width)
        if len(rows):
            regions[rows, :width] = flat[starts[rows, None] + np.arange(width)] - origin
    if coded is not None:
        regions[masked, :4] = coded.bounding_boxes()[masked]
    for t, region in given.items():
        regions[t, : len(region)] = region
    return regions


def _masks(
    lines: list[str], masked: np.ndarray, file: str, sequence: Sequence, problems: Problems
) -> RunLengths | None:
    """A mask for each frame, empty where the line holds none; None and a problem where one is no code."""
    codes = []
    for number, (row, mask) in enumerate(zip(lines, masked, strict=True), 1):
        try:
            codes.append(masks.parse(row) if mask else masks.EMPTY)
        except ValueError as error:
            problems.say(file, "a run-length code", str(error), number)
            return None
    return RunLengths.of_codes(codes, sequence.size)


def _is_run(events: np.ndarray, file: str, problems: Problems) -> bool:
    """Whether each region follows on a start: a problem at the first that does not."""
    before = np.concatenate([[Event.SKIPPED], events[:-1]])
    off = _any_of(before, Event.SKIPPED, Event.FAILED)
    wrong = np.flatnonzero(off & _any_of(events, Event.PREDICTED, Event.FAILED))
    if len(wrong):
        found = "a region" if events[wrong[0]] == Event.PREDICTED else "2"
        problems.say(file, "0 or 1 in the first line, and after 0 or 2", found, int(wrong[0]) + 1)
    return not len(wrong)


def _any_of(values: np.ndarray, *wanted: int) -> np.ndarray:
    return np.logical_or.reduce([values == value for value in wanted])


def _tell_lines(lines: list[str], file: str, problems: Problems) -> None:
    told = 0
    for number, text in enumerate(lines, 1):
        try:
            values = [float(field) for field in text.split(",")]
        except ValueError:
            values = []
        if text.encode().translate(None, NUMERIC) or any(map(math.isinf, values)):
            values = []
        if len(values) in (4, 8) or (len(values) == 1 and values[0] in (0, 1, 2)):
            continue
        told += 1
        if told <= LINES_TOLD:
            problems.say(file, "0, 1, 2, or a region of 4 or 8 numbers", repr(text[:40]), number)
    if told > LINES_TOLD:
        problems.say(file, "no more wrong lines", f"{told - LINES_TOLD} more")
