"""One-pass evaluation of boxes: success, precision, centre errors and average overlap, toolkit by toolkit.

They serve the protocols in which a tracker is never helped: OPE, and TRE and SRE (Wu et al. 2013), whose many
runs through a sequence are pooled by frames before sequences are averaged, as genPerfMat.m does.
What the conventions count, of boxes in the coordinates of the files (x, y from 1 in most):

    trackmeet    the frames that a tracker predicts and in which the target is present. Without a usable
                 prediction a frame fails, and its distance in `cle` is that of the last usable box
    otb          genPerfMat.m, calcSeqErrRobust.m: all annotated frames. The first is taken from the
                 groundtruth; a box that is NaN or of no size is that of the frame before. Where the
                 groundtruth is not positive in all four numbers, overlap and distance are -1: a
                 failure at every overlap, precise at every distance
    got10k       ExperimentOTB and its kin: as otb, but nothing is copied, and every box is computed; NaN in
                 the groundtruth does not count (ExperimentUAV123). `average_overlap`, `sr_50`, `sr_75` are
                 AO and SR of ExperimentGOT10k: over all frames of all sequences in which the target is
                 seen (tag `cover`), but the first; boxes cut to the image where its size is known
    pysot        toolkit/utils/statistics.py: the first frame as in the result; -1 as in otb, but for
                 distances where the centre is not positive; frames with the tag `absent` (LaSOT) fail
    vot          `average_overlap` alone, of the unsupervised experiment: see `vot.unsupervised_overlap`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trackers import boxes
from trackers.evaluation import vot
from trackers.evaluation.measure import Convention, Measure, Terms
from trackers.evaluation.overlaps import EPSILON, overlaps, toolkit_overlaps
from trackers.evaluation.results import ALL, Results
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence

PROTOCOLS = ("one_pass", "unsupervised", "temporal_robustness", "spatial_robustness")
RUNS = ("one_pass", "temporal_robustness", "spatial_robustness")  # OTB's
CONVENTIONS: tuple[Convention, ...] = ("trackmeet", "otb", "got10k", "pysot")

OVERLAPS = np.linspace(0, 1, 21)
FINE_OVERLAPS = np.linspace(0, 1, 101)
DISTANCES = np.arange(51.0)  # pixels
SHARES = np.arange(51) / 100  # of the target's width and height
PART = 32768  # frames judged at a time


def _matlab_range(step: float, number: int) -> np.ndarray:
    """0:step:(number - 1) * step, which Matlab counts from both ends: the last bits decide ties."""
    half, last = number // 2, round((number - 1) * step, 9)
    return np.concatenate([np.arange(number - half) * step, last - np.arange(half - 1, -1, -1) * step])


# Where the thresholds of a toolkit differ in the last bit.
TOOLKIT_OVERLAPS = {"otb": _matlab_range(0.05, 21)}
TOOLKIT_SHARES = {"otb": _matlab_range(0.01, 51), "got10k": np.linspace(0, 0.5, 51)}


@dataclass(frozen=True)
class Frames:
    """The N frames of all runs through n sequences, one after the other, as a convention sees them.

    regions, groundtruth: boxes (N, 4). events: (N,). counted: bool (N,), what is divided by. hidden: bool
    (N,), where the benchmark says that the target is not seen. lengths: (n,), of each sequence.
    """

    regions: np.ndarray
    groundtruth: np.ndarray
    events: np.ndarray
    counted: np.ndarray
    hidden: np.ndarray
    lengths: np.ndarray

    def sums(self, values: np.ndarray) -> np.ndarray:
        """(n,): of values (N,) over the frames of each sequence."""
        sums, filled = np.zeros(len(self.lengths)), self.lengths > 0
        if filled.any():
            sums[filled] = np.add.reduceat(values, (np.cumsum(self.lengths) - self.lengths)[filled], dtype=float)
        return sums

    def histograms(self, bins: np.ndarray, number: int) -> np.ndarray:
        """(n, number): how many frames of each sequence are in each bin; bins (N,), below `number`."""
        first = np.repeat(np.arange(len(self.lengths)) * number, self.lengths)
        return np.bincount(first + bins, minlength=len(self.lengths) * number).reshape(-1, number)


Judge = Callable[[Frames, Convention], Terms]
See = Callable[[Results, Convention], Frames]


def frames(results: Results, convention: Convention) -> Frames:
    """The frames that runs saw and somebody annotated, with boxes as the convention takes them."""
    pairs = [(s, run) for s, runs in zip(results.sequences, results.runs, strict=True) for run in runs]
    number = np.repeat(np.arange(len(results.runs)), [sum(map(len, runs)) for runs in results.runs])
    regions = _columns([run.boxes for _, run in pairs])
    groundtruth = _columns([sequence.groundtruth for sequence, _ in pairs])
    events = np.concatenate([np.zeros(0, np.int8), *(run.events for _, run in pairs)])
    absent = _unknown(groundtruth)
    if convention == "trackmeet":
        counted = ~absent & (events != Event.INITIALIZED)
    else:
        _annotate(groundtruth, absent, pairs)
        origin = np.array([sequence.origin for sequence in results.sequences])[number]
        for column in (0, 1):
            regions[:, column] += origin
            groundtruth[:, column] += origin
        counted = ~_unknown(groundtruth) if convention == "got10k" else np.ones(len(events), bool)
    if results.tag != ALL:
        counted &= _flags(pairs, lambda sequence: sequence.tags.get(results.tag), False)
    if convention == "pysot":
        hidden = _flags(pairs, lambda sequence: sequence.tags.get("absent"), False)
    else:
        hidden = absent | ~_flags(pairs, lambda sequence: sequence.tags.get("cover"), True)
    seen = (events != Event.SKIPPED) & _flags(pairs, lambda sequence: sequence.labelled, True)
    if not seen.all():
        columns = (regions, groundtruth, events, counted, hidden, number)
        regions, groundtruth, events, counted, hidden, number = (rows[seen] for rows in columns)
    given = events == Event.INITIALIZED
    if convention == "otb":
        unusable = np.isnan(regions).all(1) | (regions[:, 2:] <= 0).any(1)
        regions = _carried(regions, ~unusable | _unknown(groundtruth) | given)
    if convention in ("otb", "got10k"):
        regions[given] = groundtruth[given]
    return Frames(regions, groundtruth, events, counted, hidden, np.bincount(number, minlength=len(results.runs)))


def parts(results: Results) -> Iterator[Results]:
    """Results of some sequences at a time, in order, at least once: so that the arrays of their frames stay small."""
    if not results.runs:
        yield results
    first, total = 0, 0
    for i, runs in enumerate(results.runs):
        total += sum(map(len, runs))
        if total >= PART or i == len(results.runs) - 1:
            span = slice(first, i + 1)
            yield replace(results, sequences=results.sequences[span], runs=results.runs[span])
            first, total = i + 1, 0


def frames_in_image(results: Results, convention: Convention) -> Frames:
    """The frames that ExperimentGOT10k judges, all boxes cut to the image as its rect_iou bounds them.

    A box that begins before the image is moved to its border, and keeps its size.
    """
    seen = frames(results, convention)
    sizes = np.array([sequence.size or (np.inf, np.inf) for sequence in results.sequences], float).reshape(-1, 2)
    size = np.repeat(sizes, seen.lengths, axis=0)

    def cut(boxes: np.ndarray) -> np.ndarray:
        corner = boxes[:, :2].clip(0, size)
        return np.hstack([corner, boxes[:, 2:].clip(0, size - corner)])

    counted = seen.counted & ~seen.hidden & (seen.events != Event.INITIALIZED)
    return replace(seen, regions=cut(seen.regions), groundtruth=cut(seen.groundtruth), counted=counted)


def _columns(parts: list[np.ndarray]) -> np.ndarray:
    """A copy of boxes (N, 4) under each other, column by column in memory: for speed."""
    columns = np.empty((4, sum(map(len, parts))))
    return (np.concatenate([part.T for part in parts], axis=1, out=columns) if parts else columns).T


def _unknown(boxes: np.ndarray) -> np.ndarray:
    """Where a number of a box is NaN."""
    return np.isnan(boxes).any(1)


def _flags(
    pairs: list[tuple[Sequence, Trajectory]], of: Callable[[Sequence], np.ndarray | None], default: bool
) -> np.ndarray:
    """Bool (N,) of frames; `default` for sequences that have no such flags."""
    flags = [(of(sequence), len(sequence)) for sequence, _ in pairs]
    if all(part is None for part, _ in flags):
        return np.full(sum(length for _, length in flags), default)
    return np.concatenate(
        [np.zeros(0, bool), *(np.full(length, default) if part is None else part for part, length in flags)]
    )


def _annotate(groundtruth: np.ndarray, absent: np.ndarray, pairs: list[tuple[Sequence, Trajectory]]) -> None:
    """Fill in the boxes that files give of targets that are absent, such as the 0, 0, 0, 0 of OTB."""
    start = 0
    for sequence, _ in pairs:
        if sequence.regions is not None:
            for t in np.flatnonzero(absent[start : start + len(sequence)]).tolist():
                if sequence.regions[t].shape == (4,):
                    groundtruth[start + t] = sequence.regions[t]
        start += len(sequence)


def _carried(regions: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Boxes, and where they are not usable the last that was; the first of each run is always usable."""
    last = np.maximum.accumulate(np.where(usable, np.arange(len(regions)), 0))
    return np.take(regions.T, last, axis=1).T


