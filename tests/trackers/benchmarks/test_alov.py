from pathlib import Path

import cv2
import numpy as np
import pytest

from trackers.benchmarks import alov
from trackers.benchmarks.problems import DataError
from trackers.sequence import Unseen

SHARED = Path(__file__).parents[4] / "shared" / "data" / "alov_ann"
JPEG = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
ROWS = "1 5 2 3 2 3 8 5 8\n6 4 2 9 2 9 3 4 3\n"  # x 3 to 5, y 2 to 8; x 4 to 9, y 2 to 3
# Videos in each category of ALOV300++, as OpenCV's datasets module lists them, and how many are in VOT2014.
CATEGORIES = {
    "01-Light": (33, 3), "02-SurfaceCover": (15, 1), "03-Specularity": (18, 2), "04-Transparency": (20, 0),
    "05-Shape": (24, 0), "06-MotionSmoothness": (22, 0), "07-MotionCoherence": (12, 0), "08-Clutter": (15, 0),
    "09-Confusion": (37, 0), "10-LowContrast": (23, 1), "11-Occlusion": (34, 0), "12-MovingCamera": (22, 0),
    "13-ZoomingCamera": (29, 0), "14-LongDuration": (10, 0),
}  # fmt: skip


def write(root, video, rows=ROWS, count=8, annotations="alov300++_rectangleAnnotation_full", images="imagedata++"):
    category = video.partition("_")[0]
    folder = root / annotations / category
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{video}.ann").write_text(rows)
    for number in range(1, count + 1):
        path = root / images / category / video / f"{number:08d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG)


def read(root, **settings):
    return alov.open(alov.Config(**settings), root, "alov").sequences


def problems_of(root, **settings):
    with pytest.raises(DataError) as raised:
        read(root, **settings)
    return [str(problem).replace(f"{root}/", "") for problem in raised.value.problems]


@pytest.mark.parametrize("folders", [{}, {"annotations": "", "images": ""}, {"annotations": "ann", "images": "x/y"}])
def test_boxes_of_labelled_frames(tmp_path, folders):
    """Boxes lie between the extreme corners, whatever their order, less the 1 of the first pixel; others are NaN."""
    write(tmp_path, "01-Light_video00001", **folders)
    (sequence,) = read(tmp_path)
    assert sequence.name == "01-Light_video00001"
    assert np.flatnonzero(sequence.labelled).tolist() == [0, 5]
    assert sequence.groundtruth[sequence.labelled].tolist() == [[2, 1, 2, 6], [3, 1, 5, 1]]
    assert np.isnan(sequence.groundtruth[~sequence.labelled]).all()
    assert (len(sequence), sequence.origin, sequence.attributes) == (8, 1, ("01-Light",))
    assert sequence.frames[7].shape == (8, 8, 3)


def test_a_sequence_begins_at_its_first_label(tmp_path):
    """Images before the first labelled frame are no part of the sequence."""
    write(tmp_path, "01-Light_video00001", ROWS.replace("1 5", "3 5", 1))
    (sequence,) = read(tmp_path)
    assert [Path(name).stem for name in sequence.frames.names] == [f"{number:08d}" for number in range(3, 9)]
    assert np.flatnonzero(sequence.labelled).tolist() == [0, 3]


def test_annotations_alone(tmp_path):
    """Without images, a sequence ends at its last label; annotations may lie side by side."""
    (tmp_path / "09-Confusion_video00002.ann").write_text(ROWS)
    (sequence,) = read(tmp_path)
    assert isinstance(sequence.frames, Unseen) and len(sequence) == 6
    assert sequence.label == "09-Confusion"


def test_the_papers_split(tmp_path):
    """Seven videos are in VOT2014; of the other 307, 251 are for training and 56 for validation, as printed."""
    numbers = {
        video: 2 if video in alov.IN_VOT2014 else 1
        for category, (count, _) in CATEGORIES.items()
        for video in [f"{category}_video{number:05d}" for number in range(1, count + 1)]
    }
    for video in numbers:
        write(tmp_path, video, ROWS, count=0)
    assert sum(count for count, _ in CATEGORIES.values()) == 314
    parts = {split: [s.name for s in read(tmp_path, split=split)] for split in ("all", "train", "validation")}
    assert {split: len(names) for split, names in parts.items()} == {"all": 307, "train": 251, "validation": 56}
    assert sorted(parts["train"] + parts["validation"]) == parts["all"]
    assert not set(parts["all"]) & set(alov.IN_VOT2014)
    assert parts["validation"][:2] == ["01-Light_video00028", "01-Light_video00029"]
    assert len(read(tmp_path, exclude=())) == 314
    for category, (_, shared) in CATEGORIES.items():
        assert sum(video.startswith(category) for video in alov.IN_VOT2014) == shared


