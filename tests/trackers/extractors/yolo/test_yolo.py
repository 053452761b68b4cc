import dataclasses

import numpy as np
import pytest
import torch

from trackers.backbones import yolo as backbone
from trackers.benchmarks.collection import Collection
from trackers.boxes import iou
from trackers.extractors import find, yolo
from trackers.extractors.yolo import Config, Detection, Pretraining, shared, steps
from trackers.extractors.yolo.examples import Augmentation
from trackers.extractors.yolo.shared import Shared
from trackers.sequence import Sequence
from trackers.synthetic.sprites import picture
from trackers.training import Inputs, Silent, Training

NETWORK = backbone.Config("miniature", width=1 / 64, features=9, grid=3, classes=("disc", "star"))
LITTLE = Training(batch=4, updates_per_epoch=4, epochs=1, report_every=2, learning_rate=1e-3)


def small(**settings):
    phases = {"pretraining": Pretraining(held_out=4, training=LITTLE), "detection": Detection(4, training=LITTLE)}
    return Config(**{"network": NETWORK, "optimizer": "adam", **phases, **settings})


@pytest.fixture(scope="module")
def data():
    sequences = []
    for i in range(8):
        shown = picture(["disc", "star"], (64, 48), seed=i)
        frames = shown.image[None]
        sequences += [
            Sequence(f"{i}.{k}", frames, shown.boxes[k : k + 1], label=shown.labels[k]) for k in range(len(shown.boxes))
        ]
    stills = Collection("images", tuple(sequences))
    return {"classes": stills, "objects": stills}


class KilledError(Exception):
    pass


class Recorder(Silent):
    """Keeps names of curves; dies after so many updates, with a checkpoint; goes on from one."""

    def __init__(self, dies_after=None, saved=None):
        self.dies_after, self.saved, self.names = dies_after, saved, set()

    def metric(self, name, value, step):
        self.names.add(name)

    def checkpoint(self, step, state):
        if step == self.dies_after:
            self.saved = state()
            raise KilledError

    def resume(self):
        return self.saved


def trained(config, data, reporters=None):
    """The weights of every step, in order."""
    weights = {}
    for step in steps(config):
        inputs = Inputs({role: data[role] for role in step.reads}, 1, "cpu", {n: weights[n] for n in step.needs})
        weights[step.name] = step.run(inputs, config, (reporters or {}).get(step.name, Silent()))
    return weights


def test_both_phases_end_in_a_detector(data):
    """Packed, pretrained, trained to detect: the weights make an extractor; accuracy and mAP are reported."""
    reporters = {"pretrain": Recorder(), "detect": Recorder()}
    weights = trained(small(), data, reporters)
    assert set(weights["pretrain"]) == {f"convolutions.{i}.{part}" for i in range(5) for part in ("weight", "bias")}
    assert reporters["pretrain"].names == {"loss", "accuracy"}
    assert reporters["detect"].names == {"loss", "coordinates", "confidence", "nothing", "classes", "mAP"}
    assert find("yolo").Config is Config
    images = [sequence.frames[0] for sequence in data["objects"]]
    seen = yolo.extractor(dataclasses.replace(small(), threshold=0.0), weights["detect"], "cpu")(images)
    assert len(seen) == len(images)
    for one in seen:
        assert one.features.shape == (9,)
        assert one.features.dtype == np.float16
        assert one.boxes.shape == (len(one.scores), 4)
        assert (np.diff(one.scores) <= 0).all()


@pytest.mark.parametrize("step", ["pretrain", "detect"])
def test_training_resumes_bit_for_bit(step, data):
    """A training that is killed and goes on ends with the weights of one that was not."""
    config = small(network=dataclasses.replace(NETWORK, dropout=0.3))
    whole = trained(config, data)
    killed = Recorder(dies_after=3)
    with pytest.raises(KilledError):
        trained(config, data, {step: killed})
    resumed = trained(config, data, {step: Recorder(saved=killed.saved)})
    for name, weight in whole[step].items():
        assert torch.equal(weight, resumed[step][name])


