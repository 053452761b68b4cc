"""Overlaps in each frame of VOT's runs, as each convention counts areas; see `vot` for what these are."""

from __future__ import annotations

import weakref
from collections.abc import Sequence as SequenceOf
from typing import Literal

import numpy as np

from trackers import boxes, masks
from trackers.evaluation import polygons, rasters
from trackers.evaluation.measure import Convention
from trackers.evaluation.remembered import remembered
from trackers.evaluation.results import Results
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence

Raster = tuple[rasters.Rule, tuple[int, int]]  # how pixels are counted, and the image's last column and row

REPETITIONS = 15


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
    unknown = [run for run in runs if remembered(run).get(key, (lambda: None,))[0]() is not sequence]
    if unknown:
        asked = event_codes(unknown) == Event.PREDICTED
        computed = np.full(asked.shape, np.nan)
        if masked:
            for run, frames, row in zip(unknown, asked, computed, strict=True):
                row[frames] = _mask_overlaps(sequence, run, np.flatnonzero(frames), key)
        else:
            predicted = np.concatenate([_wide(run.regions)[run.events == Event.PREDICTED] for run in unknown])
            computed[asked] = _overlaps(sequence, np.nonzero(asked)[1], predicted, key)
        for run, row in zip(unknown, computed, strict=True):
            remembered(run)[key] = (weakref.ref(sequence), row)
    overlaps = np.stack([remembered(run)[key][1] for run in runs])
    if convention == "vot-legacy":  # reads NaN as the code 0, of no overlap; the others as a region of no pixels
        overlaps[unsaid(runs) | np.isnan(sequence.groundtruth).any(1)] = np.nan
    return (
        overlaps
        if convention in ("vot-legacy", "pysot")
        else np.where(event_codes(runs) == Event.PREDICTED, overlaps, 0)
    )


def compare_together(trackers: SequenceOf[Results], convention: Convention) -> None:
    """Compute the overlaps of several trackers, sequence by sequence: faster than one tracker after the other.

    Measures of the same results then find them, as long as their trajectories live. Raises as `frame_overlaps`.
    """
    through: dict[int, tuple[Sequence, list[Trajectory]]] = {}
    for results in trackers:
        for sequence, runs in counting_runs(results, convention):
            through.setdefault(id(sequence), (sequence, []))[1].extend(runs)
    uses: tuple[Literal["accuracy", "eao"], ...] = ("accuracy", "eao")
    for sequence, all_runs in through.values():
        for use in uses:
            frame_overlaps(sequence, all_runs, convention, use, trackers[0].legacy_rasterization)


def counting_runs(results: Results, convention: Convention) -> list[tuple[Sequence, tuple[Trajectory, ...]]]:
    """Sequences with the runs that count."""
    pairs = zip(results.sequences, results.runs, strict=True)
    if convention != "pysot":
        return list(pairs)
    return [(sequence, runs if len(runs) == REPETITIONS else runs[:1]) for sequence, runs in pairs]


def event_codes(runs: SequenceOf[Trajectory]) -> np.ndarray:
    """Events (runs, frames)."""
    return np.stack([run.events for run in runs])


def unsaid(runs: SequenceOf[Trajectory]) -> np.ndarray:
    """bool (runs, frames), without a usable region."""
    return np.stack([np.isnan(run.regions[:, :4]).any(1) for run in runs])


def _overlaps(sequence: Sequence, frames: np.ndarray, predicted: np.ndarray, key: Raster | None) -> np.ndarray:
    """Overlap (m,) of predicted regions with the annotated ones in these frames (m,), as pixels or exact areas."""
    if key is not None:
        rule, last = key
        kept = remembered(sequence)
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
