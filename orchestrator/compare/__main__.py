"""Compare our measures with the official toolkits on the same result files, and write docs/results/measures.md.

python -m orchestrator.compare [--data ../shared/data] [--env build/peers/env] [--pysot DIR]...
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from textwrap import fill
from typing import Annotated

import numpy as np
import typer

from orchestrator.compare import checkout, environment, ours, published, synthetic
from orchestrator.compare.checkout import Checkout
from orchestrator.compare.ours import Values
from orchestrator.paths import here
from trackers.benchmarks import lasot, otb
from trackers.evaluation import result_files

INTERVAL = (60, 200)  # lengths for EAO
CLOSE = 1e-9  # what differs by less is equal
PYSOT_NEEDS = "x, y, w, h"  # numbers of a groundtruth box that are positive where its overlap counts, in our `pysot`
SIZES = {"boxes": 30, "trackers": 4, "lasot": 10, "got10k": 12, "rotated": 16, "resets": 3}
HEAD = """# Our measures beside the official toolkits

Made on {day} by `{command}` at commit {commit}.

The toolkits are {packages}. They are no dependencies of the project: the command
installs them in an environment of their own, below `build/peers`.

Both sides read the same result files, made at random from a seed:

- {boxes} sequences and {trackers} trackers of boxes, with targets at the edge of the image and predictions of no size;
- {lasot} sequences as LaSOT has them, with targets out of view, none at the edge, and {trackers} trackers;
- {got10k} sequences and 2 trackers as GOT-10k has them, with labels of what is seen, one with 3 runs a sequence;
- {rotated} sequences of rotated rectangles and boxes, and {resets} trackers with resets, one with 15 runs a sequence.

Every number that a toolkit gives is compared, the curve of every sequence and each point of it; what differs by
at most 1e-9 counts as equal. Normalized precision is not in got10k 0.1.3, so there is no row of it under `got10k`.
{pysot}"""
WITHOUT_PYSOT = """
pysot-toolkit is not on PyPI, and was left out of this run: `python -m orchestrator.compare --pysot DIR` compares with
a checkout of it. Its convention is held against the scores that it was published with, below.
"""
WITH_PYSOT = """
pysot-toolkit and STVIR's pysot are not on PyPI. What they are here is said below; they were copied to `build/peers`,
and their region extension built there with Cython. Their benchmarks for success, precision and normalized
precision, for accuracy and robustness, and for EAO read the results themselves. The means that their tables print
to three decimals are taken here as they do.
"""
OTHER_RULE = """
## Where the rule is another

Our `pysot` follows pysot-toolkit: the overlap of a frame counts where all four numbers x, y, w, h of its groundtruth
box are positive; elsewhere the frame fails. In STVIR's pysot it counts where w and h are. Some targets of the boxes
are at x = 0 or y = 0, or beyond, so success differs there, as it must; it is the same without such targets (in the
table above: "LaSOT").
"""
COLUMNS = ["| measure | convention | toolkit | numbers | largest difference |", "|---|---|---|---|---|"]


@dataclass(frozen=True)
class Row:
    """One measure in one convention: how many numbers were compared, and by how much they differ at most.

    same_rule: whether the toolkit computes what the convention says, so that there may be no difference.
    """

    measure: str
    convention: str
    toolkit: str
    count: int
    difference: float
    same_rule: bool = True

    def __str__(self) -> str:
        names = f"{self.measure} | {self.convention} | {self.toolkit}"
        return f"| {names} | {self.count:,} | {self.difference:.1e} |"


def compare(
    data: Annotated[Path, typer.Option(help="Published results; left out where there are none.")] = Path(
        "../shared/data"
    ),
    env: Annotated[Path | None, typer.Option(help="Environment of the toolkits; default: build/peers/env.")] = None,
    pysot: Annotated[
        list[Path] | None, typer.Option(help="Checkout of STVIR/pysot or of StrangerZhang/pysot-toolkit; may repeat.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("docs/results/measures.md"),
) -> None:
    """Print and write the tables; the exit status is 1 where something differs that should not."""
    python = environment.make(env or here().build / "peers" / "env")
    checkouts = [checkout.build(python, folder, here().build / "peers") for folder in pysot or []]
    with tempfile.TemporaryDirectory(prefix="trackmeet-") as folder:
        rows = list(beside_toolkits(Path(folder), python, checkouts))
    lines = [_head(checkouts), *COLUMNS, *(str(row) for row in rows if row.same_rule)]
    others = [row for row in rows if not row.same_rule]
    if others:
        lines += [OTHER_RULE, *COLUMNS, *map(str, others)]
    differ = [row for row in rows if row.same_rule and not row.difference <= CLOSE]
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


def beside_toolkits(folder: Path, python: Path, checkouts: list[Checkout]) -> Iterator[Row]:
    """Write results into `folder`, let each toolkit judge them, and us."""
    _write(folder)
    results = folder / "results"
    theirs = environment.run(python, "got10k_toolkit", folder, 1)["values"]
    yield from differences(
        ours.of_otb(folder / "annotations", results / "OTBsynthetic"), theirs, "got10k", "got10k 0.1.3"
    )
    theirs = environment.run(python, "got10k_overlap", folder)["values"]
    yield from differences(ours.of_got10k(folder / "got10k", results / "GOT-10k"), theirs, "got10k", "got10k 0.1.3")
    theirs = environment.run(python, "vot_toolkit", folder / "vot", 0, *INTERVAL)["values"]
    yield from differences(
        ours.of_vot(folder / "vot" / "sequences", folder / "vot" / "results", "vot", INTERVAL),
        theirs,
        "vot",
        "vot-toolkit 0.9.0",
    )
    if checkouts:
        yield from _beside_pysot(folder, python, checkouts)


def _beside_pysot(folder: Path, python: Path, checkouts: list[Checkout]) -> Iterator[Row]:
    """Success counts by the same rule unless a target is at the edge, and the checkout's rule for that is another."""
    boxes = ours.of_pysot(
        otb.open(otb.Config(), folder / "annotations", "synthetic"), folder / "results" / "OTBsynthetic"
    )
    hidden = ours.of_pysot(lasot.open(lasot.Config(), folder / "lasot", "synthetic"), folder / "results" / "LaSOT")
    resets = ours.of_vot(folder / "vot" / "sequences", folder / "vot" / "results", "pysot", INTERVAL)
    for one in checkouts:
        judged = environment.run(python, "pysot_toolkit", one.folder, one.package, folder, *INTERVAL)
        same_rule = judged["overlap needs"] == PYSOT_NEEDS
        for row in differences(boxes, judged["boxes"], "pysot", one.toolkit):
            yield replace(row, same_rule=same_rule or not row.measure.startswith("success"))
        for row in differences(hidden, judged["hidden"], "pysot", one.toolkit):
            yield replace(row, measure=f"{row.measure}, LaSOT")
        yield from differences(resets, judged["resets"], "pysot", one.toolkit)


