from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import score_files
from orchestrator.report import charts, claims, paper, results, scores, strips, tables
from orchestrator.report.build import build
from orchestrator.report.paper import Chart, Comparison, PaperTable
from orchestrator.report.section import Compared, Section
from orchestrator.report.summary import Summary, summaries
from trackers.evaluation import ope
from trackers.evaluation.scores import Score

TRACKERS = {"RMAN": 0.6, "Baseline": 0.5, "Baseline+LSTM": 0.49}  # and how good they are
NAMES = tuple(f"s{i}" for i in range(8))
ATTRIBUTES = {"DEF": ["s0", "s1", "s2"], "OCC": ["s3", "s4"]}


def measured(quality: float) -> tuple[list[Score], list[Score]]:
    """Success and precision of 8 sequences, which differ by 0.01; of 0.1 more pixels the centre is 20 pixels near."""
    values = quality + np.arange(8)[:, None] / 100
    found = {"success_auc": values, "precision_20": values + 0.1, "cle": 20 - 10 * values, "os_50": values + 0.2}
    ones = np.ones((8, 1))
    of = [Score(name, "otb", "one_pass", "all", None, NAMES, value, ones) for name, value in found.items()]
    reached = np.minimum(1, ope.PRECISION.thresholds / 20) * (values + 0.1)
    curve = Score("precision", "otb", "one_pass", "all", None, NAMES, reached, np.ones_like(reached))
    return of, [curve]


def reset(quality: float) -> list[Score]:
    """Accuracy and failures on frames of two tags."""
    found = []
    for subset, shift in (("all", 0.0), ("camera_motion", 0.0), ("occlusion", 0.2)):
        accuracy, robustness = np.full((8, 1), quality - shift), np.full((8, 1), 1 - quality)
        for measure, value in (("accuracy", accuracy), ("robustness", robustness), ("eao", accuracy / 2)):
            if measure != "eao" or subset == "all":
                kept = Score(measure, "trackmeet", "supervised_reset", subset, None, NAMES, value, np.ones((8, 1)))
                found.append(kept)
    return found


def pictures(sequences: tuple[str, ...], remembers: bool) -> dict[str, np.ndarray]:
    """One frame of each."""
    kept: dict[str, np.ndarray] = {"sequences": np.array(sequences)}
    for i in range(len(sequences)):
        kept |= {f"numbers/{i}": np.array([4]), f"frames/{i}": np.zeros((1, 20, 30, 3), np.uint8)}
        kept |= {f"regions/{i}": np.full((1, 4), 5.0), f"groundtruth/{i}": np.full((1, 4), 6.0)}
        kept[f"contrast/{i}"] = np.full((1, 2, 40), 1 / 40, np.float32)
        if remembers:
            kept |= {f"patches/{i}": np.zeros((1, 3, 8, 8, 3), np.uint8), f"weights/{i}": np.ones((1, 2), np.float32)}
    return kept


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study rman on OTB-2013 and VOT2016; RMAN and Baseline with speeds and pictures."""
    root = tmp_path_factory.mktemp("rman") / "rman"
    entries = []
    for i, (tracker, quality) in enumerate(TRACKERS.items()):
        entry: dict[str, Any] = dict.fromkeys(("train", "fold", "error", "log"))
        entry |= dict.fromkeys(("name", "key", "tracker", "folder"), tracker) | {"seed": 1, "state": "done"}
        entry |= {"benchmarks": ["OTB-2013", "VOT2016"], "settings": {"family": "rman"}}
        entries.append(entry)
        places = [root / entry["folder"] / benchmark for benchmark in entry["benchmarks"]]
        for place in places:
            place.mkdir(parents=True)
        of_frames, curves = measured(quality)
        score_files.write(places[0], NAMES, ATTRIBUTES, of_frames, curves)
        score_files.write(places[1], NAMES, {}, reset(quality))
        if tracker != "Baseline+LSTM":
            speed: dict[str, Any] = {"fps": 3.0 + i, "fps_with_decoding": 2.0, "efo": 1.0, "hardware": "a CPU"}
            (places[0] / "speed.json").write_text(json.dumps(speed))
            kept = pictures(("Bolt", "Freeman4", "Jumping"), remembers=tracker == "RMAN")
            np.savez(places[0] / "pictures.npz", **kept)  # type: ignore[arg-type]
    data = {name: {"format": "otb", "settings": {}} for name in ("OTB-2013", "VOT2016")}
    study = {"study": "rman", "profile": "paper", "data": data, "lengths": [], "trials": entries}
    study |= {"trackers": list(TRACKERS), "benchmarks": list(data)}
    (root / "study.json").write_text(json.dumps(study))
    return root.parent


@pytest.fixture(scope="module")
def study(folder: Path) -> results.Study:
    return results.read(folder)[0]


@pytest.fixture(scope="module")
def grid(study: results.Study) -> scores.Grid:
    return scores.grid(study, paper.load("rman"))


@pytest.fixture(scope="module")
def otb(grid: scores.Grid) -> Summary:
    [found] = [one for one in summaries(grid) if one.benchmark == "OTB-2013"]
    return found


@pytest.fixture(scope="module")
def section(study: results.Study, grid: scores.Grid, folder: Path) -> Section:
    """All of the study's, but its plots."""
    reported = paper.load("rman")
    pictures = strips.write_strips(study, folder.parent / "strips")
    compared = [Compared(summary, []) for summary in summaries(grid)]
    return Section(study, reported, grid, claims.check(reported, grid), compared, [], pictures, {})


