"""Folders that are whole or not there: written beside their place, then moved."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}")


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill; it takes the place of `path` at the end, or vanishes at an error, and `path` stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished, old = (path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}") for _ in range(2))
    unfinished.mkdir()
    try:
        yield unfinished
        if path.exists():
            path.replace(old)
        try:
            unfinished.replace(path)
        except BaseException:
            if old.exists():
                old.replace(path)
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def remove_unfinished(parent: Path) -> None:
    """Remove what `replaced_folder` left in this folder when it was killed. Nobody may be writing there."""
    for path in parent.glob(".*"):
        if _UNFINISHED.fullmatch(path.name) and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
