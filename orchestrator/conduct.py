"""One run of experiments, from the parameters to the results: what `trackmeet run` does."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from orchestrator import lineage, plan, provenance, results
from orchestrator.executor import Backend, Executor, InProcess, Settings
from orchestrator.forecast import durations
from orchestrator.groups import grouped
from orchestrator.jobs import Data, Job, in_order
from orchestrator.params import Dataset, Params, build, dataset_module, load
from orchestrator.parts import names_in
from orchestrator.paths import Paths
from orchestrator.plan import Trial
from orchestrator.progress import Board, Display
from orchestrator.record import NoRecord, Record
from orchestrator.record.delivery import MlflowRecord
from orchestrator.record.mlflow_store import default_uri
from orchestrator.record.recording import Recording
from orchestrator.requests import Requests
from orchestrator.store import Store
from trackers.benchmarks.collection import Collection
from trackers.sequence import Unseen


@dataclass(frozen=True)
class Options:
    """How to run; none of it changes a result, and none of it is a parameter.

    studies, trackers: only these (all, where empty). workers: jobs at once. gpus: the share of a GPU
    that each job takes. with_parent: end when the process that started this one has gone.
    """

    params: Path
    studies: list[str]
    trackers: list[str]
    executor: Literal["local", "ray"] = "ray"
    record: Literal["mlflow", "none"] = "mlflow"
    workers: int | None = None
    gpus: float = 0.0
    settings: Settings = Settings()
    with_parent: bool = False


@dataclass(frozen=True)
class Prospect:
    """What a run would do. todo: the jobs that are not done, needs first."""

    params: Params
    trials: list[Trial]
    chosen: list[Trial]
    todo: list[Job]
    found_done: list[Job]


@dataclass(frozen=True)
class Outcome:
    """What a run did. failed: what went wrong, by the key of the job."""

    prospect: Prospect
    failed: dict[str, str]
    interrupted: bool = False
    unrecorded: int = 0

    @property
    def failures(self) -> dict[str, str]:
        """What went wrong, by the label of the job."""
        return {job.label: self.failed[job.key] for job in self.prospect.todo if job.key in self.failed}


def look(options: Options, paths: Paths, store: Store) -> Prospect:
    """Read the parameters and the store; ParamsError or ValueError for what cannot run."""
    params = load(options.params)
    trials = plan.plan(params, sources(options, paths))
    chosen = plan.select(trials, options.studies, options.trackers)
    return prospect(params, trials, chosen, in_order(job for trial in chosen for job in trial.jobs), store)


def prospect(params: Params, trials: list[Trial], chosen: list[Trial], jobs: list[Job], store: Store) -> Prospect:
    """What running these jobs would do."""
    done = {job.key for job in jobs if store.done(job.key)}
    return Prospect(params, trials, chosen, [j for j in jobs if j.key not in done], [j for j in jobs if j.key in done])


def sources(options: Options, paths: Paths) -> plan.Sources:
    """Where a plan looks for data and code here."""
    return plan.Sources(
        find_data(paths),
        lineage.fingerprint,
        options.gpus,
        options.settings.threads,
        paths.extractors,
        paths.features,
    )


def find_data(paths: Paths) -> Callable[[Path], Data]:
    """Where a raw folder is best read: from what the stage `sequences` packed of it, if that is the same data.

    Where only the packed data is here, that is read.
    """
    digests = lineage.Digests(paths.digests)

    @cache
    def find(root: Path) -> Data:
        raw, packed = digests.folder(root), digests.folder(paths.sequences / root.name)
        if packed != "absent" and raw in (packed, "absent"):
            return Data(paths.sequences / root.name, packed)
        return Data(root, raw)

    return find


def conduct(options: Options, paths: Paths) -> Outcome:
    """Run what is not done and write the results. StoreBusyError if another run is under way."""
    with alone(options, paths) as store:
        prospect = look(options, paths, store)
        bad = refused(prospect.todo, prospect.params, sources(options, paths))
        outcome = carry_out(prospect, options, paths, store, bad)
        if not outcome.interrupted:
            results.write(prospect.params, prospect.trials, store, outcome.failed, paths.results)
    return outcome


@contextmanager
def alone(options: Options, paths: Paths) -> Iterator[Store]:
    """The store, held by this process until it ends, which it does in order. StoreBusyError where another holds it."""
    store = Store(paths.store)
    with _orderly_end(options.with_parent), store.locked():
        yield store


def carry_out(
    prospect: Prospect,
    options: Options,
    paths: Paths,
    store: Store,
    bad: Mapping[str, str],
    costs: Mapping[str, float] | None = None,
) -> Outcome:
    """Run what is not done, and tell the record of the chosen trials.

    bad: why a job cannot be run, by key. costs: seconds that jobs will take, by key, where that is known.
    """
    expected = durations.expected(prospect.todo, store) | dict(costs or {})
    board = Board(prospect.todo, len(prospect.found_done), expected, paths.status)
    board.write("running")
    record = open_record(options, paths)
    git = lineage.git_revision(paths.root)
    tags = {"git": git, "mlflow.source.git.commit": git, "data": lineage.data_revision(paths.root)}
    recording = Recording(record, prospect.params, prospect.chosen, store, tags, {job.key for job in prospect.todo})
    failures: dict[str, str] = {}
    interrupted = False
    state: Any = "failed"  # as it is where anything else is raised: a disk is full, the cluster is gone
    try:
        recording.open()
        with Display(board) as display:
            failures = _execute(options, paths, store, prospect, bad, board, recording, display)
        state = "failed" if failures else "finished"
    except KeyboardInterrupt:
        interrupted, state = True, "interrupted"
    finally:
        recording.close("KILLED" if interrupted else "FAILED")
        unrecorded = record.close(timeout=2.0 if interrupted else 60.0)
        board.write(state)
    return Outcome(prospect, failures, interrupted, unrecorded)


def _execute(
    options: Options,
    paths: Paths,
    store: Store,
    prospect: Prospect,
    bad: Mapping[str, str],
    board: Board,
    recording: Recording,
    display: Display,
) -> dict[str, str]:
    if not prospect.todo:
        return {}
    backend = open_backend(options, paths)
    try:
        requests = Requests(store.root / "requests", prospect.chosen)
        executor = Executor(store, backend, [board, recording, display, requests], paths.logs, options.settings)
        requests.executor = executor
        executor.run(prospect.todo, board.seconds, bad)
    finally:
        backend.close()
    return executor.failures


def open_backend(options: Options, paths: Paths) -> Backend:
    """Where the options say that jobs run; to be closed."""
    if options.executor == "local":
        return InProcess()
    from orchestrator.cluster.backend import Cluster  # ray takes seconds to import, and is not everywhere

    return Cluster(paths.store / "marker", options.workers)


def open_record(options: Options, paths: Paths) -> Record:
    """What remembers the trials; to be closed."""
    return NoRecord() if options.record == "none" else MlflowRecord(paths.spool, default_uri(paths.root))


def refused(jobs: list[Job], params: Params, sources: plan.Sources) -> dict[str, str]:
    """Why jobs cannot be run, by key: their data cannot be read or split, or was made of something else."""
    made = provenance.Expected(params, sources)
    found = {(name, data) for job in jobs for name, data in job.data.items()}
    problems = {name: text for name, data in found if (text := _problem(name, data, params, made)) is not None}
    bad = {job.key: problems[name] for job in jobs for name in job.data if name in problems}
    uncovered = {
        use: made.uncovered(params.datasets[use[0]], use[1]) for use in {use for job in jobs for use in _seen(job)}
    }
    lacking = {job.key: text for job in jobs for use in _seen(job) if (text := uncovered[use]) is not None}
    readable, names = [job for job in jobs if job.key not in bad], cache(_names)
    return lacking | _in_vain(jobs, _unsplit(readable, names) | _unshown(readable, names)) | bad


_Names = Callable[[str, str, Path], tuple[str, ...]]


def _names(format: str, settings: str, path: Path) -> tuple[str, ...]:
    """Of the sequences of a data set; ValueError for generated ones, which have none that last."""
    module = dataset_module(format)
    opened = module.open(build(module.Config, json.loads(settings)), path, format)
    if not isinstance(opened, Collection):
        raise ValueError("expected recorded sequences, which have names, got generated ones")
    return tuple(sequence.name for sequence in opened)


def _unshown(jobs: list[Job], names: _Names) -> dict[str, str]:
    """Why jobs cannot keep the pictures that they are asked for, by key; all of their data can be read."""
    found: dict[str, str] = {}
    for job in jobs:
        wanted, test = job.arguments.get("pictures", {}).get("sequences"), job.arguments.get("test", {})
        if not isinstance(wanted, list):
            continue
        try:
            there = names(test["format"], json.dumps(test["settings"]), job.data[test["name"]].path)
            strange = [name for name in wanted if name not in there]
            if strange:
                raise ValueError(f"expected some of {', '.join(there)}, got {', '.join(strange)}")
        except ValueError as error:
            found[job.key] = f"data set {test['name']}: pictures: {error}"
    return found


def _unsplit(jobs: list[Job], names: _Names) -> dict[str, str]:
    """Why jobs cannot have their part of the folds, by key; all of their data can be read."""

    @cache
    def problem(use: str, path: Path) -> str | None:
        dataset = json.loads(use)
        own = dataset["settings"]
        try:
            sequences = (
                names(dataset["format"], json.dumps(settings), path)
                for settings in (own, dataset["part"].get("drawn_over", own))
            )
            names_in(dataset["part"], *sequences)
        except ValueError as error:
            return f"data set {dataset['name']}: {error}"
        return None

    uses = [(job, use) for job in jobs for use in _uses(job) if "part" in use]
    found = {job.key: problem(json.dumps(use), job.data[use["name"]].path) for job, use in uses}
    return {key: text for key, text in found.items() if text is not None}


def _in_vain(jobs: list[Job], bad: Mapping[str, str]) -> dict[str, str]:
    """These jobs, and those that only such are done for. jobs: needs first."""
    found = dict(bad)
    whom: dict[str, list[str]] = {}
    for job in jobs:
        for need in job.needs.values():
            whom.setdefault(need.key, []).append(job.key)
    for job in reversed(jobs):
        by = whom.get(job.key, [])
        if by and all(key in found for key in by):
            found.setdefault(job.key, found[by[0]])
    return found


def _seen(job: Job) -> list[tuple[str, str]]:
    """The data sets that a job sees by a cache, and which."""
    uses = [use for use in _uses(job) if "features" in use]
    return [(use["name"], use["features"].removeprefix(plan.FEATURES)) for use in uses]


def _uses(job: Job) -> list[Mapping[str, Any]]:
    """The data sets that a job trains on or is tested in, as its arguments have them."""
    return [use for use in (job.arguments.get("test"), *job.arguments.get("train", {}).values()) if use]


def _problem(name: str, data: Data, params: Params, made: provenance.Expected) -> str | None:
    if name in params.datasets:
        return unreadable(params.datasets[name], data.path)
    if name.startswith(plan.FEATURES):
        return made.wrong_features(name.removeprefix(plan.FEATURES))
    if name.startswith(plan.WEIGHTS):
        return made.wrong_weights(name.removeprefix(plan.WEIGHTS))
    return None if data.path.is_file() else f"{data.path}: expected a file that the settings name, found none"


def unreadable(dataset: Dataset, path: Path) -> str | None:
    """What is wrong with a data set; None where it can be read, images and all."""
    try:
        opened = dataset_module(dataset.format).open(dataset.config, path, dataset.name)
        if isinstance(opened, Collection):
            grouped(opened, dataset.groups)
    except (OSError, ValueError) as error:
        return f"data set {dataset.name}: {error}"
    unseen = [s.name for s in opened if isinstance(s.frames, Unseen)] if isinstance(opened, Collection) else []
    if unseen:
        return f"data set {dataset.name}: {path}: expected images of each sequence, found none of {', '.join(unseen)}"
    return None


@contextmanager
def _orderly_end(with_parent: bool) -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does; so does, if asked for, the death of the parent process.

    DVC leaves its child running when it is terminated, and a second `dvc repro` would meet it.
    """

    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    parent = os.getppid()

    def watch() -> None:
        while not stopped.wait(1.0):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    stopped = threading.Event()
    if with_parent:
        threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        stopped.set()
        signal.signal(signal.SIGTERM, before)
