from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from trackers.benchmarks import mnist, moving_digits
from trackers.benchmarks.moving_digits import Config
from trackers.sequence import check_box

SHARED = Path(__file__).parents[4] / "shared" / "data" / "mnist"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Digits in idx files: of training, filled squares; of testing, rings."""
    folder = tmp_path_factory.mktemp("digits")
    square = np.zeros((10, 28, 28), np.uint8)
    square[:, 4:24, 4:24] = 255
    ring = square.copy()
    ring[:, 7:21, 7:21] = 0
    for split, images in (("train", square), ("test", ring)):
        mnist.write(folder, split, images, np.arange(10, dtype=np.uint8))
    return folder


def test_sequences(folder):
    """A benchmark yields as many sequences as it is long, named, of RGB frames and float64 boxes that fit them."""
    benchmark = moving_digits.open(Config(length=7, sequences=11, objects=2), folder, "MNIST-Multi-Same")
    sequences = list(benchmark)
    assert len(benchmark) == len(sequences) == 11
    assert [sequences[0].name, sequences[10].name] == ["MNIST-Multi-Same/0000", "MNIST-Multi-Same/0010"]
    for sequence in sequences:
        assert len(sequence) == 7
        assert sequence.groundtruth.dtype == np.float64
        for t in range(7):
            assert sequence.frames[t].shape == (100, 100, 3)
            check_box(sequence.groundtruth[t], sequence.frames[t], sequence.name)


def test_sequences_are_fixed_by_the_seed(folder):
    """Sequence i is a function of the seed and of i, however many are asked for and however often."""
    many = moving_digits.open(Config(length=4, sequences=20, seed=3), folder, "a")
    few = moving_digits.open(Config(length=4, sequences=9, seed=3), folder, "b")
    other = moving_digits.open(Config(length=4, sequences=9, seed=4), folder, "c")
    list(few)
    for one, two, three in zip(islice(many, 9), few, other, strict=True):
        assert np.array_equal(one.frames.grey, two.frames.grey)
        assert np.array_equal(one.groundtruth, two.groundtruth)
        assert not np.array_equal(one.frames.grey, three.frames.grey)
    assert len({sequence.frames.grey.tobytes() for sequence in many}) == 20


def test_shorter_lengths_are_beginnings(folder):
    """The sequences of a shorter length are the beginnings of the longer ones of the same seed."""
    long = moving_digits.open(Config(length=30, sequences=3, overlaid=2), folder, "long")
    short = moving_digits.open(Config(length=20, sequences=3, overlaid=2), folder, "short")
    for one, two in zip(long, short, strict=True):
        assert np.array_equal(one.frames.grey[:20], two.frames.grey)
        assert np.array_equal(one.groundtruth[:20], two.groundtruth)


def test_clips_are_fixed_by_seed_and_index(folder):
    """A minibatch is a function of the training's seed and of its number, of nothing drawn before."""
    data = moving_digits.open(Config(split="train", length=5), folder, "train")
    frames, boxes = data.clips(3, seed=1, index=7, device="cpu")
    assert frames.shape == (3, 5, 100, 100)
    assert frames.dtype == torch.uint8
    assert boxes.shape == (3, 5, 4)
    assert boxes.dtype == torch.float32
    other_seed, _ = data.clips(3, seed=2, index=7)
    other_index, _ = data.clips(3, seed=1, index=8)
    again, _ = moving_digits.open(Config(split="train", length=5, seed=9), folder, "again").clips(3, seed=1, index=7)
    assert torch.equal(frames, again)
    assert not torch.equal(frames, other_seed)
    assert not torch.equal(frames, other_index)


def test_minibatches_and_sequences_are_apart(folder):
    """No minibatch repeats the sequences to iterate over, though seed and digits be the same."""
    data = moving_digits.open(Config(split="train", length=2, sequences=8, seed=1), folder, "train")
    sequences = {sequence.frames.grey.tobytes() for sequence in data}
    for index in range(3):
        frames, _ = data.clips(8, seed=1, index=index)
        assert sequences.isdisjoint(clip.numpy().tobytes() for clip in frames)


def test_splits_show_their_own_digits(folder):
    """Training shows the digits of the training files, testing those of the test files."""
    plain = moving_digits.Settings(pieces=0)
    for split, hollow in (("train", False), ("test", True)):
        frames, boxes = moving_digits.open(Config(split=split, generator=plain), folder, split).clips(20, 0, 0)
        centre = (boxes[..., :2] + boxes[..., 2:] / 2).long()
        middle = frames[torch.arange(20)[:, None], torch.arange(20), centre[..., 1], centre[..., 0]]
        assert bool((middle == 0).all()) is hollow


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objects": 0}, "objects: expected at least 1, got 0"),
        ({"overlaid": 0}, "overlaid: expected at least 1, got 0"),
        ({"length": 0}, "length: expected at least 1, got 0"),
        ({"sequences": -1}, "sequences: expected at least 0, got -1"),
        ({"seed": -1}, "seed: expected at least 0, got -1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    """A setting out of range is refused, with its name, what was expected and what came."""
    with pytest.raises(ValueError, match=message):
        Config(**settings)


def test_bad_digits_are_refused_at_once(tmp_path):
    """Opening tells what is wrong with the digits, before anything is drawn."""
    with pytest.raises(FileNotFoundError, match=r"expected t10k-images-idx3-ubyte or t10k-images-idx3-ubyte\.gz"):
        moving_digits.open(Config(), tmp_path, "missing")
    mnist.write(tmp_path, "test", np.ones((10, 8, 8), np.uint8), np.arange(10, dtype=np.uint8))
    with pytest.raises(ValueError, match=f"{tmp_path}: expected smallest <= 8"):
        moving_digits.open(Config(), tmp_path, "small")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs MNIST in ../shared/data/mnist")
@pytest.mark.parametrize(("objects", "overlaid"), [(1, 1), (2, 2)])
def test_of_mnist(objects, overlaid):
    """MNIST's digits are 20 pixels in their longer side, or less where overlaid ones are shrunk, when a clip begins."""
    benchmark = moving_digits.open(Config(objects=objects, overlaid=overlaid, sequences=24), SHARED, "MNIST")
    boxes = np.stack([sequence.groundtruth for sequence in benchmark])
    longer = boxes[:, 0, 2:].max(-1)
    if overlaid == 1:
        assert longer.max() == 20
        assert longer.min() >= 17
    else:
        assert longer.max() <= 28
    assert (boxes[..., :2] >= 0).all()
    assert (boxes[..., :2] + boxes[..., 2:] <= 100).all()
