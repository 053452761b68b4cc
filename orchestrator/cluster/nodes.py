"""The nodes of a cluster as the driver keeps book of them: what each has, and what is taken of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from orchestrator.jobs import Resources


@dataclass(eq=False)
class Share:
    """What one process takes of its node. gpu: the number of the GPU of which it takes a share below 1, else None."""

    resources: Resources
    gpu: int | None = None


@dataclass
class Node:
    """name: for people, unique in the cluster. cpus, gpus, memory (bytes): all that it has. shares: what is taken.

    warm: digests of the inputs that were sent there.
    """

    id: str
    name: str
    cpus: float
    gpus: int = 0
    memory: float = float("inf")
    shares: list[Share] = field(default_factory=list)
    warm: set[str] = field(default_factory=set)

    def most(self, resources: Resources) -> int:
        """How many such processes it could take if nothing else ran; one at least where only memory is short."""
        if resources.cpus > self.cpus or resources.gpus > self.gpus:
            return 0
        if resources.alone:
            return 1
        rooms = [self.cpus / resources.cpus] if resources.cpus else []
        if resources.gpus:
            each = max(resources.gpus, 1.0)
            rooms.append(self.gpus / each * int(1 / min(resources.gpus, 1.0) + 1e-6))
        if resources.memory:
            rooms.append(max(self.memory / resources.memory, 1.0))
        return int(min([*rooms, float(resources.processes)]) + 1e-6)

    def share(self, resources: Resources, free: Collection[int] = ()) -> Share | None:
        """What such a process would take; None where it does not fit. free: ids of shares that count as given back.

        A share of a GPU is taken from the fullest one that has it left. A job that needs more memory than the whole
        node has is let in where nothing else is: its figure may be wrong.
        """
        taken = [share for share in self.shares if id(share) not in free]
        if taken and (resources.alone or any(share.resources.alone for share in taken)):
            return None
        if resources.cpus > self.cpus - sum(share.resources.cpus for share in taken) + 1e-6:
            return None
        if taken and resources.memory > self.memory - sum(share.resources.memory for share in taken):
            return None
        if not resources.gpus:
            return Share(resources)
        left = [1.0] * self.gpus
        whole = 0.0
        for share in taken:
            if share.gpu is None:
                whole += share.resources.gpus
            else:
                left[share.gpu] -= share.resources.gpus
        untouched = [number for number in range(self.gpus) if left[number] > 1 - 1e-6]
        if resources.gpus >= 1:
            return Share(resources) if len(untouched) >= whole + resources.gpus else None
        # Whole GPUs that are taken are no particular ones: as many untouched ones are left alone.
        open_ones = [n for n in range(self.gpus) if n not in untouched] + untouched[: len(untouched) - int(whole)]
        room = [number for number in open_ones if left[number] >= resources.gpus - 1e-6]
        return Share(resources, min(room, key=lambda number: (left[number], number))) if room else None


def place(
    nodes: Iterable[Node], resources: Resources, free: Collection[int], inputs: Collection[str] = ()
) -> list[Node] | None:
    """A node for each process of such a job, few nodes before many; None where they do not fit now.

    Nodes that have most of the inputs come first, and of those the emptiest.
    """
    trial: list[tuple[Node, Share]] = []
    try:
        for node in sorted(nodes, key=lambda node: (len(set(inputs) - node.warm), _load(node, free))):
            while len(trial) < resources.processes and (share := node.share(resources, free)) is not None:
                node.shares.append(share)
                trial.append((node, share))
            if len(trial) == resources.processes:
                return [node for node, _ in trial]
        return None
    finally:
        for node, share in trial:
            node.shares.remove(share)


def _load(node: Node, free: Collection[int]) -> float:
    """How much of it is taken: the emptiest comes first."""
    return sum(share.resources.cpus for share in node.shares if id(share) not in free) / max(node.cpus, 1e-6)
