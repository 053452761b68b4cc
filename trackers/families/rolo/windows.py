"""What ROLO learns from: windows of frames whose features lie in a cache (Ning et al. 2016, Sections 3.2 and 4.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from trackers.boxes import centre
from trackers.families.rolo.assignment import ByGroundtruth, ByHistory, Choose
from trackers.families.rolo.network import LOCATION, B
from trackers.features import Part, Seen
from trackers.sequence import Sequence

LearnFrom = Literal["all", "first_third", "every_third"]


def located(boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Boxes (..., 4) in pixels of images of size (..., 2) -> x, y, w, h of Eq. 3: centre and size, as shares of it."""
    return np.concatenate([centre(boxes) / size, boxes[..., 2:] / size], -1)


def detection(seen: Seen, chosen: int | None, size: tuple[int, int], raw: bool) -> np.ndarray:
    """B_t (6,), of the detection chosen in an image of this width and height; zeros where none is.

    raw: whether its first and last numbers are class and score, as in the released code, and not 0.
    """
    row = np.zeros(B)
    if chosen is not None:
        row[LOCATION] = located(seen.boxes[chosen].astype(float), np.array(size))
        if raw:
            row[0], row[-1] = seen.classes[chosen], seen.scores[chosen]
    return row


@dataclass(frozen=True)
class Video:
    """What is learnt from of one sequence: its frames from that in which the target is given.

    features: float16 (T, D), left where they are. detections: float32 (T, 6), B_t. locations: float32 (T, 4), true
    ones (Eq. 3). ends, targets: (n,) each, of n windows the last frame, and the one whose location is asked for.
    """

    features: np.ndarray
    detections: np.ndarray
    locations: np.ndarray
    ends: np.ndarray
    targets: np.ndarray


def video(
    sequence: Sequence, part: Part, learn_from: LearnFrom, history: int, iou_min: float, released: bool
) -> Video | None:
    """What a sequence gives to learn from; None where that is nothing. ValueError where the cache is of another.

    all: every labelled frame is a target. first_third: those of the first third of the frames, and none after it is
    seen. every_third: those of the frames 0, 3, 6, ..., as many labels; all frames are seen.
    released: see `trackers.families.rolo`.
    """
    frames = len(sequence)
    if len(part) != frames:
        raise ValueError(f"sequence {sequence.name}: expected the features of {frames} frames, got {len(part)}")
    labelled = np.isfinite(sequence.groundtruth).all(1) & (sequence.groundtruth[:, 2:] > 0).all(1)
    if sequence.labelled is not None:
        labelled &= sequence.labelled
    if not labelled.any():
        return None
    stop = -(-frames // 3) if learn_from == "first_third" else frames
    start = int(np.argmax(labelled))
    targets = np.arange(start, stop)
    targets = targets[labelled[start:stop]]
    if learn_from == "every_third":
        targets = targets[targets % 3 == 0]
    if not len(targets):
        return None

    truth = sequence.groundtruth[start:stop]
    choose: Choose = ByGroundtruth(truth) if released else ByHistory(truth[0], history, iou_min)
    size = sequence.size or sequence.frames[0].shape[1::-1]
    every = (part.seen(t) for t in range(start, stop))
    detections = np.stack([detection(seen, choose(seen.boxes), size, raw=released) for seen in every])
    return Video(
        np.asarray(part.features)[start:stop],
        detections.astype(np.float32),
        located(truth, np.array(size)).astype(np.float32),
        np.minimum(targets + released, stop - 1) - start,
        targets - start,
    )


class Windows:
    """Minibatches without end: each is a function of the seed and its number alone.

    videos: what to draw from, every window as likely as any other. steps: frames of a window; those before the first
    frame are the first. offset: detections are moved by up to so many of their widths and heights, each anew.
    dropout: share of visual features that are 0. ValueError where there is no window.
    """

    def __init__(
        self, videos: Iterable[Video], steps: int, batch: int, offset: float = 0.0, dropout: float = 0.0, *, seed: int
    ) -> None:
        self.videos = list(videos)
        if not self.videos:
            raise ValueError("expected a frame with groundtruth to learn from, got none in any sequence")
        self.first = np.cumsum([0, *(len(video.ends) for video in self.videos)])  # number of a video's first window
        self.steps = steps
        self.count = batch
        self.offset = offset
        self.dropout = dropout
        self.seed = seed

    def batch(self, update: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
        """Visual vectors (N, steps, D), B_t (N, steps, 6) and true locations (N, 4), float32."""
        rng = np.random.default_rng((self.seed, update))
        chosen = rng.integers(self.first[-1], size=self.count)  # (N,)
        of = np.searchsorted(self.first, chosen, side="right") - 1  # (N,)
        features, detections, targets = [], [], []
        for video, n in zip([self.videos[i] for i in of], chosen - self.first[of], strict=True):
            frames = np.maximum(video.ends[n] + np.arange(1 - self.steps, 1), 0)  # (steps,)
            features.append(video.features[frames])
            detections.append(video.detections[frames])
            targets.append(video.locations[video.targets[n]])
        visual = torch.from_numpy(np.stack(features)).to(device).float()  # half of the bytes on the way
        rows = np.stack(detections)
        if self.offset:
            moved = rng.uniform(-self.offset, self.offset, (*rows.shape[:-1], 2))
            rows[..., 1:3] += (moved * rows[..., 3:5]).astype(np.float32)
        if self.dropout:
            kept = rng.random(visual.shape, np.float32) >= self.dropout
            visual *= torch.from_numpy(kept).to(device) / (1 - self.dropout)
        return visual, torch.from_numpy(rows).to(device), torch.from_numpy(np.stack(targets)).to(device)
