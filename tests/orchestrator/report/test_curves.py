from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import score_files
from orchestrator.report import comparisons, curves
from orchestrator.report.build import build
from trackers.evaluation.scores import Score

Write = Callable[..., Path]
NAMES = ("a", "b", "c", "d", "e")
SPEED = {"fps": 50.0, "fps_with_decoding": 20.0, "efo": 4.0, "hardware": "a CPU"}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def out(write_results: Write, trials: list[dict[str, Any]], tmp_path: Path) -> Path:
    """The report of two trackers on whole sequences, of which a and b have the attribute OCC."""
    del trials[:-2]
    for trial, tracker, quality in zip(trials, ("ConvTracker", "KerCorrTracker"), (0.9, 0.5), strict=True):
        trial |= {"tracker": tracker, "benchmarks": ["MNIST-Single-Same"]}
        trial["quality"] = quality
    qualities = [trial.pop("quality") for trial in trials]
    folder = write_results(study="mine", lengths=[], trackers=["KerCorrTracker", "ConvTracker"])
    for trial, quality in zip(trials, qualities, strict=True):
        falling = (np.linspace(1, 0, 21) ** 2) * (quality - np.arange(5)[:, None] / 20)
        terms = falling, np.ones_like(falling)
        place = folder / "rectracker" / trial["folder"] / "MNIST-Single-Same"
        measured = Score("success_auc", "otb", "one_pass", "all", None, NAMES, *terms)
        curve = Score("success", "otb", "one_pass", "all", None, NAMES, *terms)
        score_files.write(place, NAMES, {"OCC": ["a", "b"]}, [measured], [curve])
        (place / "speed.json").write_text(json.dumps(SPEED))
    return build(folder, tmp_path / "report").parent


def test_a_curve_is_a_point_a_row(out: Path) -> None:
    """Of all sequences with its band, of an attribute without; their mean is the score of the measure."""
    rows = read_csv(out / "curves.csv")
    assert tuple(rows[0]) == curves.COLUMNS
    own = [row for row in rows if (row["tracker"], row["subset"]) == ("ConvTracker", "all")]
    assert [float(row["x"]) for row in own] == pytest.approx(np.linspace(0, 1, 21).tolist())
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in own)
    assert {(row["n"], row["convention"], row["curve"]) for row in own} == {("5", "otb", "success")}
    [score] = [
        row
        for row in read_csv(out / "scores.csv")
        if (row["tracker"], row["subset"], row["measure"]) == ("ConvTracker", "all", "success_auc")
    ]
    assert float(score["value"]) == pytest.approx(np.mean([float(row["value"]) for row in own]), abs=1e-6)
    hidden = [row for row in rows if (row["tracker"], row["subset"]) == ("ConvTracker", "OCC")]
    assert {(row["n"], row["low"]) for row in hidden} == {("2", "")}
    assert float(hidden[0]["value"]) == pytest.approx((0.9 + 0.85) / 2, abs=1e-6)


def test_the_page_shows_curves_and_comparisons(out: Path) -> None:
    """Under each table there are its curves, the trackers against each other, and their ranks, by convention."""
    page = (out / "index.html").read_text(encoding="utf-8")
    place = "mine-mnist-single-same-one-pass-otb"
    assert f'data-plot="{place}-success"' in page
    assert "ConvTracker minus" in page
    assert "convention otb" in page
    assert "critical difference" in page
    [pair] = read_csv(out / "comparisons.csv")
    assert tuple(pair) == comparisons.COLUMNS
    assert (pair["tracker"], pair["than"], pair["n"]) == ("KerCorrTracker", "ConvTracker", "5")
    assert float(pair["effect"]) == pytest.approx(-0.4 * np.mean(np.linspace(1, 0, 21) ** 2), abs=1e-6)
    assert {row["tracker"]: float(row["rank"]) for row in read_csv(out / "ranks.csv")} == {
        "ConvTracker": 1,
        "KerCorrTracker": 2,
    }


def test_speeds_are_scores_without_an_interval(out: Path) -> None:
    """Frames per second and EFO have a row each, of one measurement."""
    rows = {row["measure"]: row for row in read_csv(out / "scores.csv") if row["tracker"] == "KerCorrTracker"}
    assert float(rows["fps"]["value"]) == 50
    assert float(rows["efo"]["value"]) == 4
    for row in (rows["fps"], rows["efo"]):
        assert (row["low"], row["high"], row["n"], row["convention"]) == ("", "", "1", "trackmeet")
