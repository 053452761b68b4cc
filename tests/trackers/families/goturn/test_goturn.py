import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from trackers.backbones import alexnet
from trackers.benchmarks.collection import Collection
from trackers.boxes import iou
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass
from trackers.families import goturn
from trackers.families.goturn import Config, Motion, cost, dropout, error, steps
from trackers.families.goturn.network import Model
from trackers.families.goturn.pretraining import Pretraining
from trackers.families.goturn.tracking import GOTURN
from trackers.sequence import Sequence
from trackers.synthetic.sprites import Scene, picture, render
from trackers.training import DivergedError, Inputs, Silent, Training

BACKBONE = alexnet.Config(widths=(4, 6, 6, 6, 4))
LITTLE = Training(batch=12, updates_per_epoch=4, epochs=2, report_every=2, learning_rate=1e-5)


def small(**settings):
    pretraining = Pretraining(training=Training(batch=8, updates_per_epoch=3, epochs=1, report_every=3))
    sizes = {"backbone": BACKBONE, "size": 64, "units": 16, "crops": 4, "training": LITTLE, "pretraining": pretraining}
    return Config(**{**sizes, **settings})


@pytest.fixture(scope="module")
def data():
    videos = []
    for i in range(10):
        clip = render(Scene(("disc", "star")[i % 2], ("CM",), 9, (96, 72), 20.0, 0.05), seed=i).sequence(
            f"0{i // 5}-x_video{i}"
        )
        videos.append(dataclasses.replace(clip, labelled=np.arange(9) % 4 == 0))
    images = []
    for i in range(12):
        shown = picture(["disc" if i % 2 else "star"], (96, 72), seed=i)
        images.append(Sequence(f"{i}", shown.image[None], shown.boxes, label=shown.labels[0]))
    return {
        "videos": Collection("videos", tuple(videos[:8])),
        "images": Collection("images", tuple(images)),
        "validation": Collection("validation", tuple(videos[8:])),
    }


def trained(config, data, seed=1, reporter=None, until="train"):
    """The weights of every step, in order."""
    weights = {}
    for step in steps(config):
        inputs = Inputs({role: data[role] for role in step.reads}, seed, "cpu", {n: weights[n] for n in step.needs})
        weights[step.name] = step.run(inputs, config, reporter if reporter and step.name == until else Silent())
    return weights


def random_tracker(seed=0, **settings):
    """An untrained tracker that does something."""
    torch.manual_seed(seed)
    config = small(**settings)
    model = Model(config.backbone, config.size, config.units, config.previous, initial_std=0.1)
    with torch.no_grad():
        model.fc8.bias.copy_(torch.tensor([2.5, 2.5, 7.5, 7.5]))
    return GOTURN(model, config.size, config.context, "cpu")


def clips(count, length=12):
    return [render(Scene("gear", ("CM",), length + i % 5), seed=i).sequence(str(i)) for i in range(count)]


def test_defaults_have_the_papers_sizes():
    """Two pool5 of 256 x 6 x 6 go into three layers of 4096 and an output of 4 (Section 3.3)."""
    config = Config()
    with torch.device("meta"):
        model = Model(config.backbone, config.size, config.units)
    shapes = [tuple(layer.weight.shape) for layer in (model.fc6, model.fc7, model.fc7b, model.fc8)]
    assert shapes == [(4096, 2 * 256 * 6 * 6), (4096, 4096), (4096, 4096), (4, 4096)]


def test_each_search_goes_with_its_target():
    """An example's answer depends on its own search crop, and on that row of the targets which belongs to it."""
    model = Model(BACKBONE, 64, 16, initial_std=0.1).eval()
    targets, searches = torch.rand(2, 3, 64, 64) * 255, torch.rand(3, 3, 64, 64) * 255
    of = torch.tensor([0, 1, 0])
    answers = model(targets, searches, of)
    alone = [model(targets[of[i], None], searches[i, None], torch.tensor([0])) for i in range(3)]
    torch.testing.assert_close(answers, torch.cat(alone), atol=1e-5, rtol=1e-4)
    changed = model(torch.stack([targets[0], 255 - targets[1]]), searches, of)
    assert [bool((changed[i] != answers[i]).any()) for i in range(3)] == [False, True, False]


