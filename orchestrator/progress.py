"""How a run goes: a live display for whoever started it, a file for whoever asks from elsewhere."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from orchestrator.attempt import alive
from orchestrator.executor import FOLLOWS, Observer
from orchestrator.files import write_json
from orchestrator.jobs import Job

# Seconds that a job of each kind is expected to take before any of its kind has been seen.
EXPECTED = {"train": 60.0, "extract": 5.0, "track": 8.0, "score": 0.3, "speed": 5.0, "nothing": 0.0}

SAID = 5  # how many of the newest messages the status file has
KEPT = 1000  # and how many are kept for a display, which shows them as they come
SILENT = 30.0  # seconds after which a run on another machine that writes no status counts as dead


@dataclass
class _Running:
    label: str
    kind: str
    since: float
    where: str
    done: int = 0
    total: int = 0
    begun: int | None = None  # how much was done when it first said so: a resumed job does not begin at 0
    loss: float | None = None
    expected: float = 0.0  # seconds

    def seconds_left(self, now: float) -> float | None:
        """By its own pace so far; None if it has none yet."""
        if self.begun is None or self.done <= self.begun:
            return None
        return (now - self.since) * (self.total - self.done) / (self.done - self.begun)


@dataclass
class Board(Observer):
    """An observer of the executor that keeps the score: jobs done, running, waiting, failed, and the ETA.

    seconds: expected seconds of a job by key. status: the file that `trackmeet status` reads. messages: the newest.
    said: how many there were in all.
    """

    jobs: list[Job]
    found_done: int
    seconds: Mapping[str, float]
    status: Path
    started_at: float = field(default_factory=time.time)
    running: dict[str, _Running] = field(default_factory=dict)
    done: int = 0
    failures: list[dict[str, str]] = field(default_factory=list)
    retries: int = 0
    messages: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    said: int = 0
    _took: float = 0.0  # seconds, by all that are done, which were expected to take so many
    _expected: float = 0.0
    _left: float = 0.0  # expected seconds of all that are neither done nor failed
    _written: float = 0.0

    def __post_init__(self) -> None:
        self._left = sum(self._seconds(job) for job in self.jobs)

    def add(self, jobs: Iterable[Job]) -> None:
        """More are to be run."""
        for job in jobs:
            self.jobs.append(job)
            self._left += self._seconds(job)

    # Observer.

    def started(self, job: Job, where: str) -> None:
        self.running[job.key] = _Running(job.label, job.kind, time.time(), where, expected=self._seconds(job))

    def progress(self, job: Job, done: int, total: int) -> None:
        if job.key in self.running:
            running = self.running[job.key]
            running.done, running.total = done, total
            running.begun = done - 1 if running.begun is None else running.begun
        self.tick()

    def metric(self, job: Job, name: str, value: float, step: int, timestamp_ms: int) -> None:
        if job.key in self.running and name == "loss":
            self.running[job.key].loss = value

    def finished(self, job: Job) -> None:
        running = self.running.pop(job.key, None)
        self.done += 1
        took = time.time() - running.since if running else 0.0
        self._took += took
        self._expected += self._seconds(job)
        self._left -= self._seconds(job)
        loss = f", loss {running.loss:.4g}" if running and running.loss is not None else ""
        self._say(f"done    {job.label} ({_span(took)}{loss})")

    def failed(self, job: Job, message: str) -> None:
        self.running.pop(job.key, None)
        self.failures.append({"label": job.label, "message": message})
        self._left -= self._seconds(job)
        if not message.startswith(FOLLOWS):
            self._say(f"FAILED  {job.label}: {message}")

    def retried(self, job: Job, message: str) -> None:
        self.running.pop(job.key, None)
        self.retries += 1
        self._say(f"again   {job.label}: {message}")

    def tick(self) -> None:
        if time.time() - self._written > 1.0:
            self.write("running")

    def _say(self, message: str) -> None:
        self.messages.append(message)
        self.said += 1

    # What it knows.

    @property
    def waiting(self) -> int:
        """Jobs that have not started."""
        return len(self.jobs) - self.done - len(self.failures) - len(self.running)

    def eta(self) -> float | None:
        """Seconds to go, by what jobs were expected to take, how much longer they did, and how far the running are."""
        now, left = time.time(), 0.0
        longer = self._took / self._expected if self._expected else 1.0
        running = list(self.running.values())  # at once: the live view asks from a thread of its own
        for row in running:
            by_pace = row.seconds_left(now)
            left += max(0.0, longer * row.expected - (now - row.since)) if by_pace is None else by_pace
        if self.waiting > 0:
            left += longer * max(0.0, self._left - sum(row.expected for row in running))
        return left / max(1, len(running))

    def _seconds(self, job: Job) -> float:
        return self.seconds.get(job.key, EXPECTED[job.kind])

    def write(self, state: Literal["running", "finished", "failed", "interrupted"]) -> None:
        """Put the state into the status file."""
        self._written = time.time()
        write_json(
            self.status,
            {
                "state": state,
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "started": self.started_at,
                "updated": self._written,
                "jobs": len(self.jobs),
                "found_done": self.found_done,
                "done": self.done,
                "waiting": self.waiting,
                "running": [vars(row) for row in self.running.values()],
                "failures": self.failures,
                "retries": self.retries,
                "messages": list(self.messages)[-SAID:],
                "eta": self.eta(),
            },
        )

    def headline(self) -> str:
        """One line: where the run is."""
        eta = self.eta()
        parts = [
            f"{self.done}/{len(self.jobs)} jobs done",
            f"{len(self.running)} running",
            f"{self.waiting} waiting",
            *([f"{len(self.failures)} failed"] if self.failures else []),
            *([f"{self.found_done} found done"] if self.found_done else []),
            f"{_span(time.time() - self.started_at)} elapsed",
            *([f"about {_span(eta)} to go"] if eta else []),
        ]
        return " · ".join(parts)


class Display(Observer):
    """Shows a board while it is open: live on a terminal, a plain line now and then elsewhere.

    rich refreshes the live view from a thread of its own, so that it moves while this process works.
    """

    PLAIN_SECONDS = 15.0

    def __init__(self, board: Board) -> None:
        from rich.console import Console

        self.board = board
        self.console = Console(file=sys.stdout, highlight=False)  # this stream, even while a job's output is caught
        self._live: Any = None
        self._said = 0
        self._last = time.time()

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            from rich.live import Live

            self._live = Live(get_renderable=self._view, console=self.console, refresh_per_second=4)
            self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.show()
        if self._live is not None:
            self._live.__exit__(*error)

    def finished(self, job: Job) -> None:
        self.show()

    def failed(self, job: Job, message: str) -> None:
        self.show()

    def retried(self, job: Job, message: str) -> None:
        self.show()

    def progress(self, job: Job, done: int, total: int) -> None:
        self.show()

    def tick(self) -> None:
        self.show()

    def show(self) -> None:
        """Print what is new."""
        new = self.board.said - self._said
        for message in list(self.board.messages)[-new:] if new else ():
            self.console.print(message, markup=False, soft_wrap=True)
        self._said = self.board.said
        if self._live is None and time.time() - self._last > self.PLAIN_SECONDS:
            self._last = time.time()
            losses = [f"{row.label} {_share(row)}" for row in self.board.running.values()]
            self.console.print(" · ".join([self.board.headline(), *losses]), markup=False, soft_wrap=True)

    def _view(self) -> Any:
        from rich.console import Group
        from rich.table import Table

        table = Table(box=None, pad_edge=False, show_header=False)
        for row in list(self.board.running.values()):
            loss = "" if row.loss is None else f"loss {row.loss:.4g}"
            table.add_row("running", row.label, _share(row), loss, _span(time.time() - row.since), style="cyan")
        return Group(table, self.board.headline())


def describe(status: Mapping[str, Any]) -> str:
    """What the status file says, for people: of a run in progress or of the last one."""
    lives, state = under_way(status), status["state"]
    if state == "running" and not lives:
        state = "ended without a word (killed?); run it again and it goes on"
    lines = [
        f"{state}: {status['done']}/{status['jobs']} jobs done, {len(status['running'])} running, "
        f"{status['waiting']} waiting, {len(status['failures'])} failed, {status['found_done']} found done"
    ]
    retries = status.get("retries", 0)
    lines[0] += f", {retries} begun again" if retries else ""
    if lives:
        eta = status["eta"]
        lines[0] += f"; {_span(time.time() - status['started'])} elapsed"
        lines[0] += f", about {_span(eta)} to go" if eta else ""
        busy = Counter(row["where"] for row in status["running"])
        if len(busy) > 1:
            lines.append("  nodes: " + ", ".join(f"{node} {jobs}" for node, jobs in sorted(busy.items())))
        for row in status["running"]:
            running = _Running(**row)
            loss = "" if running.loss is None else f", loss {running.loss:.4g}"
            lines.append(f"  running {running.label} on {running.where}: {_share(running)}{loss}")
    causes = [row for row in status["failures"] if not row["message"].startswith(FOLLOWS)]
    lines += [f"  FAILED {row['label']}: {row['message']}" for row in causes]
    lines += [f"  {message}" for message in status.get("messages", []) if not message.startswith("FAILED")]
    return "\n".join(lines)


def under_way(status: Mapping[str, Any]) -> bool:
    """Whether the run of a status file goes on: its process lives, or, on another machine, wrote not long ago."""
    if status["state"] != "running":
        return False
    if status.get("host", socket.gethostname()) != socket.gethostname():
        return time.time() - status["updated"] < SILENT
    return alive(status["pid"])


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal, if there is one: to be called with how much is done, and how much there is."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def _share(row: _Running) -> str:
    return f"{100 * row.done // row.total}%" if row.total else "starting"


def _span(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
