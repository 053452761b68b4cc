"""What GOTURN's training looks at: the labelled frames of a data set, packed once and shared by all variants.

Each frame is held once, as it is encoded on disk, whatever number of objects it shows. An item is one labelled
box. All is a flat dict of tensors, that torch.save writes and torch.load maps (mmap=True, weights_only=True):

    encoded  uint8, the frames one behind the other  offsets  int64 (f + 1,), where each begins there, and the end
    sizes    int64 (f, 2), width, height of a frame  frames   int64 (n,), number of an item's frame
    boxes    float64 (n, 4), in pixels of it         videos   int64 (n,), number of its sequence
    labels   int64 (n,), number of its class, or -1  pairs    int64 (p, 2), items before and after
    names    uint8, JSON of the names of videos and labels
"""

from __future__ import annotations

import copy
import json
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Collection as CollectionOf
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from torch import Tensor

from trackers.benchmarks.collection import Collection
from trackers.benchmarks.images import decode
from trackers.boxes import clip
from trackers.sequence import Frames, Image
from trackers.training import Reporter, Weights

READERS = 4  # threads
AT_ONCE = 32  # frames in memory while packing
CACHE = 2 * 10**9  # bytes of decoded frames that are kept


def pack_videos(collection: Collection, reporter: Reporter) -> dict[str, Tensor]:
    """The labelled frames of videos; pairs are those that follow each other in one video (Section 4.1).

    Boxes that are NaN, empty or outside of the frame are left out. Raises ValueError where no video has two that
    are left, and for a frame that cannot be decoded, by its sequence and number.
    """
    packed = _pack(collection, reporter)
    videos = packed["videos"]
    before = torch.nonzero(videos[1:] == videos[:-1])  # (p, 1)
    if not len(before):
        raise ValueError(
            f"data set {collection.name}: expected at least one pair of successive labelled frames, got at most one "
            f"with a box inside of it in each of {len(collection)} videos"
        )
    return {**packed, "pairs": torch.cat([before, before + 1], 1)}


def pack_images(collection: Collection, reporter: Reporter) -> dict[str, Tensor]:
    """The labelled objects of still images; each is paired with itself (Section 4.1), those of an image in a row.

    Boxes that are NaN, empty or outside of the image are left out. Raises ValueError where none is left, and for
    an image that cannot be decoded, by the name of its first object.
    """
    packed = _pack(collection, reporter)
    items = packed["frames"].argsort(stable=True)  # (n,)
    return {**packed, "pairs": torch.stack([items, items], 1)}


class Pack:
    """What `pack_videos` or `pack_images` made.

    pairs: int64 (p, 2), items before and after, by video or by image. boxes: float64 (n, 4) in their frames.
    frame: int64 (n,), numbers of the frames. frame_sizes: int64 (n, 2) width, height. video, label: int64 (n,),
    numbers of `names` and `labels`; label -1 where there is none. names: of the videos, or images' objects.
    labels: of the classes.
    """

    def __init__(self, tensors: Weights) -> None:
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        self.pairs = arrays["pairs"]
        self.boxes, self.frame = arrays["boxes"], arrays["frames"]
        self.frame_sizes = arrays["sizes"][self.frame]
        self.video, self.label = arrays["videos"], arrays["labels"]
        names = json.loads(arrays["names"].tobytes())
        self.names: tuple[str, ...] = tuple(names["videos"])
        self.labels: tuple[str, ...] = tuple(names["labels"])
        self._frames = Decoded(arrays["encoded"], arrays["offsets"])

    def __len__(self) -> int:
        return len(self.boxes)

    def pixels(self, item: int) -> Image:
        """The whole frame of an item: uint8 RGB (height, width, 3). Not to be written to: others see it, too."""
        return self._frames[int(self.frame[item])]

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


