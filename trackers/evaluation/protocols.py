"""Protocols: generators on one sequence that read like their definitions.

A protocol yields what it asks of a tracker and is sent each predicted region; what it returns
is the trajectory: one region a frame, NaN where the protocol asked for none.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from trackers.sequence import Region, Sequence


@dataclass(frozen=True)
class Initialize:
    """(Re)start the tracker at frame t, on this region."""

    t: int
    region: Region


@dataclass(frozen=True)
class Update:
    """One step of the tracker, to frame t."""

    t: int


Play = Generator[Initialize | Update, Region, np.ndarray]
Protocol = Callable[[Sequence], Play]


def one_pass(sequence: Sequence) -> Play:
    """One-pass evaluation (OPE): initialized in the first frame, never helped again.

    The first row of the trajectory (frames, 4) is the given box.
    """
    regions = np.full((len(sequence), 4), np.nan)
    regions[0] = sequence.groundtruth[0]
    yield Initialize(0, sequence.groundtruth[0])
    for t in range(1, len(sequence)):
        regions[t] = yield Update(t)
    return regions
