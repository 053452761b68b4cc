from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import score_files
from orchestrator.report import claims, comparisons, paper, results, scores, tables
from orchestrator.report.paper import Aspect, Paper, PaperTable, Printed
from orchestrator.report.plots.folds import folds as drawn_folds
from orchestrator.report.results import Quantity, Study, Trial
from orchestrator.report.scores import Grid
from orchestrator.report.section import Compared, Section
from orchestrator.report.summary import summaries
from orchestrator.report.table import Row, Table
from orchestrator.report.tables.folds import folds
from orchestrator.report.tables.papers import Ours, paper_table
from orchestrator.report.tables.ranks import against, ranks
from trackers.evaluation.scores import Score
from trackers.evaluation.significance import Ranking

Write = Callable[..., Path]
NAMES = ("a", "b", "c", "d")
AUC = Aspect("success_auc")
CLE = Aspect("cle")


def cell(measure: str, values: tuple[float, ...]) -> scores.Cell:
    """One value a sequence, of one run."""
    terms = np.array(values)[:, None, None]
    return scores.Cell(Quantity(measure, "one_pass", None), NAMES, terms, np.ones_like(terms))


def trial(tracker: str, **changes: Any) -> Trial:
    """One that is done, on OTB."""
    given: dict[str, Any] = {"name": tracker, "key": tracker, "tracker": tracker, "train": "VOC", "fold": None}
    given |= {"seed": 1, "state": "done", "error": None, "log": None, "benchmarks": ("OTB",)}
    return Trial(**{**given, "settings": {"family": "mine"}, "folder": Path("none")} | changes)


def grid(values: Mapping[tuple[str, str], tuple[float, ...]], profile: str = "sample", sample: bool = True) -> Grid:
    """Of each tracker and measure one value for each of NAMES; trackers A, B and C, of which C failed."""
    trials = (trial("A"), trial("B"), trial("C", state="failed"))
    study = Study("mine", profile, {"OTB": {"sample": sample}}, (), ("A", "B", "C"), ("OTB",), trials)
    cells = {(tracker, "OTB", Aspect(measure)): cell(measure, own) for (tracker, measure), own in values.items()}
    measured = {(t, b, one.quantity): one for (t, b, _), one in cells.items()}
    return Grid(study, measured, cells)


def section(made: Grid, reported: Paper, tested: bool = True) -> Section:
    """All that there is to say of it; tested: with its trackers against each other."""
    compared = [Compared(one, comparisons.comparisons(one)) for one in summaries(made) if tested]
    return Section(made.study, reported, made, claims.check(reported, made), compared, [], {}, {})


VALUES = {
    ("A", "success_auc"): (0.5, 0.6, 0.7, 0.6),
    ("B", "success_auc"): (0.4, 0.5, 0.4, 0.3),
    ("A", "cle"): (20.0, 10.0, 10.0, 20.0),
    ("B", "cle"): (5.0, 15.0, 10.0, 10.0),
}
PRINTED = PaperTable(
    1,
    (AUC, CLE),
    {
        "A": {"OTB": (Printed(0.654), Printed(14.0))},
        "B": {"OTB": (None, Printed(12.5))},
        "C": {"OTB": (Printed(0.4), None)},
    },
    others={"MOSSE": {"OTB": (Printed(0.311), None)}},
)


def row(table: Table, heading: str) -> Row:
    """The one of that heading."""
    [found] = [one for one in table.rows if one.heading == heading]
    return found


def marked(table: Table) -> dict[str, list[str]]:
    """Of each row, what is marked how."""
    return {one.heading: [found.mark for found in one.cells] for one in table.rows}


