"""Trajectories in a file, beside all of the sequences but their images: enough to judge them again.

One npz of plain arrays; the same content gives the same bytes. Frames of all sequences, and of all
runs, stand under each other.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from trackers.evaluation.results import Span
from trackers.evaluation.trajectory import Trajectory
from trackers.masks import RunLengths
from trackers.sequence import Regions, Sequence, Unseen

Archive = tuple[tuple[Sequence, ...], tuple[Trajectory, ...]]


def save(path: Path, sequences: Iterable[Sequence], trajectories: Iterable[Trajectory]) -> None:
    """Write trajectories, and their sequences without images."""
    kept, runs = list(sequences), list(trajectories)
    np.savez_compressed(path, allow_pickle=False, **_sequences(kept), **_runs(runs, kept))


def load(path: Path) -> Archive:
    """The sequences, with `Unseen` frames, and the trajectories. ValueError, with the file, for a damaged one."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        sequences = _read_sequences(arrays)
        return sequences, _read_runs(arrays, sequences)
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path}: expected trajectories (npz), found {type(error).__name__}: {error}") from error


def _sequences(sequences: list[Sequence]) -> dict[str, np.ndarray]:
    tags = sorted({tag for sequence in sequences for tag in sequence.tags})
    facts = [
        {
            "name": s.name,
            "frames": len(s),
            "attributes": s.attributes,
            "label": s.label,
            "size": s.size,
            "origin": s.origin,
            "tags": sorted(s.tags),
            "regions": _kind(s.regions),
            "labelled": s.labelled is not None,
            "omitted": s.omitted is not None,
        }
        for s in sequences
    ]
    masks = (
        s.regions[t] for s in sequences if s.regions is not None and _kind(s.regions) == "masks" for t in range(len(s))
    )  # one after the other: hundreds of sequences would not fit in memory
    polygons = [_polygons(s.regions) for s in sequences if s.regions is not None and _kind(s.regions) == "polygons"]
    flags = [
        np.stack(
            [_flags(s.labelled, s, True), _flags(s.omitted, s, False), *(_flags(s.tags.get(t), s, False) for t in tags)]
        )
        for s in sequences
    ]
    return {
        "sequences": np.array(json.dumps({"sequences": facts, "tags": tags})),
        "groundtruth": _under_each_other([s.groundtruth for s in sequences], 4),
        "polygons": _under_each_other(polygons, 8),
        "flags": np.concatenate(flags, 1) if flags else np.zeros((2, 0), bool),
        **_prefixed("masks", RunLengths.of(masks)),
    }


def _runs(runs: list[Trajectory], sequences: list[Sequence]) -> dict[str, np.ndarray]:
    numbers = {sequence.name: i for i, sequence in enumerate(sequences)}
    predicted = [_coded(run.masks) for run in runs if run.masks is not None]
    counted = [run.pixels for run in runs if run.pixels is not None]
    soft = {"run_soft": np.array([run.pixels is not None for run in runs]), "run_pixels": np.array(counted)}
    return {
        "run_sequence": np.array([numbers[run.sequence] for run in runs], int),
        "run_number": np.array([run.run for run in runs], int),
        "run_masked": np.array([run.masks is not None for run in runs], bool),
        "run_timed": np.array([run.seconds is not None for run in runs], bool),
        "regions": _under_each_other([_wide(run.regions) for run in runs], 8),
        "events": np.concatenate([run.events.astype(np.int8) for run in runs] or [np.zeros(0, np.int8)]),
        "seconds": np.concatenate([run.seconds for run in runs if run.seconds is not None] or [np.zeros(0)]),
        **_prefixed("run_masks", _one_after_the_other(predicted)),
        **(soft if counted else {}),
    }


def _read_sequences(arrays: dict[str, np.ndarray]) -> tuple[Sequence, ...]:
    described = json.loads(str(arrays["sequences"]))
    masks = RunLengths.from_arrays(_unprefixed("masks", arrays))
    sequences, at, polygon_at, mask_at = [], 0, 0, 0
    for facts in described["sequences"]:
        n = facts["frames"]
        rows = slice(at, at + n)
        flags = dict(zip(described["tags"], arrays["flags"][2:, rows], strict=True))
        regions: Regions | None = None
        if facts["regions"] == "polygons":
            regions = _narrow(arrays["polygons"][polygon_at : polygon_at + n])
            polygon_at += n
        elif facts["regions"] == "masks":
            regions = Span(masks, mask_at, n)
            mask_at += n
        sequences.append(
            Sequence(
                facts["name"],
                Unseen(n),
                arrays["groundtruth"][rows],
                regions,
                labelled=arrays["flags"][0, rows] if facts["labelled"] else None,
                omitted=arrays["flags"][1, rows] if facts["omitted"] else None,
                tags={tag: flags[tag] for tag in facts["tags"]},
                attributes=tuple(facts["attributes"]),
                label=facts["label"],
                size=None if facts["size"] is None else (facts["size"][0], facts["size"][1]),
                origin=facts["origin"],
            )
        )
        at += n
    return tuple(sequences)


