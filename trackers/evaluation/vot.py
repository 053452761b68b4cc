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
do: frames without it are cut out first. In EAO it weighs a part by its share of frames with the tag.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from trackers import boxes, masks
from trackers.evaluation import polygons, rasters
from trackers.evaluation.measure import Convention, Measure, Terms
from trackers.evaluation.results import ALL, Results
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence

CONVENTIONS: tuple[Convention, ...] = ("trackmeet", "vot", "vot-legacy", "pysot")
PROTOCOLS = ("supervised_reset",)

Raster = tuple[rasters.Rule, tuple[int, int]]  # how pixels are counted, and the image's last column and row

BURN_IN = 10  # frames from a reset on, that of the reset among them, that do not count for accuracy
RESET = 5  # frames from a failure to the next reset
REPETITIONS = 15

# The lengths that EAO is a mean over, as published.
INTERVALS = {
    "vot2015": (108, 371),
    "vot2016": (108, 371),
    "vot2017": (100, 356),
    "vot2018": (100, 356),
    "vot2019": (46, 291),
}


def accuracy(results: Results, convention: Convention) -> Terms:
    """Mean overlap in frames that a tracker predicted, without those soon after a reset."""
    if convention in ("trackmeet", "vot"):
        return _mean_of_runs(results, convention)
    terms = []
    for sequence, runs in _sequences(results, convention):
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


def eao(results: Results, convention: Convention) -> Terms:
    """Expected average overlap: the mean of its curve over the lengths of the benchmark's interval, K of them."""
    low, high = results.interval or interval([len(sequence) for sequence in results.sequences])
    first = low if convention == "vot" else low - 1
    numerator, denominator, _ = _expected(results, convention, np.arange(first, first + high - low + 1))
    return numerator, denominator


def eao_curve(results: Results, convention: Convention) -> np.ndarray:
    """(longest,): expected average overlap over the first 1, 2, ... frames, the first of which does not count."""
    longest = max((len(sequence) for sequence in results.sequences), default=0)
    return _expected(results, convention, np.arange(longest))[2]


def eao_terms(results: Results, convention: Convention) -> Terms:
    """What each sequence contributes to `eao_curve` from the second frame on, where overlaps begin to count.

    Of partial results, up to the end of the interval: of longer parts it takes all sequences to say.
    """
    longest = max((len(sequence) for sequence in results.sequences), default=0)
    if results.partial and results.interval is not None:
        longest = results.interval[1] + 1
    numerator, denominator, _ = _expected(results, convention, np.arange(1, longest))
    return numerator, denominator


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
    for sequence, runs in _sequences(results, convention):
        overlaps, counted = _counted(results, sequence, runs, convention)
        if absent:
            counted &= _cut(results.tag, sequence, ~np.isnan(sequence.groundtruth).any(1)[None])
        means = np.where(counted, overlaps, 0.0).sum(1) / counted.sum(1).clip(min=1)
        terms.append((len(sequence) * means.mean(), len(sequence)))
    return _terms(terms)


