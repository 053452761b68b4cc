"""Clips: the beginnings of sequences, all of one length."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, replace
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np

from trackers.sequence import Sequence

T_co = TypeVar("T_co", covariant=True)


class Numbered(Protocol[T_co]):
    """Frames or regions, by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, t: int, /) -> T_co: ...


@dataclass(frozen=True)
class Picked(Generic[T_co]):
    """Some frames, or regions, in a new order: number t here is number `numbers[t]` there."""

    whole: Numbered[T_co]
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, t: int) -> T_co:
        return self.whole[int(self.numbers[t])]


def clip(sequence: Sequence, length: int, shorter: Literal["resample", "refuse"] = "resample") -> Sequence:
    """The first `length` frames of a sequence, without reading any; its name stays.

    shorter: what becomes of a sequence of fewer frames. "resample" is the rule of Song et al. 2017
    (Table 2): "we upsample the testing sequences to the fixed length". How, the paper does not say; it is
    read as repeating frames, evenly: of n frames, clip frame t is number round(t (n - 1) / (length - 1)),
    halves rounded to the even number, so that both ends stay. "refuse" raises ValueError: for generated
    sequences (Gan et al. 2015), which are as long as they are asked to be.
    """
    if length < 1:
        raise ValueError(f"length: expected at least 1, got {length}")
    n = len(sequence)
    if n < length and shorter == "refuse":
        raise ValueError(f"sequence {sequence.name}: expected at least {length} frames, got {n}")
    numbers = np.arange(length) if n >= length else np.linspace(0, n - 1, length).round().astype(int)
    return picked(sequence, numbers)


def picked(sequence: Sequence, numbers: SequenceOf[int] | np.ndarray) -> Sequence:
    """The sequence that consists of these frames, in this order, with all that is known of each."""
    index = np.asarray(numbers, int)

    def rows(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else array[index]

    return replace(
        sequence,
        frames=Picked(sequence.frames, index),
        groundtruth=sequence.groundtruth[index],
        regions=None if sequence.regions is None else Picked(sequence.regions, index),
        labelled=rows(sequence.labelled),
        omitted=rows(sequence.omitted),
        tags={name: flags[index] for name, flags in sequence.tags.items()},
    )
