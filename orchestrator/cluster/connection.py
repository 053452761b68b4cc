"""A cluster as it is met: joined or started, and asked for its nodes."""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.cluster.nodes import Node
from orchestrator.cluster.slot import report


def connect(workers: int | None = None) -> None:
    """Join the cluster that RAY_ADDRESS names, else start one on this machine, of so many CPUs.

    ValueError where that is to be joined without a word about tokens: who reaches a Ray port runs code there.
    """
    local = "RAY_ADDRESS" not in os.environ
    if not local and os.environ.get("RAY_AUTH_MODE", "").lower() not in ("token", "disabled"):
        raise ValueError(
            "RAY_ADDRESS: expected RAY_AUTH_MODE=token, too, and the cluster's token by RAY_AUTH_TOKEN_PATH or "
            "RAY_AUTH_TOKEN (infra/ray/run sets them), or RAY_AUTH_MODE=disabled for a cluster that has none, got "
            f"{os.environ.get('RAY_AUTH_MODE') or 'nothing'}"
        )
    on_terminate = signal.getsignal(signal.SIGTERM)
    ray.init(
        address="local" if local else None,  # else Ray joins whatever runs on this machine
        num_cpus=workers if local else None,
        include_dashboard=False if local else None,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=True,
    )
    signal.signal(signal.SIGTERM, on_terminate)  # Ray's own aborts the process


def nodes() -> list[Node]:
    """Those of the cluster that RAY_ADDRESS names. Raises ConnectionError where it is not to be reached."""
    connect()
    try:
        return [described(row, alone=False) for row in ray.nodes() if row["Alive"]]
    finally:
        ray.shutdown()


def inspect() -> list[dict[str, Any]]:
    """What each node of the cluster that RAY_ADDRESS names has, and says of itself.

    [{"name", "address", "cpus", "gpus", "memory", "host", "free" (bytes), "versions", "clock" (seconds ahead of
    ours), "error" (only where it did not answer)}]. Raises ConnectionError where the cluster is not to be reached.
    """
    connect()
    try:
        found = []
        for row in (row for row in ray.nodes() if row["Alive"]):
            node = described(row, alone=False)
            known = {"name": node.name, "address": row["NodeManagerAddress"], "cpus": node.cpus, "gpus": node.gpus}
            on_it = NodeAffinitySchedulingStrategy(node.id, soft=False)
            asked = ray.remote(report).options(num_cpus=0, max_retries=0, scheduling_strategy=on_it)
            try:
                ray.get(asked.remote(), timeout=60)  # the first one starts a process
                before = time.time()
                said = ray.get(asked.remote(), timeout=60)
                clock = said.pop("time") - (before + time.time()) / 2
                found.append({**known, "memory": node.memory, **said, "clock": clock})
            except RayError as error:
                found.append({**known, "error": str(error)})
        return found
    finally:
        ray.shutdown()


def described(row: dict[str, Any], alone: bool) -> Node:
    """As Ray describes it. alone: whether no other node has its host's name."""
    has, host = row["Resources"], row["NodeManagerHostname"]
    name = host if alone else f"{host} ({row['NodeManagerAddress']}:{row['NodeManagerPort']})"
    memory = has.get("memory", float("inf"))
    return Node(row["NodeID"], name, has.get("CPU", 0.0), int(has.get("GPU", 0)), memory)