def frame_overlaps(
    sequence: Sequence,
    runs: SequenceOf[Trajectory],
    convention: Convention,
    use: Literal["accuracy", "eao"],
    legacy_rasterization: bool = False,
) -> np.ndarray:
    """(runs, frames) of what was predicted. Elsewhere 0 (vot, trackmeet) or NaN.

    use: TraX's port cuts regions to one more column and row for accuracy. legacy_rasterization: see `Results`. Raises
    ValueError where a convention does not know such regions, and for images whose size nobody knows, where
    pixels in them are counted.
    """
    key: Raster | None = None
    if convention == "vot-legacy" and legacy_rasterization:
        key = "trax-legacy", (0, 0)
    elif convention != "trackmeet":
        width, height = _size(sequence)
        rim = 0 if convention != "vot" and use == "accuracy" else 1
        key = "vot" if convention == "vot" else "trax", (width - rim, height - rim)
    masked = sequence.regions is not None and sequence.regions[0].ndim == 2
    if masked and convention not in ("trackmeet", "vot"):
        raise ValueError(
            f"sequence {sequence.name}: {convention} compares boxes and polygons; expected trackmeet or vot for "
            "groundtruth of masks"
        )
    unknown = [run for run in runs if _remembered(run).get(key, (lambda: None,))[0]() is not sequence]
    if unknown:
        asked = _codes(unknown) == Event.PREDICTED
        computed = np.full(asked.shape, np.nan)
        if masked:
            for run, frames, row in zip(unknown, asked, computed, strict=True):
                row[frames] = _mask_overlaps(sequence, run, np.flatnonzero(frames), key)
        else:
            predicted = np.concatenate([_wide(run.regions)[run.events == Event.PREDICTED] for run in unknown])
            computed[asked] = _overlaps(sequence, np.nonzero(asked)[1], predicted, key)
        for run, row in zip(unknown, computed, strict=True):
            _remembered(run)[key] = (weakref.ref(sequence), row)
    overlaps = np.stack([_remembered(run)[key][1] for run in runs])
    if convention == "vot-legacy":  # reads NaN as the code 0, of no overlap; the others as a region of no pixels
        overlaps[_unsaid(runs) | np.isnan(sequence.groundtruth).any(1)] = np.nan
    return overlaps if convention in ("vot-legacy", "pysot") else np.where(_codes(runs) == Event.PREDICTED, overlaps, 0)


def compare_together(trackers: SequenceOf[Results], convention: Convention) -> None:
    """Compute the overlaps of several trackers, sequence by sequence: faster than one tracker after the other.

    Measures of the same results then find them, as long as their trajectories live. Raises as `frame_overlaps`.
    """
    through: dict[int, tuple[Sequence, list[Trajectory]]] = {}
    for results in trackers:
        for sequence, runs in _sequences(results, convention):
            through.setdefault(id(sequence), (sequence, []))[1].extend(runs)
    uses: tuple[Literal["accuracy", "eao"], ...] = ("accuracy", "eao")
    for sequence, all_runs in through.values():
        for use in uses:
            frame_overlaps(sequence, all_runs, convention, use, trackers[0].legacy_rasterization)


def interval(lengths: SequenceOf[int]) -> tuple[int, int]:
    """The least and the greatest length for EAO by VOT's rule, from the lengths of sequences.

    Their density on 1 to the longest is estimated with normal kernels, of a width that is best by the
    asymptotic error (gmm_estimate.m); from its mode on, the denser neighbour is taken in until half of
    the density is. The longest length is never taken alone. VOT2018's lengths give its (100, 356).
    """
    data = np.asarray(lengths, float)
    longest, spread = int(data.max()), data.std()
    if spread == 0:
        return max(longest - 1, 1), longest
    density = np.exp(-0.5 * ((np.arange(1, longest + 1) - data[:, None]) / (_bandwidth(data / spread) * spread)) ** 2)
    p = density.sum(0) / density.sum()
    low = high = int(p.argmax()) + 1
    while True:
        lower, higher = low > 1, high + 1 < longest
        if not lower and not higher:
            return 1, longest
        if lower and (not higher or p[low - 2] > p[high]):
            low -= 1
        else:
            high += 1
        if p[low - 1 : high].sum() >= 0.5:
            return low, high


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
                (_cut(results.tag, sequence, _codes(runs)) == Event.FAILED).sum(1)
                for sequence, runs in _sequences(results, convention)
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


@dataclass(frozen=True)
class Parts:
    """Runs cut at their resets, f parts of them, for EAO.

    overlaps: (f, longest), the first frame is that of the reset; 0 behind the end. usable: bool (f, longest), whether
    a part says something of this length: one that ended in a failure does of all, at 0 from there on.
    weights: (f,). owners: (f,) number of the sequence, ascending.
    """

    overlaps: np.ndarray
    usable: np.ndarray
    weights: np.ndarray
    owners: np.ndarray