def test_current_frame_only_does_not_see_the_target():
    """The network of Section 6.2 gives the same answer whatever the target's crop shows."""
    model = Model(BACKBONE, 64, 16, previous=False, initial_std=0.1).eval()
    targets, searches = torch.rand(2, 3, 64, 64) * 255, torch.rand(2, 3, 64, 64) * 255
    of = torch.arange(2)
    assert torch.equal(model(targets, searches, of), model(255 - targets, searches, of))


def test_costs_worked_by_hand():
    """L1 and L2 are summed over corners and examples; the error is their mean distance in shares of the window."""
    predicted = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
    corners = torch.tensor([[1.0, 2.0, 3.0, 6.0], [0.0, 0.0, 0.0, -3.0]])
    assert cost(predicted, corners, "l1").item() == 5.0
    assert cost(predicted, corners, "l2").item() == (4 + 9) / 2
    assert error(predicted, corners / 10).item() == pytest.approx(5 / 10 / 8)


def test_dropout_lets_half_through_at_twice_its_size():
    """Half of the units are 0 and the others 2, anew at each update, the same for the same update and seed."""
    config = small(units=400)
    kept = dropout(config, 1, 3, "cpu")
    assert kept.shape == (3, LITTLE.batch, 400)
    assert set(kept.unique().tolist()) == {0.0, 2.0}
    assert kept.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(dropout(config, 1, 3, "cpu"), kept)
    assert not torch.equal(dropout(config, 1, 4, "cpu"), kept)
    assert not torch.equal(dropout(config, 2, 3, "cpu"), kept)


def test_work_that_variants_share_is_one_job():
    """Steps that pack frames depend on no setting, and pre-training on the backbone's settings."""
    by_name = {step.name: step for step in steps(small())}
    assert list(by_name) == ["videos", "images", "backbone", "train"]
    assert by_name["videos"].settings == by_name["images"].settings == ()
    assert set(by_name["backbone"].settings) == {"backbone", "size", "context", "pretraining"}
    assert by_name["train"].settings is None


def test_a_file_of_weights_takes_the_place_of_pretraining():
    """With a file named, and videos alone to train on, no still image is looked at."""
    config = small(backbone=dataclasses.replace(BACKBONE, weights="caffenet.pt"), sources=("videos",))
    assert [step.name for step in steps(config)] == ["videos", "backbone", "train"]
    assert [step.files for step in steps(config)] == [(), ("caffenet.pt",), ()]


def test_weights_of_another_architecture_are_refused(data, tmp_path):
    """A weights file that does not fit is refused with the names and shapes that differ."""
    path = tmp_path / "caffenet.pt"
    torch.save(alexnet.AlexNet(alexnet.Config(widths=(4, 6, 8, 6, 4))).state_dict(), path)
    config = small(backbone=dataclasses.replace(BACKBONE, weights=str(path)))
    step = next(step for step in steps(config) if step.name == "backbone")
    with pytest.raises(ValueError, match=r"conv3.weight: expected \(6, 6, 3, 3\), got \(8, 6, 3, 3\)"):
        step.run(Inputs({}, 1, files={str(path): path}), config, Silent())


def test_the_convolutions_do_not_learn(data):
    """Training changes the fully connected layers, and leaves the convolutions as they were (Section 4.3)."""
    weights = trained(small(), data)
    for name, tensor in weights["backbone"].items():
        assert torch.equal(weights["train"][f"backbone.{name}"], tensor)


def test_training_is_deterministic_by_seed(data):
    """The same seed gives the same weights, another seed others."""
    first, again, other = (trained(small(), data, seed)["train"] for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["fc6.weight"], other["fc6.weight"])


class Interrupted(Silent):
    """Keeps the checkpoint of one update, and starts from it."""

    def __init__(self, at):
        self.at, self.kept, self.restart = at, None, False

    def checkpoint(self, step, state):
        if step == self.at and not self.restart:
            torch.save(state(), self.path)
            self.kept = True

    def resume(self):
        return torch.load(self.path, weights_only=True) if self.restart else None


