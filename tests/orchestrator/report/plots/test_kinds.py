from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from orchestrator.report import colours, plots
from orchestrator.report.charts import OTHERS, Drawing, Point
from orchestrator.report.paper import Chart, Paper
from orchestrator.report.plots import attributes, labels
from orchestrator.report.plots.curves import curve, thinned
from orchestrator.report.plots.folds import folds
from orchestrator.report.plots.plot import Plot
from orchestrator.report.plots.ranked import critical_difference, scores
from orchestrator.report.plots.scatter import accuracy_robustness, speed, ticks
from orchestrator.report.plots.training import training
from orchestrator.report.summary import Summary
from trackers.evaluation.significance import Ranking

Invent = Callable[..., Summary]
QUALITIES = {"Low": 0.2, "High": 0.7, "Middle": 0.5}


def rows(plot: Plot) -> list[dict[str, Any]]:
    return list(plot.spec["data"]["values"])


def legend(plot: Plot) -> dict[str, str]:
    """Colours by what stands in the legend, in its order."""
    scale = plot.spec["layer"][0]["encoding"]["color"]["scale"]
    return dict(zip(scale["domain"], scale["range"], strict=True))


def test_a_curve_has_the_best_first(invented: Invent) -> None:
    """The legend has each tracker with its score, the best first, each in the colour of its place in the study."""
    summary = invented(QUALITIES)
    [drawn] = [curve(summary, name, cells) for name, cells in summary.curves().items()]
    own = colours.of(QUALITIES)
    assert list(legend(drawn).items()) == [
        ("High [0.700]", own["High"]), ("Middle [0.500]", own["Middle"]), ("Low [0.200]", own["Low"])
    ]  # fmt: skip
    assert [row["x"] for row in rows(drawn)[:21]] == pytest.approx([i / 20 for i in range(21)])
    assert rows(drawn)[0]["y"] == pytest.approx(1.4)


def test_long_lines_are_thinned() -> None:
    """Of a line of many points a given number is kept, its ends among them, and none that is unknown."""
    x = np.arange(1000.0)
    y = np.where(x < 10, np.nan, x)
    kept = thinned(x, y, 50)
    assert len(kept) == 50
    assert (kept[0], kept[-1]) == ((10, 10), (999, 999))
    assert thinned(x[:12], y[:12]) == [(10, 10), (11, 11)]


def test_many_trackers_are_told_apart(invented: Invent) -> None:
    """No two of 20 trackers have both the same colour and the same dashes, and the legend makes the plot higher."""
    many = invented({f"T{i}": 0.9 - i / 40 for i in range(20)})
    drawn, few = (curve(one, "success", one.curves()["success"]) for one in (many, invented(QUALITIES)))
    encoding = drawn.spec["layer"][0]["encoding"]
    pairs = zip(encoding["color"]["scale"]["range"], map(str, encoding["strokeDash"]["scale"]["range"]), strict=True)
    assert len(set(pairs)) == 20
    assert drawn.height > few.height
    assert "strokeDash" not in few.spec["layer"][0]["encoding"]


def test_scores_are_ranked_without_those_that_do_not_compete(invented: Invent) -> None:
    """Trackers stand in the order of their scores with their ranks; one with a caveat is last and has none."""
    drawn = scores(invented(QUALITIES, caveats={"High": "Knows the answer."}), "success_auc")
    assert [row["name"] for row in rows(drawn)] == ["1. Middle", "2. Low", "High†"]
    assert all(row["low"] < row["x"] < row["high"] for row in rows(drawn))


def test_a_diagram_joins_what_does_not_differ(invented: Invent) -> None:
    """Each tracker has its average rank, each group a bar over the ranks of its ends, as wide as they are apart."""
    ranking = Ranking({"High": 1.25, "Middle": 1.75, "Low": 3.0}, 0.8, (("High", "Middle"),), 0.01, 4)
    drawn = critical_difference(invented(QUALITIES), "success_auc", ranking)
    [bar] = [row for row in rows(drawn) if row["kind"] == "group"]
    assert (bar["x"], bar["x2"]) == pytest.approx((1.25 - 0.06, 1.75 + 0.06))
    named = [row["text"] for row in rows(drawn) if row["kind"] in ("left", "right")]
    assert named == ["High 1.25", "Middle 1.75", "Low 3.00"]
    assert "critical difference 0.80" in [row.get("text") for row in rows(drawn)]
    tight = critical_difference(invented(QUALITIES), "success_auc", replace(ranking, difference=2.0))
    assert "CD 2.00" in [row.get("text") for row in rows(tight)]  # no room behind its bar
    assert "High 1.25, Middle 1.75, Low 3.00" in drawn.description


def test_speed_is_of_those_measured(invented: Invent) -> None:
    """A tracker without a measurement of speed is not drawn; with fewer than two there is no plot."""
    drawn = speed(invented(QUALITIES, speeds={"High": 10, "Low": 100}), "success_auc")
    assert drawn is not None
    assert {row["tracker"]: row["x"] for row in rows(drawn)} == {"High": 10, "Low": 100}
    assert speed(invented(QUALITIES, speeds={"High": 10}), "success_auc") is None


