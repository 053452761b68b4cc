from __future__ import annotations

import threading
import time

import pytest

from orchestrator.conduct import look
from orchestrator.requests import CANCELLED, Requests, ask, full_name, pick
from orchestrator.store import Store


class Jobs:
    """Stands where the executor does: notes what it was asked to end."""

    def __init__(self) -> None:
        self.ended: dict[str, str] = {}

    def cancel(self, keys, message) -> None:
        self.ended |= dict.fromkeys(keys, message)


@pytest.fixture
def trials(project):
    """Of two trackers that learn, and of one that does not."""
    return look(project.options(), project.paths, Store(project.paths.store)).trials


@pytest.fixture
def folder(tmp_path):
    """Where requests lie."""
    return tmp_path / "requests"


def heard(requests: Requests, words) -> dict:
    """What the driver answers, while it ticks in this thread."""
    said = {}

    def run() -> None:
        said.update(ask(requests.folder, words, patience=20.0))

    asker = threading.Thread(target=run)
    asker.start()
    while asker.is_alive():
        requests.tick()
        time.sleep(0.01)
    return said


def test_the_jobs_of_a_trial_are_ended(folder, trials):
    """All jobs of the trials that are named end with a message that says why, and the answer says which trials."""
    jobs = Jobs()
    said = heard(Requests(folder, trials, jobs), ["Slow mover", "toy / Identity"])
    names = {"toy / Slow mover / train", "toy / Identity"}
    assert set(said["trials"]) == names
    assert jobs.ended == {key: CANCELLED for trial in trials if full_name(trial) in names for key in trial.keys}
    assert said["jobs"] == len(jobs.ended)
    assert list(folder.iterdir()) == []


def test_jobs_that_others_need_go_on(folder, trials):
    """A job that another trial needs goes on, until that is cancelled as well."""
    one = trials[0]
    other = type(one)(**{**vars(one), "tracker": "Twin", "scores": {}, "speed": {}})
    shared = other.keys
    assert shared < one.keys
    jobs = Jobs()
    requests = Requests(folder, [one, other], jobs)
    heard(requests, [full_name(one)])
    assert set(jobs.ended) == one.keys - shared
    heard(requests, ["twin"])
    assert set(jobs.ended) == one.keys


def test_a_word_means_one_trial(trials):
    """A full name or a key's beginning means its trial; part of several names is refused with the candidates."""
    assert full_name(pick("slow", trials)) == "toy / Slow mover / train"
    assert pick("toy / Mover / train", trials).tracker == "Mover"
    assert pick(trials[1].key[:12], trials) is trials[1]
    with pytest.raises(ValueError, match="several trials are 'mover'; expected one of toy / Mover / train; toy / Slow"):
        pick("mover", trials)
    with pytest.raises(ValueError, match="no trial 'Runner'; expected one of .*toy / Identity"):
        pick("Runner", trials)


def test_a_wrong_name_ends_nothing(folder, trials):
    """Where one of the names is wrong nothing is ended, and the answer says what is wrong."""
    jobs = Jobs()
    assert "no trial 'Runner'" in heard(Requests(folder, trials, jobs), ["Identity", "Runner"])["problem"]
    assert jobs.ended == {}


def test_a_search_ends_as_a_whole(folder):
    """A search has no trials to be named: asked to end one, it says how all of it is ended."""
    assert heard(Requests(folder, [], Jobs()), ["trial 3"])["problem"].endswith("only be ended as a whole: --all")


def test_the_run_ends_as_by_an_interrupt(folder, trials):
    """A request for the whole run is answered, and ends it as Ctrl-C does."""
    requests = Requests(folder, trials, Jobs())
    with pytest.raises(KeyboardInterrupt):
        heard(requests, None)


def test_what_nobody_heard_is_forgotten(folder, trials):
    """A request that no driver hears is an error after a while, and no later run hears it."""
    with pytest.raises(TimeoutError, match="did not answer in 0.2 s"):
        ask(folder, ["Identity"], patience=0.2)
    assert list(folder.iterdir()) == []
    (folder / "left.json").write_text('{"words": null}')
    Requests(folder, trials, Jobs()).tick()
