"""How a run ended, said to its user."""

from __future__ import annotations

import sys

from orchestrator.conduct import Outcome
from orchestrator.executor import FOLLOWS


def complain(outcome: Outcome) -> bool:
    """Print what is wrong, to stderr; whether the run failed or was interrupted."""
    if outcome.interrupted:
        print("interrupted; run it again and it goes on from where it was", file=sys.stderr)
        return True
    causes = {label: text for label, text in outcome.failures.items() if not text.startswith(FOLLOWS)}
    for label, message in causes.items():
        print(f"FAILED {label}: {message}", file=sys.stderr)
    if len(outcome.failures) > len(causes):
        print(f"       and {len(outcome.failures) - len(causes)} jobs that needed them", file=sys.stderr)
    if outcome.unrecorded:
        print(
            f"{outcome.unrecorded} entries wait for MLflow; 'trackmeet replay' or the next run sends them",
            file=sys.stderr,
        )
    return bool(outcome.failures)
