"""What a paper reports and claims: papers/<study>.yaml. One more paper is one more file there.

tables           its numbers as printed, by tracker and benchmark: of each measure, subset and length, the mean, with a
                 standard deviation where the paper has one
sequence_tables  its numbers as printed, by sequence of a benchmark and tracker
claims           what it says of them, each with section, quote and the check that stands for it
charts           which numbers it draws; the kinds are those of `orchestrator.report.charts`
pictures         which trackers it shows next to each other
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

from orchestrator.report.results import Quantity
from trackers.evaluation.results import ALL

PAPERS = Path(__file__).parent / "papers"
_CELL = re.compile(r"(\d+(?:\.\d+)?)(?:±(\d+(?:\.\d+)?))?")
_EMPTY = "-"


class Aspect(NamedTuple):
    """What is reported of a tracker on a benchmark: a `Quantity` without convention.

    measure: or what tables alone have, see `orchestrator.report.tables.papers.Ours`. length: in frames; None: whole
    sequences. subset: "all", an attribute of sequences or a tag of frames. protocol: None: the paper's.
    """

    measure: str
    length: int | None = None
    subset: str = ALL
    protocol: str | None = None


Key = tuple[str, str, Aspect]  # tracker, benchmark and what of them


class Printed(NamedTuple):
    """One cell of a table: the score, and its standard deviation over sequences where it is printed."""

    mean: float
    std: float | None = None


@dataclass(frozen=True)
class PaperTable:
    """One table, or numbers that the text has (number None).

    cells: by tracker, then benchmark, one `Printed` for each of `columns`, None where the paper has none. others: the
    same of trackers that the paper has and the study has not.
    """

    number: int | None
    columns: tuple[Aspect, ...]
    cells: Mapping[str, Mapping[str, tuple[Printed | None, ...]]]
    caption: str = ""
    others: Mapping[str, Mapping[str, tuple[Printed | None, ...]]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """As its heading has it."""
        return "Numbers in the text" if self.number is None else f"Table {self.number}"

    @property
    def trackers(self) -> tuple[str, ...]:
        """In the order that the paper has."""
        return tuple(self.cells)

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """In the order that the paper has."""
        return tuple(next(iter(self.cells.values())))


@dataclass(frozen=True)
class SequenceTable:
    """One table of a benchmark by sequence. trackers: its columns. cells: by sequence, a score for each of them.

    measure: what it has; the paper's, where its file says no other. frames: how many each sequence has in the
    published benchmark, by which a shortened one, or another one of that name, is told.
    """

    number: int
    benchmark: str
    measure: str
    trackers: tuple[str, ...]
    frames: Mapping[str, int]
    cells: Mapping[str, tuple[float, ...]]
    caption: str = ""


@dataclass(frozen=True)
class Claim:
    """One statement, and the check that stands for it. section, quote: where the paper says so; None: ours.

    note: what readers must know besides, in sentences. check: a kind of `orchestrator.report.claims`. tracker, than: of
    whom it speaks. benchmarks: on which (empty: all of the study's); subset: of which sequences or frames. measure: by
    which (None: the paper's); protocol: under which (None: the paper's). margin: how far apart trackers that hardly
    differ may be.
    """

    name: str
    statement: str
    section: str | None
    quote: str | None
    check: str
    tracker: str
    than: str | None = None
    benchmarks: tuple[str, ...] = ()
    subset: str = ALL
    measure: str | None = None
    protocol: str | None = None
    margin: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class Chart:
    """One figure of numbers on a benchmark. kind: see `orchestrator.report.charts`.

    measure: what is drawn; the paper's, where its file says no other. trackers: a line, or those compared.
    subsets: of sequences or frames (empty: what the kind says). setting: by which the trackers stand on the
    axis called `axis`. speed: whether a trend has their frames per second, too. protocols: under which (empty: the
    paper's); of curves a panel each.
    """

    title: str
    caption: str
    kind: Literal["ranks", "speed", "tradeoff", "subsets", "trend", "success", "precision", "roc", "framewise"]
    benchmark: str
    measure: str
    trackers: tuple[str, ...] = ()
    subsets: tuple[str, ...] = ()
    setting: str = ""
    axis: str = ""
    speed: bool = False
    protocols: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """One figure: the same example sequences as these trackers saw them.

    attention, memory, recalled, contrast: show these as well. every_fold: of a cross-validation, the examples of every
    fold, not of the first alone. sequences: show these alone, of benchmarks that have any of them (empty: all).
    """

    title: str
    caption: str
    trackers: tuple[str, ...]
    attention: bool = False
    memory: bool = False
    recalled: bool = False
    contrast: bool = False
    every_fold: bool = False
    sequences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Paper:
    """Everything of one paper. measure: what it is mostly about. protocol: under which all of it was measured."""

    title: str = ""
    authors: str = ""
    year: int | None = None
    url: str = ""
    measure: str = "average_overlap"
    protocol: str = "one_pass"
    tables: tuple[PaperTable, ...] = ()
    sequence_tables: tuple[SequenceTable, ...] = ()
    claims: tuple[Claim, ...] = ()
    charts: tuple[Chart, ...] = ()
    pictures: tuple[Comparison, ...] = ()
    cells: Mapping[Key, Printed] = field(init=False)

    def __post_init__(self) -> None:
        cells: dict[Key, Printed] = {}
        for table in self.tables:
            for tracker, rows in table.cells.items():
                for benchmark, row in rows.items():
                    for aspect, printed in zip(table.columns, row, strict=True):
                        if printed is None:
                            continue
                        known = cells.setdefault((tracker, benchmark, aspect), printed)
                        if known != printed:
                            raise ValueError(
                                f"table {table.number}, {tracker}, {benchmark}, {aspect}: "
                                f"expected {known} as in an earlier table, got {printed}"
                            )
        object.__setattr__(self, "cells", cells)

    @property
    def cited(self) -> str:
        """Held et al. 2016; "" of no paper."""
        first, *others = self.authors.split(", ")
        return f"{first}{' et al.' if others else ''} {self.year}" if self.title else ""

    def aspect(self, quantity: Quantity) -> Aspect:
        """The quantity as the paper would report it, whatever the convention."""
        protocol = None if quantity.protocol == self.protocol else quantity.protocol
        return Aspect(quantity.measure, quantity.length, quantity.subset, protocol)


def load(study: str) -> Paper:
    """The paper of that study; an empty one where none is packaged. ValueError names the file and what is wrong."""
    path = PAPERS / f"{study}.yaml"
    if not path.exists():
        return Paper()
    try:
        import yaml
    except ModuleNotFoundError:  # a bare machine shows our numbers without the paper's
        return Paper()
    entry = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        return Paper(
            **{
                **entry,
                "tables": tuple(
                    _table({"measures": (entry["measure"],), "others": {}, **table}) for table in entry["tables"]
                ),
                "sequence_tables": tuple(
                    _sequence_table({"measure": entry["measure"], **table})
                    for table in entry.get("sequence_tables", ())
                ),
                "claims": tuple(Claim(**_tuples(claim)) for claim in entry["claims"]),
                "charts": tuple(
                    Chart(**{"measure": entry["measure"], **_tuples(chart)}) for chart in entry.get("charts", ())
                ),
                "pictures": tuple(Comparison(**_tuples(comparison)) for comparison in entry["pictures"]),
            }
        )
    except KeyError as error:
        raise ValueError(f"{path}: expected the key {error}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _table(entry: Mapping[str, Any]) -> PaperTable:
    """Its columns: of each measure (the paper's, if it names none), subset and length, under its protocol."""
    axes = (entry["measures"], entry.get("subsets", (ALL,)), entry.get("lengths", (None,)))
    columns = tuple(
        Aspect(measure, length, subset, entry.get("protocol")) for measure, subset, length in product(*axes)
    )
    cells, others = (
        {
            tracker: {benchmark: _row(str(text), len(columns), benchmark) for benchmark, text in rows.items()}
            for tracker, rows in entry[name].items()
        }
        for name in ("cells", "others")
    )
    return PaperTable(entry["number"], columns, cells, entry.get("caption", ""), others)


def _sequence_table(entry: Mapping[str, Any]) -> SequenceTable:
    """Its rows: the number of frames, then a cell for each tracker."""
    frames, cells = {}, {}
    for name, text in entry["rows"].items():
        count, *row = str(text).split()
        if not (count.isdecimal() and len(row) == len(entry["trackers"])):
            raise ValueError(f"{name}: expected a number of frames and {len(entry['trackers'])} cells, got {text!r}")
        frames[name] = int(count)
        cells[name] = tuple(printed.mean for printed in _row(" ".join(row), len(row), name) if printed)
        if len(cells[name]) != len(row):
            raise ValueError(f"{name}: expected {len(row)} cells, none of them empty, got {text!r}")
    rest = {key: value for key, value in _tuples(entry).items() if key != "rows"}
    return SequenceTable(frames=frames, cells=cells, **rest)


def _row(text: str, count: int, benchmark: str) -> tuple[Printed | None, ...]:
    """Cells like 0.36, or all like 0.36±0.12; - is an empty one."""
    words = text.split()
    found = [_CELL.fullmatch(word) for word in words]
    torn = any(match is None and word != _EMPTY for match, word in zip(found, words, strict=True))
    if len(found) != count or torn or len({match[2] is None for match in found if match}) > 1:
        raise ValueError(f"{benchmark}: expected {count} cells, all like 0.36 or all like 0.36±0.12, got {text!r}")
    return tuple(match and Printed(float(match[1]), float(match[2]) if match[2] else None) for match in found)


def _tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
