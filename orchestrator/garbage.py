"""Which finished jobs nothing reaches any more, and their removal: `trackmeet gc`.

A job is kept where a tree plans it (`orchestrator.reach`), where its files lie in build/results, where a search in
build/searches made it, where such a job needs it, or where nobody can tell: doubt is a reason to keep, none to delete.
"""

from __future__ import annotations

import platform
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.lineage import file_digest
from orchestrator.paths import Paths
from orchestrator.reach import Wanted
from orchestrator.store import Store

DAY = 86_400.0  # seconds


@dataclass(frozen=True)
class Entry:
    """A finished job as the store has it. finished: seconds since 1970. python: "3.11", that planned it; "" unknown."""

    key: str
    label: str
    needs: tuple[str, ...]
    hashes: frozenset[str]
    python: str
    finished: float
    bytes: int


@dataclass
class Pile:
    """Jobs that are kept for one reason."""

    why: str
    jobs: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Garbage:
    """What `delete` would delete, and what is kept for which reason. unfinished: what killed runs left in tmp/."""

    kept: list[Pile]
    jobs: list[Entry]
    checkpoints: list[Path] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Of all that goes."""
        files = [*self.checkpoints, *self.logs, *self.unfinished]
        return sum(entry.bytes for entry in self.jobs) + sum(map(size, files))


def find(
    store: Store, projects: Sequence[Paths], trees: Sequence[Wanted], days: float, checkpoints: bool = False
) -> Garbage:
    """What may go. trees: all that may want a job. days: what is younger is kept, logs too. checkpoints: as well."""
    entries = {entry.key: entry for entry in survey(store)}
    reasons = _reasons(entries, projects, trees)
    kept: dict[str, Pile] = {}
    jobs = []
    young, here = time.time() - days * DAY, _minor(platform.python_version())
    blind = [tree for tree in trees if tree.problem]
    unsure = tuple({start for tree in trees for start in tree.unsure})
    for entry in entries.values():
        why = reasons.get(entry.key)
        if why is None and blind:
            why = f"{blind[0].name} cannot be planned: {blind[0].problem}"
        if why is None and entry.label.startswith(unsure):
            why = "the data of jobs of this name is not here, so that they cannot be told apart"
        if why is None and entry.python not in ("", here):
            why = f"another Python, {entry.python}, made them, and knows them by other keys"
        if why is None and entry.finished > young:
            why = f"finished in the last {days:g} days"
        if why is None:
            jobs.append(entry)
            continue
        pile = kept.setdefault(why, Pile(why))
        pile.jobs, pile.bytes = pile.jobs + 1, pile.bytes + entry.bytes
    unwanted = []
    if checkpoints and not blind and not unsure:
        planned = {key for tree in trees for key in tree.keys}
        unwanted = [p for p in _older(store.root / "checkpoints", young) if p.name not in planned | reasons.keys()]
    logs = [log for project in projects for log in _older(project.logs, young)]
    left = list(_older(store.root / "tmp", time.time()))
    return Garbage(list(kept.values()), jobs, unwanted, logs, left)


def delete(garbage: Garbage, store: Store) -> None:
    """Delete it; the caller holds the store.

    Whatever a kill leaves is whole, or lies in tmp/, which the next run empties.
    """
    temporary = store.root / "tmp"
    temporary.mkdir(exist_ok=True)
    for folder in [*(store.folder(entry.key) for entry in garbage.jobs), *garbage.checkpoints]:
        doomed = temporary / f"{folder.name}.{uuid.uuid4().hex[:8]}"
        folder.replace(doomed)
        shutil.rmtree(doomed)
    for log in garbage.logs:
        log.unlink(missing_ok=True)


def survey(store: Store) -> Iterator[Entry]:
    """All finished jobs of the store; of one whose manifest is damaged no more than its key, size and age."""
    for folder in store.root.glob("done/??/*"):
        manifest = store.manifest(folder.name) or {}
        identity = manifest.get("identity", {})
        yield Entry(
            key=folder.name,
            label=manifest.get("label", "(damaged)"),
            needs=tuple(identity.get("needs", {}).values()),
            hashes=frozenset(manifest.get("files", {}).values()),
            python=_minor(manifest.get("python", "")),
            finished=manifest.get("finished", folder.stat().st_mtime),
            bytes=size(folder),
        )


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _reasons(entries: dict[str, Entry], projects: Sequence[Paths], trees: Sequence[Wanted]) -> dict[str, str]:
    """Why jobs are reached, by key: the first reason that each has; a job that a reached one needs has that one's."""
    reasons: dict[str, str] = {}

    def reach(keys: Iterable[str], why: str) -> None:
        waiting = [key for key in keys if key not in reasons]
        while waiting:
            key = waiting.pop()
            if key not in reasons:
                reasons[key] = why
                waiting += entries[key].needs if key in entries else ()

    for tree in trees:
        reach(tree.keys, f"planned by {tree.name}")
    for project in projects:
        shown = {file_digest(file) for file in project.results.rglob("*") if file.is_file()}
        reach([e.key for e in entries.values() if e.hashes & shown], f"their files lie in {project.results}")
        searches = project.build / "searches"
        for folder in sorted(path for path in searches.glob("*/*") if path.is_dir()):
            begins = f"{folder.parent.name} search / {folder.name}, "  # labels of the jobs of its candidates
            reach([e.key for e in entries.values() if e.label.startswith(begins)], f"of the search in {folder}")
    return reasons


def _older(folder: Path, moment: float) -> Iterator[Path]:
    """What lies in a folder and was last changed before this moment."""
    if folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if path.stat().st_mtime < moment)


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
