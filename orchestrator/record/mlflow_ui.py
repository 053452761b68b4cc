"""MLflow's UI on the record: the command that serves it, and links into it."""

import json
import logging
import sys
from pathlib import Path
from urllib.parse import quote

from orchestrator.record import mlflow_view
from orchestrator.record.mlflow_store import SHOWN_TAG, artifacts_of, client, default_uri, initialize, without_password

logger = logging.getLogger(__name__)


def ui_command(root: Path, port: int = 5000) -> list[str]:
    """Return the command that serves MLflow's UI, on this machine only, for the record of the project at `root`.

    Raises ValueError where the record is on a server, which has its UI at its own address.
    """
    uri = default_uri(root)
    if uri.startswith(("http://", "https://")):
        raise ValueError(f"expected a record in a database, got a server: open {without_password(uri)} instead")
    artifacts = artifacts_of(uri) or root.resolve() / "build" / "record" / "artifacts"
    return [
        *("env", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", "MLFLOW_DISABLE_TELEMETRY=true"),
        *(sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri),
        *("--artifacts-destination", str(artifacts), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]


def links(uri: str, study: str, address: str = "http://127.0.0.1:5000") -> dict[str, str]:
    """Addresses in MLflow's UI: "charts" of all variants of a study, the best first; "compare": them side by side.

    "runs": the table, folds below their means. "models": the registry. `address` is where `ui_command` serves a local
    record; a server's own is used where `uri` is one. No server is asked but the one at `uri`. Raises LookupError where
    the store has no such study.
    """
    initialize(uri)
    experiment = client(uri).get_experiment_by_name(study)
    if experiment is None:
        raise LookupError(f"expected a recorded study, got {study!r}, which {without_password(uri)} does not hold")
    if uri.startswith(("http://", "https://")):
        address = without_password(uri).rstrip("/")
    number, shown = experiment.experiment_id, experiment.tags.get(SHOWN_TAG, "").split()
    runs = f"{address}/#/experiments/{number}/runs?workflowType=machine_learning"
    view = f"&viewStateShareKey={mlflow_view.NAME}" if mlflow_view.TAG in experiment.tags else ""
    ids, experiments = (quote(json.dumps(one, separators=(",", ":"))) for one in (shown, [number]))
    return {
        "charts": f"{runs}&compareRunsMode=CHART{view}",
        "compare": f"{address}/#/compare-runs?runs={ids}&experiments={experiments}&workflowType=machine_learning",
        "runs": runs,
        "models": f"{address}/#/models",
    }


def known_links(uri: str, study: str) -> dict[str, str]:
    """The same; {} where the store knows no such study, or is away: a report is made all the same."""
    try:
        return links(uri, study)
    except Exception as error:
        logger.warning("no links to MLflow: %s", error)
        return {}
