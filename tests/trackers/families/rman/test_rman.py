import dataclasses
import math

import pytest
import torch

from trackers import families
from trackers.backbones import vgg_m
from trackers.benchmarks.collection import Collection
from trackers.families import rman
from trackers.families.rman import Config, Learning, Sampling, learn_backbone, read_backbone, steps
from trackers.families.rman.pretraining import Pretraining
from trackers.families.rman.seeing import Maps, Patches
from trackers.sequence import Sequence
from trackers.synthetic.sprites import picture
from trackers.training import Inputs, Silent, Training

VARIANTS = {
    "Baseline": {"recurrent": False, "activation": "none", "coherence": 0.0, "compactness": 0.0},
    "Baseline+LSTM": {"activation": "none", "coherence": 0.0, "compactness": 0.0},
    "Baseline+LSTM+MAL": {"coherence": 0.0, "compactness": 0.0},
    "Baseline+LSTM+MAL+La": {"compactness": 0.0},
    "Baseline+MAL+La+Lb": {"recurrent": False},
    "Baseline+LSTM+APL+La+Lb": {"activation": "average"},
    "RMAN-ROI": {"features": "roi_align"},
}
NARROW = vgg_m.Config((2, 3, 4))
LITTLE = Pretraining(held_out=3, training=Training(batch=4, updates_per_epoch=2, epochs=1, report_every=2))
NOTHING = math.nan

BAD = [
    (Config, {"features": "pixels"}, "features: expected patches or roi_align, got 'pixels'"),
    (Config, {"activation": "max"}, "activation: expected cosine, average or none, got 'max'"),
    *[
        (Config, {name: 0}, f"{name}: expected at least 1, got 0")
        for name in ("units", "hidden", "remembered", "pairs", "every", "long", "short", "best")
    ],
    (Config, {"border": 54}, "border: expected at least 0 and less than half of size, 107, got 54"),
    (Config, {"border": -1}, "border: expected at least 0 and less than half of size, 107, got -1"),
    (Config, {"size": 74, "border": 9}, "size: expected at least 75 pixels, got 74"),
    (Config, {"mined": 31}, "mined: expected at least pairs, 32, got 31"),
    (Config, {"best": 257}, "best: expected at most sampling.candidates, 256, got 257"),
    (Config, {"activation": "none"}, "activation: expected cosine or average, as coherence or compactness count"),
    (Config, {"activation": "none", "coherence": 0.0}, "activation: expected cosine or average"),
    (Config, {"positive": 1.1}, r"negative, positive: expected overlaps in \[0, 1\], in order, got 0.3, 1.1"),
    (Config, {"positive": 0.2}, r"negative, positive: expected overlaps in \[0, 1\], in order, got 0.3, 0.2"),
    (Config, {"negative": -0.1}, r"negative, positive: expected overlaps in \[0, 1\], in order, got -0.1, 0.7"),
    (Config, {"negative": NOTHING}, r"negative, positive: expected overlaps in \[0, 1\], in order, got nan, 0.7"),
    *[
        (Config, {name: value}, rf"{name}: expected a number in \[0, 1\), got {value}")
        for name in ("dropout", "momentum", "found")
        for value in (1.0, -0.1, NOTHING)
    ],
    *[
        (Config, {name: value}, f"{name}: expected at least 0, got {value}")
        for name in ("margin", "coherence", "compactness", "weight_decay", "last_rate", "initial_std")
        for value in (-1.0, math.inf, NOTHING)
    ],
    *[
        (Config, {name: value}, f"{name}: expected a positive number, got {value}")
        for name in ("clip", "ridge")
        for value in (0.0, math.inf, NOTHING)
    ],
    (Learning, {"iterations": 0, "learning_rate": 1.0}, "iterations: expected at least 1, got 0"),
    *[
        (Learning, {"iterations": 1, "learning_rate": value}, f"learning_rate: expected a positive number, got {value}")
        for value in (0.0, -1.0, math.inf, NOTHING)
    ],
    *[
        (Sampling, {name: 0}, f"{name}: expected at least 1, got 0")
        for name in ("candidates", "first_positives", "first_negatives", "positives", "negatives", "regression")
    ],
    *[
        (Sampling, {name: value}, f"{name}: expected at least 0, got {value}")
        for name in ("shift", "lost")
        for value in (-0.1, math.inf, NOTHING)
    ],
    (Sampling, {"scale": 0.9}, "scale: expected at least 1, got 0.9"),
    (vgg_m.Config, {"widths": (4, 0, 4)}, r"widths: expected 3 numbers of filters, at least 1 each, got \[4, 0, 4\]"),
    (vgg_m.Config, {"grey": NOTHING}, "grey: expected a number, got nan"),
]


@pytest.mark.parametrize(("kind", "settings", "message"), BAD, ids=[f"{k.__name__} {s}" for k, s, _ in BAD])
def test_settings_that_mean_nothing_are_refused(kind, settings, message):
    """Each error names the setting, what was expected and what came."""
    with pytest.raises(ValueError, match=f"^{message}"):
        kind(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"coherence": 0.0, "compactness": 0.0, "dropout": 0.0, "momentum": 0.0, "weight_decay": 0.0, "found": 0.0},
        {"border": 0},
        {"border": 53},
        {"size": 75, "border": 37},
        {"negative": 0.5, "positive": 0.5},
        {"mined": 32},
        {"best": 256},
        *VARIANTS.values(),
    ],
)
def test_settings_at_their_limits_are_taken(settings):
    """What an ablation switches off, and what is just allowed, is allowed."""
    Config(**settings)


