"""FlowTracker: a whole family in one file. It follows the target's corners by optical flow.

Lucas-Kanade flow of the corners in the box, those that do not come back left out; the box moves by
their median shift and grows by the median change of their distances (Kalal et al. 2010, Forward-Backward
Error). It takes part in a study by its name in params.yaml:

    trackers:
      Flow: {family: examples.flow, corners: 50}
"""

from dataclasses import dataclass

import cv2
import numpy as np

from trackers.tracker import SingleTracker, Tracker
from trackers.training import Step, Weights


@dataclass(frozen=True)
class Config:
    """The settings. corners: at most so many are followed. tolerance: of their way back, in pixels."""

    corners: int = 50
    tolerance: float = 1.0

    def __post_init__(self) -> None:
        if self.corners < 1:
            raise ValueError(f"corners: expected at least 1, got {self.corners}")


def steps(config: Config) -> list[Step]:
    """Nothing is trained."""
    return []


def tracker(config: Config, weights: Weights, device: str) -> Tracker:
    """OpenCV follows one video at a time: each lane gets a FlowTracker of its own."""
    return SingleTracker(lambda: FlowTracker(config))


class FlowTracker:
    """One video."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def initialize(self, image: np.ndarray, region: np.ndarray) -> None:
        """The target is at `region` (x, y, width, height) of `image`, uint8 RGB (height, width, 3)."""
        self.grey, self.box = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.array(region, float)

    def update(self, image: np.ndarray) -> np.ndarray:
        """Where the target is in the next image; where it was, if no corner can be followed."""
        before, now = self.grey, cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        old = self._corners()  # (n, 2)
        if len(old):
            new, found, _ = cv2.calcOpticalFlowPyrLK(before, now, old, None)
            back, found_back, _ = cv2.calcOpticalFlowPyrLK(now, before, new, None)
            returned = np.linalg.norm(back - old, axis=1) < self.config.tolerance
            followed = returned & (found[:, 0] == 1) & (found_back[:, 0] == 1)
            self._move(old[followed], new[followed])
        self.grey = now
        return self.box

    def _corners(self) -> np.ndarray:
        """Corners inside the box, (n, 2) float32."""
        mask = np.zeros_like(self.grey)
        left, top = self.box[:2].round().astype(int).clip(0)
        right, bottom = (self.box[:2] + self.box[2:]).round().astype(int).clip(0)
        mask[top:bottom, left:right] = 255
        corners = cv2.goodFeaturesToTrack(self.grey, self.config.corners, qualityLevel=0.01, minDistance=2, mask=mask)
        return np.empty((0, 2), np.float32) if corners is None else corners.reshape(-1, 2)

    def _move(self, old: np.ndarray, new: np.ndarray) -> None:
        """Move the box as its corners moved, from `old` to `new`, (n, 2) both."""
        if len(old) == 0:
            return
        one, other = np.triu_indices(len(old), 1)
        apart = [np.linalg.norm(points[one] - points[other], axis=1) for points in (old, new)]
        scale = np.median(apart[1] / apart[0]) if len(one) else 1.0
        centre = self.box[:2] + self.box[2:] / 2 + np.median(new - old, axis=0)
        size = self.box[2:] * scale
        self.box = np.concatenate([centre - size / 2, size])
