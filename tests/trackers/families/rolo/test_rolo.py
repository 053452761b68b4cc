import numpy as np
import pytest
import torch
from torch import nn

from trackers import families
from trackers.evaluation.measures import MEASURES
from trackers.families import rolo
from trackers.families.rolo import Config, heatmaps
from trackers.families.rolo.network import LSTM, Model, Recurrence
from trackers.families.rolo.tracking import ROLO, SORT, YOLO
from trackers.training import Inputs, Silent, Training

REGRESS = ["location", "heatmap", "both"]


def small(updates=8, rate=1e-2, **settings):
    training = Training(
        batch=8, updates_per_epoch=updates // 2, epochs=2, report_every=updates // 2, learning_rate=rate
    )
    return Config(**{"side": 6, "steps": 3, "training": training, **settings})


def trained(config, world, seed=1, reporter=None):
    [step] = rolo.steps(config)
    return step.run(Inputs(world.data, seed, features=world.features), config, reporter or Silent())


def test_defaults_are_the_papers():
    """An LSTM of 4096 + 6 regresses locations over 6 frames (Sections 3.1, 4.4); with heatmaps it has 4096 + 1024."""
    config = Config()
    assert (config.regress, config.steps, config.side) == ("location", 6, 32)
    assert (config.training.batch, config.training.learning_rate) == (1, 1e-5)
    with torch.device("meta"):
        shapes = [Model(4096, regress).width for regress in REGRESS]
        assert Model(4096).by_location.weight_hh_l0.shape == (4 * 4102, 4102)
    assert shapes == [4 * 4102, 4 * 5120, 4 * 5120 + 6]


@pytest.mark.parametrize("steps", [1, 2, 6])
def test_the_lstm_is_torchs(steps):
    """States and all gradients are those of nn.LSTM with the same parameters, to float32's rounding."""
    torch.manual_seed(0)
    ours, other = LSTM(7), nn.LSTM(7, 7)
    other.load_state_dict(ours.state_dict())
    mine = torch.randn(steps, 3, 7, requires_grad=True)
    theirs = mine.detach().clone().requires_grad_()
    found, expected = ours(ours.projected(mine)), other(theirs)[0]
    torch.testing.assert_close(found, expected)
    weight = torch.randn(steps, 3, 7)
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad)
    for name, parameter in other.named_parameters():
        gradient = ours.get_parameter(name).grad  # none of what is not used in a single step
        torch.testing.assert_close(torch.zeros_like(parameter) if gradient is None else gradient, parameter.grad)


def test_the_lstms_gradients_are_its_slopes():
    """In float64, gradients of the gates' inputs and of the recurrent weights are what differences say."""
    torch.manual_seed(0)
    projected, weight = torch.randn(3, 2, 8, dtype=torch.float64), torch.randn(8, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(Recurrence.apply, (projected.requires_grad_(), weight.requires_grad_()))


def windows():
    """Visual vectors and detections of five windows of three frames."""
    return torch.rand(5, 3, 8), torch.rand(5, 3, 6)


def states(lstm, *parts):
    """Those of an LSTM (N, T, H), whose inputs have these parts (N, T, ..)."""
    return lstm(lstm.projected(torch.cat(parts, -1).transpose(0, 1))).transpose(0, 1)


def test_the_prediction_is_where_the_detection_is_in_the_input():
    """It is the last state at the places of x, y, w, h, or of the heatmap; gates are open at first."""
    model = Model(8, "location")
    visual, detections = windows()
    last = states(model.by_location, visual, detections)[:, -1]
    said = model(model.inputs(visual, detections))
    torch.testing.assert_close(said.location, last[:, 9:13])
    torch.testing.assert_close(said.visual, last[:, :8])
    assert said.heatmap is None
    bias = model.by_location.bias_ih_l0 + model.by_location.bias_hh_l0
    assert (bias[14:28] == 1).all()

    model = Model(8, "heatmap", 4)
    last = states(model.by_heatmap, visual, heatmaps.drawn(detections[..., 1:5], 4))[:, -1]
    said = model(model.inputs(visual, detections))
    torch.testing.assert_close(said.heatmap, last[:, 8:])
    assert said.location is None


def test_two_lstms_are_stacked():
    """The second sees the first's state in the place of the features, and the detections themselves (Section 5)."""
    model = Model(8, "both", 4)
    visual, detections = windows()
    first = states(model.by_heatmap, visual, heatmaps.drawn(detections[..., 1:5], 4))
    second = states(model.by_location, first[..., :8], detections)
    said = model(model.inputs(visual, detections))
    torch.testing.assert_close(said.heatmap, first[:, -1, 8:])
    torch.testing.assert_close(said.location, second[:, -1, 9:13])
    torch.testing.assert_close(said.visual, torch.cat([first[:, -1, :8], second[:, -1, :8]], -1))


def test_the_cost_by_hand():
    """Eq. 4: the squared distance of each sample, in the mean over samples."""
    predicted, true = torch.tensor([[1.0, 2, 3, 4], [0, 0, 0, 0]]), torch.tensor([[1.0, 0, 3, 3], [0, 0, 1, 0]])
    assert rolo.squared_distance(predicted, true) == (5 + 1) / 2


class Curves(Silent):
    def __init__(self):
        self.points = {}

    def metric(self, name, value, step):
        self.points.setdefault(name, []).append(value)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, {"loss", "location"}),
        ({"regress": "heatmap"}, {"loss", "heatmap"}),
        ({"regress": "both", "auxiliary": 0.5}, {"loss", "location", "heatmap", "visual"}),
    ],
)
def test_training_reduces_the_loss(walks, settings, names):
    """To less than half of what it was in its first updates; the loss is the sum of its parts."""
    curves = Curves()
    training = Training(batch=8, updates_per_epoch=20, epochs=5, report_every=20, learning_rate=2e-2)
    trained(small(training=training, **settings), walks, reporter=curves)
    assert set(curves.points) == names
    losses = np.array(curves.points["loss"])
    assert losses[-1] < losses[0] / 2
    np.testing.assert_allclose(losses, sum(np.array(curves.points[name]) for name in names - {"loss"}), rtol=1e-5)


