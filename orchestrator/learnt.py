"""From which sequences a training step's result was learnt: so it is asserted that a fold tests none that was seen.

Beside the step's weights lies learnt_from.json: {"learnt": {digest: names}, "prepared": {digest: names}}. Sequences
are known by the digest of the folder in which they lie and by their name, in whatever data set they stand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FILE = "learnt_from.json"
Names = Mapping[str, frozenset[str]]  # of sequences, by the digest of their folder


@dataclass(frozen=True)
class LearntFrom:
    """learnt: what the result depends on. prepared: what was only laid out, for later steps to learn from."""

    learnt: Names = field(default_factory=dict)
    prepared: Names = field(default_factory=dict)

    @classmethod
    def step(cls, read: Iterable[Names], needs: Iterable[LearntFrom], prepares: bool) -> LearntFrom:
        """Of a step that read these sequences and took the results of the steps that it needs.

        A step that prepares learns nothing by itself. Of what was prepared, one that learns is taken to learn from
        those sequences that it reads, or from all of them where it reads none of that folder.
        """
        needs, own = list(needs), _together(read)
        learnt = _together(need.learnt for need in needs)
        prepared = _together(need.prepared for need in needs)
        if prepares:
            return cls(learnt, _together([prepared, own]))
        unread = {digest: names for digest, names in prepared.items() if digest not in own}
        return cls(_together([learnt, own, unread]))

    @classmethod
    def read(cls, folder: Path) -> LearntFrom:
        """Of the result in a folder."""
        found = json.loads((folder / FILE).read_text())
        return cls(*({d: frozenset(names) for d, names in found[key].items()} for key in ("learnt", "prepared")))

    def write(self, folder: Path) -> None:
        """Lay it beside the result; the same content gives the same bytes."""
        said = {"learnt": self.learnt, "prepared": self.prepared}
        plain = {key: {digest: sorted(names) for digest, names in of.items()} for key, of in said.items()}
        (folder / FILE).write_text(json.dumps(plain, sort_keys=True))

    def refuse(self, digest: str, names: Iterable[str]) -> None:
        """ValueError where any of these sequences, which lie in this folder, was learnt from."""
        seen = sorted(self.learnt.get(digest, frozenset()) & set(names))
        if seen:
            raise ValueError(f"expected sequences that nothing was learnt from, got {', '.join(seen)}")


def _together(several: Iterable[Names]) -> Names:
    found: dict[str, frozenset[str]] = {}
    for names in several:
        for digest, some in names.items():
            found[digest] = found.get(digest, frozenset()) | some
    return found
