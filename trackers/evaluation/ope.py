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
                 present, but the first; boxes cut to the image where its size is known
    pysot        toolkit/utils/statistics.py: the first frame as in the result; -1 as in otb, but for
                 distances where the centre is not positive; frames with the tag `absent` (LaSOT) fail
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from trackers import boxes
from trackers.evaluation.measure import Convention, Measure, Terms
from trackers.evaluation.overlaps import EPSILON, bounding_boxes, overlaps, toolkit_overlaps
from trackers.evaluation.results import ALL, Results
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence

PROTOCOLS = ("one_pass", "unsupervised", "temporal_robustness", "spatial_robustness")
CONVENTIONS: tuple[Convention, ...] = ("trackmeet", "otb", "got10k", "pysot")

OVERLAPS = np.linspace(0, 1, 21)
FINE_OVERLAPS = np.linspace(0, 1, 101)
DISTANCES = np.arange(51.0)  # pixels
SHARES = np.arange(51) / 100  # of the target's width and height


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

    regions, groundtruth: boxes (N, 4). events: (N,). counted: bool (N,), what is divided by. flagged: bool
    (N,), where the benchmark says that the target is absent. lengths: (n,), of each sequence.
    """

    regions: np.ndarray
    groundtruth: np.ndarray
    events: np.ndarray
    counted: np.ndarray
    flagged: np.ndarray
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


def frames(results: Results, convention: Convention) -> Frames:
    """The frames that runs saw and somebody annotated, with boxes as the convention takes them."""
    runs = [
        _run(sequence, trajectory, results.tag, convention)
        for sequence, trajectories in zip(results.sequences, results.runs, strict=True)
        for trajectory in trajectories
    ]
    columns = zip(*runs, strict=True) if runs else [(np.zeros((0, 4)),)] * 2 + [(np.zeros(0, bool),)] * 3
    regions, groundtruth, events, counted, flagged = (np.concatenate(column) for column in columns)
    if convention == "otb":
        unknown = np.isnan(regions).all(1) | (regions[:, 2:] <= 0).any(1)
        regions = _carried(regions, events, unknown & ~np.isnan(groundtruth).any(1))
    if convention in ("otb", "got10k"):
        regions = np.where((events == Event.INITIALIZED)[:, None], groundtruth, regions)
    numbers = np.repeat(np.arange(len(results.runs)), [len(trajectories) for trajectories in results.runs])
    lengths = np.bincount(numbers, weights=[len(run[0]) for run in runs], minlength=len(results.runs)).astype(int)
    return Frames(regions, groundtruth, events, counted, flagged, lengths)


def _run(sequence: Sequence, trajectory: Trajectory, tag: str, convention: Convention) -> tuple[np.ndarray, ...]:
    """Regions, groundtruth, events, counted and flagged of one run."""
    regions, groundtruth, events = bounding_boxes(trajectory.regions), sequence.groundtruth, trajectory.events
    absent = np.isnan(groundtruth).any(1)
    if convention == "trackmeet":
        counted = (events != Event.INITIALIZED) & ~absent
    else:
        groundtruth = _annotated(sequence, absent) + (sequence.origin, sequence.origin, 0, 0)
        regions = regions + (sequence.origin, sequence.origin, 0, 0)
        counted = ~np.isnan(groundtruth).any(1) if convention == "got10k" else np.ones(len(events), bool)
    if tag != ALL:
        counted = counted & sequence.tags[tag]
    seen = events != Event.SKIPPED if sequence.labelled is None else (events != Event.SKIPPED) & sequence.labelled
    flagged = sequence.tags["absent"] if "absent" in sequence.tags else np.zeros(len(events), bool)
    run = (regions, groundtruth, events, counted, flagged)
    return run if seen.all() else tuple(column[seen] for column in run)


def _annotated(sequence: Sequence, absent: np.ndarray) -> np.ndarray:
    """The groundtruth (frames, 4), with the box that a file gives of an absent target (0, 0, 0, 0 in OTB)."""
    if sequence.regions is None or not absent.any():
        return sequence.groundtruth
    groundtruth = sequence.groundtruth.copy()
    for t in np.flatnonzero(absent).tolist():
        if sequence.regions[t].shape == (4,):
            groundtruth[t] = sequence.regions[t]
    return groundtruth


def _carried(regions: np.ndarray, events: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """Boxes, where unknown that of the frame before, in its run."""
    known = np.where(unknown & (events != Event.INITIALIZED), 0, np.arange(len(regions)))
    return regions[np.maximum.accumulate(known)] if len(regions) else regions


def frame_overlaps(frames: Frames, convention: Convention) -> np.ndarray:
    """(N,) in [0, 1]; -1 where a frame fails, or does not count."""
    if convention == "trackmeet":
        return np.where(frames.counted, overlaps(frames.regions, frames.groundtruth), -1)
    judged = frames.counted
    if convention != "got10k":
        judged = judged & (frames.groundtruth > 0).all(1)
    if convention == "pysot":
        judged = judged & ~frames.flagged
    values = toolkit_overlaps(frames.regions, frames.groundtruth, convention)
    return np.where(judged & ~np.isnan(values), values, -1)


def frame_distances(frames: Frames, convention: Convention) -> np.ndarray:
    """(N,) of the centres, in pixels; infinite where a frame fails, or does not count."""
    if convention == "trackmeet":
        return _judged(frames, boxes.centre_distance(frames.regions, frames.groundtruth), convention)
    difference = _centres(frames.regions) - _centres(frames.groundtruth)
    return _judged(frames, np.sqrt((difference**2).sum(1)), convention)


def frame_shares(frames: Frames, convention: Convention) -> np.ndarray:
    """(N,): distances of the centres, in widths and heights of the groundtruth, as LaSOT has them.

    The toolkits differ where these are 0, or small: pysot adds 1e-16 to them, got10k takes at least 1.
    """
    centres, true, size = _centres(frames.regions), _centres(frames.groundtruth), frames.groundtruth[:, 2:]
    with np.errstate(invalid="ignore", divide="ignore"):
        if convention == "pysot":
            difference = true / (size + 1e-16) - centres / (size + 1e-16)
        elif convention == "otb":
            difference = centres / size - true / size
        else:
            difference = (centres - true) / (np.maximum(1, size) if convention == "got10k" else size)
    return _judged(frames, np.sqrt((difference**2).sum(1)), convention)


def _centres(regions: np.ndarray) -> np.ndarray:
    """(N, 2), of the pixels that boxes (N, 4) cover: as toolkits have them, half a pixel before ours."""
    return regions[:, :2] + (regions[:, 2:] - 1) / 2


def _judged(frames: Frames, distances: np.ndarray, convention: Convention) -> np.ndarray:
    """Distances, with what the convention says of frames that it does not judge by them."""
    distances = np.where(np.isnan(distances), np.inf, distances)
    if convention == "otb":
        distances = np.where((frames.groundtruth > 0).all(1), distances, -1)
    elif convention == "pysot":
        distances = np.where((_centres(frames.groundtruth) > 0).all(1), distances, -1)
        distances = np.where(frames.flagged, np.inf, distances)
    return np.where(frames.counted, distances, np.inf)


def success(results: Results, convention: Convention) -> Terms:
    """Of each sequence the share of frames with an overlap above each of `OVERLAPS`: (n, 21)."""
    judged = frames(results, convention)
    thresholds = TOOLKIT_OVERLAPS.get(convention, OVERLAPS)
    bins = np.searchsorted(thresholds, frame_overlaps(judged, convention))  # the number of thresholds below it
    above = judged.histograms(bins, len(OVERLAPS) + 1)[:, :0:-1].cumsum(1)[:, ::-1]
    return _shares(judged, above, convention)


def precision(results: Results, convention: Convention) -> Terms:
    """Of each sequence the share of frames with a distance of at most each of `DISTANCES`: (n, 51)."""
    judged = frames(results, convention)
    return _within(judged, frame_distances(judged, convention), DISTANCES, convention)


def normalized_precision(results: Results, convention: Convention) -> Terms:
    """Of each sequence the share of frames with a normalized distance of at most each of `SHARES`: (n, 51)."""
    judged = frames(results, convention)
    thresholds = TOOLKIT_SHARES.get(convention, SHARES)
    return _within(judged, frame_shares(judged, convention), thresholds, convention)


def _within(frames: Frames, distances: np.ndarray, thresholds: np.ndarray, convention: Convention) -> Terms:
    bins = np.searchsorted(thresholds, distances)  # the number of the first threshold that it keeps
    return _shares(frames, frames.histograms(bins, len(thresholds) + 1)[:, :-1].cumsum(1), convention)


def _shares(frames: Frames, numbers: np.ndarray, convention: Convention) -> Terms:
    """Numbers (n, K) of frames -> terms of a mean over those sequences that have frames."""
    total = frames.sums(frames.counted)[:, None]
    return _mean_over_sequences(numbers, total + EPSILON * (convention == "otb"))


def _mean_over_sequences(numerator: np.ndarray, denominator: np.ndarray) -> Terms:
    counted = np.broadcast_to(denominator >= 1, numerator.shape)
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=counted), counted.astype(float)


def average_overlap(results: Results, convention: Convention) -> Terms:
    """Mean overlap: over the frames of each sequence, then over sequences (AOS of Ning et al. 2016, Table 1).

    otb: aveErrCoverage of calcSeqErrRobust.m, where frames without a valid groundtruth count as 0. got10k: AO,
    over the frames of all sequences.
    """
    if convention == "got10k":
        return _pooled(results, lambda overlaps: overlaps)
    judged = frames(results, convention)
    total = judged.sums(frame_overlaps(judged, convention).clip(min=0))
    return _mean_over_sequences(total[:, None], judged.sums(judged.counted)[:, None])


def success_rate(results: Results, threshold: float) -> Terms:
    """SR of the GOT-10k toolkit: the share of the frames of all sequences with an overlap above `threshold`."""
    return _pooled(results, lambda overlaps: overlaps > threshold)


def fine_success(results: Results, convention: Convention) -> Terms:
    """The GOT-10k toolkit's success curve, over the frames of all sequences: (n, 101)."""
    return _pooled(results, lambda overlaps: overlaps[:, None] > FINE_OVERLAPS)


