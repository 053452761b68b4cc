"""What plots are called in files."""

from __future__ import annotations

from orchestrator.report.summary import Summary
from orchestrator.report.table import slug


def slugged(summary: Summary, kind: str) -> str:
    """Of one kind of plot of a summary, unique in the page."""
    return slug(f"{summary.grid.study.name}-{summary.benchmark}-{summary.protocol}-{summary.convention}-{kind}")
