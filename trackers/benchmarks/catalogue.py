"""The benchmarks by name: what a data set is read by, how trackers run on it, and what counts there."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trackers.benchmarks.collection import Collection
from trackers.evaluation.measure import Convention

RUNS = ("one_pass", "temporal_robustness", "spatial_robustness")
CURVES = ("success_auc", "os_50", "precision_20", "cle")
VOT_RUNS = ("supervised_reset", "unsupervised")
VOT = ("accuracy", "failures", "robustness")


@dataclass(frozen=True)
class Benchmark:
    """Sequences, protocols, measures and a convention: what makes numbers of two papers comparable.

    aliases: other names that are in use. format: the reader's module, and settings: of its Config.
    protocols, measures: names; the first of each is the one that people mean by the benchmark's result.
    convention: the one that published numbers follow. eao: lengths of the interval of VOT's EAO, from, to.
    legacy_rasterization: see `Results`. sequences: how many a whole copy has; None where these are single images.
    """

    name: str
    aliases: tuple[str, ...]
    format: str
    sequences: int | None
    protocols: tuple[str, ...] = ("one_pass",)
    measures: tuple[str, ...] = CURVES
    convention: Convention = "otb"
    eao: tuple[int, int] | None = None
    legacy_rasterization: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    def open(self, root: Path) -> Collection:
        """What is there of it below `root`: frames with annotations, annotations alone, or pysot's JSON of them.

        A copy may be a part, see `missing`. Raises DataError that lists all problems, OSError for no such folder.
        """
        summary = self._summary(root)
        module = importlib.import_module(f"trackers.benchmarks.{self.format if summary is None else 'pysot'}")
        config = module.Config(**self.settings) if summary is None else module.Config(file=summary)
        return module.open(config, root, self.name)

    def missing(self, collection: Collection) -> int:
        """How many of the benchmark's sequences are not in the collection."""
        return max(0, (self.sequences or 0) - len(collection))

    def _summary(self, root: Path) -> str | None:
        """The name of pysot's JSON in this folder, <NAME>.json, if there is one."""
        if not root.is_dir():
            return None
        spellings = {_key(name) for name in (self.name, *self.aliases)}
        names = sorted(path.name for path in root.glob("*.json") if _key(path.stem) in spellings)
        return names[0] if names else None


def find(name: str) -> Benchmark:
    """The benchmark of a name or alias; case and punctuation do not matter. ValueError lists the known names."""
    for benchmark in BENCHMARKS:
        if _key(name) in map(_key, (benchmark.name, *benchmark.aliases)):
            return benchmark
    raise ValueError(f"benchmark: expected one of {', '.join(b.name for b in BENCHMARKS)}, got {name}")


def _key(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _vot(year: int, sequences: int, eao: tuple[int, int] | None = None) -> Benchmark:
    return Benchmark(
        f"vot{year}",
        (f"VOT-ST{year}",) if year >= 2016 else (),
        "vot",
        sequences,
        VOT_RUNS,
        ("eao", *VOT) if eao else VOT,
        "vot-legacy",
        eao,
        legacy_rasterization=year <= 2015,
    )


# Intervals of EAO: the stacks of the VOT toolkits; before 2015 there was none.
BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark("otb2015", ("OTB100", "TB100", "OTB"), "otb", 100, RUNS, settings={"subset": "otb2015"}),
    Benchmark("otb2013", ("OTB51", "CVPR13", "CVPR2013"), "otb", 51, RUNS, settings={"subset": "otb2013"}),
    Benchmark("otb50", ("TB50",), "otb", 50, RUNS, settings={"subset": "otb50"}),
    Benchmark("otb30", (), "otb", 30, RUNS, ("average_overlap", *CURVES), settings={"subset": "otb30"}),
    _vot(2013, 16),
    _vot(2014, 25),
    _vot(2015, 60, (108, 371)),
    _vot(2016, 60, (108, 371)),
    _vot(2017, 60, (100, 356)),
    _vot(2018, 60, (100, 356)),
    Benchmark("uav123", (), "uav123", 123, settings={"version": "uav123"}),
    Benchmark("uav20l", (), "uav123", 20, settings={"version": "uav20l"}),
    Benchmark("uav123_10fps", ("UAV123@10fps",), "uav123", 123, settings={"version": "uav123_10fps"}),
    Benchmark("temple128", ("TC128", "TColor128", "Temple-color-128", "TempleColor128"), "temple", 128),
    Benchmark(
        "got10k",
        ("GOT-10k-val",),
        "got10k",
        180,
        measures=("average_overlap", "sr_50", "sr_75", "success_auc"),
        convention="got10k",
        settings={"split": "val"},
    ),
    Benchmark(
        "lasot",
        ("LaSOTTest",),
        "lasot",
        280,
        measures=("success_auc", "normalized_precision", "os_50", "precision_20"),
        convention="pysot",
        settings={"split": "test"},
    ),
    Benchmark(
        "davis2016",
        ("DAVIS", "DAVIS-16"),
        "davis",
        50,
        measures=("mask_iou",),
        convention="trackmeet",
        settings={"objects": "merged"},
    ),
    # The seven of ALOV300++'s 314 videos that are in VOT2014 are left out, as the reader does.
    Benchmark("alov300", ("ALOV300++", "ALOV"), "alov", 307, convention="trackmeet"),
    Benchmark("imagenet_det", ("ILSVRC-DET", "DET"), "imagenet_det", None, (), (), "trackmeet"),
)
