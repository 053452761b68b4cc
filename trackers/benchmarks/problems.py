"""What is wrong with a data set: every problem is noted, with its place, and all are told together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

SHOWN = 20  # problems in one error message


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong. file: as the user would open it. line: 1-based; 0 where it is the whole file."""

    file: str
    line: int
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: expected {self.expected}, found {self.found}"


@dataclass
class Problems:
    """Collects problems while a data set is read."""

    found: list[Problem] = field(default_factory=list)

    def say(self, file: str, expected: str, found: str, line: int = 0) -> None:
        """Note one more."""
        self.found.append(Problem(file, line, expected, found))

    def note(self, file: str, error: Exception) -> None:
        """Note what kept a file from being read: its message is "expected ..., found ...", or the system's."""
        if isinstance(error, OSError):
            self.say(file, "a file", error.strerror or type(error).__name__)
            return
        expected, _, found = str(error).removeprefix("expected ").partition(", found ")
        self.say(file, expected, found)

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Problem]:
        return iter(sorted(self.found))

    def refuse(self) -> None:
        """Raise DataError if there are any."""
        if self.found:
            raise DataError(tuple(self))


class DataError(ValueError):
    """A data set that cannot be read as it is; one line a problem."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        more = f"\nand {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        super().__init__("\n".join(map(str, problems[:SHOWN])) + more)
