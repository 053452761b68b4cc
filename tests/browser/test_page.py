"""The report as a person meets it: opened from disk in a browser without a window."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from orchestrator.compare import synthetic
from orchestrator.report.build import build
from orchestrator.speed import invented
from orchestrator.speed.page import MEGABYTES, PLACES, opening
from trackers import boxes
from trackers.evaluation import archive

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

Visit = Callable[..., Any]
FRAME = re.compile(r"frame (\d+) of", re.IGNORECASE)


def explored(page: Page) -> int:
    """The frame that the explorer shows, once it shows one."""
    page.wait_for_function("/frame \\d+ of/i.test(document.getElementById('explorer-status').textContent)")
    found = FRAME.search(page.locator("#explorer-status").text_content() or "")
    assert found
    return int(found[1])


def link(sequence: str, t: int, trackers: str) -> str:
    return f"#explorer={invented.STUDY}/{invented.BENCHMARK}/{invented.PROTOCOL}/{sequence}&t={t}&trackers={trackers}"


def trajectories(results: Path, trial: str) -> Path:
    return results / invented.STUDY / trial / invented.BENCHMARK / invented.PROTOCOL / "trajectories.npz"


def test_the_page_asks_for_nothing_but_its_own_files(visit: Visit, report: Path) -> None:
    """Opened from disk and scrolled through, it complains of nothing and reads files of the report's folder alone."""
    one = visit()
    one.see_all()
    assert one.problems == []
    files = [address for address in one.requests if not address.startswith(("data:", "blob:"))]
    assert [address for address in files if not address.startswith(report.parent.as_uri() + "/")] == []
    assert any("/charts/" in address for address in files)
    assert any("/frames/" in address for address in files)


def table(page: Page, name: str) -> Locator:
    return page.locator(".table").filter(has=page.locator(f'caption a[href="tables/{name}.csv"]'))


def test_tables_sort(visit: Visit) -> None:
    """A click on a column's head sorts its rows by number, another one the other way, a third as they were."""
    kinds = table(visit("#costs").page, "costs-kinds")
    head = kinds.get_by_role("columnheader", name="time", exact=True)
    orders = []
    for _ in range(3):
        head.get_by_role("button").click()
        orders.append((head.get_attribute("aria-sort"), kinds.locator("tbody th").all_text_contents()))
    shortest_first = ["scoring", "training", "tracking"]
    assert orders[0] == ("ascending", shortest_first)
    assert orders[1] == ("descending", shortest_first[::-1])
    assert orders[2] == (None, ["training", "tracking", "scoring"])


def test_tables_filter(visit: Visit) -> None:
    """Words leave the rows that have them, and it is said how many these are."""
    page = visit("#made").page
    sources = table(page, "made-sources")
    sources.evaluate("table => { table.closest('details').open = true; }")
    rows = sources.locator("tbody tr").count()
    sources.get_by_role("searchbox").fill("precision")
    shown = sources.locator("tbody tr:visible").all_text_contents()
    assert 0 < len(shown) < rows
    assert all("precision" in text for text in shown)
    assert sources.locator("output").text_content() == f"{len(shown)} of {rows} rows"


def test_plots_are_drawn_when_they_come_near(visit: Visit) -> None:
    """A plot in a closed chapter is a picture with a name; once near, a drawing that says what is pointed at."""
    page = visit().page
    plot = page.locator("#costs-timeline")
    assert len(plot.locator("img").get_attribute("alt") or "") > 20
    page.evaluate("() => { location.hash = '#costs'; }")
    plot.scroll_into_view_if_needed()
    stage = plot.get_by_role("img")
    bar = stage.locator(".mark-rect path").first
    bar.hover()
    assert "worker" in (page.locator("#vg-tooltip-element").text_content() or "")
    assert len(stage.get_attribute("aria-label") or "") > 20


def test_the_explorer_plays(visit: Visit) -> None:
    """Once it plays, frames follow each other until it is paused."""
    page = visit(link("Sequence001", 2, "Tracker%201")).page
    assert explored(page) == 2
    page.locator("#explorer-speed").select_option("50")
    page.get_by_role("button", name="play", exact=True).click()
    page.wait_for_function("Number(document.getElementById('explorer-time').value) > 6")
    page.get_by_role("button", name="pause", exact=True).click()
    at = explored(page)
    page.wait_for_timeout(100)
    assert explored(page) == at > 6


def test_the_explorer_jumps_to_the_worst_frame(visit: Visit, results: Path) -> None:
    """The worst frame of a tracker is the one with the least overlap, as its trajectory and the groundtruth have it."""
    sequences, runs = archive.load(trajectories(results, "Tracker_3"))
    overlaps = boxes.iou(runs[2].boxes, sequences[2].groundtruth)
    page = visit(link(sequences[2].name, 0, "Tracker%203")).page
    assert explored(page) == 0
    page.locator("#explorer-worst").click()
    assert explored(page) == int(np.argmin(overlaps))
    page.locator("#explorer-worst-list a").first.click()
    explored(page)
    assert "explorer=" in page.url


