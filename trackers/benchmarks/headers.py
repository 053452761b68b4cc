"""What an image file says of itself, without decoding it: its size, and whether its end is there.

JPEG: ITU T.81, annex B. PNG: ISO/IEC 15948, section 11. BMP: the Windows BITMAPINFOHEADER and its elders.
"""

from __future__ import annotations

import struct
import zlib

JPEG, PNG, BMP = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM"
JPEG_END, PNG_END = b"\xff\xd9", b"IEND\xaeB`\x82"
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers SOF0 to SOF15; the three are tables and a reserve
SCAN = 0xDA  # marker SOS: behind it come the pixels
ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment: TEM, RST0 to RST7, SOI
TAIL = 4096  # bytes in which the end is looked for first


def image_size(content: memoryview) -> tuple[int, int] | None:
    """Width and height in pixels of a JPEG, PNG or BMP; None for another format.

    Raises ValueError ("expected ..., found ...") for a header that is damaged and for a file that is cut short.
    """
    head = bytes(content[:8])
    if not head:
        raise ValueError("expected an image, found an empty file")
    for magic, read in ((JPEG, _jpeg), (PNG, _png), (BMP, _bmp)):
        if head.startswith(magic):
            try:
                width, height = read(content)
            except (struct.error, IndexError):
                raise ValueError(
                    f"expected the header of an image, found it cut short at {len(content)} bytes"
                ) from None
            if width <= 0 or height <= 0:
                raise ValueError(f"expected an image of at least one pixel, found {width} x {height}")
            return width, height
    return None


def _jpeg(content: memoryview) -> tuple[int, int]:
    size, at = None, 2
    while True:
        if content[at] != 0xFF:
            raise ValueError(f"expected a marker of a JPEG at byte {at}, found {content[at]:02x}")
        marker = content[at + 1]
        if marker == 0xFF or marker in ALONE:  # filling, or a marker alone
            at += 1 if marker == 0xFF else 2
            continue
        if marker == JPEG_END[1]:
            raise ValueError("expected pixels, found the end of the JPEG")
        (length,) = struct.unpack_from(">H", content, at + 2)
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", content, at + 5)
            size = width, height
        at += 2 + length
        if marker == SCAN:
            break
    if size is None:
        raise ValueError("expected the size of the image before its pixels, found none")
    # Within pixels ff is followed by 00 or a restart marker: wherever the end's marker comes, it is the end.
    if not _ends(content, at, JPEG_END):
        raise ValueError(f"expected the end of the JPEG (ff d9), found it cut short at {len(content)} bytes")
    return size


def _png(content: memoryview) -> tuple[int, int]:
    length, kind = struct.unpack_from(">I4s", content, 8)
    width, height, checksum = struct.unpack_from(">II5xI", content, 16)
    if (length, kind) != (13, b"IHDR") or zlib.crc32(content[12:29]) != checksum:
        raise ValueError("expected the header of a PNG (IHDR), found a damaged one")
    if not _ends(content, 33, PNG_END):
        raise ValueError(f"expected the end of the PNG (IEND), found it cut short at {len(content)} bytes")
    return width, height


def _bmp(content: memoryview) -> tuple[int, int]:
    start, header = struct.unpack_from("<II", content, 10)
    width, height, _, bits = struct.unpack_from("<HHHH" if header == 12 else "<iiHH", content, 18)
    height = abs(height)  # negative: rows from the top
    packed = header > 12 and struct.unpack_from("<I", content, 30)[0] in (1, 2)  # run lengths, of unknown size
    expected = start + (0 if packed else (width * bits + 31) // 32 * 4 * height)
    if len(content) < expected:
        raise ValueError(f"expected a BMP of {expected} bytes, found it cut short at {len(content)}")
    return width, height


def _ends(content: memoryview, start: int, end: bytes) -> bool:
    """Whether the marker of the end comes behind `start`; some writers put more behind it."""
    return end in bytes(content[max(start, len(content) - TAIL) :]) or end in bytes(content[start:])