def test_the_auxiliary_cost_keeps_the_visual_state_small(walks):
    """With it the visual part of the last state is smaller than without."""
    sizes = []
    for auxiliary in (0.0, 10.0):
        model = Model(8)
        model.load_state_dict(trained(small(updates=60, auxiliary=auxiliary), walks))
        torch.manual_seed(0)
        sizes.append(model(model.inputs(*windows())).visual.square().mean().item())
    assert sizes[1] < sizes[0] / 2


class Interrupted(Silent):
    """Keeps the checkpoint of one update, and goes on from it the next time."""

    kept, again = None, False

    def checkpoint(self, step, state):
        if step == 5:
            self.kept = {key: _copy(value) for key, value in state().items()}

    def resume(self):
        return self.kept


def _copy(value):
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list) else value


def test_an_interrupted_training_ends_with_the_same_weights(walks):
    """From its last checkpoint a training goes on to the same weights, bit for bit; another seed gives others."""
    config, reporter = small(dropout=0.2, offset=0.1), Interrupted()
    whole, _ = trained(config, walks), trained(config, walks, reporter=reporter)
    resumed = trained(config, walks, reporter=reporter)
    assert reporter.kept["done"] == 5
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert any(not torch.equal(whole[name], weight) for name, weight in trained(config, walks, seed=2).items())


@pytest.mark.parametrize("regress", REGRESS)
def test_a_tracker_is_made_of_trained_weights(walks, regress):
    """The network's width is that of the features that it has learnt from."""
    config = small(regress=regress)
    tracker = rolo.tracker(config, trained(config, walks), "cpu", walks.see)
    sequence = walks.sequences[0]
    tracker.initialize([0], sequence.images([0]), sequence.groundtruth[:1])
    assert isinstance(tracker, ROLO) and tracker.update([0], sequence.images([1])).shape == (1, 4)


@pytest.mark.parametrize(("method", "kind"), [("yolo", YOLO), ("sort", SORT)])
def test_baselines_learn_nothing(walks, method, kind):
    """They have no steps, and need no weights."""
    config = Config(method=method)
    assert rolo.steps(config) == []
    assert type(rolo.tracker(config, {}, "cpu", walks.see)) is kind


@pytest.mark.parametrize("method", ["rolo", "yolo", "sort"])
def test_what_the_released_code_does_is_marked(walks, method):
    """With `released` a tracker is an oracle, has a caveat, and a measure of its own; without, none of the three."""
    family = families.find("rolo")
    for released in (False, True):
        config = small(method=method, released=released)
        weights = trained(config, walks) if method == "rolo" else {}
        assert family.tracker(config, weights, "cpu", walks.see).oracle is released
        assert bool(family.caveat(config)) is released
        assert [MEASURES[name].name for name in family.measures(config)] == ["released_overlap"] * released
    assert ("next frame" in family.caveat(config)) is (method == "rolo")


def test_it_sees_through_the_extractor_of_its_settings():
    """The parameters name it."""
    assert families.find("rolo").extractor(Config(extractor="fast-yolo")) == "fast-yolo"


def test_nothing_to_learn_from_is_refused(world):
    """A data set without a label is an error."""
    made = world({"a": ([[np.nan] * 4] * 3, [[]] * 3)})
    with pytest.raises(ValueError, match="expected a frame with groundtruth to learn from, got none in any sequence"):
        trained(small(), made)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "kcf"}, "method: expected one of rolo, yolo, sort, got 'kcf'"),
        ({"regress": "boxes"}, "regress: expected one of location, heatmap, both, got 'boxes'"),
        ({"learn_from": "none"}, "learn_from: expected one of all, first_third, every_third, got 'none'"),
        ({"extractor": ""}, "extractor: expected the name of an extractor, got an empty one"),
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"history": 0}, "history: expected at least 1, got 0"),
        ({"side": -2}, "side: expected at least 1, got -2"),
        ({"iou_min": 0.0}, r"iou_min: expected a share in \(0, 1\], got 0.0"),
        ({"iou_min": float("nan")}, "iou_min: expected a share"),
        ({"dropout": 1.0}, r"dropout: expected a share in \[0, 1\), got 1.0"),
        ({"offset": -0.1}, "offset: expected at least 0, got -0.1"),
        ({"auxiliary": float("inf")}, "auxiliary: expected at least 0, got inf"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    """Each error names the setting, what was expected and what came."""
    with pytest.raises(ValueError, match=message):
        Config(**settings)


@pytest.mark.parametrize("regress", REGRESS)
def test_gradients_of_parts_add_up_to_the_wholes(regress, walks, parted):
    """Of an update by several processes: each takes its part of the minibatch, and all of them the whole."""
    config = small(updates=2, regress=regress, auxiliary=0.1, dropout=0.3, offset=0.1)
    whole, summed = parted(lambda: trained(config, walks), 3)
    for one, other in zip(whole, summed, strict=True):
        assert (one - other).abs().max() <= 1e-5 * one.abs().max()
