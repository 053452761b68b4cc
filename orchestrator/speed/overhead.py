"""What the orchestration itself costs: nothing here trains or tracks.

`python -m orchestrator.speed.overhead PART` measures one part in a process of its own, so that its memory is known,
and prints it as JSON.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestrator import conduct, memory, plan
from orchestrator.executor import Backend, Executor, InProcess, Settings
from orchestrator.jobs import Job, Resources, in_order
from orchestrator.params import PROFILES, Params, load
from orchestrator.paths import Paths, here
from orchestrator.progress import Board
from orchestrator.speed.features import Alone
from orchestrator.speed.folds import Project
from orchestrator.store import Store

JOBS, PLANNED = 10_000, 100_000
RATE, PLANNING, SHARE = 400.0, 20.0, 0.05  # the bounds: jobs/s through Ray, seconds, share of the time
WORKERS = 2
MARGIN = 60.0  # seconds of a run, below which its share of overhead says little


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Each row against its bound where it has one (then a ratio of 1 is enough), else against what is beneath it.

    Jobs that do nothing go through each executor, the store and the board, with two workers. A plan is made, put in
    order and looked up in an empty store. The share of the time comes from the last run in the working directory, and
    is left out where that was short, or is not there.
    """
    local, ray, bare = (_apart(part, repeats) for part in ("local", "ray", "bare"))
    planned, first = (_apart(part, repeats) for part in ("plan", "first"))
    repro, trivial = (_apart(part, repeats) for part in ("repro", "trivial"))
    rows = [
        _row("jobs that do nothing, this process", local["rate"], RATE, "jobs/s", None, more=True),
        _row(f"jobs that do nothing, Ray with {WORKERS} workers", ray["rate"], RATE, "jobs/s", 1.0, more=True),
        _row("  the same against bare calls of as many actors", ray["rate"], bare["rate"], "jobs/s", None, more=True),
        _row("memory of the driver, this process, against before", local["peak"], local["before"], "MB", None),
        _row("memory of the driver, Ray, against before", ray["peak"], ray["before"], "MB", None),
        _row(f"plan of {planned['jobs']:,.0f} jobs", planned["seconds"], PLANNING, "s", 1.0),
        _row("'trackmeet run' to its first job at work, against a bare actor", first["seconds"], bare["seconds"], "s"),
        _row("'dvc repro' with nothing to do, against one trivial stage", repro["seconds"], trivial["seconds"], "s"),
    ]
    share = of_last_run(here())
    if share is not None:
        rows.append(_row("share of the last run not spent in workers' work", share, SHARE, "of the time", 1.0))
    return rows


def _row(
    what: str, ours: float, other: float, unit: str, target: float | None = None, more: bool = False
) -> dict[str, Any]:
    """more: whether more is better."""
    ratio = ours / other if more else other / max(ours, 1e-9)
    return {"what": what, "ours": ours, "other": other, "unit": unit, "ratio": ratio, "target": target}


def _apart(part: str, repeats: int) -> dict[str, float]:
    """What a part measures in a process of its own: the median of each number over the repeats."""
    command = [sys.executable, "-m", "orchestrator.speed.overhead", part]
    found = []
    for _ in range(repeats):
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise RuntimeError(f"{part}: expected a measurement, got exit status {done.returncode}")
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return {name: statistics.median(numbers[name] for numbers in found) for name in found[0]}


# Jobs that do nothing.


def local() -> dict[str, float]:
    """Through this process."""
    return nothing(InProcess(), JOBS)


def ray() -> dict[str, float]:
    """Through Ray, once the workers are up."""
    from orchestrator.cluster.backend import Cluster

    with tempfile.TemporaryDirectory() as folder:
        backend = Cluster(Path(folder) / "marker", WORKERS)
        try:
            nothing(backend, 10 * WORKERS)  # the workers start
            return nothing(backend, JOBS)
        finally:
            backend.close()


