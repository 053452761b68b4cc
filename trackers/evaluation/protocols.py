"""Protocols: how often, where and on what a tracker is started in a sequence, and when it is helped.

A protocol lists the runs of a sequence. Each is a `Play`, a generator that reads like its definition: it
yields what it asks of the tracker and is sent each predicted region; what it returns are the frames in
which it judged the target lost.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from trackers import masks
from trackers.evaluation import rasters
from trackers.sequence import Image, Region, Sequence

SEGMENTS = 20  # runs of TRE
LEAST = 20  # frames of the shortest of them
PERTURBATIONS = (  # runs of SRE, in order
    *("left", "right", "up", "down", "top left", "top right", "bottom left", "bottom right"),
    *("scale 0.8", "scale 0.9", "scale 1.1", "scale 1.2"),
)
PAUSE = 5  # frames from a failure to the next start, in VOT
REPETITIONS = 15  # of stochastic trackers, in VOT
CLIPS = 20  # of each sequence: 1200 in the 60 of VOT2016 (Song et al. 2017, Section 3.4)
FOLLOWING = 32  # frames of a clip behind its first


class FrameError(RuntimeError):
    """A frame could not be read; the message names sequence and frame, the cause is chained."""


@dataclass(frozen=True)
class Initialize:
    """(Re)start the tracker at frame t, on this region: box, polygon or mask, as the sequence has it."""

    t: int
    region: Region


@dataclass(frozen=True)
class Update:
    """One step of the tracker, to frame t."""

    t: int


Play = Generator[Initialize | Update, Region, tuple[int, ...]]
Protocol = Callable[[Sequence, bool], Iterator[Play]]  # the sequence, and whether the tracker is stochastic


def one_pass(sequence: Sequence, stochastic: bool = False) -> Iterator[Play]:
    """One-pass evaluation (OPE; Wu, Lim, Yang 2013): started once, never helped again.

    The start is the first frame with groundtruth that is not one to omit. Raises ValueError, as all
    protocols do, where no frame has groundtruth.
    """
    t = first_start(sequence)
    yield play(sequence, t, sequence.region(t))


def temporal_robustness(sequence: Sequence, stochastic: bool = False) -> Iterator[Play]:
    """Temporal robustness evaluation (TRE; ibid.): 20 runs that start later and later; see `segments`."""
    for t in segments(sequence):
        yield play(sequence, t, sequence.region(t))


def spatial_robustness(sequence: Sequence, stochastic: bool = False) -> Iterator[Play]:
    """Spatial robustness evaluation (SRE; ibid.): 12 runs that start on boxes off by 10%; see `perturbed`."""
    t = first_start(sequence)
    for box in perturbed(sequence.groundtruth[t], image_size(sequence)):
        yield play(sequence, t, box)


def supervised_reset(sequence: Sequence, stochastic: bool = False, repetitions: int = REPETITIONS) -> Iterator[Play]:
    """VOT's supervised experiment (Kristan et al. 2016): started anew after each failure; see `play_with_resets`.

    15 runs of a stochastic tracker; one of any other, as all would be the same. With fewer repetitions, scores are
    means of fewer runs: no less right, but noisier than VOT's by the root of 15 / repetitions.
    """
    for _ in range(repetitions if stochastic else 1):
        yield play_with_resets(sequence)


def unsupervised(sequence: Sequence, stochastic: bool = False) -> Iterator[Play]:
    """VOT's unsupervised experiment: started in the first frame with groundtruth, never helped again."""
    t = int(_present(sequence)[0])
    yield play(sequence, t, sequence.region(t))


def random_clips(sequence: Sequence, stochastic: bool = False, clips: int = CLIPS) -> Iterator[Play]:
    """Clips at random places of a sequence, a run each (Song et al. 2017, Section 3.4, Fig. 4); see `clip_starts`.

    "The following 32 frames" are read as 32 behind the frame that is given: a clip has 33.
    """
    for t in clip_starts(sequence, clips):
        yield play(sequence, t, sequence.region(t), t + 1 + FOLLOWING)