Lines = dict[str, list[str]]


@pytest.fixture(scope="module")
def papers(section: Section) -> dict[int | None, Lines]:
    """By its number, of each of the paper's tables each line's cells, ours before the paper's, by its heading."""
    found: dict[int | None, Lines] = {}
    for printed, table in zip(section.paper.tables, tables.of(section).papers, strict=True):
        found[printed.number] = {
            row.heading.split(",")[0]: [" ".join([c.text, *([c.beside.text] if c.beside else [])]) for c in row.cells]
            for row in table.rows
        }
    return found


def test_trackers_of_the_paper_alone_have_its_numbers(papers: dict[int | None, Lines]) -> None:
    """Table 1 has ours with the paper's below, then the paper's other trackers, a group of columns a benchmark."""
    found = papers[1]
    assert found["RMAN"] == ["13.65 8.06", "0.835 0.884", "– 13.86", "– 0.822"]  # OTB-2015 was not tested
    assert found["CCOT"] == ["15.58", "0.837", "13.99", "0.823"]
    assert list(found)[:3] == ["RMAN", "Baseline", "CCOT"]
    assert len(found) == 11


def test_cells_that_the_paper_leaves_empty(papers: dict[int | None, Lines]) -> None:
    """A dash stands where the paper has no number: of CCOT's precision on UAV123, and of speeds that are ours."""
    assert papers[5]["CCOT"] == ["–", "0.517"]
    assert papers[None]["CCOT"] == ["–", "–", "0.783", "0.573"]
    assert papers[2]["Baseline"] == ["4.00 –"]


def test_speeds_stand_beside_the_papers(papers: dict[int | None, Lines]) -> None:
    """Table 2 has what was measured of speed, without an interval, and the paper's numbers with the digits it has."""
    found = papers[2]
    assert found["RMAN"] == ["3.00 1"]
    assert (found["CCOT"], found["SiamTri"], found["RMAN-ROI"]) == (["0.3"], ["86.3"], ["– –"])


def test_ranks_are_among_the_studys_trackers(papers: dict[int | None, Lines]) -> None:
    """Table 3 has VOT's average ranks in accuracy and in robustness under resets, the best is 1."""
    assert papers[3]["RMAN"] == ["0.300 0.2965", "1.00 1.82", "1.00 2.37"]


def test_figures_show_the_sequences_that_they_choose(section: Section) -> None:
    """A figure shows the sequences that it names, where a benchmark has pictures of any; else all that there are."""
    chosen = Comparison("Figure", "", ("RMAN",), sequences=("Jumping", "Freeman4", "Lost"))
    assert list(section.pictures(chosen)["OTB-2013"]) == ["Freeman4", "Jumping"]
    assert list(section.pictures(replace(chosen, sequences=("Lost",)))["OTB-2013"]) == ["Bolt", "Freeman4", "Jumping"]


def test_recall_and_contrast_are_on_the_page(folder: Path, tmp_path: Path, section: Section) -> None:
    """Figure 3 has the patches of who remembers any, Figure 5 the histograms of both trackers, all in files."""
    html = build(folder, tmp_path / "report").read_text(encoding="utf-8")
    third, fourth, fifth = (html[html.index(f">Figure {number}</h3>") :] for number in (3, 4, 5))
    third, fourth = third.partition(">Figure 4</h3>")[0], fourth.partition(">Figure 5</h3>")[0]
    fifth = fifth.partition('<section id="rman-training"')[0]
    assert re.findall(r"<h4>(.+?)</h4>", third) == ["Freeman4", "Jumping"]
    assert "RMAN/OTB-2013-Freeman4-recalled.png" in third
    assert "recalled" not in fourth + fifth
    assert len(set(re.findall(r"\S+-contrast.png", fifth))) == 2 * 3  # of sequences that the paper has none is there
    assert "of positives with negatives" in fifth
    assert "of positives with negatives" not in third
    for path in re.findall(r'src="(figures/.+?)"', third + fifth):
        assert (tmp_path / "report" / path).is_file()
    own = tmp_path / "report" / strips.trial_folder(section.study, section.study.trials[0])
    assert len(list(own.glob("*"))) == 3 * 3  # with the record of the trial go frames, patches and histograms


