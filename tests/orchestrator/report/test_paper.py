from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

from orchestrator.report import claims, paper
from orchestrator.report.paper import Paper, PaperTable, Printed

TEXT = Path(__file__).parents[4] / "shared" / "papers" / "rectracker-2015.txt"


@pytest.fixture(scope="module")
def rectracker() -> Paper:
    return paper.load("rectracker")


@pytest.fixture(scope="module")
def text() -> str:
    if not TEXT.exists():
        pytest.skip(f"{TEXT} is absent: the paper's text is not part of the project")
    return unicodedata.normalize("NFKC", TEXT.read_text(encoding="utf-8"))  # its ligatures become letters


def test_every_cell_is_as_printed(rectracker: Paper, text: str) -> None:
    """Each table has the rows, columns and numbers of the paper's text, in its order."""
    for table in rectracker.tables:
        block = text[: text.index(f"Table {table.number}: Average")]
        block = block[block.rindex("Test Seq. Length") :]
        printed = [Printed(float(mean), float(std)) for mean, std in re.findall(r"(0\.\d\d)\s*±\s*(0\.\d\d)", block)]
        # The text runs down each column: tracker by tracker, length by length.
        ours = [
            table.cells[tracker][benchmark][i]
            for tracker in table.trackers
            for i in range(len(table.lengths))
            for benchmark in table.benchmarks
        ]
        assert printed == ours
        assert tuple(re.findall(r"MNIST-\w+-\w+", block)) == table.benchmarks


def test_every_quote_is_in_the_paper(rectracker: Paper, text: str) -> None:
    """Each claim quotes the paper word for word, from a part of it that exists."""
    words = " ".join(text.split())
    for claim in rectracker.claims:
        assert claim.quote in words
        assert claim.section.partition(", ")[2] in words


def test_tables_cover_the_study(rectracker: Paper) -> None:
    """Four tables give all of 4 sets x 4 lengths x 5 trackers, and each of them covers its own rows wholly."""
    assert len(rectracker.cells) == 4 * 4 * 5
    for table in rectracker.tables:
        assert all(tuple(sorted(rows)) == tuple(sorted(table.benchmarks)) for rows in table.cells.values())


def test_claims_speak_of_what_the_paper_measured(rectracker: Paper) -> None:
    """Each claim has a known check, and names only trackers and benchmarks that the tables have."""
    trackers = {tracker for tracker, _, _ in rectracker.cells}
    benchmarks = {benchmark for _, benchmark, _ in rectracker.cells}
    for claim in rectracker.claims:
        assert claim.check in claims.KINDS
        assert {claim.tracker, claim.than or claim.tracker} <= trackers
        assert set(claim.benchmarks) <= benchmarks
    assert len({claim.name for claim in rectracker.claims}) == len(rectracker.claims)


def test_tables_may_not_contradict_each_other() -> None:
    """A number that two tables print differently is refused, with the place."""
    first = PaperTable(1, (20,), {"A": {"set": (Printed(0.5, 0.1),)}})
    second = PaperTable(2, (20,), {"A": {"set": (Printed(0.6, 0.1),)}})
    with pytest.raises(ValueError, match="table 2, A, set, length 20: expected .*0.5.* got .*0.6"):
        Paper(tables=(first, second))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("0.36±0.12", "set: expected 2 cells"),
        ("0.36±0.12 0.35", "set: expected 2 cells"),
        ("0.36±0.12 0.35±x", "set: expected 2 cells"),
    ],
)
def test_a_torn_row_is_refused(broken: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of a table with a cell too few, or one that is no mean ± deviation, names file and row."""
    monkeypatch.setattr(paper, "PAPERS", tmp_path)
    (tmp_path / "torn.yaml").write_text(
        f"tables: [{{number: 1, lengths: [20, 40], cells: {{A: {{set: {broken}}}}}}}]\nclaims: []\npictures: []\n"
    )
    with pytest.raises(ValueError, match=rf"torn.yaml: {message}"):
        paper.load("torn")


def test_a_study_without_a_paper_has_nothing_to_compare() -> None:
    """A user's own study gets an empty paper, not an error."""
    assert paper.load("my-study") == Paper()
