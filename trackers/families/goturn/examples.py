"""Minibatches of GOTURN's training (Held et al. 2016, Sections 4.1 to 4.3)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from trackers import crops
from trackers.families.goturn.motion import Motion, draw
from trackers.families.goturn.packed import Pack

T = TypeVar("T")
Minibatch = tuple[Tensor, Tensor, Tensor, Tensor]


class Examples:
    """Training examples without end, numbered from 0; each is a function of the seed and its number alone.

    Pairs of frames come alternately from videos and images (Section 4.3), or all from the one source that is
    given: a video is chosen uniformly, and a pair of it uniformly; or an image, and an object in it. A pair makes
    crops + 1 examples: the true one, its search window around the box of the frame before, and `crops` (k_3) with
    windows around the current box, moved as Section 4.2 says. The target is always the crop of the frame before.
    (Of an image, the true example does not move.)

    A minibatch is the next `batch` examples; pairs may lie across its ends.
    """

    def __init__(
        self,
        videos: Pack | None,
        images: Pack | None,
        motion: Motion,
        crops: int = 10,
        batch: int = 50,
        size: int = 227,
        context: float = 2.0,
        *,
        seed: int,
    ) -> None:
        # Of each source, the number of the video, or image, of each pair (p,): those of one follow each other.
        groups = [(videos, videos.video[videos.pairs[:, 1]])] if videos is not None else []
        groups += [(images, images.frame[images.pairs[:, 1]])] if images is not None else []
        if not groups:
            raise ValueError("expected videos, images or both to take examples from, got neither")
        self.sources = [source for source, _ in groups]
        # The pairs of video, or image, v are pairs[starts[v] : starts[v + 1]].
        self.starts = [np.flatnonzero(np.diff(group, prepend=-1, append=-1)) for _, group in groups]
        self.motion = motion
        self.crops = crops
        self.count = batch
        self.size = size
        self.context = context
        self.seed = seed
        self._ahead = Ahead(self._make)

    def batch(self, update: int, device: str) -> Minibatch:
        """Minibatch number `update`: B examples of P = B // (crops + 1) + 2 pairs, the same shapes every time.

        targets: float32 (P, 3, S, S) in [0, 255], channels last: what to look for, once a pair.
        searches: (B, 3, S, S), where to look for it. of: int64 (B,), the row of each example's target.
        corners: float32 (B, 4), x0, y0, x1, y1 of the groundtruth, in units of the search window.

        For a GPU, whoever asks in order gets what was made while updates before were learnt.
        """
        if torch.device(device).type == "cpu":  # it has no time to spare
            return self._make(update, device)
        return self._ahead(update, device)

    def _make(self, update: int, device: str) -> Minibatch:
        numbers = torch.arange(update * self.count, (update + 1) * self.count)  # (B,)
        first, count = update * self.count // (self.crops + 1), self.count // (self.crops + 1) + 2
        of, nth = numbers // (self.crops + 1) - first, numbers % (self.crops + 1)  # (B,), (B,)
        drawn = [self._draw(pair) for pair in range(first, first + count)]
        frames = [source.pixels(item) for source, items, _ in drawn for item in items]  # before and after: 2P
        boxes = torch.from_numpy(np.stack([source.boxes[items] for source, items, _ in drawn]))  # (P, 2, 4)
        looked_at = torch.from_numpy(np.stack([around for _, _, around in drawn]))  # (P, crops + 1, 4)

        target_windows = crops.windows(boxes[:, 0], self.context)  # (P, 4)
        windows = crops.windows(looked_at[of, nth], self.context)  # (B, 4)
        corners = crops.to_window(boxes[of, 1], windows).float()  # (B, 4)
        patches = crops.sample_on(
            device,
            frames,
            torch.cat([target_windows, windows]),  # (P + B, 4)
            self.size,
            torch.cat([2 * torch.arange(count), 2 * of + 1]),
        )  # (P + B, 3, S, S)
        targets, searches = patches.split([count, self.count])
        return targets, searches, crops.send(of, device), crops.send(corners, device)

    def _draw(self, pair: int) -> tuple[Pack, np.ndarray, np.ndarray]:
        """Of a pair: where it is from, its items before and after (2,), the boxes to search around (crops + 1, 4)."""
        rng = np.random.default_rng((self.seed, pair))
        which = pair % len(self.sources)
        source, starts = self.sources[which], self.starts[which]
        chosen = rng.integers(len(starts) - 1)  # a video, or an image
        items = source.pairs[rng.integers(starts[chosen], starts[chosen + 1])]
        before, after = source.boxes[items]
        sizes = source.frame_sizes[items[1:]]  # (1, 2)
        [moved] = draw(self.motion, after[None], sizes, self.crops, rng, self.context)  # (crops, 4)
        return source, items, np.concatenate([before[None], moved])


class Ahead(Generic[T]):
    """A function of a number and a device, whose next results threads make while one is in use.

    They do so once it is asked in order: neither for one number alone, nor for numbers at random.
    """

    def __init__(self, make: Callable[[int, str], T], threads: int = 4) -> None:
        self._make = make
        self._count = threads
        self._threads = ThreadPoolExecutor(threads, "ahead")
        self._last: tuple[int, str] | None = None
        self._waiting: dict[tuple[int, str], Future[T]] = {}

    def __call__(self, number: int, device: str) -> T:
        """What `make` gives, or raises."""
        in_order, self._last = self._last == (number - 1, device), (number, device)
        if not in_order:
            for future in self._waiting.values():
                future.cancel()
            self._waiting.clear()
            return self._make(number, device)
        for n in range(number, number + 1 + self._count):
            if (n, device) not in self._waiting:
                self._waiting[n, device] = self._threads.submit(self._make, n, device)
        return self._waiting.pop((number, device)).result()
