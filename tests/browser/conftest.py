from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from orchestrator.browser import NoBrowserError, browser
from orchestrator.conduct import find_data
from orchestrator.facts import Done, Facts, Host
from orchestrator.params import Report
from orchestrator.paths import Paths
from orchestrator.report.build import build
from orchestrator.report.explorer import opener
from orchestrator.speed import invented
from trackers.evaluation import archive

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SEQUENCES, FRAMES = 4, 40
TRACKERS = ("Tracker 1", "Tracker 2", "Tracker 3")  # the first is tested in two folds; the second shows where it looks
FAILED = "Tracker 4"
FRAME_SHOWN = "/frame \\d+ of/i.test(document.getElementById('explorer-status').textContent)"
OPEN = """() => {
  for (const chapter of document.querySelectorAll("main > [id]")) chapter.hidden = false;
  for (const folded of document.querySelectorAll("details")) folded.open = true;
}"""
DRAW = """async () => {
  for (const plot of document.querySelectorAll("[data-plot]")) {
    plot.scrollIntoView();
    for (let i = 0; i < 100 && plot.querySelector(".picture > img"); i++) await new Promise((go) => setTimeout(go, 30));
  }
  document.getElementById("explorer").scrollIntoView();
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of a file; they are skipped where there is none."""
    try:
        with browser() as found:
            yield found
    except NoBrowserError as error:
        pytest.skip(str(error))


@dataclass
class Visit:
    """A page that is open. problems: what it complained of. requests: addresses that it asked for."""

    page: Page
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def see_all(self) -> None:
        """All chapters at once, with all that can be folded open, all plots drawn, and a frame in the explorer."""
        for script in (OPEN, DRAW):
            self.page.evaluate(script)
        self.page.wait_for_function(FRAME_SHOWN)


@pytest.fixture
def visit(chromium: Browser, report: Path) -> Iterator[Callable[..., Visit]]:
    """Open the report: with what follows its address, and a window of these properties."""
    contexts = []

    def open_page(hash: str = "", width: int = 1300, **properties: Any) -> Visit:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **properties)
        contexts.append(context)
        context.set_default_timeout(10_000)
        one = Visit(context.new_page())
        one.page.on("console", lambda said: one.problems.append(said.text) if said.type == "error" else None)
        one.page.on("pageerror", lambda error: one.problems.append(str(error)))
        one.page.on("requestfailed", lambda request: one.problems.append(f"not found: {request.url}"))
        one.page.on("request", lambda request: one.requests.append(request.url))
        one.page.goto(report.as_uri() + hash)
        return one

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three trackers on four sequences, and one that failed; not to be changed."""
    root = tmp_path_factory.mktemp("browser")
    folder = invented.write(root, len(TRACKERS), SEQUENCES, (FRAMES, FRAMES), pictured=SEQUENCES, folds=2)
    place = folder / invented.STUDY
    study = json.loads((place / "study.json").read_text())
    failed = {"name": FAILED, "tracker": FAILED, "folder": "Tracker_4", "state": "failed"}
    study["trials"].append({**study["trials"][-1], **failed, "error": "ValueError: loss is NaN", "log": "/logs/a.log"})
    study["trackers"].append(FAILED)
    (place / "study.json").write_text(json.dumps(study))
    _write_attention(place / "Tracker_2" / invented.BENCHMARK)
    return folder


def _write_attention(place: Path) -> None:
    """Where the tracker looked in two frames of the first sequence: more and more to the right."""
    sequences, runs = archive.load(place / invented.PROTOCOL / "trajectories.npz")
    numbers = np.array([5, 20])
    frames = np.full((2, 48, 64, 3), 120, np.uint8)
    regions = runs[0].boxes[numbers] * 48 / 480
    attention = np.broadcast_to(np.linspace(0, 1, 64), (2, 48, 64)).astype(np.float16)
    kept = {"numbers": numbers, "frames": frames, "regions": regions, "groundtruth": regions, "attention": attention}
    named = {f"{name}/0": value for name, value in kept.items()}
    np.savez_compressed(place / "pictures.npz", sequences=np.array([sequences[0].name]), **named)


@pytest.fixture(scope="module")
def report(results: Path) -> Path:
    """The page of these results, with frames and what they cost."""
    paths = Paths(results.parent)
    return build(results, results.parent / "report", Report(side=160), known(), opener(find_data(paths)))


def known() -> Facts:
    """Two workers did four jobs."""
    spans = [("train", 0.0, 30.0), ("track", 0.0, 12.0), ("track", 12.0, 31.0), ("score", 31.0, 32.0)]
    done = tuple(
        Done(
            f"key {i}",
            kind,
            f"invented / job {i}",
            (("invented", TRACKERS[i % 3]),),
            1,
            began,
            ended,
            ended - began,
            "h",
        )
        for i, (kind, began, ended) in enumerate(spans)
    )
    return Facts("abc", "def", "profile: toy\n", {"torch": "2"}, "toy", done=done, hosts=(Host("h"),))
