import io
from pathlib import Path

import numpy as np
import pytest

from trackers.evaluation.formats import mat

scipy_io = pytest.importorskip("scipy.io")
DATA = Path(__file__).parents[5] / "shared" / "data"


def same(ours, theirs):
    """Whether a value is the one that SciPy reads."""
    if isinstance(ours, list) and theirs.dtype.names:
        pairs = zip(ours, theirs.ravel(order="F"), strict=True)
        return all(same(a[name], b[name]) for a, b in pairs for name in theirs.dtype.names)
    if isinstance(ours, list):
        return all(same(a, b) for a, b in zip(ours, theirs.ravel(order="F"), strict=True))
    if isinstance(ours, str):
        return ours == "".join(theirs.ravel().tolist())
    return ours is None or (ours.shape == theirs.shape and np.array_equal(ours, theirs, equal_nan=True))


@pytest.mark.parametrize("compressed", [False, True])
def test_values_are_those_that_were_written(compressed):
    """Numbers of all types, texts, cells and structs come back, in their shapes; other classes are None."""
    cell = np.empty((1, 3), object)
    cell[0] = [np.arange(6, dtype=np.int16).reshape(2, 3), "two words", np.zeros((0, 0))]
    struct = np.array([[(1.5, "a")], [(2.5, "b")]], [("number", object), ("text", object)])
    values = {"cell": cell, "struct": struct, "wide": np.arange(24.0).reshape(2, 3, 4), "z": np.array([[1j]])}
    content = io.BytesIO()
    scipy_io.savemat(content, values, do_compression=compressed)
    found = mat.read(content.getvalue())
    theirs = scipy_io.loadmat(io.BytesIO(content.getvalue()))
    assert found.keys() == values.keys()
    assert all(same(found[name], theirs[name]) for name in values)
    assert found["z"] is None
    assert [record["text"] for record in found["struct"]] == ["a", "b"]


def test_what_a_file_claims_takes_no_memory(monkeypatch):
    """Cells and structs of more values than there are bytes, and what unpacks to too much, are refused at once."""
    content = io.BytesIO()
    cell = np.empty((1, 2), object)
    cell[0] = [1.0, 2.0]
    scipy_io.savemat(content, {"c": cell})
    whole = content.getvalue()
    sides = whole.index(np.array([1, 2], "<i4").tobytes(), mat.HEADER)
    many = whole[:sides] + np.array([2**30, 2**30], "<i4").tobytes() + whole[sides + 8 :]
    with pytest.raises(ValueError, match=f"expected {2**60} matrices, found 2"):
        mat.read(many)
    content = io.BytesIO()
    scipy_io.savemat(content, {"zeros": np.zeros(1000)}, do_compression=True)
    monkeypatch.setattr(mat, "LARGEST", 999)
    with pytest.raises(ValueError, match="expected a whole compressed variable of up to 999 bytes"):
        mat.read(content.getvalue())


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real results in ../shared/data")
def test_real_files():
    """Of every .mat file that authors published, the values are those that SciPy reads."""
    paths = sorted(DATA.rglob("*.mat"))[::10]
    assert paths
    for path in paths:
        theirs = scipy_io.loadmat(path)
        found = mat.read(path.read_bytes())
        assert all(same(value, theirs[name]) for name, value in found.items())
