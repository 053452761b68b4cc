"""Frames in which a detector missed the target, as tags: there a tracker is on its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from trackers import boxes
from trackers.features import Features, FeaturesError
from trackers.sequence import Sequence

UNDETECTED, OCCLUDED_UNDETECTED = "undetected", "occluded_undetected"
FOUND = 0.5  # overlap from which on a detection is of the target
OCCLUSION = "occlusion"  # VOT's tag of single frames
OCCLUDED = frozenset({"OCC", "FOC", "POC"})  # attributes of sequences: OTB's, and those of UAV123 and Temple-color-128


def tagged(sequence: Sequence, cache: Features) -> Sequence:
    """The sequence with two tags more, of what a detector saw in it.

    undetected: no detection overlaps the groundtruth by half. occluded_undetected: those of these frames that are
    tagged as occluded; where frames have no such tag, those of a sequence with that attribute. Frames without
    groundtruth have neither. Raises FeaturesError where the cache has the sequence not, or with other frames.
    """
    part = cache[sequence.name]
    if len(part) != len(sequence):
        raise FeaturesError(
            f"{cache.root}: expected {len(sequence)} frames of sequence {sequence.name}, got {len(part)}, of other data"
        )
    frame = np.repeat(np.arange(len(part)), np.diff(part.ends, prepend=0))  # (n,), of each detection
    overlaps = np.zeros(len(part))
    np.maximum.at(overlaps, frame, np.nan_to_num(boxes.iou(part.boxes.astype(float), sequence.groundtruth[frame])))
    undetected = (overlaps < FOUND) & np.isfinite(sequence.groundtruth).all(1)
    everywhere = np.full(len(part), not OCCLUDED.isdisjoint(sequence.attributes))
    occluded = undetected & sequence.tags.get(OCCLUSION, everywhere)
    return replace(sequence, tags={**sequence.tags, UNDETECTED: undetected, OCCLUDED_UNDETECTED: occluded})
