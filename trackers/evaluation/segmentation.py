"""Segmentation: overlap of masks frame by frame, and pixels told apart by soft maps (Song et al. 2017).

A sequence counts where its groundtruth is masks; in it, the frames that a tracker predicts and in which the
target is labelled and present (some pixel of it is shown). DAVIS leaves out the last frame as well.
A tracker that gives boxes or polygons is judged by the pixels inside them. Those of trackers that say how likely
each is are counted while they follow, see `trackers.evaluation.pixels`: over all frames of a run at once, so neither by
tags of frames, nor of the beginnings of sequences.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial

import numpy as np

from trackers import masks
from trackers.evaluation import ope
from trackers.evaluation.measure import Convention, Measure, Terms
from trackers.evaluation.pixels import LEVELS, PixelCounts
from trackers.evaluation.protocols import FOLLOWING
from trackers.evaluation.remembered import remembered
from trackers.evaluation.results import ALL, Results
from trackers.evaluation.scores import Pool
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence

PROTOCOLS = (*ope.PROTOCOLS, "random_clips")


def frame_ious(sequence: Sequence, trajectory: Trajectory, tag: str = ALL) -> np.ndarray:
    """IoU (frames,) of predicted and true masks, 0 where nothing was predicted; NaN where a frame does not count."""
    kept = remembered(trajectory)
    if kept.get("mask ious", (lambda: None,))[0]() is not sequence:
        kept["mask ious"] = weakref.ref(sequence), _frame_ious(sequence, trajectory)
    ious = kept["mask ious"][1]
    return ious if tag == ALL else np.where(sequence.tags[tag], ious, np.nan)


def _frame_ious(sequence: Sequence, trajectory: Trajectory) -> np.ndarray:
    ious = np.full(len(sequence), np.nan)
    regions = sequence.regions
    if regions is None or regions[0].ndim != 2:
        return ious
    counted = np.isin(trajectory.events, (Event.PREDICTED, Event.FAILED))
    if sequence.labelled is not None:
        counted = counted & sequence.labelled
    for t in np.flatnonzero(counted).tolist():
        true = regions[t]
        if true.any():
            ious[t] = masks.iou(masks.of_region(trajectory.region(t), true.shape[::-1]), true)
    return ious


def mask_iou(results: Results, above: float | None = None) -> Terms:
    """J of DAVIS (Perazzi et al. 2016): mean IoU over the frames of a sequence, then over sequences.

    above: IoU counts as 0 unless it is more than this.
    """
    numerator = np.zeros((len(results.sequences), 1))
    for i, (sequence, runs) in enumerate(zip(results.sequences, results.runs, strict=True)):
        ious = np.concatenate([np.zeros(0), *(frame_ious(sequence, run, results.tag) for run in runs)])
        ious = ious[~np.isnan(ious)]
        if above is not None:
            ious = np.where(ious > above, ious, 0.0)
        numerator[i] = ious.mean() if len(ious) else np.nan
    counted = ~np.isnan(numerator)
    return np.where(counted, numerator, 0.0), counted.astype(float)


def framewise_iou(results: Results) -> Terms:
    """IoU by the number of frames since the start of a clip, 1 to 32 (Song et al., Eq. 3, Fig. 4): (n, 32).

    Numerators: its sum over the clips of a sequence; denominators: N_t, how many of these have that frame.
    """
    numerator, denominator = np.zeros((2, len(results.sequences), FOLLOWING))
    for i, (sequence, runs) in enumerate(zip(results.sequences, results.runs, strict=True)):
        for run in runs:
            start = int(np.argmax(run.events == Event.INITIALIZED))
            ious = frame_ious(sequence, run, results.tag)[start + 1 :][:FOLLOWING]
            numerator[i, : len(ious)] += np.nan_to_num(ious)
            denominator[i, : len(ious)] += ~np.isnan(ious)
    return numerator, denominator


def pixel_counts(results: Results) -> Terms:
    """Pixels at each level of probability over all runs (n, LEVELS): of the target, and of the background.

    None of a sequence that no run counted them in, nor by a tag of frames.
    """
    counts = np.zeros((2, len(results.sequences), LEVELS))
    for i, runs in enumerate(results.runs if results.tag == ALL else ()):
        for run in runs:
            if run.pixels is not None:
                counts[:, i] += run.pixels
    return counts[1], counts[0]


def pixel_iou(results: Results, threshold: float) -> Terms:
    """IoU of pixels with a probability of at least `threshold`: of all frames of a sequence, then over sequences."""
    target, background = pixel_counts(results)
    numerator, denominator = np.zeros((2, len(target), 1))
    for i, counts in enumerate(zip(background, target, strict=True)):
        if np.any(counts):
            numerator[i], denominator[i] = PixelCounts(np.stack(counts)).iou(threshold), 1
    return numerator, denominator


def _ratio(name: str, above: float | None = None) -> Measure:
    def terms(results: Results, convention: Convention) -> Terms:
        return mask_iou(results, above)

    return Measure(name, "", (0.0, 1.0), "higher", ("trackmeet",), PROTOCOLS, terms)


def _of_pixels(name: str, terms: Callable[[Results], Terms], pool: Pool = "mean") -> Measure:
    def judge(results: Results, convention: Convention) -> Terms:
        return terms(results)

    return Measure(name, "", (0.0, 1.0), "higher", ("trackmeet",), PROTOCOLS, judge, pool, soft=True)


# Tables 2 and 3 of Song et al. give "average IOU" with a "threshold at 0.4" and "at 0.7", and no definition. Read here:
# a frame's IoU counts where it is above the threshold. The other reading, pixels whose probability is at least
# that, is `pixel_iou_40` and `pixel_iou_70`.
MEASURES = [
    _ratio("mask_iou"),
    _ratio("mask_iou_above_40", 0.4),
    _ratio("mask_iou_above_70", 0.7),
    _of_pixels("pixel_auc", pixel_counts, "pixel_auc"),
    _of_pixels("pixel_iou_40", partial(pixel_iou, threshold=0.4)),
    _of_pixels("pixel_iou_70", partial(pixel_iou, threshold=0.7)),
]
