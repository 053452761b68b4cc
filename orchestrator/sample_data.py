"""The sample data: small, made on the spot, in the true on-disk formats, so that every reader runs.

`digits/` holds scikit-learn's handwritten digits (1797 of 8 x 8 pixels, enlarged) as MNIST's idx
files. All arithmetic is on whole numbers, so that the bytes are the same on every machine.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from trackers.benchmarks import mnist

TRAIN = 1437  # of the 1797 digits, in their order: four fifths
SAMPLE = "SAMPLE.txt"  # beside the files: by it the report knows that its numbers are no paper's
SIDE, MARGIN = 20, 4  # MNIST: 20 x 20 pixels of ink in the middle of 28 x 28


def write(root: Path) -> bool:
    """Make the sample data in `root`, whole or not at all; False, and nothing touched, where it is there already."""
    target = root / "digits"
    if target.exists():
        return False
    images, labels = digits()
    root.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".digits-", dir=root.parent))  # not in root, where all is data
    try:
        unfinished.chmod(0o755)
        mnist.write(unfinished, "train", images[:TRAIN], labels[:TRAIN])
        mnist.write(unfinished, "test", images[TRAIN:], labels[TRAIN:])
        (unfinished / SAMPLE).write_text("scikit-learn's handwritten digits, enlarged: a stand-in for MNIST\n")
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return True


def digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits as MNIST would show them: images uint8 (1797, 28, 28), labels uint8 (1797,)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = bunch.images.astype(np.int64)  # (1797, 8, 8), 0 to 16
    weights = _bilinear(small.shape[-1], SIDE)  # in 1 / (2 * SIDE)
    large = weights @ small @ weights.T  # (1797, 20, 20)
    brightest = 16 * (2 * SIDE) ** 2
    grey = (2 * 255 * large + brightest) // (2 * brightest)  # rounded
    return np.pad(grey, ((0, 0), (MARGIN,) * 2, (MARGIN,) * 2)).astype(np.uint8), bunch.target.astype(np.uint8)


def _bilinear(small: int, large: int) -> np.ndarray:
    """Weights (large, small) of linear interpolation between pixel centres, in whole 1 / (2 * large)."""
    unit = 2 * large
    at = ((2 * np.arange(large) + 1) * small - large).clip(0, (small - 1) * unit)  # of each centre, in 1 / unit
    return (unit - np.abs(at[:, None] - unit * np.arange(small))).clip(0)
