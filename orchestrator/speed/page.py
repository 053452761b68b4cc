"""Opening the report of a large comparison in a browser: how long that takes, and what is loaded for it."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from orchestrator.browser import browser
from orchestrator.report.build import build
from orchestrator.speed import invented

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TRACKERS, SEQUENCES, FRAMES = 20, 100, (250, 350)
SECONDS, MEGABYTES = 2.0, 10.0  # that opening may take
PLACES = {  # in the page, and when what one goes there for is there
    "#overview": "document.readyState === 'complete'",
    f"#{invented.STUDY}": f"document.getElementById('{invented.STUDY}').checkVisibility()",
    "#explorer": "/frame \\d+ of/i.test(document.getElementById('explorer-status').textContent)",
}


@dataclass(frozen=True)
class Opening:
    """What it took until what was asked for was there. files: what was read for it, bytes by path."""

    seconds: float
    files: dict[Path, int]


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Against the limits; the browser is there already, and forgets each time what it has read."""
    found: dict[str, list[Opening]] = {place: [] for place in PLACES}
    with tempfile.TemporaryDirectory(prefix="trackmeet-") as folder, browser() as chromium:
        page = large_report(Path(folder))
        for _ in range(repeats + 1):
            for place, ready in PLACES.items():
                found[place].append(opening(chromium, page, place, ready))
    read = {path: size for openings in found.values() for path, size in openings[0].files.items()}
    size = f"the report of {TRACKERS} trackers x {SEQUENCES} sequences, against the limit"
    return [
        *(
            _row(f"opening {place} of {size}", statistics.median(one.seconds for one in openings[1:]), SECONDS, "s")
            for place, openings in found.items()  # the first turn is to warm up
        ),
        _row(f"what is read of {size}", sum(read.values()) / 1e6, MEGABYTES, "MB"),
    ]


def _row(what: str, ours: float, limit: float, unit: str) -> dict[str, Any]:
    return {"what": what, "ours": ours, "other": limit, "unit": unit, "ratio": limit / ours, "target": 1.0}


def large_report(folder: Path) -> Path:
    """Make one up below `folder` -> its page."""
    return build(invented.write(folder, TRACKERS, SEQUENCES, FRAMES), folder / "report")


def opening(chromium: Browser, path: Path, place: str, ready: str) -> Opening:
    """Open a page from disk at this place, in a window of its own. ready: what is true in the page once it is."""
    files: dict[Path, int] = {}
    context = chromium.new_context()
    try:
        page = context.new_page()
        page.on("request", lambda request: files.update(_file(request.url)))
        start = time.perf_counter()
        page.goto(path.resolve().as_uri() + place)
        page.wait_for_function(ready)
        seconds = time.perf_counter() - start
        page.wait_for_load_state("networkidle")
        return Opening(seconds, files)
    finally:
        context.close()


def _file(url: str) -> dict[Path, int]:
    """What is read of the disk; nothing where data stands in the address itself."""
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    return {path: path.stat().st_size} if parts.scheme == "file" and path.exists() else {}
