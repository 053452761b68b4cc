"""A forecast: what a run has to do, how long that takes on which nodes, and what it costs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.amounts import size, span
from orchestrator.forecast.durations import Estimate
from orchestrator.forecast.simulation import Graph, Node, Overheads, describe, graph, simulate
from orchestrator.jobs import Job, Resources

ON_GPU = ("train", "extract", "track", "speed")  # kinds of jobs that can use one
SHOWN = 12  # jobs of the critical path


@dataclass(frozen=True)
class Gpus:
    """What is assumed of GPUs. share: that a job takes that says nothing of it. factor: times as fast as one CPU."""

    share: float = 1.0
    factor: float = 1.0

    def takes(self, job: Job) -> Resources:
        """What a job takes of a node that has GPUs."""
        needs = job.resources
        return replace(needs, gpus=self.share) if job.kind in ON_GPU and not needs.gpus else needs


@dataclass(frozen=True)
class Prices:
    """In any currency; None: not said."""

    node_hour: float | None = None
    gpu_hour: float | None = None

    def of(self, nodes: Sequence[Node], seconds: float) -> float | None:
        """Of nodes that are paid for until the end, whether they work or not."""
        if self.node_hour is None and self.gpu_hour is None:
            return None
        each = len(nodes) * (self.node_hour or 0.0) + sum(node.gpus for node in nodes) * (self.gpu_hour or 0.0)
        return each * seconds / 3600


@dataclass(frozen=True)
class Place:
    """Nodes to run on. workers: jobs at once, at most. gpus: what is assumed of them; None: jobs take what they say."""

    name: str
    nodes: list[Node]
    overheads: Overheads
    workers: int | None = None
    gpus: Gpus | None = None


@dataclass(frozen=True)
class Cost:
    """Of a run in one place. bound: seconds that no number of such nodes comes below. memory: bytes of all running
    jobs at the peak; 0 where nobody knows."""

    place: str
    nodes: str
    seconds: float
    bound: float
    cpu_hours: float
    gpu_hours: float
    money: float | None
    memory: int


@dataclass(frozen=True)
class Forecast:
    """kinds: (to do, done) by kind of job. bases: jobs to do by what their estimate rests on. largest: (label, bytes).

    path: the critical path, (label, seconds at the pace of the first place). results: bytes of them. free: of the disk.
    """

    kinds: dict[str, tuple[int, int]]
    bases: dict[str, int]
    costs: list[Cost]
    largest: tuple[str, int] | None
    results: int
    free: int
    path: list[tuple[str, float]]
    assumptions: list[str]

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self)


def forecast(
    todo: Sequence[Job],
    done: Iterable[Job],
    estimate: Callable[[Job], Estimate],
    places: Sequence[Place],
    prices: Prices,
    free: int,
    assumptions: Sequence[str] = (),
) -> Forecast:
    """Of these jobs in each of the places that have room for them. ValueError where none has."""
    found = {job.key: estimate(job) for job in todo}
    left, over = Counter(job.kind for job in todo), Counter(job.kind for job in done)
    costs: list[Cost] = []
    path: list[tuple[str, float]] = []
    cramped: list[str] = []
    for place in places:
        planned = planned_for(todo, found, place.gpus)
        try:
            played = simulate(planned, place.nodes, place.overheads, place.workers)
        except ValueError as error:
            cramped.append(f"{place.name} is left out: {error}")
            continue
        pace = max(node.pace for node in place.nodes)
        path = path or [(planned.jobs[i].label, planned.seconds[i] / pace) for i in planned.critical_path()]
        costs.append(
            Cost(
                place.name,
                _nodes(place.nodes),
                played.makespan,
                planned.bound / pace,
                played.cpu_seconds / 3600,
                played.gpu_seconds / 3600,
                prices.of(place.nodes, played.makespan),
                played.memory,
            )
        )
    if not costs:
        raise ValueError("; ".join(cramped))
    largest = max(((job.label, found[job.key].memory) for job in todo), key=lambda row: row[1], default=("", 0))
    return Forecast(
        {
            kind: (left[kind], over[kind])
            for kind in ("train", "extract", "track", "speed", "score")
            if (left + over)[kind]
        },
        dict(Counter(one.basis for one in found.values()).most_common()),
        costs,
        largest if largest[1] else None,
        sum(one.bytes for one in found.values()),
        free,
        path,
        [*assumptions, *cramped],
    )


def planned_for(todo: Sequence[Job], found: dict[str, Estimate], gpus: Gpus | None = None) -> Graph:
    """The graph of these jobs, with their estimates, by key; gpus: where they run on some."""

    def seconds(job: Job) -> float:
        one = found[job.key]
        on_cpu = gpus is not None and gpus.takes(job).gpus and not one.gpu_memory
        return one.seconds / gpus.factor if gpus is not None and on_cpu else one.seconds

    took = {job.key: seconds(job) for job in todo}
    memory = {key: one.memory for key, one in found.items()}
    return graph(todo, took, memory, *([gpus.takes] if gpus is not None else []))


def lines(forecast: Forecast) -> list[str]:
    """For people."""
    todo, done = (sum(counts[i] for counts in forecast.kinds.values()) for i in range(2))
    said = [
        f"jobs            {todo} to do, {done} done: "
        + ", ".join(f"{kind} {left + over} ({over} done)" for kind, (left, over) in forecast.kinds.items())
    ]
    if not todo:
        return [*said, "nothing to do"]
    said.append("estimated from  " + ", ".join(f"{basis} {count}" for basis, count in forecast.bases.items()))
    for cost in forecast.costs:
        gpu = f", {cost.gpu_hours:.2f} GPU-hours" if cost.gpu_hours else ""
        money = "" if cost.money is None else f", costs {cost.money:,.2f}"
        said.append(
            f"{cost.place:<15} {span(cost.seconds)}, {cost.cpu_hours:.2f} CPU-hours{gpu}{money}; "
            f"no less than {span(cost.bound)} on any number of such nodes ({cost.nodes})"
        )
    if forecast.largest is None:
        said.append("memory          unknown: no earlier run of such jobs recorded it")
    else:
        label, most = forecast.largest
        peak = ", ".join(f"{size(cost.memory)} at the peak ({cost.place})" for cost in forecast.costs)
        said.append(f"memory          {size(most)} the largest job ({label}); {peak}")
    said.append(f"disk            {size(forecast.results)} of results, {size(forecast.free)} free")
    if forecast.results > forecast.free:
        said.append("                NOT ENOUGH: free some, or set TRACKMEET_STORE to another disk")
    said.append(f"critical path   {span(sum(seconds for _, seconds in forecast.path))}, {len(forecast.path)} jobs")
    said += [f"  {seconds:8.1f} s  {label}" for label, seconds in forecast.path[:SHOWN]]
    if len(forecast.path) > SHOWN:
        said.append(f"              and {len(forecast.path) - SHOWN} more")
    return [*said, *(f"assumed         {text}" for text in forecast.assumptions)]


def _nodes(nodes: Sequence[Node]) -> str:
    counts = Counter(describe(node) for node in nodes)
    return "; ".join(f"{count} x {text}" if count > 1 else text for text, count in counts.items())
