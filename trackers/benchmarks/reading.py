"""What readers of annotations share: tables of numbers, boxes, flags, numbered images, names.

Whatever is wrong goes to `problems` with its file and line; then the value is None, and reading goes on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
from itertools import chain, pairwise
from typing import Any

import numpy as np

from trackers.benchmarks import decimals
from trackers.benchmarks.files import Files
from trackers.benchmarks.problems import Problems

LINES_TOLD = 5  # of one file; the others are counted
FARTHEST = 1e9  # pixels: a coordinate beyond is a slip, and areas of such boxes may not be finite
LONGEST = 10**6  # frames: a sequence of more is a slip in a frame's number, not to be given memory
IMAGE = re.compile(r"\.(jpe?g|png|bmp)$", re.IGNORECASE)
NUMBER = re.compile(r"(\d+)\.\w+$")
FIELD = re.compile(rb"[ \t]*[,;][ \t]*|[ \t]+")
BOM = b"\xef\xbb\xbf"
OTHERS = re.compile(rb"[_\x0b\x0c]")  # Python alone reads 1_000 as a number, and takes a form feed for a space
TO_SPACES = bytes.maketrans(b",;\t", b"   ")
TO_COMMAS = bytes.maketrans(b";", b",")


def numbers(content: bytes | memoryview) -> np.ndarray | None:
    """A table of numbers, float (rows, columns); None unless it is one, whole and without a doubt.

    Columns are parted by commas, semicolons, tabs, spaces or a mix of them; rows are lines, of one length.
    NaN is a number here, infinity is none. Blank lines count only at the end, where they mean nothing.
    """
    content = bytes(content).removeprefix(BOM).rstrip()
    if OTHERS.search(content) or _has_empty_field(content):
        return None
    rows = [line.split() for line in content.translate(TO_SPACES).splitlines()]
    if not rows or not rows[0] or len(set(map(len, rows))) > 1:
        return None
    try:
        flat = np.array(list(map(float, chain.from_iterable(rows))))
    except ValueError:
        return None
    return None if np.isinf(flat).any() else flat.reshape(len(rows), -1)


def table(
    content: bytes | memoryview,
    file: str,
    problems: Problems,
    columns: tuple[int, ...],
    plain: np.ndarray | None = None,
) -> np.ndarray | None:
    """The table of numbers in a file (see `numbers`), of as many columns as one of `columns` says.

    file: its place, for messages. plain: the numbers, where `decimals.tables` could read them. None, and a problem
    for each of the first wrong lines, if there is any: a row is never left out, so row t is line t + 1.
    """
    rows = numbers(content) if plain is None else plain
    if rows is not None and rows.shape[1] in columns:
        return rows
    _tell_lines(bytes(content), file, problems, columns)
    return None


def read_tables(
    files: Files, names: SequenceOf[str], problems: Problems, columns: tuple[int, ...]
) -> dict[str, np.ndarray | None]:
    """{name: table}, as `read_table` reads them one by one, which takes longer."""
    contents = [read(files, name, problems) for name in names]
    plain = decimals.tables([content or b"" for content in contents])
    return {
        name: None if content is None else table(content, files.show(name), problems, columns, rows)
        for name, content, rows in zip(names, contents, plain, strict=True)
    }


def read_table(files: Files, name: str, problems: Problems, columns: tuple[int, ...]) -> np.ndarray | None:
    """The `table` in one of the files; a problem where it is missing."""
    content = read(files, name, problems)
    return None if content is None else table(content, files.show(name), problems, columns)


def read(files: Files, name: str, problems: Problems) -> bytes | None:
    """The bytes of a file; a problem where it is missing or cannot be opened."""
    try:
        return bytes(files.read(name))
    except OSError as error:
        problems.note(files.show(name), error)
        return None


def size(files: Files, name: str) -> int:
    """The length of a file in bytes; 0 where it cannot be opened, as a link to nowhere."""
    try:
        return files.size(name)
    except OSError:
        return 0


def lines(content: bytes, file: str, problems: Problems) -> list[str]:
    """The lines of a text, without blank ones and without spaces around; [] and a problem if it is not UTF-8."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.say(
            file, "text in UTF-8", f"byte 0x{content[error.start]:02x}", content.count(b"\n", 0, error.start) + 1
        )
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def boxes(
    rows: np.ndarray, file: str, problems: Problems, origin: float, empty_is_absent: bool = False
) -> np.ndarray | None:
    """Boxes (frames, 4), 0-based, of rows x, y, width, height whose first pixel is `origin`.

    A row of NaN where the target is absent: where the file has NaN NaN NaN NaN or 0 0 0 0, and with
    `empty_is_absent` wherever a side is not positive, as the toolkits of some benchmarks have it.
    Other sides that are not positive, rows that are NaN in part, and numbers beyond `FARTHEST` are problems.
    """
    unknown = np.isnan(rows)
    absent = unknown.all(axis=1) | (rows == 0).all(axis=1)
    empty = (rows[:, 2:] <= 0).any(axis=1)
    if empty_is_absent:
        absent |= empty
    far = (np.abs(rows) > FARTHEST).any(axis=1)
    wrong = far | (~absent & (empty | unknown.any(axis=1)))
    if wrong.any():
        places = np.flatnonzero(wrong)
        for t in places[:LINES_TOLD]:
            found = " ".join(f"{value:g}" for value in rows[t])
            expected = "x, y, and positive width and height, or NaN or 0 four times"
            problems.say(file, f"numbers up to {FARTHEST:g}" if far[t] else expected, found, int(t) + 1)
        _tell_rest(file, problems, len(places), int(places[-1]) + 1)
        return None
    placed = rows - np.array([origin, origin, 0, 0])
    placed[absent] = np.nan
    return placed


