from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from orchestrator.executor import FOLLOWS, Event, Executor, Settings
from orchestrator.jobs import Job, Resources
from orchestrator.progress import Board
from orchestrator.record import NoRecord
from orchestrator.search_journal import Journal, population
from orchestrator.search_run import Found, Searching, describe, of_its_own
from orchestrator.search_space import Search
from orchestrator.store import Store
from trackers.evaluation.statistics import Estimate

ERROR = ("error", ("ValueError: diverged", "trace"))
LOST = ("lost", ("the worker died",))
DONE = ("done", ({"x": b"1"}, {}))


class Nodes:
    """A backend of so many places, where jobs become by their label what `fate` says; those of None never end."""

    def __init__(self, fate: dict, places: int = 9, waits: int = 0) -> None:
        self.fate, self.places = fate, places
        self.waits = {"shared": waits}  # how often it was still at work
        self.began: list[str] = []
        self.killed: list[str] = []
        self.now: dict[str, tuple[str, bool]] = {}  # label, and whether that it started was told

    def room(self, resources, avoid):
        return len(self.now) < self.places

    def elsewhere(self, resources, avoid):
        return False

    def start(self, key, task, resources, avoid):
        assert key not in self.now
        self.began.append(task.label)
        self.now[key] = task.label, False

    def wait(self, timeout, take):
        for key, (label, told) in list(self.now.items()):
            end = self.fate.get(label, DONE)
            if not told:
                self.now[key] = label, True
                take(Event(key, "started", ("node",)))
            elif self.waits.get(label):
                self.waits[label] -= 1
            elif end is not None:
                del self.now[key]
                take(Event(key, *end))

    def kill(self, key):
        self.killed.append(self.now.pop(key)[0])

    def close(self): ...


class Tune:
    """Stands where Tune does: asks for these candidates, one list a turn; the search ends when all are answered."""

    algorithm, scheduler, levels, error = "random", "none", [1], None

    def __init__(self, *turns: list[str]) -> None:
        self.turns, self.open = [list(turn) for turn in turns], {name for turn in turns for name in turn}
        self.answers: dict[str, object] = {}

    @property
    def running(self):
        return bool(self.open)

    def asked(self):
        names = self.turns.pop(0) if self.turns else []
        return [SimpleNamespace(by=name, member=None, lineage=[{"rate": name}]) for name in names]

    def ended(self):
        return []

    def answer(self, by, rung, score, over=False):
        self.open.discard(by)
        self.answers[by] = score

    def refuse(self, by, message):
        self.open.discard(by)
        self.answers[by] = message


def job(label: str, *needs: Job) -> Job:
    return Job("nothing", label, {"label": label}, {need.label: need for need in needs}, resources=Resources())


def ground(candidates: dict[str, list[Job]], numbers: dict[str, float]):
    """Of candidates by their rate: their jobs, and what they score."""

    def validated(name, lineage, last):
        return [SimpleNamespace(jobs=candidates[lineage[-1]["rate"]], rate=lineage[-1]["rate"])]

    return SimpleNamespace(
        search=Search({"rate": {"choice": (1,)}}),
        present=SimpleNamespace(family="f", name="T"),
        study=SimpleNamespace(name="s"),
        on=SimpleNamespace(name="videos"),
        held_out=("one", "two"),
        validated=validated,
        values=lambda trials, store: {"one": numbers[trials[0].rate]},
        proven=lambda name, settings: [SimpleNamespace(jobs=[])],
    )


def play(folder: Path, tune: Tune, backend: Nodes, candidates: dict[str, list[Job]], store=None, resume=False):
    """Run the search; its journal and executor."""
    journal, store = Journal(folder / "journal.jsonl", "this", resume), store or Store(folder / "store")
    board = Board([], 0, {}, folder / "status.json")
    searching = Searching(
        ground(candidates, dict.fromkeys(candidates, 0.5)), tune, journal, store, NoRecord(), board, {}
    )
    searching.executor = Executor(store, backend, [board, searching], folder / "logs", Settings())
    searching.executor.run([], {}, {}, searching)
    return journal, searching.executor


def test_what_failed_by_a_node_is_tried_again(tmp_path):
    """On --resume a candidate whose worker died is tried again; one that failed by its own error is not."""
    candidates = {"a": [job("dies")], "b": [job("diverges")], "c": [job("good")]}
    tune = Tune(["a", "b", "c"])
    journal, _ = play(tmp_path, tune, Nodes({"dies": LOST, "diverges": ERROR}), candidates)
    assert [member.ended for member in journal.members] == ["FAILED", "FAILED", None]
    assert "3 attempts" in tune.answers["a"]
    again, tune = Nodes({}), Tune(["a", "b", "c"])
    journal, _ = play(tmp_path, tune, again, candidates, resume=True)
    assert again.began == ["dies"]
    assert (tune.answers["a"], tune.answers["c"]) == (0.5, 0.5)
    assert tune.answers["b"].startswith("ValueError: diverged")


