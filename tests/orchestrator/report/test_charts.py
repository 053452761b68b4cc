from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.report import charts, claims, paper, results, scores
from orchestrator.report.summary import summaries

LINE = ("GOTURN-14", "GOTURN-37", "GOTURN-157", "GOTURN")


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def rows_of(report: Path, chart: str) -> list[dict[str, str]]:
    return [row for row in read_csv(report / "charts.csv") if row["chart"] == chart]


def scored(report: Path, **of: str) -> dict[str, str]:
    [row] = [row for row in read_csv(report / "scores.csv") if of.items() <= row.items()]
    return row


def test_ranks_are_of_all_trackers(vot_report: Path) -> None:
    """Figure 5 has every tracker of the project at its ranks, and a line through those of fewer videos."""
    rows = rows_of(vot_report, "Figure 5")
    assert tuple(rows[0]) == charts.COLUMNS
    assert tuple(row["label"] for row in rows if row["series"] == "GOTURN") == LINE
    assert len(rows) == 12 + 1  # the other study's KerCorrTracker has other settings, its Identity is the same
    ranks = {
        (row["measure"], row["tracker"]): row["rank"]
        for row in read_csv(vot_report / "ranks.csv")
        if (row["study"], row["subset"]) == ("all", "average")
    }
    for row in rows:
        assert (row["x"], row["y"]) == (ranks["accuracy", row["label"]], ranks["robustness", row["label"]])


def test_speed_stands_against_the_overall_rank(vot_report: Path) -> None:
    """Figure 6 has, in EFO and in frames per second, each tracker whose speed was measured."""
    rows = rows_of(vot_report, "Figure 6")
    assert {row["panel"] for row in rows} == {"EFO", "frames per second"}
    [own] = [row for row in rows if (row["panel"], row["label"]) == ("EFO", "GOTURN")]
    assert (own["series"], float(own["x"]), float(own["y"])) == ("GOTURN", 10, 1)
    assert {row["series"] for row in rows if row["label"] != "GOTURN"} == {charts.OTHERS}
    assert len(rows) == 2 * 13


def test_attributes_are_tags_of_frames(vot_report: Path) -> None:
    """Figure 7 has both trackers on every tag, and on no class of the target, with the scores' own intervals."""
    rows = rows_of(vot_report, "Figure 7")
    assert [row["label"] for row in rows[:4]] == ["camera_motion", "empty", "occlusion", "size_change"]
    assert [row["series"] for row in rows[::4]] == ["GOTURN", "GOTURN-Current"]
    for row in rows:
        of = {"study": "goturn", "tracker": row["series"], "subset": row["label"], "measure": "overall_error"}
        assert [row[name] for name in ("y", "low", "high")] == [
            scored(vot_report, **of)[name] for name in ("value", "low", "high")
        ]


def test_a_trend_goes_by_a_setting(vot_report: Path) -> None:
    """Figure 8 has a line for each kind of class, at the numbers of videos that the trackers were trained on."""
    rows = rows_of(vot_report, "Figure 8")
    assert [float(row["x"]) for row in rows] == 2 * [14, 37, 157, 307]
    assert [row["series"] for row in rows[::4]] == ["class_often", "class_rarely"]


def test_a_trend_has_its_speed_beside_it(rolo_report: Path) -> None:
    """Figure 9 has average overlap and, in another panel, frames per second, by step size."""
    rows = rows_of(rolo_report, "Figure 9")
    assert [(row["panel"], row["label"], float(row["x"]), float(row["y"])) for row in rows] == [
        ("average overlap", "ROLO-Third-1", 1, pytest.approx(0.375)),
        ("average overlap", "ROLO-Third", 6, pytest.approx(0.475)),
        ("frames per second", "ROLO-Third-1", 1, 60),
        ("frames per second", "ROLO-Third", 6, 10),
    ]
    assert [bool(row["low"]) for row in rows] == [True, True, False, False]


def test_success_plots_are_of_the_named_trackers(rolo_report: Path) -> None:
    """Figures 7 and 8 have each named tracker's success by threshold, the best first, a panel a protocol."""
    rows = rows_of(rolo_report, "Figure 8")
    assert list(dict.fromkeys(row["panel"] for row in rows)) == ["temporal robustness", "spatial robustness"]
    first = [row for row in rows if row["panel"] == "temporal robustness"]
    order = ["ROLO", "ROLO-Heatmap", "ROLO-Third", "YOLO", "KerCorrTracker", "YOLO+SORT", "Identity"]
    assert [row["series"] for row in first[::21]] == order
    assert [float(row["x"]) for row in first[:21]] == pytest.approx([i / 20 for i in range(21)])
    area = sum(float(row["y"]) for row in first[:21]) / 21
    of = {"tracker": "ROLO", "protocol": "temporal_robustness", "measure": "success_auc"}
    assert area == pytest.approx(float(scored(rolo_report, study="rolo", **of)["value"]), abs=1e-6)
    held_out = rows_of(rolo_report, "Figure 7 (a)")
    assert {(row["benchmark"], row["panel"]) for row in held_out} == {("OTB-30-test", "")}
    assert [row["series"] for row in held_out[::21]] == ["ROLO-Third", "YOLO", "ROLO-Videos"]


