"""How well each frame was tracked, and where it went worst."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf

import numpy as np

from trackers.evaluation.trajectory import Event, Trajectory
from trackers.evaluation.vot_overlaps import frame_overlaps
from trackers.sequence import Sequence

WORST = 3  # frames of each tracker that are named
APART = 20  # at least the length of the sequence by this lies between two of them


def overlaps(sequence: Sequence, runs: SequenceOf[Trajectory]) -> np.ndarray:
    """IoU (runs, frames) of what was predicted, of boxes, polygons or masks, whatever is annotated; 0 where it failed.

    NaN where nothing is to be judged: the target is absent, or the tracker was told where it is, or not asked.
    """
    events = np.stack([run.events for run in runs])
    values = frame_overlaps(sequence, runs, "trackmeet", "accuracy")
    values = np.where(events == Event.PREDICTED, values, np.where(events == Event.FAILED, 0.0, np.nan))
    values[:, np.isnan(sequence.groundtruth).any(1)] = np.nan
    return values


def score(values: np.ndarray) -> float:
    """The mean over the frames that are judged; NaN if there is none."""
    judged = values[~np.isnan(values)]
    return float(judged.mean()) if len(judged) else float("nan")


def worst(values: np.ndarray) -> list[int]:
    """Numbers of the frames with the lowest values (frames,), the lowest first; never two that are close together."""
    found: list[int] = []
    order = np.argsort(values, kind="stable")  # NaN last
    for t in order[: np.count_nonzero(~np.isnan(values))].tolist():
        if all(abs(t - other) * APART >= len(values) for other in found):
            found.append(t)
        if len(found) == WORST:
            break
    return found
