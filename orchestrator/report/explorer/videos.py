"""Where the frames of a study's data sets are read, if they are here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.jobs import Data
from orchestrator.lineage import fingerprint
from orchestrator.params import build, dataset_module
from trackers.benchmarks.collection import Collection
from trackers.evaluation.clips import Picked, clip
from trackers.sequence import Sequence, Unseen

Opened = Callable[[str, Mapping[str, Any]], "Videos | None"]  # by a data set's name, and what study.json says of it


@dataclass(frozen=True)
class Videos:
    """The sequences of a data set. origin: says where from; what is the same has the same frames under one name."""

    origin: str
    sequences: Iterable[Sequence]
    generated: bool = False

    def identity(self, name: str) -> str | None:
        """Of a sequence's frames: the same for the same frames; None where there are none.

        In one folder, sequences of one name, length and size are taken for the same, however they are annotated.
        """
        if self.generated:
            return _hash(self.origin, name)
        sequence = self._named.get(name)
        if sequence is None or isinstance(sequence.frames, Unseen):
            return None
        return _hash(self.origin, name, len(sequence), sequence.size)

    def numbers(self, name: str, length: int) -> np.ndarray:
        """Which of its frames the `length` frames of a sequence are that may have been clipped."""
        if self.generated:
            return np.arange(length)
        frames = clip(self._named[name], length).frames
        assert isinstance(frames, Picked)
        return frames.numbers

    @cached_property
    def _named(self) -> dict[str, Sequence]:
        return {sequence.name: sequence for sequence in self.sequences}


def opener(find: Callable[[Path], Data]) -> Opened:
    """Opens data sets as their jobs do, each once; gives None for those that are not here, or cannot be read.

    find: where a raw folder is best read, see `orchestrator.conduct.find_data`.
    """
    known: dict[str, Videos | None] = {}

    def opened(name: str, facts: Mapping[str, Any]) -> Videos | None:
        key = json.dumps([name, facts], sort_keys=True)
        if key not in known:
            known[key] = _open(name, facts, find)
        return known[key]

    return opened


def _open(name: str, facts: Mapping[str, Any], find: Callable[[Path], Data]) -> Videos | None:
    if not {"format", "root", "settings"} <= facts.keys():
        return None  # results of an older version
    data = find(Path(facts["root"]))
    if data.digest == "absent":
        return None
    try:
        module = dataset_module(facts["format"])
        sequences = module.open(build(module.Config, facts["settings"]), data.path, name)
    except (OSError, ValueError):
        return None
    origin = [facts["format"], data.digest, fingerprint([module.__name__])]
    if isinstance(sequences, Collection):
        return Videos(_hash(*origin), sequences)
    return Videos(_hash(*origin, facts["settings"]), sequences, generated=True)


def _hash(*what: Any) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
