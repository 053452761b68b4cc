"""What changed since last week: of each study one run "report" in MLflow, with a step for each time results changed.

Its metrics are the main scores and how many claims hold, as in metrics.json; its charts show them over the steps, and
the tag "result 3" says of what revisions step 3 was made. The study's plots and tables are its files. A report of the
same results adds nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.jobs import digest
from orchestrator.record import TrialRun
from orchestrator.record.delivery import MlflowRecord
from orchestrator.record.layout import REFUSED

ABOUT = """How the results of this study have changed: a step for each report that found other ones.

The charts show the main scores and how many claims hold. The tag `result N` says when step N was made, and of what.
The files are the plots and tables of the newest report."""


def tell(record: MlflowRecord, report: Path, made_of: str) -> None:
    """Tell of the finished report in this folder. made_of: revisions, in words."""
    for study, found in json.loads((report / "metrics.json").read_text()).items():
        key = digest(["report", study])
        record.trial(TrialRun(key, study, "report", {}, {"level": "report", "made of": made_of}, ABOUT))
        record.report(study, key, dict(_metrics(found)), made_of)
        for folder, kind in (("figures", "svg"), ("tables", "csv")):
            for path in sorted((report / folder).glob(f"{study}-*.{kind}")):
                record.artifact(key, path, folder)
        record.finish(key, "FINISHED", time.time_ns() // 1_000_000)


def _metrics(found: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """By names "claims/holds" and "measure/benchmark/tracker"."""
    for benchmark, measures in found.items():
        for measure, values in measures.items():
            parts = ("claims",) if benchmark == "claims" else (measure, benchmark)
            for name, value in values.items():
                yield REFUSED.sub("_", "/".join((*parts, name))), float(value)
