"""What GOTURN's training looks at, cut from its frames once and shared by all variants.

An item is one labelled box with all of its frame that any training crop can reach, in its own pixels: nothing is
resized or encoded again. All items are a flat dict of tensors, that torch.save writes and torch.load maps
(mmap=True, weights_only=True):

    pixels   uint8, the cuts one behind the other    offsets  int64 (n,), where each begins there
    sizes    int64 (n, 2), width, height of the cut  origins  int64 (n, 2), x, y of the cut in its frame
    frames   int64 (n, 2), width, height of it       boxes    float64 (n, 4), in coordinates of the frame
    videos   int64 (n,), number of its sequence      labels   int64 (n,), number of its class, or -1
    pairs    int64 (p, 2), items before and after    names    uint8, JSON of the names of videos and labels
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Collection as CollectionOf
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trackers import crops
from trackers.benchmarks.collection import Collection
from trackers.boxes import centre, clip
from trackers.sequence import Image, Sequence
from trackers.training import Reporter, Weights

REACH = 1.4  # widths of the target, times `context`: half of it to a window's centre, and half of its largest window
READERS = 4  # threads
AT_ONCE = 32  # decoded frames in memory


def pack_videos(collection: Collection, reporter: Reporter, context: float = 2.0) -> dict[str, Tensor]:
    """The labelled frames of videos; pairs are those that follow each other in one video (Section 4.1).

    context: how many times a target's size windows have, k_1 = k_2.
    Boxes that are NaN, empty or outside of the frame are left out. Raises ValueError where no video has two that
    are left, and for a frame that cannot be read, by its sequence and number.
    """
    packed = _pack(collection, reporter, context)
    videos = packed["videos"]
    before = torch.nonzero(videos[1:] == videos[:-1])  # (p, 1)
    if not len(before):
        raise ValueError(
            f"data set {collection.name}: expected at least one pair of successive labelled frames, got at most one "
            f"with a box inside of it in each of {len(collection)} videos"
        )
    return {**packed, "pairs": torch.cat([before, before + 1], 1)}


def pack_images(collection: Collection, reporter: Reporter, context: float = 2.0) -> dict[str, Tensor]:
    """The labelled objects of still images; each is paired with itself (Section 4.1).

    context: as of `pack_videos`.
    Boxes that are NaN, empty or outside of the image are left out. Raises ValueError where none is left, and for
    an image that cannot be read, by the name of its object.
    """
    packed = _pack(collection, reporter, context)
    items = torch.arange(len(packed["videos"]))
    return {**packed, "pairs": torch.stack([items, items], 1)}


class Pack:
    """What `pack_videos` or `pack_images` made.

    pairs: int64 (p, 2), items before and after, by video. boxes: float64 (n, 4) in their frames. origins: int64
    (n, 2), where the cuts lie in their frames. frame_sizes: int64 (n, 2) width, height. video, label: int64 (n,),
    numbers of `names` and `labels`; label -1 where there is none. names: of the videos, or image's objects.
    labels: of the classes.
    """

    def __init__(self, tensors: Weights) -> None:
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        self.pairs = arrays["pairs"]
        self.boxes, self.origins, self.frame_sizes = arrays["boxes"], arrays["origins"], arrays["frames"]
        self.video, self.label = arrays["videos"], arrays["labels"]
        names = json.loads(arrays["names"].tobytes())
        self.names: tuple[str, ...] = tuple(names["videos"])
        self.labels: tuple[str, ...] = tuple(names["labels"])
        self._pixels, self._offsets, self._sizes = arrays["pixels"], arrays["offsets"], arrays["sizes"]

    def __len__(self) -> int:
        return len(self.boxes)

    def pixels(self, item: int) -> Image:
        """The cut of an item, a view: uint8 RGB (height, width, 3)."""
        width, height = self._sizes[item]
        offset = self._offsets[item]
        return self._pixels[offset : offset + width * height * 3].reshape(height, width, 3)

    def select(self, videos: CollectionOf[int]) -> Pack:
        """The same items, with the pairs of these videos only. Raises ValueError where these have none."""
        chosen = copy.copy(self)
        chosen.pairs = self.pairs[np.isin(self.video[self.pairs[:, 1]], list(videos))]
        if not len(chosen.pairs):
            raise ValueError(
                "expected at least one pair of successive labelled frames in the videos chosen, "
                f"got none in {len(videos)} of {len(self.names)} videos"
            )
        return chosen


class _Cut(NamedTuple):
    offset: int
    size: tuple[int, int]
    origin: tuple[int, int]
    frame: tuple[int, int]
    box: np.ndarray
    video: int
    label: int


def _pack(collection: Collection, reporter: Reporter, context: float) -> dict[str, Tensor]:
    labels = sorted({sequence.label for sequence in collection if sequence.label is not None})
    number = {label: i for i, label in enumerate(labels)}
    cuts: list[_Cut] = []
    with tempfile.TemporaryFile() as file:  # memory does not grow with the data
        for video, sequence, box, image in _labelled(collection, reporter):
            height, width = image.shape[:2]
            if not clip(box, width, height)[2:].all():
                continue
            before = cuts[-1].box if cuts and cuts[-1].video == video else box
            left, top, right, bottom = _reached(box, before, width, height, context)
            pixels = np.ascontiguousarray(image[top:bottom, left:right])
            size, label = (right - left, bottom - top), number.get(sequence.label or "", -1)
            cuts.append(_Cut(file.tell(), size, (left, top), (width, height), box, video, label))
            file.write(pixels.data)
        if not cuts:
            raise ValueError(
                f"data set {collection.name}: expected at least one pair of successive labelled frames, or the object "
                f"of a still image, got {len(collection)} sequences without a box inside of its frame"
            )
        file.flush()
        pixels = np.memmap(file, np.uint8, "r+")
    columns = [torch.from_numpy(np.array(column)) for column in zip(*cuts, strict=True)]
    names = json.dumps({"videos": [sequence.name for sequence in collection], "labels": labels})
    return {
        "pixels": torch.from_numpy(pixels),
        **dict(zip(("offsets", "sizes", "origins", "frames", "boxes", "videos", "labels"), columns, strict=True)),
        "names": torch.from_numpy(np.frombuffer(names.encode(), np.uint8).copy()),
    }


def _reached(box: np.ndarray, before: np.ndarray, width: int, height: int, context: float) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what crops of a frame reach: around its box, and around the one before."""
    corner, sides = np.split(crops.windows(torch.from_numpy(before), context).numpy(), 2)
    reach = REACH * context * box[2:]
    low = np.minimum(corner, np.floor(centre(box) - reach))
    high = np.maximum(corner + sides, np.ceil(centre(box) + reach) + 1)  # a window's sides are rounded up
    left, top = np.clip(low, 0, None).astype(int).tolist()
    right, bottom = np.minimum(high, (width, height)).astype(int).tolist()
    return left, top, right, bottom