def test_numbers_in_the_text_are_called_so() -> None:
    """What stands in the text and in no table is a table without a number; others have theirs."""
    text = PaperTable(None, (), {})
    assert (text.title, replace(text, number=4).title) == ("Numbers in the text", "Table 4")


def test_an_lstm_that_loses_does_not_help(grid: scores.Grid) -> None:
    """One that is worse, or better by less than 0.02, does not help; claims of benchmarks not tested are open."""
    found = {finding.claim.name: finding for finding in claims.check(paper.load("rman"), grid)}
    alone = found["lstm-alone-does-not-help"]
    assert (alone.verdict, round(alone.estimate.effect, 6) if alone.estimate else None) == (claims.HOLDS, -0.01)
    assert found["rman-beats-baseline-precision"].verdict == claims.HOLDS
    assert found["rman-reduces-centre-error"].verdict == claims.HOLDS
    assert found["better-under-deformation"].contrasts[0].estimate.n == 3
    assert found["mal-helps"].verdict == claims.NOT_TESTED


def chart(title: str) -> Chart:
    [found] = [one for one in paper.load("rman").charts if one.title == title]
    return found


def test_precision_plots_name_their_value_at_20_pixels(otb: Summary) -> None:
    """A precision plot has a line a tracker over 0 to 50 pixels; its legend's number is DP_20, the score's own."""
    drawing = charts.draw(chart("Figure 6, left"), [otb], otb)
    assert [point.series for point in drawing.points[::51]] == ["RMAN", "Baseline", "Baseline+LSTM"]
    x, y = np.array([(point.x, point.y) for point in drawing.points[:51]]).T
    assert x.tolist() == list(range(51))
    score = otb.cell("RMAN", "precision_20")
    assert score is not None
    assert charts.height(chart("Figure 6, left"), x, y) == pytest.approx(score.mean)
    assert charts.height(chart("Figure 6, right"), x, y) == pytest.approx(y.mean())


def test_attributes_of_videos_are_subsets(otb: Summary) -> None:
    """Figure 8 has RMAN and Baseline on the attributes that any video has, of the paper's eleven."""
    drawing = charts.draw(chart("Figure 8"), [otb], otb)
    assert [(point.series, point.label) for point in drawing.points] == [
        ("RMAN", "DEF"), ("RMAN", "OCC"), ("Baseline", "DEF"), ("Baseline", "OCC"),
    ]  # fmt: skip
    assert len(chart("Figure 8").subsets) == 11
    assert drawing.points[0].y == pytest.approx(0.71)


def test_speed_stands_against_a_measure(otb: Summary) -> None:
    """A tradeoff has each tracker whose speed was measured, at its frames per second, its score and the interval."""
    of = replace(chart("Speed and accuracy"), trackers=("RMAN",))
    drawing = charts.draw(of, [otb], otb)
    assert [(point.series, point.label, point.x) for point in drawing.points] == [
        ("RMAN", "RMAN", 3), (charts.OTHERS, "Baseline", 4),
    ]  # fmt: skip
    assert drawing.points[0].y == pytest.approx(0.635)
    assert all(p.low is not None and p.high is not None and p.low < p.y < p.high for p in drawing.points)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"patches/0": np.zeros((1, 3, 8, 8, 3), np.uint8)}, "recalled: expected patches .* and None"),
        ({"patches/0": np.zeros((1, 2, 8, 8, 3), np.uint8), "weights/0": np.ones((1, 2))}, r"recalled: .*\(1, 2\)"),
        ({"contrast/0": np.zeros((1, 3, 40))}, r"contrast: expected \(t, 2, bins\)"),
        ({"contrast/0": np.zeros((2, 2, 40))}, "contrast: expected 1 of them, got 2"),
    ],
)
def test_torn_pictures_are_refused(broken: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    """Patches without their weights, or another number of them, and what is no pair of histograms, name the file."""
    (tmp_path / "set").mkdir()
    np.savez(tmp_path / "set/pictures.npz", **(pictures(("a",), remembers=False) | broken))  # type: ignore[arg-type]
    one = results.Trial("", "", "", None, None, 1, "done", None, None, ("set",), {}, tmp_path)
    with pytest.raises(results.ResultsError, match=f"pictures.npz: a: {message}"):
        one.pictures("set")
