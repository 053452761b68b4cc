from __future__ import annotations

import json

import pytest

from orchestrator.conduct import conduct
from orchestrator.executor import Executor, Settings
from orchestrator.jobs import Job, Resources
from orchestrator.store import Store

pytestmark = pytest.mark.slow


@pytest.fixture
def pretended(monkeypatch):
    """A Ray of this machine's own that believes to have 16 CPUs and two GPUs."""
    from orchestrator.cluster import backend, connection

    init = connection.ray.init
    monkeypatch.setattr(connection.ray, "init", lambda **given: init(**{**given, "num_cpus": 16, "num_gpus": 2}))
    return backend.Cluster


def test_shares_of_a_gpu_run_side_by_side(tmp_path, pretended):
    """Nine jobs that take a quarter of a GPU each are done by eight slots, four on each of two GPUs."""
    jobs = [Job("nothing", f"nothing {i}", {"i": i}, resources=Resources(gpus=0.25)) for i in range(9)]
    cluster = pretended(tmp_path / "marker")
    try:
        executor = Executor(Store(tmp_path / "store"), cluster, [], tmp_path / "logs", Settings(device="cpu"))
        executor.run(jobs, {}, {})
        assert sorted(slot.share.gpu for slot in cluster._slots) == [0] * 4 + [1] * 4
    finally:
        cluster.close()
    assert not executor.failures


def test_two_processes_on_a_cluster_train_as_one(project, params):
    """A training that asks for two processes is done by two slots together, with one process's curve and scores."""
    params["studies"]["toy"] |= {"lengths": []}
    params["studies"]["toy"]["trackers"] = {"Pair": {"family": "toy.pair"}}
    (project.root / "toy" / "pair.py").write_text(PAIR)
    project.write(params)
    assert not conduct(project.options(), project.paths).failures
    [alone] = list(project.paths.results.rglob("training.json"))
    before = json.loads(alone.read_text())
    project.paths.store.rename(project.root / "elsewhere")
    params["studies"]["toy"]["trackers"]["Pair"]["resources"] = {"train": {"processes": 2}}
    project.write(params)
    assert not conduct(project.options(executor="ray", workers=2), project.paths).failures
    [together] = list(project.paths.results.rglob("training.json"))
    after = json.loads(together.read_text())
    assert [point[1] for point in after["loss"]] == pytest.approx([point[1] for point in before["loss"]], rel=1e-5)


PAIR = '''
"""A weight learnt from minibatches that several processes can share."""

from dataclasses import dataclass

import torch

from toy.family import Mover
from trackers.training import Inputs, Step, Training, fit


@dataclass(frozen=True)
class Config:
    training: Training = Training(batch=6, updates_per_epoch=4, epochs=2, report_every=2, learning_rate=0.1)


def steps(config):
    return [Step("fit", learn, parallel=True)]


def learn(inputs: Inputs, config, reporter):
    torch.manual_seed(inputs.seed)
    model = torch.nn.Linear(2, 2)

    def batch(number):
        generator = torch.Generator().manual_seed(number)
        x = torch.randn(config.training.batch, 2, generator=generator)
        return x, x + 1

    def costs(x, y):
        return {"loss": (model(x) - y).square().mean()}

    optimizer = torch.optim.SGD(model.parameters(), config.training.learning_rate)
    return fit(model, optimizer, batch, costs, config.training, reporter)


def tracker(config, weights, device):
    return Mover(weights["bias"].double().numpy(), 1000)
'''
