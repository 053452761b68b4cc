"""The record of trials: settings, curves, scores and files, one MLflow run a trial.

The driver tells a `Record` what happens; workers never do. `MlflowRecord` writes what it is told to an outbox on
disk and returns at once; a thread delivers from there. If the store is away, work goes on and the entries wait,
if need be for the next process. Every delivery is safe to repeat: a run is found by its trial's key before one is
created, and metrics carry the time at which they were measured, so that MLflow knows them again.

One MLflow experiment holds a study. A retry, a resumed trial or a second `dvc repro` opens the same run again.
"""

import fcntl
import json
import logging
import os
import re
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol
from urllib.parse import quote

from orchestrator.outbox import Entry, Outbox

logger = logging.getLogger(__name__)

KEY_TAG = "trackmeet.key"  # the tag by which a trial's run is found again
MAX_SETTING = 6000  # characters of a setting that MLflow keeps; the whole is then in the artifact settings.json
REFUSED_TAG = "trackmeet.refused"  # what of the trial MLflow would not take, last time it refused something


class Point(NamedTuple):
    """One value of one curve, measured at `timestamp_ms` (ms since 1970). NaN is kept; inf reads back as 1.8e308."""

    name: str
    value: float
    step: int
    timestamp_ms: int


@dataclass(frozen=True)
class TrialRun:
    """What the record says of a trial from its start.

    `settings` may be nested: MLflow shows `{"training": {"epochs": 2}}` as `training.epochs`. Settings of a run never
    change, tags may. MLflow's own tags (`mlflow.user`, `mlflow.source.git.commit`) fill the columns of its UI.
    `parent` is the key of the trial, told before, below whose run this one stands.
    """

    key: str
    study: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    parent: str = ""


class Record(Protocol):
    """What the driver tells while a study runs. A trial is told before anything about it: else KeyError."""

    def trial(self, trial: TrialRun) -> None:
        """Open the trial's run, new or known, as RUNNING."""

    def metrics(self, key: str, points: Sequence[Point]) -> None:
        """Add points to the trial's curves; a point told twice is kept once."""

    def artifact(self, key: str, path: Path, folder: str = "") -> None:
        """Add a finished file, under this folder of the run. The caller may remove the file, but not write in it."""

    def finish(self, key: str, status: Literal["FINISHED", "FAILED", "KILLED"], timestamp_ms: int) -> None:
        """End the trial's run."""

    def close(self, timeout: float) -> int:
        """Wait up to so many seconds for delivery; return the number of entries that are still to be delivered."""


class NoRecord:
    """Keeps nothing."""

    def trial(self, trial: TrialRun) -> None: ...

    def metrics(self, key: str, points: Sequence[Point]) -> None: ...

    def artifact(self, key: str, path: Path, folder: str = "") -> None: ...

    def finish(self, key: str, status: Literal["FINISHED", "FAILED", "KILLED"], timestamp_ms: int) -> None: ...

    def close(self, timeout: float) -> int:
        return 0


