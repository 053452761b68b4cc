"""The frame of every speed measurement: which there are, the machine they ran on, and the table."""

from __future__ import annotations

import importlib
import os
import platform
from pathlib import Path
from typing import Any


def measure(name: str, repeats: int) -> dict[str, Any]:
    """{"name", "machine", "results": [{"what", "ours", "other", "unit", "ratio", "target"}]}.

    ratio: how many times better ours is. Each module of this package measures one thing.
    """
    module = importlib.import_module(f"orchestrator.speed.{name}")
    return {"name": name, "machine": machine(), "results": module.measure(repeats)}


def machine() -> str:
    """Processor, cores, accelerator and versions, in one line."""
    import torch

    parts = [processor(), f"{os.cpu_count()} cores"]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return ", ".join([*parts, f"torch {torch.__version__}", f"Python {platform.python_version()}"])


def processor() -> str:
    """This machine's, as it calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def as_table(result: dict[str, Any]) -> str:
    """The measurement as lines of text."""
    lines = [f"{result['name']} on {result['machine']}"]
    for row in result["results"]:
        target = f", target {row['target']:g}" if row["target"] is not None else ""
        lines.append(
            f"  {row['what']}: {row['ours']:,.4g} against {row['other']:,.4g} {row['unit']}: "
            f"{row['ratio']:.2f} times{target}"
        )
    return "\n".join(lines)
