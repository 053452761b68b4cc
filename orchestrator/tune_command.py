"""`trackmeet tune`: a search for better settings of one tracker."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.paths import here
from orchestrator.run_options import (
    CheckpointSeconds,
    Device,
    Executors,
    Gpus,
    Lanes,
    ParamsFile,
    Record,
    Records,
    Threads,
    Timeout,
    WithParent,
    Workers,
    options,
)


class Searches(StrEnum):
    """How candidates are found."""

    random = "random"
    grid = "grid"
    optuna = "optuna"


class Schedulers(StrEnum):
    """Which candidates go how far."""

    none = "none"
    asha = "asha"
    pbt = "pbt"


def tune(
    name: Annotated[str, typer.Argument(metavar="STUDY/TRACKER", help="A tracker with `search:` in the parameters.")],
    trials: Annotated[int, typer.Option(min=1, help="Candidates to try; of a grid, all.")] = 10,
    search: Annotated[Searches, typer.Option(help="How candidates are found.")] = Searches.random,
    scheduler: Annotated[
        Schedulers, typer.Option(help="asha stops the worse early; pbt lets the worse go on from the better.")
    ] = Schedulers.none,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last search, if it was the same.")] = False,
    params: ParamsFile = Path("params.yaml"),
    record: Record = Records.mlflow,
    workers: Workers = None,
    threads: Threads = 1,
    gpus: Gpus = 0.0,
    device: Device = "",
    lanes: Lanes = 32,
    timeout: Timeout = None,
    checkpoint_seconds: CheckpointSeconds = 20.0,
    with_parent: WithParent = False,
) -> None:
    """Search for better settings of a tracker; the best come as a patch to the parameters.

    Runs on Ray. What was tried lies in build/searches/STUDY/TRACKER: trials.csv, summary.json and best.patch.
    """
    from orchestrator.search_run import Plea
    from orchestrator.search_run import search as find

    study, slash, tracker = name.partition("/")
    if not slash:
        raise ValueError(f"expected STUDY/TRACKER, got {name!r}")
    given = options(
        params, Executors.ray, record, workers, threads, gpus, device, timeout, checkpoint_seconds, with_parent, lanes
    )
    found = find(Plea(study, tracker, trials, search.value, scheduler.value, resume), given, here())
    if found is None:
        print("interrupted; run it again with --resume and it goes on from where it was", file=sys.stderr)
        raise typer.Exit(130)
    text = (found.folder / "best.patch").read_text()
    print("".join(line[2:] for line in text.splitlines(True) if line.startswith("# ")))
    print(f"to apply it: patch -p0 < {found.folder / 'best.patch'}")
    if found.unrecorded:
        print(f"{found.unrecorded} entries wait for MLflow; 'trackmeet replay' sends them", file=sys.stderr)