class MlflowRecord:
    """A record in the MLflow store at `uri`, through an outbox in the folder `spool`.

    What an earlier process left in the outbox is delivered first. An entry that MLflow refuses (a name with a bad
    character, a setting that changed) is put aside, with the reason, in `refused.jsonl` of that folder and in a tag
    of the run, and the rest goes on; `orchestrator.outbox.refused` reads it. Raises RuntimeError where another
    process uses the same outbox.
    """

    gather_s = 1.0  # entries wait this long for others, to go as one batch
    longest_pause_s = 30.0  # between two attempts while the store is away
    attempts = 5  # for an entry that fails although the store answers

    def __init__(self, spool: Path, uri: str) -> None:
        self._outbox = Outbox(spool)
        self._uri = uri
        self._store: _Store | None = None
        self._told: set[str] = set()
        self._news = threading.Event()
        self._closing = threading.Event()
        self._stop = threading.Event()
        self.inherited = len(self._outbox)  # entries that an earlier process left
        if self.inherited:
            self._news.set()
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()

    def trial(self, trial: TrialRun) -> None:
        self._told.add(trial.key)
        entry = {
            "study": trial.study,
            "name": trial.name,
            "settings": flatten(trial.settings),
            "tags": {name: str(value) for name, value in trial.tags.items()},
            "description": trial.description,
            "parent": trial.parent,
            "timestamp_ms": time.time_ns() // 1_000_000,
        }
        self._tell("trial", trial.key, entry)

    def metrics(self, key: str, points: Sequence[Point]) -> None:
        plain = [(str(name), float(value), int(step), int(when)) for name, value, step, when in points]
        self._tell("metrics", key, {"points": plain})

    def artifact(self, key: str, path: Path, folder: str = "") -> None:
        self._tell("artifact", key, {"file": str(self._outbox.keep(path)), "folder": folder, "path": str(path)})

    def attach(self, study: str, key: str, path: Path, folder: str = "") -> None:
        """Add a finished file to the run of a trial that an earlier process told; put aside if there is no such run."""
        entry = {"study": study, "file": str(self._outbox.keep(path)), "folder": folder, "path": str(path)}
        self._outbox.append({"what": "attach", "key": key, **entry})
        self._news.set()

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
                self._store = self._store or _Store(self._uri, self._outbox.delivered())
                self._deliver_batch(self._store, last_chance=strikes + 1 >= self.attempts)
            except Exception as error:
                failures += 1
                strikes = strikes + 1 if self._store and self._store.answers() else 0
                if failures == 1:
                    where, waiting = _without_password(self._uri), len(self._outbox)
                    logger.warning("record: %d entries wait, %s does not take them: %s", waiting, where, error)
                pause = min(0.25 * 2**failures, 1.0 if self._closing.is_set() else self.longest_pause_s)
                (self._stop if self._closing.is_set() else self._closing).wait(pause)
            else:
                if failures:
                    logger.info("record: %s takes entries again", _without_password(self._uri))
                failures = strikes = 0

    def _deliver_batch(self, store: "_Store", last_chance: bool) -> None:
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


def replay(spool: Path, uri: str, timeout: float) -> tuple[int, int]:
    """Deliver what earlier processes left in this outbox; return how many entries went, and how many are left."""
    record = MlflowRecord(spool, uri)
    left = record.close(timeout)
    return record.inherited - left, left


class _RefusalError(Exception):
    """This entry will never be taken, however often it is sent."""


