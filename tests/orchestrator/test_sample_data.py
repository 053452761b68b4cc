import hashlib
import importlib
from collections import Counter

import numpy as np
import pytest
import yaml

from orchestrator import sample_data
from orchestrator.params import PROFILES
from orchestrator.sample_data import handwritten, moving
from trackers.benchmarks import mnist, moving_digits
from trackers.synthetic import shapes
from trackers.synthetic.sprites import OTB, TAGS

QUICK = ("digits", "temple", "video")  # folders
# What must be read of each folder: format, its settings, sequences, frames.
MOVING = [
    ("otb", "otb", {}, 13, 640),
    ("vot2014", "vot", {}, 16, 640),
    ("vot2016", "vot", {}, 36, 1105),
    ("vot2016", "vot", {"regions": "masks"}, 36, 1105),
    ("alov", "alov", {}, 40, 960),
    ("alov", "alov", {"split": "validation"}, 8, 208),
    ("imagenet_det", "imagenet_det", {}, 395, 395),
    ("voc", "imagenet_det", {"origin": 1, "largest": None}, 1800, 1800),
    ("temple", "temple", {}, 2, 70),
    ("uav123", "uav123", {"version": "uav123_10fps"}, 3, 162),
    ("got10k", "got10k", {}, 3, 90),
    ("lasot", "lasot", {}, 2, 70),
    ("davis", "davis", {"subset": "480p/val"}, 3, 72),
    ("video", "plain", {}, 1, 40),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("project") / "data"
    assert sample_data.write(root)
    return root


def opened(data, folder, reader, settings):
    module = importlib.import_module(f"trackers.benchmarks.{reader}")
    return module.open(module.Config(**settings), data / folder, folder)


@pytest.mark.parametrize(("folder", "reader", "settings", "sequences", "frames"), MOVING)
def test_every_folder_is_read(data, folder, reader, settings, sequences, frames):
    """Each folder is read by its format's reader without a problem, and every target starts where it can be seen."""
    collection = opened(data, folder, reader, settings)
    assert len(collection) == sequences
    assert sum(map(len, collection)) == frames
    for sequence in collection:
        assert np.isfinite(sequence.groundtruth[0]).all()
        height, width, _ = sequence.frames[0].shape
        x, y, w, h = sequence.groundtruth[0]
        assert min(x + w, width) - max(x, 0) > 4
        assert min(y + h, height) - max(y, 0) > 4


def test_size(data):
    """The sample stays small, and every folder says what it is."""
    assert sorted(path.name for path in data.iterdir()) == sorted(sample_data.FOLDERS)
    assert sum(path.stat().st_size for path in data.rglob("*") if path.is_file()) < 12e6
    for name in sample_data.FOLDERS:
        assert "stand-in for" in (data / name / sample_data.SAMPLE).read_text()


def test_attributes_are_varied(data):
    """Each of OTB's attributes and VOT's tags is in two sequences or more."""
    counts = {}
    for sequence in opened(data, "otb", "otb", {}):
        for code in sequence.attributes:
            counts[code] = counts.get(code, 0) + 1
    for sequence in opened(data, "vot2016", "vot", {}):
        for tag, marked in sequence.tags.items():
            counts[tag] = counts.get(tag, 0) + bool(marked.any())
    assert {code for code, count in counts.items() if count > 1} == {*OTB, *TAGS, "empty"}


def test_classes_are_trained_unequally(data):
    """Four classes have a video in each category of ALOV, the eight others one in all, which is for training."""
    scenes = moving.alov_scenes()
    videos = {label: [name for name in scenes if scenes[name].label == label] for label in shapes.LABELS}
    assert {label: len(names) for label, names in videos.items()} == {
        **dict.fromkeys(moving.RARELY, 1),
        **dict.fromkeys(moving.OFTEN, 8),
    }
    for label in moving.OFTEN:
        assert {name.partition("_")[0] for name in videos[label]} == set(moving.ALOV)
    assert {sequence.name for sequence in opened(data, "alov", "alov", {})} == set(scenes)
    validation = [sequence.name for sequence in opened(data, "alov", "alov", {"split": "validation"})]
    assert sorted(scenes[name].label for name in validation) == sorted(2 * moving.OFTEN)


def test_vot_tags_are_in_both_groups(data):
    """Half of VOT2014's sequences are of often trained classes, and each tag is in two of either half or more."""
    counts = {"often": dict.fromkeys(TAGS, 0), "rarely": dict.fromkeys(TAGS, 0)}
    labels = []
    for sequence in opened(data, "vot2014", "vot", {}):
        label = moving.VOT2014[sequence.name].label
        labels.append(label)
        for tag in TAGS:
            counts["often" if label in moving.OFTEN else "rarely"][tag] += bool(sequence.tags[tag].sum() > 1)
    assert sorted(labels) == sorted([*moving.OFTEN, *shapes.LABELS])
    assert all(count >= 2 for group in counts.values() for count in group.values()), counts


def test_groups_are_those_of_the_classes():
    """The profile's groups of VOT2014 are its sequences of classes with eight videos in ALOV, and with one."""
    groups = yaml.safe_load((PROFILES / "sample.yaml").read_text())["datasets"]["VOT2014"]["groups"]
    videos = [scene.label for scene in moving.alov_scenes().values()]
    often = {name for name, scene in moving.VOT2014.items() if videos.count(scene.label) > 1}
    assert sorted(groups["class_often"]) == sorted(often)
    assert sorted(groups["class_rarely"]) == sorted(moving.VOT2014.keys() - often)


def test_every_class_can_be_learnt(data):
    """ImageNet DET has each class of sprites ten times or more, and objects that are too large to be used."""
    labels = [sequence.label for sequence in opened(data, "imagenet_det", "imagenet_det", {})]
    assert set(labels) == set(shapes.LABELS)
    assert min(labels.count(label) for label in shapes.LABELS) >= 10
    assert len(opened(data, "imagenet_det", "imagenet_det", {"largest": None})) > len(labels)


def test_every_class_can_be_detected(data):
    """Pascal VOC has each class of sprites a hundred times or more, two to four of them in an image."""
    sequences = opened(data, "voc", "imagenet_det", {"origin": 1, "largest": None})
    labels = [sequence.label for sequence in sequences]
    assert set(labels) == set(shapes.LABELS)
    assert min(labels.count(label) for label in shapes.LABELS) >= 100
    objects = Counter(sequence.name.partition(".")[0] for sequence in sequences)
    assert Counter(objects.values()) == {2: 200, 3: 200, 4: 200}


def test_reads_back(data):
    """The sample digits are a folder that the readers accept: each digit in both splits, 1797 in all."""
    images, labels = mnist.read(data / "digits", "train")
    test_images, test_labels = mnist.read(data / "digits", "test")
    assert images.shape == (1437, 28, 28)
    assert test_images.shape == (360, 28, 28)
    assert np.bincount(labels).min() > 100
    assert np.bincount(test_labels).min() > 30
    sequence = next(iter(moving_digits.open(moving_digits.Config(length=3), data / "digits", "sample")))
    assert len(sequence) == 3


def test_looks_like_mnist(data):
    """Digits are 20 x 20 pixels, grey up to full white, in the middle of 28 x 28 black ones."""
    images, _ = mnist.read(data / "digits", "train")
    assert images[:, 4:24, 4:24].any(0).sum() > 350
    assert images[:, 4:24, 4:24].sum(dtype=int) == images.sum(dtype=int)
    assert images.max() == 255


def test_interpolation_is_linear():
    """Enlarging is linear interpolation: ramps stay ramps between the outer pixels' centres, weights sum to one."""
    weights = handwritten._bilinear(8, 20)
    assert (weights.sum(1) == 40).all()
    at = (np.arange(20) + 0.5) * 8 / 20 - 0.5
    assert weights @ np.arange(8) / 40 == pytest.approx(at.clip(0, 7))


def test_same_bytes_everywhere(data):
    """The files are the same, byte for byte, on every machine."""
    digest = hashlib.sha256()
    for path in sorted((data / "digits").glob("*-ubyte")):
        digest.update(path.name.encode() + path.read_bytes())
    assert digest.hexdigest() == "04e84b71066ea7f487b99816c20fd3bb2c6d9194ef470f5f49255f8b2ffd3714"


def test_existing_data_is_left_alone(tmp_path):
    """Folders that exist already are not touched; those that are missing are made."""
    (tmp_path / "data" / "digits").mkdir(parents=True)
    (tmp_path / "data" / "digits" / "mine").write_text("kept")
    assert sample_data.write(tmp_path / "data", QUICK)
    assert [path.name for path in (tmp_path / "data" / "digits").iterdir()] == ["mine"]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert (tmp_path / "data" / "temple" / "Disc_ce" / "img" / "0001.jpg") in before
    assert not sample_data.write(tmp_path / "data", QUICK)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_same_bytes_again(data, tmp_path):
    """What is made twice is the same, byte for byte."""
    sample_data.write(tmp_path / "data", QUICK)
    made = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert len(made) > 70
    for path in made:
        assert path.read_bytes() == (data / path.relative_to(tmp_path / "data")).read_bytes()


def test_nothing_half_written(tmp_path, monkeypatch):
    """If writing fails midway, nothing of that folder is left behind, and the next try succeeds."""
    write = mnist.write

    def fail(folder, split, *arrays):
        write(folder, split, *arrays)
        if split == "test":
            raise OSError("disk full")

    monkeypatch.setattr(mnist, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        sample_data.write(tmp_path / "data", QUICK)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    monkeypatch.setattr(mnist, "write", write)
    assert sample_data.write(tmp_path / "data", QUICK)
    assert (tmp_path / "data" / "digits" / sample_data.SAMPLE).exists()
