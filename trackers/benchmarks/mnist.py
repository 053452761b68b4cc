"""Handwritten digits in MNIST's idx files.

A folder holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same two of `t10k`, the test
set, each as it is or compressed as `.gz`. A file is a magic number (0, 0, 8 for bytes, the number of
dimensions), the dimensions, each of 32 bits with the high byte first, and the bytes themselves.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import Literal

import numpy as np

from trackers.benchmarks import files
from trackers.benchmarks.files import Files

Split = Literal["train", "test"]
PREFIX: dict[Split, str] = {"train": "train", "test": "t10k"}
KINDS = {1: "labels", 3: "images"}


def read(folder: Path, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (count, side, side), and their labels, uint8 (count,), each of 0 to 9.

    Raises FileNotFoundError where a file is missing, and ValueError, with the file, what was expected
    and what came, where one is damaged or cut short, holds something else, or where images and labels
    do not fit together or a digit is not among them.
    """
    held = files.open(folder)
    images_path, images = _read(held, split, 3)
    labels_path, labels = _read(held, split, 1)
    if images.shape[1] != images.shape[2] or 0 in images.shape:
        shape = " x ".join(map(str, images.shape))
        raise ValueError(f"{images_path}: expected square images, at least one, got {shape} (images x rows x columns)")
    if len(labels) != len(images):
        raise ValueError(f"{labels_path}: expected {len(images)} labels, one an image, got {len(labels)}")
    if labels.max() > 9:
        raise ValueError(f"{labels_path}: expected labels 0 to 9, got {labels.max()} at {labels.argmax()}")
    missing = np.flatnonzero(np.bincount(labels, minlength=10) == 0)
    if len(missing):
        raise ValueError(
            f"{labels_path}: expected every digit from 0 to 9, got none of {', '.join(map(str, missing))} "
            f"among {len(labels)} labels"
        )
    return images, labels


def write(folder: Path, split: Split, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images, uint8 (count, side, side), and labels, uint8 (count,), into an existing folder."""
    for array in (images, labels):
        header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (folder / _name(split, array.ndim)).write_bytes(header + array.astype(np.uint8, casting="safe").tobytes())


def _name(split: Split, dimensions: int) -> str:
    return f"{PREFIX[split]}-{KINDS[dimensions]}-idx{dimensions}-ubyte"


def _read(held: Files, split: Split, dimensions: int) -> tuple[str, np.ndarray]:
    plain = _name(split, dimensions)
    packed = f"{plain}.gz"
    if plain in held:
        path, content = held.show(plain), bytes(held.read(plain))
    elif packed in held:
        path = held.show(packed)
        try:
            content = gzip.decompress(held.read(packed))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"{path}: expected a whole gzip file, got a damaged one: {error}") from error
    else:
        raise FileNotFoundError(f"{held.root}: expected {plain} or {packed}, got neither")
    kind, header = KINDS[dimensions], 4 + 4 * dimensions
    magic = struct.pack("4B", 0, 0, 8, dimensions)
    if len(content) < header:
        raise ValueError(f"{path}: expected {kind}, at least the {header} bytes of their header, got {len(content)}")
    if content[:4] != magic:
        other = next((k for d, k in KINDS.items() if content[:4] == struct.pack("4B", 0, 0, 8, d)), "another format")
        raise ValueError(f"{path}: expected {kind} (magic number {magic.hex()}), got {other} ({content[:4].hex()})")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    size = header + int(np.prod(shape, dtype=object))
    if len(content) != size:
        raise ValueError(
            f"{path}: expected {size} bytes, the header and {' x '.join(map(str, shape))}, got {len(content)}"
        )
    return path, np.frombuffer(content, np.uint8, offset=header).reshape(shape)
