import dataclasses

import numpy as np
import pytest
import torch

from trackers import families
from trackers.backbones import vgg16
from trackers.families.pixelwise import Config, attention, caveat, fcn, steps, tracker
from trackers.families.pixelwise.clips import Drawing
from trackers.families.pixelwise.locating import Attention, Centroid, Near
from trackers.families.pixelwise.pretraining import Pretraining
from trackers.families.pixelwise.tracking import Recurrent, Refined
from trackers.training import Inputs, Silent, Training

VARIANTS = {
    "2-stage": {},
    "First": {"rounds": 0},
    "three rounds": {"rounds": 3},
    "1-stage": {"stages": "1-stage"},
    "1-stage First": {"stages": "1-stage", "rounds": 0},
    "near": {"stages": "near", "rounds": 0},
    "near, updated": {"stages": "near"},
    "clean": {"stages": "near", "rounds": 0, "noise": False},
    "FCN": {"network": "FCN", "stages": "1-stage"},
    "FCN near": {"network": "FCN", "stages": "near"},
}
SHARED = {"maps": (), "backbone": ()}
FIRST_ROUND = {
    "half-1": ("maps", "backbone"),
    "half-2": ("maps", "backbone"),
    "local-0": ("maps", "backbone"),
    "global-0": ("maps",),
    "crossed-1-1": ("maps", "backbone", "half-1", "global-0"),
    "crossed-1-2": ("maps", "backbone", "half-2", "global-0"),
    "global-1": ("maps", "global-0", "crossed-1-1", "crossed-1-2"),
}
SECOND_ROUND = {
    "half-1-1": ("maps", "backbone", "global-1", "crossed-1-1", "crossed-1-2", "half-1"),
    "half-2-1": ("maps", "backbone", "global-1", "crossed-1-1", "crossed-1-2", "half-2"),
    "crossed-2-1": ("maps", "backbone", "half-1-1", "global-1"),
    "crossed-2-2": ("maps", "backbone", "half-2-1", "global-1"),
    "global-2": ("maps", "global-1", "crossed-2-1", "crossed-2-2"),
}


def last_local(round):
    needs = ("maps", "backbone", f"global-{round}", f"crossed-{round}-1", f"crossed-{round}-2", "local-0")
    return {f"local-{round}": needs}


def graph(config):
    """What each step needs, in the order in which they come."""
    return {step.name: step.needs for step in steps(config)}


def in_order(needs):
    return [(name, sorted(needs[name])) for name in needs]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {**FIRST_ROUND, **last_local(1), "tracker": ("backbone", "local-1", "global-1")}),
        ({"stages": "1-stage"}, {**FIRST_ROUND, **last_local(1), "tracker": ("backbone", "local-1")}),
        (
            {"rounds": 2},
            {**FIRST_ROUND, **SECOND_ROUND, **last_local(2), "tracker": ("backbone", "local-2", "global-2")},
        ),
        (
            {"rounds": 0},
            {"local-0": ("maps", "backbone"), "global-0": ("maps",), "tracker": ("backbone", "local-0", "global-0")},
        ),
        (
            {"rounds": 0, "stages": "near"},
            {"local-0": ("maps", "backbone"), "tracker": ("backbone", "local-0")},
        ),
        ({"network": "FCN", "stages": "1-stage"}, {"fcn": ("maps", "backbone"), "tracker": ("backbone", "fcn")}),
        ({"network": "FCN", "stages": "near"}, {"fcn": ("maps", "backbone"), "tracker": ("backbone", "fcn")}),
    ],
)
def test_steps_are_section_5_1(settings, expected):
    """The graph of each variant is that of the module's docstring, what is needed before what needs it."""
    assert in_order(graph(Config(**settings))) == in_order({**SHARED, **expected})


def test_what_all_folds_share_is_prepared():
    """Maps and clips learn nothing, and are given all sequences; who learns from them reads which are its own."""
    found = {step.name: step for step in steps(Config(clips=Drawing(prepared=4)))}
    assert [name for name, step in found.items() if step.prepares] == ["maps", "clips"]
    assert found["clips"].needs == ("maps", "backbone")
    for name, step in found.items():
        if {"maps", "clips"} & set(step.needs):
            assert "videos" in step.reads, name
    for half in ("half-1", "half-2"):
        assert found[half].needs == ("maps", "clips")
    assert found["backbone"].reads == ("images",)
    assert [name for name, step in found.items() if not step.seeded] == ["maps", "tracker"]


