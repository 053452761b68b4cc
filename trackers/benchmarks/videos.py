"""Frames of a video file, decoded when asked for."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from trackers.sequence import Image

OPEN = 24  # decoders of one video: the 20 segments of TRE, each read forward at its own place, and a few more


class Video:
    """Each number always gives the same frame: files are decoded from the start on, never sought in, because
    where a seek ends differs from codec to codec.

    Reading forward costs one decoding a frame. For a step back, another decoder starts anew while the first
    stays where it is, so that runs that go forward side by side soon have one each. Threads take turns;
    another process that gets a copy opens the file itself. Frames are turned upright as players do.

    Raises ValueError where the file is no video, or has no frame that can be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start()
        self._length = _count(path)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, t: int) -> Image:
        t = range(self._length)[t]
        if self._process != os.getpid():
            # A fork shares places in the file with its parent, but not the threads that decode: what it
            # inherits can be neither read nor released.
            self._inherited = self._decoders
            self._start()
        with self._lock:
            decoder = self._decoder_at(t)
            image = decoder.read()
        if image is None:
            raise ValueError(f"{self.path}: expected {self._length} frames, found that frame {t} cannot be decoded")
        return image

    def close(self) -> None:
        """Give the decoders back; a later read opens the file again."""
        with self._lock:
            for decoder in self._decoders:
                decoder.capture.release()
            self._decoders.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_length": self._length}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()

    def _start(self) -> None:
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._decoders: list[_Decoder] = []  # the one read last is the last

    def _decoder_at(self, t: int) -> _Decoder:
        """The nearest decoder that is not past frame t, moved up to it, or a new one."""
        behind = [decoder for decoder in self._decoders if decoder.next <= t]
        if behind:
            decoder = max(behind, key=lambda decoder: decoder.next)
            self._decoders.remove(decoder)
        else:
            if len(self._decoders) == OPEN:
                self._decoders.pop(0).capture.release()
            decoder = _Decoder(_open(self.path))
        self._decoders.append(decoder)
        while decoder.next < t and decoder.skip():
            pass
        return decoder


@dataclass(eq=False)
class _Decoder:
    """next: number of the frame that comes next."""

    capture: cv2.VideoCapture
    next: int = 0

    def skip(self) -> bool:
        """Pass over a frame; False at the end."""
        passed = self.capture.grab()
        self.next += passed
        return passed

    def read(self) -> Image | None:
        """The next frame; None at the end."""
        read, image = self.capture.read()
        self.next += read
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image) if read else None


def _open(path: Path) -> cv2.VideoCapture:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a video, found no file")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise ValueError(f"{path}: expected a video, found a file that cannot be opened as one")
    return capture


def _count(path: Path) -> int:
    """Frames that can be decoded. What the container promises is believed if the last of them is there, and no more."""
    capture = _open(path)
    promised = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if promised > 0:
        capture.set(cv2.CAP_PROP_POS_FRAMES, promised - 1)
        if capture.grab() and not capture.grab():
            capture.release()
            return promised
    capture.release()
    decoder, count = _Decoder(_open(path)), 0
    while decoder.skip():
        count += 1
    decoder.capture.release()
    if not count:
        raise ValueError(f"{path}: expected a video, found none of its frames can be decoded")
    return count
