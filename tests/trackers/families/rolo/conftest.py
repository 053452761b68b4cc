"""Videos of which it is said what a detector sees in each frame."""

import numpy as np
import pytest

from trackers.benchmarks.collection import Collection
from trackers.features import Seen, part
from trackers.sequence import Sequence

WIDTH, HEIGHT = 80, 60


class World:
    """Sequences of blank frames that say who they are in their first pixel, and what is seen there.

    videos: of each name its groundtruth (T, 4) and the detections of each frame, (N, 4) each.
    """

    def __init__(self, videos, size=8):
        self.sequences, self.seen, self.asked = [], {}, []
        for number, (name, (groundtruth, detections)) in enumerate(videos.items()):
            groundtruth = np.array(groundtruth, float)
            frames = np.zeros((len(groundtruth), HEIGHT, WIDTH, 3), np.uint8)
            frames[:, 0, 0, 0], frames[:, 0, 0, 1] = number, np.arange(len(frames))
            self.sequences.append(Sequence(name, frames, groundtruth))
            for t, boxes in enumerate(detections):
                boxes = np.array(boxes, np.float32).reshape(-1, 4)
                features = np.random.default_rng((number, t)).random(size).astype(np.float16)
                scores = np.linspace(0.9, 0.5, len(boxes), dtype=np.float32)
                self.seen[number, t] = Seen(features, boxes, scores, np.arange(3, 3 + len(boxes), dtype=np.int16))
        self.data = {"train": Collection("world", tuple(self.sequences))}
        cache = Cache(size)
        for number, sequence in enumerate(self.sequences):
            cache[sequence.name] = part(
                sequence.name, ((sequence.frames[t], self.seen[number, t]) for t in range(len(sequence)))
            )
        self.features = {"train": cache}

    def see(self, images):
        """What is seen in these images; `asked` notes of which frames."""
        places = [(int(image[0, 0, 0]), int(image[0, 0, 1])) for image in images]
        self.asked += places
        return [self.seen[place] for place in places]


class Cache(dict):
    """Parts by name, without a file."""

    def __init__(self, size):
        self.size = size


@pytest.fixture(scope="session")
def world():
    """Makes a World of {name: (groundtruth, detections)}."""
    return World


@pytest.fixture(scope="session")
def walks():
    """A World of targets that walk, each seen a pixel off, beside something that stands; not at all every 5th frame."""
    videos = {}
    for i in range(4):
        t = np.arange(12 + i)[:, None]
        truth = [8 + i, 10, 16, 12] + t * [1, 0.5 * (i % 2), 0, 0.1 * i]
        detections = [[] if k % 5 == 3 else [[60, 2, 10, 10], box + 1] for k, box in enumerate(truth)]
        videos[f"walk{i}"] = truth, detections
    return World(videos)
