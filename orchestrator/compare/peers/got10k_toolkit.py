# mypy: ignore-errors
"""The GOT-10k toolkit's evaluation of results in OTB's format, without its plots; see this package."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from got10k.datasets import OTB
from got10k.experiments import ExperimentOTB

root, repeats = Path(sys.argv[1]), int(sys.argv[2])
sys.stdout = sys.stderr  # it says what it does
OTB._OTB__version_dict["synthetic"] = sorted(path.name for path in (root / "otb").iterdir())
trackers = sorted(path.name for path in (root / "results" / "OTBsynthetic").iterdir())
experiment = ExperimentOTB(str(root / "otb"), "synthetic", str(root / "results"), str(root / "reports"))
experiment.plot_curves = lambda names: None
annotations = [annotation for _, annotation in experiment.dataset]
folder, names = root / "results" / "OTBsynthetic", experiment.dataset.seq_names
boxes = [np.loadtxt(folder / tracker / f"{name}.txt", delimiter=",") for tracker in trackers for name in names]
seconds, in_memory = [], []
for _ in range(repeats):
    start = time.perf_counter()
    performance = experiment.report(trackers)
    seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    for predicted, annotation in zip(boxes, annotations * len(trackers), strict=True):
        experiment._calc_curves(*experiment._calc_metrics(predicted, annotation))
    in_memory.append(time.perf_counter() - start)
values = {}
for tracker in trackers:
    overall, each = performance[tracker]["overall"], performance[tracker]["seq_wise"]
    values[tracker] = {
        "success_auc": [overall["success_score"]],
        "os_50": [overall["success_rate"]],
        "precision_20": [overall["precision_score"]],
        "success curves": [overall["success_curve"], *(each[name]["success_curve"] for name in sorted(each))],
        "precision curves": [overall["precision_curve"], *(each[name]["precision_curve"] for name in sorted(each))],
    }
print(json.dumps({"seconds": seconds, "seconds_in_memory": in_memory, "values": values}), file=sys.__stdout__)
