"""`digits/`: scikit-learn's handwritten digits (1797 of 8 x 8 pixels, enlarged) as MNIST's idx files.

All arithmetic is on whole numbers, so that the bytes are the same on every machine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trackers.benchmarks import mnist

TRAIN = 1437  # of the 1797 digits, in their order: four fifths
SIDE, MARGIN = 20, 4  # MNIST: 20 x 20 pixels of ink in the middle of 28 x 28


def write_digits(folder: Path) -> None:
    """Write both splits into an existing folder."""
    images, labels = digits()
    mnist.write(folder, "train", images[:TRAIN], labels[:TRAIN])
    mnist.write(folder, "test", images[TRAIN:], labels[TRAIN:])


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
