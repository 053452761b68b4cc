"""Folds: k-fold cross-validation by sequence."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def folds(names: Iterable[str], k: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """Split sequences into k parts at random; part i is what fold i tests on, all others what it trains on.

    The same names, in whatever order, and the same seed give the same folds. Their sizes differ by at
    most 1: 60 sequences in 10 folds are 6 to test on and 54 to train on. Raises ValueError for fewer than 2
    folds, for more folds than names, and for a name that comes twice.
    """
    ordered = sorted(names)
    if not 2 <= k <= len(ordered):
        raise ValueError(f"folds: expected from 2 to {len(ordered)}, the number of sequences, got {k}")
    twice = {a for a, b in zip(ordered, ordered[1:], strict=False) if a == b}
    if twice:
        raise ValueError(f"folds: expected each sequence once, got {', '.join(sorted(twice))} twice")
    shuffled = np.random.default_rng(seed).permutation(len(ordered))
    return tuple(tuple(ordered[i] for i in sorted(part)) for part in np.array_split(shuffled, k))
