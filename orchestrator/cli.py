"""The command line: parse, call one function, print. Heavy things are imported where they are used."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.data_commands import data_app
from orchestrator.feature_commands import extractor, features
from orchestrator.housekeeping_commands import cancel, doctor, gc, keys, logs, status
from orchestrator.paths import here
from orchestrator.plan_command import plan_run
from orchestrator.report_command import build_report, report
from orchestrator.run_options import (
    CheckpointSeconds,
    Device,
    Executor,
    Executors,
    Gpus,
    Lanes,
    ParamsFile,
    Record,
    Records,
    Threads,
    Timeout,
    WithParent,
    Workers,
    options,
)
from orchestrator.score_commands import evaluate, export
from orchestrator.track_command import track
from orchestrator.tune_command import tune

if TYPE_CHECKING:
    from orchestrator.conduct import Outcome, Prospect
    from orchestrator.jobs import Job
    from orchestrator.store import Store

app = typer.Typer(
    help="Train, evaluate and compare visual object trackers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data_app, name="data")
app.command()(evaluate)
app.command()(export)
app.command()(track)
app.command()(tune)
app.command()(extractor)
app.command()(features)
app.command("plan")(plan_run)
app.command()(report)
app.command()(status)
app.command()(logs)
app.command()(cancel)
app.command()(gc)
app.command()(doctor)
app.command(hidden=True)(keys)


@app.command()
def run(
    params: ParamsFile = Path("params.yaml"),
    study: Annotated[list[str] | None, typer.Option(help="Only this study (may be repeated).")] = None,
    tracker: Annotated[list[str] | None, typer.Option(help="Only this tracker (may be repeated).")] = None,
    executor: Executor = Executors.ray,
    record: Record = Records.mlflow,
    workers: Workers = None,
    threads: Threads = 1,
    gpus: Gpus = 0.0,
    device: Device = "",
    lanes: Lanes = 32,
    timeout: Timeout = None,
    checkpoint_seconds: CheckpointSeconds = 20.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and why; run nothing.")] = False,
    with_parent: WithParent = False,
) -> None:
    """Run the experiments: whatever is not done yet, in parallel; results go to build/results.

    How to run is no parameter of the experiments: under `dvc repro` it is set by the environment.
    """
    from orchestrator.conduct import conduct, look
    from orchestrator.store import Store

    given = options(
        *(params, executor, record, workers, threads, gpus, device, timeout, checkpoint_seconds, with_parent),
        lanes,
        study,
        tracker,
    )
    if dry_run:
        store = Store(here().store)
        _print_prospect(look(given, here(), store), store)
        return
    outcome = conduct(given, here())
    _print_outcome(outcome, record)
    if outcome.failures and not outcome.interrupted:
        build_report(params)  # DVC will not come to it, and the page shows what is missing and why
    if outcome.interrupted or outcome.failures:
        raise typer.Exit(130 if outcome.interrupted else 1)


def _print_prospect(prospect: Prospect, store: Store) -> None:
    trials = Counter(key for trial in prospect.chosen for key in trial.keys)
    for job in prospect.found_done:
        print(f"done  {job.label}{_place(job, trials[job.key])}")
    for job in prospect.todo:
        print(f"run   {job.label}{_place(job, trials[job.key])}: {store.why(job)}")
    print(f"{len(prospect.todo)} jobs would run, {len(prospect.found_done)} are done")


def _place(job: Job, trials: int) -> str:
    """Where a job stands in the graph: what it needs, and how many trials need it, where that are several."""
    from orchestrator.plan import needed

    notes = [
        *([f"needs {', '.join(needed(job))}"] if job.needs else []),
        *([f"shared by {trials} trials"] if trials > 1 else []),
    ]
    return f"  ({'; '.join(notes)})" if notes else ""


def _print_outcome(outcome: Outcome, record: Records) -> None:
    from orchestrator.outcome import complain, say_what_is_missing

    if not outcome.interrupted:
        from orchestrator.report.terminal import print_tables

        print_tables(here().results)
    say_what_is_missing(outcome.prospect)
    complain(outcome)
    if outcome.interrupted:
        return
    print(f"\nreport page: {here().report / 'index.html'} (after 'trackmeet report'); MLflow: make ui")
    if record is Records.mlflow and not outcome.unrecorded:
        _print_links(outcome.prospect)


def _print_links(prospect: Prospect) -> None:
    """Where MLflow shows the charts of each study."""
    from orchestrator.record.mlflow_store import default_uri
    from orchestrator.record.mlflow_ui import links

    print("with the UI open:")
    for study in dict.fromkeys(trial.study for trial in prospect.chosen):
        print(f"{study}: {links(default_uri(here().root), study)['charts']}")


@app.command()
def params(profile: Annotated[str, typer.Argument(help="sample, paper or smoke")]) -> None:
    """Print a packaged profile: trackmeet params paper > params.yaml."""
    from orchestrator.params import PROFILES, profiles

    if profile not in profiles():
        raise ValueError(f"no profile {profile!r}; expected one of {', '.join(profiles())}")
    print((PROFILES / f"{profile}.yaml").read_text(), end="")


@app.command()
def replay() -> None:
    """Send MLflow what it has missed while it was away."""
    from orchestrator.record.delivery import replay
    from orchestrator.record.mlflow_store import default_uri

    delivered, left = replay(here().spool, default_uri(here().root), timeout=60.0)
    print(f"{delivered} entries delivered, {left} left")
    if left:
        raise typer.Exit(1)


@app.command()
def ui() -> None:
    """Open the MLflow UI on the record of the runs."""
    from orchestrator.record.mlflow_store import default_uri, initialize
    from orchestrator.record.mlflow_ui import ui_command

    initialize(default_uri(here().root))  # a fresh clone has no database yet, and a run may be making it
    raise typer.Exit(subprocess.call(ui_command(here().root)))


class Speeds(StrEnum):
    """What can be measured."""

    digits = "digits"
    features = "features"
    folds = "folds"
    goturn = "goturn"
    lanes = "lanes"
    measures = "measures"
    overhead = "overhead"
    page = "page"
    pixelwise = "pixelwise"
    rman = "rman"
    rolo = "rolo"
    shards = "shards"
    train = "train"


@app.command()
def speed(
    name: Speeds,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    repeats: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Measure ours against the straightforward way on this machine, both in one run."""
    from orchestrator.speed.measurement import as_table, measure

    result = measure(name.value, repeats)
    print(json.dumps(result) if as_json else as_table(result))


def main() -> None:
    """The console script; errors that a user can mend are said in one line, without a traceback."""
    from orchestrator.store import StoreBusyError

    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a user's own tracker is found where the project is
    try:
        app()
    except (StoreBusyError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
