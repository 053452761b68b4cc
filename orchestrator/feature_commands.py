"""`trackmeet extractor` and `trackmeet features`: the networks that trackers see through, and what these saw."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.paths import here
from orchestrator.run_options import (
    CheckpointSeconds,
    Device,
    Executor,
    Executors,
    Gpus,
    ParamsFile,
    Record,
    Records,
    Threads,
    Timeout,
    WithParent,
    Workers,
    options,
)

if TYPE_CHECKING:
    from orchestrator.conduct import Outcome


def extractor(
    names: Annotated[list[str] | None, typer.Argument(help="Of the parameters' extractors; default: all.")] = None,
    params: ParamsFile = Path("params.yaml"),
    executor: Executor = Executors.ray,
    record: Record = Records.mlflow,
    workers: Workers = None,
    threads: Threads = 1,
    gpus: Gpus = 0.0,
    device: Device = "",
    timeout: Timeout = None,
    checkpoint_seconds: CheckpointSeconds = 20.0,
    with_parent: WithParent = False,
) -> None:
    """Train extractors, or read their weights from the files that the parameters name, into build/extractors."""
    from orchestrator.extraction import train_extractors

    given = options(params, executor, record, workers, threads, gpus, device, timeout, checkpoint_seconds, with_parent)
    _end(train_extractors(given, here(), names or []))


def features(
    names: Annotated[list[str] | None, typer.Argument(help="<extractor>-<data set>; default: all.")] = None,
    params: ParamsFile = Path("params.yaml"),
    executor: Executor = Executors.ray,
    record: Record = Records.mlflow,
    workers: Workers = None,
    threads: Threads = 1,
    gpus: Gpus = 0.0,
    device: Device = "",
    timeout: Timeout = None,
    checkpoint_seconds: CheckpointSeconds = 20.0,
    with_parent: WithParent = False,
) -> None:
    """Keep what extractors see in data sets in build/features; extractors that are not trained yet are, first."""
    from orchestrator.extraction import make_features

    given = options(params, executor, record, workers, threads, gpus, device, timeout, checkpoint_seconds, with_parent)
    _end(make_features(given, here(), names or []))


def _end(outcome: Outcome) -> None:
    """Say how it went, and leave with an exit code of that."""
    from orchestrator.outcome import complain, say_what_is_missing

    say_what_is_missing(outcome.prospect)
    if complain(outcome):
        raise typer.Exit(130 if outcome.interrupted else 1)
    ran, done = Counter(job.kind for job in outcome.prospect.todo), len(outcome.prospect.found_done)
    if not ran and not done:
        print("all is there already")
        return
    print(f"{ran['train']} jobs trained, {ran['extract']} extracted, {done} were done")
