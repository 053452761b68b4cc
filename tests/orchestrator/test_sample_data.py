import hashlib

import numpy as np
import pytest

from orchestrator import sample_data
from trackers.benchmarks import mnist, moving_digits


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("project") / "data"
    assert sample_data.write(root)
    return root


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
    weights = sample_data._bilinear(8, 20)
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
    """Where the folder exists already, nothing is touched."""
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / "mine").write_text("kept")
    assert not sample_data.write(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["digits", "mine"]


def test_nothing_half_written(tmp_path, monkeypatch):
    """If writing fails midway, nothing is left behind, and the next try succeeds."""
    write = mnist.write

    def fail(folder, split, *arrays):
        write(folder, split, *arrays)
        if split == "test":
            raise OSError("disk full")

    monkeypatch.setattr(mnist, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        sample_data.write(tmp_path / "data")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    monkeypatch.undo()
    assert sample_data.write(tmp_path / "data")
