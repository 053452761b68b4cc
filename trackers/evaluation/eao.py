"""Expected average overlap (EAO): runs cut into parts at their resets, and what is expected of these by length.

See `vot` for what the conventions take for a part.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

import numpy as np

from trackers.evaluation.measure import Convention, Terms
from trackers.evaluation.results import ALL, Results
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.evaluation.vot_overlaps import counting_runs, frame_overlaps

RESET = 5  # frames from a failure to the next reset

# The lengths that EAO is a mean over, as published.
INTERVALS = {
    "vot2015": (108, 371),
    "vot2016": (108, 371),
    "vot2017": (100, 356),
    "vot2018": (100, 356),
    "vot2019": (46, 291),
}


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
    for owner, (sequence, runs) in enumerate(counting_runs(results, convention)):
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


def _bandwidth(data: np.ndarray) -> float:
    """Standard deviation of kernels at data (n,), of standard deviation 1."""
    n = len(data)
    pilot = (4 / (3 * n)) ** (2 / 5)
    apart = (data[:, None] - data) ** 2 / pilot
    terms = np.exp(-apart / 2) / np.sqrt(2 * np.pi * pilot) * (2 * (1 - 2 * apart) + (1 - apart) ** 2) / pilot**2
    return float((1 / (n * np.sqrt(4 * np.pi) * terms.mean())) ** (1 / 5))
