"""`trackmeet`, which notes what happens to each job, a line each of events.jsonl: [time, what, label, ...]."""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from orchestrator import cli, conduct
from orchestrator.jobs import Job
from orchestrator.progress import Board
from orchestrator.store import Store

EVENTS = Path("events.jsonl").resolve()


def note(*what: Any) -> None:
    with EVENTS.open("a") as file:
        file.write(json.dumps([time.time(), *what]) + "\n")


class NotingBoard(Board):
    def started(self, job: Job, where: str) -> None:
        note("started", job.label, where)
        super().started(job, where)

    def finished(self, job: Job) -> None:
        note("finished", job.label)
        super().finished(job)

    def retried(self, job: Job, message: str) -> None:
        note("retried", job.label, message)
        super().retried(job, message)

    def failed(self, job: Job, message: str) -> None:
        note("failed", job.label, message)
        super().failed(job, message)


class NotingStore(Store):
    def publish(self, job: Job, *rest: Any) -> None:
        note("published", job.label)
        super().publish(job, *rest)


if __name__ == "__main__":
    if os.environ.get("NOTHING_SHARED"):  # though nodes could see the driver's files
        from orchestrator.cluster import backend

        backend.Cluster = functools.partial(backend.Cluster, share=False)  # type: ignore[misc]
    conduct.Board = NotingBoard  # type: ignore[misc]
    conduct.Store = NotingStore  # type: ignore[misc]
    sys.argv[0] = "trackmeet"
    cli.main()
