"""The toolkits' own environment: made once, below build/, of what PyPI has."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

PACKAGES = ("got10k==0.1.3", "vot-toolkit==0.9.0", "attributee<0.1.10", "setuptools<81")  # got10k needs pkg_resources
SCRIPTS = Path(__file__).parent / "peers"


def make(folder: Path) -> Path:
    """The Python of the environment in `folder`, which is made if it is not there. Raises OSError if that fails."""
    python = folder / "bin" / "python"
    done = folder / "installed"
    if not done.exists() and not _imports(python, "got10k", "vot"):
        venv.create(folder, with_pip=True, clear=True)
        _install(python, *PACKAGES)
        done.touch()
    return python


def add(python: Path, package: str, module: str) -> None:
    """Install one more package, if its module is not there. Raises OSError if that fails."""
    if not _imports(python, module):
        _install(python, package)


def run(python: Path, script: str, *arguments: object) -> dict[str, Any]:
    """What a script of `peers` prints. Raises OSError, with the end of its messages, where it fails."""
    command = [str(python), str(SCRIPTS / f"{script}.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{script}: expected numbers, got status {done.returncode}: {done.stderr[-2000:]}")
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def _install(python: Path, *packages: str) -> None:
    print(f"installing {', '.join(packages)} in {python.parents[1]}", file=sys.stderr)
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    if subprocess.run(command, check=False).returncode:
        raise OSError(f"{python}: expected pip to install {', '.join(packages)}, see its messages above")


def _imports(python: Path, *modules: str) -> bool:
    code = f"import {', '.join(modules)}"
    return python.exists() and subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0
