"""Scores that raw results must give, as their authors published them, of files that are not part of the project."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.evaluate import evaluate
from trackers.benchmarks.catalogue import find
from trackers.evaluation.measure import Convention


@dataclass(frozen=True)
class Published:
    """tolerance: half a unit of the last printed digit, or what is known of a toolkit's own rasters."""

    benchmark: str
    root: str
    results: str
    convention: Convention
    tracker: str
    measure: str
    value: float
    tolerance: float


Place = tuple[str, str, str, Convention]
OTB: Place = ("otb2015", "otb_anno", "otb_results/Tracker_Benchmark_tb100/results_OPE_OTB100", "otb")
UAV: Place = ("uav123_10fps", "uav123_anno", "uav123_10fps/results-mat", "otb")
VOT: Place = ("vot2018", "vot_eval", "vot_eval/results/VOT2018", "pysot")
PUBLISHED = (
    Published(*OTB, "SRDCF", "success_auc", 0.5976, 5e-5),
    Published(*OTB, "SRDCF", "precision_20", 0.7881, 5e-5),
    Published(*OTB, "KCF_GaussHog", "success_auc", 0.4771, 5e-5),
    Published(*OTB, "KCF_GaussHog", "precision_20", 0.6954, 5e-5),
    Published(*OTB, "MEEM", "success_auc", 0.5387, 5e-5),
    Published(*OTB, "MEEM", "precision_20", 0.7969, 5e-5),
    Published(*OTB, "Struck", "success_auc", 0.4294, 5e-5),
    Published(*OTB, "Struck", "precision_20", 0.5837, 5e-5),
    Published(*UAV, "BACF", "success_auc", 0.4130, 5e-5),
    Published(*UAV, "BACF", "precision_20", 0.5721, 5e-5),
    Published(*VOT, "LightTrack", "eao", 0.418, 5e-4),
    Published(*VOT, "SiamAPN", "eao", 0.248, 5e-4),
    Published(*VOT, "SiamCAR", "eao", 0.318, 5e-4),
    Published(*VOT, "SiamCAR", "accuracy", 0.571, 5e-4),
    Published(*VOT, "SiamCAR", "failures", 66, 0),
)


def compare(data: Path) -> Iterator[tuple[Published, float]]:
    """Each published score, and ours of the same results. data: the folder that holds them."""
    for place in (OTB, UAV, VOT):
        name, root, results, convention = place
        wanted = [row for row in PUBLISHED if (row.benchmark, row.root, row.results, row.convention) == place]
        found = evaluate(
            find(name), data / root, data / results, (convention,), measures=sorted({row.measure for row in wanted})
        )
        ours = {(entry.tracker, entry.score.measure): entry.score.value for entry in found.entries}
        for row in wanted:
            yield row, ours[row.tracker, row.measure]