def _labelled(collection: Collection, reporter: Reporter) -> Iterator[tuple[int, Sequence, np.ndarray, Image]]:
    """(number of the sequence, it, box, its frame) of each labelled box with a size, in order.

    A frame that several sequences share, each in turn, is read once.
    """
    sequences = list(collection)
    places = [
        (video, t)
        for video, sequence in enumerate(sequences)
        for t in range(len(sequence))
        if (sequence.labelled is None or sequence.labelled[t])
        and np.isfinite(sequence.groundtruth[t]).all()
        and (sequence.groundtruth[t, 2:] > 0).all()
    ]
    frames = [list(same) for _, same in groupby(places, key=lambda place: (id(sequences[place[0]].frames), place[1]))]

    def read(places: list[tuple[int, int]]) -> Image:
        video, t = places[0]
        try:
            return sequences[video].frames[t]
        except (ValueError, OSError) as cause:
            raise ValueError(f"sequence {sequences[video].name}, frame {t}: {cause}") from cause

    with ThreadPoolExecutor(READERS) as threads:
        for done in range(0, len(frames), AT_ONCE):
            some = frames[done : done + AT_ONCE]
            for same, image in zip(some, threads.map(read, some), strict=True):
                for video, t in same:
                    yield video, sequences[video], sequences[video].groundtruth[t], image
            reporter.progress(done + len(some), len(frames))
