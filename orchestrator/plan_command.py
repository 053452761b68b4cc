"""`trackmeet plan`: what a run will take, said before it starts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.amounts import span
from orchestrator.paths import here
from orchestrator.run_options import (
    Executor,
    Executors,
    Lanes,
    ParamsFile,
    Records,
    Threads,
    Workers,
    options,
)

if TYPE_CHECKING:
    from orchestrator.forecast.durations import History
    from orchestrator.forecast.simulation import Node
    from orchestrator.jobs import Job
    from orchestrator.store import Store

BUDGET = 60.0  # seconds of calibration


def plan_run(
    params: ParamsFile = Path("params.yaml"),
    study: Annotated[list[str] | None, typer.Option(help="Only this study (may be repeated).")] = None,
    tracker: Annotated[list[str] | None, typer.Option(help="Only this tracker (may be repeated).")] = None,
    nodes: Annotated[int, typer.Option(min=0, help="Ask about so many nodes instead of what is here.")] = 0,
    node_gpus: Annotated[int, typer.Option("--gpus", min=0, help="GPUs of each node that is asked about.")] = 0,
    cpus: Annotated[int, typer.Option(min=0, help="Cores of each node that is asked about; default: as here.")] = 0,
    node_pace: Annotated[float, typer.Option("--pace", min=0, help="Their speed, this machine's being 1.")] = 1.0,
    price_per_hour: Annotated[float | None, typer.Option(min=0, help="Of a node.")] = None,
    price_per_gpu_hour: Annotated[float | None, typer.Option(min=0, help="Of a GPU, besides its node.")] = None,
    gpu_share: Annotated[float, typer.Option(min=0.01, max=1, help="Of a GPU, for jobs that do not say.")] = 1.0,
    gpu_factor: Annotated[float, typer.Option(min=0.01, help="Times as fast on a GPU as on a CPU core.")] = 1.0,
    gpus_per_node: Annotated[int, typer.Option(min=1, help="In the curve over GPUs, where no --gpus says so.")] = 8,
    again: Annotated[bool, typer.Option("--again", help="As if nothing were done yet.")] = False,
    calibrate: Annotated[bool, typer.Option(help="Try what was never run, about a minute in all.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    chart: Annotated[Path | None, typer.Option(help="The curve; default: build/forecast/makespan.svg.")] = None,
    executor: Executor = Executors.ray,
    workers: Workers = None,
    threads: Threads = 1,
    share: Annotated[float, typer.Option("--run-gpus", envvar="TRACKMEET_GPUS", min=0, help="As --gpus of a run.")] = 0,
    lanes: Lanes = 32,
) -> None:
    """Say what a run will take before it starts: jobs, time, cost, memory, disk, and the critical path.

    From what earlier runs took; what is unlike all of that is tried for some seconds here. Nothing is run otherwise.
    """
    from orchestrator.conduct import look
    from orchestrator.forecast import capacity, summary
    from orchestrator.forecast import chart as charts
    from orchestrator.forecast.durations import History
    from orchestrator.pace import pace
    from orchestrator.store import Store

    paths = here()
    given = options(
        *(params, executor, Records.none, workers, threads, share, "", None, 20.0, False), lanes, study, tracker
    )
    store = Store(paths.store)
    prospect = look(given, paths, store)
    todo = [*prospect.found_done, *prospect.todo] if again else prospect.todo
    done = [] if again else prospect.found_done
    here_pace = pace()
    history = History.of(store, here_pace)
    if calibrate:
        _calibrate(todo, history, given.settings.lanes, None if again else store, as_json)
    current = _current(executor, workers, here_pace, history)
    on_ray = capacity.ON_RAY if executor is Executors.ray else capacity.HERE
    beside = summary.Overheads(on_ray.start, on_ray.slot, history.beside)
    at_once = workers if executor is Executors.ray else 1
    places = [summary.Place("here", current, beside, at_once)]
    gpus = summary.Gpus(gpu_share, gpu_factor)
    fastest = max(node.pace for node in current)
    if nodes or node_gpus or cpus:
        asked = capacity.asked(nodes or 1, cpus or current[0].cpus, node_gpus, fastest * node_pace)
        places.append(summary.Place("asked", asked, beside, None, gpus if node_gpus else None))
    prices, free = summary.Prices(price_per_hour, price_per_gpu_hour), capacity.free_space(paths.store)
    per_node, cores = node_gpus or gpus_per_node, cpus or 2 * (node_gpus or gpus_per_node)
    assumed = [
        f"pace {fastest:.2f} of the reference here; {on_ray.start:g} s until the first job, "
        f"{on_ray.slot:g} s for each new worker, {history.beside:.2f} s beside each job",
        f"on GPUs: jobs that say nothing else take {gpu_share:g} of one, and what was measured on a CPU core takes "
        f"1/{gpu_factor:g} of the time there; nodes of {per_node} GPUs and {cores} cores",
    ]
    found = summary.forecast(todo, done, history.estimate, places, prices, free, assumed)
    points, written = [], []
    if todo:
        estimates = {job.key: history.estimate(job) for job in todo}
        graph = summary.planned_for(todo, estimates, gpus)
        points = charts.curve(graph, per_node, max(cores, per_node), fastest * node_pace, beside)
        bound = graph.bound / (fastest * node_pace)
        note = f"{gpu_share:g} GPU a job, {gpu_factor:g} x a CPU core"
        place = chart or paths.build / "forecast" / "makespan.svg"
        written = charts.write(points, bound, note, place) if points else []
    if as_json:
        rows = [vars(point) for point in points]
        print(json.dumps({**found.as_json(), "curve": rows, "files": [str(path) for path in written]}))
        return
    print("\n".join(summary.lines(found)))
    if points:
        print("by GPUs         " + ", ".join(f"{point.gpus}: {span(point.seconds)}" for point in points))
        print(f"                {', '.join(str(path) for path in written)}")


def _current(executor: Executors, workers: int | None, pace: float, history: History) -> list[Node]:
    """The nodes that a run would have now: of the cluster that RAY_ADDRESS names, else this machine."""
    import platform

    from orchestrator.forecast import capacity

    if executor is Executors.ray and "RAY_ADDRESS" in os.environ:
        return capacity.cluster(pace, history.paces)
    return [capacity.this_machine(history.paces.get(platform.node(), pace), workers)]


def _calibrate(todo: list[Job], history: History, lanes: int, store: Store | None, quiet: bool) -> None:
    """Try what history knows nothing of."""
    from orchestrator.forecast.calibration import calibrate, unknown

    groups = unknown(todo, history)
    if not groups:
        return
    if not quiet:
        print(f"calibration     {len(groups)} kinds of jobs that never ran are tried, {span(BUDGET)} at most")
    calibrate(todo, history, BUDGET, lanes, store)
