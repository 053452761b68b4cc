"""A job: one unit of scheduled work, known by a key that says everything its result depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Resources:
    """What each process of a job takes of a node.

    gpus may be a fraction below 1, or whole. memory: of the node, in bytes; 0 where nobody knows. processes: how many
    do the job together, data-parallel, on one node or on several. alone: nothing else runs beside it.
    """

    cpus: int = 1
    gpus: float = 0.0
    memory: int = 0
    processes: int = 1
    alone: bool = False


@dataclass(frozen=True)
class Data:
    """A folder of raw data that a job reads. digest: its content hash (`lineage.Digests`)."""

    path: Path
    digest: str


@dataclass(frozen=True)
class Job:
    """kind names a function of `orchestrator.work`, arguments (JSON) what it is called with.

    needs: the jobs whose results it reads, by the role that they play. code: the fingerprint of
    the code it runs (`lineage.fingerprint`). label: the name for people, unique in a plan.
    Neither label nor resources are part of the key.
    """

    kind: str
    label: str
    arguments: Mapping[str, Any]
    needs: Mapping[str, Job] = field(default_factory=dict)
    data: Mapping[str, Data] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = Resources()

    @cached_property
    def key(self) -> str:
        """sha256 of all that the result depends on."""
        return digest(self.identity())

    def identity(self) -> dict[str, Any]:
        """All that the result depends on, as JSON; kept with the result, so that a change can be named."""
        return {
            "kind": self.kind,
            "arguments": dict(self.arguments),
            "needs": {role: job.key for role, job in self.needs.items()},
            "data": {name: data.digest for name, data in self.data.items()},
            "code": dict(self.code),
        }


def digest(value: Any) -> str:
    """sha256 of canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """These jobs and all that they need, each once, needs first."""
    ordered: dict[str, Job] = {}

    def visit(job: Job) -> None:
        if job.key not in ordered:
            for need in job.needs.values():
                visit(need)
            ordered[job.key] = job

    for job in jobs:
        visit(job)
    return list(ordered.values())
