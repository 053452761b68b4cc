"""Trainings by two processes, each of which runs this file as a script, against the same by one."""

import os
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from trackers import parallel
from trackers.backbones import alexnet
from trackers.benchmarks.collection import Collection
from trackers.families import goturn, rectracker
from trackers.families.goturn.pretraining import Pretraining
from trackers.sequence import Sequence
from trackers.synthetic.sprites import Scene, picture, render
from trackers.training import DivergedError, Inputs, Silent, Training, fit

LITTLE = Training(batch=5, updates_per_epoch=4, epochs=2, report_every=2, learning_rate=1e-3)


class Curves(Silent):
    """Keeps its metrics, in float64."""

    def __init__(self):
        self.metrics = []

    def metric(self, name, value, step):
        self.metrics.append((name, step, value))


class Learns(nn.Module):
    """Two layers, one more that no loss uses, and a factor."""

    def __init__(self):
        super().__init__()
        self.inside, self.out, self.idle = nn.Linear(3, 8), nn.Linear(8, 1), nn.Linear(2, 2)
        self.first = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.out(self.inside(x).tanh())[:, 0] * self.first


def exact(reporter, lost=None):
    """Five examples a minibatch, so parts of two and three; in float64. lost: an update whose loss is infinite."""
    torch.manual_seed(3)
    model = Learns().double()

    def batch(update):
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(update)).double()
        return x.t(), x @ torch.tensor([1.0, -2.0, 0.5]).double() + (torch.inf if update == lost else 0)

    def costs(x, y):
        errors = (model(x.t()) - y).square()
        return {"loss": errors.mean(), "total": errors.sum()}

    def validate():
        return {"weight": float(model.first.detach())}

    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=0.1)
    return fit(model, optimizer, batch, costs, LITTLE, reporter, validate, axes=(1, 0), sums=("total",))


class Squares:
    """A bright square that drifts over black."""

    def clips(self, count, *, seed, index, device):
        rng = np.random.default_rng((seed, index))
        at = (rng.uniform(0, 16, (count, 1, 2)) + rng.normal(size=(count, 1, 2)) * np.arange(5)[:, None]).clip(0, 16)
        frames = np.zeros((count, 5, 24, 24), np.uint8)
        for n, t in np.ndindex(count, 5):
            x, y = at[n, t].astype(int)
            frames[n, t, y : y + 8, x : x + 8] = 255
        boxes = np.concatenate([at, np.full_like(at, 8)], -1).astype(np.float32)
        return torch.from_numpy(frames), torch.from_numpy(boxes)


def recurrent(reporter):
    """RecTracker."""
    config = rectracker.Config(image_size=24, filters=4, filter_size=6, stride=3, units=8, training=LITTLE)
    return rectracker.train(Inputs({"train": Squares()}, seed=1), config, reporter)


def regressing(reporter):
    """GOTURN: both steps that learn, its loss a sum, two examples a target."""
    videos = [
        render(Scene(("disc", "star")[i % 2], ("CM",), 4, (96, 72), 20.0, 0.05), seed=i).sequence(f"{i}")
        for i in range(4)
    ]
    images = []
    for i in range(6):
        shown = picture(["disc" if i % 2 else "star"], (96, 72), seed=i)
        images.append(Sequence(f"{i}", shown.image[None], shown.boxes, label=shown.labels[0]))
    data = {"videos": Collection("videos", tuple(videos)), "images": Collection("images", tuple(images))}
    config = goturn.Config(
        backbone=alexnet.Config(widths=(4, 6, 6, 6, 4)),
        size=64,
        units=16,
        crops=4,
        initial_std=0.1,
        training=Training(batch=7, updates_per_epoch=2, epochs=2, report_every=2, learning_rate=1e-5),
        pretraining=Pretraining(
            held_out=3, training=Training(batch=5, updates_per_epoch=2, epochs=1, report_every=2, learning_rate=1e-4)
        ),
    )
    weights = {}
    for step in goturn.steps(config):
        inputs = Inputs({role: data[role] for role in step.reads}, 1, "cpu", {n: weights[n] for n in step.needs})
        weights[step.name] = step.run(inputs, config, reporter)
    return weights["train"]


TRAININGS = {"exact": exact, "recurrent": recurrent, "regressing": regressing}


