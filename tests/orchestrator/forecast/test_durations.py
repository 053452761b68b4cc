from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.forecast import durations
from orchestrator.forecast.durations import History, Sample, expected, kind, named
from orchestrator.jobs import Job
from orchestrator.progress import EXPECTED
from orchestrator.store import Store


def training(label: str, epochs: int = 2, filters: int = 16, family: str = "net", step: str = "train") -> Job:
    lasts = {"epochs": epochs, "updates_per_epoch": 100, "batch": 8}
    use = {"train": {"name": "data", "format": "otb", "settings": {}}}
    settings = {"filters": filters, "training": lasts}
    return Job("train", label, {"family": family, "settings": settings, "step": step, "train": use, "seed": 1})


def tracking(label: str, data: str, family: str = "net", protocol: str = "one_pass") -> Job:
    test = {"name": data, "format": "otb", "settings": {}}
    return Job("track", label, {"family": family, "settings": {}, "test": test, "protocol": protocol, "seed": 1})


def took(store: Store, job: Job, seconds: float, **facts: Any) -> None:
    store.publish(job, {"result": b"12345"}, {"seconds": seconds, **facts})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_job_takes_what_it_took(store):
    """Own history is the worker's own seconds, and with them memory and bytes."""
    took(store, training("a"), 9.0, worked=8.0, memory=100, bytes=7)
    took(store, training("b"), 100.0)
    estimate = History.of(store).estimate(training("a"))
    assert (estimate.seconds, estimate.basis, estimate.memory, estimate.bytes) == (8.0, "own history", 100, 7)


def test_another_fold_or_seed_takes_the_mean_of_its_likes(store):
    """What differs by label, seed and fold alone is alike: 10 s and 20 s make 15."""
    took(store, training("a / seed 1"), 10.0)
    took(store, training("a / seed 2"), 20.0)
    estimate = History.of(store).estimate(training("a / seed 3"))
    assert (estimate.seconds, estimate.basis) == (15.0, "alike")


def test_the_most_alike_settings_count(store):
    """Of two trainings the one that differs in fewer settings is asked."""
    took(store, training("a", filters=16), 10.0)
    took(store, training("b", filters=16, epochs=3), 60.0)
    assert History.of(store).estimate(training("c", filters=32)).seconds == 10.0


@pytest.mark.parametrize(("epochs", "seconds"), [(4, 20.0), (1, 5.0), (0, durations.LEAST)])
def test_longer_trainings_take_longer(store, epochs, seconds):
    """A training of twice the updates takes twice the time; one of none takes next to nothing."""
    took(store, training("a", epochs=2), 10.0)
    assert History.of(store).estimate(training("a", epochs=epochs)).seconds == seconds


def test_what_was_not_trained_tells_nothing_of_trainings(store):
    """A training of no epochs is no measure of one that has some."""
    took(store, training("untrained", epochs=0), 0.1)
    took(store, training("other", epochs=1, filters=99), 7.0)
    assert History.of(store).estimate(training("a", epochs=2)).seconds == 14.0


def test_more_frames_take_longer(store):
    """Frames of a data set are known by any tracker: 50 s in 100 frames are 20 s in 40."""
    took(store, tracking("a / long", "long"), 50.0, frames=100)
    took(store, tracking("b / short", "short", family="still"), 1.0, frames=40)
    assert History.of(store).estimate(tracking("a / short", "short")).seconds == pytest.approx(20.0)


def test_an_unknown_family_is_a_guess(store):
    """Another family's time is taken, and called a guess; an empty store has what every kind is expected to take."""
    assert expected([training("a")], store) == {training("a").key: EXPECTED["train"]}
    took(store, training("a"), 10.0)
    estimate = History.of(store).estimate(training("b", family="other"))
    assert (estimate.seconds, estimate.basis) == (10.0, "guess")


def test_seconds_are_scaled_by_the_pace_of_nodes(store):
    """What took 10 s at pace 2 is 20 s of work; a record without a pace is of the node that is meant."""
    took(store, training("a"), 10.0, pace=2.0, host="quick")
    assert History.of(store, 1.0).estimate(training("a")).seconds == 20.0
    took(store, training("a"), 10.0)
    assert History.of(store, 0.5).estimate(training("a")).seconds == 5.0


def test_expected_seconds_are_those_of_a_usual_node(store):
    """What every node did at pace 2 is expected to take as long again."""
    took(store, training("a"), 10.0, pace=2.0, host="one")
    assert expected([training("a")], store) == {training("a").key: 10.0}


def test_stores_of_earlier_versions_are_read_by_their_manifests(store):
    """Where the last job of a label is known without what it took, its manifest says it, and its files their size."""
    took(store, training("a"), 12.0)
    last = store.root / "last" / f"{named('a')}.json"
    last.write_text(json.dumps(training("a").identity()))
    estimate = History.of(store).estimate(training("a"))
    assert (estimate.seconds, estimate.basis, estimate.bytes) == (12.0, "own history", 5)


def test_calibrated_seconds_are_said_to_be_that_and_give_way_to_history():
    """A calibrated sample is no own history, and counts only where nothing alike was run."""
    history = History()
    same = kind("train", training("a").arguments)
    history.add(Sample(named("a"), same, 30.0, calibrated=True))
    assert (history.estimate(training("a")).seconds, history.estimate(training("a")).basis) == (30.0, "calibration")
    history.add(Sample(named("b"), same, 20.0))
    assert (history.estimate(training("a")).seconds, history.estimate(training("a")).basis) == (20.0, "alike")


def test_time_beside_the_work_is_the_median(store):
    """Drivers saw 1.0 s, 0.2 s and 0.1 s more than workers: 0.2 s beside each job."""
    for label, beside in (("a", 1.0), ("b", 0.2), ("c", 0.1)):
        took(store, training(label), 5 + beside, worked=5.0)
    assert History.of(store).beside == pytest.approx(0.2)
