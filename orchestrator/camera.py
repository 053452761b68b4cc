"""Frames as they come: from a camera, a stream, or a pipe."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import cv2

from trackers.sequence import Image

STREAM = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
FPS = 25.0  # where the source does not say


class Shot(NamedTuple):
    """One frame, RGB. seconds: when it came, since the first. number: of those that came, from 0."""

    number: int
    seconds: float
    image: Image


def is_live(source: str) -> bool:
    """Whether this is a camera's number, an address, a device or a pipe: nothing that has an end to wait for."""
    path = Path(source)
    if path.exists():
        return path.is_char_device() or path.is_fifo()
    return source.isdecimal() or STREAM.match(source) is not None


class Camera:
    """The newest frame, whenever it is asked for: those that come while nobody asks are dropped, not kept waiting.

    Raises OSError where OpenCV cannot open the source.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # one line says it
        try:
            self._capture = cv2.VideoCapture(int(source) if source.isdecimal() else source)
        finally:
            cv2.utils.logging.setLogLevel(before)
        if not self._capture.isOpened():
            raise OSError(
                f"{source}: expected a camera's number, a stream's address or a device that OpenCV can open, "
                "got one that it cannot"
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = rate if 0 < rate <= 240 else FPS
        self._news = threading.Condition()
        self._newest: Shot | None = None
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)  # a camera may be silent for ever
        self._reader.start()

    def next(self, seconds: float) -> Shot | None:
        """The newest frame, once; None where none comes within so many seconds, and where there are no more."""
        with self._news:
            self._news.wait_for(lambda: self._newest is not None or self._ended, seconds)
            shot, self._newest = self._newest, None
        return shot

    @property
    def ended(self) -> bool:
        """Whether all that came has been taken."""
        with self._news:
            return self._ended and self._newest is None

    def _read(self) -> None:
        number, since = 0, 0.0
        while not self._ended:
            came, image = self._capture.read()
            with self._news:
                if not came:
                    self._ended = True
                else:
                    now = time.perf_counter()
                    since = since or now
                    self._newest = Shot(number, now - since, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
                    number += 1
                self._news.notify_all()
        self._capture.release()

    def __enter__(self) -> Camera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._reader.join(1.0)