def frame_overlaps(seen: Frames, convention: Convention) -> np.ndarray:
    """(N,) in [0, 1]; -1 where a frame fails, or does not count."""
    if convention == "trackmeet":
        return np.where(seen.counted, overlaps(seen.regions, seen.groundtruth), -1)
    judged = seen.counted
    if convention != "got10k":
        judged = judged & (seen.groundtruth > 0).all(1)
    if convention == "pysot":
        judged = judged & ~seen.hidden
    values = toolkit_overlaps(seen.regions, seen.groundtruth, convention)
    return np.where(judged & ~np.isnan(values), values, -1)


def frame_distances(seen: Frames, convention: Convention) -> np.ndarray:
    """(N,) of the centres, in pixels; infinite where a frame fails, or does not count."""
    if convention == "trackmeet":
        return _judged(seen, boxes.centre_distance(seen.regions, seen.groundtruth), convention)
    difference = _centres(seen.regions) - _centres(seen.groundtruth)
    return _judged(seen, np.sqrt((difference**2).sum(1)), convention)


def frame_shares(seen: Frames, convention: Convention) -> np.ndarray:
    """(N,): distances of the centres, in widths and heights of the groundtruth, as LaSOT has them.

    The toolkits differ where these are 0, or small: pysot adds 1e-16 to them, got10k takes at least 1.
    """
    centres, true, size = _centres(seen.regions), _centres(seen.groundtruth), seen.groundtruth[:, 2:]
    with np.errstate(invalid="ignore", divide="ignore"):
        if convention == "pysot":
            difference = true / (size + 1e-16) - centres / (size + 1e-16)
        elif convention == "otb":
            difference = centres / size - true / size
        else:
            difference = (centres - true) / (np.maximum(1, size) if convention == "got10k" else size)
    return _judged(seen, np.sqrt((difference**2).sum(1)), convention)


