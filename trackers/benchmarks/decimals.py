"""Boxes in plain decimal text, fast: results of many trackers are millions of numbers, and parsing those one by
one takes longer than judging them.

Eight characters are one 64-bit number, so a text of short numbers is turned into values by a few operations on
whole arrays. They are the same values, to the last bit: a whole number divided once by a power of ten.
"""

from __future__ import annotations

import numpy as np

COLUMNS = 4
NUMERIC = b"0123456789.-"
ONE, BYTE = np.uint64(1), np.uint64(8)
POWERS = 10.0 ** np.arange(8)
DIGIT = np.uint64(0x0F0F0F0F0F0F0F0F)
EVERY_SECOND = np.uint64(0x00FF00FF00FF00FF)
EVERY_FOURTH = np.uint64(0x0000FFFF0000FFFF)


def boxes(content: bytes) -> np.ndarray | None:
    """(rows, 4), or None where the text is not of the plainest kind.

    That is: four numbers a line with one kind of separator, none longer than eight characters, each line ended.
    What is None may still be a table; this is no check.
    """
    shape = content.translate(None, NUMERIC)
    rows = shape.count(b"\n")
    if shape[:1] not in (b",", b";", b" ", b"\t") or not content.endswith(b"\n"):
        return None
    if shape != (shape[:1] * (COLUMNS - 1) + b"\n") * rows:
        return None
    text = np.frombuffer(b"\0" * 7 + b"\n" + content, np.uint8)
    marks = np.flatnonzero((text < ord("-")) | (text == ord(".")))[7:]  # ends of numbers, and points in them
    is_point = text[marks] == ord(".")
    which = np.flatnonzero(~is_point)
    ends = marks[which[1:]]
    starts = marks[which[:-1]] + 1
    negative = text[starts] == ord("-")
    starts += negative
    lengths = ends - starts
    decimals = ends - marks[which[1:] - 1] - 1  # where the mark before is a point
    pointed = is_point[which[1:] - 1]
    if (
        lengths.min() < 1
        or lengths.max() > 8
        or content.count(b"-") != np.count_nonzero(negative)
        or np.count_nonzero(is_point) != np.count_nonzero(pointed)
        or (pointed & ((decimals == 0) | (lengths == 1))).any()
    ):
        return None
    words = np.ndarray((len(text) - 7,), "<u8", text.data, strides=(1,))[ends - 8]  # the last character is on top
    before = (8 * (8 - lengths)).astype(np.uint64)
    words = words >> before << before
    decimals = np.where(pointed, decimals, 0)
    point = (8 * (7 - decimals)).astype(np.uint64)
    behind = words >> point >> BYTE << point << BYTE
    closed = (words & ((ONE << point) - ONE)) << BYTE | behind  # the gap of the point
    words = np.where(pointed, closed, words)
    words = (words & DIGIT) * np.uint64(10 * 2**8 + 1) >> np.uint64(8)  # pairs of digits
    words = (words & EVERY_SECOND) * np.uint64(100 * 2**16 + 1) >> np.uint64(16)
    words = (words & EVERY_FOURTH) * np.uint64(10000 * 2**32 + 1) >> np.uint64(32)
    values = words / POWERS[decimals]
    return np.where(negative, -values, values).reshape(rows, COLUMNS)
