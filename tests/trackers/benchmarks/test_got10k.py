import cv2
import numpy as np
import pytest

from trackers.benchmarks import files, got10k
from trackers.benchmarks.problems import DataError, Problems
from trackers.sequence import Unseen

JPEG = cv2.imencode(".jpg", np.zeros((4, 6, 3), np.uint8))[1].tobytes()
META = "[METAINFO]\nurl: http://localhost/1\nobject_class: ladybug\nresolution: (6, 4)\n"


def write(folder, rows, images=0, meta=META, **labels):
    """A sequence; labels: the files <name>.label."""
    folder.mkdir(parents=True)
    (folder / "groundtruth.txt").write_text("".join(f"{row}\n" for row in rows))
    (folder / "meta_info.ini").write_text(meta)
    for number in range(1, images + 1):
        (folder / f"{number:08d}.jpg").write_bytes(JPEG)
    for name, values in labels.items():
        (folder / f"{name}.label").write_text("".join(f"{value}\n" for value in values))


def read(root, **config):
    return {sequence.name: sequence for sequence in got10k.open(got10k.Config(**config), root, "got10k")}


ROWS = ["1.0000,2.0000,3.0000,4.0000", "0.0000,0.0000,0.0000,0.0000", "3,2,3,4", "4,2,3,4"]


@pytest.mark.parametrize("root", ["", "val"])
def test_a_split(tmp_path, root):
    """Sequences come in the order of the list; labels become tags, and a target that is absent has no box."""
    val = tmp_path / "val"
    write(val / "GOT_2", ROWS, 4, absence=[0, 1, 0, 1], cover=[8, 0, 0, 1], cut_by_image=[0, 0, 1, 0])
    write(val / "GOT_1", ROWS, 4)
    write(val / "unlisted", ROWS, 3)
    (val / "list.txt").write_text("GOT_2\nGOT_1\n")
    found = read(tmp_path / root)
    assert list(found) == ["GOT_2", "GOT_1"]
    sequence = found["GOT_2"]
    assert np.isnan(sequence.groundtruth[:, 0]).tolist() == [False, True, False, True]
    assert sequence.groundtruth[2].tolist() == [2, 1, 3, 4]
    assert sequence.tags["cover"].tolist() == [True, False, False, True]
    assert sequence.tags["absence"].tolist() == [False, True, False, True]
    assert sequence.tags["cut_by_image"].tolist() == [False, False, True, False]
    assert sequence.region(3).tolist() == [3, 1, 3, 4]
    assert (sequence.label, sequence.size, sequence.labelled) == ("ladybug", (6, 4), None)
    assert sequence.frames[3].shape == (4, 6, 3)


def test_the_test_split_has_one_row(tmp_path):
    """Of the test split only the first frame is labelled; elsewhere one row for many images is a problem."""
    for split in ("test", "train"):
        write(tmp_path / split / "GOT_1", ROWS[:1], 3)
    sequence = read(tmp_path, split="test")["GOT_1"]
    assert sequence.labelled.tolist() == [True, False, False]
    assert np.isnan(sequence.groundtruth[:, 0]).tolist() == [False, True, True]
    with pytest.raises(DataError, match="expected 3 rows, one an image, found 1"):
        read(tmp_path, split="train")


def test_annotations_alone(tmp_path):
    """Without images and without a list, every folder is a sequence of frames unseen."""
    write(tmp_path / "b", ROWS)
    write(tmp_path / "a", ROWS)
    found = read(tmp_path)
    assert list(found) == ["a", "b"]
    assert found["a"].frames == Unseen(4)
    assert list(read(tmp_path, sequences=("B",))) == ["b"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cover": [1, 2, 9, 4]}, "cover.label:3: expected labels 0 to 8, found 9 for frame 3"),
        ({"absence": [0, 1]}, "absence.label: expected 4 labels, one a frame, found 2"),
        ({"meta": "resolution: big\n"}, "expected resolution: (width, height), found 'big'"),
        ({"rows": ["1,2,3"]}, "groundtruth.txt:1: expected 4 numbers, found 3"),
        ({"rows": ROWS[:3]}, "expected 4 rows, one an image, found 3"),
    ],
)
def test_what_does_not_fit_is_a_problem(tmp_path, change, told):
    """Labels, rows and images must agree, and hold what they should."""
    write(tmp_path / "val" / "GOT_1", **{"rows": ROWS, "images": 4} | change)
    problems = Problems()
    assert got10k.read(got10k.Config(), files.open(tmp_path), problems) == []
    assert told in str(*problems)


def test_a_list_cannot_leave_its_folder(tmp_path):
    """A name in the list that is no folder beside it is a problem, wherever it points."""
    write(tmp_path / "val" / "GOT_1", ROWS, 4)
    write(tmp_path / "secret", ROWS, 4)
    (tmp_path / "val" / "list.txt").write_text("GOT_1\n../secret\n")
    with pytest.raises(DataError, match="expected names of folders beside it, as GOT_1, found ../secret"):
        read(tmp_path)
    with pytest.raises(ValueError, match="split: expected one of train, val, test, got all"):
        got10k.Config(split="all")
