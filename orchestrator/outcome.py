"""How a run ended, said to its user."""

from __future__ import annotations

import sys

from orchestrator.conduct import Outcome, Prospect
from orchestrator.executor import FOLLOWS
from orchestrator.results import missing


def complain(outcome: Outcome) -> bool:
    """Print what is wrong, to stderr; whether the run failed or was interrupted."""
    if outcome.interrupted:
        print("interrupted; run it again and it goes on from where it was", file=sys.stderr)
        return True
    causes: dict[str, list[str]] = {}  # labels by what went wrong, which many may share
    for label, text in outcome.failures.items():
        if not text.startswith(FOLLOWS):
            causes.setdefault(text, []).append(label)
    for message, labels in causes.items():
        more = f" and {len(labels) - 1} more" if len(labels) > 1 else ""
        print(f"FAILED {labels[0]}{more}: {message}", file=sys.stderr)
    followers = len(outcome.failures) - sum(map(len, causes.values()))
    if followers:
        print(f"       and {followers} jobs that needed them", file=sys.stderr)
    if outcome.unrecorded:
        print(
            f"{outcome.unrecorded} entries wait for MLflow; 'trackmeet replay' or the next run sends them",
            file=sys.stderr,
        )
    return bool(outcome.failures)


def say_what_is_missing(prospect: Prospect) -> None:
    """Print, to stderr, which sequences of a benchmark its copy here has not: what ran, ran on the others."""
    read = {name: data.path for job in [*prospect.todo, *prospect.found_done] for name, data in job.data.items()}
    for name, dataset in prospect.params.datasets.items():
        absent = missing(dataset, read[name]) if name in read and read[name].is_dir() else ()
        if absent:
            print(f"{name}: {len(absent)} sequences are not there: {', '.join(absent)}", file=sys.stderr)
