"""What a folder holds: name, size and hash of each file; by it the folder is copied elsewhere, and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.lineage import file_digest
from trackers.benchmarks.files import Folder

CHUNK = 16 * 2**20  # bytes of a file that travel at once, at most: no memory holds a shard whole


class DamagedError(RuntimeError):
    """What arrived is not what was listed."""


@dataclass(frozen=True)
class Listing:
    """files: {name: (bytes, sha256)}, names relative, with forward slashes.

    Raises ValueError for a name that leaves the folder.
    """

    files: Mapping[str, tuple[int, str]]

    def __post_init__(self) -> None:
        for name in self.files:
            if "\\" in name or "\0" in name or {"", ".", ".."} & set(name.split("/")):
                raise ValueError(f"expected a name inside the folder, got {name!r}")

    @classmethod
    def of(cls, path: Path) -> Listing:
        """Of a folder, hidden files left out as in its digest, or of one file, as if it lay alone in a folder.

        Raises FileNotFoundError where there is neither.
        """
        root, names = (path.parent, (path.name,)) if path.is_file() else (path, Folder(path).names)
        return cls({name: ((root / name).stat().st_size, file_digest(root / name)) for name in names})

    @classmethod
    def from_json(cls, value: Any) -> Listing:
        return cls({name: (size, sha256) for name, (size, sha256) in value.items()})

    def to_json(self) -> dict[str, list[Any]]:
        """{name: [bytes, sha256]}."""
        return {name: list(file) for name, file in self.files.items()}

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(size for size, _ in self.files.values())


class Source(Protocol):
    """Where folders come from, by digest: a `depot.Shelf`, here or through Ray, or a `depot.Depot`."""

    def listing(self, digest: str) -> Listing:
        """What the folder holds. FileNotFoundError where it is not to be had."""

    def chunk(self, digest: str, name: str, offset: int, length: int) -> bytes:
        """Some bytes of a file that is listed; length: at most CHUNK."""


def fetch(digest: str, listing: Listing, source: Source, place: Path) -> None:
    """Write the files below `place`; one that does not arrive as listed is asked for once more.

    Raises DamagedError for one that is wrong again.
    """
    place.mkdir(parents=True, exist_ok=True)
    for name, (size, sha256) in listing.files.items():
        for _ in range(2):
            if _fetch_file(digest, name, size, source, place / name) == sha256:
                break
        else:
            raise DamagedError(f"{digest}: expected {name} as listed ({size} bytes), got other bytes, twice")


def _fetch_file(digest: str, name: str, size: int, source: Source, path: Path) -> str:
    """Returns the sha256 of what was written."""
    sha256 = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for offset in range(0, size, CHUNK):
            chunk = source.chunk(digest, name, offset, min(CHUNK, size - offset))
            sha256.update(chunk)
            file.write(chunk)
    return sha256.hexdigest()
