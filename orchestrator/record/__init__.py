"""The record: what the driver tells of trials (settings, curves, scores, files and models), one run a trial.

    recording.py      the executor's observer, which tells it
    layout.py         what runs are called, tagged and measured by; descriptions.py: what they say in words
    comparability.py  whether a study's numbers may be held against its paper's
    delivery.py       from an outbox (outbox.py) into MLflow
    mlflow_store.py   one MLflow store, the only module that imports MLflow
    mlflow_view.py    the charts that MLflow's UI shows; mlflow_ui.py: the UI, and links into it
    history.py        how a study's results have changed

Here are the words in which it is told; they need no MLflow.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol


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
    `parent` is the key of the trial, told before, below whose run this one stands. `data`: what it is made from.
    `began`: when, in ms since 1970; None: now.
    """

    key: str
    study: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    parent: str = ""
    data: Sequence["DataSet"] = ()
    began: int | None = None


@dataclass(frozen=True)
class DataSet:
    """One data set that a trial reads. digest: of its content, at most 36 characters. context: what it is used for.

    source: where it lies and how it is known there. profile: whatever else is known of it.
    """

    name: str
    digest: str
    context: str
    source: Mapping[str, Any]
    profile: Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """What the record says of a study: Markdown, and tags.

    shown: keys of the runs that are compared. charts: names of the metrics by which they are; main: those of them that
    it is about, the best run first by the first of them, which is better `lower` or higher.
    """

    name: str
    description: str
    tags: Mapping[str, str]
    shown: Sequence[str] = ()
    charts: Sequence[str] = ()
    main: Sequence[str] = ()
    lower: bool = False


@dataclass(frozen=True)
class Model:
    """A trial's tracker, to be registered: under a name, with aliases by which it is asked for.

    tracker: what `orchestrator.models` writes in tracker.json. files: its weights, by the names that they have there.
    """

    name: str
    aliases: Sequence[str]
    description: str
    tags: Mapping[str, str]
    tracker: Mapping[str, Any]
    files: Mapping[str, Path]


class Record(Protocol):
    """What the driver tells while a study runs. A trial is told before anything about it: else KeyError."""

    def study(self, study: Study) -> None:
        """Describe a study; again, where more is known of it."""

    def trial(self, trial: TrialRun) -> None:
        """Open the trial's run, new or known, as RUNNING."""

    def metrics(self, key: str, points: Sequence[Point]) -> None:
        """Add points to the trial's curves; a point told twice is kept once."""

    def artifact(self, key: str, path: Path, folder: str = "") -> None:
        """Add a finished file, under this folder of the run. The caller may remove the file, but not write in it."""

    def model(self, key: str, model: Model) -> None:
        """Register the trial's tracker; one told twice is registered once."""

    def finish(self, key: str, status: Literal["FINISHED", "FAILED", "KILLED"], timestamp_ms: int) -> None:
        """End the trial's run."""

    def close(self, timeout: float) -> int:
        """Wait up to so many seconds for delivery; return the number of entries that are still to be delivered."""


class NoRecord:
    """Keeps nothing."""

    def study(self, study: Study) -> None: ...

    def trial(self, trial: TrialRun) -> None: ...

    def metrics(self, key: str, points: Sequence[Point]) -> None: ...

    def artifact(self, key: str, path: Path, folder: str = "") -> None: ...

    def model(self, key: str, model: Model) -> None: ...

    def finish(self, key: str, status: Literal["FINISHED", "FAILED", "KILLED"], timestamp_ms: int) -> None: ...

    def close(self, timeout: float) -> int:
        return 0


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Write nested settings as dotted names and text: strings as they are, all else as JSON (true, null, [1, 2])."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return flat
