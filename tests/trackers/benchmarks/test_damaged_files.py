"""Damaged binary files, thousands of them: masks in images, MNIST's arrays, and the index of packed data."""

import gzip
import json
import struct
import zlib

import cv2
import numpy as np
import pytest

from trackers.benchmarks import davis, files, mnist, packs
from trackers.benchmarks.problems import DataError, Problems

DAMAGED = 2000
MASK = np.pad(np.eye(5, 7, dtype=np.uint8), 1)
DIGITS = np.random.default_rng(0).integers(0, 256, (10, 3, 3)).astype(np.uint8)


def grey_png(mask):
    return cv2.imencode(".png", mask)[1].tobytes()


def palette_png(mask):
    """A PNG of numbers and their colours, as DAVIS has them."""
    chunks = grey_png(mask)
    header = chunks[16:24] + bytes([8, 3, 0, 0, 0])
    rest = chunks[33:]
    return chunks[:8] + chunk(b"IHDR", header) + chunk(b"PLTE", bytes(range(6))) + rest


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize("encode", [grey_png, palette_png])
def test_damaged_masks_are_told_or_the_same(memory, damaged_bytes, encode):
    """A damaged mask is refused by its name, or is the very mask that it was: pixels never move."""
    sound, refused = encode(MASK), 0
    contents = {f"Annotations/480p/dog/{t:05d}.png": sound for t in range(2)}
    contents |= {f"JPEGImages/480p/dog/{t:05d}.jpg": b"image" for t in range(2)}
    name = "Annotations/480p/dog/00001.png"
    for content in damaged_bytes(sound):
        problems = Problems()
        sequences = davis.read(davis.Config(), memory(contents | {name: content}), problems)
        if problems:
            assert not sequences
            assert {problem.file for problem in problems} == {f"data/{name}"}
            refused += 1
        else:
            assert np.array_equal(sequences[0].region(1), MASK > 0)
    assert DAMAGED / 2 < refused < DAMAGED


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kind", ["images-idx3", "labels-idx1"])
def test_damaged_digits_are_told_or_harmless(memory, damaged_bytes, monkeypatch, tmp_path, kind, zipped):
    """A damaged file of MNIST is refused by its name, or holds just the bytes behind its header."""
    mnist.write(tmp_path, "train", DIGITS, np.arange(10, dtype=np.uint8))
    contents = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    name = f"train-{kind}-ubyte"
    sound = contents.pop(name)
    if zipped:
        name, sound = f"{name}.gz", gzip.compress(sound, mtime=0)
    refused = 0
    for content in damaged_bytes(sound):
        monkeypatch.setattr(files, "open", lambda root, content=content: memory(contents | {name: content}))
        try:
            images, labels = mnist.read(tmp_path, "train")
        except ValueError as error:
            assert str(error).startswith(("data/train-images-idx3-ubyte", "data/train-labels-idx1-ubyte"))
            refused += 1
            continue
        plain = gzip.decompress(content) if zipped else content
        array = images if kind == "images-idx3" else labels
        assert array.tobytes() == plain[4 + 4 * array.ndim :]
        assert array.shape == struct.unpack(f">{array.ndim}I", plain[4 : 4 + 4 * array.ndim])
    assert DAMAGED / 4 < refused < DAMAGED


def test_a_damaged_index_is_told_or_harmless(damaged_json, tmp_path):
    """A damaged index is refused by its name, or leads to the very bytes that were packed."""
    for name, content in {"a/1.jpg": b"one", "a/2.jpg": b"three", "a/truth.txt": b"1,2,3,4\n", "dog.avi": b"!"}.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(content)
    packed = packs.pack(tmp_path / "data", tmp_path / "pack")
    held = {name: bytes(packed.read(name)) for name in packed.names}
    refused = 0
    for content in damaged_json((packed.root / packs.INDEX).read_bytes()):
        (packed.root / packs.INDEX).write_bytes(content)
        try:
            found = files.open(packed.root)
        except DataError as error:
            assert {problem.file for problem in error.problems} <= {
                str(packed.root / name) for name in (packs.INDEX, *shards(content))
            }
            refused += 1
            continue
        assert {name: bytes(found.read(name)) for name in found.names} == held
    assert DAMAGED / 2 < refused < DAMAGED


def shards(content):
    """Names of the shards in an index, damaged or not."""
    try:
        return [str(shard["file"]) for shard in json.loads(content)["shards"]]
    except (ValueError, TypeError, KeyError):
        return []
