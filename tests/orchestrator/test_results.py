from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator import results
from orchestrator.jobs import Data, Job
from orchestrator.params import Dataset, Params, Study, Variant
from orchestrator.plan import Trial
from orchestrator.store import Store
from trackers import families
from trackers.benchmarks import otb


@dataclass(frozen=True)
class Config:
    """Of a family that may look at the groundtruth."""

    looks: bool


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """A copy of OTB-30's test part that has no more than Gym."""
    (tmp_path / "data" / "gym").mkdir(parents=True)
    (tmp_path / "data" / "gym" / "groundtruth_rect.txt").write_text("1,2,3,4\n")
    return Dataset("OTB-30-test", "otb", tmp_path / "data", otb.Config(subset="otb30_test"))


def test_what_a_data_set_lacks(dataset: Dataset) -> None:
    """Of a named part of a benchmark the names that are not there; of a format that knows no names nothing."""
    assert results.missing(dataset, dataset.root) == (
        *("CarScale", "Dancer", "Dancer2", "Human8", "Jump", "Skater", "Skater2"),
    )
    assert results.missing(Dataset("mine", "plain", dataset.root, None), dataset.root) == ()


def test_results_say_what_readers_must_know(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """study.json has what each data set lacks, and what must be said of each tracker."""
    family = SimpleNamespace(caveat=lambda config: "It looks." if config.looks else None)
    monkeypatch.setattr(families, "find", lambda name: family)
    job = Job("score", "score", {}, data={dataset.name: Data(dataset.root, "digest")})
    variants = [Variant(name, "mine", Config(looks=name == "Peeking")) for name in ("Honest", "Peeking")]
    trials = [Trial("study", one.name, None, 1, one, {}, {}, {dataset.name: job}, {}) for one in variants]
    params = Params("custom", {dataset.name: dataset}, (Study("study", (), tuple(variants)),))
    results.write(params, trials, Store(tmp_path / "store"), {}, tmp_path / "results")
    study = json.loads((tmp_path / "results" / "study" / "study.json").read_text())
    assert [trial["caveat"] for trial in study["trials"]] == [None, "It looks."]
    assert study["data"][dataset.name]["missing"] == list(results.missing(dataset, dataset.root))
