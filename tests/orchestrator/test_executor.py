from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.executor import Event, Executor, Observer, sized
from orchestrator.jobs import Job, Resources
from orchestrator.store import Store

GB = 10**9


class Scripted:
    """A backend of these nodes, each of which takes one task; what becomes of one is told by `outcome`."""

    def __init__(self, outcome: Callable[[str, str, Resources, int], tuple], nodes: tuple[str, ...] = ("a",)) -> None:
        self.outcome, self.nodes = outcome, nodes
        self.began: list[tuple[str, str]] = []  # (label, node)
        self.now: list[tuple] = []

    def room(self, resources, avoid):
        return not self.now

    def elsewhere(self, resources, avoid):
        return bool(set(self.nodes) - avoid)

    def start(self, key, task, resources, avoid):
        node = next((node for node in self.nodes if node not in avoid), None)
        assert node is not None
        self.began.append((task.label, node))
        self.now = [Event(key, "started", (node,)), Event(key, *self.outcome(task.label, node, resources, task.lanes))]

    def wait(self, timeout, take):
        now, self.now = self.now, []
        for event in now:
            take(event)

    def kill(self, key):
        self.now = []

    def close(self): ...


DONE = ("done", ({"x": b"1"}, {}))


def run(tmp_path: Path, backend: Scripted, *jobs: Job, source=None) -> tuple[Executor, list[str]]:
    """Run them; the executor, and why attempts were in vain."""
    told: list[str] = []

    class Ear(Observer):
        def retried(self, job, message):
            told.append(message)

    executor = Executor(Store(tmp_path / "store"), backend, [Ear()], tmp_path / "logs")
    executor.run(jobs, {}, {}, source)
    return executor, told


def test_what_fails_on_one_node_is_done_on_another(tmp_path):
    """A job's own error on a node is final only when another node has seen it, too; the result says where it failed."""
    job = Job("nothing", "job", {})
    bad = Scripted(lambda label, node, *_: ("error", ("no CUDA here", "trace")) if node == "a" else DONE, ("a", "b"))
    executor, told = run(tmp_path, bad, job)
    assert bad.began == [("job", "a"), ("job", "b")]
    assert told == ["no CUDA here on a; again on another node"]
    assert executor.store.manifest(job.key)["attempts"] == told
    worse = Scripted(lambda *_: ("error", ("a bug", "trace")), ("a", "b"))
    executor, _ = run(tmp_path, worse, other := Job("nothing", "other", {"x": 1}))
    assert len(worse.began) == 2
    assert executor.failures[other.key].startswith("a bug on b, and on a before (log: ")


def test_where_there_is_one_node_an_error_is_final(tmp_path):
    """A job's own error is not tried again where there is no other node."""
    backend = Scripted(lambda *_: ("error", ("a bug", "trace")))
    executor, told = run(tmp_path, backend, job := Job("nothing", "job", {}))
    assert len(backend.began) == 1
    assert told == []
    assert executor.failures[job.key].startswith("a bug (log: ")


def test_a_gpu_that_is_too_full_is_shared_with_fewer(tmp_path):
    """Out of a GPU's memory, training is tried again with twice the share, and tracking with half the lanes."""

    def outcome(label, node, resources, lanes):
        enough = resources.gpus >= 1 if label == "training" else lanes <= 8
        return DONE if enough else ("memory", ("out of memory", "gpu"))

    training = Job("train", "training", {}, resources=Resources(gpus=0.25))
    tracking = Job("track", "tracking", {}, resources=Resources(gpus=0.25))
    executor, told = run(tmp_path, Scripted(outcome), training, tracking)
    assert not executor.failures
    assert executor.store.manifest(training.key)["attempts"] == [
        "out of memory; again with 0.5 of a GPU in place of 0.25",
        "out of memory; again with 1 of a GPU in place of 0.5",
    ]
    assert executor.store.manifest(tracking.key)["attempts"] == [
        "out of memory; again with 16 lanes",
        "out of memory; again with 8 lanes",
    ]
    assert len(told) == 4


