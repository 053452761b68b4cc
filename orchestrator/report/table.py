"""A table as a person sees it; the same as CSV for a program and as LaTeX for a paper.

Numbers are formatted by whoever makes the table; a cell has the number itself as well, by which rows are sorted and
which the CSV has. What is not there is a hole everywhere, never a 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from orchestrator.report import scores

if TYPE_CHECKING:
    from orchestrator.report.plots.plot import Plot

HOLE = "–"
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_PAGE = 45  # rows, above which a table of LaTeX runs over pages
_LINE = 90  # characters, above which it is shrunk to the width of the text, or its heads are turned
_TEX = {
    **{c: rf"\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$",
    "|": "$|$", "[": "{[}", "*": "{*}", '"': "''", "−": "$-$", "±": r"$\pm$", "–": "--", "†": r"$^\dagger$",
    "→": r"$\to$", "×": r"$\times$", "’": "'", "“": "``", "”": "''", "…": r"\ldots{}", "▾": r"$\downarrow$",
}  # fmt: skip

Mark = Literal["", "best", "worst", "failed", "soft", "holds", "does-not-hold", "undecided", "not-tested"]


class Whisker(NamedTuple):
    """An interval as a drawing, on an axis from `least` to `most` with a line at 0."""

    low: float
    effect: float
    high: float
    least: float
    most: float

    def at(self, value: float) -> float:
        """Where on the axis that is, from 0 to 200."""
        return 200 * (value - self.least) / (self.most - self.least)


class Beside(NamedTuple):
    """The second line of a cell: the paper's own number (value), or words (None). difference: ours minus it.

    differs: the difference as it is shown.
    """

    text: str
    value: float | None = None
    std: float | None = None
    difference: float | None = None
    differs: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """text: what stands there; spread: the interval or deviation behind it, as shown. The rest are numbers.

    Of a spread of two lines LaTeX has the first: a paper's column is narrow.
    """

    text: str = HOLE
    value: float | None = None
    spread: str = ""
    low: float | None = None
    high: float | None = None
    std: float | None = None
    beside: Beside | None = None
    mark: Mark = ""
    whisker: Whisker | None = None

    @property
    def key(self) -> float | None:
        """By what it is sorted, where `text` does not say it: it is words, or rounded to another number."""
        if self.value is None:
            return None
        try:
            shown = self.text.replace("−", "-")
            _, _, decimals = shown.partition(".")
            return None if abs(float(shown) - self.value) <= 0.5000001 * 10.0 ** -len(decimals) else self.value
        except ValueError:
            return self.value


@dataclass(frozen=True)
class Column:
    """Neighbours of one group stand under it. better: which end is the good one, which a click sorts to the top first.

    text: of words, aligned to the left.
    """

    name: str
    group: str = ""
    better: Literal["higher", "lower"] | None = None
    text: bool = False

    @property
    def full(self) -> str:
        """With its group, as the CSV has it."""
        return f"{self.group}: {self.name}" if self.group else self.name


@dataclass(frozen=True)
class Row:
    """link: where its heading leads to. below: the heading's second line. foot: a mean or the like, at the foot."""

    heading: str
    cells: Sequence[Cell]
    link: str = ""
    below: str = ""
    foot: bool = False


@dataclass
class Table:
    """name: that of its files, unique in the report (see `tell_apart`). head: first the column of the rows' headings.

    notes: sentences that stand below. badge: what must be known before any number is read, in the caption and in
    every file. place: of what it is, where a heading of the page says so already; elsewhere it is before the title.
    Raises ValueError for a name that is no slug, and for rows that do not fit the head.
    """

    name: str
    title: str
    head: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    badge: str = ""
    place: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"table {self.name!r}: expected a name of a-z, 0-9 and single hyphens")
        for row in self.rows:
            if len(row.cells) != len(self.head) - 1:
                raise ValueError(
                    f"table {self.name}, row {row.heading}: expected {len(self.head) - 1} cells, got {len(row.cells)}"
                )

    @property
    def full(self) -> str:
        """Its title, as it is understood alone."""
        return f"{self.place}: {self.title}" if self.place else self.title

    @property
    def body(self) -> list[Row]:
        """The rows that are not at the foot."""
        return [row for row in self.rows if not row.foot]

    @property
    def foot(self) -> list[Row]:
        """The rows at the foot."""
        return [row for row in self.rows if row.foot]

    @property
    def groups(self) -> list[tuple[str, list[Column]]]:
        """The columns behind the headings in groups of neighbours; [] where none has a group."""
        columns = self.head[1:]
        if not any(column.group for column in columns):
            return []
        return [(name, list(group)) for name, group in groupby(columns, lambda column: column.group)]

    @property
    def starts(self) -> list[bool]:
        """Of each column behind the headings, whether a further group starts there."""
        starts = [i == 0 for _, group in self.groups for i in range(len(group))] or [False] * (len(self.head) - 1)
        return [False, *starts[1:]]


