"""How fast this machine is at what jobs do, as one number; measured in less than half a second.

Small convolutions, FFTs and products of matrices, on one thread: by torch, which jobs use, where it is loaded
already, else by NumPy. The two agree roughly; what is compared should be measured in the same manner.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

SECONDS = 0.3  # of measurements, of which the fastest counts
ROUNDS = 5  # in each of them
# Seconds that one round takes on the reference machine: a core of an AMD EPYC server, nothing else running.
REFERENCE = {"numpy": 0.0010, "torch": 0.0011}


def pace() -> float:
    """How many times as fast as the reference one thread of this machine is."""
    by = "torch" if "torch" in sys.modules else "numpy"
    return REFERENCE[by] / (_torch() if by == "torch" else _numpy())


def _numpy() -> float:
    rng = np.random.default_rng(0)
    image, kernel, square = rng.random((128, 128)), rng.random((128, 128)), rng.random((256, 256), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(rng.random((48, 48), np.float32), (5, 5))
    filters = rng.random((25, 16), np.float32)

    def work() -> None:
        np.fft.irfft2(np.fft.rfft2(image) * np.fft.rfft2(kernel))
        windows.reshape(-1, 25) @ filters
        square[:128] @ square

    return _fastest(work)


def _torch() -> float:
    import torch

    rng = torch.Generator().manual_seed(0)
    image, square = torch.rand(2, 8, 48, 48, generator=rng), torch.rand(256, 256, generator=rng)
    filters, grey = torch.rand(16, 8, 5, 5, generator=rng), torch.rand(128, 128, generator=rng)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def work() -> None:
        torch.fft.irfft2(torch.fft.rfft2(grey) * torch.fft.rfft2(grey))
        torch.nn.functional.conv2d(image, filters)
        square @ square

    try:
        with torch.no_grad():
            return _fastest(work)
    finally:
        torch.set_num_threads(threads)


def _fastest(work: Callable[[], None]) -> float:
    """Seconds of a round on this thread: what others do on the machine meanwhile counts only as far as it gets in."""
    work()
    least, until = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        start = time.thread_time()
        for _ in range(ROUNDS):
            work()
        least = min(least, (time.thread_time() - start) / ROUNDS)
    return least