def test_the_backbone_is_all_that_is_learnt_beforehand():
    """One step, on still images, by seed."""
    [step] = steps(Config())
    assert (step.name, step.run, step.needs, step.reads) == ("backbone", learn_backbone, (), ("images",))
    assert step.files == () and step.seeded and not step.prepares


def test_a_file_of_weights_takes_the_place_of_learning():
    """With a file named nothing is drawn, and no data is read."""
    [step] = steps(Config(backbone=vgg_m.Config(weights="imagenet-vgg-m.mat")))
    assert (step.name, step.run, step.needs, step.reads) == ("backbone", read_backbone, (), ())
    assert step.files == ("imagenet-vgg-m.mat",) and not step.seeded and not step.prepares


def unusual(**settings):
    """A configuration of which no setting that concerns the backbone is at its default."""
    return Config(**{"backbone": NARROW, "size": 91, "border": 7, "pretraining": LITTLE, **settings})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"size": 300, "border": 140},
        {"size": 75, "border": 0},
        {"backbone": vgg_m.Config((2, 3, 4), 0.0, "some.pt")},
    ],
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_steps_settings_suffice(variant, settings):
    """Of its own settings alone, the others at their defaults, the step exists, and is the same."""
    config = unusual(**settings, **VARIANTS[variant])
    [step] = steps(config)
    own = Config(**{name: getattr(config, name) for name in step.settings})
    assert steps(own) == [step]


def test_all_variants_share_the_backbone():
    """Whatever a variant varies, the step is the same, of the same settings."""
    [full] = steps(unusual())
    for variant in (*VARIANTS.values(), {"units": 7, "every": 3, "sampling": Sampling(candidates=9), "found": 0.3}):
        config = unusual(**variant)
        assert steps(config) == [full]
        assert all(getattr(config, name) == getattr(unusual(), name) for name in full.settings)


@pytest.fixture(scope="module")
def images():
    stills = []
    for i in range(8):
        shown = picture(["disc" if i % 2 else "star"], (96, 72), seed=i)
        stills.append(Sequence(f"{i}", shown.image[None], shown.boxes, label=shown.labels[0]))
    return {"images": Collection("images", tuple(stills))}


def test_the_step_learns_what_the_tracker_takes(images):
    """Weights from still images fit the tracker's backbone, which is frozen; seeds decide them."""
    config = unusual()
    [step] = steps(config)
    weights, again, other = (step.run(Inputs(images, seed), config, Silent()) for seed in (1, 1, 2))
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert not torch.equal(weights["conv1.weight"], other["conv1.weight"])
    made = rman.tracker(config, weights, "cpu")
    for name, parameter in made.see.backbone.named_parameters():
        assert torch.equal(parameter, weights[name]) and not parameter.requires_grad


def written(path, config, **changes):
    """A file of weights of this backbone, some of them others."""
    torch.manual_seed(0)
    weights = {**vgg_m.VGGM(config).state_dict(), **changes}
    torch.save(weights, path)
    return weights


def read(path):
    """What the step makes of a file, for a backbone of 2, 3 and 4 filters."""
    config = Config(backbone=dataclasses.replace(NARROW, weights=str(path)))
    [step] = steps(config)
    return step.run(Inputs({}, 1, files={str(path): path}), config, Silent())


def test_weights_are_read_from_the_file(tmp_path):
    """They are the file's, of the names that the tracker's backbone has."""
    weights = written(tmp_path / "vgg.pt", NARROW)
    found = read(tmp_path / "vgg.pt")
    assert found.keys() == weights.keys() and all(torch.equal(found[name], weights[name]) for name in weights)


def test_weights_of_another_architecture_are_refused(tmp_path):
    """The error names the file, and every name and shape that differs."""
    written(tmp_path / "vgg.pt", vgg_m.Config((2, 5, 4)))
    with pytest.raises(ValueError, match=r"vgg.pt: expected a VGG-M of widths \[2, 3, 4\], but these differ:") as error:
        read(tmp_path / "vgg.pt")
    assert [line.strip() for line in str(error.value).splitlines()[1:]] == [
        "conv2.weight: expected (3, 2, 5, 5), got (5, 2, 5, 5)",
        "conv2.bias: expected (3,), got (5,)",
        "conv3.weight: expected (4, 3, 3, 3), got (4, 5, 3, 3)",
    ]


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    """The error names the file, and the weights that are NaN."""
    written(tmp_path / "vgg.pt", NARROW, **{"conv2.bias": torch.full((3,), math.nan)})
    with pytest.raises(ValueError, match=r"vgg.pt: expected finite numbers, got NaN or infinity in conv2.bias"):
        read(tmp_path / "vgg.pt")


@pytest.mark.parametrize(("features", "way"), [("patches", Patches), ("roi_align", Maps)])
def test_it_sees_as_set(features, way):
    """By patches or by ROI align, as `features` says; patches are there for what is shown in either."""
    torch.manual_seed(0)
    made = rman.tracker(unusual(features=features), vgg_m.VGGM(NARROW).state_dict(), "cpu")
    assert type(made.see) is way and type(made.patches) is Patches
    assert (made.see.size, made.see.border, made.see.grey) == (91, 7, 128)


def test_it_is_found_by_its_name():
    """A tracker of the family `rman` says beforehand that it is stochastic."""
    family = families.find("rman")
    assert family.Config is Config and family.stochastic
