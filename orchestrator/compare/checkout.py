"""A checkout of pysot or of pysot-toolkit, which PyPI does not have: its package copied, and built, below build/."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from orchestrator.compare import environment

TOOLKITS = {"pysot": "pysot-toolkit", "toolkit": "STVIR-pysot"}  # by the name of the package
CYTHON = "cython<4"


@dataclass(frozen=True)
class Checkout:
    """folder: of ours, with the package, built. origin: commit of the checkout, or what its SOURCE.txt says."""

    toolkit: str
    package: str
    folder: Path
    origin: str


def build(python: Path, root: Path, folder: Path) -> Checkout:
    """Copy the package below `root` into a new folder in `folder`, and build its region extension there.

    Nothing is written into `root`. Raises OSError where it holds neither package, or it does not build.
    """
    packages = [name for name in TOOLKITS if (root / name / "utils" / "region.pyx").is_file()]
    if not packages:
        expected = " or ".join(f"{name}/utils/region.pyx ({toolkit})" for name, toolkit in TOOLKITS.items())
        raise OSError(f"{root}: expected {expected}, found neither")
    package = packages[0]
    place = folder / TOOLKITS[package]
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(root / package, place / package, ignore=shutil.ignore_patterns("*.so", "__pycache__", "build"))
    environment.add(python, CYTHON, "Cython")
    environment.run(python, "pysot_region", place / package / "utils")
    return Checkout(TOOLKITS[package], package, place, _origin(root))


def _origin(root: Path) -> str:
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return f"commit {done.stdout.strip()}"
    source = root / "SOURCE.txt"
    return " ".join(source.read_text().split()) if source.is_file() else "of an unknown commit"
