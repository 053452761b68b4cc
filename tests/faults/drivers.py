"""Starts drivers quickly: everything heavy is imported once, here, and each driver is a fork of this process.

Reads lines of JSON {"words": of the command line, "log": a file, "environment": {...}} and answers each with the
driver's process id, then with its exit status when it has ended.
"""

import json
import os
import sys
from pathlib import Path

import mlflow.store.db.utils  # noqa: F401
import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
import torch  # noqa: F401

import orchestrator.conduct  # noqa: F401
import orchestrator.report.terminal  # noqa: F401
import orchestrator.work  # noqa: F401
from orchestrator import cli, lineage, plan

READ = [*plan.SCORING, *plan.TRAINING, "trackers.evaluation.lanes", "trackers.tracker"]  # by every driver


def main() -> None:
    lineage.fingerprint(READ)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            drive(order)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def drive(order: dict) -> None:
    """Be the driver; never returns."""
    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(order["environment"])
    sys.argv = ["trackmeet", *order["words"]]
    sys.path.insert(0, str(Path.cwd()))
    status = 0
    try:
        cli.main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


main()