def test_all_problems_at_once(tmp_path):
    """Wrong rows and missing images are told together, each with its file and line."""
    rows = {
        1: "1 5 2 3 2 3 8 5\n",  # a number is missing
        2: "1 5 2 3 2 3 8 5 8\n1 5 2 3 2 3 8 5 8\n",  # the same frame twice
        3: "0 5 2 3 2 3 8 5 8\n",  # frames count from 1
        4: "1.5 5 2 3 2 3 8 5 8\n",
        5: "9 5 2 3 2 3 8 5 8\n",  # there are eight images
        6: "1 5 2 5 2 5 8 5 8\n",  # no width
        7: "nan 5 2 3 2 3 8 5 8\n",
        8: "1 5 2 3 2 nan 8 5 8\n",
        9: "",
    }
    for number, row in rows.items():
        write(tmp_path, f"01-Light_video{number:05d}", row)
    write(tmp_path, "02-SurfaceCover_video00001", count=0)
    told = problems_of(tmp_path)
    folder, rising = "alov300++_rectangleAnnotation_full", "expected frame numbers 1 or more that rise from row to row"
    assert told == [
        f"{folder}/01-Light/01-Light_video00001.ann:1: expected 9 numbers, found 8",
        f"{folder}/01-Light/01-Light_video00002.ann:2: {rising}, found 1",
        f"{folder}/01-Light/01-Light_video00003.ann:1: {rising}, found 0",
        f"{folder}/01-Light/01-Light_video00004.ann:1: {rising}, found 1.5",
        f"{folder}/01-Light/01-Light_video00005.ann:1: expected frames up to 8, the last image, found 9",
        f"{folder}/01-Light/01-Light_video00006.ann:1: expected four corners of a box, found 5 2 5 2 5 8 5 8",
        f"{folder}/01-Light/01-Light_video00007.ann:1: {rising}, found nan",
        f"{folder}/01-Light/01-Light_video00008.ann:1: expected four corners of a box, found 5 2 3 2 nan 8 5 8",
        f"{folder}/01-Light/01-Light_video00009.ann: expected rows of 9 numbers, found an empty file",
        f"{folder}/02-SurfaceCover/02-SurfaceCover_video00001.ann: "
        "expected a folder of images 02-SurfaceCover/02-SurfaceCover_video00001, found none",
    ]


def test_images_out_of_step(tmp_path):
    """A missing image, or two folders of images of one video, would shift its frames: they are problems."""
    write(tmp_path, "01-Light_video00001")
    write(tmp_path, "01-Light_video00002", count=0)
    for folder in ("a", "b"):
        write(tmp_path, "01-Light_video00002", images=folder)
    (tmp_path / "imagedata++/01-Light/01-Light_video00001/00000001.jpg").unlink()
    assert problems_of(tmp_path) == [
        "b/01-Light/01-Light_video00002: expected one folder of images of a video, "
        f"found also {tmp_path}/a/01-Light/01-Light_video00002".replace(f"{tmp_path}/", ""),
        "imagedata++/01-Light/01-Light_video00001: expected images from number 1 on, found the first is 2",
    ]


def test_a_frame_number_takes_no_memory(tmp_path):
    """Without images nothing says how long a video is; a number of a frame that none has is refused."""
    (tmp_path / "09-Confusion_video00002.ann").write_text("1 5 2 3 2 3 8 5 8\n99999999999 4 2 9 2 9 3 4 3\n")
    assert problems_of(tmp_path) == ["09-Confusion_video00002.ann:2: expected frames up to 1000000, found 1e+11"]


def test_settings_are_checked():
    """A setting that is none of the choices is refused by name."""
    with pytest.raises(ValueError, match="split: expected all, train or validation, got test"):
        alov.Config(split="test")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs an .ann file in ../shared/data/alov_ann")
def test_a_real_annotation():
    """01-Light_video00001 has a box at every fifth of its first 91 frames."""
    (sequence,) = read(SHARED)
    assert np.flatnonzero(sequence.labelled).tolist() == list(range(0, 91, 5))
    assert sequence.groundtruth[0] == pytest.approx([1011.9, 186.84, 67.3, 81.72])
    assert sequence.label == "01-Light"