@pytest.mark.parametrize("step", ["backbone", "train"])
def test_an_interrupted_training_ends_with_the_same_weights(step, data, tmp_path):
    """From its last checkpoint a training goes on to the same weights, bit for bit."""
    whole = trained(small(), data)[step]
    reporter = Interrupted(at=2)
    reporter.path = tmp_path / "checkpoint.pt"
    trained(small(), data, reporter=reporter, until=step)
    reporter.restart = True
    resumed = trained(small(), data, reporter=reporter, until=step)[step]
    assert reporter.kept
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


class Curves(Silent):
    def __init__(self):
        self.points = {}

    def metric(self, name, value, step):
        self.points.setdefault(name, []).append((step, value))


def test_held_out_videos_measure_the_error(data):
    """With videos to validate on, the error on them is reported; without, there is none, and weights are the same."""
    weights = []
    for validation, names in ((True, {"loss", "error", "validation error"}), (False, {"loss", "error"})):
        curves = Curves()
        weights.append(trained(small(validation=validation), data, reporter=curves)["train"])
        assert set(curves.points) == names
        assert all(np.isfinite(value) for points in curves.points.values() for _, value in points)
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_fewer_videos_are_part_of_more():
    """Of 100 videos, 14 of the paper's 307 are 5; they are among the 12 that 37 are, and so on to all."""
    numbers = [set(goturn.chosen(100, videos, seed=1)) for videos in (14, 37, 157, 307)]
    assert [len(part) for part in numbers] == [5, 12, 51, 100]
    assert all(less < more for less, more in pairwise(numbers))


def test_no_update_leaves_the_head_as_drawn(data):
    """With 0 epochs nothing is learnt: the floor under every trained one."""
    weights = trained(small(training=dataclasses.replace(LITTLE, epochs=0)), data)["train"]
    torch.manual_seed(1)
    drawn = Model(BACKBONE, 64, 16).state_dict()
    assert torch.equal(weights["fc7.weight"], drawn["fc7.weight"])


def test_a_training_that_diverges_says_so(data):
    """A learning rate that is far too high ends in an error with the number of the update."""
    config = small(loss="l2", training=dataclasses.replace(LITTLE, learning_rate=1e6, updates_per_epoch=50))
    with pytest.raises(DivergedError, match="update"):
        trained(config, data)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"size": 0}, "size"),
        ({"sources": ()}, "sources"),
        ({"sources": ("videos", "videos")}, "sources"),
        ({"dropout": 1.0}, "dropout"),
        ({"videos": 0}, "videos"),
        ({"videos": 308}, "videos"),
        ({"context": 0.5}, "context"),
        ({"context": math.inf}, "context"),
        ({"momentum": 1.0}, "momentum"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"bias_rate": -1.0}, "bias_rate"),
        ({"initial_std": -1.0}, "initial_std"),
        ({"size": 20}, "size"),
    ],
)
def test_settings_out_of_range_are_refused(change, field):
    """A setting that means nothing is refused by its name."""
    with pytest.raises(ValueError, match=f"^{field}: expected"):
        small(**change)


def test_lanes_do_not_matter():
    """One lane and 32, refilled in another order, give the same boxes to 1e-3 pixels."""
    sequences = clips(36)
    runs = {}
    for lanes, order in ((1, 1), (32, 1), (5, -1)):
        played = follow(random_tracker(), one_pass, sequences[::order], lanes)
        runs[lanes] = {trajectory.sequence: trajectory.regions for trajectory in played}
    for name, regions in runs[1].items():
        for lanes in (32, 5):
            np.testing.assert_allclose(runs[lanes][name], regions, atol=1e-3, err_msg=f"{name}, {lanes} lanes")


class Says(torch.nn.Module):
    """A network that always answers the same."""

    def __init__(self, *corners):
        super().__init__()
        self.corners = torch.tensor([corners])

    def forward(self, targets, searches, of):
        return self.corners.expand(len(of), 4)