def _write(folder: Path) -> None:
    """Benchmarks and results, as each of the toolkits looks for them."""
    boxes = synthetic.sequences(SIZES["boxes"], (60, 200), seed=0, hard=True)
    synthetic.write_otb(folder / "otb", boxes, images=True)
    synthetic.write_otb(folder / "annotations", boxes, images=False)
    synthetic.write_pysot(folder / "pysot", "OTBsynthetic", boxes)
    hidden = synthetic.absences(synthetic.sequences(SIZES["lasot"], (60, 200), seed=3), seed=4)
    synthetic.write_lasot(folder / "lasot", hidden)
    synthetic.write_pysot(folder / "pysot", "LaSOT", hidden)
    for name, sequences in (("OTBsynthetic", boxes), ("LaSOT", hidden)):
        for k in range(SIZES["trackers"]):
            runs = synthetic.one_pass(sequences, 2 + 3 * k, seed=k, hard=True)
            result_files.write("otb", folder / "results" / name, f"T{k}", "one_pass", sequences, runs)
    seen = synthetic.sequences(SIZES["got10k"], (60, 200), seed=4, hard=True)
    synthetic.write_got10k(folder / "got10k", seen, seed=5)
    for tracker, number in (("Once", 1), ("Thrice", 3)):
        runs = synthetic.one_pass(seen, 4, seed=number, runs=number, hard=True)
        timed = [replace(run, seconds=np.full(len(run), 0.01)) for run in runs]  # the toolkit fails without
        result_files.write("got10k", folder / "results" / "GOT-10k", tracker, "one_pass", seen, timed)
    rotated = synthetic.polygons(synthetic.sequences(SIZES["rotated"], (60, 300), seed=1), seed=2)
    resets = {
        "Boxes": synthetic.supervised(rotated, 2, 0.005, seed=1),
        "Rotated": synthetic.supervised(rotated, 5, 0.02, seed=2, rotated=True),
        "Stochastic": synthetic.supervised(rotated, 4, 0.01, seed=3, runs=15),
    }
    synthetic.write_vot(folder / "vot", rotated, resets)
    synthetic.write_pysot(folder / "pysot", "VOT2016", rotated)


def differences(mine: Values, theirs: Values, convention: str, toolkit: str) -> list[Row]:
    """Largest difference of each measure that both sides have, over all trackers that we have judged."""
    rows = []
    trackers = [tracker for tracker in theirs if tracker in mine]
    for measure in dict.fromkeys(name for tracker in trackers for name in theirs[tracker] if name in mine[tracker]):
        pairs = [(np.ravel(mine[t][measure]), np.ravel(theirs[t][measure])) for t in trackers]
        off = [np.abs(a - b).max() if len(a) == len(b) else np.inf for a, b in pairs]
        rows.append(Row(measure, convention, toolkit, sum(len(b) for _, b in pairs), float(np.max(off))))
    return rows


def _head(checkouts: list[Checkout]) -> str:
    """What the page says before its tables."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    command = "python -m orchestrator.compare --pysot DIR" if checkouts else "make compare"
    about = WITHOUT_PYSOT
    if checkouts:
        origins = [fill(f"- {one.toolkit}: {one.origin}", 118, subsequent_indent="  ") for one in checkouts]
        about = "\n".join([WITH_PYSOT, *origins, ""])
    return HEAD.format(
        day=date.today(),
        command=command,
        commit=described or "unknown",
        packages=" and ".join(environment.PACKAGES[:2]),
        pysot=about,
        **SIZES,
    )


if __name__ == "__main__":
    typer.run(compare)
