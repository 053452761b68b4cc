"""VOT measures of runs with resets: accuracy, failures, robustness, expected average overlap (EAO), ranks.

A run is reset after each failure, and several runs through a sequence are repetitions. The conventions:

    trackmeet    exact areas, not cut to the image; else as vot, but for EAO over lengths low to high
    vot          vot-toolkit 0.9 (vot/analysis/supervised.py): overlaps of pixels in the image; means over
                 runs, then over sequences by their lengths. EAO over parts from a reset to before the
                 failure, each as much as the other, and over lengths low + 1 to high + 1
    vot-legacy   the Matlab toolkit, as of VOT2016 (analysis/*.m): overlaps as in TraX, or, where
                 `Results.legacy_rasterization`, as its stacks of VOT2013 to VOT2015; a mean over all
                 frames. EAO over parts from a reset to the next, sequences as much as each other
    pysot        pysot-toolkit, a port of it: of other than 15 runs the first alone; curves in float32

Masks of the groundtruth are compared under trackmeet and vot, with masks where the tracker said such. A tracker
that said masks is elsewhere judged by its regions, the boxes around them.

For accuracy the first `BURN_IN` frames from a reset on do not count. A tag of frames is judged as both VOT toolkits
do: frames without it are cut out first. In EAO it weighs a part by its share of frames with the tag. Overlaps by
frame are in `vot_overlaps`, the parts of runs and what is expected of them in `eao`.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import replace
from typing import Literal

import numpy as np

from trackers.evaluation.eao import eao
from trackers.evaluation.measure import Convention, Measure, Terms
from trackers.evaluation.results import ALL, Results
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.evaluation.vot_overlaps import counting_runs, event_codes, frame_overlaps, unsaid
from trackers.sequence import Sequence

CONVENTIONS: tuple[Convention, ...] = ("trackmeet", "vot", "vot-legacy", "pysot")
PROTOCOLS = ("supervised_reset",)

BURN_IN = 10  # frames from a reset on, that of the reset among them, that do not count for accuracy


def accuracy(results: Results, convention: Convention) -> Terms:
    """Mean overlap in frames that a tracker predicted, without those soon after a reset."""
    if convention in ("trackmeet", "vot"):
        return _mean_of_runs(results, convention)
    terms = []
    for sequence, runs in counting_runs(results, convention):
        mean = _mean_overlaps(replace(results, sequences=(sequence,), runs=(runs,)), convention)
        terms.append((float(np.nansum(mean)), int(np.count_nonzero(~np.isnan(mean)))))
    return _terms(terms)


def failures(results: Results, convention: Convention) -> Terms:
    """How often a tracker failed: the mean over its runs, and the sum over sequences, whatever their lengths."""
    return _terms([(failed, 1) for failed, _ in _failures(results, convention)])


def robustness(results: Results, convention: Convention) -> Terms:
    """Failures, in the unit of the toolkit: so values of two conventions do not compare.

    vot: in a sequence, the mean over sequences by lengths. vot-legacy: per frame. trackmeet, pysot: per 100 frames.
    """
    if convention == "vot":
        return _terms([(failed * frames, frames) for failed, frames in _failures(results, convention)])
    unit = 1 if convention == "vot-legacy" else 100
    return _terms([(unit * failed, frames) for failed, frames in _failures(results, convention)])


def failure_rate(results: Results, convention: Convention) -> Terms:
    """M in exp(-S M), by frame: failures / frames; in vot failures by sequence / the mean length, two factors."""
    terms = _failures(results, convention)
    if convention == "vot":
        by_sequence, lengths = (
            _terms([(failed * frames, frames) for failed, frames in terms]),
            _terms([(1, frames) for _, frames in terms]),
        )
        return np.hstack([by_sequence[0], lengths[0]]), np.hstack([by_sequence[1], lengths[1]])
    return _terms(terms)


def accuracy_error(results: Results, convention: Convention) -> Terms:
    """1 - accuracy (Held et al. 2016, 5.2)."""
    numerator, denominator = accuracy(results, convention)
    return denominator - numerator, denominator


def overall_error(results: Results, convention: Convention) -> Terms:
    """1 - (A + R) / 2 (Held et al. 2016, 5.2), A the accuracy and R = exp(-30 M)."""
    pairs = zip(accuracy(results, convention), failure_rate(results, convention), strict=True)
    numerator, denominator = (np.hstack(pair) for pair in pairs)
    return numerator, denominator


def unsupervised_overlap(results: Results) -> Terms:
    """vot-toolkit 0.9's `average_accuracy` of runs that are never reset.

    By sequence the mean overlap, without the first `BURN_IN` frames and those in which the target is absent;
    of sequences the mean by lengths.
    """
    return _mean_of_runs(results, "vot", absent=True)


def _mean_of_runs(results: Results, convention: Convention, absent: bool = False) -> Terms:
    """Mean overlap in a run, mean over runs, weighed by the lengths of sequences; absent: without the target."""
    terms = []
    for sequence, runs in counting_runs(results, convention):
        overlaps, counted = _counted(results, sequence, runs, convention)
        if absent:
            counted &= _cut(results.tag, sequence, ~np.isnan(sequence.groundtruth).any(1)[None])
        means = np.where(counted, overlaps, 0.0).sum(1) / counted.sum(1).clip(min=1)
        terms.append((len(sequence) * means.mean(), len(sequence)))
    return _terms(terms)


def ranks(values: np.ndarray, better: Literal["higher", "lower"], different: np.ndarray | None = None) -> np.ndarray:
    """Ranks (attributes, trackers) from 1, the best, of values (attributes, trackers); equal ones share their mean.

    different: bool (attributes, trackers, trackers), which trackers differ significantly (see `differences`):
    the rank of a tracker is then the mean over those that do not differ from it (adapted_ranks.m). The mean
    over attributes ranks a tracker in VOT2013 and VOT2014; the mean of its accuracy and robustness, overall.
    """
    cost = -np.asarray(values, float) if better == "higher" else np.asarray(values, float)
    below = (cost[:, None, :] < cost[:, :, None]).sum(-1)
    equal = (cost[:, None, :] == cost[:, :, None]).sum(-1)
    plain = below + (equal + 1) / 2
    if different is None:
        return plain
    same = ~different
    return (same * plain[:, None, :]).sum(-1) / same.sum(-1)


def differences(
    trackers: SequenceOf[Results], convention: Convention = "vot-legacy", alpha: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """Which trackers differ significantly in accuracy, and in robustness: bool (trackers, trackers) each.

    Results of all on the same sequences. As analyze_accuracy_robustness.m: Wilcoxon's signed ranks of the
    overlaps in frames, the mean of runs, that count for both, where there are 25 or more (else they differ);
    Mann and Whitney's ranks of the failures in each sequence and run. VOT's practical difference is not tested.
    """
    from scipy import stats

    overlaps = [_mean_overlaps(results, convention) for results in trackers]
    failed = [
        np.concatenate(
            [
                (_cut(results.tag, sequence, event_codes(runs)) == Event.FAILED).sum(1)
                for sequence, runs in counting_runs(results, convention)
            ]
        )
        for results in trackers
    ]
    by_accuracy, by_robustness = (np.zeros((len(trackers), len(trackers)), bool) for _ in range(2))
    for i in range(len(trackers)):
        for j in range(i):
            difference = overlaps[i] - overlaps[j]
            difference = difference[~np.isnan(difference)]
            moved = difference.any()
            apart = len(difference) < 25 or bool(moved and stats.wilcoxon(difference).pvalue <= alpha)
            by_accuracy[i, j] = by_accuracy[j, i] = apart
            apart = stats.mannwhitneyu(failed[i], failed[j]).pvalue <= alpha
            by_robustness[i, j] = by_robustness[j, i] = apart
    return by_accuracy, by_robustness


def over_tags(
    measure: Measure,
    results: Results,
    convention: Convention,
    tags: SequenceOf[str],
    average: Literal["weighted_mean", "mean", "pooled"] = "weighted_mean",
) -> float:
    """A measure over tags of frames: the mean of its values for each, by numbers of frames with the tag, or plain;
    or its value for all frames. The first is the headline of the VOT2015 and VOT2016 reports.
    """
    if average == "pooled":
        return measure(results, convention).value
    present = [tag for tag in tags if any(tag in s.tags and s.tags[tag].any() for s in results.sequences)]
    values = np.array([measure(results, convention, subset=tag).value for tag in present])
    frames = [sum(int(s.tags[tag].sum()) for s in results.sequences if tag in s.tags) for tag in present]
    return float(np.average(values, weights=frames if average == "weighted_mean" else None)) if present else np.nan


def _failures(results: Results, convention: Convention) -> list[tuple[float, int]]:
    """Of each sequence, failures, the mean over runs, and frames."""
    events = [_cut(results.tag, sequence, event_codes(runs)) for sequence, runs in counting_runs(results, convention)]
    return [((codes == Event.FAILED).sum(1).mean(), codes.shape[1]) for codes in events]


def _mean_overlaps(results: Results, convention: Convention) -> np.ndarray:
    """Overlaps that count for accuracy, the mean over runs, of the frames of all sequences; NaN where none counts."""
    rows = []
    for sequence, runs in counting_runs(results, convention):
        overlaps, counted = _counted(results, sequence, runs, convention)
        number = counted.sum(0)
        sums = np.where(counted, overlaps, 0.0).sum(0)
        rows.append(np.divide(sums, number, out=np.full(len(sums), np.nan), where=number > 0))
    return np.concatenate(rows)


def _counted(
    results: Results, sequence: Sequence, runs: SequenceOf[Trajectory], convention: Convention
) -> tuple[np.ndarray, np.ndarray]:
    """Overlaps (runs, frames with the tag), and which count for accuracy."""
    tag, legacy = results.tag, results.legacy_rasterization
    overlaps = _cut(tag, sequence, frame_overlaps(sequence, runs, convention, "accuracy", legacy))
    codes = _cut(tag, sequence, event_codes(runs))
    counted = (codes == Event.PREDICTED) & ~np.isnan(overlaps)
    if convention in ("vot", "vot-legacy"):  # NaN in a file is read as the code 0
        counted &= ~_cut(tag, sequence, unsaid(runs))
    for back in range(min(BURN_IN, codes.shape[1])):
        counted[:, back:] &= codes[:, : codes.shape[1] - back] != Event.INITIALIZED
    return overlaps, counted


def _cut(tag: str, sequence: Sequence, values: np.ndarray) -> np.ndarray:
    """Values (runs, frames) in the frames with the tag."""
    return values if tag == ALL else values[:, sequence.tags[tag]]


def _terms(pairs: SequenceOf[tuple[float, float]]) -> Terms:
    """Numerators and denominators of n sequences, (n, 1) each."""
    terms = np.array(pairs, float).reshape(-1, 2)
    return terms[:, :1], terms[:, 1:]


MEASURES = (
    Measure("accuracy", "", (0.0, 1.0), "higher", CONVENTIONS, PROTOCOLS, accuracy),
    Measure("failures", "", (0.0, np.inf), "lower", CONVENTIONS, PROTOCOLS, failures, "sum"),
    Measure("robustness", "", (0.0, np.inf), "lower", CONVENTIONS, PROTOCOLS, robustness),  # its unit: see there
    Measure("reliability", "", (0.0, 1.0), "higher", CONVENTIONS, PROTOCOLS, failure_rate, "reliability"),
    Measure("eao", "", (0.0, 1.0), "higher", CONVENTIONS, PROTOCOLS, eao),
    Measure("accuracy_error", "", (0.0, 1.0), "lower", CONVENTIONS, PROTOCOLS, accuracy_error),
    Measure("robustness_error", "", (0.0, 1.0), "lower", CONVENTIONS, PROTOCOLS, failure_rate, "robustness_error"),
    Measure("overall_error", "", (0.0, 1.0), "lower", CONVENTIONS, PROTOCOLS, overall_error, "overall_error"),
)
