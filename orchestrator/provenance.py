"""What extractors and caches of features were made of, and whether that is what they would be made of now.

build/extractors/<name>/    weights.pt, learnt_from.json (`orchestrator.learnt`), and extractor.json: the key of the
                            job that made them, and the hash of the weights
build/features/<name>/      a `trackers.features` cache, whose facts say what it was made of
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import learnt, plan
from orchestrator.files import replaced_folder, write_json
from orchestrator.jobs import Job
from orchestrator.lineage import file_digest
from orchestrator.params import Dataset, Params, dataset_module
from orchestrator.plan import Sources
from trackers.features import Features, FeaturesError

MADE = "extractor.json"


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
        said = _read(folder / MADE)
        if said is None or not (folder / "weights.pt").is_file():
            return f"{folder}: expected the weights of extractor {extractor}, found none; {make}"
        if said.get("key") != self.training(extractor).key:
            return f"{folder}: expected weights of these settings, data and code, found others; {make}"
        if said.get("sha256") != file_digest(folder / "weights.pt"):
            return f"{folder / 'weights.pt'}: expected the weights that were made, found others; {make}"
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

    def uncovered(self, dataset: Dataset, cache: str) -> str | None:
        """Why a data set cannot be read by a cache that was made of another part of the same; None where it can."""
        folder = self.sources.features / cache
        try:
            names = Features(folder).names
            opened = dataset_module(dataset.format).open(
                dataset.config, self.sources.data(dataset.root).path, dataset.name
            )
        except (OSError, ValueError):
            return None  # what is wrong with them is said of them
        lacking = [sequence.name for sequence in opened if sequence.name not in names]
        if not lacking:
            return None
        own = f"{self.params.seen(cache)[0].name}-{dataset.name}"
        return (
            f"{folder}: expected all of {dataset.name}, found none of {', '.join(lacking)}; name {own} in features, too"
        )


def put_weights(result: Path, key: str, folder: Path) -> None:
    """Put the weights that the job of this key made, its result, in an extractor's folder, in place of what was there.

    From what they were learnt goes with them.
    """
    with replaced_folder(folder) as place:
        for name in ("weights.pt", learnt.FILE):
            shutil.copyfile(result / name, place / name)
        write_json(place / MADE, {"key": key, "sha256": file_digest(place / "weights.pt")})


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        said = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return said if isinstance(said, Mapping) else None