def _centres(regions: np.ndarray) -> np.ndarray:
    """(N, 2), of the pixels that boxes (N, 4) cover: as toolkits have them, half a pixel before ours."""
    return regions[:, :2] + (regions[:, 2:] - 1) / 2


def _judged(seen: Frames, distances: np.ndarray, convention: Convention) -> np.ndarray:
    """Distances, with what the convention says of frames that it does not judge by them."""
    distances = np.where(np.isnan(distances), np.inf, distances)
    if convention == "otb":
        distances = np.where((seen.groundtruth > 0).all(1), distances, -1)
    elif convention == "pysot":
        distances = np.where((_centres(seen.groundtruth) > 0).all(1), distances, -1)
        distances = np.where(seen.hidden, np.inf, distances)
    return np.where(seen.counted, distances, np.inf)


def success(judged: Frames, convention: Convention) -> Terms:
    """Of each sequence the share of frames with an overlap above each of `OVERLAPS`: (n, 21)."""
    thresholds = TOOLKIT_OVERLAPS.get(convention, OVERLAPS)
    return _shares(judged, _above(judged, frame_overlaps(judged, convention), thresholds), convention)


def precision(judged: Frames, convention: Convention) -> Terms:
    """Of each sequence the share of frames with a distance of at most each of `DISTANCES`: (n, 51)."""
    return _shares(judged, _within(judged, frame_distances(judged, convention), DISTANCES), convention)


def normalized_precision(judged: Frames, convention: Convention) -> Terms:
    """Of each sequence the share of frames with a normalized distance of at most each of `SHARES`: (n, 51)."""
    thresholds = TOOLKIT_SHARES.get(convention, SHARES)
    return _shares(judged, _within(judged, frame_shares(judged, convention), thresholds), convention)


