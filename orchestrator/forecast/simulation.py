"""A run played through without doing it: the executor's own order, on nodes that are given as numbers.

As `orchestrator.executor` does it: of the jobs whose needs are done, the one with the longest way to the end starts
first, those that do not fit now are passed over, and nothing runs on a node beside a job that must run alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.jobs import Job, Resources, in_order

ENOUGH = 1 - 1e-9  # of a share: fractions of a GPU add up to 1 only nearly


@dataclass(frozen=True)
class Node:
    """A machine. memory: bytes; 0 where nobody knows, and then it is not counted. pace: see `orchestrator.pace`."""

    name: str
    cpus: int
    gpus: int = 0
    memory: int = 0
    pace: float = 1.0


@dataclass(frozen=True)
class Overheads:
    """Seconds that are nobody's work. start: before anything runs. slot: a new worker's. job: beside each job."""

    start: float = 0.0
    slot: float = 0.0
    job: float = 0.0


@dataclass(frozen=True)
class Graph:
    """Jobs as numbers, needs first, by their place: made once, played often.

    seconds: of each on a node of pace 1. way: to the end of the last job that needs it, its own among them. rank: which
    place it has in the order in which jobs start. users: who needs it. shapes: what jobs take, each once.
    """

    jobs: list[Job]
    seconds: list[float]
    way: list[float]
    rank: list[int]
    needs: list[list[int]]
    users: list[list[int]]
    shape: list[int]
    shapes: list[Resources]
    memory: list[int]

    @property
    def work(self) -> float:
        """Seconds of all jobs, one after the other, at pace 1."""
        return sum(self.seconds)

    @property
    def bound(self) -> float:
        """Seconds that a run takes at least, on any number of nodes of pace 1: the longest chain."""
        return max(self.way, default=0.0)

    def critical_path(self) -> list[int]:
        """The longest chain of jobs that need each other, in their order."""
        if not self.jobs:
            return []
        place = max(range(len(self.jobs)), key=lambda place: self.way[place])
        path = [place]
        while self.users[place]:
            place = max(self.users[place], key=lambda user: self.way[user])
            path.append(place)
        return path


@dataclass(frozen=True)
class Schedule:
    """When and where each job of a graph would run: seconds from the start of the run; names of nodes.

    cpu_seconds, gpu_seconds: that jobs hold. memory: the most, in bytes, that running jobs have at once, in all.
    """

    makespan: float
    starts: list[float]
    ends: list[float]
    nodes: list[str]
    cpu_seconds: float
    gpu_seconds: float
    memory: int


def graph(
    jobs: Sequence[Job],
    seconds: Mapping[str, float],
    memory: Mapping[str, int] | None = None,
    takes: Callable[[Job], Resources] = lambda job: job.resources,
) -> Graph:
    """Of these jobs alone; what else they need is done. seconds, memory (bytes): by key. takes: what of a node."""
    wanted = {job.key for job in jobs}
    ordered = [job for job in in_order(jobs) if job.key in wanted]
    place = {job.key: i for i, job in enumerate(ordered)}
    took = [seconds[job.key] for job in ordered]
    needs = [list({place[key] for need in job.needs.values() if (key := need.key) in place}) for job in ordered]
    users: list[list[int]] = [[] for _ in ordered]
    for i, own in enumerate(needs):
        for need in own:
            users[need].append(i)
    way = list(took)
    for i in reversed(range(len(ordered))):
        for need in needs[i]:
            way[need] = max(way[need], took[need] + way[i])
    rank = [0] * len(ordered)
    for number, i in enumerate(sorted(range(len(ordered)), key=lambda i: (-way[i], ordered[i].key))):
        rank[i] = number
    taken = [takes(job) for job in ordered]
    shapes = {resources: n for n, resources in enumerate(dict.fromkeys(taken))}
    held = memory or {}
    return Graph(
        ordered,
        took,
        way,
        rank,
        needs,
        users,
        [shapes[resources] for resources in taken],
        list(shapes),
        [held.get(job.key, 0) for job in ordered],
    )


class _Room:
    """What is free on the nodes, and which idle workers wait there."""

    def __init__(self, nodes: Sequence[Node], shapes: Sequence[Resources]) -> None:
        self.nodes, self.shapes = nodes, shapes
        self.cpus = [float(node.cpus) for node in nodes]
        self.memory = [float(node.memory) or float("inf") for node in nodes]
        self.gpus = [[1.0] * node.gpus for node in nodes]
        self.running = [0] * len(nodes)  # processes
        self.closed = [False] * len(nodes)  # one of them must be alone
        # By shape: nodes that may have room, the fastest first; each is looked at again before it is taken.
        order = sorted((-node.pace, n) for n, node in enumerate(nodes))
        self.maybe = [list(order) for _ in shapes]
        self.listed = [[True] * len(nodes) for _ in shapes]
        self.idle = [[0] * len(nodes) for _ in shapes]  # workers
        self.workers = [[0] * len(nodes) for _ in shapes]

    def fits(self, shape: int, n: int) -> bool:
        """Whether one process of this shape has room on this node.

        One that needs more memory than the whole node has is let in where nothing else is: its figure may be wrong.
        """
        need = self.shapes[shape]
        if self.closed[n] or (need.alone and self.running[n]):
            return False
        if self.cpus[n] < need.cpus or (self.running[n] and self.memory[n] < need.memory):
            return False
        if not need.gpus:
            return True
        if need.gpus < 1:
            return any(free >= need.gpus * ENOUGH for free in self.gpus[n])
        return sum(free >= ENOUGH for free in self.gpus[n]) >= need.gpus

    def place(self, shape: int) -> list[tuple[int, list[int]]] | None:
        """Take room for all processes of a job -> node and GPUs of each; None, and nothing taken, if there is none."""
        taken: list[tuple[int, list[int]]] = []
        for _ in range(self.shapes[shape].processes):
            heap, listed = self.maybe[shape], self.listed[shape]
            while heap and not self.fits(shape, heap[0][1]):
                listed[heapq.heappop(heap)[1]] = False
            if not heap:
                for n, gpus in taken:
                    self.give_back(shape, n, gpus)
                return None
            n = heap[0][1]
            taken.append((n, self._take(shape, n)))
        return taken

    def _take(self, shape: int, n: int) -> list[int]:
        need, free = self.shapes[shape], self.gpus[n]
        self.running[n] += 1
        self.closed[n] = need.alone
        self.cpus[n] -= need.cpus
        self.memory[n] -= need.memory
        if not need.gpus:
            return []
        if need.gpus < 1:  # the fullest that has room: whole ones stay whole
            gpus = [min((g for g in range(len(free)) if free[g] >= need.gpus * ENOUGH), key=lambda g: (free[g], g))]
        else:
            gpus = [g for g in range(len(free)) if free[g] >= ENOUGH][: int(need.gpus)]
        for g in gpus:
            free[g] -= min(need.gpus, 1.0)
        return gpus

    def give_back(self, shape: int, n: int, gpus: list[int]) -> None:
        """Free what a process held."""
        need = self.shapes[shape]
        self.running[n] -= 1
        self.closed[n] = False
        self.cpus[n] += need.cpus
        self.memory[n] += need.memory
        for g in gpus:
            self.gpus[n][g] += min(need.gpus, 1.0)
        for other in range(len(self.shapes)):
            if not self.listed[other][n]:
                self.listed[other][n] = True
                heapq.heappush(self.maybe[other], (-self.nodes[n].pace, n))

    def worker(self, shape: int, n: int) -> bool:
        """Give a process a worker; whether that is a new one, for which an idle one of another shape may have to go."""
        if self.idle[shape][n]:
            self.idle[shape][n] -= 1
            return False
        self.workers[shape][n] += 1
        held = sum(self.workers[s][n] * self.shapes[s].cpus for s in range(len(self.shapes)))
        for other in range(len(self.shapes)):
            while held > self.nodes[n].cpus and self.idle[other][n]:
                self.idle[other][n] -= 1
                self.workers[other][n] -= 1
                held -= self.shapes[other].cpus
        return True


def simulate(
    graph: Graph, nodes: Sequence[Node], overheads: Overheads = Overheads(), workers: int | None = None
) -> Schedule:
    """Play the run through. workers: jobs at once, at most. ValueError for a job that no node has room for."""
    size, shapes = len(graph.jobs), graph.shapes
    room = _Room(nodes, shapes)
    for shape, resources in enumerate(shapes):
        taken = room.place(shape)
        if taken is None:
            label = graph.jobs[graph.shape.index(shape)].label
            memory = f", {resources.memory / 1e9:g} GB" if resources.memory else ""
            raise ValueError(
                f"{label}: expected nodes with room for {resources.processes} x ({resources.cpus} CPUs, "
                f"{resources.gpus:g} GPUs{memory}), got {', '.join(sorted({describe(node) for node in nodes}))}"
            )
        for n, gpus in taken:
            room.give_back(shape, n, gpus)
    by_rank = [0] * size
    for i, rank in enumerate(graph.rank):
        by_rank[rank] = i
    missing = [len(needs) for needs in graph.needs]
    ready: list[list[int]] = [[] for _ in shapes]  # heaps of ranks
    for i in range(size):
        if not missing[i]:
            heapq.heappush(ready[graph.shape[i]], graph.rank[i])
    starts, ends, where = [0.0] * size, [0.0] * size, [""] * size
    ending: list[tuple[float, int, list[tuple[int, list[int]]]]] = []
    now, held, most = overheads.start, 0, 0
    cpu_seconds = gpu_seconds = 0.0
    while True:
        open_shapes = {shape for shape in range(len(shapes)) if ready[shape]}
        while open_shapes and (workers is None or len(ending) < workers):
            shape = min(open_shapes, key=lambda shape: ready[shape][0])
            need = shapes[shape]
            taken = room.place(shape)
            if taken is None:
                open_shapes.discard(shape)
                continue
            i = by_rank[heapq.heappop(ready[shape])]
            if not ready[shape]:
                open_shapes.discard(shape)
            fresh = [room.worker(shape, n) for n, _ in taken]
            slowest = min(nodes[n].pace for n, _ in taken)
            spent = graph.seconds[i] / slowest + overheads.job + (overheads.slot if any(fresh) else 0.0)
            starts[i], ends[i], where[i] = now, now + spent, nodes[taken[0][0]].name
            cpu_seconds += spent * need.cpus * need.processes
            gpu_seconds += spent * need.gpus * need.processes
            held += graph.memory[i]
            most = max(most, held)
            heapq.heappush(ending, (ends[i], i, taken))
        if not ending:
            break
        now = ending[0][0]
        while ending and ending[0][0] == now:
            _, i, taken = heapq.heappop(ending)
            shape = graph.shape[i]
            held -= graph.memory[i]
            for n, gpus in taken:
                room.give_back(shape, n, gpus)
                room.idle[shape][n] += 1
            for user in graph.users[i]:
                missing[user] -= 1
                if not missing[user]:
                    heapq.heappush(ready[graph.shape[user]], graph.rank[user])
    return Schedule(max(ends, default=0.0), starts, ends, where, cpu_seconds, gpu_seconds, most)


def describe(node: Node) -> str:
    """A node's room in words."""
    memory = f", {node.memory / 1e9:.1f} GB" if node.memory else ""
    return f"{node.cpus} CPUs, {node.gpus} GPUs{memory}"
