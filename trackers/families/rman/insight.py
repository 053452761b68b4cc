"""Section III-C: what a lane recalled, where its network looks, and how it tells the target from what looks like it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor

from trackers.families.rman import network, sampling
from trackers.families.rman.seeing import Maps, Patches, enlarged, flattened
from trackers.sequence import Image
from trackers.tracker import Contrast, Recalled

DRAWN = 200  # samples on the target, and on what looks most like it ("hundreds", Section III-C)
AROUND = 2.0  # mean sides of the target, within which that is looked for


@dataclass(frozen=True)
class Glance:
    """A step of a lane: the target's box (4,) in the image, by these heads, after these patches (K, D)."""

    image: Image
    box: np.ndarray
    heads: network.Heads
    remembered: Tensor | None

    def states(self, features: Tensor, activation: str) -> network.States:
        """What features (n, D) became in this step, with an axis of one lane."""
        first, rest = self.heads[network.PROJECTION], {name: own[None] for name, own in self.heads.items()}
        memory = None
        if self.remembered is not None:
            memory = network.memorize(rest, (self.remembered @ first.mT)[None, None])
        of = torch.zeros(1, len(features), dtype=torch.long, device=features.device)
        return network.look(rest, (features @ first.mT)[None], memory, of, activation)

    def score(self, features: Tensor, activation: str) -> Tensor:
        """How much (n,) features (n, D) were like the target in this step."""
        heads = {name: own[None] for name, own in self.heads.items()}
        return network.classify(heads, self.states(features, activation).temporal)[0, :, 1]


def recalled(see: Patches, glances: Sequence[Glance], activation: str, remembered: int) -> Recalled | None:
    """Figure 3: patches of the last steps, the first one standing for all before it, and the weights of Eq. 1."""
    last = glances[-1]
    before = [glances[0]] * (1 + remembered - len(glances)) + list(glances)
    pixels = see.pixels(
        [glance.image for glance in before], [glance.box[None] for glance in before]
    )  # (K + 1, 3, S, S)
    weights = last.states(flattened(see.backbone(pixels[-1:])), activation).weights
    if weights is None:
        return None
    patches = pixels.permute(0, 2, 3, 1).round().byte().cpu().numpy()
    return Recalled(patches, weights[0, 0].float().cpu().numpy())


def attention(see: Patches, glance: Glance, activation: str) -> np.ndarray:
    """Figure 4: the positive score's derivative by each pixel, (height, width) >= 0, in its largest channel.

    It is that of the patch around the target (Simonyan et al. 2013), brought back to where the patch lies in the image.
    """
    with torch.enable_grad():
        pixels = see.pixels([glance.image], [glance.box[None]]).requires_grad_()
        score = glance.score(flattened(see.backbone(pixels)), activation)
        [slopes] = torch.autograd.grad(score.sum(), [pixels])
    found = slopes[0].abs().amax(0).float().cpu().numpy()  # (S, S)
    height, width = glance.image.shape[:2]
    around = enlarged(glance.box, see.size, see.border)
    scale = see.size / around[2:]
    start = (0.5 - around[:2]) * scale - 0.5  # where the centre of the image's first pixel is, in those of the patch
    to_patch = np.column_stack([np.diag(scale), start])
    return cv2.warpAffine(found, to_patch, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def contrast(see: Patches | Maps, glance: Glance, activation: str, apart: float) -> Contrast:
    """Figure 5: what the classifier is given of samples on the target, and on the distractor.

    The distractor is what, of all that hardly overlaps the target (by less than `apart`) and is near, looks most like
    it. Without a memory generator it is the convolutions that the classifier is given.
    """
    size, rng = (glance.image.shape[1], glance.image.shape[0]), np.random.default_rng(0)
    near = partial(sampling.uniform, glance.box, shift=AROUND, scale=1.2, aspect=1.1, size=size, rng=rng)
    others = sampling.overlapping(near, glance.box, DRAWN, high=apart)
    if not len(others):
        others = sampling.quarters(glance.box, DRAWN, rng)
    [seen] = see([glance.image], [others], [glance.box])
    distractor = others[int(glance.score(seen, activation).argmax())]
    given = []
    for box in (glance.box, distractor):
        drawn = sampling.gaussian(box, DRAWN, 0.1, 1.2, size, rng)
        [seen] = see([glance.image], [drawn], [glance.box])
        given.append(seen if glance.remembered is None else glance.states(seen, activation).temporal[0])
    positives, negatives = (some.float().cpu().numpy() for some in given)
    return Contrast(positives, negatives)
