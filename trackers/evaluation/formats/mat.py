"""MATLAB's .mat files of version 5 to 7: https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf

Whatever a file claims of its size, no more is read, and no more memory taken, than its own bytes are worth.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

HEADER = 128  # bytes: a text, and at its end the version and the order of bytes
ORDERS = {b"IM": "<", b"MI": ">"}
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, CHAR, NUMERIC, COMPLEX = 1, 2, 4, range(6, 16), 0x08
LARGEST = 2**28  # bytes of a variable when it is unpacked

Element = tuple[int, memoryview]  # kind and content


def read(content: bytes) -> dict[str, Any]:
    """{name: value} of the variables in a file.

    Numbers are arrays of their shape, a text is a str, a cell a list of its values, and a struct a list of
    {field: value}; what is of another class is None. Raises ValueError, or RecursionError, for a damaged file.
    """
    order = ORDERS.get(content[HEADER - 2 : HEADER])
    if order is None or not content.startswith(b"MATLAB") or b"\1" not in content[HEADER - 4 : HEADER - 2]:
        raise ValueError("expected the header of a .mat file of version 5 to 7, found something else")
    variables = {}
    for element in _elements(memoryview(content)[HEADER:], order):
        if element[0] == COMPRESSED:
            element = next(_elements(memoryview(_unpack(element[1])), order))
        name, value = _variable(element, order)
        variables[name] = value
    return variables


def _elements(content: memoryview, order: str) -> Iterator[Element]:
    """What stands one after the other."""
    kind_of_order = np.dtype(f"{order}u4")
    at = 0
    while at < len(content):
        if len(content) - at < 8:
            raise ValueError(f"expected 8 bytes of an element's head, found {len(content) - at}")
        kind, size = np.frombuffer(content, kind_of_order, 2, at).tolist()
        start, space = at + 8, len(content) - at - 8
        following = start + size + (-size % 8 if kind != COMPRESSED else 0)
        if kind >> 16:  # a small one: its size and content are in the head, too
            kind, size, start, space, following = kind & 0xFFFF, kind >> 16, at + 4, 4, at + 8
        if size > space:
            raise ValueError(f"expected an element of {size} bytes, found {space}")
        yield kind, content[start : start + size]
        at = following


def _unpack(content: memoryview) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(content, LARGEST)
    except zlib.error as error:
        raise ValueError(f"expected a compressed variable, found a damaged one: {error}") from error
    if not unpacker.eof:
        raise ValueError(f"expected a whole compressed variable of up to {LARGEST} bytes, found less or more")
    return plain


def _variable(element: Element, order: str) -> tuple[str, Any]:
    """Name and value of a matrix."""
    kind, content = element
    if kind != MATRIX:
        raise ValueError(f"expected a matrix, found an element of type {kind}")
    if not len(content):
        return "", np.zeros((0, 0))
    parts = _elements(content, order)
    try:
        flags = _whole(next(parts), order)
        shape = _whole(next(parts), order)
        name = _text(next(parts), order)
        return name, _value(flags[0], shape, parts, order)
    except (StopIteration, IndexError):
        raise ValueError("expected a whole matrix, found one that ends early") from None


def _value(flags: int, shape: list[int], parts: Iterator[Element], order: str) -> Any:
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"expected the sides of a matrix, found {shape}")
    count, kind = math.prod(shape), flags & 0xFF
    if kind == CELL:
        return _values(parts, count, order)
    if kind == STRUCT:
        length = _whole(next(parts), order)[0]
        joined = bytes(next(parts)[1])
        if length < 1 or len(joined) % length:
            raise ValueError(f"expected names of {length} bytes each, found {len(joined)} bytes")
        names = [joined[at : at + length].split(b"\0")[0].decode("latin-1") for at in range(0, len(joined), length)]
        if len(set(names)) < len(names) or not all(names):
            raise ValueError(f"expected different names of fields, found {', '.join(names)}")
        values = _values(parts, count * len(names), order)
        if not names:
            return []
        return [dict(zip(names, values[at : at + len(names)], strict=True)) for at in range(0, len(values), len(names))]
    if kind == CHAR:
        text = _text(next(parts), order)
        if len(text) != count:
            raise ValueError(f"expected a text of {count} characters, found {len(text)}")
        return text
    if kind not in NUMERIC or flags >> 8 & COMPLEX:
        return None
    numbers = _array(next(parts), order)
    if len(numbers) != count:
        raise ValueError(f"expected {count} numbers, found {len(numbers)}")
    return numbers.reshape(shape, order="F")


def _values(parts: Iterator[Element], count: int, order: str) -> list[Any]:
    """Those of all matrices that are left."""
    values = [_variable(part, order)[1] for part in parts]
    if len(values) != count:
        raise ValueError(f"expected {count} matrices, found {len(values)}")
    return values


def _array(element: Element, order: str) -> np.ndarray:
    kind, content = element
    if kind not in NUMBERS:
        raise ValueError(f"expected numbers, found an element of type {kind}")
    return np.frombuffer(content, np.dtype(f"{order}{NUMBERS[kind]}"))


def _whole(element: Element, order: str) -> list[int]:
    numbers = _array(element, order)
    if numbers.dtype.kind == "f":
        raise ValueError("expected whole numbers, found others")
    return numbers.tolist()


def _text(element: Element, order: str) -> str:
    kind, content = element
    if kind not in TEXTS:
        raise ValueError(f"expected a text, found an element of type {kind}")
    encoding = TEXTS[kind] + {"<": "-le", ">": "-be"}[order] * (TEXTS[kind] in ("utf-16", "utf-32"))
    return str(bytes(content), encoding)