PROTOCOLS: dict[str, Protocol] = {
    protocol.__name__: protocol
    for protocol in (one_pass, temporal_robustness, spatial_robustness, supervised_reset, unsupervised, random_clips)
}


def play(sequence: Sequence, start: int, region: Region, end: int | None = None) -> Play:
    """One run, from frame `start` and `region` to before frame `end` (None: to the end of the sequence)."""
    yield Initialize(start, region)
    for t in range(start + 1, min(len(sequence), end or len(sequence))):
        yield Update(t)
    return ()


def play_with_resets(sequence: Sequence) -> Play:
    """One run that starts anew 5 frames after each failure: prediction and groundtruth that share no pixel.

    See `overlap`. A frame without groundtruth, or whose mask is empty, is never a failure, nor a start: that waits for
    the next frame with any.
    """
    present, size, failures = _present(sequence), image_size(sequence), []
    judged = set(present.tolist())
    start = _first_shown(sequence, present, int(present[0]))
    for t in range(start, len(sequence)):
        if t == start:
            yield Initialize(t, sequence.region(t))
        elif t > start:
            region = yield Update(t)
            truth = sequence.region(t) if t in judged else None
            if truth is not None and _shown(truth) and not overlap(region, truth, size) > 0:
                failures.append(t)
                start = _first_shown(sequence, present[present >= t + PAUSE], len(sequence))
    return tuple(failures)


def first_start(sequence: Sequence) -> int:
    """The first frame with groundtruth that is not one to omit; the first with groundtruth, if all are."""
    return int(_allowed(sequence)[0])


def clip_starts(sequence: Sequence, number: int) -> list[int]:
    """The frames, in order, at which the runs of `random_clips` start: `number`, or fewer of a short sequence.

    Drawn, each once, from the frames with groundtruth, none of them to omit, that have 32 frames behind them; where
    there is none, the only start is the first frame with groundtruth. An empty mask is none. The name of the
    sequence alone decides the draw: so all trackers are shown the same clips.
    """
    allowed = _allowed(sequence)
    long = allowed[allowed + FOLLOWING < len(sequence)]
    drawn = np.random.default_rng(list(sequence.name.encode())).permutation(long)
    starts = sorted(islice((t for t in drawn.tolist() if _shown(sequence.region(t))), number))
    return starts or [_first_shown(sequence, allowed, int(allowed[0]))]


def segments(sequence: Sequence) -> list[int]:
    """The frames where the runs of TRE start, as splitSeqTRE.m of the OTB benchmark takes them.

    Candidates are the frames, none of them to omit, whose box has x, y, width and height above 0, pixels
    counted from 1. The last with 20 frames left is the last start; the others are spread evenly over the
    candidates before it. Fewer than 19 candidates give fewer segments, some of them twice. Where there
    is none (there the toolkit fails) the only segment is that of `one_pass`.
    """
    counted_from_1 = sequence.groundtruth + [1, 1, 0, 0]
    omitted = np.zeros(len(sequence), bool) if sequence.omitted is None else sequence.omitted
    allowed = np.all(counted_from_1 > 0, 1) & ~omitted  # False where NaN
    candidates = np.flatnonzero(allowed[: max(len(sequence) - LEAST + 1, 0)])
    n = len(candidates)
    if n == 0:
        return [first_start(sequence)]
    steps = np.arange(SEGMENTS - 1)
    spread = steps[steps * n <= (SEGMENTS - 1) * (n - 1)] * n // (SEGMENTS - 1)
    return [int(t) for t in candidates[[*spread, n - 1]]]