def _parts(results: Results, convention: Convention, stop: int) -> Parts:
    """The parts' first `stop` frames at most."""
    pieces: list[tuple[np.ndarray, bool, float, int]] = []
    for owner, (sequence, runs) in enumerate(_sequences(results, convention)):
        overlaps = frame_overlaps(sequence, runs, convention, "eao", results.legacy_rasterization)
        tagged = np.ones(len(sequence)) if results.tag == ALL else sequence.tags[results.tag].astype(float)
        cut = _between_resets if convention in ("trackmeet", "vot") else _through_resets
        for run, row in zip(runs, overlaps, strict=True):
            for start, end, frames, failed in cut(run, convention):
                part = row[start:end]
                if failed is not None:
                    part = np.nan_to_num(part)
                weight = tagged[start:end].sum() / frames if frames else 0.0
                pieces.append((part, bool(failed), weight / (len(runs) if convention == "vot-legacy" else 1), owner))
    if convention in ("trackmeet", "vot"):
        longest = max((len(part) for part, *_ in pieces), default=0)
    else:
        longest = max((len(sequence) for sequence in results.sequences), default=0)
    longest = stop if results.partial else longest
    values, usable = np.zeros((len(pieces), min(longest, stop))), np.zeros((len(pieces), min(longest, stop)), bool)
    for row, mask, (part, failed, _, _) in zip(values, usable, pieces, strict=True):
        row[: len(part)] = part[: len(row)]
        mask[: len(mask) if failed else len(part)] = True
    if convention not in ("trackmeet", "vot"):
        usable &= ~np.isnan(values)
    return Parts(values, usable, np.array([p[2] for p in pieces]), np.array([p[3] for p in pieces], int))


def _between_resets(run: Trajectory, convention: Convention) -> list[tuple[int, int, int, bool | None]]:
    """First frame, end, number of frames, whether it failed: from a reset to before the failure."""
    resets, failed = (np.flatnonzero(run.events == event).tolist() for event in (Event.INITIALIZED, Event.FAILED))
    if not failed:
        return [(0, len(run), len(run), False)]
    if len(resets) < len(failed):
        raise ValueError(
            f"sequence {run.sequence}, run {run.run}: expected a frame of initialization before each failure, "
            f"got {len(resets)} and {len(failed)}"
        )
    parts: list[tuple[int, int, int, bool | None]] = [
        (start, end, end - start, True) for start, end in zip(resets, failed, strict=False)
    ]
    if len(resets) > len(failed):
        parts.append((resets[-1], len(run), len(run) - resets[-1], False))
    return parts


def _through_resets(run: Trajectory, convention: Convention) -> list[tuple[int, int, int, bool | None]]:
    """As `_between_resets`, but from where a reset is due to where the next is, that frame too.

    The last is None, not False, where nothing failed: unknown overlaps then stay unknown.
    """
    frames = len(run)
    last = frames if convention == "pysot" else frames - 1  # 0-based; the port takes a reset at the very end, too
    failed = np.flatnonzero(run.events == Event.FAILED)
    if not len(failed):
        return [(0, frames, frames, None)]
    points = [0, *(failed + RESET)[failed + RESET <= last].tolist()]
    parts: list[tuple[int, int, int, bool | None]] = [
        (start, end + 1, end + 1 - start, True) for start, end in zip(points, points[1:], strict=False)
    ]
    return [*parts, (points[-1], frames, frames - points[-1], False)]


