import io
import json

import numpy as np
import pytest

from trackers.benchmarks.problems import Problems
from trackers.evaluation.formats import otb
from trackers.sequence import Sequence, Unseen

scipy_io = pytest.importorskip("scipy.io")


def sequence(frames):
    return Sequence("Couple", Unseen(frames), np.ones((frames, 4)), origin=1.0)


def mat(name="results", cell=True, **record):
    held = {"type": "rect", "res": np.ones((3, 4)), "len": 3, "annoBegin": 1, "startFrame": 1, **record}
    struct = np.array([[tuple(held.values())]], dtype=[(key, object) for key in held])
    content = io.BytesIO()
    value = np.empty((1, 1), object)
    value[0, 0] = struct
    scipy_io.savemat(content, {name: value if cell else struct})
    return content.getvalue()


def read(reader, content, frames=3):
    problems = Problems()
    return reader(content, "Couple_IVT.mat", sequence(frames), problems), [str(problem) for problem in problems]


def test_affine_parameters_become_the_box_of_two_rounded_corners():
    """IVT's first row on Couple, a template of 32 x 32 scaled by .7969 and 1.9375, is its groundtruth 51 47 25 62."""
    rows = np.array([[64, 78, 0.7813, 0, 0, 1.9375]])
    assert otb.affine_boxes(rows, (32, 32)).tolist() == [[51, 47, 25, 62]]


def test_a_turned_template_keeps_opposite_corners():
    """Turned by 90 degrees, the corner (-w/2, -h/2) is at (cx + h/2, cy - w/2): a negative width, as in Matlab."""
    assert otb.affine_boxes(np.array([[50.0, 60, 0, -1, 1, 0]]), (8, 4)).tolist() == [[52, 56, -4, 8]]


@pytest.mark.parametrize(("name", "cell"), [("results", True), ("results", False), ("result", False)])
def test_cells_and_bare_structs_are_read(name, cell):
    """A cell `results`, a struct of that name, and a bare `result` hold the same run."""
    runs, problems = read(otb.read_mat, mat(name, cell, res=np.arange(12).reshape(3, 4).astype(np.uint16)))
    assert not problems
    assert runs[0].regions.tolist() == [[-1, 0, 2, 3], [3, 4, 6, 7], [7, 8, 10, 11]]


def test_a_run_may_begin_later():
    """Results from frame 6 on, as those on Tiger1, belong to the groundtruth's rows from the sixth on."""
    runs, _ = read(otb.read_mat, mat(startFrame=6), frames=8)
    assert runs[0].events.tolist() == [0, 0, 0, 0, 0, 1, 3, 3]
    runs, _ = read(otb.read_mat, mat(startFrame=6), frames=3)  # where the groundtruth begins there, too
    assert runs[0].events.tolist() == [1, 3, 3]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (mat(res=np.ones((2, 4))), "expected 3 rows, of frames 1 to 3 of 3 of Couple, found 2"),
        (mat(type="4corner"), "results of type rect or ivtAff or affine_ivt, found '4corner'"),
        (mat(res=np.ones((3, 6))), "rows of 4 numbers"),
        (mat("boxes"), "`results`, a cell of structs with res and type, found boxes"),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + b" " * 200, "version 7 or before (save -v7), found version 7.3"),
        (mat()[:300], "a whole .mat file"),
        (b"", "a whole .mat file"),
    ],
)
def test_other_files_are_refused(content, told):
    """Another type of results, a .mat file of another kind, version 7.3 and a damaged file are refused by name."""
    runs, problems = read(otb.read_mat, content)
    assert not runs
    assert told in problems[0]


def test_json_says_where_it_ends():
    """A record that ends before the sequence does, and says so, is read; one that does not fit itself is not."""
    record = {"resType": "rect", "startFrame": 1, "endFrame": 2, "res": [[1, 1, 5, 5], [2, 2, 5, 5]]}
    runs, _ = read(otb.read_json, json.dumps([record]).encode())
    assert runs[0].events.tolist() == [1, 3, 0]
    runs, problems = read(otb.read_json, json.dumps([{**record, "endFrame": 3}]).encode())
    assert not runs
    assert "expected 3 rows, of frames 1 to 3 of 3 of Couple, found 2" in problems[0]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"[1]", b'[{"res": "x", "resType": "rect"}]', b'"res"'])
def test_other_json_is_refused(content):
    """What is no JSON, or no list of records with rows, is refused."""
    runs, problems = read(otb.read_json, content)
    assert not runs
    assert len(problems) == 1
