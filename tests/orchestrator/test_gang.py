"""One task as several processes of this machine."""

import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import torch

from orchestrator import lineage
from orchestrator.attempt import attempt
from orchestrator.gang import cause, free_meeting, run_together
from orchestrator.work import Task

TWINS = '''
"""Learns a line; one process of several may fail."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from trackers import parallel
from trackers.training import Step, Training, fit


@dataclass(frozen=True)
class Config:
    updates: int = 6
    patience: int = 50
    fault: str = ""  # of the second process, before its 4th update: "bug" or "dead"; of both: "hang"
    diary: str = ""  # a folder in which each process notes its number


def steps(config):
    return [Step("fit", learn, reads=(), parallel=True)]


def tracker(config, weights, device): ...


def learn(inputs, config, reporter):
    torch.manual_seed(inputs.seed)
    model = torch.nn.Linear(3, 1)

    def batch(update):
        rank, _ = parallel.standing()
        if config.diary:
            (Path(config.diary) / str(rank)).write_text(str(os.getpid()))
        if config.fault == "hang":
            time.sleep(100)
        if update == 3 and rank == 1 and config.fault == "bug":
            raise ValueError("expected no bug")
        if update == 3 and rank == 1 and config.fault == "dead":
            os.kill(os.getpid(), 9)
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(update))
        return x, x @ torch.tensor([1.0, -2.0, 0.5])

    def costs(x, y):
        return {"loss": (model(x)[:, 0] - y).square().mean()}

    training = Training(
        batch=5, updates_per_epoch=2, epochs=config.updates // 2, patience=config.patience, report_every=1
    )
    print("learning")
    return fit(model, torch.optim.Adam(model.parameters(), 0.1), batch, costs, training, reporter)
'''


@pytest.fixture
def task(project):
    """Makes the task of training a family of the project's own by so many processes."""
    (project.root / "toy" / "twins.py").write_text(TWINS)

    def make(ranks=2, **settings):
        arguments = {"family": "toy.twins", "settings": settings, "step": "fit", "train": {}, "seed": 1}
        code = lineage.fingerprint(["toy.twins", "orchestrator.work"])
        return Task("train", "twins", arguments, {}, {}, code, ranks=ranks, checkpoint_seconds=0.0)

    return make


class Heard(list):
    """Events, as they are emitted."""

    def __call__(self, *event):
        self.append(event)

    def curve(self):
        return [(name, step, value) for kind, *rest in self if kind == "metric" for name, value, step, _ in [rest]]


def weights(outcome):
    kind, files, _ = outcome
    assert kind == "done"
    return torch.load(io.BytesIO(files["weights.pt"]), weights_only=True)


@pytest.mark.slow
def test_the_whole_job_by_two_processes_is_that_by_one(task):
    """Curves, progress, files and what was printed are; and it goes on from a checkpoint, bit for bit."""
    alone, both, later = Heard(), Heard(), Heard()
    one = attempt(task(1), alone)
    two = run_together(task(), both, attempt)
    assert one[0] == two[0] == "done", (one, two)
    assert sorted(two[1]) == sorted(one[1]) == ["learnt_from.json", "weights.pt"]
    for name, weight in weights(one).items():
        assert torch.allclose(weights(two)[name], weight, rtol=1e-5)
    assert [point[:2] for point in both.curve()] == [point[:2] for point in alone.curve()]
    assert [value for *_, value in both.curve()] == pytest.approx([value for *_, value in alone.curve()], rel=1e-5)
    assert [event for event in both if event[0] == "progress"] == [event for event in alone if event[0] == "progress"]
    assert ("log", "learning\n") in both
    half = next(content for kind, *rest in both if kind == "checkpoint" for step, content in [rest] if step == 3)
    resumed = run_together(replace(task(), checkpoint=half), later, attempt)
    assert later.curve() == both.curve()[3:]
    assert all(torch.equal(weight, weights(two)[name]) for name, weight in weights(resumed).items())


@pytest.mark.slow
def test_the_error_of_any_process_is_the_jobs(task):
    """Not what follows from it in the others, which are ended."""
    began = time.monotonic()
    kind, message, trace = run_together(task(fault="bug"), Heard(), attempt)
    assert (kind, message) == ("error", "ValueError: expected no bug")
    assert "twins.py" in trace
    assert time.monotonic() - began < 60


@pytest.mark.slow
def test_a_job_one_of_whose_processes_is_killed_is_lost(task):
    """It may be tried again, as if a worker had died; the first process does not wait for the other for ever."""
    kind, message = run_together(task(fault="dead"), Heard(), attempt)
    assert (kind, message) == ("lost", "process 1 of 2 died (exit code -9)")


@pytest.mark.slow
def test_processes_die_with_the_one_that_started_them(task, project):
    """Even where that is killed at once, and they wait or sleep."""
    script = """
        from pathlib import Path
        import pickle, sys
        from orchestrator import gang
        from orchestrator.attempt import attempt
        if __name__ == "__main__":
            gang.run_together(pickle.loads(Path("task").read_bytes()), print, attempt)
    """
    import pickle

    (project.root / "begin.py").write_text(textwrap.dedent(script))
    (project.root / "task").write_bytes(pickle.dumps(task(fault="hang", diary=str(project.root))))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(project.root), *sys.path])}
    parent = subprocess.Popen([sys.executable, "begin.py"], env=environment)
    notes = [project.root / str(rank) for rank in range(2)]
    try:
        assert within(60, lambda: all(note.exists() and note.read_text() for note in notes))
        children = [int(note.read_text()) for note in notes]
        assert all(runs(child) for child in children)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert within(10, lambda: not any(runs(child) for child in children))


def within(seconds, true):
    until = time.monotonic() + seconds
    while time.monotonic() < until and not true():
        time.sleep(0.05)
    return true()


def runs(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as file:  # noqa: PTH123  # a zombie runs no more
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


def test_the_cause_is_what_does_not_follow():
    """Of what processes say the first that is not that another one is gone; where all say that, one is lost."""
    lost = ("error", "LostPeerError: process 0 of 2: expected an answer from the others", "")
    memory = ("memory", "out of memory: 1 GB")
    assert cause([lost, memory, ("lost", "died")]) == memory
    assert cause([lost, lost]) == ("lost", lost[1])


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_meeting_is_at_a_free_port(address):
    """On that address, at a port above the reserved ones, where one can listen."""
    import socket

    place = urlsplit(free_meeting(address))
    assert (place.scheme, place.hostname) == ("tcp", address)
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as listening:
        listening.bind((address, place.port))