def mean_overlap(judged: Frames, convention: Convention) -> Terms:
    """Of each sequence the mean overlap of its frames (AOS of Ning et al. 2016, Table 1).

    otb: aveErrCoverage of calcSeqErrRobust.m, where frames without a valid groundtruth are 0.
    """
    return _shares(judged, judged.sums(frame_overlaps(judged, convention).clip(min=0))[:, None], convention)


def released_overlap(judged: Frames, convention: Convention) -> Terms:
    """Of each sequence the mean of what the released code of Ning et al. 2016 takes for the overlap: it is wrong.

    ROLO_evaluation.py cuts the decimals of boxes off, and takes x, y of both for their centres, though they are the
    top-left corners: boxes of different sizes seem to overlap more, or less, than they do. That arithmetic is no
    toolkit's: frames and coordinates are those of `trackmeet` in every convention, and so is the number.
    """
    found, true = np.trunc(judged.regions), np.trunc(judged.groundtruth)
    half = np.array([0.5, 0.5, 0, 0])
    values = overlaps(found - half * found[:, [2, 3, 2, 3]], true - half * true[:, [2, 3, 2, 3]])
    return _shares(judged, judged.sums(np.where(judged.counted, values, 0))[:, None], convention)


def mean_distance(judged: Frames, convention: Convention) -> Terms:
    """Of each sequence the mean distance of the centres, in pixels.

    otb: aveErrCenter of calcSeqErrRobust.m, where frames without a valid groundtruth are 0.
    """
    if convention == "trackmeet":
        usable = np.isfinite(judged.regions).all(1) | (judged.events == Event.INITIALIZED)
        judged = replace(judged, regions=_carried(judged.regions, usable))
    distances = np.where(judged.counted, frame_distances(judged, convention), 0).clip(min=0)
    return _shares(judged, judged.sums(distances)[:, None], convention)


def pooled_success(judged: Frames, convention: Convention) -> Terms:
    """The share of all frames with an overlap above each of `FINE_OVERLAPS`: (n, 101)."""
    numbers = _above(judged, frame_overlaps(judged, convention), FINE_OVERLAPS)
    return numbers.astype(float), np.repeat(judged.sums(judged.counted)[:, None], numbers.shape[1], axis=1)


def pooled_overlap(judged: Frames, convention: Convention) -> Terms:
    """The mean overlap of all frames (AO of GOT-10k)."""
    overlaps = frame_overlaps(judged, convention).clip(min=0)
    return judged.sums(overlaps)[:, None], judged.sums(judged.counted)[:, None]