class _Store:
    """One MLflow store, as an MlflowClient sees it; every call is safe to repeat."""

    # What MLflow answers to an entry that it will never take. Everything else may pass: a server that restarts,
    # a locked database, a full connection pool (which MLflow calls a BAD_REQUEST), a password that expired.
    final = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS")

    def __init__(self, uri: str, delivered: Sequence[Entry]) -> None:
        initialize(uri)
        self._client = _client(uri)
        self._artifacts = _artifacts(uri)
        self._trials = {entry["key"]: entry for entry in delivered if entry.get("what") == "trial"}
        self._experiments: dict[str, str] = {}
        self._runs: dict[str, str] = {}
        self._refusals: list[tuple[Entry, str]] = []
        self._last_chance = False

    def answers(self) -> bool:
        """Whether the store answers a question that no entry can spoil."""
        try:
            self._client.search_experiments(max_results=1)
        except Exception:
            return False
        return True

    def send(self, entries: Sequence[Entry], last_chance: bool) -> list[tuple[Entry, str]]:
        """Send entries of one kind; return what was refused, with reasons. Raises whatever says: try later."""
        self._refusals, self._last_chance = [], last_chance
        if entries[0].get("what") == "metrics":
            self._metrics(entries)
        else:
            self._each(entries, lambda one: self._single(one[0]))
        for entry, reason in self._refusals:
            if run := self._runs.get(entry.get("key", "")):
                with suppress(Exception):  # a courtesy: the file beside the outbox is what counts
                    self._client.set_tag(run, REFUSED_TAG, f"{entry.get('name', entry['what'])}: {reason}"[:500])
        return self._refusals

    def _each(self, items: Sequence[Entry], send: Callable[[Sequence[Entry]], Any]) -> None:
        """Send these items as one; where that is refused, by halves, so that only the bad ones are put aside."""
        try:
            send(items)
        except Exception as error:
            if not self._is_final(error):
                raise
            if len(items) == 1:
                self._refusals.append((items[0], str(error).strip().partition("\n")[0]))
                return
            half = len(items) // 2
            self._each(items[:half], send)
            self._each(items[half:], send)

    def _is_final(self, error: Exception) -> bool:
        if isinstance(error, (_RefusalError, FileNotFoundError)) or getattr(error, "error_code", None) in self.final:
            return True
        return self._last_chance and self.answers()

    def _single(self, entry: Entry) -> None:
        match entry:
            case {"what": "trial", "key": key}:
                self._trials[key] = entry
                self._open(entry)
            case {"what": "artifact", "key": key, "file": file, "folder": folder}:
                self._to_run(key, lambda run: self._client.log_artifact(run, file, folder or None))
            case {"what": "attach", "study": study, "key": key, "file": file, "folder": folder}:
                run = self.find(self._experiment(study), key)
                if run is None:
                    raise _RefusalError(f"expected a run of this trial in {study}, found none")
                self._client.log_artifact(run.info.run_id, file, folder or None)
            case {"what": "finish", "key": key, "status": status, "timestamp_ms": end}:
                self._to_run(key, lambda run: self._client.set_terminated(run, status, end))
            case _:
                raise _RefusalError("expected an entry of a known kind, got this")

    def _metrics(self, entries: Sequence[Entry]) -> None:
        from mlflow.entities import Metric

        curves: dict[str, list[Entry]] = {}
        for entry in entries:
            points = [dict(zip(Point._fields, point, strict=True)) for point in entry["points"]]
            curves.setdefault(entry["key"], []).extend({"what": "metric", "key": entry["key"], **p} for p in points)
        for key, points in curves.items():

            def send(batch: Sequence[Entry], key: str = key) -> None:
                metrics = [Metric(p["name"], p["value"], p["timestamp_ms"], p["step"]) for p in batch]
                self._to_run(key, lambda run: self._client.log_batch(run, metrics=metrics))

            for batch in _chunks(points, 1000):  # MLflow takes no more at once
                self._each(batch, send)

    def _to_run(self, key: str, send: Callable[[str], Any]) -> None:
        """Send to the trial's run; where a user has deleted the run since, to a new one."""
        run = self._run(key)
        try:
            send(run)
        except Exception as error:
            if not self._is_final(error) or self._is_active(run):
                raise
            del self._runs[key]
            self._experiments.clear()  # it may have gone with its experiment
            send(self._run(key))

    def _run(self, key: str) -> str:
        if key not in self._runs:
            if key not in self._trials:
                raise _RefusalError("expected an entry of a known trial, got no trial with this key")
            trial = self._trials[key]
            if run := self.find(self._experiment(trial["study"]), key):
                self._runs[key] = run.info.run_id
            else:
                self._open(trial)
        return self._runs[key]

    def _is_active(self, run: str) -> bool:
        try:
            return self._client.get_run(run).info.lifecycle_stage == "active"
        except Exception as error:
            if not self._is_final(error):
                raise
            return False

    def find(self, experiment: str, key: str) -> Any:
        """Return the trial's run, or None; the oldest, should there ever be two."""
        same = f"tags.`{KEY_TAG}` = '{key}'"
        runs = self._client.search_runs([experiment], same, max_results=1, order_by=["attributes.start_time ASC"])
        return runs[0] if runs else None

    def _experiment(self, study: str) -> str:
        """Return the id of the study's experiment: created, found, or brought back where a user deleted it."""
        if study not in self._experiments:
            location = (self._artifacts / study).as_uri() if self._artifacts else None
            try:
                self._experiments[study] = self._client.create_experiment(study, location)
            except Exception as error:
                if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
                    raise
                experiment = self._client.get_experiment_by_name(study)
                if experiment.lifecycle_stage != "active":
                    self._client.restore_experiment(experiment.experiment_id)
                self._experiments[study] = experiment.experiment_id
        return self._experiments[study]

    def _open(self, trial: Entry) -> None:
        """Find or create the trial's run, and tell it what the trial says."""
        from mlflow.entities import Param, RunTag

        key = trial["key"]
        experiment = self._experiment(trial["study"])
        run = self.find(experiment, key)
        if run is None:
            run = self._client.create_run(experiment, trial["timestamp_ms"], {KEY_TAG: key}, run_name=trial["name"])
        run_id = self._runs[key] = run.info.run_id
        if (run.info.status, run.info.run_name) != ("RUNNING", trial["name"]):
            self._client.update_run(run_id, status="RUNNING", name=trial["name"])

        def log(batch: Sequence[Entry]) -> None:
            params = [Param(one["name"], one["value"][:MAX_SETTING]) for one in batch if one["what"] == "setting"]
            tags = [RunTag(one["name"], one["value"]) for one in batch if one["what"] == "tag"]
            self._client.log_batch(run_id, params=params, tags=tags)

        told = trial["tags"] | ({"mlflow.note.content": trial["description"]} if trial["description"] else {})
        if trial.get("parent"):  # an entry of an older version has none
            told |= {"mlflow.parentRunId": self._run(trial["parent"])}
        fresh = [("tag", name, value) for name, value in told.items() if run.data.tags.get(name) != value]
        for name, value in trial["settings"].items():
            if run.data.params.get(name) != value[:MAX_SETTING]:
                fresh.append(("setting", name, value))
        items = [{"what": what, "key": key, "name": name, "value": value} for what, name, value in fresh]
        for batch in _chunks(items, 100):  # MLflow takes no more at once
            self._each(batch, log)
        if any(len(value) > MAX_SETTING for value in trial["settings"].values()):
            self._client.log_dict(run_id, trial["settings"], "settings.json")


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Write nested settings as dotted names and text: strings as they are, all else as JSON (true, null, [1, 2])."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return flat


