"""A node's cache of inputs: folders by content hash, each fetched once, in bounded room.

    <root>/<digest>/        the files
    <root>/<digest>.json    what they should be; its time of change is that of the last use
    <root>/<digest>.lock    held while an entry is looked at, fetched or removed
    <root>/used             bytes of all entries, or somewhat more
    <root>/lock             held while room is made

All processes of a node share it. Whoever uses an entry holds a shared lock on its folder, which the
system takes back when the process dies; the entry used longest ago goes first, and none that is held.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.files import write_bytes, write_json
from orchestrator.lineage import file_digest
from orchestrator.listing import Listing, Source, fetch
from trackers.benchmarks.files import Folder

GB = 10**9
LIMIT = 20 * GB  # or half of the disk that is free, where that is less
_DIGEST = re.compile(r"[0-9A-Za-z_-]{1,200}")


class Cache:
    """limit: bytes. Raises PermissionError for a folder that is not this user's own."""

    def __init__(self, root: Path, limit: int) -> None:
        self.root, self.limit = root, limit
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = root.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PermissionError(f"{root}: expected a folder of this user's own")
        root.chmod(0o700)

    @classmethod
    def here(cls) -> Cache:
        """This node's: TRACKMEET_CACHE names the folder, TRACKMEET_CACHE_GB says how large it may grow."""
        root = Path(os.environ.get("TRACKMEET_CACHE") or Path(tempfile.gettempdir()) / f"trackmeet-cache-{os.getuid()}")
        cache = cls(root, LIMIT)
        asked = os.environ.get("TRACKMEET_CACHE_GB")
        if asked:
            cache.limit = int(float(asked) * GB)
        else:
            cache.limit = min(LIMIT, (shutil.disk_usage(root).free + cache.used()) // 2)
        return cache

    def hold(self) -> Hold:
        """To get entries by, which stay until it is closed."""
        return Hold(self)

    def used(self) -> int:
        """Bytes of all entries, those included that are being fetched; somewhat more where a fetch was cut off."""
        try:
            return int((self.root / "used").read_text())
        except (OSError, ValueError):
            return sum(self._bytes(digest) for digest in self._digests())

    # One entry.

    def take(self, digest: str, source: Source, verify: bool = False) -> tuple[int, int]:
        """Make sure that the entry is here -> (its folder, open and locked; bytes fetched)."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"expected a digest, got {digest!r}")
        place, fetched = self.root / digest, 0
        with _locked(self._lock(digest)):
            if not self._intact(digest, verify):
                listing = source.listing(digest)
                self._make_room(digest, listing.bytes)
                self._fetch(digest, listing, source)
                fetched = listing.bytes
            now = time.time_ns()  # finer than what the system writes by itself
            os.utime(self._record(digest), ns=(now, now))
            folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(folder, fcntl.LOCK_SH)
        return folder, fetched

    def _fetch(self, digest: str, listing: Listing, source: Source) -> None:
        place, temporary = self.root / digest, self.root / f".{digest}.{uuid.uuid4().hex[:8]}"
        self._write_record(digest, listing, {})  # counts from now on
        try:
            fetch(digest, listing, source, temporary)
            if place.exists():  # damaged, and perhaps in use: no file of it is missing at any time
                for name in listing.files:
                    (place / name).parent.mkdir(parents=True, exist_ok=True)
                    (temporary / name).replace(place / name)
                for name in set(Folder(place).names) - listing.files.keys():
                    (place / name).unlink()
            else:
                temporary.replace(place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._write_record(digest, listing, self._stamps(digest, listing))

    def _intact(self, digest: str, verify: bool) -> bool:
        """Whether the files are those that were fetched: by size and time of change, else (or if asked) by hash."""
        record = self._read_record(digest)
        if record is None:
            return False
        listing = Listing.from_json(record["files"])
        try:
            if set(Folder(self.root / digest).names) != listing.files.keys():
                return False
            stamps = self._stamps(digest, listing)
            if any(stamps[name][0] != size for name, (size, _) in listing.files.items()):
                return False
            # What a machine had not written when it went down may have the right size and time.
            same = record["stamps"] if record["boot"] == _boot() and not verify else {}
            for name, (_, sha256) in listing.files.items():
                if same.get(name) != stamps[name] and file_digest(self.root / digest / name) != sha256:
                    return False
        except OSError:
            return False
        if same != stamps:
            self._write_record(digest, listing, stamps)
        return True

    def _stamps(self, digest: str, listing: Listing) -> dict[str, list[int]]:
        """{name: [bytes, time of change in ns]} of the files that are there."""
        found = {name: (self.root / digest / name).stat() for name in listing.files}
        return {name: [file.st_size, file.st_mtime_ns] for name, file in found.items()}

    def _lock(self, digest: str) -> Path:
        return self.root / f"{digest}.lock"

    def _record(self, digest: str) -> Path:
        return self.root / f"{digest}.json"

    def _write_record(self, digest: str, listing: Listing, stamps: dict[str, list[int]]) -> None:
        record = {"bytes": listing.bytes, "boot": _boot(), "files": listing.to_json(), "stamps": stamps}
        write_json(self._record(digest), record)

    def _read_record(self, digest: str) -> dict[str, Any] | None:
        try:
            record = json.loads(self._record(digest).read_bytes())
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) and {"bytes", "boot", "files", "stamps"} <= record.keys() else None

    # Room.

    def _make_room(self, digest: str, needed: int) -> None:
        """Count so many bytes more; where that is too many, remove what was used longest ago until they fit."""
        with _locked(self.root / "lock"):
            total = self.used() + needed
            if total > self.limit:
                self._remove_unfinished()
                sizes = {other: self._bytes(other) for other in self._digests() if other != digest}
                total = sum(sizes.values()) + needed
                for other in sorted(sizes, key=self._last_used):
                    if total > self.limit and self._remove(other):
                        total -= sizes[other]
            write_bytes(self.root / "used", str(total).encode())
        if total > self.limit:
            logging.getLogger(__name__).warning(
                "%s: expected to stay below %.3g GB, %.3g GB are needed at once (TRACKMEET_CACHE_GB sets the limit)",
                *(self.root, self.limit / GB, total / GB),
            )

    def _remove(self, digest: str) -> bool:
        """Remove the entry, unless somebody uses or fetches it."""
        place, gone = self.root / digest, self.root / f".{digest}.{uuid.uuid4().hex[:8]}"
        with _locked(self._lock(digest), wait=False) as mine:
            if not mine:
                return False
            if place.exists():
                folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    place.replace(gone)
                except BlockingIOError:
                    return False
                finally:
                    os.close(folder)
            self._record(digest).unlink(missing_ok=True)
            shutil.rmtree(gone, ignore_errors=True)
            self._lock(digest).unlink()
        return True

    def _remove_unfinished(self) -> None:
        """What killed processes left."""
        for path in self.root.glob(".*.*"):
            digest = path.name[1:].rpartition(".")[0]
            if path.is_dir():
                with _locked(self._lock(digest), wait=False) as mine:
                    if mine:
                        shutil.rmtree(path, ignore_errors=True)
                        self._lock(digest).unlink()
        for digest in self._digests():
            if not (self.root / digest).exists():
                self._remove(digest)

    def _digests(self) -> set[str]:
        """Of the entries, whole or not."""
        found = (path for path in self.root.iterdir() if not path.name.startswith("."))
        return {path.stem for path in found if path.suffix == ".json" or path.is_dir()}

    def _bytes(self, digest: str) -> int:
        record = self._read_record(digest)
        if record is not None:
            return int(record["bytes"])
        try:
            return sum(path.stat().st_size for path in (self.root / digest).rglob("*"))
        except OSError:
            return 0

    def _last_used(self, digest: str) -> float:
        try:
            return self._record(digest).stat().st_mtime_ns
        except OSError:
            return 0


class Hold:
    """Entries of a cache that one task uses: none of them goes before it is closed. fetched: bytes that it had to."""

    def __init__(self, cache: Cache) -> None:
        self.fetched = 0
        self._cache = cache
        self._folders: dict[str, int] = {}

    def get(self, digest: str, source: Source, verify: bool = False) -> Path:
        """The folder of that content, from the cache, else from the source. verify: compare every hash again.

        Raises what the source raises, DamagedError for what does not arrive as listed, and OSError for a full disk.
        """
        if digest not in self._folders:
            self._folders[digest], fetched = self._cache.take(digest, source, verify)
            self.fetched += fetched
        return self._cache.root / digest

    def close(self) -> None:
        while self._folders:
            os.close(self._folders.popitem()[1])

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def _locked(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock; False where another process has it and this one does not wait. It may be removed while held."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            if _is(file, path):
                yield True
                return
        finally:
            os.close(file)


def _is(file: int, path: Path) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _boot() -> str:
    """Of this start of the machine; '' where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
