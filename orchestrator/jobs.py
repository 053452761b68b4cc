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
    do the job together, data-parallel, on one node or on several. alone: nothing else runs beside it on its
    node.
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


class Code(dict[str, str]):
    """A fingerprint of code that many jobs share: its canonical JSON is written once."""

    @cached_property
    def text(self) -> str:
        """Canonical JSON."""
        return canonical(dict(self))


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
        """sha256 of all that the result depends on: the digest of its identity."""
        text = self.code.text if isinstance(self.code, Code) else canonical(dict(self.code))
        parts = {name: canonical(value) for name, value in self._rest().items()} | {"code": text}
        joined = ",".join(f'"{name}":{parts[name]}' for name in sorted(parts))
        return hashlib.sha256(f"{{{joined}}}".encode()).hexdigest()

    def identity(self) -> dict[str, Any]:
        """All that the result depends on, as JSON; kept with the result, so that a change can be named."""
        return {**self._rest(), "code": dict(self.code)}

    def _rest(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "arguments": dict(self.arguments),
            "needs": {role: job.key for role, job in self.needs.items()},
            "data": {name: data.digest for name, data in self.data.items()},
        }


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def canonical(value: Any) -> str:
    """The one way to write it as JSON."""
    return _CANONICAL.encode(value)


def digest(value: Any) -> str:
    """sha256 of canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """These jobs and all that they need, each once, needs first; chains may be of any length."""
    ordered: dict[str, Job] = {}
    met: dict[int, Job] = {}  # by identity: a key is only asked for when those of its needs are known
    for job in jobs:
        path = [job]
        while path:
            job = path[-1]
            before = [] if id(job) in met else [need for need in job.needs.values() if id(need) not in met]
            if before:
                path.extend(reversed(before))
                continue
            path.pop()
            if id(job) not in met:
                met[id(job)] = job
                ordered.setdefault(job.key, job)
    return list(ordered.values())
