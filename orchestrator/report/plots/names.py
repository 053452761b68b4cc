"""What plots are called, in files and in the page."""

from __future__ import annotations

from orchestrator.report.summary import Summary
from orchestrator.results import slug


def slugged(summary: Summary, kind: str) -> str:
    """Of one kind of plot of a summary, unique in the page."""
    return slug(f"{summary.grid.study.name}-{summary.benchmark}-{summary.protocol}-{summary.convention}-{kind}")


def place(summary: Summary) -> str:
    """Where it was measured: benchmark and protocol, as readers see them."""
    return f"{summary.benchmark}, {summary.protocol.replace('_', ' ')}"