def test_a_roc_is_of_all_pixels_under_random_clips(pixelwise_report: Path) -> None:
    """Figure 4's ROC goes from 0, 0 to 1, 1 through the shares at each level; under it is the score's area."""
    rows = rows_of(pixelwise_report, "Figure 4, left")
    assert list(dict.fromkeys(row["series"] for row in rows)) == ["ConvLSTM-Near", "FCN-Near"]
    own = [(float(row["x"]), float(row["y"])) for row in rows if row["series"] == "FCN-Near"]
    share = 0.5 + 3.5 / 100  # of the target's pixels, the mean of 8 sequences; the others are at the lowest level
    assert list(dict.fromkeys(own)) == [(0, 0), (0, pytest.approx(share)), (1, pytest.approx(share)), (1, 1)]
    of = {"tracker": "FCN-Near", "measure": "pixel_auc", "fold": "all"}
    assert float(scored(pixelwise_report, **of)["value"]) == pytest.approx(share)
    assert {row["low"] for row in rows} == {""}


def test_framewise_iou_has_its_interval(pixelwise_report: Path) -> None:
    """Figure 4's IoU has 32 frames a tracker, the best first, each between the ends of its interval."""
    rows = rows_of(pixelwise_report, "Figure 4, right")
    assert [row["series"] for row in rows[::32]] == ["ConvLSTM-Near", "FCN-Near"]
    assert [float(row["x"]) for row in rows[:32]] == list(range(1, 33))
    mean = sum(float(row["y"]) for row in rows[:32]) / 32
    of = {"tracker": "ConvLSTM-Near", "protocol": "random_clips", "measure": "mask_iou", "fold": "all"}
    assert mean == pytest.approx(float(scored(pixelwise_report, **of)["value"]), abs=1e-6)
    assert all(float(row["low"]) < float(row["y"]) < float(row["high"]) for row in rows)


def test_caveats_go_with_what_is_drawn(rolo_results: Path) -> None:
    """A chart that shows a tracker with a caveat says so; it is drawn last, its points under the tracker's name."""
    study = results.read(rolo_results)[1]
    reported = paper.load("rolo")
    [own] = [one for one in summaries(scores.grid(study, reported)) if one.name == "OTB-30 one_pass otb"]
    chart = replace(reported.charts[1], trackers=("ROLO-Released", "ROLO"))
    drawing = charts.draw(chart, [own], own)
    assert drawing.caveats == {"ROLO-Released": study.caveats["ROLO-Released"]}
    assert [point.series for point in drawing.points[::21]] == ["ROLO", "ROLO-Released"]  # however good
    assert not charts.draw(replace(chart, trackers=("ROLO",)), [own], own).caveats


def test_a_chart_without_data_is_left_out(report: Path) -> None:
    """A study whose paper has no charts draws none."""
    assert read_csv(report / "charts.csv") == []


def test_the_page_has_tables_charts_and_ranks(vot_report: Path) -> None:
    """The page shows the paper's table beside ours, its figures with a mark that they do not compare, and all ranks."""
    page = (vot_report / "index.html").read_text(encoding="utf-8")
    assert "<i>0.43" in page  # below ours
    for number in (5, 6, 7, 8):
        assert f'data-plot="goturn-figure-{number}' in page
        assert list((vot_report / "figures").glob(f"goturn-figure-{number}*.svg"))
    assert page.count("not comparable with the paper’s, see the note above") == 4
    assert "All trackers together" in page
    assert "KerCorrTracker (others)" in page
    assert "Not the paper’s: a check of ours." in page
    assert "GOTURN and GOTURN-14 differ in videos: 307, 14." in page
    assert ">no attribute</th>" in page


def test_printed_errors_are_in_the_tidy_table(vot_report: Path) -> None:
    """scores.csv has the paper's number beside each of the 15 errors that its table prints, and beside no other."""
    printed = [row for row in read_csv(vot_report / "scores.csv") if row["paper"]]
    assert len(printed) == 15
    own = scored(vot_report, study="goturn", tracker="GOTURN", subset="all", measure="overall_error")
    assert own["paper"] == "0.240000"


def test_claims_about_errors(vot_report: Path) -> None:
    """An error that is lower is better; of one sequence nothing is decided; a small advantage is not a large one."""
    found = {row["claim"]: row for row in read_csv(vot_report / "claims.csv")}
    assert len(found) == 14
    assert found["l1-beats-l2"]["verdict"] == claims.HOLDS
    errors = [
        float(scored(vot_report, study="goturn", tracker=tracker, subset="all", measure="overall_error")["value"])
        for tracker in ("GOTURN-L2", "GOTURN")
    ]
    assert float(found["l1-beats-l2"]["effect"]) == pytest.approx(errors[0] - errors[1], abs=2e-6)
    assert found["previous-frame-helps-under-camera-motion"]["verdict"] == claims.HOLDS
    assert found["previous-frame-helps-under-occlusion"]["verdict"] == claims.UNDECIDED
    assert found["previous-frame-hardly-helps-under-size-change"]["verdict"] == claims.FAILS
    ends = [
        float(scored(vot_report, study="goturn", tracker=tracker, subset="all", measure="overall_error")["value"])
        for tracker in (LINE[0], LINE[-1])
    ]
    assert float(found["more-videos-are-better"]["effect"]) == pytest.approx(ends[0] - ends[1], abs=2e-6)
