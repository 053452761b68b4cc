"""Frames read from a pack against frames read from files of their own."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from trackers.benchmarks.packs import Pack, pack

FRAMES, SIDE = 5000, 128  # JPEGs of about 6 kB


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Frames per second, bytes alone and decoded, in order and not; and how many files there are.

    What comes from a pack is copied out of its map, as reading a file copies. All is in the system's
    memory, since each was just written: what is compared is the way, not the disk.
    """
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "frames"
        folder.mkdir()
        for i in range(FRAMES):
            coarse = rng.integers(0, 256, (SIDE // 8, SIDE // 8, 3), dtype=np.uint8)
            image = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            image = cv2.add(image, rng.integers(0, 24, image.shape, dtype=np.uint8))
            cv2.imwrite(str(folder / f"{i:08d}.jpg"), image)
        packed = pack(folder, Path(temporary) / "pack")
        files = {name: folder / name for name in packed.names}
        orders = {"in order": packed.names, "in random order": [packed.names[i] for i in rng.permutation(FRAMES)]}
        rows = [
            _row(f"{what}, {order}", use, packed, files, names, repeats)
            for what, use in (("read", len), ("read and decode", _decode))
            for order, names in orders.items()
        ]
        count = sum(path.is_file() for path in packed.root.iterdir())
    return [
        *rows,
        {
            "what": f"files on disk for {FRAMES} frames",
            "ours": count,
            "other": FRAMES,
            "unit": "files",
            "ratio": FRAMES / count,
            "target": None,
        },
    ]


def _decode(content: bytes) -> object:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def _row(
    what: str,
    use: Callable[[bytes], object],
    packed: Pack,
    files: Mapping[str, Path],
    names: Sequence[str],
    repeats: int,
) -> dict[str, Any]:
    rates: dict[str, list[float]] = {"ours": [], "other": []}
    for repeat in range(repeats + 1):
        start = time.perf_counter()
        for name in names:
            use(bytes(packed.read(name)))
        middle = time.perf_counter()
        for name in names:
            use(files[name].read_bytes())
        end = time.perf_counter()
        if repeat:  # the first turn is to warm up
            rates["ours"].append(len(names) / (middle - start))
            rates["other"].append(len(names) / (end - middle))
    medians = {side: statistics.median(rate) for side, rate in rates.items()}
    return {
        "what": what,
        **medians,
        "unit": "frames/s",
        "ratio": medians["ours"] / medians["other"],
        "target": 1.0,
    }
