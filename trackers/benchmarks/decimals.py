"""Tables of plain decimal text, many at once: results of many trackers are millions of numbers, and parsing those
one by one takes longer than judging them.

pyarrow's reader of CSV is many times as fast, and rounds as float() does. What it should not judge is kept from it:
it sees digits, points and signs alone, in lines that are counted before. Where it is not installed, as on a bare
machine, no text is plain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import cache
from typing import Any

import numpy as np

NUMERIC = b"0123456789.-"
WORTH = 2**18  # bytes: of less, importing pyarrow takes longer than what it saves


def tables(texts: Sequence[bytes]) -> list[np.ndarray | None]:
    """Of each text its numbers, (rows, columns), or None where it is not of the plainest kind.

    That is: numbers without exponents and one separator between them, as many in each line. What is None may still
    be a table; this is no check.
    """
    kinds = _kinds(texts)
    return _parted(texts, kinds, [_parse(_joined(texts, kind), line) for line, kind in kinds.items()])


def begin(texts: Sequence[bytes], pool: Executor) -> Callable[[], list[np.ndarray | None]]:
    """The same, but parsed by `pool`, which does not need Python's lock; call what is returned for the tables."""
    kinds = _kinds(texts)
    parsed = [pool.submit(_parse, _joined(texts, kind), line) for line, kind in kinds.items()]
    return lambda: _parted(texts, kinds, [future.result() for future in parsed])


def _kinds(texts: Sequence[bytes]) -> dict[bytes, list[tuple[int, int]]]:
    """{what is left of a line without its numbers: (number, rows) of each plain text with such lines}."""
    found: dict[bytes, list[tuple[int, int]]] = {}
    if sum(map(len, texts)) < WORTH or _arrow() is None:
        return found
    for number, text in enumerate(texts):
        shape = text.translate(None, NUMERIC)
        line, rows = shape[: shape.find(b"\n") + 1], shape.count(b"\n")
        plain = line == line[:1] * (len(line) - 1) + b"\n" and line[:1] in (b",", b";", b" ", b"\t", b"\n")
        if plain and shape == line * rows and text.endswith(b"\n"):
            found.setdefault(line, []).append((number, rows))
    return found


def _joined(texts: Sequence[bytes], kind: list[tuple[int, int]]) -> bytes:
    return b"".join([texts[number] for number, _ in kind])


def _parted(
    texts: Sequence[bytes], kinds: dict[bytes, list[tuple[int, int]]], parsed: list[np.ndarray | None]
) -> list[np.ndarray | None]:
    """The rows that are each text's, of the tables of each kind."""
    found: list[np.ndarray | None] = [None] * len(texts)
    for kind, values in zip(kinds.values(), parsed, strict=True):
        if values is None or len(values) != sum(rows for _, rows in kind):
            continue
        start = 0
        for number, rows in kind:
            found[number] = values[start : start + rows]
            start += rows
    return found


def _parse(text: bytes, line: bytes) -> np.ndarray | None:
    """Numbers (rows, columns), column by column in memory; None where a field is none, or too large for a float."""
    arrow = _arrow()
    assert arrow is not None
    names = [str(column) for column in range(len(line))]
    try:
        table = arrow.csv.read_csv(
            arrow.BufferReader(text),
            arrow.csv.ReadOptions(use_threads=False, column_names=names),
            arrow.csv.ParseOptions(
                delimiter=line[:1].decode() if len(line) > 1 else ",", quote_char=False, ignore_empty_lines=False
            ),
            arrow.csv.ConvertOptions(column_types=dict.fromkeys(names, arrow.float64()), null_values=[]),
        )
    except arrow.ArrowInvalid:
        return None
    values = np.empty((table.num_rows, len(names)), order="F")
    for column, of_table in zip(values.T, table.columns, strict=True):
        np.concatenate([np.from_dlpack(chunk) for chunk in of_table.chunks], out=column)  # to_numpy imports pandas
    return None if np.isinf(values).any() else values


@cache
def _arrow() -> Any:
    try:
        import pyarrow.csv
    except ImportError:
        return None
    return pyarrow
