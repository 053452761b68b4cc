"""What training looks at: whole images with all of their objects, packed once.

Objects that share an image are sequences of one frame that share its `frames`. All is a flat dict of tensors:

    encoded  uint8, the images one behind the other  offsets  int64 (f + 1,), where each begins there, and the end
    sizes    int64 (f, 2), width, height of an image frames   int64 (n,), number of an object's image, ascending
    boxes    float64 (n, 4), in pixels of it         labels   int64 (n,), number of its class
    names    uint8, JSON of the names of the classes
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor

from trackers import boxes
from trackers.benchmarks.collection import Collection
from trackers.benchmarks.images import decode
from trackers.sequence import Image, Sequence
from trackers.training import Reporter, Weights

KEPT = 4096  # decoded images


def pack(collection: Collection, reporter: Reporter) -> dict[str, Tensor]:
    """The labelled objects of still images, or of each frame of videos.

    Boxes are cut at the image's border; what is NaN, empty or outside, or has no label, is left out. Raises ValueError
    where nothing is left, and for an image that cannot be decoded, by the name of its first object.
    """
    contents, sizes = list[bytes](), list[tuple[int, int]]()
    frames, found, labels = list[int](), list[np.ndarray](), list[str]()
    for objects, t, done in _images(collection):
        content, (width, height) = _read(objects[0], t)
        seen = [(boxes.clip(one.groundtruth[t], width, height), one.label) for one in objects]
        inside = [(box, label) for box, label in seen if label is not None and (box[2:] > 0).all()]
        if inside:
            found += [box for box, _ in inside]
            labels += [label for _, label in inside]
            frames += [len(sizes)] * len(inside)
            contents.append(content)
            sizes.append((width, height))
        reporter.progress(done, len(collection))
    if not found:
        raise ValueError(
            f"data set {collection.name}: expected labelled objects, got none in {len(collection)} sequences"
        )
    names = sorted(set(labels))
    arrays = {
        "encoded": np.frombuffer(b"".join(contents), np.uint8).copy(),
        "offsets": np.cumsum([0, *map(len, contents)]),
        "sizes": np.array(sizes),
        "frames": np.array(frames),
        "boxes": np.stack(found).astype(float),
        "labels": np.array([names.index(label) for label in labels]),
        "names": np.frombuffer(json.dumps(names).encode(), np.uint8).copy(),
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _images(collection: Collection) -> Iterator[tuple[list[Sequence], int, int]]:
    """Of each image: its objects, the number of its frame, and the number of sequences that are done."""
    shared: dict[int, list[Sequence]] = {}
    for sequence in collection:
        shared.setdefault(id(sequence.frames), []).append(sequence)
    done = 0
    for objects in shared.values():
        done += len(objects)
        for t in range(len(objects[0])):
            labelled = [one for one in objects if one.labelled is None or one.labelled[t]]
            if any(np.isfinite(one.groundtruth[t]).all() for one in labelled):
                yield labelled, t, done


def _read(sequence: Sequence, t: int) -> tuple[bytes, tuple[int, int]]:
    """The file of a frame, and the width and height of what is in it."""
    try:
        image = sequence.frames[t]
        encoded = getattr(sequence.frames, "encoded", None)  # where frames lie there as image files
        if encoded is not None:
            content: bytes = encoded(t)
        else:
            content = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))[1].tobytes()
    except (ValueError, OSError) as cause:
        raise ValueError(f"sequence {sequence.name}, frame {t}: {cause}") from cause
    return content, (image.shape[1], image.shape[0])


class Pack:
    """What `pack` made, of the images that have objects of these classes, without any others in them; None: of all.

    sizes: int64 (f, 2) width, height. boxes: float64 (n, 4), and classes: int64 (n,), numbers in `names`; those of
    image i are starts[i] : starts[i + 1]. Raises ValueError where a class has no object.
    """

    def __init__(self, tensors: Weights, classes: tuple[str, ...] | None = None) -> None:
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        names = json.loads(arrays["names"].tobytes())
        self.names = classes = tuple(names) if classes is None else classes
        missing = [name for name in classes if name not in names]
        if missing:
            raise ValueError(
                f"classes: expected each to have objects among the images, got none of {', '.join(missing)}; "
                f"there are {', '.join(names)}"
            )
        number = np.array([classes.index(name) if name in classes else -1 for name in names])
        wanted = number[arrays["labels"]] >= 0
        images, self.frame = np.unique(arrays["frames"][wanted], return_inverse=True)  # (f,), (n,)
        self.starts = np.searchsorted(self.frame, np.arange(len(images) + 1))
        self.boxes, self.classes = arrays["boxes"][wanted], number[arrays["labels"]][wanted]
        self.sizes = arrays["sizes"][images]
        encoded, offsets = arrays["encoded"], arrays["offsets"]

        @lru_cache(KEPT)
        def pixels(image: int) -> Image:
            return decode(encoded[offsets[images[image]] : offsets[images[image] + 1]])

        self._pixels = pixels

    def __len__(self) -> int:
        return len(self.sizes)

    def pixels(self, image: int) -> Image:
        """An image: uint8 RGB (height, width, 3). Not to be written to: others see it, too."""
        return self._pixels(int(image))

    def objects(self, image: int) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (k, 4) and classes (k,) of an image."""
        own = slice(self.starts[image], self.starts[image + 1])
        return self.boxes[own], self.classes[own]
