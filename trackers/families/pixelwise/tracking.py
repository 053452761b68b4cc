"""The trackers at work (Song et al. 2017, Algorithm 1): a ROI, what is the target's in it, and all that put together.

where the ROI is       `locating`: 2-stage, 1-stage, near the groundtruth
what is the target's   `Recurrent`: the local model; `Refined`: the FCN, refined on the first frame
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, vmap

from trackers import crops
from trackers.backbones.vgg16 import VGG16
from trackers.families.pixelwise import fcn, rois, segmentation
from trackers.families.pixelwise.clips import dilated
from trackers.families.pixelwise.convlstm import State
from trackers.families.pixelwise.locating import Found, Locator, Near, split, stacked
from trackers.families.pixelwise.rois import ROI
from trackers.sequence import Image
from trackers.sequence import Sequence as VideoSequence
from trackers.tracker import SoftMap, Tracker


class Segmenter(Protocol):
    """Tells, lane by lane, what in a ROI is the target's."""

    def start(self, lanes: Sequence[int], first: Tensor, masked: Tensor, masks: Tensor) -> None:
        """pool4 of the first ROIs, and of their targets alone (L, C, side, side); their masks (L, size, size), bool."""

    def __call__(self, lanes: Sequence[int], features: Tensor) -> Tensor:
        """pool4 of the next ROIs (L, C, side, side) -> logits (L, size, size)."""

    def memory(self, lanes: Sequence[int]) -> Mapping[str, np.ndarray] | None: ...


class Recurrent:
    """The local model, with states by lane."""

    def __init__(self, model: segmentation.Model, device: str) -> None:
        self.model = model.to(device).eval()
        self.states: dict[int, list[State]] = {}

    def start(self, lanes: Sequence[int], first: Tensor, masked: Tensor, masks: Tensor) -> None:
        self.states.update(zip(lanes, split(self.model.start(first, masked)), strict=True))

    def __call__(self, lanes: Sequence[int], features: Tensor) -> Tensor:
        logits, states = self.model(features[None], stacked([self.states[lane] for lane in lanes]))
        self.states.update(zip(lanes, split(states), strict=True))
        return logits[0]

    def memory(self, lanes: Sequence[int]) -> Mapping[str, np.ndarray] | None:
        """The memory cells of both ConvLSTM layers (Figure 3)."""
        layers = stacked([self.states[lane] for lane in lanes])
        return {f"ConvLSTM {number}": layer.cell.cpu().numpy() for number, layer in enumerate(layers, 1)}