def test_too_slow_is_not_of_its_own(tmp_path):
    """A job that the executor ended for its time failed by no error of its own."""
    executor = Executor(Store(tmp_path / "store"), Nodes({"slow": None}), [], tmp_path / "logs", Settings(timeout=0.0))
    executor.run([slow := job("slow")], {}, {})
    assert "took longer" in executor.failures[slow.key]
    assert not of_its_own(executor.failures[slow.key])


def test_the_rest_of_a_failed_candidate_is_spared(tmp_path):
    """Once one of its jobs has failed, a candidate's others are ended, and what needs them never begins."""
    long = job("long")
    candidates = {"a": [job("diverges"), long, job("after", long)], "b": [job("good")]}
    backend = Nodes({"diverges": ERROR, "long": None})
    _, executor = play(tmp_path, Tune(["a", "b"]), backend, candidates)
    assert backend.killed == ["long"]
    assert "after" not in backend.began
    assert executor.failures[long.key].startswith(FOLLOWS)


@pytest.mark.parametrize(("places", "waits"), [(1, 0), (1, 3), (2, 0), (2, 3)])
def test_what_another_candidate_wants_is_not_spared(tmp_path, places, waits):
    """A job that a failed candidate shares goes on for who waits for it, and is done anew for who wants it later."""
    shared = job("shared")
    candidates = {"a": [job("diverges"), shared], "b": [shared, job("b", shared)], "c": [shared, job("c", shared)]}
    backend = Nodes({"diverges": ERROR}, places, waits)
    tune = Tune(["a", "b"], [], [], [], [], ["c"])
    play(tmp_path / "waited", tune, backend, candidates)
    assert backend.killed == []
    assert (tune.answers["b"], tune.answers["c"]) == (0.5, 0.5)
    for pause in range(6):  # whatever had become of it by then
        backend, tune = Nodes({"diverges": ERROR}, places, waits), Tune(["a"], *[[]] * pause, ["c"])
        play(tmp_path / f"later {pause}", tune, backend, candidates)
        assert tune.answers["c"] == 0.5
        assert backend.began.count("shared") <= 2
    assert "shared" in backend.killed or not waits


def test_the_store_is_asked_once_of_each_job(tmp_path):
    """What is found done, or was done meanwhile, is not looked for again: hashing it may take long."""
    looked: list[str] = []

    class Asked(Store):
        def done(self, key):
            looked.append(key)
            return super().done(key)

    store, shared, new = Asked(tmp_path / "store"), job("shared"), job("new")
    store.publish(shared, {"x": b"1"}, {})
    candidates = {name: [shared, new] for name in "abcd"}
    backend = Nodes({})
    play(tmp_path, Tune(["a", "b"], [], [], ["c"], ["d"]), backend, candidates, store)
    assert sorted(looked) == sorted([shared.key, new.key])
    assert backend.began == ["new"]


def test_a_population_goes_on_with_those_who_had_not_begun(tmp_path):
    """Whoever began first in the journal, each drawn setting is tried once; members go on with their last settings."""
    drawn = [{"rate": rate} for rate in (0.1, 0.2, 0.3, 0.4)]
    assert population([], drawn) == list(enumerate(drawn))
    journal = Journal(tmp_path / "journal.jsonl", "this", resume=False)
    fourth, second = journal.begin(drawn[3]), journal.begin(drawn[1])
    journal.score(fourth, [drawn[3]], 0.5)
    journal.score(fourth, [drawn[3], {"rate": 0.48}], 0.6)
    assert population(journal.members, drawn) == [(0, {"rate": 0.48}), (1, drawn[1]), (2, drawn[0]), (3, drawn[2])]
    journal.end(second, "FINISHED")
    assert population(journal.members, drawn[:2]) == [(0, {"rate": 0.48})]


def test_an_unknown_gain_is_said_to_be_so(tmp_path):
    """Where no held-out sequence has a value of both settings there is no gain, in words and not as a number."""
    none = Estimate(np.nan, np.nan, np.nan, 0)
    member = Journal(tmp_path / "journal.jsonl", "this", resume=False).begin({"rate": 0.1})
    found = Found(member, {"rate": 0.1}, 0.5, (0.4, 0.3), none, tmp_path, (), 0)
    text = "\n".join(describe(found, ground({}, {})))
    assert "the gain is unknown" in text
    assert "nan" not in text
    assert "nan" not in json.dumps(found.measured).lower()
    assert found.measured == {"best": 0.4, "present": 0.3, "gain": None}