def default_uri(root: Path) -> str:
    """Return the store's address: MLFLOW_TRACKING_URI where it is set, else a SQLite file below the project's root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root.resolve() / 'build' / 'record' / 'mlflow.db'}"


def initialize(uri: str) -> None:
    """Create the SQLite database at `uri` where there is none; a database server is left to those who run it.

    MLflow's own first opening takes seconds, and neither a second process meanwhile nor a kill leaves a database that
    works. Here it is made aside, under a lock, and moved into place.
    """
    database = _sqlite_file(uri)
    if database is None or database.exists():
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with _locked(database.with_name(database.name + ".lock")):
        if database.exists():
            return
        draft = database.with_name(database.name + ".new")
        draft.unlink(missing_ok=True)
        _quieten()
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        SqlAlchemyStore(f"sqlite:///{draft}", str(_artifacts(uri))).engine.dispose()
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # readers (the UI) and the writer do not wait for each other
        draft.replace(database)


def ui_command(root: Path, port: int = 5000) -> list[str]:
    """Return the command that serves MLflow's UI, on this machine only, for the record of the project at `root`.

    Raises ValueError where the record is on a server, which has its UI at its own address.
    """
    uri = default_uri(root)
    if uri.startswith(("http://", "https://")):
        raise ValueError(f"expected a record in a database, got a server: open {_without_password(uri)} instead")
    artifacts = _artifacts(uri) or root.resolve() / "build" / "record" / "artifacts"
    return [
        *("env", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", "MLFLOW_DISABLE_TELEMETRY=true"),
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri),
        *("--artifacts-destination", str(artifacts), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]


def compare_links(uri: str, study: str, keys: Sequence[str], address: str = "http://127.0.0.1:5000") -> str:
    """Return two lines with links into MLflow's UI: all curves of the study, and these trials side by side.

    `address` is where `ui_command` serves a local record; a server's own is used where `uri` is one. Trials that are
    not recorded are left out. Raises LookupError where the store has no such study.
    """
    initialize(uri)
    client = _client(uri)
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        raise LookupError(f"expected a recorded study, got {study!r}, which {_without_password(uri)} does not hold")
    if uri.startswith(("http://", "https://")):
        address = _without_password(uri).rstrip("/")
    store = _Store(uri, [])
    runs = [run.info.run_id for key in keys if (run := store.find(experiment.experiment_id, key))]
    ids, experiments = quote(_compact(runs)), quote(_compact([experiment.experiment_id]))
    return (
        f"{address}/#/experiments/{experiment.experiment_id}/runs?compareRunsMode=CHART&workflowType=machine_learning\n"
        f"{address}/#/compare-runs?runs={ids}&experiments={experiments}"
    )


def _client(uri: str) -> Any:
    _quieten()
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def _quieten() -> None:
    """Set MLflow's defaults to ours, where the user has not set them."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # The outbox tries again; MLflow's own 7 times block for 247 s, and a repeated create_run makes a second run.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def _sqlite_file(uri: str) -> Path | None:
    match = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)(?:\?.*)?", uri)
    return Path(match[1]).absolute() if match and match[1] != ":memory:" else None


def _artifacts(uri: str) -> Path | None:
    """Where files go: beside a SQLite database; a server (None) knows its own place."""
    database = _sqlite_file(uri)
    return database.parent / "artifacts" if database else None


def _without_password(uri: str) -> str:
    return re.sub(r"//[^/@]*@", "//", uri)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compact(ids: list[str]) -> str:
    return json.dumps(ids, separators=(",", ":"))


def _chunks(items: Sequence[Any], size: int) -> list[list[Any]]:
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