class Refined:
    """The FCN: each lane has weights of its own, refined on its first frame; all lanes are one batch."""

    def __init__(self, model: fcn.Model, refining: fcn.Refining, device: str) -> None:
        self.model = model.to(device).eval()
        self.refining = refining
        self.weights: dict[int, dict[str, Tensor]] = {}
        self.together: tuple[tuple[int, ...], dict[str, Tensor]] | None = None  # lanes, and their weights, stacked

    def start(self, lanes: Sequence[int], first: Tensor, masked: Tensor, masks: Tensor) -> None:
        """One lane after the other: gradients of weights are as large as these."""
        self.together = None
        for i, lane in enumerate(lanes):
            self.weights[lane] = self._refined(first[i], masks[i])

    def __call__(self, lanes: Sequence[int], features: Tensor) -> Tensor:
        if self.together is None or self.together[0] != tuple(lanes):
            self.together = None  # its memory is needed
            own = [self.weights[lane] for lane in lanes]
            stack = {name: torch.stack([weights[name] for weights in own]) for name in own[0]}
            self.together = tuple(lanes), stack
        return self._logits(self.together[1], features)

    def memory(self, lanes: Sequence[int]) -> Mapping[str, np.ndarray] | None:
        return None

    def _refined(self, first: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """A lane's weights: of pool4 (C, side, side) and the mask (size, size) of its first ROI."""
        with torch.inference_mode(False), torch.enable_grad():
            weights = {name: weight.detach() for name, weight in self.model.named_parameters()}
            seen, wanted = first[None].clone(), mask.clone().float()
            for _ in range(self.refining.iterations):
                weights = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
                logits = functional_call(self.model, weights, (seen,))[0]
                slopes = torch.autograd.grad(F.binary_cross_entropy_with_logits(logits, wanted), list(weights.values()))
                rate = self.refining.learning_rate
                weights = {n: w.detach() - rate * slope for (n, w), slope in zip(weights.items(), slopes, strict=True)}
            return weights

    def _logits(self, weights: dict[str, Tensor], features: Tensor) -> Tensor:
        """Of each lane by its own weights: (L, C, side, side) -> (L, size, size)."""

        def one(own: dict[str, Tensor], seen: Tensor) -> Tensor:
            return functional_call(self.model, own, (seen[None],))[0]

        return vmap(one)(weights, features)


class Pixelwise(Tracker):
    """Algorithm 1: starts on masks, says masks; boxes around them are for those who judge boxes.

    size: of a ROI, in pixels. dilation: of the first mask, in these. cut: the probability above which a pixel is the
    target's. A start on an empty mask raises ValueError.
    """

    region = "mask"

    def __init__(
        self,
        backbone: VGG16,
        segmenter: Segmenter,
        locator: Locator,
        roi: ROI,
        size: int,
        dilation: int,
        cut: float,
        device: str,
    ) -> None:
        self.backbone = backbone.to(device).eval()
        self.segmenter, self.locator = segmenter, locator
        self.roi, self.size, self.dilation, self.cut, self.device = roi, size, dilation, cut, device
        self.oracle = isinstance(locator, Near)
        self.found: dict[int, Found] = {}

    def reveal(self, lanes: Sequence[int], sequences: Sequence[VideoSequence], frames: Sequence[int]) -> None:
        assert isinstance(self.locator, Near)  # no other is an oracle
        self.locator.reveal(lanes, sequences, frames)

    @torch.inference_mode()
    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: Sequence[np.ndarray]) -> None:
        for image, mask in zip(images, regions, strict=True):
            if mask.shape != image.shape[:2]:
                raise ValueError(f"expected a mask of the image's size {image.shape[:2]}, got {mask.shape}")
        windows = np.stack([rois.first(mask, self.roi) for mask in regions])
        parts = [rois.cut(mask, window, self.size) for mask, window in zip(regions, windows, strict=True)]
        masks = torch.from_numpy(np.stack(parts)).to(self.device)  # (L, S, S)
        first, masked = self.backbone.both(self._cut(images, windows), dilated(masks, self.dilation))
        self.segmenter.start(lanes, first, masked, masks)
        self.locator.start(lanes, regions)

    @torch.inference_mode()
    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> list[np.ndarray]:
        windows = self.locator.windows(lanes)
        features = self.backbone.pool4(self._cut(images, windows))  # (L, C, side, side)
        maps = self.segmenter(lanes, features).sigmoid().float().cpu().numpy()  # (L, S, S)
        found = []
        for probabilities, window, image in zip(maps, windows, images, strict=True):
            part = rois.spread(probabilities, window)
            found.append(Found(rois.filled(part > self.cut, window, image.shape[:2]), part, window))
        self.locator.see(lanes, found)
        self.found.update(zip(lanes, found, strict=True))
        return [one.mask for one in found]

    def soft(self, lanes: Sequence[int]) -> list[SoftMap] | None:
        return [SoftMap(self.found[lane].window, self.found[lane].probabilities) for lane in lanes]

    def memory(self, lanes: Sequence[int]) -> Mapping[str, np.ndarray] | None:
        return self.segmenter.memory(lanes)

    def _cut(self, images: Sequence[Image], windows: np.ndarray) -> Tensor:
        """ROIs (L, 3, S, S) in 0..255."""
        return crops.sample_on(self.device, images, torch.from_numpy(windows), self.size)