def nothing(backend: Backend, jobs: int) -> dict[str, float]:
    """{"rate": jobs/s, "before", "peak": MB of this process}: from the list of jobs to the last one published."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        memory.reset()
        before = _peak()
        idle = [Job("nothing", f"nothing {i}", {"number": i}, resources=Resources(cpus=1)) for i in range(jobs)]
        board = Board(idle, 0, {}, root / "status.json")
        executor = Executor(Store(root / "store"), backend, [board], root / "logs", Settings())
        start = time.perf_counter()
        executor.run(idle, {}, {})
        seconds = time.perf_counter() - start
        if executor.failures:
            raise RuntimeError(f"expected jobs that do nothing, got {next(iter(executor.failures.values()))}")
        return {"rate": jobs / seconds, "before": before, "peak": max(before, _peak())}


def _peak() -> float:
    """MB that this process has taken at most since it, or a job that it did itself, began to measure."""
    return memory.peak().get("memory", 0) / 2**20


# A plan.


def planning() -> dict[str, float]:
    """{"jobs", "seconds"} of the smoke profile's studies with as many seeds as it takes."""
    params = load(PROFILES / "smoke.yaml")
    return planned(params, PLANNED)


def planned(params: Params, jobs: int) -> dict[str, float]:
    """{"jobs", "seconds"}: trials and jobs, their keys and order, what is done of them, and how long each will take."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Paths(Path(folder))
        options, store = conduct.Options(paths.root / "params.yaml", [], []), Store(paths.store)
        one, two = (len(_look(_seeded(params, seeds), options, paths, store).todo) for seeds in (1, 2))
        seeds = 1 + math.ceil((jobs - one) / (two - one))
        start = time.perf_counter()
        prospect = _look(_seeded(params, seeds), options, paths, store)
        return {"jobs": len(prospect.todo), "seconds": time.perf_counter() - start}


def _seeded(params: Params, seeds: int) -> Params:
    studies = (dataclasses.replace(study, seeds=tuple(range(1, seeds + 1))) for study in params.studies)
    return dataclasses.replace(params, studies=tuple(studies))


def _look(params: Params, options: conduct.Options, paths: Paths, store: Store) -> conduct.Prospect:
    trials = plan.plan(params, conduct.sources(options, paths))
    jobs = in_order(job for trial in trials for job in trial.jobs)
    return conduct.prospect(params, trials, plan.select(trials, [], []), jobs, store)


# Starting, and having nothing to do.


def first() -> dict[str, float]:
    """Seconds from the command to the moment at which a worker is at its first job; its end less what that took."""
    with tempfile.TemporaryDirectory() as folder:
        Project(Path(folder), {"family": "trackers.tracker:IdentityTracker"}, "videos", sequences=1, length=4)
        start = time.time()
        _call(["trackmeet", "run", "--study", "start", "--workers", str(WORKERS)], Path(folder))
        began = [at - worked for at, worked, _ in ended(Alone(Path(folder)))]
        return {"seconds": min(began) - start}


def bare() -> dict[str, float]:
    """What is beneath: {"seconds"} from the start of Python to two actors' first answers, and their "rate" of calls.

    No store and no events; each actor has one call at a time.
    """
    start = time.perf_counter()
    said = _call([sys.executable, "-c", ACTORS.format(workers=WORKERS, calls=JOBS)], Path.cwd())
    up, rate = map(float, said.split())
    return {"seconds": up - start, "rate": rate}


ACTORS = """
import ray, time
ray.init(address="local", num_cpus={workers}, include_dashboard=False, log_to_driver=False)
class Actor:
    def answer(self): return 1
actors = [ray.remote(Actor).remote() for _ in range({workers})]
ray.get([actor.answer.remote() for actor in actors])
up = time.perf_counter()
calls = {{actor.answer.remote(): actor for actor in actors}}
for _ in range({calls}):
    [done], _ = ray.wait(list(calls))
    actor = calls.pop(done)
    ray.get(done)
    calls[actor.answer.remote()] = actor
