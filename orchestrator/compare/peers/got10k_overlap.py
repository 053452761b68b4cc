# mypy: ignore-errors
"""The GOT-10k toolkit's AO and SR of results on a validation set in GOT-10k's format; see this package.

python got10k_overlap.py FOLDER
"""

import json
import sys
from pathlib import Path

from got10k.experiments import ExperimentGOT10k

root = Path(sys.argv[1])
sys.stdout = sys.stderr  # it says what it does
trackers = sorted(path.name for path in (root / "results" / "GOT-10k").iterdir())
experiment = ExperimentGOT10k(str(root / "got10k"), "val", str(root / "results"), str(root / "reports"))
experiment.plot_curves = lambda files, names: None
performance, values = experiment.report(trackers), {}
for tracker in trackers:
    overall, each = performance[tracker]["overall"], performance[tracker]["seq_wise"]
    values[tracker] = {
        "average_overlap": [overall["ao"]],
        "sr_50": [overall["sr"]],
        "sr_75": [overall["succ_curve"][75]],
        "pooled success curve": overall["succ_curve"],
        "average overlap of sequences": [each[name]["ao"] for name in sorted(each)],
        "sr_50 of sequences": [each[name]["sr"] for name in sorted(each)],
    }
print(json.dumps({"values": values}), file=sys.__stdout__)
