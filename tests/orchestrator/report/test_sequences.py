from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.report import paper, results, scores, sequences
from orchestrator.report.sequences import MEAN, MEAN_OF_REAL, BySequence
from orchestrator.report.summary import Summary, summaries
from orchestrator.report.tables.papers import sequence_table

TABLE = replace(paper.load("rolo").sequence_tables[0], trackers=("A", "B"))


@pytest.fixture(scope="module")
def summary(rolo_results: Path) -> Summary:
    """Of OTB-30 in one pass."""
    study = results.read(rolo_results)[1]
    [found] = [
        one
        for one in summaries(scores.grid(study, paper.load("rolo")))
        if (one.benchmark, one.protocol) == ("OTB-30", "one_pass")
    ]
    return found


def table(**frames: int) -> sequences.SequenceTable:
    """One of A, which scored 0.2 and then 0.3, 0.4, ..., and B, which scored half of that."""
    cells = {name: ((2 + i) / 10, (2 + i) / 20) for i, name in enumerate(frames)}
    return replace(TABLE, frames=frames, cells=cells)


def test_numbers_stand_beside_the_real_sequence_alone(summary: Summary) -> None:
    """A sequence is real by name and number of frames; others have our scores alone, and so has the mean of all."""
    found = BySequence(table(Human3=1698, Couple=140, Gym=767), summary)
    assert found.real == ("Couple",)
    assert [row.name for row in found.rows] == ["Human3", "Couple", "Mine", MEAN, MEAN_OF_REAL]
    human, couple, _, mean, real = found.rows
    assert "ROLO-Videos" not in found.trackers
    assert human.ours["ROLO"] == pytest.approx(0.575)
    assert not human.paper
    assert couple.paper == {"A": 0.3, "B": 0.15}
    assert mean.ours["ROLO"] == pytest.approx((0.6 + 0.575 + 0.55) / 3)
    assert not mean.paper
    assert real.ours["ROLO"] == pytest.approx(0.6)
    assert real.paper == couple.paper
    assert found.best(couple) == pytest.approx(0.6)  # ROLO-Released, with a caveat, has 0.7


def test_of_all_real_sequences_there_is_one_mean(summary: Summary) -> None:
    """Where every sequence is the paper's, the mean has its numbers, too."""
    found = BySequence(table(Mine=6, Couple=140, Human3=199), summary)
    assert [row.name for row in found.rows] == ["Mine", "Couple", "Human3", MEAN]
    assert found.rows[-1].paper == pytest.approx({"A": 0.3, "B": 0.15})


def test_sample_data_is_never_real(summary: Summary) -> None:
    """A stand-in has none of the paper's numbers, whatever its name and length."""
    grid = summary.grid
    stand_in = replace(grid, study=replace(grid.study, data={"OTB-30": {"sample": True}}))
    found = BySequence(table(Couple=140), replace(summary, grid=stand_in))
    assert found.real == ()
    assert not any(row.paper for row in found.rows)


def test_a_tracker_that_lacks_a_sequence_has_no_mean(summary: Summary) -> None:
    """A mean over fewer sequences is another quantity: it is left out."""
    grid = summary.grid
    key, cell = next(
        (k, c) for k, c in grid.measured.items() if k[0] == "YOLO" and c is summary.cell("YOLO", TABLE.measure)
    )
    part = replace(cell, sequences=cell.sequences[:2], numerator=cell.numerator[:2], denominator=cell.denominator[:2])
    fewer = replace(summary, grid=replace(grid, measured={**grid.measured, key: part}))
    *_, last, mean = BySequence(table(), fewer).rows
    assert last.name == "Mine"
    assert "YOLO" not in last.ours
    assert "YOLO" not in mean.ours
    assert "ROLO" in mean.ours


def test_the_table_has_a_row_a_sequence(summary: Summary) -> None:
    """The best of each line is bold, the paper's or ours without a caveat; where the paper's do not count are holes."""
    lines = BySequence(table(Human3=1698, Couple=140), summary)
    made = sequence_table(lines, summary.grid.study)
    column = {one.full: i for i, one in enumerate(made.head[1:])}
    couple, mean, real = (next(row for row in made.rows if row.heading == n) for n in ("Couple", MEAN, MEAN_OF_REAL))
    assert [couple.cells[column[name]].text for name in ("ours: ROLO", "the paper’s: A")] == ["0.600", "0.300"]
    assert [name for name, i in column.items() if couple.cells[i].mark == "best"] == ["ours: ROLO"]
    assert couple.cells[column["ours: ROLO-Released†"]].value == pytest.approx(0.7)
    assert (mean.foot, mean.cells[column["the paper’s: A"]].text) == (True, "–")
    assert real.foot
    assert not couple.foot
    assert made.badge == "not comparable: custom settings, sequences missing"


def test_the_tidy_table_has_ours_and_the_papers(rolo_report: Path) -> None:
    """sequences.csv has every tracker of the project on every sequence, and the paper's columns where they count."""
    with (rolo_report / "sequences.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == sequences.COLUMNS
    couple = {(row["tracker"], row["source"]): float(row["value"]) for row in rows if row["sequence"] == "Couple"}
    assert couple["ROLO", "paper"] == 0.464
    assert couple["TLD", "paper"] == 0.761
    assert couple["ROLO", "ours"] == pytest.approx(0.6)
    assert couple["Grey", "ours"] == pytest.approx(0.2)  # of the other study
    assert {row["sequence"] for row in rows if row["source"] == "paper"} == {"Couple", MEAN_OF_REAL}
    assert sum(row["source"] == "paper" for row in rows) == 2 * 12
    assert {row["study"] for row in rows} == {"rolo"}


def test_the_page_says_which_are_real(rolo_report: Path) -> None:
    """The page shows both, and of how many sequences the numbers are the paper's."""
    page = (rolo_report / "index.html").read_text(encoding="utf-8")
    assert "of the 1 of 3 sequences that are the benchmark’s" in page
    assert "CNN-SVM" in page
