"""Frames that lie in image files, read and decoded when asked for."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from trackers.benchmarks.files import Files
from trackers.sequence import Image


@dataclass(frozen=True)
class Images:
    """One file a frame: .jpg, .png and whatever else OpenCV decodes; grey ones are seen as RGB.

    Raises ValueError for a file that is no image, and FileNotFoundError where there is none, by its name.
    """

    files: Files
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, t: int) -> Image:
        name = self.names[t]
        content = np.frombuffer(self.files.read(name), np.uint8)
        try:
            # Orientation tags are ignored: annotations were made on the pixels as they are stored.
            image = cv2.imdecode(content, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error:  # an empty file, or a header that promises more pixels than there may be
            image = None
        if image is None:
            raise ValueError(f"{self.files.show(name)}: expected an image, found one that cannot be decoded")
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
