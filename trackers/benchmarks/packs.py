"""A folder packed into shards: few large files of the original bytes, and one index.

The index, `pack.json`, lists the shards in order, and of each its file, and the names, sizes and hashes
of the files in it, in the order of their bytes. Where a file begins follows from the sizes before it, so
that no two can overlap. Nothing is re-encoded: a frame read from a shard is the frame that was packed.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from trackers.benchmarks.files import Files, Folder, digest
from trackers.benchmarks.problems import Problems
from trackers.folders import replaced_folder

INDEX = "pack.json"
FORMAT = "trackmeet pack 1"
SHARD_BYTES = 64 * 2**20
VIDEOS = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"})
MAPPED = 128  # shards held open by one pack: each takes a file descriptor, of which a process has few
CHUNK = 2**20

_DRIVE = re.compile(r"\n[A-Za-z]:")
_SHARD = re.compile(r"shard-\d{5,}(\.[^/\\\0]+)?")


def pack(
    root: Path,
    out: Path,
    shard_bytes: int = SHARD_BYTES,
    threads: int = 4,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Pack:
    """Pack the files of the folder `root`, in the order of their names, into shards in `out`; hidden ones stay out.

    A file larger than `shard_bytes`, and every video, is a shard of its own, with its suffix. `out` is whole or
    not there: an older pack in its place is replaced at the end. The same files give the same bytes. Memory does
    not grow with the size of the files. progress: called with (bytes packed, bytes in all) after each shard.

    Raises ValueError for a root that is packed or empty, for a name that no pack may hold, for an `out` that
    lies in `root` or holds something else than a pack, and for a file that changed meanwhile.
    """
    if (root / INDEX).exists():
        raise ValueError(f"{root}: expected a folder to pack, found one that is packed already ({INDEX})")
    files = Folder(root)
    if not files.names:
        raise ValueError(f"{root}: expected files to pack, found none")
    if not _names(files.names):
        unsafe = next(name for name in files.names if not _names([name]))
        raise ValueError(f"{root}: expected names without backslashes, drives and line ends, found {unsafe!r}")
    if out.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"{out}: expected a place outside the folder that is packed, {root}")
    if out.exists() and not (out / INDEX).exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out}: expected a pack to replace or nothing, found something else")
    shards = list(_plan(files, shard_bytes))
    done, total = 0, sum(sum(shard.sizes) for shard in shards)
    with replaced_folder(out) as folder, ThreadPoolExecutor(threads) as pool:
        for i, sha256 in enumerate(pool.map(lambda shard: _copy(files, shard, folder), shards)):
            shards[i] = _Shard(shards[i].file, shards[i].names, shards[i].sizes, sha256)
            done += sum(shards[i].sizes)
            progress(done, total)
        hashes = {name: sha256 for shard in shards for name, sha256 in zip(shard.names, shard.sha256, strict=True)}
        head = f'"format":{json.dumps(FORMAT)},"digest":"{digest((name, hashes[name]) for name in files.names)}"'
        rows = ",\n".join(json.dumps(asdict(shard), separators=(",", ":")) for shard in shards)
        (folder / INDEX).write_text(f'{{{head},"shards":[\n{rows}\n]}}\n', encoding="ascii", newline="\n")
    return Pack(out)


class Pack(Files):
    """The files of a packed folder, read by memory map; may be shared by threads, and sent to other processes.

    digest: of all names and contents, the same as of the folder that was packed (`files.digest`). shards: how many.
    Raises DataError for an index that is damaged or names a place outside the pack, and where a shard is
    missing or not as long as it should be. The bytes themselves are compared by `verify` alone.
    """

    _copies: Path | None

    def __init__(self, root: Path) -> None:
        index = _read_index(root)
        self._shards = [shard.file for shard in index.shards]
        self._lengths = [sum(shard.sizes) for shard in index.shards]
        names = [name for shard in index.shards for name in shard.names]
        counts = [len(shard.names) for shard in index.shards]
        self._rows = dict(zip(names, range(len(names)), strict=True))
        self._shard = np.repeat(np.arange(len(counts)), counts)
        self._size = np.array([size for shard in index.shards for size in shard.sizes], np.int64)
        before = np.cumsum([0, *self._lengths], dtype=np.int64)[:-1]
        self._offset = np.cumsum(self._size) - self._size - np.repeat(before, counts)
        self._sha256 = [sha256 for shard in index.shards for sha256 in shard.sha256]
        super().__init__(root, names)
        self.digest, self.shards = index.digest, len(index.shards)
        self._forget()
        problems = Problems()
        if len(self._rows) != len(names):
            problems.say(str(root / INDEX), "each name once", f"{len(names) - len(self._rows)} repeated")
        elif digest((name, self._sha256[self._rows[name]]) for name in self.names) != index.digest:
            problems.say(str(root / INDEX), "the digest of the files that it lists", "another one")
        problems.refuse()

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_maps", "_copies")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def read(self, name: str) -> memoryview:
        row = self._row(name)
        size, offset = int(self._size[row]), int(self._offset[row])
        return memoryview(self._map(int(self._shard[row])))[offset : offset + size] if size else memoryview(b"")

    def size(self, name: str) -> int:
        return int(self._size[self._row(name)])

    def path(self, name: str) -> Path:
        """The shard itself where the file is one; else a copy, which goes with this object."""
        row = self._row(name)
        shard = self.root / self._shards[self._shard[row]]
        suffix = PurePosixPath(name).suffix
        if self._size[row] == self._lengths[self._shard[row]] and shard.suffix == suffix:
            return shard
        content = self.read(name)
        with self._lock:
            if self._copies is None:
                self._copies = Path(tempfile.mkdtemp(prefix="trackmeet-"))
                weakref.finalize(self, shutil.rmtree, self._copies, ignore_errors=True)
            copy = self._copies / f"{row}{suffix}"
            if not copy.exists():
                copy.write_bytes(content)
        return copy

    def verify(self, problems: Problems, threads: int = 4) -> None:
        """Read every byte again, and note each file that is not what was packed."""

        names = list(self._rows)  # in the order of their bytes
        ends = np.searchsorted(self._shard, np.arange(len(self._shards)), side="right")

        def damaged(shard: int) -> list[str]:
            rows = range(ends[shard - 1] if shard else 0, ends[shard])
            return [names[i] for i in rows if hashlib.sha256(self.read(names[i])).hexdigest() != self._sha256[i]]

        with ThreadPoolExecutor(threads) as pool:
            for file, wrong in zip(self._shards, pool.map(damaged, range(len(self._shards))), strict=True):
                for name in wrong:
                    problems.say(self.show(name), "the bytes that were packed", f"others, in {file}")

    def _row(self, name: str) -> int:
        try:
            return self._rows[name]
        except KeyError:
            raise FileNotFoundError(f"{self.show(name)}: expected a file of this pack, found none") from None

    def _forget(self) -> None:
        """Hold nothing that belongs to one process."""
        self._lock = threading.Lock()
        self._maps: dict[int, mmap.mmap] = {}  # the one used last is last
        self._copies = None

    def _map(self, shard: int) -> mmap.mmap:
        with self._lock:
            mapped = self._maps.pop(shard, None)
            if mapped is None:
                mapped = _map_file(self.root / self._shards[shard], self._lengths[shard])
                if len(self._maps) == MAPPED:
                    del self._maps[next(iter(self._maps))]  # closed when nobody reads from it any more
            self._maps[shard] = mapped
            return mapped


@dataclass(frozen=True)
class _Shard:
    """One line of the index; names, sizes in bytes and hashes in the order of the bytes."""

    file: str
    names: list[str]
    sizes: list[int]
    sha256: list[str]


@dataclass(frozen=True)
class _Index:
    digest: str
    shards: list[_Shard]


def _plan(files: Folder, shard_bytes: int) -> Iterator[_Shard]:
    """Which file goes where; hashes are still to come."""
    shards: list[_Shard] = []
    filling, filled = _Shard("", [], [], []), shard_bytes
    for name in files.names:
        size, suffix = files.size(name), PurePosixPath(name).suffix
        if size > shard_bytes or suffix.lower() in VIDEOS:
            shards.append(_Shard(f"shard-{len(shards):05d}{suffix}", [name], [size], []))
            continue
        if not filling.file or filled + size > shard_bytes:
            filling, filled = _Shard(f"shard-{len(shards):05d}.bin", [], [], []), 0
            shards.append(filling)
        filling.names.append(name)
        filling.sizes.append(size)
        filled += size
    yield from shards


def _copy(files: Folder, shard: _Shard, folder: Path) -> list[str]:
    """Write one shard; returns the sha256 of each file in it."""
    hashes = []
    with (folder / shard.file).open("wb") as out:
        for name, size in zip(shard.names, shard.sizes, strict=True):
            sha256, copied = hashlib.sha256(), 0
            with files.path(name).open("rb", buffering=0) as file:
                while chunk := file.read(min(CHUNK, size + 1)):  # one more than there should be
                    sha256.update(chunk)
                    copied += out.write(chunk)
            if copied != size:
                raise ValueError(f"{files.show(name)}: expected {size} bytes as before, got {copied}: it is changing")
            hashes.append(sha256.hexdigest())
    return hashes


def _map_file(path: Path, length: int) -> mmap.mmap:
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if len(mapped) != length:  # an access behind the end would end the process
        raise ValueError(f"{path}: expected a shard of {length} bytes, got {len(mapped)}: it was replaced meanwhile")
    return mapped


def _read_index(root: Path) -> _Index:
    """The index as it stands, each part of it checked by itself and against its shard. Raises DataError."""
    path, problems = root / INDEX, Problems()
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        problems.say(str(path), "an index in JSON", str(error))
        problems.refuse()
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else content
        problems.say(str(path), f'an index with "format": "{FORMAT}"', f"{found!r:.60}")
    elif not isinstance(content.get("shards"), list) or not isinstance(content.get("digest"), str):
        problems.say(str(path), "a list of shards and a digest", f"only {', '.join(content)}")
    problems.refuse()
    shards = [_checked(shard, path, i, problems) for i, shard in enumerate(content["shards"])]
    problems.refuse()
    index = _Index(content["digest"], [shard for shard in shards if shard is not None])
    if len({shard.file for shard in index.shards}) != len(index.shards):
        problems.say(str(path), "each shard once", "some of them more than once")
    for shard in index.shards:
        length, place = sum(shard.sizes), root / shard.file
        try:
            found = place.stat().st_size
        except OSError:
            problems.say(str(place), "a shard of this pack", "none")
            continue
        if found != length:
            problems.say(str(place), f"a shard of {length} bytes", f"{found} bytes")
    problems.refuse()
    return index


def _checked(shard: Any, path: Path, number: int, problems: Problems) -> _Shard | None:
    """A shard as listed; None where a problem was noted."""
    line = number + 2  # as `pack` writes them: one a line, behind the head
    if not isinstance(shard, dict) or shard.keys() != _Shard.__dataclass_fields__.keys():
        problems.say(str(path), "a shard: file, names, sizes, sha256", f"{shard!r:.60}", line)
        return None
    read = _Shard(**shard)
    before = len(problems)
    if not isinstance(read.file, str) or not _SHARD.fullmatch(read.file):
        problems.say(str(path), "a shard in this folder, shard-00000.bin", f"{read.file!r:.60}", line)
    count = len(read.names) if isinstance(read.names, list) else 0
    for column, valid, what in (
        (read.names, _names, "a name below the root"),
        (read.sizes, _sizes, "a size in bytes"),
        (read.sha256, _hashes, "a sha256"),
    ):
        if not isinstance(column, list) or len(column) != count:
            problems.say(str(path), f"{what} for each of {count} files", f"{column!r:.60}", line)
        elif not valid(column):
            for value in column:
                if not valid([value]):
                    problems.say(str(path), what, f"{value!r:.60}", line)
    return read if len(problems) == before else None


# Checks of whole columns: an index of a large data set has hundreds of thousands of rows.


def _names(column: Sequence[Any]) -> bool:
    """No hidden, empty, "." or ".." part, no absolute path, and nothing that Windows takes for such."""
    if not set(map(type, column)) <= {str}:
        return False
    text = "\n" + "\n".join(column) + "\n"
    if any(part in text for part in ("/.", "//", "/\n", "\n/", "\n.", "\n\n", "\\", "\0")):
        return False
    return text.count("\n") == len(column) + 1 and not _DRIVE.search(text)


def _sizes(column: Sequence[Any]) -> bool:
    return set(map(type, column)) <= {int} and min(column, default=0) >= 0 and max(column, default=0) < 2**62


def _hashes(column: Sequence[Any]) -> bool:
    if not set(map(type, column)) <= {str} or not set(map(len, column)) <= {64}:
        return False
    text = "".join(column)
    try:
        return bytes.fromhex(text).hex() == text
    except ValueError:
        return False
