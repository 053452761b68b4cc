# mypy: ignore-errors
"""vot-toolkit's accuracy, robustness and EAO of results in a workspace of its own; see this package.

python vot_toolkit.py FOLDER REPEATS LOW HIGH
"""

import json
import sys
import time
from concurrent.futures import Executor, Future

from cachetools import LRUCache
from vot.analysis import AnalysisProcessor
from vot.analysis.failures import CumulativeFailureCount
from vot.analysis.supervised import AverageAccuracyRobustness, EAOCurve, EAOScore
from vot.workspace import Workspace


class Here(Executor):
    """Does at once, in this thread, what it is given."""

    def submit(self, function, *arguments, **named):
        """A future that is done already."""
        future = Future()
        try:
            future.set_result(function(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


root, repeats, low, high = sys.argv[1], *map(int, sys.argv[2:5])
sys.stdout = sys.stderr
seconds = []
for _ in range(repeats + 1):  # the first is for its compiler
    start = time.perf_counter()
    workspace = Workspace.load(root)
    experiment, sequences = workspace.stack.experiments["baseline"], list(workspace.dataset)
    trackers = [workspace.registry[name] for name in sorted(workspace.registry.identifiers())]
    analyses = [
        AverageAccuracyRobustness(analysis={}),
        CumulativeFailureCount(analysis={}),
        EAOScore(low=low, high=high, eaocurve={}),
        EAOCurve(),
    ]
    processor = AnalysisProcessor(Here(), LRUCache(10000))
    found = [processor.run(analysis, experiment, trackers, sequences) for analysis in analyses]
    seconds.append(time.perf_counter() - start)
values = {}
for i, tracker in enumerate(trackers):
    average, failures, eao, curve = (grid[i, 0] for grid in found)
    values[tracker.identifier] = {
        "accuracy": [average[0]],
        "robustness": [average[1]],
        "reliability": [average[2][0]],
        "failures": [failures[0]],
        "eao": [eao[0]],
        "eao curve": [float(value) for value in curve[0]],
    }
print(json.dumps({"seconds": seconds[1:], "values": values}), file=sys.__stdout__)
