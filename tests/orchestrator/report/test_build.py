from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from shutil import copytree
from typing import Any
from urllib.parse import unquote

import cv2
import numpy as np
import pytest

from orchestrator.report import claims, colours, scores, strips
from orchestrator.report.build import build, trial_figures
from orchestrator.report.explorer import link
from orchestrator.report.results import ResultsError
from orchestrator.report.terminal import as_text

Write = Callable[..., Path]


class Page(HTMLParser):
    """What a page refers to, its text, and whether its tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.resources: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in ("meta", "link", "img", "source", "br", "wbr", "input"):
            self.open.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.resources += [given[name] for name in ("src", "srcset") if name in given]
        self.links += [given["href"]] if "href" in given else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_leads_somewhere(html: Page, out: Path) -> None:
    """Its tags are balanced, its names unique, its links to papers, places in it, sequences or files beside it."""
    assert not html.open
    assert len(set(html.ids)) == len(html.ids)
    assert html.resources
    for path in html.resources:
        assert (out / path).is_file()
    played = set(sequences(out))
    for address in html.links:
        known = address.startswith("https://arxiv.org/") or unquote(address[1:]) in html.ids or address == "data:,"
        assert known or address in played or (out / address).is_file(), address


def sequences(out: Path) -> Iterator[str]:
    """A link to each sequence that the explorer of this report has."""
    found = re.search(r'id="explorer-sets">(.+?)</script>', (out / "index.html").read_text(encoding="utf-8"))
    for number, one in enumerate(json.loads(found[1]) if found else ()):
        text = (out / "explorer" / f"{number}.js").read_text(encoding="utf-8")
        for name in json.loads(text[text.index("{") : text.rindex("}") + 1])["sequences"]:
            yield link(one["study"], one["benchmark"], one["protocol"], name)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_report_is_whole(report: Path) -> None:
    """Tables, claims, metrics, plots and a page, of which every link and picture leads somewhere."""
    rows, verdicts = read_csv(report / "scores.csv"), read_csv(report / "claims.csv")
    assert tuple(rows[0]) == scores.COLUMNS
    assert tuple(verdicts[0]) == claims.COLUMNS
    assert (len(rows), len(verdicts)) == (80, 11)
    metrics = json.loads((report / "metrics.json").read_text())
    value = metrics["rectracker"]["MNIST-Multi-Same"]["average_overlap/160"]["ConvTracker"]
    assert f"{value:.6f}" in {row["value"] for row in rows}
    plot = read_csv(report / "plots/lengths/rectracker.csv")
    assert list(dict.fromkeys(row["x"] for row in plot)) == ["20", "40", "80", "160"]

    html = Page((report / "index.html").read_text(encoding="utf-8"))
    assert_leads_somewhere(html, report)
    assert "not comparable" in html.text
    assert "0.36 ± 0.12" in html.text  # ConvTracker's first cell in the paper's Table 1


def test_a_report_of_several_studies_is_whole(vot_report: Path) -> None:
    """With charts, and with ranks of all trackers together, every link and picture leads somewhere, too."""
    assert_leads_somewhere(Page((vot_report / "index.html").read_text(encoding="utf-8")), vot_report)


def test_a_caveat_follows_a_tracker(rolo_results: Path, rolo_report: Path) -> None:
    """A tracker with a caveat has a dagger wherever people read its name, and the sentence below; no file has it."""
    html = (rolo_report / "index.html").read_text(encoding="utf-8")
    page = Page(html)
    assert_leads_somewhere(page, rolo_report)
    assert '<th scope="row">ROLO-Released†</th>' in html
    assert '<th scope="row">ROLO-Released</th>' not in html
    assert '<th scope="row">ROLO-Released,' not in html
    assert "† ROLO-Released: It is shown the groundtruth of every frame." in page.text
    for path in rolo_report.glob("*.csv"):
        assert "†" not in path.read_text()
    text = as_text(rolo_results)
    assert re.search(r"^  ROLO-Released† +0\.", text, re.MULTILINE)
    assert "\nROLO-Released†: It is shown the groundtruth of every frame." in text


def test_what_the_data_lacks_is_said(rolo_report: Path) -> None:
    """The page names the sequences that a data set should have and has not."""
    html = (rolo_report / "index.html").read_text(encoding="utf-8")
    assert "Not all of the data is there." in html
    assert "<dt>OTB-30</dt><dd>2 missing: Bird1, Gym</dd>" in html
    assert "<dt>OTB-30-test</dt>" not in html


def test_a_note_stands_below_its_claim(rolo_report: Path) -> None:
    """What readers of a claim must know besides stands below its quote; so does that a claim is ours."""
    html = (rolo_report / "index.html").read_text(encoding="utf-8")
    of_claims = re.findall(r'<details class="claim".*?>(.+?)</details>', html, re.DOTALL)
    [seen, unseen] = [claim for claim in of_claims if "<span>ROLO beats YOLO+SORT" in claim]
    assert "</blockquote>\n<p>ROLO has learnt a third of the labels of these very videos.</p>" in seen
    assert "ours.</p>\n<p>ROLO-Videos has learnt all labels of other videos, and none of these.</p>" in unseen


def test_a_wrong_measure_says_so(rolo_results: Path, rolo_report: Path) -> None:
    """A measure taken over with its mistake is named so, stands where it was measured, and makes nobody the best."""
    html = (rolo_report / "index.html").read_text(encoding="utf-8")
    heading = "released overlap (wrong IoU)</th>"
    tables = [table.partition("</table>")[0] for table in html.split("<caption>") if heading in table]
    assert (
        len([table for table in tables if "OTB-30" in table.partition("</caption>")[0]]) == 3
    )  # one for each protocol
    of = [row for row in tables[0].split("</tr>") if "ROLO-Released†" in row]
    assert "0.675" in of[0]
    assert "<b>0.675" not in of[0]
    assert " overlap (wrong)\n" in as_text(rolo_results)


def test_pictures_are_of_those_who_have_them(rolo_report: Path) -> None:
    """Trackers and data sets without pictures are left out where trackers are shown beside each other."""
    html = (rolo_report / "index.html").read_text(encoding="utf-8")
    block = html[html.index(">Figure 6</h3>") : html.index('<section id="rolo-training"')]
    assert re.findall(r"<summary>(.+?)</summary>", block) == ["OTB-30"]
    assert re.findall(r"<figcaption>(.+?)</figcaption>", block) == ["(a) ROLO-Heatmap"] * 2  # of two sequences


def test_a_table_has_the_trackers_that_ran_there(rolo_report: Path) -> None:
    """Trackers that were not to run on a benchmark have no empty line there."""
    html = (rolo_report / "index.html").read_text(encoding="utf-8")
    table = html[html.index('aria-label="OTB-30-test, one pass') :].partition("</table>")[0]
    assert re.findall(r'<th scope="row">(.+?)</th>', table) == ["ROLO-Third", "YOLO", "ROLO-Videos"]


def test_the_same_results_give_the_same_bytes(results_folder: Path, report: Path, tmp_path: Path) -> None:
    """Every file of a report, pictures too, is the same when it is built again."""
    again = build(results_folder, tmp_path / "report").parent
    first, second = (
        {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for out in (report, again)
    )
    assert first == second


def test_a_failed_trial_is_a_hole_with_its_error(
    write_results: Write, tmp_path: Path, trials: list[dict[str, Any]]
) -> None:
    """The report stands without a failed trial: it names error and log, and the claims that could not be tested."""
    lost = trials[5]
    assert lost["name"] == "RecTracker-Att-3 / MNIST-Multi-Same"
    lost |= {"state": "failed", "error": "NaN loss at <step> 120", "log": "build/logs/1.log"}
    folder, out = write_results(), tmp_path / "report"
    html = Page(build(folder, out).read_text(encoding="utf-8"))
    assert "1 of 9 trials failed" in html.text
    assert "NaN loss at <step> 120" in html.text  # escaped in the file, so that the parser gives it back
    assert "build/logs/1.log" in html.text
    untested = {row["claim"] for row in read_csv(out / "claims.csv") if row["verdict"] == "not tested"}
    assert untested == {"one-and-three-gaussians-hardly-differ", "quality-falls-with-length-RecTracker-Att-3"}
    assert len(read_csv(out / "scores.csv")) == 80 - 8
    lines = {
        row["line"] for row in read_csv(out / "plots/lengths/rectracker.csv") if row["panel"].startswith("MNIST-Multi")
    }
    assert "RecTracker-Att-3" not in lines
    assert as_text(folder).count("failed") == 8


def test_a_study_of_one_tracker_alone_reports(
    write_results: Write, tmp_path: Path, trials: list[dict[str, Any]]
) -> None:
    """With one untrained tracker run, and the others not, there is a report with neither curves nor most claims."""
    for trial in trials[:-1]:
        trial["state"] = "missing"
    folder, out = write_results(), tmp_path / "report"
    build(folder, out)
    tested = {row["claim"] for row in read_csv(out / "claims.csv") if row["verdict"] != "not tested"}
    assert tested == {"quality-falls-with-length-KerCorrTracker"}
    assert "failed" not in as_text(folder)
    assert not list(out.glob("figures/rectracker-training-*"))


def test_a_study_without_a_paper_reports(write_results: Write, tmp_path: Path, trials: list[dict[str, Any]]) -> None:
    """A user's own study has scores and pictures of all its trackers, and no tables or claims."""
    del trials[:-2]
    folder, out = write_results(study="mine"), tmp_path / "report"
    html = Page(build(folder, out).read_text(encoding="utf-8"))
    assert not read_csv(out / "claims.csv")
    assert all(row["paper"] == "" for row in read_csv(out / "scores.csv"))
    assert {"mine-trials", "mine-picture-1"} <= set(html.ids)
    assert not re.search(r"Table \d", html.text)


