"""One task done by several processes of this machine, which train together (`trackers.parallel`).

Each is a process of its own, the first, too: so that any of them can be ended while it waits for another.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from orchestrator.work import Emit, Task

GRACE = 10.0  # seconds in which, after one lost another, that other says what ended it

Outcome = tuple[Any, ...]  # (kind, *payload): the last event of a task, see `orchestrator.executor`
Attempt = Callable[[Task, Emit], Outcome]


def run_together(task: Task, emit: Emit, attempt: Attempt) -> Outcome:
    """Do the task as `task.ranks` processes here -> (kind, *payload) of its last event.

    attempt: does it in one of them; a function of a module. Where one fails or dies, the others are ended. All die
    with this process.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="trackmeet-") as folder, contextlib.ExitStack() as ending:
        meeting = f"file://{folder}/meeting"
        members = {}
        for rank in range(task.ranks):
            ours, theirs = context.Pipe(duplex=False)
            own = replace(task, rank=rank, meeting=meeting)
            process = context.Process(target=_member, args=(own, attempt, theirs), daemon=True)
            process.start()
            theirs.close()  # so that its end is known by the pipe's
            ending.callback(process.join)
            ending.callback(process.kill)
            members[ours] = rank, process
        return _followed(members, emit)


def _followed(members: dict[Connection, tuple[int, Any]], emit: Emit) -> Outcome:
    """What became of the task: done, as the first process says, or why one failed."""
    outcomes: dict[int, Outcome] = {}
    count, until = len(members), None
    while True:
        left = None if until is None else max(0.0, until - time.monotonic())
        for ours in wait(list(members), left):
            assert isinstance(ours, Connection)
            rank, process = members[ours]
            try:
                kind, *payload = ours.recv()
            except (EOFError, OSError):
                process.join()
                kind, payload = "ended", ["lost", f"process {rank} of {count} died (exit code {process.exitcode})"]
            if kind == "ended":
                outcomes[rank] = tuple(payload)
                del members[ours]
            else:
                emit(kind, *payload)
        if outcomes.get(0, ("",))[0] == "done":
            return outcomes[0]
        failed = [outcome for outcome in outcomes.values() if outcome[0] != "done"]
        if not failed:
            continue
        until = until or time.monotonic() + GRACE
        if not all(map(follows, failed)) or not members or time.monotonic() >= until:
            return cause(failed)


def cause(outcomes: Iterable[Outcome]) -> Outcome:
    """Of what became of failed processes the first that does not only follow from another's; else, that one is lost."""
    every = list(outcomes)
    return next((outcome for outcome in every if not follows(outcome)), ("lost", every[0][1]))


def follows(outcome: Outcome) -> bool:
    """Whether a process failed only as another one of its training was gone."""
    return outcome[0] == "error" and str(outcome[1]).startswith("LostPeerError")


def free_meeting(address: str) -> str:
    """Where processes can meet, at a port that is free now on this machine, whose address it is: tcp://address:port."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"


def _member(task: Task, attempt: Attempt, theirs: Connection) -> None:
    """The life of one process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    threading.Thread(target=_die_with_parent, daemon=True).start()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        last = _own_gpu(task) or attempt(task, lambda *event: theirs.send(event))
    if printed.getvalue() and task.rank == 0:
        theirs.send(("log", printed.getvalue()))
    theirs.send(("ended", *last))


def _own_gpu(task: Task) -> Outcome | None:
    """Let this process see that of the visible GPUs which is its own; what is wrong where there is none."""
    if task.device == "cpu":
        return None
    import torch

    count = torch.cuda.device_count()
    if count < task.ranks:
        message = f"expected a GPU for each of {task.ranks} processes, got {count} on this machine"
        return "error", f"ValueError: {message}", ""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[task.rank]
    return None


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
