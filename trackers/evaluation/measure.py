"""What a measure is: a name, what its numbers mean, and how the terms of its score are computed.

Where toolkits differ, how they do it is a convention, and is always named:

    trackmeet    boxes as continuous rectangles; frames in which the target is labelled and present
                 count, the first, which is given, does not; mean over sequences
    otb          the OTB benchmark's Matlab toolkit
    got10k       the GOT-10k toolkit
    pysot        pysot-toolkit
    vot          vot-toolkit 0.9
    vot-legacy   the Matlab VOT toolkit, as of VOT2016; where results say so, as of VOT2013 to VOT2015
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from trackers.evaluation.results import Results
from trackers.evaluation.scores import Pool, Score

Convention = Literal["trackmeet", "otb", "got10k", "pysot", "vot", "vot-legacy"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)
Terms = tuple[np.ndarray, np.ndarray]  # numerator and denominator, (n, K) each


@dataclass(frozen=True)
class Measure:
    """A measure; calling it judges results.

    name: as in params.yaml and scores.csv. unit: "" for a ratio, and where it is the convention's. bounds: the
    least and the greatest value. better: which end of them is the good one. conventions: those that define
    it. protocols: those under which it means something; narrower: of a convention that defines it for fewer.
    terms: of results under a convention; see `scores`. soft: whether it counts pixels by how likely they are, for
    which a tracker has to be asked while it follows.
    """

    name: str
    unit: str
    bounds: tuple[float, float]
    better: Literal["higher", "lower"]
    conventions: tuple[Convention, ...]
    protocols: tuple[str, ...]
    terms: Callable[[Results, Convention], Terms]
    pool: Pool = "mean"
    narrower: Mapping[Convention, tuple[str, ...]] = field(default_factory=dict)
    soft: bool = False

    def protocols_of(self, convention: Convention) -> tuple[str, ...]:
        """The protocols for which this convention defines the measure: none where it does not know it."""
        return self.narrower.get(convention, self.protocols) if convention in self.conventions else ()

    def __call__(
        self, results: Results, convention: Convention = "trackmeet", subset: str = "all", length: int | None = None
    ) -> Score:
        """The score on a subset (see `Results.subset`), on the first `length` frames of each sequence (None: all).

        Raises ValueError where the convention, or the results' protocol, does not know this measure.
        """
        if convention not in self.conventions:
            raise ValueError(
                f"{self.name}: expected a convention among {', '.join(self.conventions)}, got {convention}"
            )
        known = self.protocols_of(convention)
        if results.protocol not in known:
            raise ValueError(
                f"{self.name}: expected a protocol among {', '.join(known)} under convention {convention}, "
                f"got {results.protocol}"
            )
        chosen = results.subset(subset)
        if length is not None:
            chosen = chosen.first(length)
        numerator, denominator = self.terms(chosen, convention)
        names = tuple(sequence.name for sequence in chosen.sequences)
        return Score(self.name, convention, results.protocol, subset, length, names, numerator, denominator, self.pool)