def _pooled(results: Results, judge: Callable[[np.ndarray], np.ndarray]) -> Terms:
    """Terms of a mean over the frames of all sequences of what ExperimentGOT10k counts, boxes cut to the image."""
    judged = frames(results, "trackmeet")
    sizes = [(s.origin, s.origin, *(s.size or (np.inf, np.inf))) for s in results.sequences]
    limits = np.repeat(np.array(sizes, float).reshape(-1, 4), judged.lengths, axis=0)
    regions, groundtruth = (_cut(boxes, limits) for boxes in (judged.regions, judged.groundtruth))
    overlaps = np.nan_to_num(toolkit_overlaps(regions, groundtruth, "got10k"))
    values = np.where(judged.counted, judge(overlaps).T, 0.0).T.reshape(len(overlaps), -1)
    numerator = np.stack([judged.sums(column) for column in values.T], 1)
    return numerator, np.broadcast_to(judged.sums(judged.counted)[:, None], numerator.shape)


def _cut(regions: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) as rect_iou bounds them; limits (N, 4): coordinate of the first pixel twice, width, height.

    A box that begins before the image is moved to its border, and keeps its size.
    """
    corner = (regions[:, :2] + limits[:, :2]).clip(0, limits[:, 2:])
    return np.hstack([corner, regions[:, 2:].clip(0, limits[:, 2:] - corner)])


def centre_location_error(results: Results, convention: Convention) -> Terms:
    """Mean distance of the centres over the frames of a sequence, in pixels, then over sequences.

    otb: aveErrCenter of calcSeqErrRobust.m, where frames without a valid groundtruth count as 0.
    """
    judged = frames(results, convention)
    if convention == "trackmeet":
        judged = replace(judged, regions=_carried(judged.regions, judged.events, np.isnan(judged.regions).any(1)))
    distances = frame_distances(judged, convention)
    total = judged.sums(np.where(judged.counted, distances, 0.0).clip(min=0))
    return _mean_over_sequences(total[:, None], judged.sums(judged.counted)[:, None])


@dataclass(frozen=True)
class Curve:
    """A measure over a threshold, for plots. unit: of the thresholds (K,). terms: as of `Measure`, one column each."""

    name: str
    unit: str
    thresholds: np.ndarray
    conventions: tuple[Convention, ...]
    terms: Callable[[Results, Convention], Terms]

    def __call__(self, results: Results, convention: Convention = "trackmeet") -> np.ndarray:
        """(K,) over all sequences; NaN where nothing counts."""
        numerator, denominator = self.terms(results, convention)
        with np.errstate(invalid="ignore"):
            return numerator.sum(0) / denominator.sum(0)

    def at(self, threshold: float) -> Callable[[Results, Convention], Terms]:
        """The terms of its value at one of its thresholds."""
        [column] = np.flatnonzero(self.thresholds == threshold)

        def terms(results: Results, convention: Convention) -> Terms:
            numerator, denominator = self.terms(results, convention)
            return numerator[:, column : column + 1], denominator[:, column : column + 1]

        return terms


SUCCESS = Curve("success", "", OVERLAPS, CONVENTIONS, success)
PRECISION = Curve("precision", "px", DISTANCES, CONVENTIONS, precision)
NORMALIZED_PRECISION = Curve("normalized_precision", "", SHARES, CONVENTIONS, normalized_precision)
FINE_SUCCESS = Curve("fine_success", "", FINE_OVERLAPS, ("got10k",), fine_success)
CURVES = {curve.name: curve for curve in (SUCCESS, PRECISION, NORMALIZED_PRECISION, FINE_SUCCESS)}


def _ratio(name: str, terms: Callable[[Results, Convention], Terms], *conventions: Convention) -> Measure:
    return Measure(name, "", (0.0, 1.0), "higher", conventions or CONVENTIONS, PROTOCOLS, terms)


MEASURES = [
    _ratio("average_overlap", average_overlap, "trackmeet", "otb", "got10k"),
    _ratio("success_auc", success),
    _ratio("os_50", SUCCESS.at(0.5)),
    _ratio("precision_20", PRECISION.at(20)),
    _ratio("normalized_precision", NORMALIZED_PRECISION.at(0.2)),
    _ratio("normalized_precision_auc", normalized_precision, "trackmeet", "got10k"),
    _ratio("sr_50", lambda results, convention: success_rate(results, 0.5), "got10k"),
    _ratio("sr_75", lambda results, convention: success_rate(results, 0.75), "got10k"),
    Measure("cle", "px", (0.0, np.inf), "lower", ("trackmeet", "otb"), PROTOCOLS, centre_location_error),
]
