import json
import time

import pytest
import yaml

from orchestrator.executor import InProcess
from orchestrator.params import load
from orchestrator.speed import overhead
from orchestrator.speed.features import Alone


def test_jobs_that_do_nothing_are_all_done(monkeypatch):
    """The rate is that of jobs that were really published, each by itself."""
    published = []
    publish = overhead.Store.publish

    def note(self, job, *rest):
        published.append(job.key)
        publish(self, job, *rest)

    monkeypatch.setattr(overhead.Store, "publish", note)
    measured = overhead.nothing(InProcess(), 5)
    assert len(set(published)) == len(published) == 5
    assert measured["rate"] > 0
    assert measured["peak"] >= measured["before"] > 0


def test_a_plan_has_as_many_jobs_as_were_asked_for(project, params):
    """Seeds are added until there are enough jobs, and no more than one seed's too many."""
    params["studies"]["toy"]["trackers"] = {"Mover": {"family": "toy.family"}}
    (project.root / "params.yaml").write_text(yaml.safe_dump(params))
    assert overhead.planned(load(project.root / "params.yaml"), 20)["jobs"] == 21  # three jobs a seed


@pytest.mark.parametrize(
    ("jobs", "share"),
    [
        ([(10.0, 10.0, "train"), (10.0, 10.0, "track")], 0.0),
        ([(10.0, 10.0, "train"), (5.0, 5.0, "track")], 0.25),  # the second worker has nothing to do for half of it
        ([(10.0, 9.0, "train"), (11.0, 1.0, "track")], 0.0),  # one worker, one job after the other
        ([(10.0, 10.0, "train"), (10.0, 10.0, "track"), (20.0, 10.0, "speed")], 0.0),  # it runs alone
    ],
)
def test_what_workers_did_not_work_is_overhead(jobs, share):
    """Of the time from the first job's start to the last one's end, times the workers that were ever busy at once."""
    assert overhead.idle(jobs) == pytest.approx(share)


def test_the_share_is_that_of_the_last_run(tmp_path):
    """Jobs of earlier runs do not count, nor does a run that was too short to say anything."""
    paths, now = Alone(tmp_path), time.time()
    assert overhead.of_last_run(paths) is None
    paths.build.mkdir()
    paths.status.write_text(json.dumps({"started": now - 200, "updated": now}))
    jobs = {"old": (now - 300, 50.0), "first": (now - 100, 80.0), "second": (now - 100, 40.0)}
    for key, (ended, worked) in jobs.items():
        folder = paths.store / "done" / key[:2] / key
        folder.mkdir(parents=True)
        manifest = {"finished": ended, "worked": worked, "identity": {"kind": "train"}}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    assert overhead.of_last_run(paths) == pytest.approx(0.25)
    paths.status.write_text(json.dumps({"started": now - 120, "updated": now - 99}))
    assert overhead.of_last_run(paths) == pytest.approx(0.25)
    (paths.store / "done" / "fi" / "first" / "manifest.json").unlink()
    assert overhead.of_last_run(paths) is None


@pytest.mark.slow
def test_a_pipeline_that_is_as_committed_has_nothing_to_do():
    """`dvc repro` is measured where it finds every stage unchanged."""
    assert overhead.trivial()["seconds"] > 0
    assert overhead.repro()["seconds"] > 0