def test_the_best_are_at_the_upper_right(invented: Invent) -> None:
    """Failures that are fewer, and ranks that are lower, lie further to the right, or up."""
    [raw] = accuracy_robustness(invented(QUALITIES, measures=("accuracy", "robustness")))
    axes = raw.spec["layer"][0]["encoding"]
    assert axes["x"]["scale"]["reverse"]
    assert not axes["y"]["scale"]["reverse"]


def test_names_beside_points_are_on_no_other() -> None:
    """Of points close together each has its name in another corner; one that finds none free has none."""
    close = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])
    names = ["tracker"] * 5
    corners = labels.placed(close, names, (340, 200))
    assert sorted(corners) == [-1, 0, 1, 2, 3]
    assert -1 not in labels.placed(close, names, (340, 200), all_of_them=True)
    [at_the_end] = labels.placed(np.array([[0.98, 0.5]]), ["a long name"], (340, 200))
    assert labels.CORNERS[at_the_end][0] < 0


def test_a_log_axis_has_round_numbers() -> None:
    """There are enough of them inside what it spans, however little that is."""
    assert ticks({"domain": [1, 1000]})["values"] == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    assert ticks({"domain": [140, 260]})["values"] == [150, 200, 250]


def test_few_trackers_stand_beside_each_other_many_in_a_map(invented: Invent) -> None:
    """By attribute a few have points with intervals, more a cell each; both have all sequences first."""
    subsets = ("occlusion", "blur")
    few = attributes.by_attribute(invented(QUALITIES, subsets), "success_auc")
    many = attributes.by_attribute(invented({f"T{i}": 0.9 - i / 40 for i in range(20)}, subsets), "success_auc")
    for drawn, number in ((few, 3), (many, 20)):
        assert len(rows(drawn)) == 3 * number
        assert list(dict.fromkeys(row["subset"] for row in rows(drawn))) == ["all sequences", "blur", "occlusion"]
    assert few.spec["layer"][0]["mark"] == "rule"
    assert many.spec["layer"][0]["mark"]["type"] == "rect"


def test_without_folds_there_is_no_map_of_them(invented: Invent) -> None:
    """Trackers that no cross-validation trained have no folds to show."""
    assert folds(invented(QUALITIES), "success_auc") is None


def test_what_was_not_measured_is_not_drawn(invented: Invent) -> None:
    """A summary without attributes, speeds and folds has curves and scores alone; a study without training no plot."""
    summary = invented(QUALITIES)
    drawn = plots.of_summary(summary, [], "success_auc")
    assert [plot.name for plot in drawn] == [
        f"mine-otb-one-pass-otb-{kind}" for kind in ("success", "success-auc-ranks")
    ]
    assert plots.by_length(Paper(), summary.grid) == plots.training(summary.grid.study) == []


def test_training_that_trials_share_is_one_line(invented: Invent) -> None:
    """Trials with the same values have one grey line; losses over more than a decade have a log axis."""
    study = invented(QUALITIES).grid.study
    for trial, last in zip(study.trials, (0.5, 0.5, 4.0), strict=True):
        vars(trial)["curves"] = {"step/loss": np.array([[0, 10.0], [10, last]])}
    [drawn] = training(study)
    assert legend(drawn) == {"shared by several": colours.SHARED, "Middle": colours.of(QUALITIES)["Middle"]}
    assert len(rows(drawn)) == 4
    assert drawn.full == "Training: step: loss"
    assert drawn.spec["layer"][0]["encoding"]["y"]["scale"]["type"] == "log"


def test_a_tracker_has_one_colour_in_all_figures(invented: Invent) -> None:
    """The paper's figures draw a tracker in the colour of its place in the study, others after these, or grey."""
    study = invented(QUALITIES).grid.study
    orders = ("Middle", "High"), ("Low", "occlusion", OTHERS, "Middle")
    charts = [Chart(f"Figure {i}", "", "tradeoff", "OTB", "success_auc") for i in range(2)]
    drawings = [Drawing(tuple(Point("", n, n, 10 + i, 0.5) for i, n in enumerate(names)), {}) for names in orders]
    drawn = plots.of_paper(study, dict(zip(charts, drawings, strict=True)))
    apart = [legend(plot) for [plot] in drawn.values()]
    own = colours.of((*QUALITIES, "occlusion"))
    assert apart[0] == {name: own[name] for name in orders[0]}
    assert apart[1] == {**{name: own[name] for name in ("Low", "occlusion", "Middle")}, OTHERS: colours.SHARED}
    assert list(apart[1])[-1] == OTHERS


def test_each_panel_is_a_plot(invented: Invent) -> None:
    """A figure of several panels is as many plots, each named after its panel; a caveat shows as a dagger."""
    points = [Point(panel, "High", "High", x, 0.5) for panel in ("one pass", "resets") for x in (0.0, 1.0)]
    chart = Chart("Figure 8", "", "success", "OTB", "success_auc", ("High",))
    study = invented(QUALITIES).grid.study
    [found] = plots.of_paper(study, {chart: Drawing(tuple(points), {"High": "Knows."})}).values()
    assert [plot.name for plot in found] == ["mine-figure-8-one-pass", "mine-figure-8-resets"]
    assert list(legend(found[0])) == ["High† [0.500]"]
    [alone] = plots.of_paper(study, {chart: Drawing(tuple(replace(p, panel="") for p in points), {})})[chart]
    assert alone.title == "Figure 8"
