"""The record in MLflow: what the driver tells goes through an outbox, and a thread delivers it.

The driver tells; workers never do. Each call writes to the outbox on disk and returns at once. If the store is away,
work goes on and the entries wait, if need be for the next process. Every delivery is safe to repeat: a run is found by
its trial's key before one is created, and metrics carry the time at which they were measured, so that MLflow knows
them again. A retry, a resumed trial or a second `dvc repro` opens the same run again.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal

from orchestrator.record import Model, Point, Study, TrialRun, flatten
from orchestrator.record.mlflow_store import MlflowStore, without_password
from orchestrator.record.outbox import Outbox

logger = logging.getLogger(__name__)


class MlflowRecord:
    """A record in the MLflow store at `uri`, through an outbox in the folder `spool`.

    What an earlier process left in the outbox is delivered first. An entry that MLflow refuses (a name with a bad
    character, a setting that changed) is put aside, with the reason, in `refused.jsonl` of that folder and in a tag
    of the run, and the rest goes on; `orchestrator.record.outbox.refused` reads it. Raises RuntimeError where another
    process uses the same outbox.
    """

    gather_s = 1.0  # entries wait this long for others, to go as one batch
    longest_pause_s = 30.0  # between two attempts while the store is away
    attempts = 5  # for an entry that fails although the store answers

    def __init__(self, spool: Path, uri: str) -> None:
        self._outbox = Outbox(spool)
        self._uri = uri
        self._store: MlflowStore | None = None
        self._told: set[str] = set()
        self._news = threading.Event()
        self._closing = threading.Event()
        self._stop = threading.Event()
        self.inherited = len(self._outbox)  # entries that an earlier process left
        if self.inherited:
            self._news.set()
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()

    def study(self, study: Study) -> None:
        self._outbox.append({"what": "study", "key": study.name, **vars(study)})
        self._news.set()

    def trial(self, trial: TrialRun) -> None:
        self._told.add(trial.key)
        entry = {
            "study": trial.study,
            "name": trial.name,
            "settings": flatten(trial.settings),
            "tags": {name: str(value) for name, value in trial.tags.items()},
            "description": trial.description,
            "parent": trial.parent,
            "data": [vars(dataset) for dataset in trial.data],
            "timestamp_ms": time.time_ns() // 1_000_000 if trial.began is None else trial.began,
        }
        self._tell("trial", trial.key, entry)

    def metrics(self, key: str, points: Sequence[Point]) -> None:
        plain = [(str(name), float(value), int(step), int(when)) for name, value, step, when in points]
        self._tell("metrics", key, {"points": plain})

    def artifact(self, key: str, path: Path, folder: str = "") -> None:
        self._tell("artifact", key, {"file": str(self._outbox.keep(path)), "folder": folder, "path": str(path)})

    def model(self, key: str, model: Model) -> None:
        files = [str(self._outbox.keep(path, name)) for name, path in model.files.items()]
        entry = {name: value for name, value in vars(model).items() if name != "files"}
        self._tell("model", key, {**entry, "files": files})

    def attach(self, study: str, key: str, path: Path, folder: str = "") -> None:
        """Add a finished file to the run of a trial that an earlier process told; put aside if there is no such run."""
        entry = {"study": study, "file": str(self._outbox.keep(path)), "folder": folder, "path": str(path)}
        self._outbox.append({"what": "attach", "key": key, **entry})
        self._news.set()

    def report(self, study: str, key: str, metrics: Mapping[str, float], made_of: str) -> None:
        """Add a study's results to the run of this key, which was told: a step more where they have changed."""
        now = time.time_ns() // 1_000_000
        self._tell("report", key, {"study": study, "metrics": metrics, "made_of": made_of, "timestamp_ms": now})

    def finish(self, key: str, status: Literal["FINISHED", "FAILED", "KILLED"], timestamp_ms: int) -> None:
        self._tell("finish", key, {"status": status, "timestamp_ms": int(timestamp_ms)})

    def close(self, timeout: float) -> int:
        self._closing.set()
        self._news.set()
        self._thread.join(timeout)
        self._stop.set()
        self._thread.join(1.0)  # unless it is in the middle of a call, it ends now and frees the outbox
        return len(self._outbox)

    def _tell(self, what: str, key: str, entry: Mapping[str, Any]) -> None:
        if key not in self._told:
            raise KeyError(f"expected a trial that was told first, got {what} of {key!r}")
        self._outbox.append({"what": what, "key": key, **entry})
        self._news.set()

    def _run(self) -> None:
        while not (self._closing.is_set() and not len(self._outbox)) and not self._stop.is_set():
            self._news.wait()
            self._closing.wait(self.gather_s)
            self._news.clear()
            self._deliver()
        self._outbox.close()

    def _deliver(self) -> None:
        """Deliver all that waits, or go on trying until `close` ends it."""
        failures, strikes = 0, 0  # attempts at the same entries; those of them while the store answered
        while len(self._outbox) and not self._stop.is_set():
            try:
                self._store = self._store or MlflowStore(self._uri, self._outbox.delivered())
                self._deliver_batch(self._store, last_chance=strikes + 1 >= self.attempts)
            except Exception as error:
                failures += 1
                strikes = strikes + 1 if self._store and self._store.answers() else 0
                if failures == 1:
                    where, waiting = without_password(self._uri), len(self._outbox)
                    logger.warning("record: %d entries wait, %s does not take them: %s", waiting, where, error)
                pause = min(0.25 * 2**failures, 1.0 if self._closing.is_set() else self.longest_pause_s)
                (self._stop if self._closing.is_set() else self._closing).wait(pause)
            else:
                if failures:
                    logger.info("record: %s takes entries again", without_password(self._uri))
                failures = strikes = 0

    def _deliver_batch(self, store: MlflowStore, last_chance: bool) -> None:
        """Deliver the oldest entries: a long row of metrics, or one entry of another kind."""
        what, row = next(groupby(self._outbox.waiting(), key=lambda item: item[0].get("what")))
        batch = list(islice(row, 10_000 if what == "metrics" else 1))
        entries = [entry for entry, _ in batch]
        refusals = store.send(entries, last_chance)
        for entry, reason in refusals:
            self._outbox.refuse(entry, reason)
            what_of = f"{entry.get('what')} {entry.get('name', '')}".strip()
            logger.warning("record: put aside %s of trial %s: %s", what_of, entry.get("key"), reason)
        self._outbox.advance(batch[-1][1], len(batch))
        if what in ("artifact", "attach"):
            self._outbox.drop(Path(entries[0]["file"]))
        for file in entries[0]["files"] if what == "model" else ():
            self._outbox.drop(Path(file))


def replay(spool: Path, uri: str, timeout: float) -> tuple[int, int]:
    """Deliver what earlier processes left in this outbox; return how many entries went, and how many are left."""
    record = MlflowRecord(spool, uri)
    left = record.close(timeout)
    return record.inherited - left, left
