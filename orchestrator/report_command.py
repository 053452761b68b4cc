"""`trackmeet report`: the page, and what of it goes into the record."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.paths import here
from orchestrator.run_options import Records


def report(
    record: Annotated[Records, typer.Option(help="Where to put each trial's figures, too.")] = Records.mlflow,
    params: Annotated[Path, typer.Option(help="The parameters, which say what the page shows.")] = Path("params.yaml"),
) -> None:
    """Build tables, claims, figures and the page from build/results into build/report."""
    build_report(params, record is Records.mlflow)


def build_report(params: Path, record: bool = False) -> None:
    """The report of the project here, with all that is known beside the results; record: into MLflow, too."""
    from orchestrator import facts, lineage
    from orchestrator.conduct import find_data
    from orchestrator.record import history
    from orchestrator.record.delivery import MlflowRecord
    from orchestrator.record.mlflow_store import default_uri
    from orchestrator.record.mlflow_ui import known_links
    from orchestrator.report.build import build, trial_figures
    from orchestrator.report.explorer import opener

    paths = here()
    known, opened, uri = facts.gather(paths, params), opener(find_data(paths)), default_uri(paths.root)
    page = build(
        paths.results,
        paths.report,
        known.report,
        known,
        opened,
        partial(known_links, uri) if record else lambda study: {},
    )
    if record:
        mlflow = MlflowRecord(paths.spool, uri)
        for study, key, figures in trial_figures(paths.results, paths.report):
            for figure in figures:
                mlflow.attach(study, key, figure, "figures")
        made_of = f"git {lineage.git_revision(paths.root)}, data {lineage.data_revision(paths.root)}"
        history.tell(mlflow, paths.report, made_of)
        mlflow.close(timeout=60.0)
    print(f"report page: {page}")
