"""What a paper reports and claims: papers/<study>.yaml. One more paper is one more file there.

tables    its numbers as printed, mean ± standard deviation by tracker, benchmark and length
claims    what it says of them, each with section, quote and the check that stands for it
pictures  which trackers it shows next to each other
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.report.results import Quantity
from trackers.evaluation.results import ALL

PAPERS = Path(__file__).parent / "papers"
_CELL = re.compile(r"(\d+(?:\.\d+)?)±(\d+(?:\.\d+)?)")


class Printed(NamedTuple):
    """One cell of a table: mean and standard deviation over sequences."""

    mean: float
    std: float


@dataclass(frozen=True)
class PaperTable:
    """One table. cells: by tracker, then benchmark, one `Printed` for each of `lengths`."""

    number: int
    lengths: tuple[int, ...]
    cells: Mapping[str, Mapping[str, tuple[Printed, ...]]]

    @property
    def trackers(self) -> tuple[str, ...]:
        """In the order of its columns."""
        return tuple(self.cells)

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """In the order of its rows."""
        return tuple(next(iter(self.cells.values())))


@dataclass(frozen=True)
class Claim:
    """One statement of a paper, and the check that stands for it.

    check: a kind of `orchestrator.report.claims`. tracker, than: of whom it speaks. benchmarks:
    on which (empty: all of the study's). margin: how far apart trackers that hardly differ may be.
    """

    name: str
    statement: str
    section: str
    quote: str
    check: str
    tracker: str
    than: str | None = None
    benchmarks: tuple[str, ...] = ()
    margin: float | None = None


@dataclass(frozen=True)
class Comparison:
    """One figure: the same example sequences as these trackers saw them. attention: show masks as well."""

    title: str
    caption: str
    trackers: tuple[str, ...]
    attention: bool = False


@dataclass(frozen=True)
class Paper:
    """Everything of one paper. measure, protocol: what its tables report."""

    title: str = ""
    authors: str = ""
    year: int | None = None
    url: str = ""
    measure: str = "average_overlap"
    protocol: str = "one_pass"
    tables: tuple[PaperTable, ...] = ()
    claims: tuple[Claim, ...] = ()
    pictures: tuple[Comparison, ...] = ()
    cells: Mapping[tuple[str, str, int | None], Printed] = field(init=False)  # by tracker, benchmark, length

    def __post_init__(self) -> None:
        cells: dict[tuple[str, str, int | None], Printed] = {}
        for table in self.tables:
            for tracker, rows in table.cells.items():
                for benchmark, row in rows.items():
                    for length, printed in zip(table.lengths, row, strict=True):
                        known = cells.setdefault((tracker, benchmark, length), printed)
                        if known != printed:
                            raise ValueError(
                                f"table {table.number}, {tracker}, {benchmark}, length {length}: "
                                f"expected {known} as in an earlier table, got {printed}"
                            )
        object.__setattr__(self, "cells", cells)

    def reports(self, quantity: Quantity) -> bool:
        """Whether its tables are of this measure and protocol, on whole data sets."""
        return (quantity.measure, quantity.protocol, quantity.subset) == (self.measure, self.protocol, ALL)


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
                "tables": tuple(_table(table) for table in entry["tables"]),
                "claims": tuple(Claim(**_tuples(claim)) for claim in entry["claims"]),
                "pictures": tuple(Comparison(**_tuples(comparison)) for comparison in entry["pictures"]),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def _table(entry: Mapping[str, Any]) -> PaperTable:
    lengths = tuple(entry["lengths"])
    cells = {
        tracker: {benchmark: _row(text, len(lengths), benchmark) for benchmark, text in rows.items()}
        for tracker, rows in entry["cells"].items()
    }
    return PaperTable(entry["number"], lengths, cells)


def _row(text: str, count: int, benchmark: str) -> tuple[Printed, ...]:
    found = [_CELL.fullmatch(word) for word in text.split()]
    if len(found) != count or None in found:
        raise ValueError(f"{benchmark}: expected {count} cells like 0.36±0.12, got {text!r}")
    return tuple(Printed(float(match[1]), float(match[2])) for match in found if match)


def _tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
