"""Still images with labelled boxes, from which backbones are learnt where the user names no file of weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trackers.benchmarks.collection import Collection
from trackers.sequence import Image
from trackers.training import Reporter


@dataclass(frozen=True)
class Pictures:
    """Still images with labelled boxes. images: uint8 RGB. boxes, labels: of each, (n, 4) and (n,) numbers."""

    images: list[Image]
    boxes: list[np.ndarray]
    labels: list[np.ndarray]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, collection: Collection, reporter: Reporter) -> Pictures:
        """Those of a data set of still images, whose sequences are objects.

        Raises ValueError for fewer than two classes, or images: one is held out.
        """
        classes = sorted({sequence.label for sequence in collection if sequence.label is not None})
        if len(classes) < 2:
            raise ValueError(
                f"data set {collection.name}: expected images of at least two classes to learn a backbone from, got "
                f"{len(classes)}; or name a file of its weights in backbone.weights"
            )
        objects: dict[int, list] = {}
        for sequence in collection:
            if sequence.label is not None and np.isfinite(sequence.groundtruth[0]).all():
                objects.setdefault(id(sequence.frames), []).append(sequence)
        if len(objects) < 2:
            raise ValueError(
                f"data set {collection.name}: expected at least two images with boxes to learn a backbone from, one of "
                f"them held out, got {len(objects)}; or name a file of its weights in backbone.weights"
            )
        images = []
        for done, some in enumerate(objects.values(), 1):
            try:
                images.append(np.array(some[0].frames[0]))
            except (ValueError, OSError) as cause:
                raise ValueError(f"image {some[0].name}: {cause}") from cause
            reporter.progress(done, len(objects))
        boxes = [np.stack([sequence.groundtruth[0] for sequence in some]) for some in objects.values()]
        labels = [np.array([classes.index(sequence.label) for sequence in some]) for some in objects.values()]
        return cls(images, boxes, labels, tuple(classes))
