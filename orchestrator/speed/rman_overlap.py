"""How well RMAN tracks patch by patch and by ROI align, and KCF beside it: what speed costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator import params as parameters
from orchestrator import trained
from orchestrator.paths import here
from trackers.evaluation.lanes import follow
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.protocols import one_pass
from trackers.evaluation.results import gather
from trackers.sequence import Sequence
from trackers.tracker import Tracker

STUDY, ALIGNED, PATCHES, CORRELATION = "rman", "RMAN-ROI", "RMAN-Patches", "KerCorrTracker"
LANES = 4  # sequences at once


def rows() -> list[dict[str, Any]]:
    """What `measure` says of overlaps: of trackers that the last run here has trained; [] where there are none.

    The sequences are those of the first data set that the study is tested on, as the parameters have it.
    """
    file, names = Path("params.yaml"), (ALIGNED, PATCHES, CORRELATION)
    try:
        trials = trained.find(file, here(), names, STUDY)
    except ValueError:
        return []
    dataset = parameters.load(file).datasets[next(iter(trials[ALIGNED].scores))]
    reader = parameters.dataset_module(dataset.format)
    sequences = tuple(reader.open(dataset.config, Path(dataset.root), dataset.name))
    found = aucs({name: trained.load(trial, file, here(), "cpu") for name, trial in trials.items()}, sequences)
    return [
        {
            "what": f"success AUC on {dataset.name}, {len(sequences)} sequences: {ALIGNED} against {other}",
            "ours": found[ALIGNED],
            "other": found[other],
            "unit": "AUC",
            "ratio": found[ALIGNED] / found[other],
            "target": None,
        }
        for other in (PATCHES, CORRELATION)
    ]


def aucs(trackers: Mapping[str, Tracker], sequences: Iterable[Sequence]) -> dict[str, float]:
    """The area under OTB's success curve of each tracker, in one pass over all sequences."""
    sequences = tuple(sequences)
    return {
        name: MEASURES["success_auc"](
            gather(sequences, follow(tracker, one_pass, sequences, LANES), "one_pass"), "otb"
        ).value
        for name, tracker in trackers.items()
    }
