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
MOST_COLUMNS = 8


def charts(
    runs: Sequence[str], metrics: Collection[str], scores: Sequence[str], main: Sequence[str], lower: bool
) -> str:
    """The view that compares these runs, the best first: main scores, curves, other scores, speed; then all the rest.

    metrics: names of all that they have. lower: whether less of the main scores is better.
    """
    first = [name for name in main if name in metrics]
    others = [name for name in scores if name in metrics and name not in first]
    curves = sorted((name for name in metrics if " curve/" in name), key=lambda name: name.startswith("eao"))
    costs = sorted(name for name in metrics if name.startswith(("fps/", "cost/")))
    sections = {"Main scores": first, "Curves": curves, "Scores": others, "Speed and cost": costs}
    state = {
        "searchFilter": f"attributes.run_id IN ({', '.join(map(repr, runs))})",
        "orderByKey": f"metrics.`{first[0]}`" if first else "attributes.start_time",
        "orderByAsc": lower or not first,
        "runsHiddenMode": "SHOW_ALL",
        "selectedColumns": [
            *(f"attributes.`{column}`" for column in ("Dataset", "Models")),
            *(f"metrics.`{name}`" for name in [*first, *others][:MOST_COLUMNS]),
            *(f"tags.`{name}`" for name in ("losing fold", "losing fold score", "caveat")),
        ],
        "compareRunSections": [_section(title) for title, names in sections.items() if names],
        "compareRunCharts": [
            _chart(name, title, "LINE" if title == "Curves" else "BAR")
            for title, names in sections.items()
            for name in names
        ],
        "isAccordionReordered": True,  # else the sections are sorted by name
    }
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(state, separators=(",", ":")).encode(), 9)).decode()


def _section(title: str) -> dict[str, Any]:
    return {"uuid": title, "name": title, "display": True, "isReordered": False, "deleted": False, "isGenerated": True}


def _chart(name: str, section: str, kind: str) -> dict[str, Any]:
    return {
        "uuid": name,
        "type": kind,
        "runsCountToCompare": 100,
        "metricSectionId": section,
        "metricKey": name,
        "displayName": name,
        "deleted": False,
        "isGenerated": True,
    }
