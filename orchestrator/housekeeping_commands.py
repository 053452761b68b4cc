"""The commands that look after runs and what they leave: status, logs, cancel, gc, doctor."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.amounts import size
from orchestrator.paths import Paths, here

if TYPE_CHECKING:
    from orchestrator.garbage import Garbage
    from orchestrator.reach import Wanted

SHOWN = 20  # of the jobs that go, the largest


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every second, until the run ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole state as one JSON object.")] = False,
) -> None:
    """Show the run in progress, from any terminal, or how the last one ended."""
    from orchestrator.progress import describe

    state = _state(here())
    if as_json:
        print(json.dumps(state))
    elif state is None:
        print("no run yet")
    elif watch:
        _watch(here())
    else:
        print(describe(state))


def _state(paths: Paths) -> dict[str, Any] | None:
    """What the status file says; None before the first run."""
    try:
        return json.loads(paths.status.read_text())
    except (OSError, ValueError):
        return None


def _runs(paths: Paths) -> bool:
    """Whether a run is under way."""
    from orchestrator.progress import under_way

    state = _state(paths)
    return state is not None and under_way(state)


def _watch(paths: Paths) -> None:
    """Until the run ends: live on a terminal; elsewhere the lines that are new, once each."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from orchestrator.progress import describe

    def states() -> Iterator[str]:
        alive = True
        while alive:
            alive = _runs(paths)
            yield describe(_state(paths) or {})
            if alive:
                time.sleep(1.0)

    console = Console(highlight=False)
    if not console.is_terminal:
        said: set[str] = set()
        for state in states():
            for line in state.splitlines():
                if line not in said:
                    print(line, flush=True)
            said = set(state.splitlines())
        return
    with Live(console=console, auto_refresh=False) as live:
        for state in states():
            live.update(Text(state), refresh=True)


def logs(
    trial: Annotated[str, typer.Argument(help="Part of the name of a trial or job, or how a job's key begins.")],
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on as more is printed, until that job or run ends.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Of all trials that this may mean.")] = False,
) -> None:
    """Print what a trial's jobs printed, on whatever node they run; files in build/logs, half a second behind."""
    from orchestrator.logs import Logs

    chosen = Logs(here().logs, trial, every)
    ended = not follow
    while True:
        for text in chosen.new():
            print(text, end="", flush=True)
        if ended:
            break
        ended = chosen.over(_state(here()), _runs(here()))  # what it printed last is read once more
        time.sleep(0.5)
    if not chosen.known:
        raise ValueError(f"no log of {trial!r} in {here().logs}; a job that prints nothing has none")


def cancel(
    trial: Annotated[
        list[str] | None, typer.Argument(help="Parts of names of trials, or how their keys begin.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="End the whole run, in order, as Ctrl-C does.")] = False,
) -> None:
    """End trials of the run in progress, or all of it; another run goes on where it was."""
    from orchestrator.doctor import holder_of
    from orchestrator.requests import ask

    if bool(trial) == every:
        raise ValueError("expected the names of trials, or --all for the whole run")
    state = _state(here())
    if state is None or not _runs(here()):
        raise ValueError("no run is under way: nothing to cancel")
    if every and state.get("host") == socket.gethostname():
        if holder_of(here().store) != str(state["pid"]):  # the run died, and its number is another process's now
            raise ValueError("no run is under way: nothing to cancel")
        os.kill(state["pid"], signal.SIGTERM)  # heard even in the middle of a job of the driver's own process
        print("the run ends; 'trackmeet run' goes on from where it was")
        return
    answer = ask(here().store / "requests", None if every else trial)
    if "problem" in answer:
        raise ValueError(answer["problem"])
    for name in answer["trials"]:
        print(f"cancelled {name}")


def keys() -> None:
    """Print the keys of all jobs that the parameters here plan, for the `gc` of another tree."""
    from orchestrator.reach import planned

    print(json.dumps(planned(here())))


def gc(
    apply: Annotated[bool, typer.Option("--apply", help="Delete; else only say what would go.")] = False,
    keep_days: Annotated[float, typer.Option(min=0, help="Keep what is younger than so many days.")] = 7.0,
    checkpoints: Annotated[bool, typer.Option("--checkpoints", help="Those of jobs no longer planned, too.")] = False,
    without: Annotated[list[str] | None, typer.Option(help="Do not ask this branch, tag or stash.")] = None,
    remotes: Annotated[
        bool, typer.Option("--remotes", help="Ask remote-tracking branches, too: that runs the code of whoever pushed.")
    ] = False,
    project: Annotated[
        list[Path] | None, typer.Option(help="Folder of another project that uses this store (may be repeated).")
    ] = None,
) -> None:
    """Find finished jobs that no branch, tag, stash, search or result reaches, and old logs; --apply deletes them."""
    from orchestrator.garbage import delete, find
    from orchestrator.reach import commits, wanted
    from orchestrator.store import Store

    if apply and "TRACKMEET_STORE" in os.environ and project is None:
        raise ValueError(
            f"{here().store} may serve other projects, too (TRACKMEET_STORE): expected --project DIR for each of them, "
            "or --project . where there is none"
        )
    projects = [here(), *(Paths(folder.resolve()) for folder in project or () if folder.resolve() != Path.cwd())]
    store = Store(here().store)

    def look() -> Garbage:
        trees: list[Wanted] = []
        for one in projects:
            for tree in wanted(one.root, without or (), remotes):
                print(
                    f"asked   {tree.name}: {f'cannot be planned: {tree.problem}' if tree.problem else len(tree.keys)}"
                )
                trees.append(tree)
            unasked = 0 if remotes else len(commits(one.root, remotes=True).keys() - commits(one.root).keys())
            if unasked:
                print(f"not asked: {unasked} commits that only remote-tracking branches have; --remotes asks them")
        garbage = find(store, projects, trees, keep_days, checkpoints)
        _print_garbage(garbage)
        return garbage

    if not apply:
        look()
        print("nothing was deleted: --apply does that")
        return
    with store.locked(patience=2.0):
        garbage = look()
        delete(garbage, store)
    print(f"deleted {size(garbage.bytes)}")


def _print_garbage(garbage: Garbage) -> None:
    for pile in garbage.kept:
        print(f"kept    {pile.jobs} jobs, {size(pile.bytes)}: {pile.why}")
    largest = sorted(garbage.jobs, key=lambda job: (-job.bytes, job.label))
    for job in largest[:SHOWN]:
        print(f"goes    {job.label} ({job.key[:8]}), {size(job.bytes)}")
    if len(largest) > SHOWN:
        print(f"goes    {len(largest) - SHOWN} jobs more, {size(sum(job.bytes for job in largest[SHOWN:]))}")
    for what, paths in (
        ("checkpoints of jobs that are not planned", garbage.checkpoints),
        ("logs", garbage.logs),
        ("unfinished results of runs that were killed", garbage.unfinished),
    ):
        if paths:
            print(f"goes    {len(paths)} {what}")
    print(f"{len(garbage.jobs)} jobs go, {size(garbage.bytes)} in all; results that DVC alone has were not asked")


def doctor() -> None:
    """Check versions, GPUs, Ray, MLflow, DVC, disks, clock and limits: each line says ok, or what to do."""
    from orchestrator.doctor import examine

    sick = False
    for finding in examine(here()):
        print(f"{'ok ' if finding.fine else 'FIX'}  {finding.what}: {finding.text}", flush=True)
        sick |= not finding.fine
    if sick:
        raise typer.Exit(1)
