import json
from pathlib import Path

import numpy as np
import pytest

from trackers.benchmarks import pysot
from trackers.benchmarks.problems import DataError

DATA = Path(__file__).parents[4] / "shared" / "data" / "vot_eval"
BOX, POLYGON = [1, 2, 3, 4], [1, 2, 5, 3, 4, 8, 0, 7]


def put(folder, **changes):
    entry = {"img_names": ["ball/1.jpg", "ball/2.jpg"], "gt_rect": [BOX, POLYGON], "width": 64, "height": 48}
    (folder / "SET.json").write_text(json.dumps({"ball": {**entry, **changes}}))
    return folder


def read(folder, **settings):
    return pysot.open(pysot.Config(**settings), folder, "set").sequences


def test_boxes_and_polygons_are_read(tmp_path):
    """A box stays a box, and a polygon has the box around it as groundtruth."""
    [ball] = read(put(tmp_path, occlusion=[0, 1], attr=["OCC"], init_rect=BOX))
    assert ball.region(0).tolist() == BOX
    assert ball.region(1).tolist() == POLYGON
    assert ball.groundtruth.tolist() == [BOX, [0, 2, 5, 6]]
    assert ball.size == (64, 48)
    assert ball.attributes == ("OCC",)
    assert ball.tags["occlusion"].tolist() == [False, True]
    assert ball.tags["empty"].tolist() == [True, False]


def test_absent_targets_and_other_origins(tmp_path):
    """NaN and an empty row are a target that is absent; files that count from 1 say so in the settings."""
    [ball] = read(put(tmp_path, gt_rect=[BOX, [float("nan")] * 4, []], img_names=[]), origin=1.0)
    assert ball.groundtruth[0].tolist() == [0, 1, 3, 4]
    assert np.isnan(ball.groundtruth[1:]).all()
    assert ball.origin == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"gt_rect": [BOX]}, "ball: 2 rows of gt_rect, one an image, found 1"),
        ({"gt_rect": [BOX, [1, 2, 3]]}, r"ball, frame 2: 4 or 8 numbers, or none, found \[1, 2, 3\]"),
        ({"gt_rect": [BOX, ["a"] * 4]}, "ball, frame 2: 4 or 8 numbers"),
        ({"gt_rect": [BOX, [1, 2, 3, float("inf")]]}, "ball, frame 2: 4 or 8 numbers"),
        ({"gt_rect": "boxes"}, "ball: rows of gt_rect, found none"),
        ({"occlusion": [0]}, "ball: 2 times 0 or 1 for occlusion"),
        ({"occlusion": [0, 7]}, "ball: 2 times 0 or 1 for occlusion"),
    ],
)
def test_wrong_entries_are_told(tmp_path, changes, told):
    """A wrong number of rows or flags, and a row that is no region, are told by sequence and frame."""
    with pytest.raises(DataError, match=told):
        read(put(tmp_path, **changes))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"ball": 1}', "1", '{"ball": {}}'])
def test_other_json_is_refused(tmp_path, text):
    """A file that is no JSON, or no object of sequences, is refused."""
    (tmp_path / "SET.json").write_text(text)
    with pytest.raises(DataError):
        read(tmp_path)


def test_images_outside_the_folder_are_none(tmp_path):
    """An image's name that leaves the folder is no file of the data set: the annotations are read alone."""
    [ball] = read(put(tmp_path, img_names=["../../etc/passwd", "/etc/passwd"]))
    with pytest.raises(FileNotFoundError):
        ball.frames[0]


@pytest.mark.skipif(not DATA.is_dir(), reason="needs VOT2018.json in ../shared/data/vot_eval")
def test_vot2018():
    """VOT2018 has 60 sequences of 21,356 frames, with polygons and five tags."""
    sequences = read(DATA)
    assert len(sequences) == 60
    assert sum(map(len, sequences)) == 21356
    assert set(sequences[0].tags) == {
        "camera_motion", "illum_change", "motion_change", "occlusion", "size_change", "empty",
    }  # fmt: skip
