"""Minibatches of GOTURN's training (Held et al. 2016, Sections 4.1 to 4.3)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trackers import crops
from trackers.families.goturn.motion import Motion, draw
from trackers.families.goturn.packed import Pack


class Examples:
    """Training examples without end, numbered from 0; each is a function of the seed and its number alone.

    Pairs of frames come alternately from videos and images (Section 4.3), or all from the one source that is
    given: a video is chosen uniformly, and a pair of it uniformly; for images, an object. A pair makes crops + 1
    examples: the true one, its search window around the box of the frame before, and `crops` (k_3) with windows
    around the current box, moved as Section 4.2 says. The target is always the crop of the frame before. (Of an
    image, the true example does not move.)

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
        self.sources = [source for source in (videos, images) if source is not None]
        if not self.sources:
            raise ValueError("expected videos, images or both to take examples from, got neither")
        # The pairs of video v are pairs[starts[v] : starts[v + 1]].
        self.starts = [np.flatnonzero(np.diff(s.video[s.pairs[:, 1]], prepend=-1, append=-1)) for s in self.sources]
        self.motion = motion
        self.crops = crops
        self.count = batch
        self.size = size
        self.context = context
        self.seed = seed

    def batch(self, update: int, device: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Minibatch number `update`: B examples of P = B // (crops + 1) + 2 pairs, the same shapes every time.

        targets: float32 (P, 3, S, S) in [0, 255], channels last: what to look for, once a pair.
        searches: (B, 3, S, S), where to look for it. of: int64 (B,), the row of each example's target.
        corners: float32 (B, 4), x0, y0, x1, y1 of the groundtruth, in units of the search window.
        """
        numbers = torch.arange(update * self.count, (update + 1) * self.count)  # (B,)
        first, count = update * self.count // (self.crops + 1), self.count // (self.crops + 1) + 2
        of, nth = numbers // (self.crops + 1) - first, numbers % (self.crops + 1)  # (B,), (B,)
        drawn = [self._draw(pair) for pair in range(first, first + count)]
        cuts = [source.pixels(item) for source, items, _ in drawn for item in items]  # before and after: 2P
        boxes = torch.from_numpy(np.stack([source.boxes[items] for source, items, _ in drawn]))  # (P, 2, 4)
        origins = torch.from_numpy(np.stack([source.origins[items] for source, items, _ in drawn]))  # (P, 2, 2)
        looked_at = torch.from_numpy(np.stack([around for _, _, around in drawn]))  # (P, crops + 1, 4)

        target_windows = crops.windows(boxes[:, 0], self.context)  # (P, 4)
        windows = crops.windows(looked_at[of, nth], self.context)  # (B, 4)
        corners = crops.to_window(boxes[of, 1], windows).float()  # (B, 4)
        target_windows[:, :2] -= origins[:, 0]
        windows[:, :2] -= origins[of, 1]
        patches = crops.sample(
            [torch.from_numpy(cut).to(device) for cut in cuts],
            torch.cat([target_windows, windows]).to(device),  # (P + B, 4)
            self.size,
            torch.cat([2 * torch.arange(count), 2 * of + 1]).to(device),
        )  # (P + B, 3, S, S)
        targets, searches = patches.split([count, self.count])
        return targets, searches, of.to(device), corners.to(device)

    def _draw(self, pair: int) -> tuple[Pack, np.ndarray, np.ndarray]:
        """Of a pair: where it is from, its items before and after (2,), the boxes to search around (crops + 1, 4)."""
        rng = np.random.default_rng((self.seed, pair))
        which = pair % len(self.sources)
        source, starts = self.sources[which], self.starts[which]
        video = rng.integers(len(starts) - 1)
        items = source.pairs[rng.integers(starts[video], starts[video + 1])]
        before, after = source.boxes[items]
        moved = draw(self.motion, after[None], source.frame_sizes[items[1:]], self.crops, rng, self.context)[
            0
        ]  # (crops, 4)
        return source, items, np.concatenate([before[None], moved])
