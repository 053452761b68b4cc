"""What a report's results cost and how they were made: what the store, git and this machine say, no result itself.

    facts = gather(paths, paths.root / "params.yaml")

Results are the same whenever and wherever they are made; what is gathered here is not, and so it lies apart.
"""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from orchestrator import lineage, plan
from orchestrator.conduct import Options, sources
from orchestrator.forecast.capacity import this_machine
from orchestrator.jobs import Job, digest
from orchestrator.params import Params, Report, load
from orchestrator.paths import Paths
from orchestrator.plan import Sources, Trial
from orchestrator.speed.measurement import processor
from orchestrator.store import Store
from trackers.features import Features, FeaturesError

FEATURES = "features"  # what stands for the name of a study where caches are made
LIBRARIES = ("trackmeet", "torch", "numpy", "scipy", "opencv-python", "ray", "mlflow", "dvc")


@dataclass(frozen=True)
class Done:
    """A finished job. users: each (study, tracker) that needs it. trials: of how many.

    began, ended: seconds since 1970. worked: seconds that its worker was at it. cores: that it held. memory,
    gpu_memory: bytes at most, 0 where nobody measured. attempts: why earlier ones ended.
    """

    key: str
    kind: str
    label: str
    users: tuple[tuple[str, str], ...]
    trials: int
    began: float
    ended: float
    worked: float
    host: str
    cores: int = 1
    memory: int = 0
    gpu_memory: int = 0
    attempts: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """From its start to its end."""
        return self.ended - self.began


@dataclass(frozen=True)
class Host:
    """A machine. pace: how fast, against the reference of `orchestrator.pace`; "" and 0: nobody knows."""

    name: str
    processor: str = ""
    cores: int = 0
    memory: int = 0
    gpus: tuple[str, ...] = ()
    pace: float = 0.0
    system: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known beside the results.

    git, data: revisions; "unknown" where there is none. parameters: the text of params.yaml. code: a digest of all
    code that the jobs run. contents: of each data set its content hash. trials: key by (study, name) of each trial that
    parameters, data and code give now. done: their jobs that the store has; lacking: how many it has not. problem: why
    there are none, in words. report: what its page is to show.
    """

    git: str
    data: str
    parameters: str
    versions: Mapping[str, str]
    profile: str = ""
    code: str = ""
    contents: Mapping[str, str] = field(default_factory=dict)
    trials: Mapping[tuple[str, str], str] = field(default_factory=dict)
    done: tuple[Done, ...] = ()
    lacking: int = 0
    hosts: tuple[Host, ...] = ()
    problem: str = ""
    report: Report = field(default_factory=Report)

    @property
    def complete(self) -> float | None:
        """When the last of these jobs was done, seconds since 1970; None without any."""
        return max((job.ended for job in self.done), default=None)

    @property
    def sha256(self) -> str:
        """Of params.yaml."""
        return hashlib.sha256(self.parameters.encode()).hexdigest()


def gather(paths: Paths, params: Path) -> Facts:
    """All that is known here. Parameters that cannot be read, or planned, are a fact, too: no error."""
    try:
        text = params.read_text()
    except OSError:
        text = ""
    facts: dict[str, Any] = {
        "git": lineage.git_revision(paths.root),
        "data": lineage.data_revision(paths.root),
        "parameters": text,
        "versions": versions(),
    }
    try:
        known = load(params)
        facts["report"] = known.report
        here = sources(Options(params, [], []), paths).asked_once()
        trials = plan.plan(known, here)
        before = [plan.extractor_trial(one, known, here) for one in known.extractors.values()]
        jobs = list(_jobs(before + trials, _extractions(known, here)))
    except (OSError, ValueError) as error:
        return Facts(**facts, hosts=(_this_host(),), problem=str(error))
    store = Store(paths.store)
    manifests = {job.key: store.manifest(job.key) for job, _, _ in jobs}
    done = [_done(job, users, count, m) for job, users, count in jobs if (m := manifests[job.key]) is not None]
    code = {module: sha for job, _, _ in jobs for module, sha in job.code.items()}
    return Facts(
        **facts,
        profile=known.profile,
        code=digest(code),
        contents={name: data.digest for job, _, _ in jobs for name, data in job.data.items() if name in known.datasets},
        trials={(trial.study, trial.name): trial.key for trial in trials},
        done=tuple(sorted(done, key=lambda one: (one.began, one.key))),
        lacking=len(jobs) - len(done),
        hosts=tuple(_hosts(m for m in manifests.values() if m is not None)),
        problem="" if done else f"the store, {_shown(paths.store, paths.root)}, has none of their jobs",
    )


def versions() -> dict[str, str]:
    """Of Python and of the libraries that results may depend on, as far as they are installed."""
    found = {"Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # a bare machine runs without some
    return found


def _jobs(
    trials: Iterable[Trial], extractions: Mapping[str, Iterable[Job]]
) -> Iterator[tuple[Job, tuple[tuple[str, str], ...], int]]:
    """Each job once, with the trackers that need it and the number of trials."""
    jobs: dict[str, Job] = {}
    users: dict[str, list[tuple[str, str]]] = {}
    for trial in trials:
        for job in trial.jobs:
            jobs.setdefault(job.key, job)
            users.setdefault(job.key, []).append((trial.study, trial.tracker))
    for cache, own in extractions.items():
        for job in own:
            jobs.setdefault(job.key, job)
            users.setdefault(job.key, []).append((FEATURES, cache))
    for key, job in jobs.items():
        yield job, tuple(dict.fromkeys(users[key])), len(users[key])


def _extractions(params: Params, here: Sources) -> dict[str, list[Job]]:
    """The jobs that made each cache that lies here."""
    found = {}
    for cache in params.features:
        try:
            names = Features(here.features / cache).names
        except FeaturesError:
            continue
        found[cache] = list(plan.extraction(cache, names, params, here).values())
    return found


def _done(job: Job, users: tuple[tuple[str, str], ...], trials: int, manifest: Mapping[str, Any]) -> Done:
    ended, seconds = float(manifest["finished"]), float(manifest["seconds"])
    return Done(
        key=job.key,
        kind=job.kind,
        label=job.label,
        users=users,
        trials=trials,
        began=ended - seconds,
        ended=ended,
        worked=float(manifest.get("worked", seconds)),
        host=manifest.get("host", "unknown"),
        cores=max(job.resources.cpus, 1) * job.resources.processes,
        memory=manifest.get("memory", 0),
        gpu_memory=manifest.get("gpu_memory") or 0,
        attempts=tuple(manifest.get("attempts", ())),
    )


def _hosts(manifests: Iterable[Mapping[str, Any]]) -> Iterator[Host]:
    """Where jobs ran; of this machine there is more to say. This machine alone, where they do not tell."""
    paces: dict[str, list[float]] = {}
    for manifest in manifests:
        if "host" in manifest:
            paces.setdefault(manifest["host"], []).append(manifest.get("pace") or 0.0)
    here = _this_host()
    for name, measured in sorted(paces.items()) or [(here.name, [0.0])]:
        host = here if name == here.name else Host(name)
        yield replace(host, pace=median(measured))


def _this_host() -> Host:
    node = this_machine(0.0)
    system = f"{platform.system()} {platform.release()}"
    return Host(socket.gethostname(), processor(), os.cpu_count() or node.cpus, node.memory, _gpus(), system=system)


def _gpus() -> tuple[str, ...]:
    """Names and memory, as the driver has them; () without one."""
    ask = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(done.stdout.strip().splitlines())


def _shown(path: Path, root: Path) -> str:
    """As seen from the project, where it lies in it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
