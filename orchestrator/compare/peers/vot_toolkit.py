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
    processor = AnalysisProcessor(Here(), LRUCache(10000))
    judged = (experiment, trackers, sequences)
    average = processor.run(AverageAccuracyRobustness(analysis={}), *judged)
    eao = processor.run(EAOScore(low=low, high=high, eaocurve={}), *judged)
    seconds.append(time.perf_counter() - start)
failures, curve = (processor.run(analysis, *judged) for analysis in (CumulativeFailureCount(analysis={}), EAOCurve()))
values = {}
for i, tracker in enumerate(trackers):
    accuracy, robustness, (reliability, _) = average[i, 0][:3]
    values[tracker.identifier] = {
        "accuracy": [accuracy],
        "robustness": [robustness],
        "reliability": [reliability],
        "failures": [failures[i, 0][0]],
        "eao": [eao[i, 0][0]],
        "eao curve": [float(value) for value in curve[i, 0][0]],
    }
print(json.dumps({"seconds": seconds[1:], "values": values}), file=sys.__stdout__)
