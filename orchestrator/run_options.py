"""How to run, as the command line asks for it: the same words for every command that runs jobs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestrator.conduct import Options


class Executors(StrEnum):
    """Where jobs run."""

    local = "local"
    ray = "ray"


class Records(StrEnum):
    """What remembers the trials."""

    mlflow = "mlflow"
    none = "none"


ParamsFile = Annotated[Path, typer.Option("--params", help="The parameters: what runs.")]
Executor = Annotated[
    Executors, typer.Option(envvar="TRACKMEET_EXECUTOR", help="This process, or Ray (RAY_ADDRESS names a cluster).")
]
Record = Annotated[
    Records, typer.Option(envvar="TRACKMEET_RECORD", help="MLflow (MLFLOW_TRACKING_URI names a server), or nothing.")
]
Workers = Annotated[
    int | None,
    typer.Option(envvar="TRACKMEET_WORKERS", min=1, help="Jobs at once; default: as many as there is room for."),
]
Threads = Annotated[int, typer.Option(envvar="TRACKMEET_THREADS", min=1, help="CPU threads of each job.")]
Gpus = Annotated[
    float, typer.Option(envvar="TRACKMEET_GPUS", min=0, help="Share of a GPU that each job takes on Ray; 0: CPU only.")
]
Device = Annotated[str, typer.Option(help="Torch device; default: cuda for jobs that take of a GPU, else cpu.")]
Lanes = Annotated[int, typer.Option(min=1, help="Sequences tracked at once by one job.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds that one attempt at a job may take.")]
CheckpointSeconds = Annotated[
    float,
    typer.Option(envvar="TRACKMEET_CHECKPOINT_SECONDS", min=0, help="Seconds between the checkpoints of a training."),
]
WithParent = Annotated[bool, typer.Option("--with-parent", help="End when the parent process ends.")]


def options(
    params: Path,
    executor: Executors,
    record: Records,
    workers: int | None,
    threads: int,
    gpus: float,
    device: str,
    timeout: float | None,
    checkpoint_seconds: float,
    with_parent: bool,
    lanes: int = 32,
    studies: list[str] | None = None,
    trackers: list[str] | None = None,
) -> Options:
    """What was asked for."""
    from orchestrator.conduct import Options
    from orchestrator.executor import Settings

    settings = Settings(device, threads, lanes, checkpoint_seconds, timeout)
    return Options(
        params, studies or [], trackers or [], executor.value, record.value, workers, gpus, settings, with_parent
    )