def told(corners, box, image=(60, 80), times=1, context=2.0):
    """Where a tracker says the target is, whose network says these corners, `times` frames after `box`."""
    one = GOTURN(Says(*corners), 64, context, "cpu")
    frame = np.zeros((*image, 3), np.uint8)
    one.initialize([0], [frame], np.array([box], float))
    for _ in range(times):
        found = one.update([0], [frame])
    return found[0].tolist()


def test_answers_are_corners_in_the_window():
    """Corners in [0, 10] of the window twice the target's size, around it, become a box in the image."""
    assert told((2.5, 2.5, 7.5, 7.5), (30, 20, 20, 10)) == [30, 20, 20, 10]
    assert told((0, 0, 5, 10), (30, 20, 20, 10)) == [20, 15, 20, 20]


def test_a_target_that_leaves_stays_within_the_image():
    """However far the network says the target went, the box keeps a pixel in the image."""
    for corners in ((-90.0, -90.0, -80.0, -80.0), (90.0, 90.0, 99.0, 99.0)):
        x, y, w, h = told(corners, (30, 20, 20, 10), times=30)
        assert (w, h) == (1, 1)
        assert 0 <= x <= 79
        assert 0 <= y <= 59


def test_a_target_that_shrinks_to_nothing_keeps_a_pixel():
    """Corners the wrong way round, or all in one place, are a box of one pixel, and tracking goes on."""
    for corners in ((5.0, 5.0, 5.0, 5.0), (7.0, 7.0, 3.0, 3.0)):
        _, _, w, h = told(corners, (30, 20, 20, 10), times=30)
        assert (w, h) == (1, 1)


def test_a_target_may_grow_to_the_whole_image():
    """A box that grows at every frame ends as the image."""
    assert told((0.0, 0.0, 10.0, 10.0), (30, 20, 20, 10), times=30) == [0, 0, 80, 60]


def test_a_start_far_beyond_the_image_is_cut():
    """A start box of any size is looked at where it lies in the image."""
    assert told((2.5, 2.5, 7.5, 7.5), (-1e6, -1e6, 4e6, 4e6)) == [0, 0, 80, 60]


@pytest.mark.parametrize("context", [2.0, 3.0])
def test_no_number_means_that_nothing_moved(context):
    """Where the network's answer is NaN, the target is said to be where it was, to half a pixel."""
    nothing = (float("nan"),) * 4
    assert told(nothing, (30.25, 20, 20, 10), context=context) == pytest.approx([30.25, 20, 20, 10], abs=0.5)


def test_training_learns_to_look(data):
    """A short training on a few sprites already follows them better than before it."""
    config = small(
        units=64,
        initial_std=0.05,
        motion=Motion(),
        training=Training(batch=30, updates_per_epoch=150, epochs=1, learning_rate=2e-4),
    )
    before = trained(dataclasses.replace(config, training=dataclasses.replace(config.training, epochs=0)), data)
    after = trained(config, data)
    overlaps = []
    for weights in (before, after):
        one = goturn.tracker(config, weights["train"], "cpu")
        runs = follow(one, one_pass, data["videos"])
        truth = {sequence.name: sequence.groundtruth for sequence in data["videos"]}
        overlaps.append(np.mean([iou(run.boxes[1:], truth[run.sequence][1:]).mean() for run in runs]))
    assert overlaps[1] > overlaps[0] + 0.1


@pytest.mark.parametrize("loss", ["l1", "l2"])
def test_gradients_of_parts_add_up_to_the_wholes(loss, data, parted):
    """Of an update by several processes: each takes its part of the minibatch, and all of them the whole."""
    config = small(loss=loss, initial_std=0.1, training=dataclasses.replace(LITTLE, batch=13))
    weights = trained(dataclasses.replace(config, training=dataclasses.replace(LITTLE, epochs=0)), data)
    step = steps(config)[-1]
    inputs = Inputs({}, 1, "cpu", {name: weights[name] for name in step.needs})
    whole, summed = parted(lambda: step.run(inputs, config, Silent()))
    for one, other in zip(whole, summed, strict=True):
        assert (one - other).abs().max() <= 1e-5 * one.abs().max()
