"""DAVIS 2016 and 2017: short videos with a mask of every object in every frame (Perazzi et al. 2016).

    JPEGImages/480p/<sequence>/00000.jpg
    Annotations/480p/<sequence>/00000.png    0 and 255 (2016); 0 and the number of each object (2017)
    ImageSets/...                            lists of sequences

The masks are the regions; boxes are drawn around them. Every mask is therefore read once when the data set
is opened, and kept as run lengths. A target that no pixel shows is absent, anywhere but at the start. Where
only the first frame is annotated, as in the test sets, the others are not labelled.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from trackers.benchmarks import mask_images, reading
from trackers.benchmarks.collection import Collection, open_collection
from trackers.benchmarks.files import Files
from trackers.benchmarks.headers import image_size
from trackers.benchmarks.images import Images
from trackers.benchmarks.problems import Problems
from trackers.masks import RunLengths
from trackers.sequence import Frames, Sequence, Unseen

THREADS = 4  # that decode masks: OpenCV lets others run meanwhile


@dataclass(frozen=True)
class Config:
    """resolution: folder of that name below JPEGImages and Annotations.

    objects: "merged": all of a video are one target, as in DAVIS 2016; "separate": each is a target of its
    own, as in DAVIS 2017: a sequence `<video>.<number>`, or `<video>` where there is but one.
    subset: a list below ImageSets without .txt, such as "480p/val" (2016) or "2017/val"; None: all videos.
    sequences: the videos to read; (): all. exclude: those to leave out, or single targets of them.
    """

    resolution: str = "480p"
    objects: Literal["merged", "separate"] = "merged"
    subset: str | None = None
    sequences: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.objects not in ("merged", "separate"):
            raise ValueError(f"objects: expected merged or separate, got {self.objects}")


def open(config: Config, root: Path, name: str) -> Collection:
    """The data set of that name in the folder `root`; DataError lists all that is wrong with it."""
    return open_collection(read, config, root, name)


def read(config: Config, files: Files, problems: Problems) -> list[Sequence]:
    """Its sequences, by name; what is wrong is noted in `problems`."""
    annotations = f"Annotations/{config.resolution}"
    videos = tuple(folder.rpartition("/")[2] for folder in files.folders(annotations))
    if not videos:
        problems.say(files.show(annotations), "a folder of masks for each sequence", "none")
    if config.subset is not None:
        videos = _listed(config.subset, videos, files, problems)
    kept = reading.chosen(videos, config.sequences, files.show(annotations), problems)
    kept -= {video for video in kept if video in config.exclude}
    with ThreadPoolExecutor(THREADS) as pool:
        found = [_read_video(config, video, files, problems, pool) for video in videos if video in kept]
    return [sequence for sequences in found for sequence in sequences]


def _listed(subset: str, videos: tuple[str, ...], files: Files, problems: Problems) -> tuple[str, ...]:
    """The videos in a list: of their names (2017), or of the names of all their images and masks (2016)."""
    name = f"ImageSets/{subset}.txt"
    content = reading.read(files, name, problems)
    if content is None:
        return videos
    listed = set()
    for line, row in enumerate(reading.lines(content, files.show(name), problems), 1):
        video = row.split()[0].split("/")[-2] if row.startswith("/") and row.count("/") > 1 else row
        if video not in videos and video not in listed:
            problems.say(files.show(name), "the name of a sequence", repr(video), line)
        listed.add(video)
    return tuple(video for video in videos if video in listed)


def _read_video(
    config: Config, video: str, files: Files, problems: Problems, pool: ThreadPoolExecutor
) -> list[Sequence]:
    """A sequence for each target in a video; [] where something is wrong with it."""
    before = len(problems)
    folder = f"Annotations/{config.resolution}/{video}"
    masks = reading.images(files, folder, problems)
    images = reading.images(files, f"JPEGImages/{config.resolution}/{video}", problems)
    if not masks:
        problems.say(files.show(folder), "masks", "none")
        return []
    if not images and files.folders("JPEGImages"):
        problems.say(files.show(f"JPEGImages/{config.resolution}/{video}"), "images", "none")
    elif images and list(masks) not in (list(images), [min(images)]):
        strange = sorted(set(images) ^ set(masks))
        what = "no mask" if strange[0] in images else "no image"
        problems.say(files.show(folder), "a mask of each image, or of the first alone", f"{what} of {strange[0]}")
    decoded = list(pool.map(lambda name: _decode(files, name, problems), masks.values()))
    values = [value for value in decoded if value is not None]
    shapes = {value.shape for value in values}
    if len(shapes) > 1:
        sizes = ", ".join(sorted(f"{shape[1]} x {shape[0]}" for shape in shapes))
        problems.say(files.show(folder), "masks of one size", sizes)
    elif images and shapes:
        _compare_sizes(files, next(iter(images.values())), next(iter(masks.values())), values[0].shape, problems)
    if len(problems) > before:
        return []
    frames = Images(files, tuple(images.values())) if images else Unseen(len(masks))
    return _sequences(config, video, frames, values, files.show(next(iter(masks.values()))), problems)


def _compare_sizes(files: Files, image: str, mask: str, shape: tuple[int, ...], problems: Problems) -> None:
    """A problem where masks (height, width) are not as large as the first image says that it is."""
    try:
        size = image_size(files.view(image))
    except (OSError, ValueError) as error:
        problems.note(files.show(image), error)
        return
    if size is not None and size != shape[::-1]:
        expected = f"a mask of {size[0]} x {size[1]} pixels, as {files.show(image)}"
        problems.say(files.show(mask), expected, f"{shape[1]} x {shape[0]} pixels")


def _decode(files: Files, name: str, problems: Problems) -> np.ndarray | None:
    """The values of a mask, uint8 (height, width)."""
    content = reading.read(files, name, problems)
    if content is None:
        return None
    try:
        return mask_images.decode(content)
    except ValueError as error:
        problems.note(files.show(name), error)
        return None


def _sequences(
    config: Config, video: str, frames: Frames, values: list[np.ndarray], first: str, problems: Problems
) -> list[Sequence]:
    """One of all objects in these masks, or one of each. first: place of the first of them, for messages."""
    height, width = values[0].shape
    labelled = None if len(values) == len(frames) else np.arange(len(frames)) < len(values)
    unlabelled = [np.zeros((height, width), bool)] * (len(frames) - len(values))
    targets: dict[str, list[np.ndarray]] = {}
    if config.objects == "merged":
        targets[video] = [value != 0 for value in values]
    else:
        present = np.zeros(256, bool)
        for value in values:
            present |= np.bincount(value.ravel(), minlength=256) > 0
        numbers = np.flatnonzero(present[1:]) + 1
        for number in numbers:
            targets[f"{video}.{number}" if len(numbers) > 1 else video] = [value == number for value in values]
    sequences = []
    for name, masks in targets.items():
        if name in config.exclude:
            continue
        if not masks[0].any():
            expected = f"the target of {name} in its first mask, or it left out (exclude: [{name}])"
            problems.say(first, expected, "an empty mask")
            continue
        regions = RunLengths.of(masks + unlabelled)
        sequences.append(
            Sequence(name, frames, regions.bounding_boxes(), regions, labelled=labelled, size=(width, height))
        )
    return sequences
