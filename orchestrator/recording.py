"""Tells the record what happens to trials, as their jobs run and from what the store holds."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from orchestrator.executor import Observer
from orchestrator.jobs import Job
from orchestrator.plan import Trial
from orchestrator.requests import CANCELLED
from orchestrator.runs import Point, Record, TrialRun
from orchestrator.store import Store
from trackers.evaluation.results import ALL

MAX_TAG = 5000  # characters of a tag, the last ones


@dataclass
class Recording(Observer):
    """An observer of the executor: one run of the record per trial, found again by the trial's key.

    tags: revisions and whatever else holds for all trials. todo: keys of jobs that are still to be done, whatever lies
    in the store: it may be damaged.
    """

    record: Record
    trials: list[Trial]
    store: Store
    tags: dict[str, str]
    todo: set[str] = field(default_factory=set)
    _of_job: dict[str, list[Trial]] = field(default_factory=dict)
    _open: dict[str, Trial] = field(default_factory=dict)
    _retries: dict[str, list[str]] = field(default_factory=dict)  # by the trial's key

    def open(self) -> None:
        """Say which trials there are; a finished one that the record may have missed is told whole."""
        for trial in self.trials:
            for job in trial.jobs:
                self._of_job.setdefault(job.key, []).append(trial)
            self._tell(trial)
            self._open[trial.key] = trial
            self._close_if_done(trial)

    def _tell(self, trial: Trial) -> None:
        """What there is to say of a trial from its start, and of attempts at its jobs that were in vain."""
        retries = self._retries.get(trial.key, [])
        self.record.trial(
            TrialRun(
                key=trial.key,
                study=trial.study,
                name=trial.name,
                settings={
                    "family": trial.variant.family,
                    **dataclasses.asdict(trial.variant.config),
                    "training data": trial.train or "none",
                    "seed": trial.seed,
                },
                tags={
                    "tracker": trial.tracker,
                    "train": trial.train or "none",
                    "fold": "none" if trial.fold is None else str(trial.fold),
                    **({} if trial.fold is None else {"folds": f"{trial.folds}, drawn by seed {trial.fold_seed}"}),
                    "seed": str(trial.seed),
                    **({"steps": trial.steps} if trial.training else {}),
                    **({"retries": "\n".join(retries)[-MAX_TAG:]} if retries else {}),
                    **self.tags,
                },
            )
        )

    def close(self, status: str) -> None:
        """No more will run: trials that did not end are `status`."""
        for key in list(self._open):
            self.record.finish(key, status, _now())  # type: ignore[arg-type]  # one of the record's own words
            del self._open[key]

    # Observer.

    def metric(self, job: Job, name: str, value: float, step: int, timestamp_ms: int) -> None:
        for trial in self._of_job.get(job.key, ()):
            self.record.metrics(trial.key, [Point(_curve(trial, job, name), value, step, timestamp_ms)])

    def finished(self, job: Job) -> None:
        self.todo.discard(job.key)
        for trial in self._of_job.get(job.key, ()):
            self._close_if_done(trial)

    def retried(self, job: Job, message: str) -> None:
        for trial in self._of_job.get(job.key, ()):
            self._retries.setdefault(trial.key, []).append(f"{job.label}: {message}")
            if trial.key in self._open:  # one that has failed would count as running again
                self._tell(trial)

    def failed(self, job: Job, message: str) -> None:
        for trial in self._of_job.get(job.key, ()):
            if self._open.pop(trial.key, None):
                self.record.finish(trial.key, "KILLED" if message.startswith(CANCELLED) else "FAILED", _now())

    # What the store holds: sent with the times at which it happened, so sending twice changes nothing.

    def _close_if_done(self, trial: Trial) -> None:
        if trial.key not in self._open or self.todo & trial.keys:
            return
        manifests = {job.key: self.store.manifest(job.key) for job in trial.jobs}
        if not all(manifests.values()):
            return
        for job in trial.training.values():
            folder = self.store.folder(job.key)
            if (folder / "curve.json").exists():
                points = json.loads((folder / "curve.json").read_text())
                self.record.metrics(trial.key, [Point(_curve(trial, job, n), v, s, t) for n, v, s, t in points])
        if trial.training:  # the last step's weights are the trained tracker's
            self.record.artifact(trial.key, folder / "weights.pt", "weights")
        ended = 0
        for dataset, job in trial.scores.items():
            at = int(manifests[job.key]["finished"] * 1000)  # type: ignore[index]  # all are there
            ended = max(ended, at)
            scores = json.loads((self.store.folder(job.key) / "scores.json").read_text())["scores"]
            self.record.metrics(trial.key, list(_points(scores, dataset, at)))
        self.record.finish(trial.key, "FINISHED", ended)
        del self._open[trial.key]


def _points(scores: list[dict], dataset: str, at: int) -> Iterable[Point]:
    """Each score, and its standard deviation over sequences."""
    for score in scores:
        values = np.array([value for value in score["values"] if value is not None])
        if not len(values) or score["value"] is None:
            continue
        parts = [
            score["measure"],
            dataset,
            score["protocol"] if score["protocol"] != "one_pass" else None,
            score["subset"] if score["subset"] != ALL else None,
            score["length"],
        ]
        name = "/".join(str(part) for part in parts if part is not None)
        yield Point(name, score["value"], 0, at)
        yield Point(f"{name}/std", float(values.std()), 0, at)


def _curve(trial: Trial, job: Job, name: str) -> str:
    """A curve's name in the record: with its step's, where a family trains in several."""
    if len(trial.training) == 1:
        return name
    return next((f"{step}/{name}" for step, own in trial.training.items() if own.key == job.key), name)


def _now() -> int:
    return int(time.time() * 1000)
