from __future__ import annotations

import cv2
import numpy as np
import pytest

from orchestrator import footage
from trackers.benchmarks import got10k, lasot, otb, plain, vot
from trackers.benchmarks.problems import DataError
from trackers.synthetic import layouts
from trackers.synthetic.sprites import Scene, render
from trackers.tracker import IdentityTracker


@pytest.fixture(scope="module")
def clips():
    """One short clip, of a target that is out of view in mid-sequence."""
    return {"disc-1": render(Scene("disc", ("OV",), 20, (64, 48), 14.0), 1)}


@pytest.mark.parametrize(
    ("write", "place", "reader"),
    [
        (layouts.write_otb, "disc-1", otb),
        (layouts.write_vot, "disc-1", vot),
        (layouts.write_lasot, "disc/disc-1", lasot),
        (layouts.write_got10k, "val/disc-1", got10k),
        (layouts.write_video, "disc-1.avi", plain),
    ],
)
def test_a_sequence_alone_is_read_as_its_benchmark_reads_it(tmp_path, clips, write, place, reader):
    """The folder of one sequence has the name, boxes and frames that its benchmark's reader finds there."""
    write(tmp_path, clips)
    (tmp_path / "else.mp4").write_bytes(b"no video")
    sequence = footage.open(tmp_path / place)
    (tmp_path / "else.mp4").unlink()
    (expected,) = reader.open(reader.Config(), tmp_path, "data")
    assert sequence.name == expected.name == "disc-1"
    np.testing.assert_array_equal(sequence.groundtruth, expected.groundtruth)
    np.testing.assert_array_equal(sequence.frames[7], expected.frames[7])
    assert len(sequence) == 20


def test_images_take_a_box_or_one_row(tmp_path):
    """A folder of images starts on the box that is given, or on the only row of groundtruth.txt."""
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((20, 30, 3), number, np.uint8))
    given = footage.open(tmp_path, (1, 2, 3, 4))
    assert [int(given.frames[t][0, 0, 0]) for t in range(3)] == [0, 1, 2]
    np.testing.assert_array_equal(given.groundtruth, [[1, 2, 3, 4], [np.nan] * 4, [np.nan] * 4])
    (tmp_path / "groundtruth.txt").write_text("5,6,7,8\n")
    np.testing.assert_array_equal(footage.open(tmp_path).groundtruth[0], [5, 6, 7, 8])


def test_what_is_missing_is_named(tmp_path):
    """No source, no frames, no first box, and a file that is no video are told apart."""
    with pytest.raises(FileNotFoundError, match="nowhere: expected a video, a folder of images or a sequence"):
        footage.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: .* found no sequences with frames"):
        footage.open(tmp_path / "empty", (1, 2, 3, 4))
    with pytest.raises(ValueError, match="empty: expected the first box: --box x,y,width,height, or groundtruth.txt"):
        footage.open(tmp_path / "empty")
    (tmp_path / "empty" / "groundtruth_rect.txt").write_text("1,2,3,4\n")
    with pytest.raises(ValueError, match="found no sequences with frames"):
        footage.open(tmp_path / "empty")
    (tmp_path / "words.doc").write_text("words")
    with pytest.raises(ValueError, match="words.doc: .* videos end in .mp4, .avi"):
        footage.open(tmp_path / "words.doc")
    (tmp_path / "broken.mp4").write_text("words")
    with pytest.raises(ValueError, match="broken.mp4: expected the first box: .* or broken.txt beside it"):
        footage.open(tmp_path / "broken.mp4")
    with pytest.raises(DataError, match="broken.mp4: expected a video, found a file of which no frame can be decoded"):
        footage.open(tmp_path / "broken.mp4", (1, 2, 3, 4))


def test_frames_are_a_sequence():
    """Images in memory are followed from a box as those of files are; what is no such image is refused."""
    frames = np.zeros((3, 24, 32, 3), np.uint8)
    assert footage.follow(IdentityTracker(), footage.of_frames(frames), (1, 2, 3, 4), 1).tolist() == [[1, 2, 3, 4]] * 3
    for other in (frames[0], frames.astype(float), frames[..., :1]):
        with pytest.raises(ValueError, match=r"expected uint8 RGB \(frames, height, width, 3\), got "):
            footage.of_frames(other)
