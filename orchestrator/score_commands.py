"""The commands that judge results, and that hand ours to other toolkits."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.paths import here


class Conventions(StrEnum):
    """Whose definitions; see `trackers.evaluation.measure`."""

    trackmeet = "trackmeet"
    otb = "otb"
    got10k = "got10k"
    pysot = "pysot"
    vot = "vot"
    vot_legacy = "vot-legacy"


class Formats(StrEnum):
    """Of result files; see `trackers.evaluation.formats`."""

    otb = "otb"
    got10k = "got10k"
    vot = "vot"
    lasot = "lasot"


def evaluate(
    benchmark: Annotated[str, typer.Option(help="OTB2015, VOT2018, UAV123, ...")],
    root: Annotated[Path, typer.Option(help="The groundtruth: the benchmark's folder, or annotations alone.")],
    results: Annotated[Path, typer.Option(help="The result files, of one tracker or of many.")],
    convention: Annotated[
        Conventions | None, typer.Option(help="Whose definitions; default: those of the benchmark's published numbers.")
    ] = None,
    all_conventions: Annotated[
        bool, typer.Option("--all-conventions", help="Score under every convention that defines the measures.")
    ] = False,
    protocol: Annotated[str | None, typer.Option(help="Default: as recognised from the results.")] = None,
    tracker: Annotated[list[str] | None, typer.Option(help="Only this tracker (may be repeated).")] = None,
    measure: Annotated[list[str] | None, typer.Option(help="Only this measure (may be repeated).")] = None,
    subset: Annotated[list[str] | None, typer.Option(help="Only this attribute or tag (may be repeated).")] = None,
    attributes: Annotated[bool, typer.Option("--attributes", help="Each attribute and tag by itself, too.")] = False,
    cut: Annotated[
        bool, typer.Option("--cut", help="Cut results and groundtruth to the shorter, as the GOT-10k toolkit does.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Score trackers on those sequences of which they have results.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows of scores.csv as JSON.")] = False,
) -> None:
    """Score result files that something else wrote: text, .mat and JSON of OTB, GOT-10k, VOT, UAV123, pysot."""
    from orchestrator.evaluate import as_text, rows
    from orchestrator.evaluate import evaluate as judge
    from trackers.benchmarks.catalogue import find
    from trackers.evaluation.measure import CONVENTIONS, Convention

    known = find(benchmark)
    named: Convention = known.convention if convention is None else convention.value
    evaluation = judge(
        known,
        root,
        results,
        CONVENTIONS if all_conventions else (named,),
        protocol=protocol,
        trackers=tracker or (),
        measures=measure or (),
        subsets=None if attributes else subset or ("all",),
        cut=cut,
        partial=partial,
    )
    for note in evaluation.notes:
        print(f"note: {note}", file=sys.stderr)
    print(json.dumps(rows(evaluation)) if as_json else as_text(evaluation))


def export(
    format: Annotated[Formats, typer.Option(help="Of which toolkit.")],  # noqa: A002 - the option's name
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    study: Annotated[list[str] | None, typer.Option(help="Only this study (may be repeated).")] = None,
    tracker: Annotated[list[str] | None, typer.Option(help="Only this tracker (may be repeated).")] = None,
) -> None:
    """Write the trajectories in build/results as files that other toolkits score."""
    from orchestrator.export import export as write

    folders, left_out = write(here().results, format.value, out, study or (), tracker or ())
    for what in left_out:
        print(f"note: {what}: format {format.value} has no place for this protocol", file=sys.stderr)
    for folder in folders:
        print(folder)
    if not folders:
        raise ValueError(f"{here().results}: expected results that format {format.value} has a place for, got none")
