"""GOTURN at work (Held et al. 2016, Section 3.4): one forward pass a frame for all lanes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trackers import boxes, crops
from trackers.families.goturn.network import SCALE, Model
from trackers.sequence import Image
from trackers.tracker import Tracker


class GOTURN(Tracker):
    """Follows each target from its crop in the frame before to the same window of the frame that comes.

    A box that leaves the image is cut at its border, and keeps at least one pixel of width and height; where
    the network's answer is no number, the target is said to have stayed.
    """

    def __init__(self, model: Model, size: int, context: float, device: str) -> None:
        self.model = model.to(device).eval()
        self.size = size
        self.context = context
        self.device = device
        self.windows: dict[int, np.ndarray] = {}  # by lane: x, y, width, height, where the target is looked for
        self.targets: dict[int, np.ndarray] = {}  # by lane: that window of the frame before, uint8 RGB

    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        # A target is looked for in the image alone, however large it is said to be.
        self._remember(lanes, images, _inside(np.asarray(regions, float), images))

    @torch.inference_mode()
    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        windows = torch.from_numpy(np.stack([self.windows[lane] for lane in lanes]))  # (L, 4)
        patches = [self.targets[lane] for lane in lanes]
        patches += [crops.cut(image, self.windows[lane]) for lane, image in zip(lanes, images, strict=True)]
        targets, searches = self._resized(patches).chunk(2)  # (L, 3, S, S) each
        of = torch.arange(len(lanes), device=self.device)
        corners = self.model(targets, searches, of).double().cpu() / SCALE  # (L, 4)
        found = crops.from_window(corners, windows).numpy()  # (L, 4)
        half = 0.5 / self.context  # of the target, in units of its window
        stayed = crops.from_window(0.5 + half * torch.tensor([-1.0, -1, 1, 1]).double(), windows).numpy()
        found = np.where(np.isfinite(found).all(1, keepdims=True), found, stayed)
        found = _inside(found, images)
        self._remember(lanes, images, found)
        return found

    def _resized(self, patches: list[np.ndarray]) -> Tensor:
        """Patches of any size -> (N, 3, S, S) in 0..255."""
        whole = torch.tensor([[0, 0, patch.shape[1], patch.shape[0]] for patch in patches])  # (N, 4)
        return crops.sample_on(self.device, patches, whole, self.size)

    def _remember(self, lanes: Sequence[int], images: Sequence[Image], found: np.ndarray) -> None:
        windows = crops.windows(torch.from_numpy(found), self.context).numpy()
        for lane, image, window in zip(lanes, images, windows, strict=True):
            # A copy: an image may be overwritten by the next, and a view would keep all of it.
            self.windows[lane], self.targets[lane] = window, np.array(crops.cut(image, window))


def _inside(found: np.ndarray, images: Sequence[Image]) -> np.ndarray:
    """The part of each box (L, 4) in its image, at least one pixel wide and high."""
    return np.stack([boxes.inside(box, *image.shape[1::-1]) for box, image in zip(found, images, strict=True)])