class Decoded:
    """Frames by number, decoded when asked for; the last used are kept, `limit` bytes of them. Threads may share it.

    encoded: uint8, the frames one behind the other. offsets: int64 (f + 1,), where each begins, and the end.
    """

    def __init__(self, encoded: np.ndarray, offsets: np.ndarray, limit: int = CACHE) -> None:
        self._encoded, self._offsets, self._limit = encoded, offsets, limit
        self._kept: OrderedDict[int, Image] = OrderedDict()  # the last used one last
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, number: int) -> Image:
        with self._lock:
            if number in self._kept:
                self._kept.move_to_end(number)
                return self._kept[number]
        image = decode(self._encoded[self._offsets[number] : self._offsets[number + 1]])
        with self._lock:
            if number not in self._kept:  # another thread may have been faster
                self._kept[number] = image
                self._bytes += image.nbytes
            while self._bytes > self._limit:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return image


@runtime_checkable
class EncodedFrames(Frames, Protocol):
    """Frames that lie there as image files."""

    def encoded(self, t: int) -> bytes:
        """The file of a frame, as `decode` takes it."""


def _pack(collection: Collection, reporter: Reporter) -> dict[str, Tensor]:
    labels = sorted({sequence.label for sequence in collection if sequence.label is not None})
    number = {label: i for i, label in enumerate(labels)}
    items: list[tuple[int, int, int]] = []  # number of the sequence, of the frame in it, of the frame here
    offsets, sizes = [0], list[tuple[int, int]]()
    with tempfile.TemporaryFile() as file:  # memory does not grow with the data
        for places, content, (width, height) in _labelled(collection, reporter):
            boxes = np.stack([collection.sequences[video].groundtruth[t] for video, t in places])
            inside = clip(boxes, width, height)[:, 2:].all(1).tolist()
            if any(inside):
                items += [(*place, len(sizes)) for place, kept in zip(places, inside, strict=True) if kept]
                file.write(content)
                offsets.append(file.tell())
                sizes.append((width, height))
        if not items:
            raise ValueError(
                f"data set {collection.name}: expected at least one pair of successive labelled frames, or the object "
                f"of a still image, got {len(collection)} sequences without a box inside of its frame"
            )
        file.flush()
        encoded = np.memmap(file, np.uint8, "r+")
    items.sort()  # a frame that several sequences share brought theirs together
    names = json.dumps({"videos": [sequence.name for sequence in collection], "labels": labels})
    arrays = {
        "encoded": encoded,
        "offsets": np.array(offsets),
        "sizes": np.array(sizes),
        "frames": np.array([frame for _, _, frame in items]),
        "boxes": np.stack([collection.sequences[video].groundtruth[t] for video, t, _ in items]).astype(float),
        "videos": np.array([video for video, _, _ in items]),
        "labels": np.array([number.get(collection.sequences[video].label or "", -1) for video, _, _ in items]),
        "names": np.frombuffer(names.encode(), np.uint8).copy(),
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _labelled(
    collection: Collection, reporter: Reporter
) -> Iterator[tuple[list[tuple[int, int]], bytes, tuple[int, int]]]:
    """(where it is: numbers of sequences and of it in each; its file; width, height) of each frame with a box."""
    frames: dict[tuple[int, int], list[tuple[int, int]]] = {}  # sequences of one image, or video, share its frames
    for video, sequence in enumerate(collection):
        wanted = np.isfinite(sequence.groundtruth).all(1) & (sequence.groundtruth[:, 2:] > 0).all(1)  # (T,)
        if sequence.labelled is not None:
            wanted &= sequence.labelled
        for t in np.flatnonzero(wanted).tolist():
            frames.setdefault((id(sequence.frames), t), []).append((video, t))

    def read(places: list[tuple[int, int]]) -> tuple[bytes, tuple[int, int]]:
        video, t = places[0]
        sequence = collection.sequences[video]
        try:
            if isinstance(sequence.frames, EncodedFrames):
                content = sequence.frames.encoded(t)
                image = decode(content)
            else:
                image = sequence.frames[t]
                content = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1].tobytes()
        except (ValueError, OSError) as cause:
            raise ValueError(f"sequence {sequence.name}, frame {t}: {cause}") from cause
        return content, (image.shape[1], image.shape[0])

    places = list(frames.values())
    with ThreadPoolExecutor(READERS) as threads:
        for done in range(0, len(places), AT_ONCE):
            some = places[done : done + AT_ONCE]
            for same, (content, size) in zip(some, threads.map(read, some), strict=True):
                yield same, content, size
            reporter.progress(done + len(some), len(places))
