"""Every path below build/, named once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """Where a project keeps what it makes. root: the folder of params.yaml and dvc.yaml."""

    root: Path

    @property
    def build(self) -> Path:
        """Everything that can be made again."""
        return self.root / "build"

    @property
    def sequences(self) -> Path:
        """Data sets packed into shards: the DVC outputs of the stage `sequences`."""
        return self.build / "sequences"

    @property
    def extractors(self) -> Path:
        """Weights of extractors, a folder each: the DVC outputs of the stage `extractors`."""
        return self.build / "extractors"

    @property
    def features(self) -> Path:
        """Caches of what extractors saw, a folder each: the DVC outputs of the stage `features`."""
        return self.build / "features"

    @property
    def store(self) -> Path:
        """Finished jobs; TRACKMEET_STORE names another place, which branches and machines may share."""
        return Path(os.environ.get("TRACKMEET_STORE") or self.build / "store")

    @property
    def results(self) -> Path:
        """What the trials found: the DVC output of the stage `experiments`."""
        return self.build / "results"

    @property
    def report(self) -> Path:
        """Tables, figures and the page: the DVC output of the stage `report`."""
        return self.build / "report"

    @property
    def record(self) -> Path:
        """The embedded MLflow database and its artifacts."""
        return self.build / "record"

    @property
    def spool(self) -> Path:
        """What the record has not been sent yet."""
        return self.record / "spool"

    @property
    def logs(self) -> Path:
        """What jobs printed, one file each."""
        return self.build / "logs"

    @property
    def status(self) -> Path:
        """How the run in progress stands, or how the last one ended."""
        return self.build / "status.json"

    @property
    def digests(self) -> Path:
        """Content hashes of data files, by size and time of change."""
        return self.build / "digests.json"


def here() -> Paths:
    """The paths of the project in the working directory."""
    return Paths(Path.cwd())
