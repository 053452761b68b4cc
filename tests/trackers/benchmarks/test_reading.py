import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trackers.benchmarks import files, reading
from trackers.benchmarks.problems import Problems

PLAIN = np.array([[1.0, 2.0, 3.0, 4.0], [5.5, -6.25, 7.0, 8.0]])


def problems_of(content, columns=(4,)):
    problems = Problems()
    assert reading.table(content, "file", problems, columns) is None
    return [str(problem) for problem in problems]


def folder(tmp_path, contents):
    for name, content in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return files.open(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"1,2,3,4\n5.5,-6.25,7,8\n",
        b"1,2,3,4\n5.5,-6.25,7,8",
        b"1\t2\t3\t4\r\n5.5\t-6.25\t7\t8\r\n",
        b"1 2 3 4\r5.5 -6.25 7 8\r",
        b"1;2;3;4\n5.5;-6.25;7;8\n\n  \n\r\n",
        b"  1, 2 ,\t3   4  \n5.5 -6.25\t\t7;8\n",
        b"\xef\xbb\xbf1,2,3,4\n55e-1,-6.25,7.000,+8\n",
        memoryview(b"1,2,3,4\n5.5,-6.25,7,8\n"),
    ],
)
def test_any_delimiter(content):
    """Commas, tabs, semicolons, spaces and mixes of them part the same numbers, whatever ends the lines."""
    problems = Problems()
    assert np.array_equal(reading.table(content, "file", problems, (4,)), PLAIN)
    assert not problems


def test_nan_is_a_number():
    """NaN in any spelling is read as NaN."""
    assert np.isnan(reading.numbers(b"NaN,nan\nNAN,-nan\n")).all()


@pytest.mark.parametrize(
    ("content", "line", "found"),
    [
        (b"1,2,3,4\n\n1,2,3,4\n", 2, "a blank line"),
        (b"\n1,2,3,4\n", 1, "a blank line"),
        (b"1,2,3,4\n1,2,3\n", 2, "3"),
        (b"1,2,3,4\n1,2,3,4,5\n", 2, "5"),
        (b"1,2,3,4\n1,,3,4\n", 2, "an empty field"),
        (b"1,2,,3,4\n", 1, "an empty field"),
        (b"1,2,3,4,\n1,2,3,4,\n", 1, "an empty field"),
        (b",1,2,3,4\n", 1, "an empty field"),
        (b"1,2,3,4\n1,2,x,4\n", 2, "'x'"),
        (b"1,2,inf,4\n", 1, "'inf'"),
        (b"1,2,1e999,4\n", 1, "'1e999'"),
        (b"1_0,2,3,4\n", 1, "'1_0'"),
        (b"1,2,3,4\n\x00\x01\xff\xd8,2,3,4\n", 2, "'\\x00\\x01\\\\xff\\\\xd8'"),
        ("1,2,3,\u0664\n".encode(), 1, "'\u0664'"),
    ],
)
def test_what_is_wrong_is_told_by_line(content, line, found):
    """Whatever is no row of four finite numbers is a problem that names file, line and what was found."""
    assert f"file:{line}: expected 4 numbers, found {found}" in problems_of(content)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b"  \r\n"])
def test_an_empty_file_is_a_problem(content):
    """A file without rows is told as such."""
    assert problems_of(content) == ["file: expected rows of 4 numbers, found an empty file"]


def test_rows_of_one_length():
    """Where a file may have 4 or 8 columns, it has the same number in each row."""
    assert problems_of(b"1 2 3 4\n1 2 3 4 5 6 7 8\n", (4, 8)) == [
        "file:2: expected 4 or 8 numbers, found 8, and 4 in the rows before"
    ]


def test_a_file_of_rubbish_is_told_briefly():
    """Of a file that is wrong in all its lines a few are told, and the others counted."""
    told = problems_of(b"a b c\n" * 1000)
    assert len(told) == reading.LINES_TOLD + 1
    assert told[-1] == "file:1000: expected no more wrong lines, found 995 more, the last of them here"


VALUES = st.one_of(st.floats(-1e6, 1e6), st.integers(-9999, 9999).map(float), st.just(float("nan")))
DELIMITERS = st.sampled_from([",", ", ", ";", "\t", " ", "  ", " ,\t"])