def test_names_may_be_anything(vot_results: Path, tmp_path: Path) -> None:
    """A study called as a chapter, benchmarks of one file name and a tracker like HTML are all on the page."""
    results, strange = tmp_path / "results", "<b>&"
    entry = json.loads((vot_results / "others" / "study.json").read_text())
    entry |= {"study": "files", "benchmarks": ["VOT2014", "vot2014"], "trackers": [strange, *entry["trackers"]]}
    entry["trials"][0]["tracker"] = strange
    for trial in entry["trials"]:
        trial["benchmarks"] = entry["benchmarks"]
        for benchmark in entry["benchmarks"]:
            source = vot_results / "others" / trial["folder"] / "VOT2014"
            copytree(source, results / "files" / trial["folder"] / benchmark)
    (results / "files" / "study.json").write_text(json.dumps(entry))
    out = tmp_path / "report"
    html = Page(build(results, out).read_text(encoding="utf-8"))
    assert_leads_somewhere(html, out)
    assert strange in html.text
    assert len(list(out.glob("tables/files-scores-*.csv"))) == 2
    assert {"study-files", "study-files-vot2014-supervised-reset-vot-legacy-2"} <= set(html.ids)


def test_damaged_results_leave_the_old_report(write_results: Write, tmp_path: Path) -> None:
    """When a file cannot be read nothing half-written stays, and the report of before stays as it was."""
    folder, out = write_results(), tmp_path / "out" / "report"
    out.mkdir(parents=True)
    (out / "index.html").write_text("the old one")
    (folder / "rectracker" / "KerCorrTracker" / "MNIST-Multi-Diff" / "pictures.npz").write_bytes(b"torn")
    with pytest.raises(ResultsError, match=r"pictures.npz: expected pictures"):
        build(folder, out)
    assert [path.name for path in out.parent.rglob("*")] == ["report", "index.html"]
    assert (out / "index.html").read_text() == "the old one"


