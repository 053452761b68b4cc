from dataclasses import replace

import pytest

from orchestrator import plan
from orchestrator.conduct import sources
from orchestrator.params import load
from orchestrator.record import Point
from orchestrator.record.layout import averages, groups, losing, metric_name, registered_name
from orchestrator.report.results import Quantity


def quantity(measure: str, length: int | None = None, protocol: str = "one_pass", subset: str = "all") -> Quantity:
    return Quantity(measure, protocol, length, subset)


def test_averages_are_means_over_folds_at_the_time_of_the_last():
    """Of 0.2 and 0.6 the mean is 0.4 and the deviation 0.2; curves have means by step, deviations none."""
    folds = [
        [Point("eao/VOT", 0.2, 0, 10), Point("loss", 3, 1, 1), Point("std over sequences/eao/VOT", 0.1, 0, 10)],
        [Point("eao/VOT", 0.6, 0, 20), Point("loss", 1, 1, 5), Point("std over sequences/eao/VOT", 0.3, 0, 20)],
    ]
    assert [(name, pytest.approx(value), step, at) for name, value, step, at in averages(folds)] == [
        ("eao/VOT", 0.4, 0, 20),
        ("std over folds/eao/VOT", 0.2, 0, 20),
        ("loss", 2, 1, 5),
    ]


def test_a_mean_is_of_what_all_folds_have():
    """A score that one of the folds lacks has no mean: it would be of other data."""
    folds = [[Point("a/X", 1, 0, 1), Point("b/X", 1, 0, 1)], [Point("a/X", 1, 0, 1)]]
    assert [point.name for point in averages(folds)] == ["a/X", "std over folds/a/X"]


def test_the_losing_fold_is_the_worst_by_the_papers_measure():
    """It is the least where more is better, and the most where less is: errors and failures."""
    eao, failures = ("VOT", quantity("eao")), ("VOT", quantity("failures"))
    found = {"fold 0": {eao: 0.2, failures: 3}, "fold 1": {eao: 0.1, failures: 2}}
    assert losing(found, "eao") == ("fold 1", "0.100 eao/VOT")
    assert losing(found, "failures") == ("fold 0", "3.000 failures/VOT")
    assert losing({}, "eao") == ("", "")


def test_names_are_what_mlflow_takes():
    """Metrics have no character that MLflow refuses; a model's name stands in an address without being quoted."""
    assert metric_name("UAV123@10fps", quantity("success_auc")) == "success_auc/UAV123_10fps"
    assert metric_name("OTB", quantity("cle", 20, "spatial_robustness", "blur")) == "cle/OTB/spatial_robustness/blur/20"
    assert registered_name("pixelwise", "2-stage ConvLSTM: a/b@c") == "pixelwise.2-stage-ConvLSTM-a-b-c"


def test_runs_are_named_by_what_tells_them_apart(project, params):
    """By the tracker alone; with data where it learns from several, with fold and seed where there are several."""
    params["studies"]["toy"]["trackers"].pop("Slow mover")
    params["studies"]["toy"]["seeds"] = [1, 2]
    params["datasets"]["more"] = params["datasets"]["train"]
    params["studies"]["toy"]["experiments"].append({"train": "more", "test": ["test"]})
    project.write(params)
    found = groups(plan.plan(load(project.root / "params.yaml"), sources(project.options(), project.paths)))
    assert [[group.title(trial) for trial in group.trials] for group in found] == [
        ["Mover, train, seed 1", "Mover, train, seed 2"],
        ["Mover, more, seed 1", "Mover, more, seed 2"],
        ["Identity"],
    ]
    mean = found[0]
    assert mean.key == replace(mean, trials=mean.trials[::-1]).key != replace(mean, trials=mean.trials[:1]).key