def slug(*words: str) -> str:
    """A table's name of these words."""
    return "-".join(re.findall("[a-z0-9]+", " ".join(words).lower().replace("+", " plus ")))


def numbered(names: Iterable[str]) -> list[str]:
    """The names, with numbers behind those that came before: "OTB 30" and "OTB-30" have one slug."""
    found: dict[str, None] = {}
    for name in names:
        unique = next(one for one in chain([name], (f"{name}-{i}" for i in count(2))) if one not in found)
        found[unique] = None
    return list(found)


def tell_apart(named: Iterable[Table | Plot]) -> None:
    """Number the names that several of these have."""
    named = list(named)
    for one, name in zip(named, numbered(one.name for one in named), strict=True):
        one.name = name


def write(tables: Iterable[Table], folder: Path) -> None:
    """Each table as `folder`/<name>.csv and .tex. Raises ValueError where two have one name."""
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, str] = {}
    for table in tables:
        if table.name in written:
            raise ValueError(f"table {table.name}: expected one of that name, got {written[table.name]!r} as well")
        written[table.name] = table.full
        (folder / f"{table.name}.csv").write_text(as_csv(table), encoding="utf-8")
        (folder / f"{table.name}.tex").write_text(as_latex(table), encoding="utf-8")


def as_csv(table: Table) -> str:
    """Each column, and behind it what its cells have besides a value: low, high, std, and the paper's number.

    Where the second lines are words, they are in the column "<name> of". A hole is an empty field. A badge is in the
    last column, "note".
    """
    first = table.head[0].name
    rows: list[dict[str, object]] = [{first: row.heading} for row in table.rows]
    columns = [first]
    for i, column in enumerate(table.head[1:]):
        for part, values in _parts([row.cells[i] for row in table.rows]):
            name = f"{column.full} {part}".rstrip()
            if name in columns:
                raise ValueError(f"table {table.name}: expected columns of different names, got {name!r} twice")
            columns.append(name)
            for row, value in zip(rows, values, strict=True):
                row[name] = value
    if table.badge:
        columns.append("note")
        for row in rows:
            row["note"] = table.badge
    return scores.as_csv(columns, rows)


def _parts(cells: Sequence[Cell]) -> Iterator[tuple[str, list[object]]]:
    """What there is of these, a column each; of words, where none has a number."""
    numbers = any(cell.value is not None for cell in cells)
    words = [None if cell.text == HOLE else cell.text or None for cell in cells]
    yield "", [cell.value for cell in cells] if numbers else list(words)
    besides = [cell.beside or Beside("") for cell in cells]
    said = all(beside.value is None for beside in besides)
    more: dict[str, list[object]] = {
        "low": [cell.low for cell in cells],
        "high": [cell.high for cell in cells],
        "std": [cell.std for cell in cells],
        "paper": [beside.value for beside in besides],
        "paper std": [beside.std for beside in besides],
        "difference": [beside.difference for beside in besides],
        "of": [beside.text.replace(HOLE, "") or None if said else None for beside in besides],
    }
    for name, values in more.items():
        if any(value is not None for value in values):
            yield name, values


