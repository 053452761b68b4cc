"""An outbox: entries that wait on disk, in order, until they are delivered.

    entries.jsonl    one JSON object a line, appended and flushed
    delivered        how many bytes of it are delivered; replaced in one step
    refused.jsonl    entries that no attempt could deliver, each with the reason
    files/           files that entries speak of, kept until they are sent
    lock             held by the one process that uses the outbox

The process may be killed at any moment: what was appended is delivered by the next one. An entry may then be
delivered twice, so delivering must be safe to repeat.
"""

import fcntl
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class Outbox:
    """Entries below one folder; appended by any thread, delivered by one.

    Raises RuntimeError where another process holds the same folder.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._entries = folder / "entries.jsonl"
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise RuntimeError(f"expected one process per outbox, got a second one: {folder} is in use") from None
        self._file = self._entries.open("ab")
        self._appending = threading.Lock()
        self._offset, self._left = self._recover()

    def _recover(self) -> tuple[int, int]:
        """Drop a line that a kill tore, empty an outbox with nothing left; return bytes delivered, entries left."""
        mark = self.folder / "delivered"
        offset = int(mark.read_text()) if mark.exists() else 0
        ends = [end for _, end in self._lines(0)]
        left = sum(end > offset for end in ends)
        if left:
            self._file.truncate(ends[-1])
            return offset, left
        self._file.truncate(0)  # the mark goes second: after a kill in between it lies beyond the end, as here
        mark.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "files", ignore_errors=True)
        return 0, 0

    def __len__(self) -> int:
        """How many entries wait."""
        return self._left

    def append(self, entry: Mapping[str, Any]) -> None:
        """Keep one entry; when this returns, a kill of the process no longer loses it."""
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        with self._appending:
            self._file.write(line)
            self._file.flush()
            self._left += 1

    def keep(self, path: Path, name: str = "") -> Path:
        """Link a finished file into the outbox (copy it, where the file system cannot) and return the link.

        name: which it is to have; its own, if not given. The file must not be written in place any more; removing or
        replacing it is fine. Raises FileNotFoundError.
        """
        files = self.folder / "files"
        files.mkdir(exist_ok=True)
        kept = Path(tempfile.mkdtemp(dir=files)) / (name or path.name)
        source = path.resolve(strict=True)
        try:
            os.link(source, kept)
        except OSError:
            shutil.copy2(source, kept)
        return kept

    def drop(self, kept: Path) -> None:
        """Forget a file that `keep` returned."""
        shutil.rmtree(kept.parent, ignore_errors=True)

    def delivered(self) -> list[Entry]:
        """Entries already delivered but not yet emptied out: what those that wait may build on."""
        return [_entry(line) for line, _ in self._lines(0, self._offset)]

    def waiting(self) -> Iterator[tuple[Entry, int]]:
        """Yield the entries that wait, oldest first, each with the mark to `advance` to after it."""
        return ((_entry(line), end) for line, end in self._lines(self._offset))

    def advance(self, mark: int, entries: int) -> None:
        """Note that so many entries, up to this mark, are done with."""
        draft = self.folder / "delivered.new"
        draft.write_text(str(mark))
        draft.replace(self.folder / "delivered")
        self._offset = mark
        with self._appending:
            self._left -= entries

    def refuse(self, entry: Mapping[str, Any], reason: str) -> None:
        """Put an entry aside for a person to read."""
        with (self.folder / "refused.jsonl").open("a") as file:
            file.write(json.dumps({**entry, "reason": reason}) + "\n")

    def close(self) -> None:
        """Let another process use the folder."""
        self._file.close()
        os.close(self._lock)

    def _lines(self, start: int, stop: int | None = None) -> Iterator[tuple[bytes, int]]:
        with self._entries.open("rb") as file:
            file.seek(start)
            for line in file:
                start += len(line)
                if not line.endswith(b"\n") or (stop is not None and start > stop):
                    return  # still being written, or past what was asked for
                yield line, start


def _entry(line: bytes) -> Entry:
    try:
        return json.loads(line)
    except ValueError:  # a disk that lost power
        return {"unreadable": line.decode(errors="replace")}


def refused(folder: Path) -> list[Entry]:
    """Read the entries put aside in an outbox's folder, each with its `reason`; empty where there are none."""
    path = folder / "refused.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