@given(st.data())
def test_what_is_written_is_read(data):
    """A table of any numbers, written with any delimiters, is read as the same numbers, bit for bit."""
    columns = data.draw(st.integers(1, 8))
    rows = data.draw(st.lists(st.lists(VALUES, min_size=columns, max_size=columns), min_size=1, max_size=9))
    text = ""
    for row in rows:
        text += repr(row[0]) + "".join(data.draw(DELIMITERS) + repr(value) for value in row[1:])
        text += data.draw(st.sampled_from(["\n", "\r\n"]))
    assert np.array_equal(reading.numbers(text.encode()), np.array(rows), equal_nan=True)


@given(st.binary(max_size=60) | st.text("0123456789.,; \t\r\n-+eEnaNif_x", max_size=60).map(str.encode))
@example(b"1,2,3,4\x1c5,6,7,8")
@example(b"1 2 3 4\x0c\n1 2 3 4")
def test_no_file_is_refused_without_a_word(content):
    """Any bytes are either a table with as many rows as lines, or at least one problem."""
    problems = Problems()
    rows = reading.table(content, "file", problems, (4,))
    assert (rows is None) == bool(problems)
    if rows is not None:
        assert rows.shape == (len(content.removeprefix(reading.BOM).rstrip().splitlines()), 4)
        assert not np.isinf(rows).any()


def test_boxes_become_0_based_and_absent_ones_nan():
    """The origin is taken from x and y alone; a row of NaN or of zeros is a row of NaN."""
    rows = np.array([[1, 1, 10, 20], [np.nan] * 4, [0, 0, 0, 0], [-5.5, 3, 1, 1]])
    problems = Problems()
    boxes = reading.boxes(rows, "file", problems, 1)
    assert not problems
    assert np.array_equal(boxes, [[0, 0, 10, 20], [np.nan] * 4, [np.nan] * 4, [-6.5, 2, 1, 1]], equal_nan=True)
    assert np.array_equal(reading.annotated(rows, boxes, 1)[2], [-1, -1, 0, 0])
    assert reading.annotated(rows[:2], boxes[:2], 1) is None


@pytest.mark.parametrize("row", [[3, 4, 0, 5], [3, 4, 5, -1], [3, 4, 0, 0], [np.nan, 4, 5, 6]])
def test_boxes_without_a_size_are_problems(row):
    """A side that is not positive, or a number that is missing, is a problem, unless empty means absent."""
    problems = Problems()
    rows = np.array([[1, 1, 1, 1], row], float)
    assert reading.boxes(rows, "file", problems, 0) is None
    (problem,) = problems
    assert problem.line == 2
    if not np.isnan(row).any():
        assert np.isnan(reading.boxes(rows, "file", Problems(), 0, empty_is_absent=True)[1]).all()


@pytest.mark.parametrize("content", [b"0,1,0,1", b"0\n1\n0\n1\n", b"0 1 0 1\n"])
def test_labels_stand_in_a_row_or_in_a_column(tmp_path, content):
    """Labels are read from one line or from one a line."""
    problems = Problems()
    found = reading.labels(folder(tmp_path, {"labels": content}), "labels", problems, 4)
    assert found.tolist() == [0, 1, 0, 1]
    assert not problems


@pytest.mark.parametrize("content", [b"0,1,0", b"0\n1\n0\n1\n1", b"0 1 0 2\n", b"0 1 0 .5\n", b"0 1 nan 0\n"])
def test_wrong_labels_are_problems(tmp_path, content):
    """Another number of labels, or other labels than there are, is a problem."""
    problems = Problems()
    assert reading.labels(folder(tmp_path, {"labels": content}), "labels", problems, 4) is None
    assert len(problems) == 1