def test_each_trial_has_its_figures(results_folder: Path, report: Path, trials: list[dict[str, Any]]) -> None:
    """By a trial's key: a strip of frames for each example sequence, and one of masks where the tracker attends."""
    found = {key: paths for study, key, paths in trial_figures(results_folder, report) if study == "rectracker"}
    keys = {trial["name"]: trial["key"] for trial in trials}
    assert set(found) == set(keys.values())
    assert len(found[keys["RecTracker-ID / MNIST-Single-Same"]]) == 2 * 2
    assert len(found[keys["RecTracker-Att-1 / MNIST-Single-Same"]]) == 2 * 2 * 2
    assert len(found[keys["KerCorrTracker"]]) == 2 * 4
    assert all(path.is_file() for paths in found.values() for path in paths)


def test_a_terminal_of_80_columns_is_enough(results_folder: Path) -> None:
    """All trackers by data set and length, mean ± deviation, in lines of at most 80 characters."""
    lines = as_text(results_folder).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(bool(re.fullmatch(r"  RecTracker-ID +(0\.\d\d ± 0\.\d\d *){4}", line)) for line in lines) == 4


def test_masks_and_memory_are_on_the_page(pixelwise_report: Path) -> None:
    """Videos that several benchmarks cut are shown once: in Fig. 7 of every fold, in Fig. 3 with memory cells."""
    html = (pixelwise_report / "index.html").read_text(encoding="utf-8")
    assert_leads_somewhere(Page(html), pixelwise_report)
    cells, overlays = html[html.index(">Figure 3</h3>") :].split(">Figure 7</h3>")
    overlays = overlays[: overlays.index('<section id="pixelwise-training"')]
    assert re.findall(r"<summary>(.+?)</summary>", overlays) == ["VOT2016-20"]
    assert re.findall(r"<h4>(.+?)</h4>", overlays) == ["s0", "s1"]
    assert re.findall(r"<h4>(.+?)</h4>", cells) == ["s0"]
    assert "ConvLSTM-Near-0/VOT2016-20-s0-memory.png" in cells
    assert "memory.png" not in overlays
    assert len(list((pixelwise_report / "figures").rglob("*-s?*.png"))) == 4 * 2 + 2
    found = {key: paths for _, key, paths in trial_figures(pixelwise_report.parent / "results", pixelwise_report)}
    assert [path.name for path in found["ConvLSTM-Near 1"]] == ["VOT2016-20-s1-memory.png", "VOT2016-20-s1.png"]


