"""One MLflow store, as the record writes to it; every call is safe to repeat.

An experiment holds a study. A trial's run is found by the tag KEY_TAG. This module alone imports MLflow.
"""

import fcntl
import json
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np

from orchestrator.jobs import digest
from orchestrator.record import Point
from orchestrator.record import mlflow_view as view
from orchestrator.record.outbox import Entry

KEY_TAG = "trackmeet.key"  # the tag by which a trial's run is found again
MODEL, TRACKER = "model", "data/tracker"  # folders: of a run's model, and in it what `orchestrator.models` reads
MAX_SETTING = 6000  # characters of a setting that MLflow keeps; the whole is then in the artifact settings.json
SHOWN_TAG = "trackmeet.shown"  # of an experiment: ids of the runs that are compared
MOST_SHOWN = 100  # of them, for MLflow keeps 5,000 characters of a tag
POINTS_TAG = "trackmeet.points"  # digest of the points of curves that were sent last, to send them no second time
REFUSED_TAG = "trackmeet.refused"  # what of the trial MLflow would not take, last time it refused something


class _RefusalError(Exception):
    """This entry will never be taken, however often it is sent."""


class MlflowStore:
    """One MLflow store, as an MlflowClient sees it; every call is safe to repeat."""

    # What MLflow answers to an entry that it will never take. Everything else may pass: a server that restarts,
    # a locked database, a full connection pool (which MLflow calls a BAD_REQUEST), a password that expired.
    final = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS")

    def __init__(self, uri: str, delivered: Sequence[Entry]) -> None:
        initialize(uri)
        self._client = client(uri)
        self._artifacts = artifacts_of(uri)
        self._trials = {entry["key"]: entry for entry in delivered if entry.get("what") == "trial"}
        self._experiments: dict[str, str] = {}
        self._runs: dict[str, str] = {}
        self._sent: dict[str, str] = {}  # what `POINTS_TAG` says of them
        self._places: dict[str, Path | None] = {}  # of runs' files, where they are kept here
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
            case {"what": "study"}:
                self._study(entry)
            case {"what": "report"}:
                self._report(entry)
            case {"what": "trial", "key": key}:
                self._trials[key] = entry
                self._open(entry)
            case {"what": "artifact", "key": key, "file": file, "folder": folder}:
                self._to_run(key, lambda run: self._log_file(run, Path(file), folder))
            case {"what": "attach", "study": study, "key": key, "file": file, "folder": folder}:
                run = self.find(self._experiment(study), key)
                if run is None:
                    raise _RefusalError(f"expected a run of this trial in {study}, found none")
                self._log_file(run.info.run_id, Path(file), folder)
            case {"what": "model", "key": key}:
                self._to_run(key, lambda run: self._model(run, entry))
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
            sent = digest(points)
            if self._sent.get(key) == sent:  # a trial of an earlier process, told again
                continue
            refused = len(self._refusals)

            def send(batch: Sequence[Entry], key: str = key) -> None:
                metrics = [Metric(p["name"], p["value"], p["timestamp_ms"], p["step"]) for p in batch]
                self._to_run(key, lambda run: self._client.log_batch(run, metrics=metrics))

            for batch in _chunks(points, 1000):  # MLflow takes no more at once
                self._each(batch, send)
            if len(points) > 1 and len(self._refusals) == refused:
                self._client.set_tag(self._runs[key], POINTS_TAG, sent)

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

    def _log_file(self, run: str, file: Path, folder: str) -> None:
        """Add a file to a run: by a link where the record keeps its files here, so that no disk is taken twice."""
        if run not in self._places:
            self._places[run] = _local(self._client.get_run(run).info.artifact_uri)
        place = self._places[run]
        if place is None or ".." in Path(folder).parts:  # MLflow says what is wrong with it
            self._client.log_artifact(run, str(file), folder or None)
        else:
            _link(file, place / folder / file.name)

    def _model(self, run: str, entry: Entry) -> None:
        """Log a trial's tracker and register it; once, however often it is told."""
        known = self._client.search_model_versions(f"run_id = '{run}'", max_results=1)
        version = known[0] if known else self._register(run, entry)
        for alias in entry["aliases"]:
            self._client.set_registered_model_alias(version.name, alias, version.version)

    def _register(self, run: str, entry: Entry) -> Any:
        for file in entry["files"]:
            self._log_file(run, Path(file), f"{MODEL}/{TRACKER}")
        with tempfile.TemporaryDirectory() as folder:
            _describe_model(Path(folder) / MODEL, entry["tracker"])
            self._client.log_artifacts(run, folder)
        known = {"run_id": run, "artifact_path": MODEL, "utc_time_created": "", "flavors": {"python_function": {}}}
        self._client.set_tag(run, "mlflow.log-model.history", json.dumps([known]))  # what the UI's table reads
        try:
            self._client.create_registered_model(entry["name"], description=entry["description"])
        except Exception as error:
            if getattr(error, "error_code", None) != "RESOURCE_ALREADY_EXISTS":
                raise
        source, tags = f"runs:/{run}/{MODEL}", {**entry["tags"], KEY_TAG: entry["key"]}
        return self._client.create_model_version(entry["name"], source, run, tags, await_creation_for=0)

    def _run(self, key: str) -> str:
        if key not in self._runs:
            if key not in self._trials:
                raise _RefusalError("expected an entry of a known trial, got no trial with this key")
            trial = self._trials[key]
            if run := self.find(self._experiment(trial["study"]), key):
                self._runs[key], self._sent[key] = run.info.run_id, run.data.tags.get(POINTS_TAG, "")
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

    def _study(self, entry: Entry) -> None:
        """Describe an experiment, and lay out the charts that compare its runs."""
        experiment = self._experiment(entry["name"])
        told = entry["tags"] | {"mlflow.note.content": entry["description"]}
        runs = [run for key in entry["shown"] if (run := self.find(experiment, key))]
        if runs:
            ids, metrics = [run.info.run_id for run in runs], {name for run in runs for name in run.data.metrics}
            told[SHOWN_TAG] = " ".join(ids[:MOST_SHOWN])
            told[view.TAG] = view.charts(ids, metrics, entry["charts"], entry["main"], entry["lower"])
        known = self._client.get_experiment(experiment).tags
        for name, value in told.items():
            if known.get(name) != value:
                self._client.set_experiment_tag(experiment, name, value)

    def _report(self, entry: Entry) -> None:
        """Add what a study found to its run "report": a step more where any of it has changed, else nothing."""
        from mlflow.entities import Metric

        run = self.find(self._experiment(entry["study"]), entry["key"])
        if run is None:
            raise _RefusalError("expected a trial of this key, told before")
        if entry["metrics"] == {name: value for name, value in run.data.metrics.items() if name in entry["metrics"]}:
            return
        number, at = run.info.run_id, entry["timestamp_ms"]
        before = (self._client.get_metric_history(number, name) for name in run.data.metrics)
        step = 1 + max((point.step for points in before for point in points), default=-1)
        self._client.set_tag(number, f"result {step}", entry["made_of"])  # first: a kill here, and both are done again
        told = [Metric(name, value, at, step) for name, value in entry["metrics"].items()]
        for batch in _chunks(told, 1000):
            self._client.log_batch(number, metrics=batch)

    def _open(self, trial: Entry) -> None:
        """Find or create the trial's run, and tell it what the trial says."""
        from mlflow.entities import Param, RunTag

        key = trial["key"]
        experiment = self._experiment(trial["study"])
        run = self.find(experiment, key)
        if run is None:
            run = self._client.create_run(experiment, trial["timestamp_ms"], {KEY_TAG: key}, run_name=trial["name"])
        run_id = self._runs[key] = run.info.run_id
        self._sent[key] = run.data.tags.get(POINTS_TAG, "")
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
        if trial.get("data"):
            self._client.log_inputs(run_id, [_input(dataset) for dataset in trial["data"]])
        if any(len(value) > MAX_SETTING for value in trial["settings"].values()):
            self._client.log_dict(run_id, trial["settings"], "settings.json")


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

        SqlAlchemyStore(f"sqlite:///{draft}", str(artifacts_of(uri))).engine.dispose()
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # readers (the UI) and the writer do not wait for each other
        draft.replace(database)


