"""Folds: which sequences of a data set one of them tests, and which it trains on.

One draw holds for all data sets that are parts of the same (`orchestrator.params.parts_of_one`): a sequence is in
the same fold wherever it is tested, and left out of all that this fold trains on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trackers.evaluation.folds import folds


def names_in(part: Mapping[str, Any], names: Iterable[str], drawn_over: Iterable[str]) -> tuple[str, ...]:
    """Those of `names` that are in a part {"fold", "of", "seed", "side"}, in their order.

    drawn_over: the names that are dealt out to the folds. Side "test" has those of this fold, side "train" all others:
    a name that is not dealt out is tested nowhere and may be trained on. Raises ValueError for fewer names than folds,
    for a name to be tested that is not dealt out, which any fold may have trained on, and for a part that is empty.
    """
    names, drawn = tuple(names), tuple(drawn_over)
    tested = frozenset(folds(drawn, part["of"], part["seed"])[part["fold"]])
    if part["side"] == "train":
        found = tuple(name for name in names if name not in tested)
    else:
        strange = sorted(set(names) - set(drawn))
        if strange:
            raise ValueError(
                f"folds: expected to test some of the {len(drawn)} sequences that are dealt out to the folds, "
                f"got {', '.join(strange)} as well"
            )
        found = tuple(name for name in names if name in tested)
    if not found:
        what = "test" if part["side"] == "test" else "train on"
        raise ValueError(f"folds: expected a sequence to {what} in fold {part['fold']} of {part['of']}, got none")
    return found
