import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from trackers import masks
from trackers.benchmarks import davis, mask_images
from trackers.benchmarks.problems import DataError
from trackers.sequence import Unseen

SHARED = Path(__file__).parents[4] / "shared" / "data" / "davis"
VALUES = np.zeros((6, 9), np.uint8)
VALUES[1:3, 2:6], VALUES[4:, 5:] = 1, 3
JPEG = cv2.imencode(".jpg", np.zeros((6, 9, 3), np.uint8))[1].tobytes()


def palette_png(values, depth=8):
    """A PNG with a palette, as DAVIS 2017 has them: OpenCV writes none."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = values.shape
    bits = np.unpackbits(values[..., None], axis=2)[..., 8 - depth :].reshape(height, -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(bits, axis=1))
    colours = np.random.default_rng(0).integers(0, 256, 3 * 2**depth, np.uint8).tobytes()
    header = struct.pack(">IIBBBBB", width, height, depth, 3, 0, 0, 0)
    parts = [(b"IHDR", header), (b"PLTE", colours), (b"tRNS", b"\0"), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def write(root, video, pngs, images=None, resolution="480p"):
    (root / "Annotations" / resolution / video).mkdir(parents=True)
    for t, png in enumerate(pngs):
        (root / "Annotations" / resolution / video / f"{t:05d}.png").write_bytes(png)
    for t in range(len(pngs) if images is None else images):
        path = root / "JPEGImages" / resolution / video / f"{t:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG)


def png_of(values):
    return cv2.imencode(".png", values)[1].tobytes()


def read(root, **settings):
    return davis.open(davis.Config(**settings), root, "davis").sequences


def problems_of(root, **settings):
    with pytest.raises(DataError) as raised:
        read(root, **settings)
    return [str(problem).replace(f"{root}/", "") for problem in raised.value.problems]


@pytest.mark.parametrize("depth", [2, 4, 8])
def test_the_numbers_of_a_palette_count(depth):
    """Of an image with a palette the numbers are read, not the colours, with however many bits a pixel."""
    assert np.array_equal(mask_images.decode(palette_png(VALUES, depth)), VALUES)
    one = (VALUES > 0).astype(np.uint8)
    assert np.array_equal(mask_images.decode(palette_png(one, 1)), one)


def test_grey_levels_and_colours():
    """Grey levels are read as they are, also from three equal channels; colours are no mask."""
    assert np.array_equal(mask_images.decode(png_of(VALUES * 85)), VALUES * 85)
    assert np.array_equal(mask_images.decode(png_of(np.stack([VALUES] * 3, -1))), VALUES)
    for content, message in (
        (png_of(np.stack([VALUES, VALUES, 1 - VALUES], -1)), "one value a pixel, found colours"),
        (png_of(VALUES.astype(np.uint16)), "8 bits a pixel, found 16"),
        (b"", "cannot be decoded"),
        (palette_png(VALUES)[:60], "cannot be decoded"),
        (palette_png(VALUES)[:24], "cannot be decoded"),
    ):
        with pytest.raises(ValueError, match=message):
            mask_images.decode(content)


def test_all_objects_are_one_target_or_each_is_one(tmp_path):
    """DAVIS 2016 takes all objects for one, DAVIS 2017 makes a sequence of each; a target unseen is absent."""
    later = np.where(VALUES == 3, 0, VALUES).astype(np.uint8)
    write(tmp_path, "dogs", [palette_png(VALUES), palette_png(later)])
    write(tmp_path, "bear", [png_of(VALUES // 3 * 255)] * 2)
    bear, dogs = read(tmp_path)
    assert dogs.groundtruth.tolist() == [[2, 1, 7, 5], [2, 1, 4, 2]]
    assert np.array_equal(dogs.region(0), VALUES > 0)
    assert dogs.size == (9, 6) and dogs.labelled is None
    assert dogs.frames[1].shape == (6, 9, 3)
    separate = read(tmp_path, objects="separate")
    assert [sequence.name for sequence in separate] == ["bear", "dogs.1", "dogs.3"]
    third = separate[2]
    assert np.array_equal(third.groundtruth, [[5, 4, 4, 2], [np.nan] * 4], equal_nan=True)
    assert np.array_equal(third.region(0), VALUES == 3) and not third.region(1).any()


def test_frames_after_the_only_mask_are_not_labelled(tmp_path):
    """Where the first frame alone has a mask, as in the test sets, the others have neither box nor mask."""
    write(tmp_path, "tractor", [png_of(VALUES)], images=3)
    (sequence,) = read(tmp_path)
    assert sequence.labelled.tolist() == [True, False, False]
    assert np.isnan(sequence.groundtruth[1:]).all() and not sequence.region(2).any()


def test_masks_alone(tmp_path):
    """Masks without images are enough to score by."""
    write(tmp_path, "bear", [png_of(VALUES)] * 2, images=0)
    (sequence,) = read(tmp_path)
    assert isinstance(sequence.frames, Unseen) and len(sequence) == 2


@pytest.mark.parametrize("rows", ["bear\ndogs\n", "/JPEGImages/480p/{0}/00000.jpg /Annotations/480p/{0}/00000.png\n"])
def test_lists_of_sequences(tmp_path, rows):
    """A list names its sequences (2017) or all their images (2016)."""
    for video in ("ants", "bear", "dogs"):
        write(tmp_path, video, [png_of(VALUES)] * 2)
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets" / "val.txt").write_text("".join(rows.format(name) for name in ("bear", "dogs")))
    assert [sequence.name for sequence in read(tmp_path, subset="val")] == ["bear", "dogs"]
    assert [sequence.name for sequence in read(tmp_path, subset="val", exclude=("bear",))] == ["dogs"]
    assert [sequence.name for sequence in read(tmp_path, sequences=("ants",))] == ["ants"]
    (tmp_path / "ImageSets" / "val.txt").write_text("bear\ncat\n../x\n/x\n")
    assert problems_of(tmp_path, subset="val") == [
        "ImageSets/val.txt:2: expected the name of a sequence, found 'cat'",
        "ImageSets/val.txt:3: expected the name of a sequence, found '../x'",
        "ImageSets/val.txt:4: expected the name of a sequence, found '/x'",
    ]
    assert problems_of(tmp_path, subset="test")[0].startswith("ImageSets/test.txt: expected a file")


def test_all_problems_at_once(tmp_path):
    """Masks missing, too many, damaged or of another size are told together, each with its place."""
    good = png_of(VALUES)
    write(tmp_path, "a", [good] * 3, images=5)
    write(tmp_path, "b", [good] * 3, images=2)
    write(tmp_path, "c", [good, b"no image", good])
    write(tmp_path, "d", [good, png_of(VALUES[1:])])
    write(tmp_path, "e", [good] * 3, images=0)
    write(tmp_path, "f", [])
    write(tmp_path, "g", [good] * 3)
    (tmp_path / "Annotations/480p/g/00001.png").unlink()
    assert problems_of(tmp_path) == [
        "Annotations/480p/a: expected a mask of each image, or of the first alone, found no mask of 3",
        "Annotations/480p/b: expected a mask of each image, or of the first alone, found no image of 2",
        "Annotations/480p/c/00001.png: expected an image of a mask, found one that cannot be decoded",
        "Annotations/480p/d: expected masks of one size, found 9 x 5, 9 x 6",
        "Annotations/480p/g: expected a mask of each image, or of the first alone, found no mask of 1",
        "Annotations/480p/g: expected images 0 to 2, found none of number 1",
        "JPEGImages/480p/e: expected images, found none",
    ]


def test_masks_are_as_large_as_the_frames(tmp_path):
    """Masks of another size than the images are a problem, by file."""
    write(tmp_path, "bear", [png_of(VALUES[1:])] * 2)
    assert problems_of(tmp_path) == [
        "Annotations/480p/bear/00000.png: expected a mask of 9 x 6 pixels, as JPEGImages/480p/bear/00000.jpg, "
        "found 9 x 5 pixels"
    ]


def test_a_target_that_is_not_there_at_the_start_is_refused(tmp_path):
    """Nothing can be tracked from an empty first mask: the target is named, and may be left out alone."""
    earlier = np.where(VALUES == 3, 0, VALUES).astype(np.uint8)
    write(tmp_path, "bear", [png_of(VALUES * 0), png_of(VALUES)])
    write(tmp_path, "dogs", [palette_png(earlier), palette_png(VALUES)])

    def message(video, name):
        place = f"Annotations/480p/{video}/00000.png"
        left_out = f"or it left out (exclude: [{name}])"
        return f"{place}: expected the target of {name} in its first mask, {left_out}, found an empty mask"

    assert problems_of(tmp_path) == [message("bear", "bear")]
    assert problems_of(tmp_path, objects="separate", exclude=("bear",)) == [message("dogs", "dogs.3")]
    assert [s.name for s in read(tmp_path, objects="separate", exclude=("bear", "dogs.3"))] == ["dogs.1"]


def test_another_resolution(tmp_path):
    """The resolution names the folder; one that is not there is a problem."""
    write(tmp_path, "bear", [png_of(VALUES)], resolution="1080p")
    assert len(read(tmp_path, resolution="1080p")) == 1
    assert problems_of(tmp_path) == ["Annotations/480p: expected a folder of masks for each sequence, found none"]


def test_settings_are_checked():
    """A setting that is none of the choices is refused by name."""
    with pytest.raises(ValueError, match="objects: expected merged or separate, got both"):
        davis.Config(objects="both")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs DAVIS 2016 in ../shared/data/davis")
def test_davis_itself():
    """Ten sequences of DAVIS 2016: 578 masks, the same from run lengths as from their files, boxes around them."""
    sequences = read(SHARED, sequences=("blackswan", "bmx-trees"))
    assert [(s.name, len(s), s.size) for s in sequences] == [
        ("blackswan", 50, (854, 480)),
        ("bmx-trees", 80, (854, 480)),
    ]
    swan = sequences[0]
    values = cv2.imread(str(SHARED / "Annotations/480p/blackswan/00007.png"), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(swan.region(7), values == 255)
    assert np.array_equal(swan.groundtruth[7], masks.bounding_box(values == 255))
    assert swan.frames[7].shape == (480, 854, 3)