print(up, {calls} / (time.perf_counter() - up))
"""


def repro() -> dict[str, float]:
    """Seconds of `dvc repro` of this project's pipeline, all of whose stages are as they were committed."""
    root = here().root
    if not (root / "dvc.yaml").is_file():
        raise ValueError(f"{root}: expected the project's folder, found no dvc.yaml")

    def fill(folder: Path) -> None:
        for name in ("dvc.yaml", "params.yaml"):
            shutil.copy(root / name, folder)
        for name in ("data", "trackers", "orchestrator"):
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for out in _outs(yaml.safe_load((root / "params.yaml").read_text())):
            (folder / out).mkdir(parents=True)
            (folder / out / "made").write_text("")

    return _unchanged(fill)


def _outs(params: Mapping[str, Any]) -> Iterable[str]:
    """The folders that the stages of dvc.yaml make."""
    for folder, names in (("sequences", "sequences"), ("extractors", "extractors"), ("features", "features")):
        yield from (f"build/{folder}/{name}" for name in params.get(names) or [])
    yield from ("build/results", "build/report")


def trivial() -> dict[str, float]:
    """The same of one stage that reads and writes one file."""

    def fill(folder: Path) -> None:
        (folder / "in").write_text("")
        (folder / "out").write_text("")
        (folder / "dvc.yaml").write_text("stages: {copy: {cmd: cp in out, deps: [in], outs: [out]}}")

    return _unchanged(fill)


def _unchanged(fill: Callable[[Path], None]) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        fill(root)
        _call(["dvc", "init", "--no-scm", "-q"], root)
        _call(["dvc", "commit", "-f", "-q"], root)
        start = time.perf_counter()
        said = _call(["dvc", "repro"], root)
        seconds = time.perf_counter() - start
    if "up to date" not in said:
        raise RuntimeError(f"dvc repro: expected nothing to do, got {said.strip()}")
    return {"seconds": seconds}


def _call(command: list[str], root: Path) -> str:
    """What a command says; RuntimeError where it fails."""
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": beside, "DVC_NO_ANALYTICS": "1"}
    environment.pop("TRACKMEET_STORE", None)
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:2])}: exit status {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


# The last run.


def of_last_run(paths: Paths) -> float | None:
    """Of the time of all workers of the last run, the share not spent at work; None where that run was short or none.

    From the moment when the first worker is at work until the last job ends. As many workers count as ever worked at
    once. A measurement of speed, which runs alone, counts as work of all.
    """
    try:
        status = json.loads(paths.status.read_text())
    except (OSError, ValueError):
        return None
    jobs = [job for job in ended(paths) if status["started"] <= job[0] <= status["updated"]]
    if not jobs or max(at for at, _, _ in jobs) - min(at - worked for at, worked, _ in jobs) < MARGIN:
        return None
    return idle(jobs)


def ended(paths: Paths) -> list[tuple[float, float, str]]:
    """Of each finished job: when it ended, in seconds since 1970, how many seconds its worker took, and its kind."""
    jobs = []
    for path in (paths.store / "done").glob("*/*/manifest.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):  # one that is damaged, or from before this was noted
            manifest = json.loads(path.read_text())
            jobs.append((manifest["finished"], manifest["worked"], manifest["identity"]["kind"]))
    return jobs


def idle(jobs: Iterable[tuple[float, float, str]]) -> float:
    """The share of the workers' time in which they were not at one of these jobs."""
    jobs = list(jobs)
    moments = sorted([(at - worked, 1) for at, worked, _ in jobs] + [(at, -1) for at, _, _ in jobs])
    at_once, workers = 0, 1
    for _, change in moments:
        at_once += change
        workers = max(workers, at_once)
    useful = sum(worked * (workers if kind == "speed" else 1) for _, worked, kind in jobs)
    return 1 - useful / (workers * (moments[-1][0] - moments[0][0]))


PARTS: dict[str, Callable[[], dict[str, float]]] = {
    "local": local,
    "ray": ray,
    "plan": planning,
    "first": first,
    "bare": bare,
    "repro": repro,
    "trivial": trivial,
}

if __name__ == "__main__":
    print(json.dumps(PARTS[sys.argv[1]]()))
