from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import score_files
from orchestrator.report import comparisons, paper, results, scores
from orchestrator.report.comparisons import compare
from orchestrator.report.summary import Summary, summaries
from trackers.evaluation.scores import Score

Write = Callable[..., Path]
NAMES = tuple("abcdefgh")
STEPS = np.arange(8) / 100


def score(
    values: np.ndarray, measure: str = "success_auc", subset: str = "all", names: tuple[str, ...] = NAMES
) -> Score:
    """One value a sequence, their mean the score."""
    protocol = "supervised_reset" if measure in ("accuracy", "robustness", "eao") else "one_pass"
    terms = np.asarray(values, float)[:, None]
    return Score(measure, "trackmeet", protocol, subset, None, names, terms, np.ones_like(terms))


def test_a_pair_by_hand() -> None:
    """Of 8 sequences, each better by something else: p is 2 / 2^8, and Holm's three times that of the least."""
    base = np.full(8, 0.3)
    found = compare({"A": score(base + 0.2 + STEPS), "B": score(base + 0.1), "C": score(base)})
    assert found is not None
    assert [(pair.tracker, pair.than) for pair in found.pairs] == [("A", "B"), ("A", "C"), ("B", "C")]
    first = found.pairs[0]
    assert first.estimate.effect == pytest.approx(0.135)
    assert 0.1 <= first.estimate.low < 0.135 < first.estimate.high <= 0.17
    assert first.estimate.n == 8
    assert first.p == pytest.approx(2 / 2**8)
    assert first.p_holm is not None
    assert first.p_holm == pytest.approx(3 * min(pair.p or 1 for pair in found.pairs), abs=0.01)
    assert found.ranking is not None
    assert found.ranking.ranks == {"A": 1, "B": 2, "C": 3}


def test_a_pair_turned_is_the_other_way_round() -> None:
    """A tracker's own pairs have it first, with the sign of each difference and its interval turned."""
    found = compare({"A": score(0.5 + STEPS), "B": score(np.full(8, 0.4))})
    assert found is not None
    [there], [back] = found.of("A"), found.of("B")
    assert (back.tracker, back.than) == ("B", "A")
    assert (back.estimate.effect, back.estimate.low) == (-there.estimate.effect, -there.estimate.high)
    assert back.p == there.p


def test_trackers_are_compared_on_the_sequences_of_all() -> None:
    """Sequences come in any order; those that one tracker lacks count for none."""
    whole = score(0.5 + STEPS)
    part = score(0.4 + STEPS[:0:-1], names=NAMES[:0:-1])
    found = compare({"A": whole, "B": part})
    assert found is not None
    assert found.pairs[0].estimate.n == 7
    assert found.pairs[0].estimate.effect == pytest.approx(0.1)
    assert found.pairs[0].estimate.high == pytest.approx(0.1)


def test_a_control_is_compared_with_each_other() -> None:
    """With a control there are its pairs alone, and Holm corrects for their number."""
    base = np.full(8, 0.3)
    found = compare({"A": score(base), "B": score(base + STEPS), "C": score(base - STEPS - 0.1)}, control="B")
    assert found is not None
    assert [(pair.tracker, pair.than) for pair in found.pairs] == [("B", "A"), ("B", "C")]
    assert found.pairs[1].p_holm == pytest.approx(2 * 2 / 2**8)


def test_where_there_is_nothing_to_compare() -> None:
    """One tracker, or trackers with fewer than two sequences in common, are not compared."""
    assert compare({}) is None
    assert compare({"A": score(STEPS)}) is None
    assert compare({"A": score(STEPS), "B": score(STEPS[:1], names=("a",))}) is None


def test_eao_has_intervals_alone() -> None:
    """A sequence has no expected average overlap of its own: there is nothing to rank or to test."""
    found = compare({"A": score(STEPS + 0.1, "eao"), "B": score(STEPS, "eao")})
    assert found is not None
    assert found.ranking is None
    assert (found.pairs[0].p, found.pairs[0].p_holm) == (None, None)
    assert found.pairs[0].estimate.effect == pytest.approx(0.1)


def vot_study(write_results: Write, trials: list[dict[str, Any]], values: dict[str, Any]) -> Summary:
    """Two trackers on a data set with two attributes of frames: accuracy and robustness on all, blur and dark."""
    del trials[:-2]
    trials[0] |= {"tracker": "ConvTracker", "benchmarks": ["MNIST-Single-Same"]}
    trials[1] |= {"benchmarks": ["MNIST-Single-Same"]}
    folder = write_results(study="mine", lengths=[], trackers=["ConvTracker", "KerCorrTracker"])
    for trial in trials:
        found = [
            score(value + STEPS, measure, subset)
            for measure, row in zip(("accuracy", "robustness"), values[trial["tracker"]], strict=True)
            for value, subset in zip(row, ("all", "blur", "dark"), strict=True)
            if value is not None
        ]
        score_files.write(folder / "rectracker" / trial["folder"] / "MNIST-Single-Same", NAMES, {}, found)
    (study,) = results.read(folder)
    [summary] = summaries(scores.grid(study, paper.Paper()))
    return summary


