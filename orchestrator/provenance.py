"""What extractors and caches of features were made of, and whether that is what they would be made of now.

build/extractors/<name>/    weights.pt, and extractor.json: the key of the job that made them
build/features/<name>/      a `trackers.features` cache, whose facts say what it was made of
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import plan
from orchestrator.jobs import Job
from orchestrator.params import Params
from orchestrator.plan import Sources
from trackers.features import Features, FeaturesError

KEY = "extractor.json"


@dataclass(frozen=True)
class Expected:
    """What these parameters would make now."""

    params: Params
    sources: Sources

    def training(self, extractor: str) -> Job:
        """The job that publishes an extractor's weights."""
        trial = plan.extractor_trial(self.params.extractors[extractor], self.params, self.sources)
        return list(trial.training.values())[-1]

    def wrong_weights(self, extractor: str) -> str | None:
        """Why the weights that lie here are not the extractor's; None where they are."""
        folder, make = self.sources.extractors / extractor, f"'trackmeet extractor {extractor}' makes them"
        if not (folder / KEY).is_file() or not (folder / "weights.pt").is_file():
            return f"{folder}: expected the weights of extractor {extractor}, found none; {make}"
        if read_key(folder) != self.training(extractor).key:
            return f"{folder}: expected weights of these settings, data and code, found others; {make}"
        return None

    def facts(self, cache: str) -> dict[str, Any]:
        """What a cache would be made of now."""
        identity = plan.extraction(cache, [""], self.params, self.sources)[""].identity()
        arguments = identity["arguments"]
        extractor, dataset = self.params.seen(cache)
        facts = {
            "extractor": arguments["extractor"],
            "weights": identity["data"][plan.WEIGHTS + extractor.name],
            "data set": arguments["dataset"],
            "data": identity["data"][dataset.name],
            "code": identity["code"],
        }
        return json.loads(json.dumps(facts))  # as they come back: tuples are lists there

    def wrong_features(self, cache: str) -> str | None:
        """Why the cache that lies here cannot be used: damaged, or made of something else; None where it can."""
        folder, make = self.sources.features / cache, f"'trackmeet features {cache}' makes it"
        if not folder.exists():
            return f"{folder}: expected a cache of features, found none; {make}"
        try:
            features = Features(folder)
            features.verify()
        except FeaturesError as error:
            return f"{error}; {make}"
        made, now = dict(features.facts), self.facts(cache)
        other = [name for name in now if made.get(name) != now[name]]
        if other:
            return f"{folder}: expected a cache made with today's {' and '.join(other)}, got one of others; {make}"
        return None


def read_key(folder: Path) -> str | None:
    """The key of the job that made the weights in this folder; None where it says none."""
    try:
        said = json.loads((folder / KEY).read_text())
    except (OSError, ValueError):
        return None
    return said.get("key") if isinstance(said, Mapping) else None
