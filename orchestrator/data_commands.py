"""`trackmeet data ...`: make, check, list and pack the data that studies run on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.paths import here

if TYPE_CHECKING:
    from orchestrator.params import Dataset

data_app = typer.Typer(help="The data that studies run on.", no_args_is_help=True)

ParamsFile = Annotated[Path, typer.Option("--params", help="The parameters, which name the data sets.")]
Root = Annotated[Path | None, typer.Option(help="The folder of one data set, instead of those of the parameters.")]
Format = Annotated[str, typer.Option(help="Its format: a module of trackers.benchmarks.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@data_app.command("sample")
def data_sample() -> None:
    """Make the small sample data in data/, in the true on-disk formats; a folder that is there is left alone."""
    from orchestrator.sample_data import write

    made = write(here().root / "data")
    print("sample data written to data/" if made else "data/ has all of its folders already; nothing changed")


@data_app.command("check")
def data_check(
    params: ParamsFile = Path("params.yaml"),
    root: Root = None,
    format: Format = "",
    deep: Annotated[bool, typer.Option("--deep", help="Decode every frame, and compare packed bytes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read every annotation and the header of every frame; list all problems. Ends with 1 if there are any."""
    from orchestrator.data_check import check
    from orchestrator.progress import bar

    with bar("frames") as progress:
        readings = check(_datasets(params, root, format), deep, progress)
    if as_json:
        print(json.dumps({"datasets": [reading.as_json() for reading in readings]}))
    else:
        for reading in readings:
            dataset = reading.dataset
            frames = "made when asked for" if reading.made else _count(reading.frames, "frame")
            problems = _count(len(reading.problems), "problem") if reading.problems else "no problems"
            sequences = _count(len(reading.sequences), "sequence")
            print(f"{dataset.name} ({dataset.format}, {dataset.root}): {sequences}, {frames}: {problems}")
            for problem in reading.problems:
                print(f"  {problem}")
    if any(reading.problems for reading in readings):
        raise typer.Exit(1)


@data_app.command("list")
def data_list(
    params: ParamsFile = Path("params.yaml"), root: Root = None, format: Format = "", as_json: AsJson = False
) -> None:
    """Show what is there: sequences, frames, labelled frames, attributes, sizes."""
    from orchestrator.data_list import describe

    contents = [describe(dataset) for dataset in _datasets(params, root, format)]
    print(json.dumps({"datasets": [c.as_json() for c in contents]}) if as_json else "\n".join(map(str, contents)))


@data_app.command("pack")
def data_pack(
    folder: Annotated[Path, typer.Argument(help="The folder of a data set.")],
    out: Annotated[Path | None, typer.Argument(help="Where to; default: its name in build/sequences.")] = None,
) -> None:
    """Pack a data set into few large files of the original bytes and one index; it is read like the folder itself."""
    from orchestrator.progress import bar
    from trackers.benchmarks.packs import pack

    out = out or here().sequences / folder.resolve().name
    with bar("bytes") as progress:
        packed = pack(folder, out, progress=progress)
    print(f"{_count(len(packed.names), 'file')} packed into {_count(packed.shards, 'shard')} in {out}")


def _datasets(params: Path, root: Path | None, format: str) -> list[Dataset]:
    """The one data set of that root and format, or all that the parameters name."""
    from orchestrator.params import Dataset, build, dataset_module, load

    if root is None and not format:
        return list(load(params).datasets.values())
    if root is None or not format:
        raise ValueError("expected --root and --format together, got one of them")
    return [Dataset(root.resolve().name, format, root, build(dataset_module(format).Config, {}))]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
