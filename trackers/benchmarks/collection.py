"""A data set as read: its sequences, in order.

A reader of an on-disk format is a module with

    Config                                    a frozen dataclass: which part of the data set, read how
    read(config, files, problems) -> list     its sequences; what is wrong is noted in `problems`
    open(config, root, name)                  the `Collection`, or DataError that lists every problem

Annotations are read at once, frames when asked for. Annotations that lie there without images are read,
too: their sequences have `Unseen` frames, enough to score results by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trackers.benchmarks import files
from trackers.benchmarks.files import Files
from trackers.benchmarks.problems import Problems
from trackers.sequence import Sequence

Read = Callable[[Any, Files, Problems], list[Sequence]]


@dataclass(frozen=True)
class Collection:
    """Sequences to iterate over. name: of the data set."""

    name: str
    sequences: tuple[Sequence, ...]

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[Sequence]:
        return iter(self.sequences)

    def select(self, names: Iterable[str]) -> Collection:
        """The sequences of these names, in the data set's order; ValueError for a name that is not there."""
        wanted = set(names)
        strange = wanted - {sequence.name for sequence in self.sequences}
        if strange:
            raise ValueError(f"data set {self.name}: expected names of its sequences, got {', '.join(sorted(strange))}")
        return Collection(self.name, tuple(s for s in self.sequences if s.name in wanted))


def open_collection(read: Read, config: Any, root: Path, name: str) -> Collection:
    """What every reader's `open` does. Raises DataError that lists all problems, OSError where there is no folder."""
    problems = Problems()
    sequences = read_sequences(read, config, root, problems)
    problems.refuse()
    return Collection(name, tuple(sequences))


def read_sequences(read: Read, config: Any, root: Path, problems: Problems) -> list[Sequence]:
    """The sequences that can be read, and notes of what is wrong with the others and with the whole."""
    sequences = read(config, files.open(root), problems)
    if not sequences and not problems:
        problems.say(str(root), "at least one sequence", "none")
    counts = Counter(sequence.name for sequence in sequences)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        problems.say(str(root), "sequences of different names", f"{', '.join(twice)} more than once")
    return sequences