def test_a_file_of_weights_takes_the_place_of_pretraining(small, tmp_path):
    """With a file named, no still image is looked at, and nothing of the backbone is drawn."""
    torch.manual_seed(0)
    network = vgg16.VGG16(small().backbone)
    names = [f"features.{number}.{part}" for number in vgg16.TORCHVISION for part in ("weight", "bias")]
    path = tmp_path / "vgg16.pt"
    torch.save(dict(zip(names, network.state_dict().values(), strict=True)), path)
    config = small(backbone=dataclasses.replace(small().backbone, weights=str(path)))
    step = next(step for step in steps(config) if step.name == "backbone")
    assert step.files == (str(path),) and step.reads == () and not step.seeded
    weights = step.run(Inputs({}, 1, files={str(path): path}), config, Silent())
    assert all(torch.equal(weights[name], weight) for name, weight in network.state_dict().items())


def unusual(settings):
    """A configuration of which no setting is at its default, as far as they may differ."""
    training = Training(batch=3, updates_per_epoch=5, epochs=1)
    return Config(
        **{
            "backbone": vgg16.Config((2, 2, 4, 6, 6)),
            "size": 64,
            "map_size": 48,
            "clips": Drawing(length=9, prepared=2),
            "grown": 2,
            "remembered": 3,
            "cross_entropy": "mean",
            "training": training,
            "halves": training,
            "updating": training,
            "attention_training": training,
            "attention_updating": training,
            "anchor_pixels": 8,
            "foreground": 3.0,
            "smoothness": 0.1,
            "burn_in": 3,
            "dilation": 1,
            "dilation_shrinks": 7,
            "moved": 0.1,
            "every": 5,
            "beta": 0.5,
            "cut": 0.4,
            "units": 7,
            "refining": fcn.Refining(1, 0.1),
            **settings,
        }
    )


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "extreme",
    [
        {},
        {"clips": Drawing(length=3), "burn_in": 2},  # shorter than the default burn-in
        {"map_size": 16, "attention": attention.Widths((2, 3), 2, 4)},
        {"map_size": 64, "attention": attention.Widths((2, 2, 2, 2, 2, 2), 2, 4)},
        {
            "noise": False,
            **dict.fromkeys(("training", "halves", "updating"), Training(batch=1)),
            **dict.fromkeys(("attention_training", "attention_updating"), Training(batch=1)),
        },
    ],
)
def test_a_steps_settings_suffice(variant, extreme):
    """Of its own settings alone, the others at their defaults, each step of each variant exists, and does the same."""
    config = unusual({**extreme, **VARIANTS[variant]})
    for step in steps(config):
        own = Config(**{name: getattr(config, name) for name in step.settings})
        again = {other.name: other for other in steps(own)}[step.name]
        for same in ("reads", "files", "settings", "seeded", "prepares"):
            assert getattr(again, same) == getattr(step, same)
        assert function(again) == function(step)
        if step.name != "tracker":  # which joins whatever it is given
            assert again.needs == step.needs


def function(step):
    """What it runs, and for which half and round."""
    return getattr(step.run, "func", step.run), getattr(step.run, "args", ())


def test_variants_share_what_they_agree_on():
    """Steps of one name are the same for 2-stage and 1-stage, and for all rounds that both have."""
    full = {step.name: step for step in steps(Config(rounds=2))}
    for settings in ({"rounds": 2, "stages": "1-stage"}, {"rounds": 1}, {"rounds": 0}, {"network": "FCN"}):
        for step in steps(Config(**settings)):
            if step.name in full and step.name != "tracker":
                assert step.settings == full[step.name].settings
                assert step.needs == full[step.name].needs


@pytest.mark.parametrize(
    ("variant", "locator", "segmenter"),
    [
        ("2-stage", Attention, Recurrent),
        ("1-stage", Centroid, Recurrent),
        ("near", Near, Recurrent),
        ("FCN", Centroid, Refined),
        ("FCN near", Near, Refined),
    ],
)
def test_a_tracker_is_of_its_settings(variant, locator, segmenter, small, random_weights):
    """Where it looks is by `stages`, and what it sees there by `network`."""
    config = small(**VARIANTS[variant])
    made = tracker(config, random_weights(config), "cpu")
    assert type(made.locator) is locator
    assert type(made.segmenter) is segmenter


@pytest.mark.parametrize("variant", VARIANTS)
def test_those_near_the_groundtruth_have_a_caveat(variant):
    """What no tracker may know is said of them, and of no others."""
    text = families.find("pixelwise").caveat(Config(**VARIANTS[variant]))
    assert text == caveat(Config(**VARIANTS[variant]))
    assert bool(text) is ("near" in variant or variant == "clean")


