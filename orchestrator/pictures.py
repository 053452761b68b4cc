"""Pictures of the report and of MLflow's comparison, for the documentation: what `make pictures` writes.

docs/pictures/report.png           the top of the report's page
docs/pictures/explorer.png         its sequence explorer, at the frame where the shown tracker is worst
docs/pictures/mlflow-charts.png    the curves and scores of a study's trials over each other
docs/pictures/mlflow-compare.png   the trials beside each other
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
from orchestrator.mlflow_store import default_uri
from orchestrator.mlflow_ui import links, ui_command
from orchestrator.paths import Paths, here

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

STUDY = "rman"  # the one that is shown: of many trackers on several benchmarks
WIDTH, HEIGHT = 1400, 900  # pixels
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
    with _window(chromium) as window:
        window.goto(page.resolve().as_uri())
        window.wait_for_load_state("networkidle")
        yield _picture(window, folder / "report.png")
        explorer = window.locator("#explorer")
        explorer.scroll_into_view_if_needed()
        window.wait_for_function("/frame \\d+ of/i.test(document.getElementById('explorer-status').textContent)")
        window.locator("#explorer-worst").click()
        window.wait_for_timeout(1000)
        explorer.screenshot(path=folder / "explorer.png")
        yield folder / "explorer.png"


def _of_mlflow(chromium: Browser, paths: Paths, folder: Path) -> Iterator[Path]:
    with _served(paths.root) as address, _window(chromium) as window:
        found = links(default_uri(paths.root), STUDY, address)
        for link, name in ((found["charts"], "mlflow-charts.png"), (found["compare"], "mlflow-compare.png")):
            window.goto("about:blank")  # else only what follows # changes, and nothing is loaded
            window.goto(link)
            with suppress(Exception):  # it may ask the server on and on
                window.wait_for_load_state("networkidle", timeout=20_000)
            window.wait_for_timeout(5000)  # for the plots, which are drawn one by one
            _close_assistant(window)
            yield _picture(window, folder / name)


def _close_assistant(window: Page) -> None:
    """MLflow's, which opens by itself and takes a quarter of the window."""
    title = window.get_by_text("MLflow Assistant", exact=True)
    if title.count():
        title.locator("xpath=ancestor::*[.//button][1]").get_by_role("button").last.click()
        window.wait_for_timeout(2000)  # the plots take the room


def _picture(window: Page, path: Path) -> Path:
    window.screenshot(path=path)
    return path


@contextmanager
def _window(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
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