def test_sequences_are_ranked_by_how_two_trackers_differ(visit: Visit, results: Path) -> None:
    """The sequence whose mean overlaps lie farthest apart stands first, and its link leads there."""
    page = visit(link("Sequence000", 0, "Tracker%202")).page
    explored(page)
    page.locator("#explorer-one").select_option(label="Tracker 2")
    page.locator("#explorer-other").select_option(label="Tracker 3")
    apart = {}
    sequences, first = archive.load(trajectories(results, "Tracker_2"))
    _, second = archive.load(trajectories(results, "Tracker_3"))
    for sequence, one, other in zip(sequences, first, second, strict=True):
        means = [boxes.iou(run.boxes[1:], sequence.groundtruth[1:]).mean() for run in (one, other)]
        apart[sequence.name] = abs(means[0] - means[1])
    ranked = page.locator("#explorer-differences-list li > a")
    assert ranked.all_inner_texts() == sorted(apart, key=lambda name: -apart[name])
    ranked.first.click()
    page.wait_for_function("name => location.hash.includes(name)", arg=max(apart, key=lambda name: apart[name]))


def test_a_link_leads_to_a_frame(visit: Visit) -> None:
    """An address opens its sequence at its frame with its trackers alone; attention is shown where it was kept."""
    page = visit(link("Sequence000", 20, "Tracker%202")).page
    assert explored(page) == 20
    assert (page.locator("#explorer-sequence option:checked").text_content() or "").startswith("Sequence000")
    ticked = [one.input_value() for one in page.locator("#explorer-trackers input").all() if one.is_checked()]
    assert ticked == ["Tracker 2"]
    assert page.locator("#explorer-said").is_visible()


def test_a_link_within_the_page_leads_there(visit: Visit) -> None:
    """From another chapter, too, where the explorer has not been seen before."""
    page = visit("#made").page
    page.evaluate("hash => { location.hash = hash; }", link("Sequence002", 9, "Tracker%203"))
    page.wait_for_timeout(300)
    assert explored(page) == 9
    assert page.locator("#explorer-sequence").input_value() == "2"


def test_frames_show_the_target(visit: Visit, results: Path) -> None:
    """The picture on the stage is of the frame: at the target's centre it has the target's colour."""
    page = visit(link("Sequence000", 0, "Tracker%201")).page
    explored(page)
    page.locator("#explorer-none").click()
    page.locator("#explorer-truth").uncheck()
    page.wait_for_timeout(200)  # for the picture
    stage = cv2.imdecode(np.frombuffer(page.locator("#explorer-stage").screenshot(), np.uint8), cv2.IMREAD_COLOR)
    sequences, _ = archive.load(trajectories(results, "Tracker_2"))
    x, y, width, height = sequences[0].groundtruth[0] * stage.shape[0] / synthetic.SIZE[1]
    blue, green, red = stage[round(y + height / 2), round(x + width / 2)].astype(int)
    assert red > green + 40 > blue + 80


CONTRAST = "color-contrast"


@pytest.mark.parametrize(
    ("window", "rules"),
    [
        ({}, {}),
        ({"color_scheme": "dark"}, {"runOnly": [CONTRAST]}),
        ({"width": 390}, {"rules": {CONTRAST: {"enabled": False}}}),
    ],
    ids=["light", "dark", "on a phone"],
)
def test_nothing_keeps_anybody_out(visit: Visit, window: dict[str, Any], rules: dict[str, Any]) -> None:
    """With all that can be folded open, axe-core finds nothing: names, contrast, roles; nothing sticks out sideways."""
    one = visit(**window)
    one.see_all()
    found = Axe().run(one.page, options={"resultTypes": ["violations"], **rules}).response["violations"]
    assert [(each["id"], node["target"], node["html"][:150]) for each in found for node in each["nodes"][:3]] == []
    assert one.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def tab_to(page: Page, selector: str) -> None:
    """Press the Tab key until this has the focus."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"{selector}: expected to come there by the Tab key, did not in 150 steps")


def test_the_keyboard_is_enough(visit: Visit) -> None:
    """With Tab, Enter and the space bar one chooses a chapter, sorts a table and plays a sequence."""
    page = visit().page
    tab_to(page, ".contents a[href='#costs']")
    page.keyboard.press("Enter")
    assert page.locator("#costs").is_visible()
    assert not page.locator("#explorer").is_visible()
    tab_to(page, "#costs th button")
    page.keyboard.press("Enter")
    assert page.locator("#costs th[aria-sort]").count() == 1
    page = visit(link("Sequence001", 0, "Tracker%201")).page
    explored(page)
    tab_to(page, "#explorer-play")
    page.keyboard.press("Space")
    page.wait_for_function("Number(document.getElementById('explorer-time').value) > 1")


def test_a_large_comparison_opens_light(chromium: Browser, tmp_path: Path, report: Path) -> None:
    """Of 20 trackers on 100 sequences, the overview, a study and the explorer read less than 10 MB in all."""
    out = tmp_path / "report"
    shutil.copytree(report.parent / "assets", out / "assets")  # making it takes seconds
    large = build(invented.write(tmp_path, 20, 100, (20, 30)), out)
    read: dict[Path, int] = {}
    for place, ready in PLACES.items():
        read |= opening(chromium, large, place, ready).files
    assert 0.2 < sum(read.values()) / 1e6 < MEGABYTES


def test_without_scripts_it_still_reads(visit: Visit) -> None:
    """Tables and pictures of all plots are there where scripts are off."""
    page = visit(java_script_enabled=False).page
    assert page.locator(".table tbody tr").count() > 10
    alternatives = [one.get_attribute("alt") for one in page.locator(".plot img").all()]
    assert len(alternatives) > 5
    assert all(alternatives)