def fetch_model(run: str, uri: str) -> Path:
    """The folder of a recorded tracker, see `orchestrator.models`; downloaded, where the record is on a server.

    run: a run's id, a trial's key, or a registered model, "models:/name@alias" or "models:/name/version". Raises
    ValueError where there is none.
    """
    _quieten()
    from mlflow.exceptions import MlflowException

    initialize(uri)
    known = client(uri)
    try:
        if named := re.fullmatch("models:/([^@/]+)([@/])(.+)", run):
            name, by, which = named.groups()
            versions = known.get_model_version_by_alias if by == "@" else known.get_model_version
            run = versions(name, which).run_id
        if re.fullmatch("[0-9a-f]{64}", run):
            experiments = [experiment.experiment_id for experiment in known.search_experiments()]
            found = known.search_runs(experiments, f"tags.`{KEY_TAG}` = '{run}'", max_results=1)
            if not found:
                raise ValueError(f"expected a recorded trial, got key {run}, unknown to {without_password(uri)}")
            run = found[0].info.run_id
        place = _local(known.get_run(run).info.artifact_uri)
        return place / MODEL / TRACKER if place else Path(known.download_artifacts(run, f"{MODEL}/{TRACKER}"))
    except (MlflowException, OSError) as error:
        raise ValueError(
            f"expected the id of a run that has a model, a trial's key or models:/NAME@current, got {run!r}, "
            f"of which {without_password(uri)} says: {error}"
        ) from error


