from pathlib import Path

import cv2
import numpy as np
import pytest

from trackers.benchmarks import files, uav123
from trackers.benchmarks.problems import Problems
from trackers.sequence import Unseen

SHARED = Path(__file__).parents[4] / "shared" / "data"
JPEG = cv2.imencode(".jpg", np.zeros((4, 6, 3), np.uint8))[1].tobytes()


def write(root, name, rows, video=None, images=(), part="UAV123"):
    """A sequence, its frames in the folder of a video."""
    anno = root / "anno" / part
    anno.mkdir(parents=True, exist_ok=True)
    (anno / f"{name}.txt").write_text("".join(f"{row}\n" for row in rows))
    folder = root / "data_seq" / part / (video or name)
    for number in images:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06d}.jpg").write_bytes(JPEG)


def read(root, **config):
    return {sequence.name: sequence for sequence in uav123.open(uav123.Config(**config), root, "uav")}


def problems_of(root, **config):
    problems = Problems()
    uav123.read(uav123.Config(**config), files.open(root), problems)
    return [str(problem) for problem in problems]


def rows(count):
    return [f"{t},2,3,4" for t in range(1, count + 1)]


def span(sequence):
    return Path(sequence.frames.names[0]).stem, Path(sequence.frames.names[-1]).stem


def test_parts_of_one_video(tmp_path):
    """Sequences that share a video have the frames of their published ranges."""
    write(tmp_path, "truck4_1", rows(577), "truck4", range(1, 1262))
    write(tmp_path, "truck4_2", rows(685), "truck4")
    found = read(tmp_path)
    assert span(found["truck4_1"]) == ("000001", "000577")
    assert span(found["truck4_2"]) == ("000577", "001261")


def test_a_folder_for_every_part(tmp_path):
    """Where a copy has a folder of the part's own name, all images in it are the part."""
    write(tmp_path, "truck4_2", rows(3), images=range(577, 580))
    assert span(read(tmp_path)["truck4_2"]) == ("000577", "000579")


def test_every_third_frame(tmp_path):
    """At 10 frames a second the published ranges are those of every third frame, numbered anew."""
    assert uav123.published("uav123_10fps")["bird1_2"] == uav123.Listed("bird1", 259, 493)
    write(tmp_path, "truck4_2", rows(229), "truck4", range(193, 422), "UAV123_10fps")
    assert span(read(tmp_path, version="uav123_10fps")["truck4_2"]) == ("000193", "000421")


def test_versions_side_by_side(tmp_path):
    """Of a copy that holds several of the data sets, each version reads its own annotations and frames."""
    write(tmp_path, "bike1", rows(2), images=range(1, 3))
    write(tmp_path, "bike1", rows(1), images=[1], part="UAV123_10fps")
    write(tmp_path, "bird1", rows(4), part="UAV20L")
    assert {name: len(s) for name, s in read(tmp_path).items()} == {"bike1": 2}
    assert {name: len(s) for name, s in read(tmp_path, version="uav123_10fps").items()} == {"bike1": 1}
    assert {name: len(s) for name, s in read(tmp_path, version="uav20l").items()} == {"bird1": 4}


def test_absent_targets_attributes_and_own_sequences(tmp_path):
    """NaN rows are absent targets, flags become attributes, and a name that the benchmark does not know is read."""
    write(tmp_path, "mine", ["1,2,3,4", "NaN,NaN,NaN,NaN"], images=(8, 9))
    (tmp_path / "anno" / "UAV123" / "att").mkdir()
    (tmp_path / "anno" / "UAV123" / "att" / "mine.txt").write_text("1,0,0,0,0,0,0,0,0,0,0,1\n")
    sequence = read(tmp_path)["mine"]
    assert np.array_equal(sequence.groundtruth, [[0, 1, 3, 4], [np.nan] * 4], equal_nan=True)
    assert sequence.attributes == ("SV", "SOB")
    assert sequence.regions is None


@pytest.mark.parametrize(
    ("name", "count", "video", "images", "told"),
    [
        ("truck4_2", 684, "truck4", range(1, 1262), "expected 685 rows, one for each of the frames 577 to 1261"),
        ("truck4_2", 685, "truck4", range(1, 1261), "found 1 less, the first of them 1261"),
        ("bike1", 3, "bike1", range(1, 3), "expected 2 rows, one for each of the images, found 3"),
        ("bike1", 3, "bike1", (1, 2, 4), "found none of number 3"),
    ],
)
def test_frames_and_rows_must_fit(tmp_path, name, count, video, images, told):
    """Rows that are not as many as the frames of the sequence, and frames that are not there, are problems."""
    write(tmp_path, name, rows(count), video, images)
    (problem,) = problems_of(tmp_path)
    assert told in problem


def test_another_version_is_refused():
    """A version that there is not is refused with those that there are."""
    with pytest.raises(ValueError, match="version: expected one of uav123, uav20l, uav123_10fps, got uav"):
        uav123.Config(version="uav")


@pytest.mark.skipif(not (SHARED / "uav123_anno").is_dir(), reason="needs UAV123 in ../shared/data")
@pytest.mark.parametrize(
    ("version", "sequences", "frames", "nan"), [("uav123", 123, 112_578, 33), ("uav20l", 20, 58_670, 9)]
)
def test_all_annotations(version, sequences, frames, nan):
    """All published annotations are read, each as long as its published range of frames."""
    found = read(SHARED / "uav123_anno", version=version)
    listed = uav123.published(version)
    assert list(found) == sorted(listed)
    assert len(found) == sequences
    assert sum(map(len, found.values())) == frames
    assert all(len(s) == listed[name].last - listed[name].first + 1 for name, s in found.items())
    assert sum(np.isnan(sequence.groundtruth).any() for sequence in found.values()) == nan


@pytest.mark.skipif(not (SHARED / "uav123_10fps").is_dir(), reason="needs UAV123@10fps in ../shared/data")
def test_annotations_and_frames_at_10_fps():
    """The annotations at 10 frames a second are every third of those at 30, and as long as the derived ranges."""
    found = read(SHARED / "uav123_10fps", version="uav123_10fps")
    whole = read(SHARED / "uav123_anno")
    assert len(found) == 7
    for name, sequence in found.items():
        assert np.array_equal(sequence.groundtruth, whole[name].groundtruth[::3], equal_nan=True)
        listed = uav123.published("uav123_10fps")[name]
        assert len(sequence) == listed.last - listed.first + 1
        assert isinstance(sequence.frames, Unseen) == (name != "wakeboard7")
    assert found["wakeboard7"].frames[66].shape == (720, 1280, 3)
