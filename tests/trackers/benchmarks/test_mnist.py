import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from trackers.benchmarks import mnist

SHARED = Path(__file__).parents[4] / "shared" / "data" / "mnist"
LABELS = (np.arange(30) % 10).astype(np.uint8)
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 6, 6)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    mnist.write(tmp_path, "train", IMAGES, LABELS)
    return tmp_path


def pack(path):
    """Replace a file by its .gz."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return path.with_name(f"{path.name}.gz")


def test_written_files_follow_the_format(folder):
    """A file is: 0, 0, 8, the number of dimensions, each dimension in 32 bits high byte first, the bytes."""
    content = (folder / "train-images-idx3-ubyte").read_bytes()
    assert content[:16] == bytes([0, 0, 8, 3, 0, 0, 0, 30, 0, 0, 0, 6, 0, 0, 0, 6])
    assert content[16:] == IMAGES.tobytes()
    assert (folder / "train-labels-idx1-ubyte").read_bytes() == bytes([0, 0, 8, 1, 0, 0, 0, 30]) + LABELS.tobytes()


@pytest.mark.parametrize("packed", [(), ("images-idx3",), ("images-idx3", "labels-idx1")])
def test_what_was_written_is_read(folder, packed):
    """Images and labels are read as they were written, each file as it is or as .gz."""
    for name in packed:
        pack(folder / f"train-{name}-ubyte")
    images, labels = mnist.read(folder, "train")
    assert np.array_equal(images, IMAGES)
    assert np.array_equal(labels, LABELS)
    assert images.dtype == labels.dtype == np.uint8


def test_missing_file_names_both_spellings(folder):
    """Where a file is missing, both names that it might have had are told, and the folder."""
    with pytest.raises(
        FileNotFoundError, match=f"{folder}: expected t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz"
    ):
        mnist.read(folder, "test")
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=r"train-labels-idx1-ubyte\.gz, got neither"):
        mnist.read(folder, "train")


@pytest.mark.parametrize(("length", "got"), [(0, "got 0"), (15, "got 15"), (16, "got 16"), (1000, "got 1000")])
def test_truncated_file_is_refused(folder, length, got):
    """A file cut short is refused with the number of bytes expected and got."""
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=f"{path}: expected .*(1096 bytes|the 16 bytes).*{got}"):
        mnist.read(folder, "train")


def test_overlong_file_is_refused(folder):
    """A file longer than its header says is refused."""
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes() + b"0")
    with pytest.raises(ValueError, match=f"{path}: expected 38 bytes.*got 39"):
        mnist.read(folder, "train")


def test_labels_where_images_are_expected(folder):
    """A file of labels in the place of images is refused in just these words, and the other way round."""
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    content = images.read_bytes()
    images.write_bytes(labels.read_bytes())
    with pytest.raises(ValueError, match=f"{images}: expected images .*00000803.*, got labels .*00000801"):
        mnist.read(folder, "train")
    images.write_bytes(content)
    labels.write_bytes(content)
    with pytest.raises(ValueError, match=f"{labels}: expected labels .*, got images"):
        mnist.read(folder, "train")


def test_another_format_is_refused(folder):
    """A file with another magic number is refused, and the number told."""
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(b"\x89PNG" + path.read_bytes()[4:])
    with pytest.raises(ValueError, match=r"expected images .*, got another format \(89504e47\)"):
        mnist.read(folder, "train")


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b[:30] + b"\0\0\0\0" + b[34:], lambda b: b"no" + b]
)
def test_damaged_gzip_is_refused(folder, damage):
    """A .gz cut short, changed inside, or that is none is refused by name."""
    path = pack(folder / "train-images-idx3-ubyte")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=f"{path}: expected a whole gzip file"):
        mnist.read(folder, "train")


def test_counts_must_agree(folder):
    """As many labels as images are expected."""
    mnist.write(folder, "train", IMAGES[:20], LABELS)
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte: expected 20 labels, one an image, got 30"):
        mnist.read(folder, "train")


def test_every_digit_must_be_there(folder):
    """A set without a single digit of a class is refused, and the classes named."""
    keep = (LABELS != 3) & (LABELS != 7)
    mnist.write(folder, "train", IMAGES[keep], LABELS[keep])
    with pytest.raises(ValueError, match=r"expected every digit from 0 to 9, got none of 3, 7 among 24 labels"):
        mnist.read(folder, "train")


def test_other_labels_are_refused(folder):
    """A label above 9 is refused, and its place told."""
    labels = LABELS.copy()
    labels[13] = 12
    mnist.write(folder, "train", IMAGES, labels)
    with pytest.raises(ValueError, match="expected labels 0 to 9, got 12 at 13"):
        mnist.read(folder, "train")


@pytest.mark.parametrize("shape", [(0, 6, 6), (30, 6, 5), (30, 0, 0)])
def test_images_must_be_square_and_some(folder, shape):
    """No images at all, or images that are not square, are refused with their shape."""
    mnist.write(folder, "train", np.zeros(shape, np.uint8), LABELS)
    expected = " x ".join(map(str, shape))
    with pytest.raises(ValueError, match=f"expected square images, at least one, got {expected}"):
        mnist.read(folder, "train")


def test_a_header_of_lies_takes_no_memory(folder):
    """A header that promises more than memory holds is compared with the file's size, and refused."""
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, *(2**32 - 1,) * 3) + b"\0" * 100)
    with pytest.raises(ValueError, match=f"expected {16 + (2**32 - 1) ** 3} bytes"):
        mnist.read(folder, "train")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs MNIST in ../shared/data/mnist")
def test_mnist_itself():
    """MNIST has 60,000 and 10,000 digits of 28 x 28, of which 5,923 and 980 are zeros."""
    for split, count, zeros, first in (("train", 60_000, 5923, 5), ("test", 10_000, 980, 7)):
        images, labels = mnist.read(SHARED, split)
        assert images.shape == (count, 28, 28)
        assert (labels == 0).sum() == zeros
        assert labels[0] == first
