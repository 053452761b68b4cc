"""Files that are whole or not there: written elsewhere, then moved."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from trackers.folders import replaced_folder

__all__ = ["replaced_folder", "write_bytes", "write_json"]


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file by one rename; a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Replace the file by `value` as readable JSON with sorted keys."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
