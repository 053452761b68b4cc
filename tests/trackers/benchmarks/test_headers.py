import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackers.benchmarks.headers import image_size

IMAGE = np.random.default_rng(0).integers(0, 256, (37, 53, 3)).astype(np.uint8)
KINDS = {
    "baseline": (".jpg", IMAGE, []),
    "grey": (".jpg", IMAGE[..., 0], []),
    "progressive": (".jpg", IMAGE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
    "restarts": (".jpg", IMAGE, [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]),
    "png": (".png", IMAGE, []),
    "palette or grey png": (".png", IMAGE[..., 0], []),
    "bmp": (".bmp", IMAGE, []),
    "grey bmp": (".bmp", IMAGE[..., 0], []),
}


def encoded(kind):
    suffix, image, options = KINDS[kind]
    return cv2.imencode(suffix, image, options)[1].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_is_the_decoders(kind):
    """The header gives the width and height that decoding gives, whatever follows the image."""
    content = encoded(kind)
    assert image_size(memoryview(content)) == (53, 37)
    assert image_size(memoryview(content + b"\0" * 10_000)) == (53, 37)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_short_is_refused_wherever_it_is_cut(kind):
    """No beginning of an image file passes for a whole one."""
    content = encoded(kind)
    for length in {*range(8), *range(8, len(content), 29), len(content) - 1}:
        if length:
            short = content[:length]
            try:
                assert image_size(memoryview(short)) is None  # too short to be known for what it is
                assert length < 8
            except ValueError as error:
                assert "expected" in str(error)
                assert "found" in str(error)


def test_an_empty_file_is_no_image():
    """An empty file is refused in these words."""
    with pytest.raises(ValueError, match="expected an image, found an empty file"):
        image_size(memoryview(b""))


def test_damaged_headers_are_refused():
    """A size of nothing, a wrong checksum and a lost marker are refused."""
    bmp, png, jpeg = bytearray(encoded("bmp")), bytearray(encoded("png")), bytearray(encoded("baseline"))
    struct.pack_into("<i", bmp, 18, 0)
    png[17] ^= 1
    jpeg[2 + 2 + struct.unpack_from(">H", jpeg, 4)[0]] = 0
    for content, message in ((bmp, "at least one pixel, found 0 x 37"), (png, "IHDR"), (jpeg, "a marker of a JPEG")):
        with pytest.raises(ValueError, match=message):
            image_size(memoryview(bytes(content)))


def test_other_formats_are_left_to_the_decoder():
    """Of what is no JPEG, PNG or BMP nothing is said."""
    assert image_size(memoryview(cv2.imencode(".webp", IMAGE)[1].tobytes())) is None
    assert image_size(memoryview(b"x, y, width, height")) is None


@given(st.sampled_from(sorted(KINDS)), st.integers(0, 80), st.integers(0, 255))
def test_damage_gives_a_size_or_an_error(kind, place, value):
    """Whatever byte of a header is changed: a size, nothing, or a ValueError, and no other error."""
    content = bytearray(encoded(kind))
    content[place] = value
    try:
        size = image_size(memoryview(bytes(content)))
    except ValueError:
        return
    assert size is None or min(size) > 0