def annotated(rows: np.ndarray, boxes: np.ndarray, origin: float) -> np.ndarray | None:
    """Regions of a sequence whose file gives boxes even where the target is absent; None where it gives none there.

    rows: of the file. boxes: the same, 0-based, NaN where absent. Toolkits that do not know of absent targets
    judge those boxes as they are.
    """
    given = np.isnan(boxes).any(axis=1) & ~np.isnan(rows).any(axis=1)
    return rows - np.array([origin, origin, 0, 0]) if given.any() else None


def labels(files: Files, name: str, problems: Problems, count: int, greatest: int = 1) -> np.ndarray | None:
    """Whole numbers of 0 to `greatest`, int (count,), one a line or all on one line; a problem if they are not."""
    found = read_table(files, name, problems, (1, count))
    if found is None:
        return None
    file, flat = files.show(name), found.ravel()
    if len(flat) != count:
        problems.say(file, f"{count} labels, one a frame", str(len(flat)))
        return None
    wrong = np.flatnonzero(~np.isin(flat, np.arange(greatest + 1)))
    if len(wrong):
        line = int(wrong[0]) + 1 if len(found) > 1 else 1
        problems.say(file, f"labels 0 to {greatest}", f"{flat[wrong[0]]:g} for frame {wrong[0] + 1}", line)
        return None
    return flat.astype(int)


def parse_json(content: bytes, file: str, problems: Problems) -> Any:
    """What a text in JSON says; None and a problem where it is none, or says two things of one key."""
    try:
        return json.loads(content, object_pairs_hook=_only_once)
    except (ValueError, RecursionError) as error:
        problems.say(file, "JSON", str(error))
        return None


def flagged(files: Files, name: str, known: tuple[str, ...], problems: Problems) -> tuple[str, ...]:
    """Those of the `known` attributes whose flag is 1 in a file of as many flags."""
    flags = labels(files, name, problems, len(known))
    return () if flags is None else tuple(attribute for attribute, flag in zip(known, flags, strict=True) if flag)


def attributes(codes: Iterable[str], known: tuple[str, ...], file: str, problems: Problems) -> tuple[str, ...]:
    """The attributes that a file names, in the order of the `known` ones; a problem for each that is not known."""
    named = {code for code in codes if code}
    for code in sorted(named.difference(known)):
        problems.say(file, f"attributes among {' '.join(known)}", repr(code))
    return tuple(attribute for attribute in known if attribute in named)


def images(files: Files, folder: str, problems: Problems) -> dict[int, str]:
    """{number: name} of the image files directly in `folder`, in order of the number that ends their names.

    However many digits it has. Problems: an image without a number, two of the same, a gap, an empty file.
    {} where there are no images.
    """
    found: dict[int, str] = {}
    for name in files.within(folder):
        if not IMAGE.search(name):
            continue
        number = NUMBER.search(name)
        if number is None:
            problems.say(files.show(name), "an image file with a number at the end of its name", "none")
            continue
        other = found.setdefault(int(number[1]), name)
        if other != name:
            problems.say(files.show(name), f"one image of number {int(number[1])}", f"also {files.show(other)}")
        if size(files, name) == 0:
            problems.say(files.show(name), "an image", "an empty file")
    found = dict(sorted(found.items()))
    gaps = [(low + 1, high - 1) for low, high in pairwise(found) if high > low + 1]
    if gaps:
        missing = ", ".join(f"{low}" if low == high else f"{low} to {high}" for low, high in gaps[:LINES_TOLD])
        more = f" and {len(gaps) - LINES_TOLD} more gaps" if len(gaps) > LINES_TOLD else ""
        problems.say(files.show(folder), f"images {min(found)} to {max(found)}", f"none of number {missing}{more}")
    return found


