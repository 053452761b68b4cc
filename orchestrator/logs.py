"""What jobs printed: files <job>.<first 8 of its key>.log, appended by the driver as text comes from any node."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

TRIAL = re.compile(r"(.*_seed_\d+)_")  # what names of the logs of one trial have in common


class Logs:
    """The logs that a word means, and how far each has been read.

    word: part of a job's or trial's label, or how a key begins. every: of all trials that it may mean.
    """

    def __init__(self, folder: Path, word: str, every: bool = False) -> None:
        self.folder = folder
        self.known: dict[Path, int] = {}  # bytes read
        self._word = word
        self._every = every
        self._last: Path | None = None
        self._ran = False

    def new(self) -> Iterator[str]:
        """What was printed since the last call, with a heading where another file begins.

        Raises ValueError, with the candidates, where the word means several trials.
        """
        for path in self._found():
            start = self.known.setdefault(path, 0)
            with path.open("rb") as file:
                file.seek(start)
                text = file.read()
            self.known[path] = start + len(text)
            if text:
                if path != self._last:
                    yield f"==> {path.name} <==\n"
                self._last = path
                yield text.decode(errors="replace")

    def over(self, status: Mapping[str, Any] | None, alive: bool) -> bool:
        """Whether no more will come: the run has ended, or, where the word means one job, that has."""
        if not alive or status is None:
            return True
        running = {slug(row["label"]) for row in status["running"]}
        before, self._ran = self._ran, any(job_of(path) in running for path in self.known)
        meant = [path for path in self.known if slug(self._word) == job_of(path) or _begins(self._word, _key(path))]
        return len(meant) == len(self.known) == 1 and before and not self._ran

    def _found(self) -> list[Path]:
        word = slug(self._word).lower()
        every = sorted(self.folder.glob("*.log"), key=lambda path: (path.stat().st_mtime, path.name))
        found = [path for path in every if word in job_of(path).lower() or _begins(self._word, _key(path))]
        trials = sorted({trial_of(path) for path in found})
        exact = [path for path in found if trial_of(path).lower() == word]
        if len(trials) > 1 and not exact and not self._every:
            raise ValueError(f"several trials are {self._word!r}; expected --all, or one of {'; '.join(trials)}")
        return exact or found


def slug(label: str) -> str:
    """A job's label as the name of its log."""
    return re.sub(r"[^\w.-]+", "_", label)


def job_of(log: Path) -> str:
    """The job's label, as far as a name of a file has it."""
    return log.name.removesuffix(".log").rpartition(".")[0]


def trial_of(log: Path) -> str:
    """The same of its trial; of a job that belongs to none, its own."""
    match = TRIAL.match(job_of(log))
    return match[1] if match else job_of(log)


def _key(log: Path) -> str:
    return log.name.removesuffix(".log").rpartition(".")[2]


def _begins(word: str, key: str) -> bool:
    """Whether the word is the beginning, of 4 letters at least, of the key that begins so."""
    return len(word) >= 4 and (key.startswith(word) or (len(word) >= 8 and word.startswith(key)))