def test_ours_beside_the_papers() -> None:
    """Below ours stand the paper's number and the difference to it; the best is the highest, or the lowest error."""
    made = paper_table(PRINTED, Ours(Paper(tables=(PRINTED,)), grid(VALUES), []))
    auc, cle = row(made, "A").cells
    assert auc.text == "0.600"
    assert auc.value == pytest.approx(0.6)
    assert auc.beside is not None
    assert (auc.beside.text, auc.beside.differs) == ("0.654", "−0.054")
    assert auc.beside.difference == pytest.approx(-0.054)
    assert cle.beside is not None
    assert (cle.text, cle.beside.differs) == ("15.00", "+1.00")
    assert marked(made) == {
        "A": ["best", ""],
        "B": ["", "best"],
        "C": ["failed", "failed"],
        "MOSSE, in the paper": ["soft", ""],
    }
    missing = row(made, "B").cells[0]
    assert missing.beside is not None
    assert (missing.text, missing.beside.text, missing.beside.differs) == ("0.400", "–", "")
    failed = row(made, "C").cells[0]
    assert failed.beside is not None
    assert (failed.text, failed.value, failed.beside.text, failed.beside.difference) == ("failed", None, "0.40", None)
    other = row(made, "MOSSE, in the paper").cells
    assert [one.text for one in other] == ["0.311", "–"]


def test_where_numbers_are_not_comparable_the_table_says_so() -> None:
    """The badge names what differs from the paper's run; on its settings and all of its data there is none."""
    sample, real = grid(VALUES), grid(VALUES, "paper", sample=False)
    assert paper_table(PRINTED, Ours(Paper(), sample, [])).badge == "not comparable: sample data, sample settings"
    assert paper_table(PRINTED, Ours(Paper(), real, [])).badge == ""
    lacking = replace(real, study=replace(real.study, data={"OTB": {"missing": ["Gym"]}}))
    assert paper_table(PRINTED, Ours(Paper(), lacking, [])).badge == "not comparable: sequences missing"


def test_rows_are_benchmarks_where_the_paper_alone_has_no_tracker() -> None:
    """A table of several benchmarks and lengths is laid out as the paper has it: groups are trackers."""
    columns = (Aspect("average_overlap", 20), Aspect("average_overlap", 40))
    empty = {"OTB": (Printed(0.5, 0.1), None), "VOT": (None, None)}
    made = paper_table(PaperTable(2, columns, {"A": empty, "B": empty}), Ours(Paper(), grid({}), []))
    assert [column.full for column in made.head] == ["benchmark", "A: 20", "A: 40", "B: 20", "B: 40"]
    assert [one.heading for one in made.rows] == ["OTB", "VOT"]
    beside = made.rows[0].cells[0].beside
    assert beside is not None
    assert (beside.text, beside.std) == ("0.50 ± 0.10", 0.1)


def test_a_study_at_a_glance() -> None:
    """Its row says how many trials are done, the best of its own trackers, the reference, and why it is no proof."""
    values = VALUES | {("KerCorrTracker", "success_auc"): (0.9, 0.9, 0.9, 0.9)}
    made = grid(values)
    trackers = (*made.study.trackers, "KerCorrTracker")
    study = replace(made.study, trackers=trackers, trials=(*made.study.trials, trial("KerCorrTracker")))
    reported = Paper("A title", "Ning, Zhang", 2016, measure="success_auc")
    [found] = tables.overview([section(replace(made, study=study), reported, tested=False)]).rows
    assert (found.heading, found.link, found.below) == ("mine", "#mine", "Ning et al. 2016")
    measure, best, reference, *verdicts, benchmarks, done, comparable = found.cells
    assert (benchmarks.value, done.text, done.value) == (1, "3 of 4, 1 failed", 3)
    assert done.beside is not None
    assert done.beside.text == "4 trackers"
    assert (measure.text, best.text, reference.text) == ("success auc", "0.600", "0.900")
    assert [one.beside and one.beside.text for one in (best, reference)] == ["A", "KerCorrTracker"]
    assert (best.mark, reference.mark) == ("", "best")
    assert [one.value for one in verdicts] == [None] * 4
    assert comparable.text == "no"


