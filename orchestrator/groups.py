"""Named groups of a data set's sequences, as params.yaml has them: attributes that the data itself does not have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from trackers.benchmarks.collection import Collection
from trackers.evaluation.results import ALL


def grouped(collection: Collection, groups: Mapping[str, Iterable[str]]) -> Collection:
    """The collection; each group's name is an attribute of its sequences, by which they are scored as well.

    Raises ValueError for a sequence that is not there, and for a name that already means something: all
    sequences, an attribute, or a tag of frames.
    """
    names = {sequence.name for sequence in collection}
    taken = {ALL, *(a for s in collection for a in s.attributes), *(tag for s in collection for tag in s.tags)}
    members = {group: set(own) for group, own in groups.items()}
    for group, own in members.items():
        if group in taken:
            raise ValueError(f"groups.{group}: expected a name of its own, got one of {', '.join(sorted(taken))}")
        if not own <= names:
            strange = ", ".join(sorted(own - names))
            raise ValueError(f"groups.{group}: expected names of sequences of {collection.name}, got {strange}")
    sequences = (
        replace(s, attributes=(*s.attributes, *(group for group, own in members.items() if s.name in own)))
        for s in collection
    )
    return replace(collection, sequences=tuple(sequences))