def key(name: str) -> str:
    """The same for all spellings of a sequence's name: Jogging.1, jogging-1, Jogging_1."""
    return name.lower().replace(".", "-").replace("_", "-")


def chosen(names: Iterable[str], wanted: tuple[str, ...], place: str, problems: Problems) -> set[str]:
    """Those of `names` that are `wanted`, in whatever spelling, or all if none are; a problem for each not there."""
    known = {name: key(name) for name in names}
    keys = {key(name): name for name in wanted}
    for missing in sorted(set(keys).difference(known.values())):
        problems.say(place, f"sequence {keys[missing]}", "no sequence of that name")
    return {name for name in known if not wanted or known[name] in keys}


def annotation_folder(files: Files, known: Iterable[str], preferred: str = "") -> str | None:
    """The folder that holds <name>.txt of most of the `known` names; None if there is no .txt file at all.

    preferred: wins if a folder of this name has any of them; so does one in anno..., for results of trackers
    may lie below the same root. What lies in att and initOmit is no groundtruth.
    """
    keys = {key(name) for name in known}
    texts: dict[str, list[str]] = {}
    for name in files.names:
        folder, _, file = name.rpartition("/")
        if file.endswith(".txt") and folder.rpartition("/")[2] not in ("att", "initOmit"):
            texts.setdefault(folder, []).append(stem(file))

    def rank(folder: str) -> tuple[bool, bool, int, int]:
        count = sum(key(text) in keys for text in texts[folder])
        *_, last = parts = folder.lower().split("/")
        annotations = any(part.startswith("anno") for part in parts)
        return count > 0 and last == preferred.lower(), count > 0 and annotations, count, len(texts[folder])

    return max(sorted(texts), key=rank, default=None)


def stem(name: str) -> str:
    """The name of a file without its folder and without what follows the last dot."""
    return name.rpartition("/")[2].rpartition(".")[0]


def join(folder: str, name: str) -> str:
    """The name of a file in a folder ("" for the root)."""
    return f"{folder}/{name}" if folder else name


def _only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r:.60} twice in one object")
    return found


def _has_empty_field(content: bytes) -> bool:
    if b"," not in content and b";" not in content:
        return False
    bare = content.translate(TO_COMMAS, b" \t")
    return (
        any(hole in bare for hole in (b",,", b",\n", b",\r", b"\n,", b"\r,"))
        or bare.startswith(b",")
        or bare.endswith(b",")
    )


def _tell_lines(content: bytes, file: str, problems: Problems, columns: tuple[int, ...]) -> None:
    """A problem for each of the first wrong lines of a table."""
    expected = f"{' or '.join(map(str, columns))} number{'s' if columns != (1,) else ''}"
    rows = content.removeprefix(BOM).rstrip().splitlines()
    if not rows:
        problems.say(file, f"rows of {expected}", "an empty file")
        return
    width, told, last = 0, 0, 0
    for line, row in enumerate(rows, 1):
        fields = FIELD.split(row.strip(b" \t"))
        strange = next((field for field in fields if not _is_number(field)), None)
        if not row.strip():
            found = "a blank line"
        elif strange is not None:
            found = repr(strange[:40].decode("utf-8", "backslashreplace")) if strange else "an empty field"
        elif len(fields) not in columns:
            found = str(len(fields))
        elif len(fields) != (width := width or len(fields)):
            found = f"{len(fields)}, and {width} in the rows before"
        else:
            continue
        told, last = told + 1, line
        if told <= LINES_TOLD:
            problems.say(file, expected, found, line)
    _tell_rest(file, problems, told, last)
    if not told:  # `numbers` is the stricter of the two: never refuse a file without a word
        problems.say(file, f"rows of {expected}", "something else")


def _tell_rest(file: str, problems: Problems, count: int, last: int) -> None:
    if count > LINES_TOLD:
        problems.say(file, "no more wrong lines", f"{count - LINES_TOLD} more, the last of them here", last)


def _is_number(field: bytes) -> bool:
    try:
        return not OTHERS.search(field) and abs(float(field)) != float("inf")
    except ValueError:
        return False
