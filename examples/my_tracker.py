"""A tracker of one's own, in two methods: the patch near the last box that looks most like the first.

It takes part in a study by its name in params.yaml; the constructor's arguments are its settings:

    trackers:
      Template: {family: "examples.my_tracker:TemplateTracker", reach: 20}
"""

import cv2
import numpy as np

from trackers.boxes import clip


class TemplateTracker:
    """Normalized cross-correlation. reach: how far the target may move in a frame, in pixels."""

    def __init__(self, reach: int = 20) -> None:
        self.reach = reach

    def initialize(self, image: np.ndarray, region: np.ndarray) -> None:
        """The target is at `region` (x, y, width, height) of `image`, uint8 RGB (height, width, 3)."""
        height, width = image.shape[:2]
        self.x, self.y, self.w, self.h = clip(region, width, height).round().astype(int)
        self.template = image[self.y : self.y + self.h, self.x : self.x + self.w]

    def update(self, image: np.ndarray) -> np.ndarray:
        """Where the target is in the next image."""
        left, top = max(0, self.x - self.reach), max(0, self.y - self.reach)
        around = image[top : self.y + self.h + self.reach, left : self.x + self.w + self.reach]
        likeness = cv2.matchTemplate(around, self.template, cv2.TM_CCOEFF_NORMED)
        _, _, _, (dx, dy) = cv2.minMaxLoc(likeness)
        self.x, self.y = left + dx, top + dy
        return np.array([self.x, self.y, self.w, self.h])