def test_the_best_minus_each_other() -> None:
    """The differences are those of the best by that measure, the lowest of an error, over the sequences of all."""
    [summary] = summaries(grid(VALUES))
    by_auc, by_cle = (against(summary, pairwise) for pairwise in comparisons.comparisons(summary))
    assert by_auc is not None
    assert by_cle is not None
    assert [(one.heading, one.cells[0].text, one.cells[2].value) for one in by_auc.rows] == [("B", "+0.200", 4)]
    assert [(one.heading, one.cells[0].text, one.cells[2].value) for one in by_cle.rows] == [("A", "−5.000", 4)]
    whisker = by_cle.rows[0].cells[0].whisker
    assert whisker is not None
    assert (whisker.effect, whisker.at(whisker.least), whisker.at(whisker.most)) == (-5, 0, 200)
    assert whisker.least <= whisker.low
    assert whisker.most >= 0


def test_settings_in_which_trackers_differ() -> None:
    """Of each family those settings that differ, soft where as in its first tracker; without training none of that."""
    training = {"training": {"epochs": 3, "rate": 0.1}}
    trials = (
        trial("A", settings={"family": "mine", "steps": 6, "side": 32, **training}),
        trial("A-9", settings={"family": "mine", "steps": 9, "side": 32, **training}),
        trial("A-Late", settings={"family": "mine", "steps": 6, "side": 32, "training": {"epochs": 5, "rate": 0.1}}),
        trial("A-Raw", train=None, settings={"family": "mine", "steps": 6, "side": 32, "training": {"rate": 7.0}}),
        trial("KCF", train=None, settings={"family": "kcf", "sigma": 1.0}),
    )
    study = replace(grid({}).study, trackers=tuple(one.tracker for one in trials), trials=trials)
    made = tables.of(section(replace(grid({}), study=study), Paper())).settings
    assert made is not None
    assert [column.full for column in made.head] == ["tracker", "trained on", "steps", "training: epochs"]
    assert {one.heading: [found.text for found in one.cells] for one in made.rows} == {
        "A": ["VOC", "6", "3"],
        "A-9": ["VOC", "9", "3"],
        "A-Late": ["VOC", "6", "5"],
        "A-Raw": ["nothing", "6", "–"],
    }
    assert marked(made)["A"] == ["", "", ""]
    assert marked(made)["A-9"] == ["soft", "", "soft"]
    assert "KCF" in made.notes[1]


def test_trials_say_what_came_of_them() -> None:
    """A row a trial: its state, what it was trained and tested on, fold and seed."""
    trials = (trial("A", fold=1), trial("A", seed=2, state="failed"), trial("B", train=None, state="missing"))
    study = replace(grid({}).study, trials=trials)
    made = tables.of(section(replace(grid({}), study=study), Paper())).trials
    assert [[found.text for found in one.cells] for one in made.rows] == [
        ["done", "VOC", "OTB", "1", "1"],
        ["failed", "VOC", "OTB", "–", "2"],
        ["not run", "–", "OTB", "–", "1"],
    ]


@pytest.fixture
def folded(tmp_path: Path) -> Grid:
    """Two folds of tracker A: the sequences a and c, which score 0.4 and 0.6, and b and d, which score 0.7 and 0.9."""
    trials = []
    for fold, (names, values) in enumerate(((("a", "c"), (0.4, 0.6)), (("b", "d"), (0.7, 0.9)))):
        terms = np.array(values)[:, None]
        score = Score("success_auc", "trackmeet", "one_pass", "all", None, names, terms, np.ones_like(terms))
        place = tmp_path / str(fold)
        (place / "OTB").mkdir(parents=True)
        score_files.write(place / "OTB", names, {}, [score])
        trials.append(trial("A", fold=fold, folder=place))
    study = replace(grid({}).study, trackers=("A",), trials=tuple(trials))
    return scores.grid(study, Paper())


