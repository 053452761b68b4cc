"""What plots are called, in files and in the page."""

from __future__ import annotations

from orchestrator.report.summary import Summary, measure_name
from orchestrator.report.table import slug

SPELLED = {"auc": "AUC", "eao": "EAO", "iou": "IoU", "os": "OS", "roc": "ROC", "sr": "SR"}


def slugged(summary: Summary, kind: str) -> str:
    """Of one kind of plot of a summary, unique in the page."""
    return slug(f"{summary.grid.study.name}-{summary.benchmark}-{summary.protocol}-{summary.convention}-{kind}")


def titled(measure: str) -> str:
    """A measure as a plot's title begins with it: Success AUC, EAO, Average overlap."""
    name = " ".join(SPELLED.get(word, word) for word in measure_name(measure).split())
    return name[0].upper() + name[1:]


def place(summary: Summary) -> str:
    """Where it was measured: benchmark and protocol, as readers see them."""
    return f"{summary.benchmark}, {summary.protocol.replace('_', ' ')}"
