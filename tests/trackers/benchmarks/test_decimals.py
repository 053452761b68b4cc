import importlib.util
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackers.benchmarks import decimals, reading

NUMBERS = st.floats(-1e6, 1e6).flatmap(lambda value: st.integers(0, 20).map(lambda places: f"{value:.{places}f}"))
ROWS = st.integers(1, 8).flatmap(lambda columns: st.lists(st.lists(NUMBERS, min_size=columns, max_size=columns)))
installed = pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="without pyarrow nothing is plain")


@pytest.fixture(autouse=True, scope="module")
def short_texts_too():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decimals, "WORTH", 0)
        yield


@installed
@given(st.lists(ROWS, max_size=5), st.sampled_from(",; \t"))
def test_plain_tables_have_the_values_that_python_reads(tables, separator):
    """Of many texts, each with rows of its own length, each table is its own, to the last bit; none is left out."""
    texts = ["".join(f"{separator.join(row)}\n" for row in rows).encode() for rows in tables]
    for rows, found in zip(tables, decimals.tables(texts), strict=True):
        if rows:
            assert found is not None
            assert np.array_equal(found, np.array([[float(field) for field in row] for row in rows]))


@given(st.lists(st.text("0123456789.-,; \t\r\neE+naif\"'x#_\x00", max_size=30).map(str.encode), max_size=4))
def test_what_is_not_plain_is_left_to_the_careful_way(texts):
    """Whatever is read at once is what the careful way reads, one text after the other."""
    for text, found in zip(texts, decimals.tables(texts), strict=True):
        if found is not None:
            assert np.array_equal(found, reading.numbers(text))


@pytest.mark.parametrize(
    "strange", ["1,,3\n", "1,2\n\n3,4\n", "1,2\n3\n", "1-2,3\n", "1e3,4\n", "1,+2\n", "nan,1\n", "1, 2\n", "1,2,\n", ""]
    + ["1,2\r\n", "\ufeff1,2\n", "1,2", '"1",2\n', "9" * 400 + ",1\n", ".,1\n", "0x10,1\n", "1,2;3\n"]
)  # fmt: skip
def test_one_strange_text_does_not_spoil_another(strange):
    """A text that is not plain is left alone, and none of the others has its rows."""
    [first, found, last] = decimals.tables([b"1,2\n3,4\n", strange.encode(), b"5;6\n"])
    assert found is None
    assert first is None or first.tolist() == [[1, 2], [3, 4]]
    assert last is None or last.tolist() == [[5, 6]]


@installed
def test_other_threads_may_parse():
    """What a pool parses is the same."""
    texts = [b"1,2\n3,4\n", b"nan\n", b"5\n", b"6,7\n"]
    with ThreadPoolExecutor() as pool:
        found = decimals.begin(texts, pool)()
    assert [None if table is None else table.tolist() for table in found] == [[[1, 2], [3, 4]], None, [[5]], [[6, 7]]]


def test_a_bare_machine_reads_carefully(monkeypatch):
    """Without pyarrow no text is plain."""
    monkeypatch.setattr(decimals, "_arrow", lambda: None)
    assert decimals.tables([b"1,2\n"]) == [None]
