"""The journal of a search: what has become of each candidate, one JSON object a line, from which a search goes on.

    {"search": ..., "id": ...}                                   of what search it is
    {"trial": 0, "settings": {...}, "at": ...}                   a candidate began
    {"trial": 0, "lineage": [{...}], "score": ..., "at": ...}    one of its rungs ended; lineage: settings, rung by rung
    {"trial": 0, "ended": "FINISHED", "message": "", "at": ...}  it ended, or was stopped

Times are in ms since 1970. A line that a kill cut off is left out.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.files import write_bytes

Settings = dict[str, Any]


@dataclass
class Rung:
    """lineage: the settings of each rung up to this one. at: when it ended, in ms since 1970."""

    lineage: list[Settings]
    score: float
    at: int


@dataclass
class Member:
    """A candidate. settings: those that it began with. ended: "FINISHED" or "FAILED"; None while it goes on."""

    number: int
    settings: Settings
    rungs: list[Rung] = field(default_factory=list)
    ended: str | None = None
    message: str = ""
    at: int = 0

    @property
    def lineage(self) -> list[Settings]:
        """Of its last rung; [] before the first has ended."""
        return self.rungs[-1].lineage if self.rungs else []

    def rung(self, lineage: list[Settings]) -> Rung | None:
        """The rung of this lineage, if it has ended."""
        return next((rung for rung in self.rungs if rung.lineage == lineage), None)


class Journal:
    """The journal in a file. identity: of the search; a journal of another is begun anew, as is one not to `resume`."""

    def __init__(self, path: Path, identity: str, resume: bool) -> None:
        self._path = path
        self.members: list[Member] = []
        lines = _read(path) if resume else []
        self.resumed = bool(lines) and lines[0].get("search") == identity
        self.id: str = lines[0]["id"] if self.resumed else uuid.uuid4().hex[:12]
        kept = lines[1:] if self.resumed else []
        first = {"search": identity, "id": self.id}
        write_bytes(path, "".join(json.dumps(line) + "\n" for line in (first, *kept)).encode())
        for line in kept:
            self._take(line)

    def begin(self, settings: Settings) -> Member:
        """Another candidate."""
        self._write({"trial": len(self.members), "settings": settings})
        return self.members[-1]

    def score(self, member: Member, lineage: list[Settings], score: float) -> Rung:
        """One of its rungs ended."""
        self._write({"trial": member.number, "lineage": lineage, "score": score})
        return member.rungs[-1]

    def end(self, member: Member, ended: str, message: str = "", final: bool = True) -> None:
        """It goes no further. final: if not, the file does not say so, and a search that goes on tries it again."""
        self._write({"trial": member.number, "ended": ended, "message": message}, final)

    def _write(self, line: dict[str, Any], final: bool = True) -> None:
        line = json.loads(json.dumps({**line, "at": time.time_ns() // 1_000_000}))  # as it will be read
        if final:
            with self._path.open("a") as file:
                file.write(json.dumps(line) + "\n")
        self._take(line)

    def _take(self, line: dict[str, Any]) -> None:
        if "settings" in line:
            self.members.append(Member(line["trial"], line["settings"], at=line["at"]))
        elif "score" in line:
            self.members[line["trial"]].rungs.append(Rung(line["lineage"], line["score"], line["at"]))
        else:
            member = self.members[line["trial"]]
            member.ended, member.message, member.at = line["ended"], line["message"], line["at"]


def population(members: Sequence[Member], drawn: Sequence[Settings]) -> list[tuple[int, Settings]]:
    """Who of a population goes on, by number, and with which settings.

    Those members that have not ended, with their last ones; and new ones, with those that were drawn and not begun.
    """
    fresh: list[Settings] = json.loads(json.dumps(list(drawn)))  # as members' settings were read
    for member in members:
        if member.settings in fresh:
            fresh.remove(member.settings)
    own = [(m.number, m.lineage[-1] if m.rungs else m.settings) for m in members[: len(drawn)] if m.ended is None]
    return own + list(enumerate(fresh[: max(0, len(drawn) - len(members))], len(members)))


def _read(path: Path) -> list[dict[str, Any]]:
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