def _above(judged: Frames, overlaps: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many frames of each sequence overlap by more than each threshold: (n, K)."""
    return judged.histograms(_below(thresholds, overlaps), len(thresholds) + 1)[:, :0:-1].cumsum(1)[:, ::-1]


def _within(judged: Frames, distances: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many frames of each sequence are at most each threshold away: (n, K)."""
    return judged.histograms(_below(thresholds, distances), len(thresholds) + 1)[:, :-1].cumsum(1)


def _below(thresholds: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How many thresholds are less than each value: searchsorted, three times as fast, of what is evenly spaced."""
    spacing = thresholds[-1] / (len(thresholds) - 1)
    number = np.ceil(values / spacing).clip(0, len(thresholds)).astype(int)
    bounds = np.concatenate([[-np.inf], thresholds, [np.inf]])
    number += values > bounds[1:][number]
    number -= values <= bounds[number]
    return number


def _shares(judged: Frames, sums: np.ndarray, convention: Convention) -> Terms:
    """Sums (n, K) over the frames of each sequence -> terms of a mean over the sequences that have frames."""
    total = judged.sums(judged.counted)[:, None]
    counted = np.broadcast_to(total > 0, sums.shape)
    if convention == "otb":
        total = total + EPSILON
    return np.divide(sums, total, out=np.zeros(sums.shape), where=counted), counted.astype(float)


@dataclass(frozen=True)
class Curve:
    """A measure over a threshold, for plots. thresholds: (K,), unit: theirs, "" for a ratio.

    judge: frames -> terms, a column each. see: results -> the frames that it judges.
    """

    name: str
    unit: str
    thresholds: np.ndarray
    conventions: tuple[Convention, ...]
    judge: Judge
    see: See = frames

    def __call__(self, results: Results, convention: Convention = "trackmeet") -> np.ndarray:
        """(K,) over all sequences; NaN where nothing counts."""
        return _ratios(self.terms(results, convention))

    def terms(self, results: Results, convention: Convention = "trackmeet") -> Terms:
        """What each sequence contributes to it: (n, K)."""
        [terms] = _terms(results, convention, [self.judge], self.see)
        return terms

    def at(self, threshold: float) -> Judge:
        """Judges by its value at one of its thresholds."""
        [column] = np.flatnonzero(self.thresholds == threshold)

        def judge(judged: Frames, convention: Convention) -> Terms:
            numerator, denominator = self.judge(judged, convention)
            return numerator[:, column, None], denominator[:, column, None]

        return judge


SUCCESS = Curve("success", "", OVERLAPS, CONVENTIONS, success)
PRECISION = Curve("precision", "px", DISTANCES, CONVENTIONS, precision)
NORMALIZED_PRECISION = Curve("normalized_precision", "", SHARES, CONVENTIONS, normalized_precision)
POOLED_SUCCESS = Curve("pooled_success", "", FINE_OVERLAPS, ("got10k",), pooled_success, frames_in_image)
CURVES = {curve.name: curve for curve in (SUCCESS, PRECISION, NORMALIZED_PRECISION, POOLED_SUCCESS)}


def curves(results: Results, convention: Convention = "trackmeet") -> dict[str, np.ndarray]:
    """Success, precision and normalized precision (K,) over all sequences, on one view of the frames."""
    wanted = (SUCCESS, PRECISION, NORMALIZED_PRECISION)
    terms = _terms(results, convention, [curve.judge for curve in wanted])
    return {curve.name: _ratios(of_curve) for curve, of_curve in zip(wanted, terms, strict=True)}


def _terms(results: Results, convention: Convention, judges: list[Judge], see: See = frames) -> list[Terms]:
    """Of each judge, on all sequences."""
    seen = (see(part, convention) for part in parts(results))
    judged = [[judge(part, convention) for judge in judges] for part in seen]
    return [
        (np.concatenate([part[j][0] for part in judged]), np.concatenate([part[j][1] for part in judged]))
        for j in range(len(judges))
    ]


def _ratios(terms: Terms) -> np.ndarray:
    numerator, denominator = terms
    with np.errstate(invalid="ignore"):  # 0 / 0: no sequence counts
        return numerator.sum(0) / denominator.sum(0)


def _by(judge: Judge, see: See = frames) -> Callable[[Results, Convention], Terms]:
    return lambda results, convention: _terms(results, convention, [judge], see)[0]


def _average_overlap(results: Results, convention: Convention) -> Terms:
    if convention == "vot":
        return vot.unsupervised_overlap(results)
    ours = _by(pooled_overlap, frames_in_image) if convention == "got10k" else _by(mean_overlap)
    return ours(results, convention)


def _released_overlap(results: Results, convention: Convention) -> Terms:
    return _by(released_overlap)(results, "trackmeet")


def _ratio(name: str, terms: Callable[[Results, Convention], Terms], *conventions: Convention, **more: Any) -> Measure:
    return Measure(name, "", (0.0, 1.0), "higher", conventions, PROTOCOLS, terms, **more)


MEASURES = [
    _ratio(
        "average_overlap",
        _average_overlap,
        *("trackmeet", "otb", "got10k", "vot"),
        narrower={"vot": ("unsupervised",)},
    ),
    _ratio("success_auc", _by(success), *CONVENTIONS),
    _ratio("os_50", _by(SUCCESS.at(0.5)), *CONVENTIONS),
    _ratio("precision_20", _by(PRECISION.at(20)), *CONVENTIONS),
    _ratio("normalized_precision", _by(NORMALIZED_PRECISION.at(0.2)), *CONVENTIONS),
    _ratio("normalized_precision_auc", _by(normalized_precision), "trackmeet", "got10k"),
    _ratio("sr_50", _by(POOLED_SUCCESS.at(0.5), frames_in_image), "got10k"),
    _ratio("sr_75", _by(POOLED_SUCCESS.at(0.75), frames_in_image), "got10k"),
    Measure("released_overlap", "", (0.0, 1.0), "higher", ("trackmeet", "otb"), RUNS, _released_overlap),
    Measure("cle", "px", (0.0, np.inf), "lower", ("trackmeet", "otb"), PROTOCOLS, _by(mean_distance)),
]
