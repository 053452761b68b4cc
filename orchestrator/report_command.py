"""`trackmeet report`: the page, and what of it goes into the record."""

from __future__ import annotations

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
    from orchestrator import facts
    from orchestrator.conduct import find_data
    from orchestrator.delivery import MlflowRecord
    from orchestrator.mlflow_store import default_uri
    from orchestrator.params import Report, load
    from orchestrator.report.build import build, trial_figures
    from orchestrator.report.explorer import opener

    paths = here()
    settings = load(params).report if params.exists() else Report()
    page = build(paths.results, paths.report, settings, facts.gather(paths, params), opener(find_data(paths)))
    if record:
        mlflow = MlflowRecord(paths.spool, default_uri(paths.root))
        for study, key, figures in trial_figures(paths.results, paths.report):
            for figure in figures:
                mlflow.attach(study, key, figure, "figures")
        mlflow.close(timeout=60.0)
    print(f"report page: {page}")
