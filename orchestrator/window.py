"""A window on the display: pictures in it, a box drawn with the mouse, a key that ends it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import TracebackType

import cv2
import numpy as np

from orchestrator.overlay import COLOURS, LINE, WHITE, Box, Page, say
from trackers.sequence import Image

LEAST = 3  # pixels: what is smaller was a click
PAUSE = 0.02  # seconds between two looks at the mouse
END = {ord("q"), 27}  # q and Escape
HINT = "drag a box around the target; q: end"
TRIAL = "import cv2; cv2.namedWindow('trackmeet'); cv2.waitKey(1)"


def pick(image: Image, title: str) -> Box | None:
    """The box that is drawn upon an image; None where the window is ended before. Raises OSError as `Window`."""
    with Window(title) as window:
        while window.ask(image):
            if window.box is not None:
                return window.box
            time.sleep(PAUSE)
    return None


def display() -> bool:
    """Whether there is a display to open a window on."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


class Window:
    """Shows what it is given. Raises OSError where this OpenCV opens no window here.

    One is tried in another process first: where the display is gone, Qt ends the process that asks for it.
    """

    def __init__(self, title: str) -> None:
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")  # OpenCV brings no fonts, and needs none
        tried = subprocess.run([sys.executable, "-c", TRIAL], capture_output=True, text=True, timeout=60)
        if tried.returncode:
            lines = [line for line in tried.stderr.splitlines() if line.strip()] or ["nothing was said"]
            said = next((line for line in lines if "display" in line), lines[-1])
            raise OSError(
                f"display {os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY') or ''}: "
                f"expected a window of OpenCV's, got none: {said}"
            )
        self.title = title
        self._corners: list[tuple[int, int]] = []  # where the mouse went down, and where it is, or was let go
        self._drawn = False
        self._scale = 1.0
        cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
        cv2.setMouseCallback(title, self._mouse)

    def show(self, picture: Image) -> bool:
        """Show an RGB picture; False where whoever looks has ended it: by q, Escape, or by closing the window."""
        cv2.imshow(self.title, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        return self.goes_on()

    def goes_on(self) -> bool:
        """Let the window live for a moment; False where it was ended."""
        key = cv2.waitKey(1) & 0xFF
        return key not in END and cv2.getWindowProperty(self.title, cv2.WND_PROP_VISIBLE) > 0

    def ask(self, image: Image) -> bool:
        """Show a frame upon which a box may be drawn; False as `show`."""
        page = Page(image.shape[:2], ())
        shown = page.resized(image).copy()
        self._scale = page.scale
        if len(self._corners) == 2:
            cv2.rectangle(shown, self._corners[0], self._corners[1], COLOURS[0], 2)
        shown[:LINE] //= 4  # so that words can be read upon it
        say(shown, HINT, 0, 0, WHITE)
        return self.show(shown)

    @property
    def held(self) -> bool:
        """Whether the mouse is down: the picture under it should not change."""
        return len(self._corners) > 0 and not self._drawn

    @property
    def box(self) -> Box | None:
        """What was drawn, in pixels of the frame; None before the mouse is let go."""
        if not self._drawn:
            return None
        (left, right), (top, bottom) = (sorted(ends) for ends in zip(*self._corners, strict=True))
        x, y, w, h = np.array([left, top, right - left, bottom - top]) / self._scale
        return float(x), float(y), float(w), float(h)

    def _mouse(self, event: int, x: int, y: int, flags: int, given: object) -> None:
        if event == cv2.EVENT_LBUTTONDOWN:
            self._corners, self._drawn = [(x, y)], False
        elif self.held and event in (cv2.EVENT_MOUSEMOVE, cv2.EVENT_LBUTTONUP):
            self._corners[1:] = [(x, y)]
            if event == cv2.EVENT_LBUTTONUP:
                (x0, y0), (x1, y1) = self._corners
                self._drawn = min(abs(x1 - x0), abs(y1 - y0)) >= LEAST
                self._corners = self._corners if self._drawn else []

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cv2.destroyWindow(self.title)
        cv2.waitKey(1)
