"""The store of finished jobs: what is done is never done twice.

    <store>/lock                      held by the one driver that may write
    <store>/done/ab/<key>/            a finished job: its files and, last, manifest.json
    <store>/checkpoints/<key>/        what an unfinished job goes on from: the newest checkpoint, its curve
    <store>/last/<label>.json         the manifest of the last job of that label: why it runs again, how long it takes

A result is written under tmp/ and published by one rename; presence of the manifest means done.
The manifest holds every file's hash, so damage is noticed and the job done again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator import files
from orchestrator.jobs import Job, digest
from orchestrator.lineage import file_digest

MANIFEST = "manifest.json"


class StoreBusyError(RuntimeError):
    """Another driver is writing to the store."""


class Store:
    """Finished jobs and checkpoints below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # Finished jobs.

    def folder(self, key: str) -> Path:
        """Where the finished job's files are, or will be."""
        return self.root / "done" / key[:2] / key

    def manifest(self, key: str) -> dict[str, Any] | None:
        """The finished job's manifest {"files", "label", "identity", ...}; None if it is not done."""
        try:
            manifest = json.loads((self.folder(key) / MANIFEST).read_text())
        except (OSError, ValueError):
            return None
        return manifest if isinstance(manifest, dict) and isinstance(manifest.get("files"), dict) else None

    def done(self, key: str) -> bool:
        """Whether the job is finished and every file is what was published, by its hash."""
        manifest = self.manifest(key)
        if manifest is None:
            return False
        try:
            return all(file_digest(self.folder(key) / name) == sha for name, sha in manifest["files"].items())
        except OSError:
            return False

    def content(self, key: str) -> str:
        """sha256 over a finished job's files: what a copy elsewhere is known by.

        The key does not say it: done again on another machine, a job may end with other last digits.
        """
        manifest = self.manifest(key)
        return key if manifest is None else digest(manifest["files"])

    def publish(self, job: Job, contents: Mapping[str, bytes], facts: Mapping[str, Any]) -> None:
        """Put a finished job in its place, whole. facts: what else to remember (seconds, versions)."""
        temporary = f"{self.root}/tmp/{job.key}.{uuid.uuid4().hex[:8]}"  # no Path: it takes longer than what it names
        os.makedirs(temporary)  # noqa: PTH103
        try:
            for name, content in contents.items():
                if Path(name).name != name or name in ("..", MANIFEST):
                    raise ValueError(f"job {job.label}: expected plain file names as results, got {name!r}")
                Path(temporary, name).write_bytes(content)
            manifest = {
                **facts,
                "label": job.label,
                "identity": job.identity(),
                "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
                "finished": time.time(),
            }
            with open(f"{temporary}/{MANIFEST}", "w") as file:  # noqa: PTH123
                file.write(_compact(manifest))  # the folder appears whole, by its own rename
            place = str(self.folder(job.key))
            try:
                os.rename(temporary, place)  # noqa: PTH104
            except OSError:  # the first of its kind; or damaged, or published by an attempt that was thought lost
                Path(place).parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(place, ignore_errors=True)
                os.rename(temporary, place)  # noqa: PTH104
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        self._remember(job)
        if self._checkpoints(job.key).exists():
            shutil.rmtree(self._checkpoints(job.key), ignore_errors=True)

    def _remember(self, job: Job) -> None:
        """Keep the manifest under the job's label, too: the same file, which stays when the job's folder goes."""
        last, manifest = self._last(job.label), self.folder(job.key) / MANIFEST
        last.unlink(missing_ok=True)
        try:
            os.link(manifest, last)
        except FileNotFoundError:  # the first of all
            last.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(manifest, last)
        except OSError:  # a file system without links
            shutil.copyfile(manifest, last)

    # Checkpoints: of a job that is not finished.

    def checkpoint(self, key: str) -> bytes | None:
        """The newest whole checkpoint of an unfinished job; None if it has none."""
        for path in sorted(self._checkpoints(key).glob("*.pt"), reverse=True):
            content = path.read_bytes()
            if _is_whole(path, content):  # else it is damaged, and the one before has to do
                return content
        return None

    def keep_checkpoint(self, key: str, step: int, content: bytes) -> None:
        """Keep this one and the one before it, drop the older ones."""
        files.write_bytes(self._checkpoints(key) / f"{step:012d}.{_named(content)}.pt", content)
        for old in sorted(self._checkpoints(key).glob("*.pt"))[:-2]:
            old.unlink(missing_ok=True)

    def drop_damaged(self, key: str) -> list[Path]:
        """Remove checkpoints that are not what was kept -> those that were."""
        damaged = [path for path in self._checkpoints(key).glob("*.pt") if not _is_whole(path, path.read_bytes())]
        for path in damaged:
            path.unlink()
        return damaged

    def curve(self, key: str) -> list[list[Any]]:
        """The training curve of an unfinished job so far: [name, value, step, timestamp in ms], ..."""
        try:
            lines = (self._checkpoints(key) / "curve.jsonl").read_text().splitlines()
        except OSError:
            return []
        points = []
        for line in lines:
            try:
                points.append(json.loads(line))
            except ValueError:  # the line that a kill cut off; the resumed job says it again
                break
        return points

    def rewrite_curve(self, key: str, points: list[list[Any]]) -> None:
        """Start the file again with these points: a line that a kill cut off is gone."""
        files.write_bytes(self._checkpoints(key) / "curve.jsonl", "".join(map(_line, points)).encode())

    def extend_curve(self, key: str, point: list[Any]) -> None:
        """Append one point."""
        path = self._checkpoints(key) / "curve.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(_line(point))

    def _checkpoints(self, key: str) -> Path:
        return self.root / "checkpoints" / key

    # What a job took, and why it runs again.

    def took(self, label: str) -> dict[str, Any] | None:
        """What the last finished job of this label took: "seconds", "memory", ...; None where there was none."""
        try:
            return as_manifest(json.loads(self._last(label).read_text()))
        except (OSError, ValueError):
            return None

    def _last(self, label: str) -> Path:
        return self.root / "last" / f"{digest(label)[:24]}.json"

    def why(self, job: Job) -> str:
        """What is new about a job that is not done: the reason that it runs, in words."""
        if self.manifest(job.key) is not None:
            return "its files are damaged"
        if self.checkpoint(job.key) is not None:
            return "was interrupted; goes on from its checkpoint"
        try:
            last = as_manifest(json.loads(self._last(job.label).read_text()))["identity"]
        except (OSError, ValueError):
            return "never ran"
        now = job.identity()
        reasons = [*_changes(last["arguments"], now["arguments"], "")]
        code = [m for m in {**last["code"], **now["code"]} if last["code"].get(m) != now["code"].get(m)]
        reasons += [f"code of {module} changed" for module in sorted(code)]
        data = [n for n in {**last["data"], **now["data"]} if last["data"].get(n) != now["data"].get(n)]
        reasons += [f"data {name} changed" for name in sorted(data)]
        if not reasons:
            changed = [role for role in now["needs"] if last["needs"].get(role) != now["needs"][role]]
            reasons = [f"its {role} change" for role in changed]
        return "; ".join(reasons) or "its result is gone"

    # One driver at a time.

    @contextmanager
    def locked(self, patience: float = 20.0) -> Iterator[None]:
        """Hold the store for writing; waits a little for a driver that is on its way out.

        Raises StoreBusyError, naming the process, if it stays held.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("a+") as file:
            until = time.monotonic() + patience
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        file.seek(0)
                        holder = file.read().strip() or "an unknown process"
                        raise StoreBusyError(f"{self.root} is in use by process {holder}: one run at a time") from None
                    time.sleep(0.2)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            shutil.rmtree(self.root / "tmp", ignore_errors=True)  # attempts that died unpublished
            yield


def _named(content: bytes) -> str:
    """By what the name of a checkpoint's file tells whether it is whole."""
    return hashlib.sha256(content).hexdigest()[:16]


def as_manifest(last: dict[str, Any]) -> dict[str, Any]:
    """What is remembered of a label, as stores of earlier versions have it, too: they kept the identity alone."""
    return last if "identity" in last else {"identity": last, **last.get("took", {})}


def _compact(value: Any) -> str:
    """JSON on one line, which is written ten times as fast as with indents."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True) + "\n"


def _is_whole(path: Path, content: bytes) -> bool:
    return _named(content) == path.name.split(".")[1]


def _line(point: list[Any]) -> str:
    return json.dumps(point, separators=(",", ":")) + "\n"


def _changes(old: Any, new: Any, name: str) -> Iterator[str]:
    """The settings that differ, as 'name: old -> new'."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({**old, **new}):
            yield from _changes(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    elif old != new:
        yield f"{name.removeprefix('settings.')}: {old} -> {new}"