def _read_runs(arrays: dict[str, np.ndarray], sequences: tuple[Sequence, ...]) -> tuple[Trajectory, ...]:
    masks = RunLengths.from_arrays(_unprefixed("run_masks", arrays))
    soft = arrays.get("run_soft", np.zeros(len(arrays["run_sequence"]), bool))
    pixels = iter(arrays.get("run_pixels", ()))
    runs, at, mask_at, second_at = [], 0, 0, 0
    for number, run, masked, timed, counted in zip(
        arrays["run_sequence"], arrays["run_number"], arrays["run_masked"], arrays["run_timed"], soft, strict=True
    ):
        sequence = sequences[number]
        n = len(sequence)
        regions = arrays["regions"][at : at + n]
        boxes = np.isnan(regions[:, 4:]).all()
        runs.append(
            Trajectory(
                sequence.name,
                regions[:, :4] if boxes else regions,
                arrays["events"][at : at + n],
                int(run),
                masks=Span(masks, mask_at, n) if masked else None,
                seconds=arrays["seconds"][second_at : second_at + n] if timed else None,
                pixels=next(pixels) if counted else None,
            )
        )
        at, mask_at, second_at = at + n, mask_at + n * bool(masked), second_at + n * bool(timed)
    return tuple(runs)


def _kind(regions: Regions | None) -> str | None:
    if regions is None:
        return None
    return "masks" if regions[0].ndim == 2 else "polygons"


def _polygons(regions: Regions) -> np.ndarray:
    """(frames, 8): polygons of four corners, and boxes with NaN behind."""
    rows = np.full((len(regions), 8), np.nan)
    for t in range(len(regions)):
        region = regions[t]
        if len(region) > 8:
            raise ValueError(f"frame {t}: expected a polygon of 4 corners, got {len(region) // 2}")
        rows[t, : len(region)] = region
    return rows


def _narrow(rows: np.ndarray) -> tuple[np.ndarray, ...]:
    boxes = np.isnan(rows[:, 4:]).all(1)
    return tuple(row[:4] if box else row for row, box in zip(rows, boxes, strict=True))


def _wide(regions: np.ndarray) -> np.ndarray:
    """(frames, 4 or 8) -> (frames, 8)."""
    return np.pad(regions, ((0, 0), (0, 8 - regions.shape[1])), constant_values=np.nan)


def _flags(flags: np.ndarray | None, sequence: Sequence, default: bool) -> np.ndarray:
    return np.full(len(sequence), default) if flags is None else np.asarray(flags, bool)


def _under_each_other(parts: list[np.ndarray], columns: int) -> np.ndarray:
    return np.concatenate([np.asarray(part, float) for part in parts]) if parts else np.zeros((0, columns))


def _coded(regions: Regions) -> RunLengths:
    return regions if isinstance(regions, RunLengths) else RunLengths.of(regions[t] for t in range(len(regions)))


def _one_after_the_other(parts: list[RunLengths]) -> RunLengths:
    """The codes as they are: runs through many clips have thousands of masks."""
    parts = [RunLengths.of([]), *parts]
    ends = np.cumsum([len(part.counts) for part in parts])
    starts = [part.starts[1:] + end - len(part.counts) for part, end in zip(parts, ends, strict=True)]
    return RunLengths(
        np.concatenate([part.counts for part in parts]),
        np.concatenate([np.zeros(1, np.int64), *starts]),
        np.concatenate([part.windows for part in parts]),
        np.concatenate([part.sizes for part in parts]),
    )


def _prefixed(prefix: str, masks: RunLengths) -> dict[str, np.ndarray]:
    return {f"{prefix}/{name}": array for name, array in masks.arrays().items()}


def _unprefixed(prefix: str, arrays: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{prefix}/"): array for name, array in arrays.items() if name.startswith(f"{prefix}/")}
