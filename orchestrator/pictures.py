"""Pictures of the report and of MLflow's comparison, for the documentation: what `make pictures` writes.

docs/pictures/report.png           a benchmark of a study: scores, success and precision
docs/pictures/explorer.png         a sequence in the explorer, where one tracker is about to be lost
docs/pictures/mlflow-charts.png    the curves and scores of a study's trials over each other
docs/pictures/mlflow-compare.png   the trials beside each other
docs/pictures/mlflow-runs.png      the runs of a study, folds below their means
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from orchestrator.browser import browser
from orchestrator.paths import Paths, here
from orchestrator.record.mlflow_store import default_uri
from orchestrator.record.mlflow_ui import links, ui_command

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

VIEWS = (  # file, study, view, and what stands there once it is shown
    ("mlflow-charts.png", "rman", "charts", "Main scores"),
    ("mlflow-compare.png", "rman", "compare", "Run details"),
    ("mlflow-runs.png", "pixelwise", "runs", "matching runs"),
)
SHOWN = "#rman-otb-2013-one-pass-otb"
EXPLORED = "#explorer=goturn/VOT2014/supervised_reset/gear1&t=20&trackers=GOTURN,KerCorrTracker,GOTURN-Images"
WIDTH = 1400  # pixels, of every picture
REPORT, MLFLOW = (1400, 1100), (1700, 1300)  # windows
SHADE = 8  # levels of a colour that become one
PATIENCE = 60.0  # seconds for MLflow to come up


def take(paths: Paths, folder: Path) -> list[Path]:
    """Take all pictures of what is in build/. Raises OSError where there is no report, LookupError without a record."""
    page = paths.report / "index.html"
    if not page.exists():
        raise OSError(f"{page}: expected a report, found none; 'dvc repro' makes it")
    folder.mkdir(parents=True, exist_ok=True)
    with browser() as chromium:
        found = [*_of_report(chromium, page, folder), *_of_mlflow(chromium, paths, folder)]
    for path in found:
        _shrink(path)
    return found


def _of_report(chromium: Browser, page: Path, folder: Path) -> Iterator[Path]:
    with _window(chromium, REPORT) as window:
        window.goto(page.resolve().as_uri() + SHOWN)
        window.locator(f"{SHOWN} .picture svg").first.wait_for()
        window.wait_for_timeout(3000)  # for the plots below it
        yield _picture(window, folder / "report.png")
        window.goto(page.resolve().as_uri() + EXPLORED)
        window.wait_for_function("/frame \\d+ of/i.test(document.getElementById('explorer-status').textContent)")
        window.wait_for_timeout(1000)
        yield _picture(window, folder / "explorer.png")


def _of_mlflow(chromium: Browser, paths: Paths, folder: Path) -> Iterator[Path]:
    with _served(paths.root) as address, _window(chromium, MLFLOW) as window:
        for name, study, view, text in VIEWS:
            window.goto("about:blank")  # else only what follows # changes, and nothing is loaded
            window.goto(links(default_uri(paths.root), study, address)[view])
            window.get_by_text(text).first.wait_for(timeout=1000 * PATIENCE)
            close = window.get_by_role("button", name="Close")
            for _ in range(close.count()):  # the assistant's, and that of a banner
                close.first.click()
            window.wait_for_timeout(8000)  # plots are drawn one by one
            yield _picture(window, folder / name)


def _picture(window: Page, path: Path) -> Path:
    window.screenshot(path=path)
    return path


@contextmanager
def _window(chromium: Browser, size: tuple[int, int]) -> Iterator[Page]:
    """Of this size; pictures of it are WIDTH wide."""
    width, height = size
    context = chromium.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=WIDTH / width, color_scheme="light"
    )
    try:
        yield context.new_page()
    finally:
        context.close()


@contextmanager
def _served(root: Path) -> Iterator[str]:
    """MLflow's UI on the record, at the address that it yields."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(ui_command(root, port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address, until = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE
    try:
        while True:
            with suppress(OSError):
                urllib.request.urlopen(address, timeout=5).close()
                break
            if server.poll() is not None or time.monotonic() > until:
                raise OSError(f"expected MLflow's UI at {address} within {PATIENCE:g} s, got no answer")
            time.sleep(0.3)
        yield address
    finally:
        server.terminate()
        server.wait()


def _shrink(path: Path) -> None:
    """The same in few shades of each colour: a file of half the size."""
    image = np.asarray(cv2.imread(str(path)), np.uint16)
    shades = np.clip((image + SHADE // 2) // SHADE * SHADE, 0, 255).astype(np.uint8)
    cv2.imwrite(str(path), shades, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    for picture in take(here(), Path("docs/pictures")):
        print(f"{picture}: {picture.stat().st_size / 1e3:.0f} kB", file=sys.stderr)
