"""Where nodes get their inputs, where no file system is shared: from the driver's shelf, or from a depot.

The shelf reads the driver's own files; a depot is a shared folder or an object store that is configured
(TRACKMEET_DEPOT), where inputs are put once and results are left for the driver:

    <url>/inputs/<digest>/<copy>/<name>       a file of an input
    <url>/inputs/<digest>.json                its listing, and which copy is whole: written last
    <url>/results/<key>/<attempt>/<name>      a file of a result
    <url>/results/<key>/<attempt>.json        its listing: written last

Object stores have no rename: what has no listing is not there. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.files import write_bytes
from orchestrator.listing import CHUNK, DamagedError, Listing, fetch


class Shelf:
    """Serves files of this machine, by chunks: those below the paths that were put on it, and no others.

    Several threads may ask at once.
    """

    def __init__(self) -> None:
        self._hashing = threading.Lock()
        self._paths: dict[str, Path] = {}
        self._listings: dict[str, Listing] = {}

    def put(self, paths: Mapping[str, Path]) -> None:
        """Let these folders (or files) be fetched, by digest."""
        for digest, path in paths.items():
            if self._paths.get(digest) != path:
                self._paths[digest] = path
                self._listings.pop(digest, None)

    def listing(self, digest: str) -> Listing:
        """Hashes every file when it is asked for the first time. FileNotFoundError for what is not on the shelf."""
        path = self._path(digest)
        found = self._listings.get(digest)
        if found is None:
            with self._hashing:  # what all nodes ask for at once is read once
                found = self._listings.get(digest) or Listing.of(path)
                self._listings[digest] = found
        return found

    def chunk(self, digest: str, name: str, offset: int, length: int) -> bytes:
        """FileNotFoundError for a file that is not listed, ValueError for more than CHUNK bytes."""
        path = self._path(digest)
        if name not in self.listing(digest).files:
            raise FileNotFoundError(f"{digest}: expected a file that is listed, got {name!r}")
        if not 0 < length <= CHUNK or offset < 0:
            raise ValueError(f"{name}: expected 1 to {CHUNK} bytes, got {length} from {offset}")
        with (path if path.is_file() else path / name).open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def _path(self, digest: str) -> Path:
        try:
            return self._paths[digest]
        except KeyError:
            raise FileNotFoundError(f"expected the digest of something on the shelf, got {digest!r}") from None


class Depot:
    """A folder that all nodes see, or a URL of fsspec: s3://bucket/prefix. name: the URL without user and password."""

    def __init__(self, url: str) -> None:
        import fsspec  # not needed where nothing is shared

        self.url, self.name = url, re.sub(r"//[^/]*@", "//", url)
        self._files, self._root = fsspec.core.url_to_fs(url)
        self._local = "file" in self._files.protocol
        self._manifests: dict[str, dict[str, Any]] = {}

    # Inputs.

    def put(self, digest: str, path: Path) -> None:
        """Keep a folder or file under its digest, unless it is there."""
        if self._manifest(digest) is not None:
            return
        listing, copy = Listing.of(path), uuid.uuid4().hex  # of two at once, each writes its own
        for name in listing.files:
            target = f"{self._root}/inputs/{digest}/{copy}/{name}"
            self._make_parent(target)
            self._files.put_file(str(path if path.is_file() else path / name), target)
        self._write(f"inputs/{digest}.json", {"copy": copy, "files": listing.to_json()})

    def listing(self, digest: str) -> Listing:
        manifest = self._manifest(digest)
        if manifest is None:
            raise FileNotFoundError(f"{self.name}: expected {digest}, found no listing of it")
        return Listing.from_json(manifest["files"])

    def chunk(self, digest: str, name: str, offset: int, length: int) -> bytes:
        if name not in self.listing(digest).files:
            raise FileNotFoundError(f"{self.name}: {digest}: expected a file that is listed, got {name!r}")
        copy = self._manifests[digest]["copy"]
        content: bytes = self._files.cat_file(f"{self._root}/inputs/{digest}/{copy}/{name}", offset, offset + length)
        return content

    def fetch(self, digest: str, place: Path) -> None:
        """Write the folder's files below `place`. FileNotFoundError where it is not there, DamagedError for damage."""
        fetch(digest, self.listing(digest), self, place)

    def _manifest(self, digest: str) -> dict[str, Any] | None:
        if digest not in self._manifests:
            manifest = self._read(f"inputs/{digest}.json")
            if manifest is None:
                return None
            self._manifests[digest] = manifest
        return self._manifests[digest]

    # Results.

    def put_result(self, key: str, attempt: str, contents: Mapping[str, bytes]) -> None:
        """Leave the files of one attempt at a job for the driver."""
        listing = Listing({n: (len(content), hashlib.sha256(content).hexdigest()) for n, content in contents.items()})
        for name, content in contents.items():
            target = f"{self._root}/results/{key}/{attempt}/{name}"
            self._make_parent(target)
            self._files.pipe_file(target, content)
        self._write(f"results/{key}/{attempt}.json", {"files": listing.to_json()})

    def take_result(self, key: str, attempt: str) -> dict[str, bytes]:
        """The files of an attempt. FileNotFoundError where they are not whole, DamagedError where they are damaged."""
        manifest = self._read(f"results/{key}/{attempt}.json")
        if manifest is None:
            raise FileNotFoundError(f"{self.name}: expected the result {key}/{attempt}, found no listing of it")
        contents = {}
        for name, (size, sha256) in Listing.from_json(manifest["files"]).files.items():
            content = self._files.cat_file(f"{self._root}/results/{key}/{attempt}/{name}")
            if hashlib.sha256(content).hexdigest() != sha256:
                raise DamagedError(f"{self.name}: result {key}/{attempt}: expected {name} as listed ({size} bytes)")
            contents[name] = content
        return contents

    def drop_results(self, key: str) -> None:
        """Remove what any attempt at the job left."""
        try:
            self._files.rm(f"{self._root}/results/{key}", recursive=True)
        except FileNotFoundError:
            return

    # Files.

    def _make_parent(self, target: str) -> None:
        self._files.makedirs(target.rpartition("/")[0], exist_ok=True)  # nothing on object stores

    def _write(self, name: str, manifest: dict[str, Any]) -> None:
        """Whole or not at all, as everything on object stores."""
        content, target = json.dumps(manifest).encode(), f"{self._root}/{name}"
        if self._local:
            write_bytes(Path(target), content)
        else:
            self._make_parent(target)
            self._files.pipe_file(target, content)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            manifest: dict[str, Any] = json.loads(self._files.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError:
            return None
        return manifest
