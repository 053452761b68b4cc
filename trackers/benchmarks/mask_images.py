"""Masks that lie in image files: one a frame, grey levels or, in a PNG with a palette, numbers of objects."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import cv2
import numpy as np

from trackers.benchmarks.files import Files

PNG = b"\x89PNG\r\n\x1a\n"
HEADER = 33  # bytes of a PNG up to the end of its first chunk: signature; length, type, 13 bytes of header, checksum
GREY, PALETTE = 0, 3  # colour types


@dataclass(frozen=True)
class MaskImages:
    """Masks of one target by frame, decoded when asked for. names: file of each frame."""

    files: Files
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, t: int) -> np.ndarray:
        """Mask, bool (height, width). Raises ValueError, with the file's name, where it holds none."""
        name = self.names[t]
        try:
            return of_one(decode(self.files.read(name)))
        except ValueError as error:
            raise ValueError(f"{self.files.show(name)}: {error}") from error


def of_one(values: np.ndarray) -> np.ndarray:
    """Mask, bool (height, width), of values uint8 (height, width): all but 0, which have one value.

    Raises ValueError where they have several: objects to tell apart, or edges that were blurred or compressed.
    """
    mask = values != 0
    if cv2.sumElems(values)[0] != int(values.max()) * np.count_nonzero(mask):
        others = np.unique(values[mask]).tolist()
        found = f"0 and {', '.join(map(str, others[:3]))}{f' and {len(others) - 3} more' if len(others) > 3 else ''}"
        raise ValueError(f"expected a mask of one target, 0 and one other value, found {found}")
    return mask


def decode(content: bytes | memoryview) -> np.ndarray:
    """Values, uint8 (height, width), of an image with one value a pixel.

    Of a palette the numbers count, not the colours. Colours are taken for grey levels where all three
    channels agree, as in some masks of DAVIS. Raises ValueError for anything else.
    """
    content = bytes(content)
    depth = content[24] if _has_palette(content) else None
    if depth is not None:
        content = _as_grey(content)
    try:
        values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # an empty file, or a header that promises more pixels than there may be
        values = None
    if values is None:
        raise ValueError("expected an image of a mask, found one that cannot be decoded")
    if values.ndim == 3:
        if (values[..., 0] != values[..., 1]).any() or (values[..., 0] != values[..., 2]).any():
            raise ValueError("expected an image of a mask, one value a pixel, found colours")
        values = values[..., 0]
    if values.dtype != np.uint8:
        raise ValueError(f"expected an image of a mask, 8 bits a pixel, found {values.dtype.itemsize * 8}")
    # Fewer bits than 8 were stretched to 0 to 255 on the way.
    return values if depth in (None, 8) else values // (255 // (2**depth - 1))


def _has_palette(content: bytes) -> bool:
    """Whether it is a PNG with one, and a whole header: the checksum of that is not kept."""
    if not content.startswith(PNG) or len(content) <= HEADER or content[25] != PALETTE:
        return False
    return zlib.crc32(content[12 : HEADER - 4]) == int.from_bytes(content[HEADER - 4 : HEADER], "big")


def _as_grey(content: bytes) -> bytes:
    """The same PNG with its palette left out, so that OpenCV gives the numbers: it has no way to ask for them."""
    chunk = content[12:25] + bytes([GREY]) + content[26:29]
    kept = [PNG, content[8:12], chunk, struct.pack(">I", zlib.crc32(chunk))]
    start = HEADER
    while start + 12 <= len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        if content[start + 4 : start + 8] not in (b"PLTE", b"tRNS"):
            kept.append(content[start:end])
        start = end
    return b"".join(kept)