def _expected(
    results: Results, convention: Convention, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """EAO over the first columns + 1 frames: terms (n, K), and the curve (K,), shorter where no part is so long."""
    parts = _parts(results, convention, int(columns.max(initial=-1)) + 1)
    existing = columns[columns < parts.overlaps.shape[1]]
    weights = (parts.usable * parts.weights[:, None])[:, existing]
    means = _running_means(parts.overlaps, existing, convention)
    numerator, denominator = (_by_owner(parts, sums, len(results.sequences)) for sums in (means * weights, weights))
    total, weight = numerator.sum(0), denominator.sum(0)
    curve = exact = np.divide(total, weight, out=np.zeros(len(existing)), where=weight > 0)
    # What the toolkits round to float32 goes into the terms, so that these give the toolkits' numbers.
    if convention == "vot":
        rounded = np.sum(np.ascontiguousarray(means * weights.astype(np.float32)), axis=0)  # row by row
        curve = np.divide(rounded, weight, out=np.zeros(len(existing)), where=weight > 0)
    elif convention == "pysot":
        curve = exact.astype(np.float32).astype(float)
    numerator *= np.divide(curve, exact, out=np.ones(len(existing)), where=exact > 0)
    if convention in ("vot-legacy", "pysot"):
        denominator[:1, ~parts.usable[:, existing].any(0)] = 1  # a length that no part speaks of counts as 0
        numerator[:, np.isnan(curve)] = denominator[:, np.isnan(curve)] = 0
    beyond = ((0, 0), (0, len(columns) - len(existing)))
    return np.pad(numerator, beyond), np.pad(denominator, beyond), curve


def _running_means(overlaps: np.ndarray, columns: np.ndarray, convention: Convention) -> np.ndarray:
    """(f, K): means of overlaps (f, longest) from the second to that of each column (K,); before the second 1, or 0."""
    if convention == "vot":
        short = overlaps.astype(np.float32)
        means = [short[:, 1 : column + 1].mean(1) if column else short[:, 0] for column in columns.tolist()]
        return np.stack(means, 1) if means else np.zeros((len(overlaps), 0), np.float32)
    sums = np.cumsum(overlaps[:, 1:], 1)
    return (
        np.where(columns > 0, sums[:, columns - 1] / columns.clip(min=1), 1.0)
        if sums.size
        else np.ones((len(overlaps), len(columns)))
    )


def _by_owner(parts: Parts, values: np.ndarray, sequences: int) -> np.ndarray:
    """Sums (sequences, K) of values (f, K) of parts."""
    sums = np.zeros((sequences, values.shape[1]))
    if len(values):
        owners, starts = np.unique(parts.owners, return_index=True)
        sums[owners] = np.add.reduceat(values.astype(float), starts, axis=0)
    return sums


def _failures(results: Results, convention: Convention) -> list[tuple[float, int]]:
    """Of each sequence, failures, the mean over runs, and frames."""
    events = [_cut(results.tag, sequence, _codes(runs)) for sequence, runs in _sequences(results, convention)]
    return [((codes == Event.FAILED).sum(1).mean(), codes.shape[1]) for codes in events]


def _mean_overlaps(results: Results, convention: Convention) -> np.ndarray:
    """Overlaps that count for accuracy, the mean over runs, of the frames of all sequences; NaN where none counts."""
    rows = []
    for sequence, runs in _sequences(results, convention):
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
    codes = _cut(tag, sequence, _codes(runs))
    counted = (codes == Event.PREDICTED) & ~np.isnan(overlaps)
    if convention in ("vot", "vot-legacy"):  # NaN in a file is read as the code 0
        counted &= ~_cut(tag, sequence, _unsaid(runs))
    for back in range(min(BURN_IN, codes.shape[1])):
        counted[:, back:] &= codes[:, : codes.shape[1] - back] != Event.INITIALIZED
    return overlaps, counted


def _cut(tag: str, sequence: Sequence, values: np.ndarray) -> np.ndarray:
    """Values (runs, frames) in the frames with the tag."""
    return values if tag == ALL else values[:, sequence.tags[tag]]


def _codes(runs: SequenceOf[Trajectory]) -> np.ndarray:
    return np.stack([run.events for run in runs])


def _unsaid(runs: SequenceOf[Trajectory]) -> np.ndarray:
    """bool (runs, frames), without a usable region."""
    return np.stack([np.isnan(run.regions[:, :4]).any(1) for run in runs])


def _sequences(results: Results, convention: Convention) -> list[tuple[Sequence, tuple[Trajectory, ...]]]:
    """Sequences with the runs that count."""
    pairs = zip(results.sequences, results.runs, strict=True)
    if convention != "pysot":
        return list(pairs)
    return [(sequence, runs if len(runs) == REPETITIONS else runs[:1]) for sequence, runs in pairs]


def _terms(pairs: SequenceOf[tuple[float, float]]) -> Terms:
    """Numerators and denominators of n sequences, (n, 1) each."""
    terms = np.array(pairs, float).reshape(-1, 2)
    return terms[:, :1], terms[:, 1:]


def _overlaps(sequence: Sequence, frames: np.ndarray, predicted: np.ndarray, key: Raster | None) -> np.ndarray:
    """Overlap (m,) of predicted regions with the annotated ones in these frames (m,), as pixels or exact areas."""
    if key is not None:
        rule, last = key
        kept = _remembered(sequence)
        if key not in kept:
            kept[key] = rasters.pixels(_annotated(sequence), last, rule)
        return rasters.overlaps(kept[key], frames, rasters.pixels(predicted, last, rule))
    truth = _annotated(sequence)[frames]
    there = ~np.isnan(predicted[:, :4]).any(1)
    predicted = np.where(there[:, None], predicted, np.nan)
    exact = np.where(np.isnan(truth[:, 0]), np.nan, 0.0)
    if not (polygons.is_polygon(truth) | polygons.is_polygon(predicted)).any():
        truth, predicted = truth[:, :4], predicted[:, :4]
        exact[there] = boxes.iou(predicted[there], truth[there])
    else:
        exact[there] = polygons.iou(predicted[there], truth[there])
    return exact


def _mask_overlaps(sequence: Sequence, run: Trajectory, frames: np.ndarray, key: Raster | None) -> np.ndarray:
    """Overlap (m,) of what a run said in these frames (m,) with masks.

    As a toolkit counts pixels, or by the rule of `masks`: then NaN where the target is absent.
    """
    truth = sequence.regions
    assert truth is not None
    height, width = truth[0].shape
    if key is not None:
        predicted = run.regions[frames] if run.masks is None else run.masks
        return rasters.mask_overlaps(truth, frames, predicted, (width, height))
    overlaps = np.full(len(frames), np.nan)
    for i, t in enumerate(frames.tolist()):
        true = masks.of_region(truth[t], (width, height))
        if true.any():
            overlaps[i] = masks.iou(masks.of_region(run.region(t), (width, height)), true)
    return overlaps


def _annotated(sequence: Sequence) -> np.ndarray:
    """Regions (frames, 4) or (frames, 2 x corners) as annotated."""
    if sequence.regions is None:
        return sequence.groundtruth
    found = [sequence.region(t) for t in range(len(sequence))]
    regions = np.full((len(found), max(8, *(region.size for region in found if region.ndim == 1))), np.nan)
    for t, region in enumerate(found):
        if region.ndim != 1 or len(region) < 4 or len(region) % 2:
            raise ValueError(
                f"sequence {sequence.name}, frame {t}: expected a box of 4 numbers or a polygon of 6 or more, as in "
                f"frame 0, got a region of shape {region.shape}"
            )
        regions[t, : len(region)] = region
    return regions


def _wide(regions: np.ndarray) -> np.ndarray:
    """Regions (n, 4) or (n, 8) -> (n, 8)."""
    return regions if regions.shape[1] == 8 else np.pad(regions, ((0, 0), (0, 4)), constant_values=np.nan)


def _size(sequence: Sequence) -> tuple[int, int]:
    """Width and height of the images."""
    if sequence.size is not None:
        return sequence.size
    try:
        height, width = sequence.frames[0].shape[:2]
    except FileNotFoundError:
        raise ValueError(
            f"sequence {sequence.name}: expected the width and height of its images, in which pixels are counted; "
            "got neither them nor an image"
        ) from None
    return width, height


def _bandwidth(data: np.ndarray) -> float:
    """Standard deviation of kernels at data (n,), of standard deviation 1."""
    n = len(data)
    pilot = (4 / (3 * n)) ** (2 / 5)
    apart = (data[:, None] - data) ** 2 / pilot
    terms = np.exp(-apart / 2) / np.sqrt(2 * np.pi * pilot) * (2 * (1 - 2 * apart) + (1 - apart) ** 2) / pilot**2
    return float((1 / (n * np.sqrt(4 * np.pi) * terms.mean())) ** (1 / 5))


_memory: dict[int, tuple[weakref.ref[Any], dict[Any, Any]]] = {}


def _remembered(owner: Any) -> dict[Any, Any]:
    """What was found out about this very object, for as long as it lives: overlaps serve several measures."""
    number = id(owner)
    if number not in _memory:
        _memory[number] = (weakref.ref(owner, lambda _: _memory.pop(number, None)), {})
    return _memory[number][1]


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