def _input(dataset: Mapping[str, Any]) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source, profile = json.dumps(dataset["source"]), json.dumps(dataset["profile"])
    known = Dataset(dataset["name"], dataset["digest"], "dvc", source, profile=profile)
    return DatasetInput(known, [InputTag("mlflow.data.context", dataset["context"])])


def _describe_model(folder: Path, tracker: Mapping[str, Any]) -> None:
    """Write what MLflow needs to load a tracker by `orchestrator.models`, its weights apart: they are linked."""
    from mlflow import pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec
    from mlflow.types.schema import AnyType, Array

    asked = [ColSpec(AnyType(), "video"), ColSpec(Array(AnyType()), "box")]  # of doubles it refuses whole numbers
    given = [TensorSpec(np.dtype("float64"), (-1, 4))]
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "tracker"
        data.mkdir()
        (data / "tracker.json").write_text(json.dumps(tracker))
        pyfunc.save_model(
            folder,
            loader_module="orchestrator.models",
            data_path=str(data),
            pip_requirements=[f"trackmeet=={version('trackmeet')}"],  # inferring them takes seconds
            input_example={"video": "video.mp4", "box": [100.0, 80.0, 40.0, 60.0]},
            signature=ModelSignature(Schema(asked), Schema(given)),
        )


def _local(address: str) -> Path | None:
    """The folder at an address of artifacts; None where that is not on this machine."""
    if address.startswith("file:"):
        return Path(unquote(urlparse(address).path))
    return Path(address) if address.startswith("/") else None


def _link(file: Path, target: Path) -> None:
    """Put a file that is never written in place at `target`, too: a link, or a copy where the file system has none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.samefile(file):
        return
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        os.link(file, draft)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(file, draft)
    draft.replace(target)


def client(uri: str) -> Any:
    """MLflow's own, for the store at this address."""
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


def artifacts_of(uri: str) -> Path | None:
    """Where files go: beside a SQLite database; a server (None) knows its own place."""
    database = _sqlite_file(uri)
    return database.parent / "artifacts" if database else None


def without_password(uri: str) -> str:
    """An address as it may be shown."""
    return re.sub(r"//[^/@]*@", "//", uri)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _chunks(items: Sequence[Any], size: int) -> list[list[Any]]:
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
