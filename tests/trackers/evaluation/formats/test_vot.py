import numpy as np
import pytest

from trackers.benchmarks.problems import Problems
from trackers.evaluation.formats import vot
from trackers.evaluation.trajectory import Event
from trackers.sequence import Sequence, Unseen

BOX = np.array([10.0, 20.0, 30.0, 40.0])
POLYGON = np.array([10.0, 20.0, 40.0, 22.0, 38.0, 60.0, 8.0, 58.0])


def sequence(frames, region=BOX):
    return Sequence("ball", Unseen(frames), np.tile(BOX, (frames, 1)), tuple([region] * frames), size=(64, 48))


def read(text, frames, region=BOX):
    problems = Problems()
    found = vot.read(text.encode(), "ball_001.txt", sequence(frames, region), 0, problems)
    return found, [str(problem) for problem in problems]


def test_codes_and_regions_of_both_kinds():
    """1, 2 and 0 are events; a box and a polygon may stand in one file; the given region is the groundtruth's."""
    found, _ = read("1\n1,2,3,4\n2\n0\n1.0000\n1,2,3,4,5,6,7,8\n", 6, POLYGON)
    assert found.events.tolist() == [1, 3, 2, 0, 1, 3]
    assert np.array_equal(found.regions[0], POLYGON)
    assert found.regions[1].tolist()[:4] == [1, 2, 3, 4]
    assert np.isnan(found.regions[1, 4:]).all()
    assert np.isnan(found.regions[2:4]).all()
    assert found.regions[5].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_masks_are_read():
    """A line `m` and a run-length code is a mask of the image's size, with the box around it as region."""
    found, _ = read("1\nm4,5,3,2,0,6\n", 2)
    mask = np.zeros((48, 64), bool)
    mask[5:7, 4:7] = True
    assert np.array_equal(found.masks[1], mask)
    assert found.regions[1].tolist() == [4, 5, 3, 2]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1\n1,2,3,4\n", "ball_001.txt: expected 3 lines, one a frame of ball, found 2"),
        ("1\n1,2,3\n0\n", "ball_001.txt:2: expected 0, 1, 2, or a region of 4 or 8 numbers, found '1,2,3'"),
        ("1\n1,2,3,x\n7\n", "ball_001.txt:3: expected 0, 1, 2, or a region of 4 or 8 numbers, found '7'"),
        ("1,2,3,4\n1\n0\n", "ball_001.txt:1: expected 0 or 1 in the first line, and after 0 or 2, found a region"),
        ("1\n2\n1,2,3,4\n", "ball_001.txt:3: expected 0 or 1 in the first line, and after 0 or 2, found a region"),
        ("1\n0\n2\n", "ball_001.txt:3: expected 0 or 1 in the first line, and after 0 or 2, found 2"),
        ("1\nm1,2,3\n0\n", "ball_001.txt:2: expected a run-length code"),
    ],
)
def test_what_is_no_run_is_refused(text, told):
    """A wrong length, a line that is no region, and a region that no start precedes are refused by their line."""
    found, problems = read(text, 3)
    assert found is None
    assert any(problem.startswith(told) for problem in problems), problems


@pytest.mark.parametrize("text", ["1\n1.25,2,3,4\n2\n0\n1\n5,6,7,8\n", "1\n1,2,3,4,5,6,7,8.5\n2\n0\n0\n1\n"])
@pytest.mark.parametrize("region", [BOX, POLYGON])
def test_what_was_written_is_read(tmp_path, text, region):
    """A trajectory of codes, boxes and polygons is written as it was read."""
    run, _ = read(text, 6, region)
    vot.write(tmp_path, sequence(6, region), run)
    assert (tmp_path / "ball" / "ball_001.txt").read_text() == text


def test_masks_are_written(tmp_path):
    """A mask is written as the run-length code that it was read from."""
    run, _ = read("1\nm4,5,3,2,0,6\n2\n", 3)
    assert run.events.tolist() == [Event.INITIALIZED, Event.PREDICTED, Event.FAILED]
    vot.write(tmp_path, sequence(3), run)
    assert (tmp_path / "ball" / "ball_001.txt").read_text() == "1\nm4,5,3,2,0,6\n2\n"
