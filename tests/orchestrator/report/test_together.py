from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.report import comparisons, paper, results, scores
from orchestrator.report.scores import Grid
from orchestrator.report.together import together


@pytest.fixture(scope="module")
def grids(vot_results: Path) -> list[Grid]:
    """Of study goturn and of the other one."""
    return [scores.grid(study, paper.load(study.name)) for study in results.read(vot_results)]


def test_the_same_tracker_counts_once(grids: list[Grid]) -> None:
    """Of both studies' trackers one list: equal settings once, other settings under the study's name as well."""
    [summary] = together(grids)
    assert summary.trackers == (*grids[0].study.trackers, "KerCorrTracker (others)")
    own, other = summary.cell("Identity", "accuracy"), grids[0].measured
    assert own is not None
    assert any(own is cell for (tracker, *_), cell in other.items() if tracker == "Identity")
    assert summary.place["study"] == "all"
    assert {tracker for tracker, _, _ in summary.grid.study.speeds} == set(summary.trackers)


def test_ranks_are_among_all(grids: list[Grid]) -> None:
    """Ranks of 13 trackers, over the tags of frames and not over classes, which are of sequences."""
    [summary] = together(grids)
    rows = list(comparisons.rank_rows(summary, comparisons.rankings(summary)))
    overall = {row["tracker"]: row["rank"] for row in rows if row["measure"] == comparisons.OVERALL}
    assert set(overall) == set(summary.trackers)
    assert overall["GOTURN"] == 1
    assert {row["n"] for row in rows if row["subset"] == "average"} == {4}
    assert not {"class_often", "class_rarely"} & {row["subset"] for row in rows}
    of_all = [row for row in rows if (row["subset"], row["measure"]) == ("all", "overall_error")]
    assert sum(float(str(row["rank"])) for row in of_all) == pytest.approx(13 * 14 / 2)


def test_a_benchmark_of_one_study_is_not_repeated(grids: list[Grid]) -> None:
    """What one study alone tested has its ranks there, and none among all."""
    assert together(grids[:1]) == []