def test_a_job_is_given_the_memory_that_it_was_seen_to_take():
    """12 GB of a GPU of 80 are a fifth of it with a reserve; what was asked for as a whole stays whole."""
    took = {"memory": 2 * GB, "gpu_memory": 12 * GB, "gpu_total": 80 * GB}
    assert sized(Resources(gpus=0.5), took).gpus == pytest.approx(0.2)
    assert sized(Resources(gpus=0.1), {**took, "gpu_memory": 70 * GB}).gpus == 1.0
    assert sized(Resources(gpus=1.0), took).gpus == 1.0
    little = {"gpu_memory": GB // 10, "gpu_total": 8 * GB}  # 0.12 GB, and 0.6 of CUDA's own, are a tenth of 8
    assert sized(Resources(gpus=0.5), little).gpus == pytest.approx(0.1)
    assert sized(Resources(), took).memory == 9 * 2**28  # 2.2 GB, in steps of 256 MB
    assert sized(Resources(memory=GB), took).memory == GB
    assert sized(Resources(gpus=0.5), None) == Resources(gpus=0.5)


def test_jobs_that_come_later_run_too(tmp_path):
    """A source is asked until it is closed; what it gives may need what is done, or under way, or failed."""
    first = Job("nothing", "first", {})
    bad = Job("nothing", "bad", {"x": 1})
    waves = [[Job("nothing", "second", {}, {"first": first}), bad], [Job("nothing", "third", {}, {"bad": bad})], []]

    class Waves:
        @property
        def open(self):
            return bool(waves)

        def jobs(self):
            return waves.pop(0) if waves else []

    backend = Scripted(lambda label, *_: ("error", ("a bug", "")) if label == "bad" else DONE)
    executor, _ = run(tmp_path, backend, first, source=Waves())
    assert sorted(label for label, _ in backend.began) == ["bad", "first", "second"]
    assert sorted(executor.failures.values())[1] == "needs bad, which failed"


def test_cancelled_jobs_end_and_others_go_on(tmp_path):
    """Cancelling a job fails it and what needs it, with the message, and nothing else."""
    first, other = Job("nothing", "first", {}), Job("nothing", "other", {"x": 1})
    second = Job("nothing", "second", {}, {"first": first})

    class Cancel(Observer):
        def started(self, job, where):
            if job.label == "first":
                executor.cancel([job.key], "cancelled")

    backend = Scripted(lambda *_: DONE)
    executor = Executor(Store(tmp_path / "store"), backend, [Cancel()], tmp_path / "logs")
    executor.run([first, second, other], {}, {})
    assert executor.failures == {first.key: "cancelled", second.key: "needs first, which failed"}
    assert executor.store.done(other.key)


def test_a_damaged_checkpoint_is_left_aside(tmp_path):
    """Where the newest checkpoint is not what was kept, the one before it is taken; where none is whole, none."""
    store = Store(tmp_path / "store")
    for step in (1, 2, 3):
        store.keep_checkpoint("key", step, f"state {step}".encode())
    kept = sorted((tmp_path / "store" / "checkpoints" / "key").glob("*.pt"))
    assert len(kept) == 2
    assert store.checkpoint("key") == b"state 3"
    kept[1].write_bytes(b"state")
    assert store.checkpoint("key") == b"state 2"
    kept[0].write_bytes(b"")
    assert store.checkpoint("key") is None


def test_out_of_the_hosts_memory_a_job_is_tried_where_more_is_left_then_alone(tmp_path):
    """A training that runs out of the host's memory is tried with twice as much reserved, and at last by itself."""
    seen = []

    def outcome(label, node, resources, lanes):
        seen.append((resources.memory, resources.alone))
        return DONE if resources.alone else ("memory", ("out of memory", "host"))

    executor, _ = run(tmp_path, Scripted(outcome), Job("train", "job", {}, resources=Resources(memory=GB)))
    assert not executor.failures
    assert seen == [(GB, False), (2 * GB, False), (4 * GB, True)]


def test_who_needs_much_is_waited_for(tmp_path, monkeypatch):
    """A job that finds no room because small ones take whatever gets free is started once it was overtaken for long."""
    now = [0.0]
    monkeypatch.setattr("orchestrator.executor.time.monotonic", lambda: now[0])
    began: list[str] = []

    class Two(Scripted):
        """Two places, given back one at a time; a job of two processes needs both."""

        def __init__(self):
            self.running = []

        def room(self, resources, avoid):
            return len(self.running) + resources.processes <= 2

        def start(self, key, task, resources, avoid):
            began.append(task.label)
            self.running.append(key)

        def wait(self, timeout, take):
            now[0] += 30.0
            if self.running:
                take(Event(self.running.pop(0), *DONE))

    small = [Job("nothing", f"small {i}", {"i": i}) for i in range(20)]
    first = Job("nothing", "first", {"i": -1})
    large = Job("nothing", "large", {}, resources=Resources(processes=2))
    costs = {large.key: 50.0, first.key: 100.0}
    executor = Executor(Store(tmp_path / "store"), Two(), [], tmp_path / "logs")
    executor.run([first, large, *small], costs, {})
    assert not executor.failures
    assert began.index("large") == 6  # after four times 30 s, in which five small ones overtook it
