import cv2
import numpy as np
import pytest

from trackers.benchmarks import files, packs
from trackers.benchmarks.images import Images, decode

COLOURS = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)  # RGB


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    cv2.imwrite(str(root / "1.png"), COLOURS[..., ::-1])
    cv2.imwrite(str(root / "2.png"), COLOURS[..., 0])
    (root / "3.png").write_bytes((root / "1.png").read_bytes()[:40])
    (root / "4.png").touch()
    return root


@pytest.fixture(params=["folder", "pack"])
def there(request, folder, tmp_path):
    """The images as files of their own, and packed."""
    return files.open(folder) if request.param == "folder" else packs.pack(folder, tmp_path / "pack")


def test_images_are_rgb(there):
    """Colours come as RGB, grey as three equal channels, uint8 (height, width, 3)."""
    images = Images(there, ("1.png", "2.png"))
    assert len(images) == 2
    assert np.array_equal(images[0], COLOURS)
    assert np.array_equal(images[1], np.repeat(COLOURS[..., :1], 3, axis=2))
    assert images[0].dtype == np.uint8


def test_a_frames_file_can_be_had_as_it_is(there, folder):
    """Its bytes are those on disk, even where they are no image; decoded, they are the frame."""
    images = Images(there, ("1.png", "3.png", "5.png"))
    assert images.encoded(0) == (folder / "1.png").read_bytes()
    assert images.encoded(1) == (folder / "3.png").read_bytes()
    assert np.array_equal(decode(images.encoded(0)), images[0])
    with pytest.raises(FileNotFoundError, match=r"5\.png"):
        images.encoded(2)


def test_what_is_no_image_is_refused_by_name(there):
    """A file cut short, an empty one and a missing one are refused, and named."""
    images = Images(there, ("3.png", "4.png", "5.png"))
    for t in (0, 1):
        with pytest.raises(ValueError, match=rf"{t + 3}\.png: expected an image, found one that cannot be decoded"):
            images[t]
    with pytest.raises(FileNotFoundError, match=r"5\.png"):
        images[2]