def perturbed(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The boxes (12, 4) on which the runs of SRE start, as shiftInitBB.m of the OTB benchmark makes them.

    box: (4,). size: width and height of the image. In the order of `PERTURBATIONS`: the first four move
    the box by a tenth of its size, rounded up; the next four move one corner outwards by a tenth and keep
    the one across; the last four scale the box about its centre. The arithmetic is that of pixels counted
    from 1, rounded half away from zero. What leaves the image on the left or top is moved back, what
    leaves it on the right or bottom is cut off.
    """
    x, y, w, h = box + [1, 1, 0, 0]
    right, bottom = x + w - 1, y + h - 1
    across, down = np.ceil(0.1 * w), np.ceil(0.1 * h)
    less_x, less_y, more_x, more_y = _round([x - 0.1 * w, y - 0.1 * h, right + 0.1 * w, bottom + 0.1 * h])
    corners = [(less_x, less_y, right, bottom), (x, less_y, more_x, bottom)]
    corners += [(less_x, y, right, more_y), (x, y, more_x, more_y)]
    cx, cy = x + w / 2, y + h / 2
    scaled = [(cx - s * w / 2, cy - s * h / 2, s * w, s * h) for s in (0.8, 0.9, 1.1, 1.2)]
    starts = np.array(
        [
            *[(x - across, y, w, h), (x + across, y, w, h), (x, y - down, w, h), (x, y + down, w, h)],
            *[(x1, y1, x2 - x1 + 1, y2 - y1 + 1) for x1, y1, x2, y2 in corners],
            *_round(scaled),
        ]
    )
    starts[:, :2] = np.maximum(starts[:, :2], 1)
    starts[:, 2:] = np.minimum(starts[:, 2:], size - starts[:, :2] + 1)
    return starts - [1, 1, 0, 0]


def image_size(sequence: Sequence) -> tuple[int, int]:
    """Width and height of the images; of the first, where the sequence does not say."""
    if sequence.size is not None:
        return sequence.size
    height, width = read(sequence, 0).shape[:2]
    return width, height


def read(sequence: Sequence, t: int) -> Image:
    """Frame t. Raises FrameError where that fails."""
    try:
        return sequence.frames[t]
    except Exception as cause:
        raise FrameError(f"sequence {sequence.name}, frame {t}: {type(cause).__name__}: {cause}") from cause


def overlap(region: Region, truth: Region, size: tuple[int, int]) -> float:
    """Overlap in an image of `size` (width, height) as vot-toolkit 0.9 counts pixels; NaN where a region is.

    Boxes and polygons of four corners by the rule `vot` of `rasters`; masks, and what is beside them, by `masks`.
    """
    if any(given.ndim == 1 and np.isnan(given).any() for given in (region, truth)):
        return np.nan
    if {region.shape, truth.shape} <= {(4,), (8,)}:
        last = size[0] - 1, size[1] - 1
        one, other = (rasters.pixels(given[None], last, "vot") for given in (truth, region))
        return float(rasters.overlaps(one, np.zeros(1, int), other)[0])
    return float(masks.iou(masks.of_region(region, size), masks.of_region(truth, size)))


def _present(sequence: Sequence) -> np.ndarray:
    """Numbers of the frames with groundtruth."""
    present = np.flatnonzero((sequence.groundtruth[:, 2:] > 0).all(1) & np.isfinite(sequence.groundtruth).all(1))
    if len(present) == 0:
        raise ValueError(f"sequence {sequence.name}: expected a frame with groundtruth to start from, got none")
    return present


def _allowed(sequence: Sequence) -> np.ndarray:
    """Numbers of the frames with groundtruth that are not to omit; of all with groundtruth, if all are."""
    present = _present(sequence)
    allowed = present if sequence.omitted is None else present[~sequence.omitted[present]]
    return allowed if len(allowed) else present


def _first_shown(sequence: Sequence, frames: np.ndarray, otherwise: int) -> int:
    """The first of these frames that shows the target."""
    return next((t for t in frames.tolist() if _shown(sequence.region(t))), otherwise)


def _shown(truth: Region) -> bool:
    """Whether a frame with a box shows the target: masks are annotated apart, and may be empty there."""
    return truth.ndim == 1 or bool(truth.any())


def _round(values: object) -> np.ndarray:
    """To whole numbers, half away from zero, as Matlab does."""
    array = np.asarray(values, float)
    return np.trunc(array + np.copysign(0.5, array))