def as_latex(table: Table) -> str:
    """A table of booktabs with caption and label; the best in bold; the paper's numbers on a line below ours."""
    aligned = "".join("l" if column.text else "r" for column in table.head[1:])
    long = len(table.rows) > _PAGE
    wide = _width(table) > _LINE
    packages = ["booktabs", *(["longtable"] if long else []), *(["graphicx"] if wide else [])]
    badge = f" ({_escaped(table.badge)})" if table.badge else ""
    caption = rf"\caption{{{_escaped(table.full)}{badge}.}}\label{{tab:{table.name}}}"
    notes = [rf"\par\smallskip\footnotesize {_escaped(note)}" for note in table.notes]
    names = [_escaped(column.name) for column in table.head]
    if long and wide:  # cannot be shrunk
        names = [names[0], *(rf"\rotatebox{{90}}{{{name}}}" for name in names[1:])]
    head = [*_groups(table), " & ".join(names) + r" \\", r"\midrule"]
    body = [line for row in table.body for line in _lines(table, row)]
    foot = [line for row in table.foot for line in _lines(table, row)]
    inner = [*body, *([r"\midrule", *foot] if foot else []), r"\bottomrule"]
    if long:
        heads = [caption + r"\\", r"\toprule", *head, r"\endfirsthead", r"\toprule", *head, r"\endhead"]
        made = [rf"\begin{{longtable}}{{l{aligned}}}", *heads, *inner]
        lines = [r"\begingroup\scriptsize\setlength{\tabcolsep}{3pt}", *made, r"\end{longtable}", *notes, r"\endgroup"]
    else:
        made = [rf"\begin{{tabular}}{{l{aligned}}}", r"\toprule", *head, *inner, r"\end{tabular}"]
        if wide:
            made = [r"\resizebox{\linewidth}{!}{%", *made, "}"]
        lines = [r"\begin{table}", r"\centering\footnotesize", caption, *made, *notes, r"\end{table}"]
    return "\n".join([f"% \\usepackage{{{','.join(packages)}}}", *lines, ""])


def _groups(table: Table) -> list[str]:
    """The upper line of the head, with rules below its groups."""
    if not table.groups:
        return []
    names, rules, first = [""], [], 2
    for name, columns in table.groups:
        last = first + len(columns) - 1
        names.append(rf"\multicolumn{{{len(columns)}}}{{c}}{{{_escaped(name)}}}")
        if name:
            rules.append(rf"\cmidrule(lr){{{first}-{last}}}")
        first = last + 1
    return [" & ".join(names) + r" \\", "".join(rules)]


def _lines(table: Table, row: Row) -> Iterator[str]:
    """The row, and where it has second lines the row of these."""
    yield " & ".join([_escaped(row.heading), *(_tex(cell) for cell in row.cells)]) + r" \\"
    besides = [cell.beside for cell in row.cells]
    if any(besides) or row.below:
        shown = [rf"\quad {{\scriptsize {_escaped(row.below)}}}" if row.below else ""]
        for beside in besides:
            difference = f" ({beside.differs})" if beside and beside.differs else ""
            shown.append(rf"{{\scriptsize {_escaped(beside.text + difference)}}}" if beside else "")
        yield " & ".join(shown) + r" \\"


def _tex(cell: Cell) -> str:
    text = _escaped(cell.text)
    if cell.mark == "best":
        text = rf"\textbf{{{text}}}"
    elif cell.mark == "worst":
        text = rf"\underline{{{text}}}"
    elif cell.mark == "failed":
        text = rf"\emph{{{text}}}"
    behind = cell.spread.partition("\n")[0]
    return rf"{text} {{\scriptsize {_escaped(behind)}}}" if behind else text


def _escaped(text: str) -> str:
    """For LaTeX; letters beyond Latin want XeLaTeX or LuaLaTeX."""
    return "".join(_TEX.get(character, character) for character in text)


def _width(table: Table) -> int:
    """How long its lines are, in characters and about."""
    widths = [max([len(c.name), *(_length(row.cells[i]) for row in table.rows)]) for i, c in enumerate(table.head[1:])]
    headings = [len(table.head[0].name), *(len(row.heading) for row in table.rows)]
    return max(headings) + sum(width + 2 for width in widths)


def _length(cell: Cell) -> int:
    """Small print is about two thirds as wide."""
    beside = len(cell.beside.text + cell.beside.differs) if cell.beside else 0
    return max(len(cell.text) + len(cell.spread.partition("\n")[0]) * 2 // 3, beside * 2 // 3)
