import cv2
import numpy as np
import pytest

from trackers.benchmarks import files, lasot
from trackers.benchmarks.problems import DataError, Problems
from trackers.sequence import Unseen

JPEG = cv2.imencode(".jpg", np.zeros((4, 6, 3), np.uint8))[1].tobytes()


def write(folder, rows, images=0, full_occlusion=None, out_of_view=None):
    """A sequence; the last two: text of those files."""
    (folder / "img").mkdir(parents=True)
    (folder / "groundtruth.txt").write_text("".join(f"{row}\n" for row in rows))
    (folder / "nlp.txt").write_text("a white aeroplane\n")
    for number in range(1, images + 1):
        (folder / "img" / f"{number:08d}.jpg").write_bytes(JPEG)
    for name, content in (("full_occlusion", full_occlusion), ("out_of_view", out_of_view)):
        if content is not None:
            (folder / f"{name}.txt").write_text(content)


def read(root, **config):
    return {sequence.name: sequence for sequence in lasot.open(lasot.Config(**config), root, "lasot")}


ROWS = ["1,2,3,4", "2,2,3,4", "3,2,3,4", "0,0,0,0"]


@pytest.mark.parametrize("folder", ["airplane/airplane-1", "airplane-1"])
def test_a_sequence(tmp_path, folder):
    """A sequence is read from folders of classes or none; where its target cannot be seen there is no box."""
    write(tmp_path / folder, ROWS, 4, "0,1,0,0\n", "0,0,1,0")
    sequence = read(tmp_path)["airplane-1"]
    assert sequence.label == "airplane"
    assert np.isnan(sequence.groundtruth[:, 0]).tolist() == [False, True, True, True]
    assert {name: flags.tolist() for name, flags in sequence.tags.items()} == {
        "full_occlusion": [False, True, False, False],
        "out_of_view": [False, False, True, False],
        "absent": [False, True, True, False],
    }
    assert sequence.region(1).tolist() == [1, 1, 3, 4]
    assert sequence.frames[3].shape == (4, 6, 3)


def test_the_published_split(tmp_path):
    """The test set has four sequences of each of 70 classes; all others are for training."""
    assert len(lasot.published()) == 280
    assert len({name.rpartition("-")[0] for name in lasot.published()}) == 70
    for name in ("airplane-1", "airplane-2", "mine-1"):
        write(tmp_path / name.partition("-")[0] / name, ROWS)
    assert list(read(tmp_path)) == ["airplane-1", "airplane-2", "mine-1"]
    assert list(read(tmp_path, split="test")) == ["airplane-1"]
    assert list(read(tmp_path, split="train")) == ["airplane-2", "mine-1"]
    assert read(tmp_path)["mine-1"].frames == Unseen(4)
    with pytest.raises(ValueError, match="split: expected one of all, train, test, got val"):
        lasot.Config(split="val")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"images": 3}, "expected 3 rows, one an image, found 4"),
        ({"full_occlusion": "0,1,0"}, "full_occlusion.txt:1: expected 1 or 4 numbers, found 3"),
        ({"out_of_view": "0,1,0,2"}, "out_of_view.txt:1: expected labels 0 to 1, found 2 for frame 4"),
        ({"rows": []}, "groundtruth.txt: expected rows of 4 numbers, found an empty file"),
    ],
)
def test_what_does_not_fit_is_a_problem(tmp_path, change, told):
    """Rows, images and flags must agree."""
    write(tmp_path / "cat" / "cat-1", **{"rows": ROWS, "images": 4} | change)
    problems = Problems()
    assert lasot.read(lasot.Config(), files.open(tmp_path), problems) == []
    assert told in str(*problems)


def test_a_missing_groundtruth_and_a_second_folder(tmp_path):
    """Images without groundtruth, and two folders of one name, are problems."""
    write(tmp_path / "cat" / "cat-1", ROWS, 4)
    (tmp_path / "cat" / "cat-1" / "groundtruth.txt").unlink()
    write(tmp_path / "a" / "dog-1", ROWS)
    write(tmp_path / "b" / "dog-1", ROWS)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert "cat-1/groundtruth.txt: expected a file, found" in str(caught.value)
    assert "expected one sequence dog-1, found also" in str(caught.value)
