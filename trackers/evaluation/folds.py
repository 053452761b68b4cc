"""Folds: k-fold cross-validation by sequence."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable


def folds(names: Iterable[str], k: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """Split sequences into k parts at random; fold i tests on part i, and trains on all others.

    The same names, in whatever order, and the same seed give the same folds: names are dealt out in the
    order of their hashes. The sizes differ by at most 1; 60 sequences in 10 folds are 6 to test on and 54 to
    train on. Raises ValueError for fewer than 2 folds, more folds than names, and a name that comes twice.
    """
    known = list(names)
    if not 2 <= k <= len(known):
        raise ValueError(f"folds: expected from 2 to {len(known)}, the number of sequences, got {k}")
    twice = sorted(name for name, times in Counter(known).items() if times > 1)
    if twice:
        raise ValueError(f"folds: expected each sequence once, got {', '.join(twice)} twice")
    shuffled = sorted(
        known, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogatepass")).digest()
    )
    return tuple(tuple(sorted(shuffled[i::k])) for i in range(k))
