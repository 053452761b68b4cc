"""One run of experiments, from the parameters to the results: what `trackmeet run` does."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from orchestrator import lineage, plan, results
from orchestrator.executor import Backend, Executor, InProcess, Settings
from orchestrator.groups import grouped
from orchestrator.jobs import Data, Job, in_order
from orchestrator.params import Dataset, Params, dataset_module, load
from orchestrator.paths import Paths
from orchestrator.plan import Trial
from orchestrator.progress import EXPECTED, Board, Display
from orchestrator.recording import Recording
from orchestrator.runs import MlflowRecord, NoRecord, Record, default_uri
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
    """What a run did. failures: what went wrong, by the label of the job."""

    prospect: Prospect
    failures: dict[str, str]
    interrupted: bool = False
    unrecorded: int = 0


def look(options: Options, paths: Paths, store: Store) -> Prospect:
    """Read the parameters and the store; ParamsError or ValueError for what cannot run."""
    params = load(options.params)
    sources = plan.Sources(find_data(paths), lineage.fingerprint, options.gpus, options.settings.threads)
    trials = plan.plan(params, sources)
    chosen = plan.select(trials, options.studies, options.trackers)
    jobs = in_order(job for trial in chosen for job in trial.jobs)
    done = {job.key for job in jobs if store.done(job.key)}
    return Prospect(params, trials, chosen, [j for j in jobs if j.key not in done], [j for j in jobs if j.key in done])


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
    store = Store(paths.store)
    with _orderly_end(options.with_parent), store.locked():
        prospect = look(options, paths, store)
        refused = _refused(prospect)
        board = Board(prospect.todo, len(prospect.found_done), _expected(prospect, store), paths.status)
        record = _record(options, paths)
        git = lineage.git_revision(paths.root)
        tags = {"git": git, "mlflow.source.git.commit": git, "data": lineage.data_revision(paths.root)}
        recording = Recording(record, prospect.chosen, store, {"profile": prospect.params.profile, **tags})
        failures: dict[str, str] = {}
        interrupted = False
        try:
            recording.open()
            with Display(board) as display:
                failures = _execute(options, paths, store, prospect, refused, board, recording, display)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            recording.close("KILLED" if interrupted else "FAILED")
            unrecorded = record.close(timeout=2.0 if interrupted else 60.0)
            board.write("interrupted" if interrupted else "failed" if failures else "finished")
        if not interrupted:
            results.write(prospect.params, prospect.trials, store, failures, paths.results)
    labels = {job.key: job.label for job in prospect.todo}
    return Outcome(prospect, {labels[key]: text for key, text in failures.items()}, interrupted, unrecorded)


def _execute(
    options: Options,
    paths: Paths,
    store: Store,
    prospect: Prospect,
    refused: dict[str, str],
    board: Board,
    recording: Recording,
    display: Display,
) -> dict[str, str]:
    if not prospect.todo:
        return {}
    backend = _backend(options, paths)
    try:
        executor = Executor(store, backend, [board, recording, display], paths.logs, options.settings)
        executor.run(prospect.todo, board.seconds, refused)
    finally:
        backend.close()
    return executor.failures


def _backend(options: Options, paths: Paths) -> Backend:
    if options.executor == "local":
        return InProcess()
    from orchestrator.cluster import Cluster  # ray takes seconds to import, and is not everywhere

    return Cluster(paths.store / "marker", options.workers)


def _record(options: Options, paths: Paths) -> Record:
    return NoRecord() if options.record == "none" else MlflowRecord(paths.spool, default_uri(paths.root))


def _refused(prospect: Prospect) -> dict[str, str]:
    """Jobs whose data cannot be read, by key, before anything is started."""
    places = {name: data.path for job in prospect.todo for name, data in job.data.items()}
    datasets = prospect.params.datasets
    problems = {
        name: problem
        for name, path in places.items()
        if (problem := _problem(datasets[name], path) if name in datasets else _no_file(path)) is not None
    }
    return {job.key: problems[name] for job in prospect.todo for name in job.data if name in problems}


def _no_file(path: Path) -> str | None:
    return None if path.is_file() else f"{path}: expected a file that the settings name, found none"


def _problem(dataset: Dataset, path: Path) -> str | None:
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


def _expected(prospect: Prospect, store: Store) -> dict[str, float]:
    """Seconds that each job to do will take: as long as its kind took before, else a guess."""
    took: dict[str, list[float]] = {}
    for job in prospect.found_done:
        manifest = store.manifest(job.key)
        if manifest is not None:
            took.setdefault(job.kind, []).append(manifest["seconds"])
    mean = {kind: sum(seconds) / len(seconds) for kind, seconds in took.items()}
    return {job.key: mean.get(job.kind, EXPECTED[job.kind]) for job in prospect.todo}


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
