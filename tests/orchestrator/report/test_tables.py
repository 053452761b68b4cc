from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from orchestrator.report import page, table
from orchestrator.report.table import Beside, Cell, Column, Row, Table, Whisker, as_csv, as_latex, slug

SCORE = Cell("0.612", 0.6123456, "[0.510, 0.700]", low=0.51, high=0.7, mark="best")
LOWER = Cell("−0.07", -0.068, "± 0.12", std=0.12, beside=Beside("0.36 ± 0.11", 0.36, 0.11, -0.428, "−0.43"))
TABLE = Table(
    "mine-scores",
    "OTB_30 & more",
    [Column("tracker", text=True), Column("auc", "100% of frames", "higher"), Column("error", "100% of frames")],
    [
        Row("A_1†", [SCORE, LOWER], below="in the paper"),
        Row("B#2", [Cell("failed", mark="failed"), Cell()]),
        Row("mean", [Cell("0.612", 0.6123456), Cell()], foot=True),
    ],
    ["† A_1: it looks."],
    "not comparable: sample data",
)


def rows_of(shown: Table) -> list[dict[str, str]]:
    """Its CSV, read."""
    return list(csv.DictReader(io.StringIO(as_csv(shown))))


class Cells(HTMLParser):
    """The text of each cell of a page's tables, row by row; and the attributes of each start tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.rows = [[text.strip() for text in row] for row in self.rows]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def shown(one: Table) -> str:
    """As the page has it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(page.__file__).parent / "templates"
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    return environment.from_string('{% from "table.html" import show %}{{ show(table) }}').render(table=one)


def test_a_csv_by_hand() -> None:
    """Behind a value come the ends of its interval or its deviation, the paper's number and the difference to it."""
    assert as_csv(TABLE).splitlines() == [
        "tracker,100% of frames: auc,100% of frames: auc low,100% of frames: auc high,100% of frames: error,"
        "100% of frames: error std,100% of frames: error paper,100% of frames: error paper std,"
        "100% of frames: error difference,note",
        "A_1†,0.612346,0.510000,0.700000,-0.068000,0.120000,0.360000,0.110000,-0.428000,not comparable: sample data",
        "B#2,,,,,,,,,not comparable: sample data",
        "mean,0.612346,,,,,,,,not comparable: sample data",
    ]


def test_words_in_a_csv() -> None:
    """A column without numbers has its words; second lines that are words have a column of their own."""
    cells = [Cell("done"), Cell("0.5", 0.5, beside=Beside("ROLO")), Cell("3 of 4", 3)]
    head = [Column(name) for name in ("trial", "state", "best", "cells")]
    empty = [Cell(), Cell(""), Cell("0.1", 0.1)]
    found = rows_of(Table("t", "T", head, [Row("a", cells), Row("b", empty)]))
    assert found[0] == {"trial": "a", "state": "done", "best": "0.500000", "best of": "ROLO", "cells": "3"}
    assert found[1] == {"trial": "b", "state": "", "best": "", "best of": "", "cells": "0.100000"}


def test_a_latex_by_hand() -> None:
    """Groups span their columns, the best is bold, intervals are small, the paper's number has a line of its own."""
    lines = as_latex(TABLE).splitlines()
    assert lines[0] == r"% \usepackage{booktabs}"
    assert r"\caption{OTB\_30 \& more (not comparable: sample data).}\label{tab:mine-scores}" in lines
    assert r" & \multicolumn{2}{c}{100\% of frames} \\" in lines
    assert r"\cmidrule(lr){2-3}" in lines
    score = r"\textbf{0.612} {\scriptsize {[}0.510, 0.700]}"
    assert rf"A\_1$^\dagger$ & {score} & $-$0.07 {{\scriptsize $\pm$ 0.12}} \\" in lines
    assert r"\quad {\scriptsize in the paper} &  & {\scriptsize 0.36 $\pm$ 0.11 ($-$0.43)} \\" in lines
    assert r"B\#2 & \emph{failed} & -- \\" in lines
    assert lines[lines.index(r"mean & 0.612 & -- \\") - 1] == r"\midrule"


def test_what_latex_would_read_is_escaped() -> None:
    """Names keep their characters, whatever LaTeX means by them; one that opens a row is no option of the last."""
    name = r"[a_b] 5% & #1 {x} \y $z ~ ^ <c> | *"
    text = as_latex(Table("t", name, [Column(name), Column("x")], [Row(name, [Cell(name)])]))
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0].strip().removesuffix(r"\\").strip()
    written = r"{[}a\_b] 5\% \& \#1 \{x\} \textbackslash{}y \$z \textasciitilde{} \textasciicircum{} $<$c$>$ $|$ {*}"
    assert body == f"{written} & {written}"


