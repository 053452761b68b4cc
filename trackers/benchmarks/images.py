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
        content = self.files.read(self.names[t])
        try:
            return decode(content)
        except ValueError as error:
            raise ValueError(f"{self.files.show(self.names[t])}: {error}") from error

    def encoded(self, t: int) -> bytes:
        """The file of a frame as it is, whether or not it can be decoded."""
        return bytes(self.files.read(self.names[t]))


def decode(content: bytes | memoryview | np.ndarray) -> Image:
    """The image in a file of these bytes. Raises ValueError where it is none."""
    try:
        # Orientation tags are ignored: annotations were made on the pixels as they are stored.
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # an empty file, or a header that promises more pixels than there may be
        image = None
    if image is None:
        raise ValueError("expected an image, found one that cannot be decoded")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
