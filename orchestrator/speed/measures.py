"""Judging result files: ours against the GOT-10k toolkit and vot-toolkit, each in an environment of its own."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.compare import environment, ours, synthetic
from orchestrator.paths import here
from trackers.benchmarks import otb, vot
from trackers.evaluation import result_files
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import Results, gather
from trackers.evaluation.vot_overlaps import compare_together

TRACKERS, SEQUENCES, FRAMES = 10, 100, 600
VOT_TRACKERS, VOT_SEQUENCES, VOT_FRAMES, INTERVAL = 5, 60, (200, 500), (108, 371)
MEMORY = 500.0  # MB, that judging a benchmark may take


def measure(repeats: int = 5) -> list[dict[str, Any]]:
    """Judgements a second of the same result files, written before the clock starts.

    Both sides read the groundtruth and all results as text, and compute every curve of every sequence; the
    toolkit's plots are left out. It knows one core; ours parses on all of them. "From arrays" is what is left
    of both when boxes are in memory, as they are here after tracking.
    """
    python = environment.make(here().build / "peers" / "env")
    with tempfile.TemporaryDirectory(prefix="trackmeet-") as name:
        folder = Path(name)
        _write(folder)
        in_memory = _in_memory(folder)
        theirs: dict[str, list[float]] = {"files": [], "arrays": [], "resets": []}
        own: dict[str, list[float]] = {name: [] for name in theirs}
        for repeat in range(repeats + 1):
            turn = environment.run(python, "got10k_toolkit", folder, 1)
            runs = environment.run(python, "vot_toolkit", folder / "vot", 1, *INTERVAL)
            times = {
                "files": _seconds(lambda: ours.of_otb(folder / "annotations", folder / "results" / "OTBsynthetic")),
                "arrays": _seconds(lambda: [ours.judge_boxes(found, "got10k") for found in in_memory]),
                "resets": _seconds(lambda: _judge_resets(folder)),
            }
            if repeat:  # the first turn is to warm up
                for what, seconds in times.items():
                    own[what].append(seconds)
                theirs["files"] += turn["seconds"]
                theirs["arrays"] += turn["seconds_in_memory"]
                theirs["resets"] += runs["seconds"]
        peak = subprocess.run(
            [sys.executable, "-m", "orchestrator.speed.measures", folder], capture_output=True, text=True, check=True
        )
    size = f"{TRACKERS} trackers x {SEQUENCES} sequences x {FRAMES} frames"
    resets = f"{VOT_TRACKERS} trackers x {VOT_SEQUENCES} sequences"
    rows = [
        ("files", "files", f"success and precision with all curves from files, {size}, against got10k", 20.0),
        ("arrays", "arrays", "the same, both from arrays", None),
        ("resets", "resets", f"accuracy, robustness and EAO from files, {resets}, against vot-toolkit", 10.0),
    ]
    found = []
    for our_way, their_way, title, target in rows:
        mine, other = statistics.median(own[our_way]), statistics.median(theirs[their_way])
        found.append(
            {"what": title, "ours": 1 / mine, "other": 1 / other, "unit": "/s", "ratio": other / mine, "target": target}
        )
    used = float(peak.stdout)
    title = f"peak memory of success and precision, {size}, against the limit"
    return [
        *found,
        {"what": title, "ours": used, "other": MEMORY, "unit": "MB", "ratio": MEMORY / used, "target": 1.0},
    ]


def _write(folder: Path) -> None:
    boxes = synthetic.sequences(SEQUENCES, (FRAMES, FRAMES), seed=0)
    synthetic.write_otb(folder / "otb", boxes, images=True)
    synthetic.write_otb(folder / "annotations", boxes, images=False)
    for k in range(TRACKERS):
        runs = synthetic.one_pass(boxes, 2 + k, seed=k)
        result_files.write("otb", folder / "results" / "OTBsynthetic", f"T{k}", "one_pass", boxes, runs)
    rotated = synthetic.polygons(synthetic.sequences(VOT_SEQUENCES, VOT_FRAMES, seed=1), seed=2)
    results = {f"T{k}": synthetic.supervised(rotated, 2 + k, 0.005, seed=k) for k in range(VOT_TRACKERS)}
    synthetic.write_vot(folder / "vot", rotated, results)


def _in_memory(folder: Path) -> list[Results]:
    collection = otb.open(otb.Config(), folder / "annotations", "synthetic")
    submissions = result_files.read(folder / "results" / "OTBsynthetic", collection)
    return [gather(collection, submission.trajectories, submission.protocol) for submission in submissions]


def _judge_resets(folder: Path) -> None:
    collection = vot.open(vot.Config(), folder / "vot" / "sequences", "synthetic")
    submissions = result_files.read(folder / "vot" / "results", collection)
    judged = [
        replace(gather(collection, submission.trajectories, submission.protocol), interval=INTERVAL)
        for submission in submissions
    ]
    compare_together(judged, "vot")
    for found in judged:
        for name in ("accuracy", "robustness", "eao"):
            MEASURES[name](found, "vot")


def _seconds(judge: Callable[[], object]) -> float:
    start = time.perf_counter()
    judge()
    return time.perf_counter() - start


if __name__ == "__main__":
    ours.of_otb(Path(sys.argv[1]) / "annotations", Path(sys.argv[1]) / "results" / "OTBsynthetic")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
