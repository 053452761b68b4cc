"""How another terminal asks a running driver to end trials: by files in the store's folder, which the driver answers.

<store>/requests/<id>.json     {"words": [...]}: end the trials so named; null: end the run
<store>/requests/<id>.heard    the driver's answer, for the one that asked to read and remove:
                               {"trials": [...], "jobs": n}, or {"problem": ...}
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from orchestrator.executor import Observer
from orchestrator.files import write_json
from orchestrator.plan import Trial

CANCELLED = "cancelled from another terminal"  # how the message of a job's failure begins that was asked to end


class Cancels(Protocol):
    """What ends jobs, as an `Executor` does: they fail with the message, and so does what needs them."""

    def cancel(self, keys: Iterable[str], message: str) -> Any: ...


@dataclass
class Requests(Observer):
    """An observer of the executor that hears requests. Raises KeyboardInterrupt in `tick` when the run is to end.

    trials: none of a search, which makes its own as it goes. executor: is set before the run starts.
    What was asked of an earlier run is forgotten.
    """

    folder: Path
    trials: Sequence[Trial]
    executor: Cancels | None = None
    _ended: set[str] = field(default_factory=set)  # keys of the trials that were

    def __post_init__(self) -> None:
        for path in _files(self.folder):
            path.unlink(missing_ok=True)

    def tick(self) -> None:
        for path in _files(self.folder, "*.json"):
            try:
                words = json.loads(path.read_text())["words"]
            except FileNotFoundError:  # who asked waits no more
                continue
            except (OSError, ValueError, LookupError, TypeError) as error:
                path.unlink(missing_ok=True)
                _answer(path, {"problem": f"a request that cannot be read: {type(error).__name__}: {error}"})
                continue
            path.unlink(missing_ok=True)
            if words is None:
                _answer(path, {"trials": ["the run"], "jobs": 0})
                raise KeyboardInterrupt
            _answer(path, self._cancel(words))

    def _cancel(self, words: list[str]) -> dict[str, Any]:
        if not self.trials:
            return {"problem": "a search can only be ended as a whole: --all"}
        try:
            chosen = [pick(word, self.trials) for word in words]
        except ValueError as error:
            return {"problem": str(error)}
        self._ended |= {trial.key for trial in chosen}
        others = {key for trial in self.trials if trial.key not in self._ended for key in trial.keys}
        keys = {key for trial in chosen for key in trial.keys} - others
        assert self.executor is not None
        self.executor.cancel(keys, CANCELLED)
        return {"trials": [full_name(trial) for trial in chosen], "jobs": len(keys)}


def full_name(trial: Trial) -> str:
    """A trial's name, and its study's."""
    return f"{trial.study} / {trial.name}"


def pick(word: str, trials: Iterable[Trial]) -> Trial:
    """The trial of this full name, or, if there is none, whose name has the word in it, or whose key begins with it.

    Raises ValueError, with the candidates, where that are none or several.
    """
    known = {full_name(trial): trial for trial in trials}
    if word in known:
        return known[word]
    found = [one for one in known if word.lower() in one.lower() or (len(word) > 5 and known[one].key.startswith(word))]
    if not found:
        raise ValueError(f"no trial {word!r}; expected one of {'; '.join(known)}")
    if len(found) > 1:
        raise ValueError(f"several trials are {word!r}; expected one of {'; '.join(found)}")
    return known[found[0]]


def ask(folder: Path, words: Sequence[str] | None, patience: float = 10.0) -> dict[str, Any]:
    """Ask the driver to end these trials, or (None) the run -> its answer. TimeoutError if it gives none in time."""
    request = folder / f"{uuid.uuid4().hex[:12]}.json"
    write_json(request, {"words": None if words is None else list(words)})
    answer, until = request.with_suffix(".heard"), time.monotonic() + patience
    try:
        while time.monotonic() < until:
            if answer.exists():
                return json.loads(answer.read_text())
            time.sleep(0.1)
    finally:
        request.unlink(missing_ok=True)
        answer.unlink(missing_ok=True)
    raise TimeoutError(f"the run did not answer in {patience:g} s; it may be in the middle of a long step: ask again")


def _answer(request: Path, content: dict[str, Any]) -> None:
    write_json(request.with_suffix(".heard"), content)


def _files(folder: Path, pattern: str = "*") -> list[Path]:
    """Of a folder, whole ones: not those that are being written."""
    return sorted(path for path in folder.glob(pattern) if path.is_file() and not path.name.startswith("."))
