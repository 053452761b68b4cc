"""What the configured data sets hold: sequences, frames, labels, attributes, sizes."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from orchestrator.data_check import read
from orchestrator.params import Dataset
from orchestrator.sample_data import SAMPLE
from trackers.benchmarks.files import Folder
from trackers.benchmarks.files import open as open_files
from trackers.benchmarks.headers import image_size
from trackers.benchmarks.images import Images
from trackers.benchmarks.packs import Pack
from trackers.sequence import Sequence, Unseen


@dataclass(frozen=True)
class Contents:
    """One data set, counted.

    labelled: frames with a label, target absent included. attributes: {name: sequences that have it}. tags: {name:
    frames that have it}. smallest, largest: (width, height) in pixels by area; None where no frame was found.
    bytes: on disk. sample: made by `trackmeet data sample`. problems: that the annotations have.
    """

    name: str
    format: str
    root: str
    sequences: int = 0
    frames: int = 0
    labelled: int = 0
    attributes: dict[str, int] | None = None
    tags: dict[str, int] | None = None
    smallest: tuple[int, int] | None = None
    largest: tuple[int, int] | None = None
    bytes: int = 0
    packed: bool = False
    sample: bool = False
    problems: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        how = [f"{self.bytes / 1e6:,.1f} MB"] + ["packed"] * self.packed + ["sample"] * self.sample
        lines = [f"{self.name}: {self.format}, {self.root} ({', '.join(how)})"]
        counts = [f"sequences {self.sequences:,}", f"frames {self.frames:,}", f"labelled {self.labelled:,}"]
        if self.smallest and self.largest:
            low, high = (f"{width} x {height}" for width, height in (self.smallest, self.largest))
            counts.append(f"pixels {low if low == high else f'{low} to {high}'}")
        lines.append(", ".join(counts))
        for what, found in (("sequences by attribute", self.attributes), ("frames by tag", self.tags)):
            if found:
                lines.append(f"{what}: " + ", ".join(f"{name} {count:,}" for name, count in found.items()))
        if self.problems:
            what = "1 problem" if self.problems == 1 else f"{self.problems:,} problems"
            lines.append(f"{what}; 'trackmeet data check' lists all")
        return "\n  ".join(lines)


def describe(dataset: Dataset) -> Contents:
    """Count what is there; of frames one a sequence is looked at. Never raises for bad data."""
    reading = read(dataset)
    identity = (dataset.name, dataset.format, str(dataset.root))
    try:
        files = open_files(dataset.root)
        on_disk = Folder(dataset.root)
    except (OSError, ValueError):
        return Contents(*identity, problems=len(reading.problems))
    # What is made when asked for is all like the first of it.
    sequences = list(islice(reading.sequences, 1) if reading.made else reading.sequences)
    times = len(reading.sequences) if reading.made else 1
    sizes = sorted(filter(None, map(_size, sequences)), key=lambda size: (size[0] * size[1], size))
    attributes = Counter(name for sequence in sequences for name in sequence.attributes)
    tags = Counter({name: 0 for sequence in sequences for name in sequence.tags})
    for sequence in sequences:
        tags.update({name: int(np.count_nonzero(tag)) for name, tag in sequence.tags.items()})
    return Contents(
        *identity,
        sequences=len(reading.sequences),
        frames=times * sum(map(len, sequences)),
        labelled=times * sum(len(s) if s.labelled is None else int(np.count_nonzero(s.labelled)) for s in sequences),
        attributes=dict(sorted(attributes.items())),
        tags=dict(sorted(tags.items())),
        smallest=sizes[0] if sizes else None,
        largest=sizes[-1] if sizes else None,
        bytes=sum(map(on_disk.size, on_disk.names)),
        packed=isinstance(files, Pack),
        sample=SAMPLE in files,
        problems=len(reading.problems),
    )


def _size(sequence: Sequence) -> tuple[int, int] | None:
    """Width and height of the images, by the first of them where nobody said; None where it cannot be read."""
    frames = sequence.frames
    if sequence.size is not None or isinstance(frames, Unseen):
        return sequence.size
    try:
        size = image_size(frames.files.view(frames.names[0])) if isinstance(frames, Images) else None
        if size is None:
            height, width = frames[0].shape[:2]
            size = width, height
    except (OSError, ValueError):
        return None
    return size
