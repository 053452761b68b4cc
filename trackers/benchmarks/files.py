"""The files of a data set, by name: a folder, or the shards that a folder was packed into.

Readers know names and bytes alone, so that every one of them reads a packed data set, too. A name is
the path below the root, with forward slashes.
"""

from __future__ import annotations

import builtins
import hashlib
import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path, PurePosixPath

WHOLE = 2**18  # bytes: a smaller file is read sooner than mapped


class Files(ABC):
    """Names of files below `root`, and their bytes."""

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        self.root = root
        self.names = tuple(sorted(names))
        self._prefix = str(root / "_")[:-1]

    @abstractmethod
    def read(self, name: str) -> bytes | memoryview:
        """The bytes of a file; FileNotFoundError if there is none of that name."""

    def view(self, name: str) -> memoryview:
        """The same bytes, fetched from disk where they are looked at: for a glance at a large file."""
        return memoryview(self.read(name))

    @abstractmethod
    def size(self, name: str) -> int:
        """Its length in bytes, without reading it."""

    @abstractmethod
    def path(self, name: str) -> Path:
        """A file on disk with exactly these bytes, for libraries that must open it themselves: videos."""

    def show(self, name: str) -> str:
        """Its place, for messages."""
        return f"{self._prefix}{name}" if name else str(self.root)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def within(self, folder: str) -> tuple[str, ...]:
        """Names of the files directly in `folder` ("" for the root), sorted; () if there is no such folder."""
        return tuple(self._tree.get(folder, ([], set()))[0])

    def folders(self, folder: str = "") -> tuple[str, ...]:
        """Names of the folders directly in `folder`, sorted."""
        return tuple(sorted(self._tree.get(folder, ([], set()))[1]))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _tree(self) -> dict[str, tuple[list[str], set[str]]]:
        """{folder: (files, folders) directly in it}."""
        tree: dict[str, tuple[list[str], set[str]]] = {"": ([], set())}
        for name in self.names:
            folder = name.rpartition("/")[0]
            if folder not in tree:
                parts = folder.split("/")
                for depth in range(len(parts)):
                    parent, child = "/".join(parts[:depth]), "/".join(parts[: depth + 1])
                    if child not in tree:
                        tree[child] = ([], set())
                        tree[parent][1].add(child)
            tree[folder][0].append(name)
        return tree


class Folder(Files):
    """Files as they lie on disk. Hidden files and folders (.git, .DS_Store) do not count."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, _walk(root))

    def read(self, name: str) -> bytes:
        with builtins.open(self.show(name), "rb", buffering=0) as file:  # noqa: PTH123 - a Path takes as long as reading
            return file.readall()

    def size(self, name: str) -> int:
        return (self.root / name).stat().st_size

    def view(self, name: str) -> memoryview:
        with self.path(name).open("rb") as file:
            if os.fstat(file.fileno()).st_size < WHOLE:
                return memoryview(file.read())
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def path(self, name: str) -> Path:
        return self.root / PurePosixPath(name)


def open(root: Path) -> Files:
    """The files of a folder, packed or not.

    Raises FileNotFoundError or NotADirectoryError for no folder, DataError for a damaged pack.
    """
    from trackers.benchmarks import packs  # which itself needs `Files`

    return packs.Pack(root) if (root / packs.INDEX).is_file() else Folder(root)


def digest(hashes: Iterable[tuple[str, str]]) -> str:
    """One sha256 for a whole data set, packed or not: over (name, sha256) of its files, in the order of the names."""
    total = hashlib.sha256()
    for name, sha256 in hashes:
        total.update(f"{name}\0{sha256}\n".encode("utf-8", "surrogatepass"))
    return total.hexdigest()


def _walk(root: Path) -> Iterable[str]:
    """Names of all files below root; links to folders are followed, but never twice into the same one."""
    if not root.exists():
        raise FileNotFoundError(f"{root}: expected a folder, found nothing there")
    if not root.is_dir():
        raise NotADirectoryError(f"{root}: expected a folder, found a file")
    waiting, seen = [("", root)], {root.resolve()}
    while waiting:
        prefix, folder = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if not entry.is_dir():
                    yield prefix + entry.name
                    continue
                place = Path(entry.path)
                if entry.is_symlink():
                    if place.resolve() in seen:
                        continue
                    seen.add(place.resolve())
                waiting.append((f"{prefix}{entry.name}/", place))