def test_objects_are_learnt_by_heart():
    """Two images and their objects: after some updates each is detected where it is, and as what it is."""
    images = np.full((2, 48, 48, 3), 128, np.uint8)
    images[0, 8:24, 20:44], images[1, 20:44, 8:24] = (250, 30, 30), (30, 30, 250)
    boxes, labels = np.array([[20.0, 8, 24, 16], [8, 20, 16, 24]]), ("disc", "star")
    stills = [Sequence(f"{i}.{copy}", images[i : i + 1], boxes[i : i + 1], label=labels[i])
              for copy in range(2) for i in range(2)]  # fmt: skip
    training = Training(batch=4, updates_per_epoch=60, epochs=1, report_every=60, learning_rate=3e-3)
    phase = Detection(4, Augmentation(0.0, 1.0, flip=False), training)
    config = small(network=dataclasses.replace(NETWORK, width=1 / 32, dropout=0.0, features=32), detection=phase)
    weights = trained(config, dict.fromkeys(("classes", "objects"), Collection("two", tuple(stills))))["detect"]
    for one, box, label in zip(yolo.extractor(config, weights, "cpu")(list(images)), boxes, (0, 1), strict=True):
        assert iou(one.boxes[0].astype(float), box) > 0.5
        assert one.classes[0] == label