def test_trackers_with_a_caveat_are_compared_with_each_other(pixelwise_report: Path) -> None:
    """The paper's tables and claims may be about trackers that compete with nobody: the caveat stands below.

    Of the same videos at several lengths each counts once; a claim may be on another protocol than the paper's.
    """
    html = (pixelwise_report / "index.html").read_text(encoding="utf-8")
    table = html[html.index('<section id="pixelwise-table-2"') : html.index('<section id="pixelwise-table-3"')]
    assert "0.635" in table.partition("<i>0.469")[0].rpartition("<td")[2]
    assert "† ConvLSTM-Near, FCN-Near: It looks." in table
    verdicts = {row["claim"]: row for row in read_csv(pixelwise_report / "claims.csv")}
    for name in ("convlstm-beats-fcn-near-groundtruth", "convlstm-adapts-better-than-fcn"):
        assert (verdicts[name]["verdict"], verdicts[name]["n"]) == ("holds", "8")
    assert verdicts["two-stage-beats-fcn"]["verdict"] == "not tested"
    assert re.search("VOT2016-masks.{0,80}mask iou, random clips", html)


def test_photos_are_written_as_jpeg(write_results: Write, tmp_path: Path, trials: list[dict[str, Any]]) -> None:
    """A strip that would be a large PNG is a JPEG, of less than half its size, for the page and the record alike."""
    del trials[:-1]
    folder, out = write_results(), tmp_path / "report"
    place = folder / "rectracker" / "KerCorrTracker" / "MNIST-Single-Same" / "pictures.npz"
    with np.load(place) as stored:
        kept = dict(stored)
    noise = np.random.default_rng(0).integers(0, 256, (7, 25, 40, 3), np.uint8)
    kept["frames/0"] = np.stack([cv2.resize(frame, (400, 250), interpolation=cv2.INTER_CUBIC) for frame in noise])
    np.savez(place, **kept)
    page = build(folder, out).read_text(encoding="utf-8")
    [(_, _, found)] = trial_figures(folder, out)
    photo = out / "figures/rectracker/KerCorrTracker/MNIST-Single-Same-0000.jpg"
    assert photo in found
    assert len(found) == 2 * 4
    assert "KerCorrTracker/MNIST-Single-Same-0000.jpg" in page
    assert cv2.imread(str(photo)).shape == (200, 7 * 320 + 6 * strips.GAP, 3)
    _, png = cv2.imencode(".png", cv2.imread(str(photo)))
    assert photo.stat().st_size < png.nbytes / 2


def test_pictures_are_written_in_rgb(report: Path) -> None:
    """The PNG on disk has groundtruth and prediction in the colours of the page's legend."""
    image = cv2.imread(str(report / "figures/rectracker/KerCorrTracker/MNIST-Single-Same-0000.png"))[..., ::-1]
    assert image.shape == (200, 7 * 200 + 6 * strips.GAP, 3)
    for colour in (colours.GROUNDTRUTH, colours.PREDICTION):
        assert (image == colour).all(-1).any()