def test_a_missing_file_is_a_problem(tmp_path):
    """A file that is not there, or a link to nowhere, is a problem with its name."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    found = folder(tmp_path, {})
    for name in ("gone", "link"):
        problems = Problems()
        assert reading.read_table(found, name, problems, (4,)) is None
        assert str(tmp_path / name) in str(*problems)


def test_images_are_ordered_by_number(tmp_path):
    """Images of several formats and widths are ordered by their numbers; other files do not count."""
    names = {"7.jpg": 7, "img0008.JPG": 8, "00009.png": 9, "x_10.jpeg": 10, "11.bmp": 11}
    problems = Problems()
    found = folder(tmp_path, {f"a/{name}": b"." for name in [*names, "Thumbs.db", "12.txt", "b/13.jpg"]})
    assert list(reading.images(found, "a", problems).items()) == [(n, f"a/{name}") for name, n in names.items()]
    assert not problems
    assert reading.images(found, "nothing", problems) == {}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"1.jpg": b".", "3.jpg": b".", "7.jpg": b"."}, "images 1 to 7, found none of number 2, 4 to 6"),
        ({"1.jpg": b".", "01.jpg": b"."}, "one image of number 1"),
        ({"1.jpg": b".", "1.png": b"."}, "one image of number 1"),
        ({"1.jpg": b".", "cover.jpg": b"."}, "a number at the end of its name"),
        ({"1.jpg": b".", "2.jpg": b""}, "2.jpg: expected an image, found an empty file"),
        ({"1.jpg": b".", f"{'9' * 40}.jpg": b"."}, "none of number 2 to 9999"),
    ],
)
def test_images_that_cannot_be_a_video(tmp_path, names, told):
    """Gaps, two images of one number, images without a number and empty files are problems."""
    problems = Problems()
    reading.images(folder(tmp_path, names), "", problems)
    assert told in str(*problems)


def test_names_in_any_spelling():
    """Case does not matter, nor which separator a name has; but that it has one does."""
    assert reading.key("Jogging.1") == reading.key("jogging-1") == reading.key("JOGGING_1")
    assert reading.key("person2_1") != reading.key("person21")
    problems = Problems()
    assert reading.chosen(["person2_1", "person21"], ("Person2-1", "person3"), "place", problems) == {"person2_1"}
    assert str(*problems) == "place: expected sequence person3, found no sequence of that name"


def test_annotations_are_not_results(tmp_path):
    """Of folders of <name>.txt the one of annotations is taken, though there be more results of trackers."""
    names = ("b/KCF/one.txt", "b/KCF/two.txt", "c/KCF/one.txt", "initOmit/one.txt", "att/one.txt", "README.txt")
    found = folder(tmp_path, dict.fromkeys(names, b"."))
    assert reading.annotation_folder(found, ["one", "two", "three"]) == "b/KCF"
    assert reading.annotation_folder(found, ["one"], preferred="c") == "b/KCF"
    found = folder(tmp_path, {"anno_TB100/one.txt": b".", "c/late/one.txt": b"."})
    assert reading.annotation_folder(found, ["one", "two", "three"]) == "anno_TB100"
    assert reading.annotation_folder(found, ["one", "two", "three"], preferred="LATE") == "c/late"
    assert reading.annotation_folder(folder(tmp_path / "new", {"a.jpg": b"."}), ["one"]) is None


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"1,2,3,4\n5,6,7,8\n12", 3),
        (b"1!2!3!4\n5!6!7!8\n", 1),
        (b"1,2,3,4\n5\x0c6,7,8\n", 2),
        (b"1,2,3,4\n5,\x0b6,7,8\n", 2),
    ],
    ids=["half a last line", "another delimiter", "form feed", "vertical tab"],
)
def test_a_row_is_never_guessed(content, line):
    """A last line of which the end is lost, and what only Python takes for a delimiter, are told by their line."""
    assert problems_of(content)[0].startswith(f"file:{line}: expected 4 numbers, found ")


def test_numbers_far_from_any_image_are_told():
    """A coordinate beyond a thousand million pixels is told by its line, before an area of it overflows."""
    problems = Problems()
    assert reading.boxes(np.array([[1.0, 2, 3, 4], [1e300, 2, 3, 4]]), "file", problems, 0) is None
    assert str(*problems) == "file:2: expected numbers up to 1e+09, found 1e+300 2 3 4"


def test_json_says_one_thing_of_a_key():
    """An object with a key twice is refused: which of the two values is meant, nobody knows."""
    problems = Problems()
    assert reading.parse_json(b'{"a": 1, "b": {"c": 1, "c": 2}}', "file", problems) is None
    assert str(*problems) == "file: expected JSON, found 'c' twice in one object"
