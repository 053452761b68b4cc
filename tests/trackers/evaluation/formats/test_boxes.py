import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackers.benchmarks import files
from trackers.benchmarks.problems import Problems
from trackers.evaluation.formats import boxes
from trackers.evaluation.trajectory import Event
from trackers.sequence import Sequence, Unseen

NUMBERS = st.floats(-999, 9999, allow_nan=False).map(lambda value: round(value, 3))
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=30)


def sequence(frames, origin=1.0, name="Bolt"):
    return Sequence(name, Unseen(frames), np.ones((frames, 4)), origin=origin)


def read(text, frames, **options):
    problems = Problems()
    found = boxes.read(text.encode(), "Bolt.txt", sequence(frames), 0, problems, **options)
    return found, [str(problem) for problem in problems]


def test_coordinates_count_from_zero():
    """A box at 1, 1 of a benchmark whose pixels count from 1 is at 0, 0 here; the first row is where a run began."""
    found, _ = read("1,1,10,20\n5\t6\t7\t8\n", 2)
    assert found.regions.tolist() == [[0, 0, 10, 20], [4, 5, 7, 8]]
    assert found.events.tolist() == [Event.INITIALIZED, Event.PREDICTED]


@pytest.mark.parametrize("rows", [2, 4])
def test_a_wrong_length_is_refused(rows):
    """Results that are shorter or longer than the groundtruth are refused, with both lengths."""
    found, problems = read("1,2,3,4\n" * rows, 3)
    assert found is None
    assert problems == [f"Bolt.txt: expected 3 rows, one a frame of Bolt, found {rows}"]


def test_results_may_be_cut():
    """Cut to the shorter, as GOT-10k does, frames without a row are skipped, and rows without a frame left out."""
    short, _ = read("1,2,3,4\n" * 2, 3, cut=True)
    assert short.events.tolist() == [Event.INITIALIZED, Event.PREDICTED, Event.SKIPPED]
    long, _ = read("1,2,3,4\n" * 5, 3, cut=True)
    assert len(long) == 3


def test_a_wrong_row_is_told_by_its_line():
    """A row of three numbers, and one with a word in it, are told with their lines, both."""
    found, problems = read("1,2,3,4\n1,2,3\n1,2,x,4\n", 3)
    assert found is None
    assert [problem.split(": ")[0] for problem in problems] == ["Bolt.txt:2", "Bolt.txt:3"]


@given(ROWS, st.sampled_from([0.0, 1.0]), st.booleans())
def test_what_was_written_is_read(tmp_path_factory, rows, origin, numbered):
    """Boxes come back to ten decimals, absent ones as NaN, and the seconds of each frame."""
    folder = tmp_path_factory.mktemp("results")
    regions = np.array([*rows, [np.nan] * 4])
    here = sequence(len(regions), origin)
    run = boxes.trajectory(here, regions + (origin, origin, 0, 0), 0, seconds=np.full(len(regions), 0.25))
    boxes.write(folder, here, run, numbered)
    name = "Bolt/Bolt_001.txt" if numbered else "Bolt.txt"
    below, problems = files.open(folder), Problems()
    seconds = boxes.seconds(below, name, here, 0)
    back = boxes.read(bytes(below.read(name)), name, here, 0, problems, seconds=seconds)
    assert not list(problems)
    assert np.allclose(back.regions, regions, rtol=0, atol=1e-9, equal_nan=True)
    assert np.array_equal(back.seconds, run.seconds)
