"""How MLflow's UI shows a study: which runs, which columns, and the charts that answer which variant wins where.

MLflow keeps a shared view as a tag of the experiment, and opens it by its name in the address. It is JSON as the UI's
own "share" writes it; an MLflow that does not know it shows its default page.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Collection, Sequence
from typing import Any

NAME = "trackmeet"
TAG = f"mlflow.sharedViewState.{NAME}"
FEW = 12  # charts in a section that is open from the start
COLUMNS = ("Dataset", "Models")


def charts(runs: Sequence[str], scores: Sequence[str], metrics: Collection[str]) -> str:
    """The view that compares these runs: their scores as bars and curves as lines; all other metrics are folded away.

    metrics: names of all that they have.
    """
    there = [name for name in scores if name in metrics]
    curves = sorted(name for name in metrics if " curve/" in name)
    costs = sorted(name for name in metrics if name.startswith(("fps/", "cost/")))
    sections = [
        *_section("Scores", there, "BAR"),
        *_section("Curves", curves, "LINE"),
        *_section("Speed and cost", costs, "BAR"),
    ]
    state: dict[str, Any] = {
        "searchFilter": f"attributes.run_id IN ({', '.join(map(repr, runs))})",
        "orderByKey": "attributes.start_time",
        "orderByAsc": True,
        "runsHiddenMode": "SHOW_ALL",
        "selectedColumns": [
            *(f"attributes.`{column}`" for column in COLUMNS),
            *(f"metrics.`{name}`" for name in there[:6]),
        ],
        "compareRunSections": [_shown(title) for title, _ in sections],
        "compareRunCharts": [chart for _, own in sections for chart in own],
        "isAccordionReordered": True,
    }
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state, separators=(",", ":")).encode(), 9)).decode()


def _shown(title: str) -> dict[str, Any]:
    return {"uuid": title, "name": title, "display": True, "isReordered": False, "deleted": False, "isGenerated": True}


def _section(title: str, names: Sequence[str], kind: str) -> list[tuple[str, list[dict[str, Any]]]]:
    own = [
        {
            "uuid": f"{kind} {name}",
            "type": kind,
            "runsCountToCompare": 100,
            "metricSectionId": title,
            "metricKey": name,
            "displayName": name,
            "deleted": False,
            "isGenerated": True,
        }
        for name in names
    ]
    return [(title, own)] if own else []
