"""One attempt at a task, in this process; what it wrote comes back as bytes."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import tempfile
import time
import traceback
from functools import cache
from pathlib import Path
from typing import Any

from orchestrator import memory, work
from orchestrator.work import Task

ATTEMPT = "trackmeet-attempt-"  # how folders begin in which attempts write, before process and host


def attempt(task: Task, emit: work.Emit) -> tuple[Any, ...]:
    """Do a task here -> (kind, *payload) of its last event, see `orchestrator.executor.Event`."""
    folder = _folder(os.getpid())
    folder.mkdir(exist_ok=True)  # somebody may tidy up between attempts
    began = time.perf_counter()
    memory.reset()
    try:
        facts = work.run(task, folder, emit)
        took = {"worked": round(time.perf_counter() - began, 4), "host": socket.gethostname(), **memory.peak()}
        return "done", {path.name: path.read_bytes() for path in sorted(folder.iterdir())}, {**facts, **took}
    except Exception as error:
        whose = _whose_memory(error)
        if whose:
            return "memory", f"out of memory: {error}", whose
        return "error", f"{type(error).__name__}: {error}", traceback.format_exc()
    finally:
        for path in folder.iterdir():
            path.unlink()


@cache
def _folder(process: int) -> Path:
    """Where this process writes; emptied after each attempt, as making one anew takes longer than many a job."""
    folder = tempfile.mkdtemp(prefix=f"{ATTEMPT}{process}-{socket.gethostname()}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def clear_attempts() -> None:
    """Remove what processes of this user left that died in an attempt on this machine."""
    for folder in Path(tempfile.gettempdir()).glob(f"{ATTEMPT}*-{socket.gethostname()}-*"):  # others may share it
        with contextlib.suppress(OSError, ValueError):
            if folder.stat().st_uid == os.getuid() and not alive(int(folder.name.split("-")[2])):
                shutil.rmtree(folder)


def alive(pid: int) -> bool:
    """Whether there is such a process here."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _whose_memory(error: BaseException | None) -> str:
    """Whose ran out, where that was it, or caused it: "host" or "gpu" (torch's own error; it need not be here)."""
    while error is not None:
        if type(error).__name__ in ("MemoryError", "OutOfMemoryError"):
            return "host" if isinstance(error, MemoryError) else "gpu"
        error = error.__cause__
    return ""
