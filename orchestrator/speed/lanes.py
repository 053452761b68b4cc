"""RecTracker-ID at the paper's size over 500 sequences: many lanes at once against one."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import torch

from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass
from trackers.families.rectracker import Config, Model, tracker
from trackers.sequence import GreyFrames, Sequence

SEQUENCES, LENGTH, SIZE = 500, 20, 100
LANES = (1, 8, 32, 128)


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Frames per second in 8, 32 and 128 lanes against one lane, on two cores.

    The frames, noise, are made before the clock starts; what is timed is the whole of the evaluation:
    protocol, refilling of lanes, preparing frames, network.
    """
    generator = np.random.default_rng(0)
    frames = generator.integers(0, 256, (SEQUENCES, LENGTH, SIZE, SIZE), dtype=np.uint8)
    box = np.tile([30.0, 40.0, 28.0, 28.0], (LENGTH, 1))
    sequences = [Sequence(str(i), GreyFrames(frames[i]), box) for i in range(SEQUENCES)]
    config = Config(image_size=SIZE)
    weights = Model(config).state_dict()
    rates: dict[int, list[float]] = {lanes: [] for lanes in LANES}
    torch.set_num_threads(2)
    for repeat in range(repeats + 1):
        for lanes in LANES:
            some = sequences if repeat else sequences[:lanes]  # at first, to warm up
            following = follow(tracker(config, weights, "cpu"), one_pass, some, lanes)
            start = time.perf_counter()
            for _ in following:
                pass
            if repeat:
                rates[lanes].append(SEQUENCES * LENGTH / (time.perf_counter() - start))
    medians = {lanes: statistics.median(rate) for lanes, rate in rates.items()}
    return [
        {
            "what": f"RecTracker-ID, {lanes} lanes against 1",
            "ours": medians[lanes],
            "other": medians[1],
            "unit": "frames/s",
            "ratio": medians[lanes] / medians[1],
            "target": 6.0 if lanes == 32 else None,
        }
        for lanes in LANES[1:]
    ]
