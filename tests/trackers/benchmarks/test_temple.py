from pathlib import Path

import cv2
import numpy as np
import pytest

from trackers.benchmarks import files, temple
from trackers.benchmarks.problems import DataError, Problems
from trackers.sequence import Unseen

JPEG = cv2.imencode(".jpg", np.zeros((4, 6, 3), np.uint8))[1].tobytes()


def write(root, name, count, images=(), frames=None, attributes=None):
    """A sequence folder."""
    (root / name / "img").mkdir(parents=True)
    (root / name / f"{name}_gt.txt").write_text("".join(f"{t},2,3,4\r\n" for t in range(1, count + 1)))
    for number in images:
        (root / name / "img" / f"{number:04d}.jpg").write_bytes(JPEG)
    if frames is not None:
        (root / name / f"{name}_frames.txt").write_text(frames)
    if attributes is not None:
        (root / name / f"{name}_att.txt").write_text(attributes)


def read(root, **config):
    return {sequence.name: sequence for sequence in temple.open(temple.Config(**config), root, "temple")}


@pytest.mark.parametrize("frames", ["3,5", "3,5\n", "3 5", "3\n5\n"])
def test_the_annotated_frames(tmp_path, frames):
    """The file of frames says which images the rows belong to."""
    write(tmp_path, "Ball_ce1", 3, range(1, 9), frames, "IV\tOCC  LR\n")
    sequence = read(tmp_path)["Ball_ce1"]
    assert [Path(name).stem for name in sequence.frames.names] == ["0003", "0004", "0005"]
    assert sequence.groundtruth[0].tolist() == [0, 1, 3, 4]
    assert sequence.attributes == ("IV", "OCC", "LR")
    assert sequence.frames[2].shape == (4, 6, 3)


def test_annotations_alone_and_no_file_of_frames(tmp_path):
    """Without images there are frames unseen; without a file of frames every image has a row."""
    write(tmp_path, "Alone", 3, frames="7,9")
    write(tmp_path, "Plain", 2, range(4, 6))
    found = read(tmp_path)
    assert list(found) == ["Alone", "Plain"]
    assert found["Alone"].frames == Unseen(3)
    assert len(found["Plain"].frames.names) == 2
    assert list(read(tmp_path, sequences=("plain",))) == ["Plain"]


@pytest.mark.parametrize(
    ("count", "images", "frames", "told"),
    [
        (3, range(1, 9), "3,6", "expected 4 rows, one for each of the frames 3 to 6, found 3"),
        (3, range(1, 5), None, "expected 4 rows, one an image, found 3"),
        (3, range(1, 5), "3,5", "expected images 3 to 5, found 1 to 4"),
        (3, (), "5,3", "expected numbers of the first and the last frame, found 5 3"),
        (3, (), "1", "expected numbers of the first and the last frame, found 1"),
        (3, (), "1,2.5", "expected numbers of the first and the last frame, found 1 2.5"),
        (3, (), "1,1e30", "expected numbers of the first and the last frame, found 1 1e+30"),
        (3, (), "first,last", "expected 1 or 2 numbers, found 'first'"),
        (0, range(1, 3), "1,2", "expected rows of 4 numbers, found an empty file"),
    ],
)
def test_what_does_not_fit_is_a_problem(tmp_path, count, images, frames, told):
    """Rows, images and the file of frames must agree."""
    write(tmp_path, "Ball", count, images, frames)
    problems = Problems()
    assert temple.read(temple.Config(), files.open(tmp_path), problems) == []
    assert told in str(*problems)


def test_images_without_groundtruth(tmp_path):
    """A folder of images without groundtruth, and an attribute that there is not, are problems."""
    write(tmp_path, "Bare", 1, [1])
    (tmp_path / "Bare" / "Bare_gt.txt").unlink()
    write(tmp_path, "Ball", 1, [1], attributes="IV XY")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    told = str(caught.value)
    assert "Bare: expected a file *_gt.txt, found images without it" in told
    assert "Ball_att.txt: expected attributes among" in told