@pytest.fixture
def vot_summary(write_results: Write, trials: list[dict[str, Any]]) -> Summary:
    """Each of two trackers is the more accurate on one of two attributes."""
    values = {"ConvTracker": ((0.6, 0.5, 0.7), (2.0, 1.0, 1.0)), "KerCorrTracker": ((0.5, 0.4, 0.8), (1.0, 1.0, 0.5))}
    return vot_study(write_results, trials, values)


def test_a_tracker_without_accuracy_is_last_in_it(write_results: Write, trials: list[dict[str, Any]]) -> None:
    """Where no frame of a tracker counts for accuracy it is ranked behind the others, and on in robustness."""
    values = {"ConvTracker": ((0.6, None, 0.9), (2.0, 1.0, 1.0)), "KerCorrTracker": ((0.5, 0.1, 0.8), (1.0, 2.0, 2.0))}
    summary = vot_study(write_results, trials, values)
    found = {(r["measure"], r["subset"], r["tracker"]): (r["rank"], r["n"]) for r in comparisons.rank_rows(summary, {})}
    assert found["accuracy", "blur", "ConvTracker"] == (2, 0)
    assert found["accuracy", "blur", "KerCorrTracker"] == (1, 8)
    assert found["robustness", "blur", "ConvTracker"] == (1, 8)
    assert comparisons.average_ranks(summary) == {
        "accuracy": {"ConvTracker": 1.5, "KerCorrTracker": 1.5},
        "robustness": {"ConvTracker": 1, "KerCorrTracker": 2},
        "accuracy+robustness": {"ConvTracker": 1.25, "KerCorrTracker": 1.75},
    }


def test_ranks_by_attribute_by_hand(vot_summary: Summary) -> None:
    """VOT ranks values attribute by attribute, then averages; equal trackers share their ranks."""
    rows = list(comparisons.rank_rows(vot_summary, comparisons.rankings(vot_summary)))
    assert all(tuple(row) == comparisons.RANK_COLUMNS for row in rows)
    ranks = {(row["measure"], row["subset"], row["tracker"]): row["rank"] for row in rows}
    assert ranks["accuracy", "all", "ConvTracker"] == 1
    assert ranks["accuracy", "blur", "ConvTracker"] == 1
    assert ranks["accuracy", "dark", "ConvTracker"] == 2
    assert ranks["accuracy", "average", "ConvTracker"] == 1.5
    assert ranks["robustness", "blur", "KerCorrTracker"] == 1.5
    assert ranks["robustness", "dark", "KerCorrTracker"] == 1
    assert ranks["robustness", "average", "KerCorrTracker"] == 1.25
    assert ranks["accuracy+robustness", "average", "KerCorrTracker"] == (1.5 + 1.25) / 2
    assert len(ranks) == len(rows) == 2 * (2 * 4 + 1)


def test_a_row_of_comparisons(vot_summary: Summary) -> None:
    """Each pair is a row that names study, benchmark, protocol and convention, and p to three digits."""
    first = next(iter(comparisons.rows(vot_summary, comparisons.comparisons(vot_summary))))
    assert tuple(first) == comparisons.COLUMNS
    place = ("mine", "MNIST-Single-Same", "supervised_reset", "trackmeet", "accuracy", "ConvTracker", "KerCorrTracker")
    assert tuple(first.values())[:7] == place
    assert first["effect"] == pytest.approx(0.1)
    assert first["p"] == first["p_holm"] == f"{float(str(first['p'])):.3g}"


def test_what_has_a_caveat_is_not_compared(rolo_results: Path, rolo_report: Path) -> None:
    """A tracker that is shown the groundtruth is best of nothing, and in no rank or test; its score stays."""
    study = results.read(rolo_results)[1]
    [summary] = [s for s in summaries(scores.grid(study, paper.Paper())) if s.name == "OTB-30 one_pass otb"]
    assert summary.ranked("average_overlap")[::9] == ["ROLO", "ROLO-Released"]
    assert summary.best("average_overlap") == "ROLO"
    ranked = comparisons.rankings(summary)["average_overlap"].ranks
    assert set(ranked) == set(summary.trackers) - {"ROLO-Released", "ROLO-Videos"}
    for name, has in {"comparisons.csv": False, "ranks.csv": False, "scores.csv": True, "sequences.csv": True}.items():
        assert ("ROLO-Released" in (rolo_report / name).read_text()) == has
    page = (rolo_report / "index.html").read_text(encoding="utf-8")
    assert "Not among them: † ROLO-Released: It is shown the groundtruth of every frame." in page


def test_vots_ranks_are_of_those_without_a_caveat(vot_summary: Summary) -> None:
    """Of two trackers of which one has a caveat, none is left to rank by attribute."""
    grid = vot_summary.grid
    trials = tuple(replace(t, caveat="It looks." if t.tracker == "KerCorrTracker" else None) for t in grid.study.trials)
    grid = replace(grid, study=replace(grid.study, trials=trials))
    assert list(comparisons.rank_rows(replace(vot_summary, grid=grid), {})) == []
