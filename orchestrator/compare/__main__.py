"""Compare our measures with the official toolkits on the same result files, and write docs/results/measures.md.

python -m orchestrator.compare [--data ../shared/data] [--env build/peers/env]
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from orchestrator.compare import environment, ours, published, synthetic
from orchestrator.compare.ours import Values
from orchestrator.paths import here
from trackers.evaluation import result_files

INTERVAL = (60, 200)  # lengths for EAO
CLOSE = 1e-9  # what differs by less is equal
HEAD = """# Our measures beside the official toolkits

Made by `make compare` on {day}, with {packages}. They are no
dependencies of the project: the command installs them in an environment of their own, below `build/peers`.

Both sides read the same result files, made at random from a seed: {otb} sequences and {boxes} trackers of boxes, with
targets at the edge of the image and predictions of no size; {vot} sequences of rotated rectangles and boxes, and
{resets} trackers with resets, one of them with 15 runs a sequence. Every number that a toolkit gives is compared, the
curve of every sequence and each point of it; what differs by at most 1e-9 counts as equal. pysot-toolkit is not
on PyPI: its convention is held against the scores that it was published with, below.
"""


@dataclass(frozen=True)
class Row:
    """One measure in one convention: how many numbers were compared, and by how much they differ at most."""

    measure: str
    convention: str
    toolkit: str
    count: int
    difference: float


def compare(
    data: Annotated[Path, typer.Option(help="Published results; left out where there are none.")] = Path(
        "../shared/data"
    ),
    env: Annotated[Path | None, typer.Option(help="Environment of the toolkits; default: build/peers/env.")] = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("docs/results/measures.md"),
) -> None:
    """Print and write the table; the exit status is 1 where something differs."""
    python = environment.make(env or here().build / "peers" / "env")
    with tempfile.TemporaryDirectory(prefix="trackmeet-") as folder:
        rows = beside_toolkits(Path(folder), python)
    packages = " and ".join(environment.PACKAGES[:2])
    lines = [HEAD.format(day=date.today(), packages=packages, **SIZES)]
    lines += ["| measure | convention | toolkit | numbers | largest difference |", "|---|---|---|---|---|"]
    lines += [f"| {r.measure} | {r.convention} | {r.toolkit} | {r.count:,} | {r.difference:.1e} |" for r in rows]
    differ = [row for row in rows if not row.difference <= CLOSE]
    lines += ["", "## Published scores", ""]
    if data.is_dir():
        lines += [
            "Raw results as their authors published them, and the scores that they, or the toolkits, say these give.",
            "",
            "| benchmark | tracker | measure | convention | published | ours |",
            "|---|---|---|---|---|---|",
        ]
        for known, value in published.compare(data):
            names = (known.benchmark, known.tracker, known.measure, known.convention)
            lines.append(f"| {' | '.join(names)} | {known.value:g} | {value:.5f} |")
            off = abs(value - known.value)
            if not off <= known.tolerance + 1e-12:
                differ.append(Row(known.measure, known.convention, known.tracker, 1, off))
    else:
        lines.append(f"Not compared: there is no folder {data}.")
    text = "\n".join(lines) + "\n"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)
    print(text)
    for row in differ:
        print(f"DIFFERS: {row.measure}, {row.convention}, {row.toolkit}: by {row.difference:.3g}")
    raise typer.Exit(1 if differ else 0)


SIZES = {"otb": 30, "boxes": 4, "vot": 16, "resets": 3}


def beside_toolkits(folder: Path, python: Path) -> list[Row]:
    """Write results into `folder`, let each toolkit judge them, and us."""
    boxes = synthetic.sequences(SIZES["otb"], (60, 200), seed=0, hard=True)
    synthetic.write_otb(folder / "otb", boxes, images=True)
    synthetic.write_otb(folder / "annotations", boxes, images=False)
    for k in range(SIZES["boxes"]):
        runs = synthetic.one_pass(boxes, 2 + 3 * k, seed=k, hard=True)
        result_files.write("otb", folder / "results" / "OTBsynthetic", f"T{k}", "one_pass", boxes, runs)
    rotated = synthetic.polygons(synthetic.sequences(SIZES["vot"], (60, 300), seed=1), seed=2)
    synthetic.write_vot(
        folder / "vot",
        rotated,
        {
            "Boxes": synthetic.supervised(rotated, 2, 0.005, seed=1),
            "Rotated": synthetic.supervised(rotated, 5, 0.02, seed=2, rotated=True),
            "Stochastic": synthetic.supervised(rotated, 4, 0.01, seed=3, runs=15),
        },
    )
    theirs = environment.run(python, "got10k_toolkit", folder, 1)["values"]
    rows = differences(
        ours.of_otb(folder / "annotations", folder / "results" / "OTBsynthetic"), theirs, "got10k", "got10k 0.1.3"
    )
    theirs = environment.run(python, "vot_toolkit", folder / "vot", 0, *INTERVAL)["values"]
    vot = ours.of_vot(folder / "vot" / "sequences", folder / "vot" / "results", "vot", INTERVAL)
    rows += differences(vot, theirs, "vot", "vot-toolkit 0.9.0")
    return rows


def differences(mine: Values, theirs: Values, convention: str, toolkit: str) -> list[Row]:
    """Largest difference of each measure that both sides have, over all trackers that we have judged."""
    rows = []
    trackers = [tracker for tracker in theirs if tracker in mine]
    for measure in dict.fromkeys(name for tracker in trackers for name in theirs[tracker] if name in mine[tracker]):
        pairs = [(np.ravel(mine[t][measure]), np.ravel(theirs[t][measure])) for t in trackers]
        off = [np.abs(a - b).max() if len(a) == len(b) else np.inf for a, b in pairs]
        rows.append(Row(measure, convention, toolkit, sum(len(b) for _, b in pairs), float(np.max(off))))
    return rows


if __name__ == "__main__":
    typer.run(compare)
