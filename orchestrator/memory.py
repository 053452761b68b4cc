"""How much memory this process takes at most while it does something: of the machine, and of its GPU."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset() -> None:
    """Begin to measure. Where a system cannot, its figures will be missing."""
    with suppress(OSError):
        CLEAR.write_text("5")  # the peak is from now on
    if (torch := _cuda()) is not None:
        torch.cuda.empty_cache()  # what the task before left there is not this one's
        torch.cuda.reset_peak_memory_stats()


def peak() -> dict[str, int]:
    """Bytes since `reset`: "memory"; where a GPU was used, "gpu_memory" of its "gpu_total"."""
    found = {}
    with suppress(OSError, StopIteration):
        lines = STATUS.read_text().splitlines()
        found["memory"] = next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    if (torch := _cuda()) is not None:
        found["gpu_memory"] = torch.cuda.max_memory_reserved()
        found["gpu_total"] = torch.cuda.get_device_properties(0).total_memory
    return found


def _cuda():  # type: ignore[no-untyped-def]  # a module, where it is loaded and has used a GPU
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None
