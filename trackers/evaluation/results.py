"""Results: the trajectories of one tracker on a benchmark under one protocol, beside the groundtruth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from trackers.evaluation.trajectory import Trajectory
from trackers.sequence import Region, Regions, Sequence, Unseen

ALL = "all"  # the subset that holds everything


@dataclass(frozen=True)
class Results:
    """What measures judge.

    sequences: n of them; their frames are not needed (`Unseen` will do). runs: n tuples of the trajectories
    through each, by number; all as long as the sequence. tag: where not `ALL`, only frames with this tag count.
    interval: the least and the greatest length that EAO is a mean over, of the benchmark; None: by VOT's
    rule, from the lengths of the sequences here. legacy_rasterization: whether vot-legacy counts the pixels of
    regions as in VOT2013 to VOT2015 (`trax-legacy` of `rasters`), in the image or not; else as from VOT2016 on.
    partial: whether these are some of a benchmark's sequences, as in a fold, and others are as long as the
    end of `interval`, which is given then: what ends in a failure counts as 0 up to there, as it does among all.
    """

    sequences: tuple[Sequence, ...]
    runs: tuple[tuple[Trajectory, ...], ...]
    protocol: str = "one_pass"
    tag: str = ALL
    interval: tuple[int, int] | None = None
    legacy_rasterization: bool = False
    partial: bool = False

    def __post_init__(self) -> None:
        if self.partial and self.interval is None:
            raise ValueError("partial: expected an interval beside it, got none")
        if self.interval is not None and not 1 <= self.interval[0] <= self.interval[1]:
            raise ValueError(f"interval: expected two lengths, 1 or more and in order, got {self.interval}")
        if len(self.sequences) != len(self.runs):
            raise ValueError(f"expected runs of {len(self.sequences)} sequences, got {len(self.runs)}")
        for sequence, runs in zip(self.sequences, self.runs, strict=True):
            for trajectory in runs:
                if len(trajectory) != len(sequence) or trajectory.sequence != sequence.name:
                    raise ValueError(
                        f"sequence {sequence.name}: expected a trajectory through its {len(sequence)} frames, got "
                        f"{len(trajectory)} frames of {trajectory.sequence}"
                    )

    @property
    def subsets(self) -> tuple[str, ...]:
        """`ALL`, the attributes of sequences, and the tags of frames, sorted."""
        attributes = {a for s in self.sequences for a in s.attributes} | {t for s in self.sequences for t in s.tags}
        return (ALL, *sorted(attributes))

    def subset(self, name: str) -> Results:
        """The part with this attribute: its sequences; or, for a tag of frames, the sequences that have such frames."""
        if name == ALL:
            return self
        tagged = any(name in sequence.tags for sequence in self.sequences)
        chosen = [
            (sequence, runs)
            for sequence, runs in zip(self.sequences, self.runs, strict=True)
            if (name in sequence.tags and sequence.tags[name].any() if tagged else name in sequence.attributes)
        ]
        return replace(
            self,
            sequences=tuple(sequence for sequence, _ in chosen),
            runs=tuple(runs for _, runs in chosen),
            tag=name if tagged else ALL,
        )

    def first(self, length: int) -> Results:
        """The first `length` frames of each sequence (all of a shorter one)."""
        return replace(
            self,
            sequences=tuple(_first_of_sequence(sequence, length) for sequence in self.sequences),
            runs=tuple(tuple(_first_of_run(run, length) for run in runs) for runs in self.runs),
        )


def _first_of_sequence(sequence: Sequence, length: int) -> Sequence:
    if len(sequence) <= length:
        return sequence
    return replace(
        sequence,
        frames=Unseen(length),
        groundtruth=sequence.groundtruth[:length],
        regions=None if sequence.regions is None else Span(sequence.regions, 0, length),
        labelled=None if sequence.labelled is None else sequence.labelled[:length],
        omitted=None if sequence.omitted is None else sequence.omitted[:length],
        tags={name: flags[:length] for name, flags in sequence.tags.items()},
    )


def _first_of_run(run: Trajectory, length: int) -> Trajectory:
    """Without counts of pixels, which are of all frames."""
    if len(run) <= length:
        return run
    return replace(
        run,
        regions=run.regions[:length],
        events=run.events[:length],
        masks=None if run.masks is None else Span(run.masks, 0, length),
        seconds=None if run.seconds is None else run.seconds[:length],
        pixels=None,
    )


@dataclass(frozen=True)
class Span:
    """`length` of some regions, from number `start` on."""

    regions: Regions
    start: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, t: int) -> Region:
        if not 0 <= t < self.length:
            raise IndexError(f"expected a frame from 0 to {self.length - 1}, got {t}")
        return self.regions[self.start + t]


def gather(sequences: Iterable[Sequence], trajectories: Iterable[Trajectory], protocol: str) -> Results:
    """Results of these sequences, those without a trajectory left out; runs in their order."""
    runs: dict[str, list[Trajectory]] = {}
    for trajectory in trajectories:
        runs.setdefault(trajectory.sequence, []).append(trajectory)
    present = [sequence for sequence in sequences if sequence.name in runs]
    ordered = (tuple(sorted(runs[sequence.name], key=lambda t: t.run)) for sequence in present)
    return Results(tuple(present), tuple(ordered), protocol)
