"""What the convolutions see in boxes: patch by patch, as the paper, or once a frame, by ROI align.

A patch is the box and a border around it: of its 107 x 107 pixels the box fills the inner 75. What lies outside of the
image is grey. Either way a sample is as many responses of conv3 as a patch gives, 3 x 3, flattened place by place.

ROI align (Section V-D: "future work"): a part of the frame that holds all samples is enlarged so that the target would
fill 75 x 75 pixels, and seen as a whole, a response every 8 pixels; the responses of each sample are read between
these. Those of a box of the target's size are exactly those of its patch, if it is off by a multiple of 8 pixels there.
Those of larger or smaller boxes are read farther or less far apart, but in the same magnification: boxes that are
`OCTAVE` times as large as the target, or more, are seen in a smaller one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from trackers import crops
from trackers.backbones import vgg_m
from trackers.backbones.vgg_m import LEAST, STRIDE, VGGM
from trackers.boxes import centre
from trackers.sequence import Image

EVERY = STRIDE // 2  # pixels between the responses of `VGGM.dense`
OCTAVE = 1.5  # between magnifications
TOGETHER = 1024  # patches that are looked at together: memory is bounded
LARGEST = 2**22  # pixels of an enlarged part of a frame; what is far is enlarged less where it would have more
NEAR = 2.0  # sides of the target's patch, either way


class Patches:
    """Each box by itself: exact, and slow. size, border: of a patch, in pixels."""

    def __init__(self, backbone: VGGM, size: int, border: int, grey: float, device: str) -> None:
        self.backbone, self.size, self.border, self.grey, self.device = backbone, size, border, grey, device

    def pixels(self, images: Sequence[Image], boxes: Sequence[np.ndarray]) -> Tensor:
        """Patches (sum of n, 3, S, S) in 0..255 of boxes (n, 4) of each image."""
        return self._pixels(images, np.concatenate(boxes), _numbers(boxes))

    def __call__(
        self, images: Sequence[Image], boxes: Sequence[np.ndarray], targets: Sequence[np.ndarray]
    ) -> list[Tensor]:
        """Features (n, D) of boxes (n, 4) of each image. targets: (4,) of each, which patches have no need of."""
        every, of = np.concatenate(boxes), _numbers(boxes)
        parts = [slice(start, start + TOGETHER) for start in range(0, len(every), TOGETHER)]
        seen = torch.cat([flattened(self.backbone(self._pixels(images, every[part], of[part]))) for part in parts])
        return list(seen.split([len(some) for some in boxes]))

    def _pixels(self, images: Sequence[Image], boxes: np.ndarray, of: np.ndarray) -> Tensor:
        """Patches (n, 3, S, S) of boxes (n, 4). of: (n,), the numbers of their images."""
        around = torch.from_numpy(enlarged(boxes, self.size, self.border))
        return crops.warp_on(self.device, images, around, self.size, self.grey, torch.from_numpy(of))


class Maps:
    """All boxes of a frame at once, by ROI align. size, border: of the patches in whose place they stand."""

    def __init__(self, backbone: VGGM, size: int, border: int, grey: float, device: str) -> None:
        self.backbone, self.size, self.border, self.grey, self.device = backbone, size, border, grey, device
        self.side = vgg_m.side(size)
        self.seen = LEAST  # pixels that a response depends on, each way

    def __call__(
        self, images: Sequence[Image], boxes: Sequence[np.ndarray], targets: Sequence[np.ndarray]
    ) -> list[Tensor]:
        """Features (n, D) of boxes (n, 4) of each image. targets: (4,) of each, by whose size a frame is enlarged."""
        return [self._of(*one) for one in zip(images, boxes, targets, strict=True)]

    def _of(self, image: Image, boxes: np.ndarray, target: np.ndarray) -> Tensor:
        around = enlarged(boxes, self.size, self.border)  # (n, 4)
        reference = enlarged(target, self.size, self.border)
        larger = np.sqrt(around[:, 2:].prod(1) / reference[2:].prod())
        octaves = np.maximum(0, np.rint(np.log(larger) / math.log(OCTAVE))).astype(int)
        features = torch.empty(len(boxes), self.backbone.width * self.side**2, device=self.device)
        for octave in np.unique(octaves):
            rows = np.flatnonzero(octaves == octave)
            features[torch.from_numpy(rows).to(self.device)] = self._aligned(
                image, around[rows], reference, OCTAVE**octave
            )
        return features

    def _aligned(self, image: Image, around: np.ndarray, reference: np.ndarray, larger: float) -> Tensor:
        """Features (n, D) of patches around (n, 4), all about `larger` times as large as that of reference (4,)."""
        pixel = reference[2:] * larger / self.size  # of the enlarged part, in those of the image: (2,)
        # Where each sample's responses lie, in responses of a map whose first one is the target's own first: its
        # centre is that of the pixels that it depends on.
        middle = (STRIDE * np.arange(self.side) + self.seen / 2) / self.size  # in shares of a patch
        centres = around[:, None, :2] + middle[:, None] * around[:, None, 2:]  # (n, side, 2) x, y
        places = ((centres - reference[:2]) / pixel - self.seen / 2) / EVERY  # (n, side, 2)
        low = np.floor(places.min((0, 1)))
        count = (np.floor(places.max((0, 1))) - low).astype(int) + 2  # responses across and down
        shape = (count - 1) * EVERY + self.seen
        if shape.prod() > LARGEST:
            # What is near is seen as ever, in all frames alike: only what is far is seen from farther away.
            near = (np.abs(centre(around) - centre(reference)) <= NEAR * reference[2:]).all(1)
            if near.any() and not near.all():
                return self._apart(image, around, reference, larger, near)
            return self._aligned(image, around, reference, larger * math.sqrt(shape.prod() / LARGEST) * 1.01)
        part = np.concatenate([reference[:2] + low * EVERY * pixel, shape * pixel])
        grown = crops.warp_on(
            self.device, [image], torch.from_numpy(part[None]), (int(shape[1]), int(shape[0])), self.grey
        )
        seen = self.backbone.dense(grown)[0].permute(1, 2, 0)  # (h, w, C)
        return interpolated(seen, torch.from_numpy(places - low).float().to(self.device))

    def _apart(
        self, image: Image, around: np.ndarray, reference: np.ndarray, larger: float, near: np.ndarray
    ) -> Tensor:
        """`_aligned` of those near (n,) bool, and of the others, each by themselves."""
        first = self._aligned(image, around[near], reference, larger)
        features = first.new_empty(len(around), first.shape[1])
        chosen = torch.from_numpy(near).to(first.device)
        features[chosen] = first
        features[~chosen] = self._aligned(image, around[~near], reference, larger)
        return features


def enlarged(boxes: np.ndarray, size: int, border: int) -> np.ndarray:
    """Patches around boxes (..., 4): the box is all but the border of its patch."""
    grown = boxes[..., 2:] * (size / (size - 2 * border))
    return np.concatenate([boxes[..., :2] + (boxes[..., 2:] - grown) / 2, grown], -1)


def _numbers(boxes: Sequence[np.ndarray]) -> np.ndarray:
    """Of the images of boxes (n, 4): (sum of n,)."""
    return np.repeat(np.arange(len(boxes)), [len(some) for some in boxes])


def flattened(responses: Tensor) -> Tensor:
    """(n, C, h, w) -> (n, h w C)."""
    return responses.permute(0, 2, 3, 1).flatten(1)


def interpolated(seen: Tensor, places: Tensor) -> Tensor:
    """Bilinear between responses (h, w, C), at every column and row of places (n, side, 2) x, y: (n, side side C).

    Places are in [0, w - 1] and [0, h - 1].
    """
    h, w, C = seen.shape
    low = places.floor().minimum(places.new_tensor([w - 2, h - 2]))
    share = places - low  # (n, side, 2)
    x, y = low.long().unbind(2)
    right, below = share.unbind(2)
    numbers, weights = [], []
    for down in (0, 1):
        for across in (0, 1):
            numbers.append(((y + down) * w)[:, :, None] + (x + across)[:, None])  # (n, side, side)
            rows = below if down else 1 - below
            columns = right if across else 1 - right
            weights.append(rows[:, :, None] * columns[:, None])
    corners, parts = (torch.stack(some, -1).view(-1, 4) for some in (numbers, weights))  # (n side side, 4)
    mean = F.embedding_bag(corners, seen.reshape(-1, C), per_sample_weights=parts, mode="sum")
    return mean.view(len(places), -1)
