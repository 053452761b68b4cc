"""The nodes that a run has: this machine, the cluster that RAY_ADDRESS names, or some that are asked about."""

from __future__ import annotations

import math
import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

from orchestrator.forecast.simulation import Node, Overheads

# Seconds, measured on two cores: Ray comes up; a new worker starts and imports torch.
ON_RAY = Overheads(start=5.0, slot=6.0)
HERE = Overheads()


def this_machine(pace: float, cpus: int | None = None) -> Node:
    """As far as this process may use it. cpus: instead of its cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return Node(platform.node(), cpus or cores, gpus, _memory(), pace)


def cluster(pace: float, paces: Mapping[str, float]) -> list[Node]:
    """The nodes of the Ray cluster that RAY_ADDRESS names. pace: of those of which `paces`, by host, says nothing."""
    from orchestrator.cluster.connection import nodes

    return [
        Node(
            node.name,
            int(node.cpus),
            node.gpus,
            int(node.memory) if math.isfinite(node.memory) else 0,
            paces.get(node.name.partition(" ")[0], pace),
        )
        for node in nodes()
    ]


def asked(nodes: int, cpus: int, gpus: int, pace: float) -> list[Node]:
    """So many nodes alike."""
    return [Node(f"node {number}", cpus, gpus, 0, pace) for number in range(1, nodes + 1)]


def with_gpus(number: int, per_node: int, cpus: int, pace: float) -> list[Node]:
    """So many GPUs, `per_node` on each node but perhaps the last; each GPU comes with its share of a node's cores."""
    sizes = [per_node] * (number // per_node) + ([number % per_node] if number % per_node else [])
    return [Node(f"node {n}", max(1, cpus * gpus // per_node), gpus, 0, pace) for n, gpus in enumerate(sizes, 1)]


def free_space(folder: Path) -> int:
    """Bytes free where this folder is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _memory() -> int:
    """Bytes of this machine; 0 where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0
