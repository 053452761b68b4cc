"""How long the run takes by the number of GPUs, from 1 to 1,024: a curve, as a plot and as numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.files import write_bytes
from orchestrator.forecast.capacity import with_gpus
from orchestrator.forecast.simulation import Graph, Overheads, simulate

GPUS = tuple(2**n for n in range(11))
COLUMNS = ("gpus", "nodes", "seconds", "gpu_hours", "busy_gpu_hours")
STYLE = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.color": "#dddddd",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "savefig.transparent": True,
    "svg.hashsalt": "forecast",  # the same bytes each time
}


@dataclass(frozen=True)
class Point:
    """gpu_hours: of all GPUs until the end. busy_gpu_hours: of those that jobs hold."""

    gpus: int
    nodes: int
    seconds: float
    gpu_hours: float
    busy_gpu_hours: float


def curve(graph: Graph, per_node: int, cpus: int, pace: float, overheads: Overheads) -> list[Point]:
    """One simulation a point, where there is room for every job. per_node, cpus: GPUs and cores of a node."""
    points = []
    for number in GPUS:
        nodes = with_gpus(number, per_node, cpus, pace)
        try:
            played = simulate(graph, nodes, overheads)
        except ValueError:
            continue  # some job needs more GPUs, or more cores
        hours = played.makespan * number / 3600
        points.append(Point(number, len(nodes), played.makespan, hours, played.gpu_seconds / 3600))
    return points


def write(points: Sequence[Point], bound: float, note: str, path: Path) -> list[Path]:
    """The plot as SVG and PNG, and the numbers as CSV, beside each other -> their paths.

    bound: seconds, below which no number of GPUs comes. note: what was assumed.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure  # without pyplot: no display, no state
    from matplotlib.ticker import LogLocator, NullFormatter

    from orchestrator.report.colours import COLOURS

    unit, per = ("hours", 3600) if points[0].seconds > 7200 else ("minutes", 60)
    paths = [path.with_suffix(end) for end in (".svg", ".png", ".csv")]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.4, 3.4), layout="constrained")
        axes = figure.subplots()
        gpus = [point.gpus for point in points]
        work = points[0].seconds * gpus[0]
        axes.plot(gpus, [point.seconds / per for point in points], "o-", color=COLOURS[0], label="forecast")
        axes.plot(gpus, [work / per / n for n in gpus], ":", color=COLOURS[6], label="if it were divisible")
        axes.axhline(bound / per, color=COLOURS[1], linestyle="--", label="no less on any number")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(bottom=max(bound, 1e-3) / per / 2)
        axes.set_xticks(gpus, [f"{n:,}" for n in gpus], rotation=45)
        axes.set_xlabel(f"GPUs\n{note}", wrap=True)
        axes.set_ylabel(f"{unit} until the last job ends")
        axes.legend()
        for file, metadata in zip(paths, ({"Date": None, "Creator": None}, {"Software": None}), strict=False):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=file.suffix[1:], dpi=144, metadata=metadata)
            write_bytes(file, buffer.getvalue())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        [p.gpus, p.nodes, f"{p.seconds:.1f}", f"{p.gpu_hours:.4f}", f"{p.busy_gpu_hours:.4f}"] for p in points
    )
    write_bytes(paths[2], text.getvalue().encode())
    return paths