def test_folds_by_hand(folded: Grid) -> None:
    """Each fold has the score of its own sequences; behind are mean and deviation over folds; the worst is marked."""
    [summary] = summaries(folded)
    made = folds(summary, "success_auc")
    assert made is not None
    assert [column.name for column in made.head[1:]] == ["fold 0", "fold 1", "mean", "std"]
    assert [one.value for one in row(made, "A").cells] == pytest.approx([0.5, 0.8, 0.65, 0.15])
    assert [one.mark for one in row(made, "A").cells] == ["worst", "", "", ""]
    assert [one.value for one in row(made, "sequences").cells] == [2, 2, None, None]
    assert "Fold 0: a, c." in made.notes
    drawn = drawn_folds(summary, "success_auc")
    assert drawn is not None
    assert [(one["fold"], one["value"]) for one in drawn.spec["data"]["values"]] == [("fold 0", 0.5), ("fold 1", 0.8)]


def test_of_a_lost_fold_there_is_no_mean(folded: Grid) -> None:
    """Where a fold failed there is a hole that says so, and neither mean nor deviation: over fewer they differ."""
    done, lost = folded.study.trials
    lost = replace(lost, state="failed", folder=lost.folder / "nothing")
    [summary] = summaries(replace(folded, study=replace(folded.study, trials=(done, lost))))
    made = folds(summary, "success_auc")
    assert made is not None
    assert [one.text for one in row(made, "A").cells] == ["0.500", "failed", "–", "–"]
    assert [one.value for one in row(made, "A").cells[1:]] == [None] * 3


def test_scores_by_length(write_results: Write, trials: list[dict[str, Any]]) -> None:
    """At each length stand mean, deviation and interval, the best in bold; who failed has holes that say so."""
    trials[-1]["state"] = "failed"
    [study] = results.read(write_results())
    reported = paper.load("rectracker")
    made = tables.of(section(scores.grid(study, reported), reported))
    one = made.by_length["MNIST-Single-Same"]
    assert [column.name for column in one.head] == ["tracker", "20", "40", "80", "160"]
    assert {found.text for found in row(one, "KerCorrTracker").cells} == {"failed"}
    first = row(one, "RecTracker-ID").cells[0]
    assert first.mark == "best"
    assert first.std is not None
    assert first.spread == f"± {first.std:.2f}\n[{first.low:.2f}, {first.high:.2f}]"
    names = [one.name for one in made.everything]
    assert len(names) == len(set(names))


def test_the_contrasts_of_a_claim(write_results: Write) -> None:
    """Each claim has a row, and a table of the cells that its verdict rests on."""
    [study] = results.read(write_results())
    reported = paper.load("rectracker")
    found = section(scores.grid(study, reported), reported, tested=False)
    made = tables.of(found)
    assert made.claims is not None
    assert [one.cells[0].text for one in made.claims.rows] == [finding.verdict for finding in found.findings]
    one = made.contrasts["recurrent-beats-convolutional"]
    assert len(one.rows) == 16
    assert [column.name for column in one.head][:3] == ["benchmark", "of", "trackers"]
    assert one.rows[0].cells[5].value == pytest.approx(0.61 - 0.36)


def test_ranks_have_vots_beside() -> None:
    """Who has no rank by a measure has a hole there."""
    [summary] = summaries(grid(VALUES))
    ranking = Ranking({"A": 1.0}, 0.5, (), 0.04, 4)
    made = ranks(summary, {"success_auc": ranking, "cle": replace(ranking, ranks={"B": 1.0, "A": 2.0})})
    assert made is not None
    assert {one.heading: [found.text for found in one.cells] for one in made.rows} == {
        "A": ["1.00", "2.00"],
        "B": ["–", "1.00"],
        "critical difference": ["0.50", "0.50"],
        "p that all are alike": ["0.04", "0.04"],
        "sequences": ["4", "4"],
    }