def test_defaults_are_the_papers():
    """Rounds, sizes and frames as Sections 2 to 5 have them."""
    config = Config()
    assert (config.network, config.stages, config.rounds) == ("ConvLSTM", "2-stage", 1)
    assert (config.size, config.map_size) == (224, 224)
    assert (config.roi.context, config.roi.least, config.roi.most, config.roi.delay) == (2, 56, 672, 5)
    assert (config.clips.length, config.clips.scale, config.clips.shift) == (32, 0.1, 10)
    assert (config.burn_in, config.beta, config.dilation_shrinks) == (5, 0.8, 10_000)
    assert config.cut == 0.5
    assert config.noise and config.moved == 0


BAD = [
    ({"network": "U-Net"}, "network: expected one of ConvLSTM, FCN, got 'U-Net'"),
    ({"stages": "3-stage"}, "stages: expected one of 2-stage, 1-stage, near, got '3-stage'"),
    ({"cross_entropy": "max"}, "cross_entropy: expected one of sum, mean, got 'max'"),
    ({"grown": -1}, "grown: expected at least 0, got -1"),
    ({"dilation": -1}, "dilation: expected at least 0, got -1"),
    ({"rounds": -1}, "rounds: expected at least 0, got -1"),
    ({"anchor_pixels": 1}, "anchor_pixels: expected at least 2, got 1"),
    ({"burn_in": 1}, "burn_in: expected at least 2, got 1"),
    ({"burn_in": 7}, "burn_in: expected at most clips.length, 6, got 7"),
    ({"every": 0}, "every: expected at least 1, got 0"),
    ({"dilation_shrinks": 0}, "dilation_shrinks: expected at least 1, got 0"),
    ({"units": 0}, "units: expected at least 1, got 0"),
    ({"remembered": 0}, "remembered: expected at least 1 frame, got 0"),
    ({"size": 16}, "size: expected a multiple of 16, from 32 on, got 16"),
    ({"size": 40}, "size: expected a multiple of 16, from 32 on, got 40"),
    ({"map_size": 0}, "map_size: expected a multiple of 16, got 0"),
    ({"map_size": 24}, "map_size: expected a multiple of 16, got 24"),
    ({"training": Training(batch=1)}, "noise: expected minibatches of 2 clips or more"),
    ({"halves": Training(batch=1)}, "noise: expected minibatches of 2 clips or more"),
    ({"updating": Training(batch=1)}, "noise: expected minibatches of 2 clips or more"),
    ({"foreground": -1.0}, "foreground: expected at least 0, got -1.0"),
    ({"smoothness": float("nan")}, "smoothness: expected at least 0, got nan"),
    ({"moved": float("inf")}, "moved: expected at least 0, got inf"),
    ({"cut": 0.0}, r"cut: expected a probability in \(0, 1\), got 0.0"),
    ({"cut": 1.0}, r"cut: expected a probability in \(0, 1\), got 1.0"),
    ({"cut": float("nan")}, r"cut: expected a probability in \(0, 1\), got nan"),
    ({"beta": 0.0}, r"beta: expected a share in \(0, 1\], got 0.0"),
    ({"beta": 1.5}, r"beta: expected a share in \(0, 1\], got 1.5"),
]


@pytest.mark.parametrize(("settings", "message"), BAD, ids=[str(settings) for settings, _ in BAD])
def test_settings_that_mean_nothing_are_refused(settings, message, small):
    """Each error names the setting, what was expected and what came."""
    with pytest.raises(ValueError, match=f"^{message}"):
        small(**settings)


def test_all_models_of_a_tracker_are_in_one(trained, small):
    """The last step's weights are those of the steps that track, and a tracker is made of them."""
    none = Training(epochs=0)
    config = small(rounds=0, pretraining=Pretraining(held_out=3, training=none), training=none, attention_training=none)
    weights = trained(config)
    joined = weights["tracker"]
    for step, part in (("backbone", "backbone"), ("local-0", "local"), ("global-0", "global")):
        for name, weight in weights[step].items():
            assert torch.equal(joined[f"{part}.{name}"], weight)
    assert len(joined) == sum(len(weights[step]) for step in ("backbone", "local-0", "global-0"))
    made = tracker(config, joined, "cpu")
    assert np.array_equal(made.segmenter.model.m_cnn[0].bias.numpy(force=True), joined["local.m_cnn.0.bias"].numpy())
