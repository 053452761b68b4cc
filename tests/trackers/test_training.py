import io
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trackers.optimizers import RMSProp
from trackers.training import DivergedError, Silent, Training, fit, unchanged

SMALL = Training(batch=4, updates_per_epoch=6, epochs=3, learning_rate=0.01, report_every=4)


class Kill(BaseException):
    """What stands for kill -9."""


class Kept(Silent):
    """Keeps every `every`-th checkpoint as a file would, and dies at the updates in `kills`."""

    def __init__(self, every=1, kills=()):
        self.every, self.kills = every, set(kills)
        self.saved, self.metrics, self.done = None, [], []

    def checkpoint(self, step, state):
        if step % self.every == 0:
            file = io.BytesIO()
            torch.save(state(), file)
            self.saved = file.getvalue()
        if step in self.kills:
            self.kills.remove(step)
            raise Kill

    def resume(self):
        return self.saved and torch.load(io.BytesIO(self.saved), map_location="cpu", weights_only=True)

    def metric(self, name, value, step):
        self.metrics.append((name, step, value))

    def progress(self, done, total):
        self.done.append((done, total))


def batch(update):
    """Points of a line, by the number of the update alone."""
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(update))
    return x, x @ torch.tensor([1.0, -2.0, 0.5])


def regress(training=SMALL, reporter=None, batch=batch, spoil=None):
    """Fit a line; `spoil(loss)` replaces the loss."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)

    def costs(x, y):
        loss = (model(x)[:, 0] - y).square().mean()
        return {"loss": loss if spoil is None else spoil(loss), "largest": y.max()}

    optimizer = RMSProp(model.parameters(), lr=training.learning_rate)
    return fit(model, optimizer, batch, costs, training, reporter or Silent())


def test_training_learns():
    """Enough updates find the line."""
    weights = regress(Training(batch=4, updates_per_epoch=300, epochs=1, learning_rate=0.01))
    assert weights["weight"][0].tolist() == pytest.approx([1, -2, 0.5], abs=0.05)


@settings(max_examples=15, deadline=None)
@given(kills=st.lists(st.integers(1, 17), max_size=4), every=st.integers(1, 5), decay=st.booleans())
def test_interrupted_equals_uninterrupted(kills, every, decay):
    """Killed anywhere, any number of times, training ends with the same weights, curve and stopping state."""
    training = Training(**{**vars(SMALL), "decay": decay})
    whole = Kept()
    expected = regress(training, whole)
    pieces = Kept(every, kills)
    while True:
        try:
            weights = regress(training, pieces)
            break
        except Kill:
            continue
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert set(pieces.metrics) == set(whole.metrics)
    ends = [torch.load(io.BytesIO(r.saved), weights_only=True) for r in (whole, pieces)]
    if 18 % every == 0:
        assert [ends[0][key] for key in ("done", "best", "stale")] == [
            ends[1][key] for key in ("done", "best", "stale")
        ]


def test_metrics_are_means_of_their_window():
    """A point of a curve is the mean since the last point; windows end with their epoch."""
    reporter = Kept()
    regress(reporter=reporter)
    largest = [float(batch(update)[1].max()) for update in range(18)]
    points = {step: value for name, step, value in reporter.metrics if name == "largest"}
    assert list(points) == [4, 6, 10, 12, 16, 18]
    assert points[4] == pytest.approx(sum(largest[:4]) / 4)
    assert points[6] == pytest.approx(sum(largest[4:6]) / 2)
    assert points[18] == pytest.approx(sum(largest[16:18]) / 2)


def test_progress_counts_every_update():
    """Progress is told in updates, of all that there may be."""
    reporter = Kept()
    regress(reporter=reporter)
    assert reporter.done == [(done, 18) for done in range(1, 19)]


def test_stops_when_the_cost_no_longer_falls():
    """Training ends after `patience` epochs whose mean cost is not a new lowest, and stays ended."""
    training = Training(batch=4, updates_per_epoch=2, epochs=50, patience=3)
    costs = iter([5, 4, 4.5, 3, 3, 3.5, 9, 0])  # the lowest is epoch 4's; epochs 5, 6, 7 are no better

    def spoil(loss):
        spoil.calls += 1
        if spoil.calls % 2:
            spoil.cost = next(costs)
        return loss * 0 + spoil.cost

    spoil.calls = 0
    reporter = Kept()
    regress(training, reporter, spoil=spoil)
    assert reporter.done[-1] == (14, 100)
    regress(training, reporter, spoil=spoil)
    assert spoil.calls == 14


def test_learning_rate_falls_to_zero():
    """With decay the learning rate falls linearly from the first update to 0 after the last."""
    rates = []

    class Watched(RMSProp):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            super().step()

    model = torch.nn.Linear(3, 1)
    training = Training(updates_per_epoch=2, epochs=2, decay=True)
    fit(model, Watched(model.parameters(), lr=0.4), batch, lambda x, y: {"loss": model(x).sum()}, training, Silent())
    assert rates == pytest.approx([0.4, 0.3, 0.2, 0.1])


@pytest.mark.parametrize("number", [0, 3, 5, 6, 13])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_diverged_training_says_where(number, bad):
    """A loss that is not finite names its update, itself, the learning rate and the last finite loss."""
    losses = []

    def spoil(loss):
        losses.append(loss.item() if len(losses) != number else bad)
        return loss if len(losses) - 1 != number else loss * bad

    with pytest.raises(DivergedError) as error:
        regress(spoil=spoil)
    message = str(error.value)
    assert f"update {number}: expected a finite loss, got {bad} at a learning rate of 0.01" in message
    assert (f"{losses[number - 1]:g}" if number else "none") in message


def test_no_checkpoint_of_a_diverged_training():
    """What is checkpointed was still finite."""
    reporter = Kept()
    with pytest.raises(DivergedError):
        regress(
            reporter=reporter, batch=lambda update: tuple(t * (math.nan if update == 2 else 1) for t in batch(update))
        )
    assert reporter.resume()["done"] == 2


def test_weights_that_are_not_finite_are_refused():
    """The last update may break the weights without a bad loss after it: they are not published."""
    model = torch.nn.Linear(1, 1)
    optimizer = RMSProp(model.parameters(), lr=math.inf)
    training = Training(updates_per_epoch=1, epochs=1)
    with pytest.raises(DivergedError, match="weights weight"):
        fit(
            model, optimizer, lambda update: (torch.ones(1, 1),), lambda x: {"loss": model(x).sum()}, training, Silent()
        )


def test_rehearsal_leaves_no_trace():
    """What a capture rehearses is undone in place: weights, buffers and the optimizer's state."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = RMSProp(model.parameters(), lr=0.1)

    def update():
        optimizer.zero_grad()
        model(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()

    before = {name: (tensor, tensor.clone()) for name, tensor in model.state_dict().items()}
    with unchanged(model, optimizer):
        update()
        assert not torch.equal(*before["0.weight"])
    assert all(torch.equal(tensor, copy) for tensor, copy in before.values())
    made = [value for state in optimizer.state.values() for value in state.values()]
    assert made
    assert not any(value.any() for value in made)
    update()
    kept = [value.clone() for value in made]
    with unchanged(model, optimizer):
        update()
    assert all(torch.equal(value, copy) for value, copy in zip(made, kept, strict=True))


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"epochs": -1}, {"drop_every": 0}, {"patience": 0}, {"learning_rate": -1.0}]
)
def test_settings_out_of_range_are_refused(wrong):
    """A setting outside its range is refused by name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Training(**wrong)


def test_defaults_are_the_papers_schedule():
    """By default 3,200,000 examples are seen, in minibatches of 32 and 50 epochs (Appendix B)."""
    assert Training().updates * Training().batch == 3_200_000


def test_learning_rate_drops_to_a_tenth():
    """With `drop_every` the learning rate is divided by ten after each so many updates."""
    model = torch.nn.Linear(1, 1)
    optimizer, rates = torch.optim.SGD(model.parameters(), lr=0.5), []

    def costs(x):
        rates.append(optimizer.param_groups[0]["lr"])
        return {"loss": model(x).square().sum()}

    training = Training(updates_per_epoch=5, epochs=1, learning_rate=0.5, drop_every=2)
    fit(model, optimizer, lambda update: (torch.ones(1, 1),), costs, training, Silent())
    assert rates == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.005])


def test_validation_sees_the_model_in_evaluation_mode():
    """More metrics are taken whenever costs are reported, with dropout and the like switched off."""
    model, reporter, modes = torch.nn.Linear(1, 1), Kept(), []

    def validate():
        modes.append(model.training)
        return {"held out": 7.0}

    def costs(x):
        assert model.training
        return {"loss": model(x).square().sum()}

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    fit(model, optimizer, lambda update: (torch.ones(1, 1),), costs, SMALL, reporter, validate)
    assert [step for name, step, value in reporter.metrics if name == "held out"] == [4, 6, 10, 12, 16, 18]
    assert modes == [False] * 6
