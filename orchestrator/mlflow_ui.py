"""MLflow's UI on the record: the command that serves it, and links into it."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from orchestrator.mlflow_store import MlflowStore, artifacts_of, client, default_uri, initialize, without_password


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


def compare_links(uri: str, study: str, keys: Sequence[str], address: str = "http://127.0.0.1:5000") -> str:
    """Return two lines with links into MLflow's UI: all curves of the study, and these trials side by side.

    `address` is where `ui_command` serves a local record; a server's own is used where `uri` is one. Trials that are
    not recorded are left out. Raises LookupError where the store has no such study.
    """
    initialize(uri)
    experiment = client(uri).get_experiment_by_name(study)
    if experiment is None:
        raise LookupError(f"expected a recorded study, got {study!r}, which {without_password(uri)} does not hold")
    if uri.startswith(("http://", "https://")):
        address = without_password(uri).rstrip("/")
    store = MlflowStore(uri, [])
    runs = [run.info.run_id for key in keys if (run := store.find(experiment.experiment_id, key))]
    ids, experiments = quote(_compact(runs)), quote(_compact([experiment.experiment_id]))
    return (
        f"{address}/#/experiments/{experiment.experiment_id}/runs?compareRunsMode=CHART&workflowType=machine_learning\n"
        f"{address}/#/compare-runs?runs={ids}&experiments={experiments}"
    )


def _compact(ids: list[str]) -> str:
    return json.dumps(ids, separators=(",", ":"))
