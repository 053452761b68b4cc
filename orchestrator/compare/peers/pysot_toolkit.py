# mypy: ignore-errors
"""The benchmarks of pysot, or of pysot-toolkit, on results in OTB's and VOT's formats; see this package.

python pysot_toolkit.py FOLDER_OF_PACKAGE PACKAGE FOLDER LOW HIGH

What its tables print to three decimals is computed here as there (`show_result`), from what its benchmarks return.
"overlap needs": the numbers of a groundtruth box that must be positive for its overlap to count. "hidden": the
benchmark in which targets go out of view.
"""

import itertools
import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np

parent, package, root, low, high = sys.argv[1], sys.argv[2], Path(sys.argv[3]), *map(int, sys.argv[4:6])
sys.stdout = sys.stderr  # it says what it does
sys.path.insert(0, parent)
datasets, evaluation = import_module(f"{package}.datasets"), import_module(f"{package}.evaluation")
eao_benchmark = import_module(f"{package}.evaluation.eao_benchmark")


def trackers_of(dataset, results):
    """Names of the trackers, whose results the dataset is told."""
    names = sorted(path.name for path in results.iterdir())
    dataset.set_tracker(str(results), names)
    return names


def boxes(dataset):
    """Success, precision and normalized precision of results of boxes."""
    benchmark, values = evaluation.OPEBenchmark(dataset), {}
    for tracker in trackers_of(dataset, root / "results" / dataset.name):
        judges = (benchmark.eval_success, benchmark.eval_precision, benchmark.eval_norm_precision)
        each = [[of for _, of in sorted(judge(tracker)[tracker].items())] for judge in judges]
        success, precision, normalized = ([np.mean(curves, axis=0), *curves] for curves in each)
        values[tracker] = {
            "success_auc": [np.mean(each[0])],
            "precision_20": [precision[0][20]],
            "normalized_precision": [normalized[0][20]],
            "success curves": np.array(success).tolist(),
            "precision curves": np.array(precision).tolist(),
            "normalized precision curves": np.array(normalized).tolist(),
        }
    return values


def resets(dataset):
    """Accuracy, robustness and EAO of results with resets."""
    ar, eao, values = evaluation.AccuracyRobustnessBenchmark(dataset), evaluation.EAOBenchmark(dataset), {}
    eao.low, eao.high = low, high
    expected, curves = eao_benchmark.calculate_expected_overlap, []

    def keep(*arguments):
        curves.append(expected(*arguments))
        return curves[-1]

    eao_benchmark.calculate_expected_overlap = keep
    for tracker in trackers_of(dataset, root / "vot" / "results"):
        found = ar.eval(tracker)[tracker]
        overlaps, failures = found["overlaps"], list(found["failures"].values())
        frames = sum(map(len, overlaps.values()))
        values[tracker] = {
            "accuracy": [np.nanmean(list(itertools.chain(*overlaps.values())))],
            "robustness": [np.mean(np.sum(np.array(failures), axis=0) / frames) * 100],
            "failures": [np.mean(np.sum(failures, axis=0))],
            "eao": [eao.eval(tracker)[tracker]["all"]],
            "accuracy of sequences": [np.nanmean(overlaps[name]) for name in sorted(overlaps)],
            "failures of sequences": [np.mean(found["failures"][name]) for name in sorted(overlaps)],
            "eao curve": [float(value) for value in curves[-1]],
        }
    return values


corner = np.array([[0.0, 0.0, 10.0, 10.0]])
needs = "w, h" if import_module(f"{package}.utils").success_overlap(corner, corner, 1)[0] else "x, y, w, h"
found = {
    "overlap needs": needs,
    "boxes": boxes(datasets.OTBDataset("OTBsynthetic", str(root / "pysot"))),
    "hidden": boxes(datasets.LaSOTDataset("LaSOT", str(root / "pysot"))),
    "resets": resets(datasets.VOTDataset("VOT2016", str(root / "pysot"))),
}
print(json.dumps(found), file=sys.__stdout__)
