"""Boxes in plain decimal text, fast: result files hold millions of numbers, and parsing them one by one takes
longer than judging them.

Eight characters are one 64-bit number, so a text of short numbers is turned into values by a few operations on
whole arrays. They are the same values, to the last bit: a whole number divided once by a power of ten.
"""

from __future__ import annotations

import numpy as np

COLUMNS = 4
NUMERIC = b"0123456789.-"
DIGIT = np.uint64(0x0F0F0F0F0F0F0F0F)
EVERY_SECOND = np.uint64(0x00FF00FF00FF00FF)
EVERY_FOURTH = np.uint64(0x0000FFFF0000FFFF)


def boxes(content: bytes) -> np.ndarray | None:
    """(rows, 4), or None where the text is not of the plainest kind.

    That is: four numbers a line with one kind of separator, all with as many decimals, none longer than eight
    characters, each line ended. What is None may still be a table; this is no check.
    """
    shape = content.translate(None, NUMERIC)
    rows = shape.count(b"\n")
    if not rows or shape != (shape[:1] * (COLUMNS - 1) + b"\n") * rows:
        return None
    text = np.frombuffer(b"\0" * 8 + content, np.uint8)
    ends = np.flatnonzero(text < ord("-"))[8:]  # separators come before all that is numeric
    starts = np.concatenate([[8], ends[:-1] + 1])
    negative = text[starts] == ord("-")
    starts += negative
    lengths = ends - starts
    if lengths.min() < 1 or lengths.max() > 8 or content.count(b"-") != np.count_nonzero(negative):
        return None
    decimals = _decimals(content, text, ends)
    if decimals is None:
        return None
    words = np.ndarray((len(text) - 7,), "<u8", text.data, strides=(1,))[ends - 8]  # the last character is on top
    before = (8 * (8 - lengths)).astype(np.uint64)
    words = words >> before << before
    if decimals:  # close the gap of the point
        point = 8 * (7 - decimals)
        behind = words >> np.uint64(point + 8) << np.uint64(point + 8)
        words = (words & np.uint64(2**point - 1)) << np.uint64(8) | behind
    words = (words & DIGIT) * np.uint64(10 * 256 + 1) >> np.uint64(8)  # pairs of digits
    words = (words & EVERY_SECOND) * np.uint64(100 * 65536 + 1) >> np.uint64(16)
    words = (words & EVERY_FOURTH) * np.uint64(10000 * 2**32 + 1) >> np.uint64(32)
    values = words / 10.0**decimals
    return np.where(negative, -values, values).reshape(rows, COLUMNS)


def _decimals(content: bytes, text: np.ndarray, ends: np.ndarray) -> int | None:
    """How many digits stand behind the point of every number; None if they differ."""
    points = content.count(b".")
    if not points:
        return 0
    first = bytes(text[8 : ends[0]])
    decimals = len(first) - 1 - first.find(b".")
    if points != len(ends) or b"." not in first or not 1 <= decimals <= 6:
        return None
    return decimals if (text[ends - decimals - 1] == ord(".")).all() else None