def test_shared_layers_are_written_out_as_connected_ones(monkeypatch):
    """What convolutions over cells have learnt, a YOLO with fully connected layers answers, whatever its layout."""
    monkeypatch.setattr(shared, "AT_ONCE", 7)  # inputs, in many passes
    for layout, features in (("miniature", 18), ("fast", 9)):
        network = dataclasses.replace(NETWORK, layout=layout, width=18 / 256 if layout == "fast" else 1 / 64)
        network = dataclasses.replace(network, features=features)
        torch.manual_seed(1)
        learning = Shared(network)
        torch.nn.init.normal_(learning.connected[-1].weight, std=0.3)
        whole = backbone.YOLO(network)
        whole.load_state_dict(learning.written_out())
        images = torch.rand(2, 3, network.size, network.size) * 255
        kept = (torch.rand(2, features) > 0.5) * 2.0
        for one, other in zip(learning(images, kept), whole(images, kept), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_shared_layers_take_units_for_every_cell():
    """Hidden units that cannot be dealt out to the cells are refused where they are set."""
    network, phase = dataclasses.replace(NETWORK, features=8), Detection(shared=True)
    with pytest.raises(ValueError, match="shared: expected hidden units in multiples of 9, the cells, got 8"):
        small(network=network, detection=phase)
    small(network=network)


@pytest.mark.parametrize("together", [False, True])
def test_shared_or_not_the_weights_are_those_of_a_yolo(together, data):
    """Both ways of learning end in weights of the same names and shapes."""
    detection = dataclasses.replace(small().detection, shared=together)
    found = trained(small(detection=detection), data)["detect"]
    expected = backbone.YOLO(NETWORK).state_dict()
    assert {n: tuple(w.shape) for n, w in found.items()} == {n: tuple(w.shape) for n, w in expected.items()}


def test_results_do_not_depend_on_the_batch(data):
    """An image is seen alike alone and in company, of images of other sizes."""
    torch.manual_seed(2)
    config = small(threshold=0.01, network=dataclasses.replace(NETWORK, width=1 / 16))
    model = backbone.YOLO(config.network)
    torch.nn.init.normal_(model.connected[-1].weight, std=0.3)
    see = yolo.extractor(config, model.state_dict(), "cpu")
    images = [sequence.frames[0] for sequence in data["objects"]][::2]
    images[1] = np.ascontiguousarray(images[1][:31, :50])
    together = see(images)
    assert sum(len(one.boxes) for one in together) > 0
    for image, one in zip(images, together, strict=True):
        [alone] = see([image])
        np.testing.assert_allclose(alone.features.astype(float), one.features.astype(float), rtol=5e-3, atol=5e-3)
        np.testing.assert_allclose(alone.boxes, one.boxes, rtol=1e-3, atol=1e-2)
        np.testing.assert_array_equal(alone.classes, one.classes)


def test_boxes_are_in_pixels_of_each_image():
    """The same answer means boxes in proportion to each image's own sides."""
    config = small(network=dataclasses.replace(NETWORK, grid=1), threshold=0.08)
    model = backbone.YOLO(config.network)
    with torch.no_grad():
        model.connected[-1].weight.zero_()
        # Classes, then confidences of two boxes, then these.
        model.connected[-1].bias.copy_(torch.tensor([0.1, 0.9, 1.0, 0.0, 0.5, 0.25, 0.5, 0.5, 0.5, 0.5, 1.0, 1.0]))
    images = [np.zeros((40, 80, 3), np.uint8), np.zeros((100, 20, 3), np.uint8)]
    wide, high = yolo.extractor(config, model.state_dict(), "cpu")(images)
    np.testing.assert_allclose(wide.boxes, [[30, 5, 20, 10]])
    np.testing.assert_allclose(high.boxes, [[7.5, 12.5, 5, 25]])
    assert wide.classes.tolist() == [1]


def test_features_stay_finite():
    """What half precision cannot hold is the largest that it can."""
    config = small()
    state = backbone.YOLO(config.network).state_dict()
    state["connected.0.bias"] += 1e6
    [one] = yolo.extractor(config, state, "cpu")([np.zeros((20, 20, 3), np.uint8)])
    assert (one.features == 65504).all()


def test_weights_of_a_file_take_no_training(tmp_path):
    """A named file is read by one step that draws nothing and looks at no data."""
    config = small(network=dataclasses.replace(NETWORK, weights="tiny.weights"))
    [step] = steps(config)
    assert (step.files, step.reads, step.needs, step.seeded) == (("tiny.weights",), (), (), False)
    state = backbone.YOLO(config.network).state_dict()
    backbone.write_darknet(tmp_path / "x", config.network, state)
    weights = step.run(Inputs({}, 0, files={"tiny.weights": tmp_path / "x"}), config, Silent())
    assert all(torch.equal(weights[name], tensor) for name, tensor in state.items())


def test_steps_depend_on_what_they_use():
    """What is a detection changes no weights; the loss changes no pretraining; only the classes the packs."""
    settings = {step.name: set(step.settings) for step in steps(Config())}
    assert (settings["classes"], settings["objects"]) == (set(), {"network"})
    assert "threshold" not in settings["detect"] | settings["pretrain"]
    assert not {"coordinates", "nothing", "detection"} & settings["pretrain"]
    assert "pretraining" not in settings["detect"]
    assert all(name in Config.__dataclass_fields__ for names in settings.values() for name in names)


def test_classes_without_objects_are_refused_when_images_are_packed(data):
    """What cannot be learnt is said before pre-training, with the names of what could be."""
    config = small(network=dataclasses.replace(NETWORK, classes=("disc", "moon")))
    step = next(step for step in steps(config) if step.name == "objects")
    with pytest.raises(ValueError, match="got none of moon; there are .*star"):
        step.run(Inputs(data, 1), config, Silent())


@pytest.mark.parametrize(("kind", "option"), [("adam", "capturable"), ("sgd", "fused")])
def test_optimizers_step_in_a_cuda_graph_where_one_is_captured(kind, option):
    """Adam keeps its count, SGD reads its learning rate, on the GPU; nothing is asked for on a CPU."""
    training, weight = dataclasses.replace(LITTLE, capture=True), [torch.nn.Parameter(torch.zeros(2))]
    for device, expected in (("cuda", True), ("cpu", False)):
        optimizer = yolo._optimizer(small(optimizer=kind), training, device, weight)
        assert bool(optimizer.defaults[option]) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "lion"}, "optimizer: expected sgd or adam, got 'lion'"),
        ({"threshold": 1.5}, "threshold: expected a number in"),
        ({"overlap": -0.1}, "overlap: expected a number in"),
        ({"momentum": 1.0}, "momentum: expected a number in"),
        ({"coordinates": -1.0}, "coordinates: expected at least 0, got -1.0"),
        ({"nothing": float("nan")}, "nothing: expected at least 0, got nan"),
    ],
)
def test_settings_are_checked(settings, message):
    """A setting that means nothing is refused by its name."""
    with pytest.raises(ValueError, match=message):
        Config(**settings)


def test_phases_check_their_settings():
    """Something must be left to learn from; a crop shows its object."""
    with pytest.raises(ValueError, match="held_out: expected at least 2, got 1"):
        Pretraining(held_out=1)
    with pytest.raises(ValueError, match="held_out: expected at least 2, got 0"):
        Detection(held_out=0)
    with pytest.raises(ValueError, match="context: expected at least 1"):
        Pretraining(context=0.5)
    with pytest.raises(ValueError, match="jitter: expected a share in"):
        Pretraining(jitter=1.0)


@pytest.mark.parametrize("step", ["pretrain", "detect"])
def test_gradients_of_parts_add_up_to_the_wholes(step, data, parted):
    """Of an update by several processes: each takes its part of the minibatch, and all of them the whole."""
    config = small(network=dataclasses.replace(NETWORK, dropout=0.3))
    weights = trained(config, data)
    [run] = [each.run for each in steps(config) if each.name == step and each.parallel]
    inputs = Inputs({}, 1, "cpu", weights)
    whole, summed = parted(lambda: run(inputs, config, Silent()), 3)
    for one, other in zip(whole, summed, strict=True):
        assert (one - other).abs().max() <= 1e-5 * one.abs().max()
