"""What a lane keeps of the frames behind it: predicted patches, and samples in their order."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Moment(NamedTuple):
    """Sequence samples that follow the same patches, mostly those of one frame.

    remembered: K patches (D,), the oldest first. positives, negatives: (n, D).
    """

    remembered: tuple[Tensor, ...]
    positives: Tensor
    negatives: Tensor


class Draws(NamedTuple):
    """What a lane learns from, and when: R rows of features (R, D), of which others are numbers.

    The first ones are patches: sequences (F, K) has those remembered in each moment, the oldest first. of: (R,) the
    sequence of each row, 0 for patches. positives: (T, N) for each iteration; candidates: (T, M) negatives, of which
    the hardest are learnt from.
    """

    rows: Tensor
    patches: int
    sequences: Tensor
    of: Tensor
    positives: Tensor
    candidates: Tensor


class Recollection:
    """Of one lane. remembered: K patches. long, short: so many frames of which positives and negatives are kept."""

    def __init__(self, remembered: int, long: int, short: int) -> None:
        self.patches: deque[Tensor] = deque(maxlen=remembered)  # (D,) each
        self.moments: deque[Moment] = deque(maxlen=max(long, short))
        self.remembered, self.long, self.short = remembered, long, short

    def remember(self, patch: Tensor) -> None:
        """The patch (D,) that was predicted in this frame; the first one stands for all before it, too."""
        self.patches.extend([patch] * (1 if self.patches else self.remembered))

    def collect(self, positives: Tensor, negatives: Tensor) -> None:
        """Samples (n, D) of this frame, which follow the patches remembered now."""
        self.moments.append(Moment(tuple(self.patches), positives, negatives))
        for kept, kind in ((self.long, "positives"), (self.short, "negatives")):
            if len(self.moments) > kept:
                past = self.moments[-kept - 1]
                self.moments[-kept - 1] = past._replace(**{kind: getattr(past, kind).new_empty(0, positives.shape[1])})

    def draw(self, iterations: int, pairs: int, mined: int, rng: np.random.Generator) -> Draws:
        """What to learn from in so many iterations; every sample is drawn once before any is drawn again."""
        moments = list(self.moments)
        patches = list({id(patch): patch for moment in moments for patch in moment.remembered}.values())
        number = {id(patch): i for i, patch in enumerate(patches)}
        sequences = [[number[id(patch)] for patch in moment.remembered] for moment in moments]
        rows, frames, drawn = [torch.stack(patches)], [np.zeros(len(patches), int)], []
        for kind, kept, each in (("positives", self.long, pairs), ("negatives", self.short, mined)):
            first = max(0, len(moments) - kept)
            samples = [getattr(moment, kind) for moment in moments[first:]]
            frame = np.repeat(np.arange(first, len(moments)), [len(some) for some in samples])
            order = np.concatenate([rng.permutation(len(frame)) for _ in range(-(-iterations * each // len(frame)))])
            used, numbers = np.unique(order[: iterations * each], return_inverse=True)
            drawn.append(torch.from_numpy(numbers.reshape(iterations, each) + sum(map(len, frames))))
            rows.append(torch.cat(samples)[torch.from_numpy(used).to(rows[0].device)])
            frames.append(frame[used])
        of = torch.from_numpy(np.concatenate(frames))
        return Draws(torch.cat(rows), len(patches), torch.tensor(sequences), of, *drawn)