def test_a_long_table_runs_over_pages() -> None:
    """Of more rows than a page has the head recurs; of wide ones its names stand upright."""
    head = [Column(f"Baseline+LSTM-{i}") for i in range(20)]
    text = as_latex(Table("t", "T", head, [Row(f"s{i}", [SCORE] * 19) for i in range(60)]))
    assert r"\begin{longtable}" in text
    assert r"\endhead" in text
    assert r"\rotatebox{90}{Baseline+LSTM-1}" in text
    assert text.startswith("% \\usepackage{booktabs,longtable,graphicx}")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path: Path) -> None:
    """LaTeX takes a small table, a wide one and one of several pages."""
    wide = Table("wide", "W", [Column(f"column {i}") for i in range(20)], [Row("a", [SCORE] * 19)])
    long = Table("long", "L", [Column("a"), Column("b")], [Row(f"[{i}]", [LOWER]) for i in range(99)])
    table.write([TABLE, wide, long], tmp_path)
    used = "".join(rf"\input{{{name}}}" for name in ("mine-scores", "wide", "long"))
    packages = r"\usepackage{booktabs,longtable,graphicx}"
    (tmp_path / "all.tex").write_text(rf"\documentclass{{article}}{packages}\begin{{document}}{used}\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


def test_page_csv_and_latex_agree() -> None:
    """A number that the page shows is that of the CSV, rounded, and stands in the LaTeX."""
    row = next(row for row in Cells(shown(TABLE)).rows if row[0].startswith("A_1"))
    first = row[1].split()[0]
    assert first == f"{float(rows_of(TABLE)[0]['100% of frames: auc']):.3f}"
    assert first in as_latex(TABLE)
    assert row[2].split() == ["−0.07", "±", "0.120.36", "±", "0.11", "(−0.43)"]


def test_a_hole_stays_a_hole() -> None:
    """What is not there is no 0: a dash in page and LaTeX, nothing in the CSV."""
    empty = Table("t", "T", [Column("a"), Column("b"), Column("c")], [Row("x", [Cell(), Cell("0.5", 0.5)])])
    assert rows_of(empty) == [{"a": "x", "b": "", "c": "0.500000"}]
    assert Cells(shown(empty)).rows[-1] == ["x", "–", "0.5"]
    assert r"x & -- & 0.5 \\" in as_latex(empty)


def test_every_head_has_a_name_and_a_scope() -> None:
    """No header cell of the page is empty; each says of what it is the head."""
    found = Cells(shown(TABLE))
    heads = [attributes for tag, attributes in found.tags if tag == "th"]
    assert [head["scope"] for head in heads] == ["col", "colgroup", "col", "col", "row", "row", "row"]
    assert found.rows[:2] == [["tracker", "100% of frames"], ["auc", "error"]]
    assert [head.get("data-first") for head in heads[2:4]] == ["descending", None]


def test_the_page_escapes_names() -> None:
    """A name is text, whatever HTML means by it."""
    name = "<script>\"&'</script>+"
    drawn = Cell("+0.1", 0.1, whisker=Whisker(0, 0.1, 0.2, -0.2, 0.2))
    html = shown(Table("t", name, [Column(name), Column(name)], [Row(name, [replace(drawn, text=name)])], [name], name))
    assert "<script>" not in html
    assert 'd="M100.0 0H200.0"' in html


def test_the_page_sorts_by_the_number() -> None:
    """A cell has its number beside its text only where that does not say it."""
    said = [Cell("0.61", 0.6123), Cell("−0.07", -0.068), Cell("12", 12), Cell("done"), Cell()]
    unsaid = [Cell("3 of 4", 3), Cell("0.61", 0.75), Cell("9 h", 32400.0)]
    assert [cell.key for cell in said] == [None] * 5
    assert [cell.key for cell in unsaid] == [3, 0.75, 32400]


def test_names_of_files() -> None:
    """A table's name is made of letters, digits and hyphens; others are refused, and so are two of one name."""
    assert slug("rolo", "OTB-30 one_pass", "ALOV300++") == "rolo-otb-30-one-pass-alov300-plus-plus"
    with pytest.raises(ValueError, match=re.escape("table 'a/b': expected a name of a-z")):
        replace(TABLE, name="a/b")
    with pytest.raises(ValueError, match="row x: expected 2 cells, got 1"):
        replace(TABLE, rows=[Row("x", [Cell()])])
    with pytest.raises(ValueError, match="expected columns of different names, got 'b' twice"):
        as_csv(Table("t", "T", [Column("a"), Column("b"), Column("b")], []))


def test_names_that_were_taken_get_numbers() -> None:
    """The first keeps its name; a number is none that another has already."""
    assert table.numbered(["a", "b", "a", "a-2", "a"]) == ["a", "b", "a-2", "a-2-2", "a-3"]
    one, other = replace(TABLE, title="One"), replace(TABLE, title="Other")
    table.tell_apart([one, other])
    assert (one.name, other.name) == ("mine-scores", "mine-scores-2")


def test_files(tmp_path: Path) -> None:
    """Each table is a CSV and a LaTeX file; of two with one name nothing is overwritten."""
    with pytest.raises(ValueError, match="table mine-scores: expected one of that name, got 'OTB_30 & more' as well"):
        table.write([TABLE, TABLE], tmp_path / "tables")
    assert (tmp_path / "tables/mine-scores.csv").read_text(encoding="utf-8") == as_csv(TABLE)
    assert (tmp_path / "tables/mine-scores.tex").read_text(encoding="utf-8") == as_latex(TABLE)