def trained(name):
    """A training: gradients of each update, weights at the end, metrics."""
    gradients, reporter = [], Curves()

    def look(optimizer, *_):
        gradients.append(
            [p.grad.clone() for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        )

    watching = register_optimizer_step_pre_hook(look)
    try:
        weights = TRAININGS[name](reporter)
    finally:
        watching.remove()
    return {"gradients": gradients, "weights": dict(weights), "metrics": reporter.metrics}


def member(rank, ranks, meeting, out):
    """What a process does that runs this file."""
    with parallel.joined(rank, ranks, meeting, "cpu"):
        found = {name: trained(name) for name in TRAININGS}
        try:
            exact(Silent(), lost=2)
        except DivergedError as error:
            found["diverged"] = str(error)
    torch.save(found, out)


@pytest.fixture(scope="module")
def both():
    """What two processes found, together."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{rank}.pt" for rank in range(2)]
        members = [
            subprocess.Popen([sys.executable, __file__, str(rank), "2", f"file://{folder}/meeting", str(file)])
            for rank, file in enumerate(files)
        ]
        try:
            assert [process.wait(100) for process in members] == [0, 0]
        finally:
            for process in members:
                process.kill()
        yield [torch.load(file, weights_only=True) for file in files]


@pytest.mark.parametrize(("name", "near"), [("exact", 1e-12), ("recurrent", 1e-6), ("regressing", 1e-6)])
def test_two_processes_learn_what_one_does(both, name, near):
    """Gradients, weights at the end and curves are those of one process, to rounding, which grows with updates."""
    alone, (first, second) = trained(name), (found[name] for found in both)
    assert len(first["gradients"]) == len(alone["gradients"])
    for update, both_gradients in enumerate(zip(alone["gradients"], first["gradients"], strict=True)):
        for one, two in zip(*both_gradients, strict=True):
            assert (one - two).abs().max() <= near * (100 if update else 1) * one.abs().max()
    rounding = 1e-12 if name == "exact" else 1e-4
    for key, weight in alone["weights"].items():
        assert torch.allclose(weight, first["weights"][key], rtol=rounding, atol=rounding * 0.1)
        assert torch.equal(first["weights"][key], second["weights"][key])
    assert [point[:2] for point in first["metrics"]] == [point[:2] for point in alone["metrics"]]
    said = [[value for *_, value in found["metrics"]] for found in (first, alone)]
    assert said[0] == pytest.approx(said[1], rel=1e-4, abs=1e-6)


def test_all_diverge_at_one_update(both):
    """An infinite loss of one part ends the training in all processes, with the same words as in one."""
    with pytest.raises(DivergedError) as alone:
        exact(Silent(), lost=2)
    assert both[0]["diverged"] == both[1]["diverged"]
    assert both[0]["diverged"].split(";")[0] == str(alone.value).split(";")[0]


@given(st.integers(1, 40), st.integers(1, 8))
def test_parts_are_the_whole(count, ranks):
    """Parts follow each other, differ by one example at most, and their shares add up to 1."""
    whole = torch.arange(2 * count).view(2, count)
    if count < ranks:
        with pytest.raises(ValueError, match=f"an example for each of {ranks} processes, got {count}"):
            parallel.part((whole,), (1,), 0, ranks)
        return
    found = [parallel.part((whole, whole[0], whole), (1, 0, None), rank, ranks) for rank in range(ranks)]
    assert torch.equal(torch.cat([own[0] for own, _ in found], 1), whole)
    assert torch.equal(torch.cat([own[1] for own, _ in found]), whole[0])
    assert all(torch.equal(own[2], whole) for own, _ in found)
    sizes = [len(own[1]) for own, _ in found]
    assert max(sizes) - min(sizes) <= 1
    assert [share * count for _, share in found] == pytest.approx(sizes)


def test_examples_must_be_as_many_in_all_tensors():
    """A dimension that is not that of the examples is refused, not parted."""
    with pytest.raises(ValueError, match=r"as many examples in each tensor of a minibatch, got \[3, 4\]"):
        parallel.part((torch.zeros(4, 3), torch.zeros(3, 4)), None, 0, 2)


def test_a_process_whose_others_do_not_come_says_so():
    """A meeting without the others ends after its patience, with whom it waited for."""
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.raises(parallel.LostPeerError, match="process 0 of 2: expected an answer from the others"),
        parallel.joined(0, 2, f"file://{folder}/meeting", "cpu", timedelta(seconds=0.2)),
    ):
        raise AssertionError("unreachable")


def test_gloo_listens_where_the_meeting_is(monkeypatch):
    """On the loopback interface where the meeting is there; where the user names another, on that."""
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    with parallel._interface("tcp://127.0.0.1:29500"):
        assert os.environ["GLOO_SOCKET_IFNAME"] == "lo"
    assert "GLOO_SOCKET_IFNAME" not in os.environ
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth7")
    with parallel._interface("tcp://127.0.0.1:29500"):
        assert os.environ["GLOO_SOCKET_IFNAME"] == "eth7"
    assert os.environ["GLOO_SOCKET_IFNAME"] == "eth7"


if __name__ == "__main__":
    torch.set_num_threads(1)
    member(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
