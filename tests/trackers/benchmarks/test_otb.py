from pathlib import Path

import cv2
import numpy as np
import pytest

from trackers.benchmarks import files, otb
from trackers.benchmarks.problems import DataError, Problems
from trackers.sequence import Unseen

SHARED = Path(__file__).parents[4] / "shared" / "data"
JPEG = cv2.imencode(".jpg", np.zeros((4, 6, 3), np.uint8))[1].tobytes()
needs_otb = pytest.mark.skipif(not (SHARED / "otb_anno").is_dir(), reason="needs OTB in ../shared/data")


def rows(count, delimiter=","):
    """Annotations of which row t, counted from 1, starts at x = t."""
    return "".join(delimiter.join(map(str, (t, 2, 3, 4))) + "\n" for t in range(1, count + 1))


def write(root, name, count, images=(), delimiter=",", digits=4, suffix=""):
    """A sequence folder."""
    (root / name / "img").mkdir(parents=True, exist_ok=True)
    (root / name / f"groundtruth_rect{suffix}.txt").write_text(rows(count, delimiter))
    for number in images:
        (root / name / "img" / f"{number:0{digits}d}.jpg").write_bytes(JPEG)


def read(root, **config):
    return {sequence.name: sequence for sequence in otb.open(otb.Config(**config), root, "otb")}


def problems_of(root, **config):
    problems = Problems()
    otb.read(otb.Config(**config), files.open(root), problems)
    return [str(problem) for problem in problems]


def first_frame(sequence):
    return int(Path(sequence.frames.names[0]).stem)


def test_a_folder_is_a_sequence(tmp_path):
    """Rows become 0-based boxes, one an image, whatever parts them and however wide the numbers of the images are."""
    write(tmp_path, "Board", 3, range(1, 4), digits=5)
    write(tmp_path, "Mine", 2, range(11, 13), delimiter="\t")
    found = read(tmp_path)
    assert list(found) == ["Board", "Mine"]
    assert np.array_equal(found["Mine"].groundtruth, [[0, 1, 3, 4], [1, 1, 3, 4]])
    assert found["Mine"].frames[1].shape == (4, 6, 3)
    assert found["Board"].origin == 1
    assert found["Board"].attributes == ("OPR", "SV", "MB", "FM", "OV", "BC")


@pytest.mark.parametrize(
    ("name", "images", "count", "first"),
    [
        ("David", range(1, 771), 471, 300),
        ("David", range(300, 771), 471, 300),
        ("Football1", range(1, 82), 74, 1),
        ("freeman3", range(1, 471), 460, 1),
        ("Freeman4", range(1, 298), 283, 1),
        ("Diving", range(1, 232), 215, 1),
        ("BlurCar1", range(1, 1000), 742, 247),
        ("BlurCar3", range(3, 360), 357, 3),
        ("BlurCar4", range(18, 398), 380, 18),
        ("David", range(1, 472), 471, 1),
    ],
)
def test_published_ranges(tmp_path, name, images, count, first):
    """Where a video is longer than its annotation, the published range says which frames are annotated."""
    write(tmp_path, name, count, images)
    (sequence,) = read(tmp_path).values()
    assert len(sequence) == count
    assert first_frame(sequence) == first
    assert sequence.groundtruth[0, 0] == 0


@pytest.mark.parametrize(("count", "images", "x"), [(354, range(1, 355), 5), (349, range(1, 355), 0)])
def test_tiger1_starts_at_frame_6(tmp_path, count, images, x):
    """Tiger1 is judged from its 6th frame on, whether its annotation holds the first five or not."""
    write(tmp_path, "tiger1", count, images)
    sequence = read(tmp_path)["Tiger1"]
    assert len(sequence) == 349
    assert first_frame(sequence) == 6
    assert sequence.groundtruth[0, 0] == x


@pytest.mark.parametrize(
    ("name", "count", "images"),
    [("Mine", 2, 3), ("Mine", 4, 3), ("Football1", 73, 81), ("David", 471, 480), ("Basketball", 724, 725)],
)
def test_another_number_of_rows_is_a_problem(tmp_path, name, count, images):
    """Rows that are not as many as the images, nor as published, are never laid upon them by guess."""
    write(tmp_path, name, count, range(1, images + 1))
    (problem,) = problems_of(tmp_path)
    assert f"{name}/groundtruth_rect.txt: expected" in problem


def test_two_targets_in_one_folder(tmp_path):
    """Each target is a sequence of the same frames, named as in the benchmark's list; an empty second file is none."""
    for number in (1, 2):
        write(tmp_path, "Jogging", 3, range(1, 4), suffix=f".{number}")
        write(tmp_path, "Mine", 3, range(1, 4), suffix=f".{number}")
    write(tmp_path, "Human4", 0, suffix=".1")
    write(tmp_path, "Human4", 2, range(1, 3), suffix=".2")
    found = read(tmp_path)
    assert list(found) == ["Human4-2", "Jogging-1", "Jogging-2", "Mine-1", "Mine-2"]
    assert found["Jogging-1"].frames == found["Jogging-2"].frames
    assert len(read(tmp_path, subset="otb2015")) == 3


def test_a_target_that_should_be_there(tmp_path):
    """An empty annotation of a target that the benchmark has is a problem, and so are two of one sequence."""
    write(tmp_path, "Jogging", 2, range(1, 3), suffix=".1")
    write(tmp_path, "Jogging", 0, suffix=".2")
    write(tmp_path, "jogging_1", 2, range(1, 3))
    told = "\n".join(problems_of(tmp_path))
    assert "Jogging/groundtruth_rect.2.txt: expected rows of 4 numbers, found an empty file" in told
    assert "expected one sequence Jogging-1, found also" in told


@pytest.mark.parametrize("name", ["Human4", "Human4.2", "human4-2", "Human4_2"])
def test_spellings_of_a_name(tmp_path, name):
    """A sequence of the benchmark has the benchmark's name, however its folder spells it, and is found by any."""
    write(tmp_path, name, 2, range(1, 3))
    assert list(read(tmp_path, sequences=("HUMAN4_2",))) == ["Human4-2"]


def test_problems_are_listed_at_once(tmp_path):
    """Whatever is wrong anywhere is told in one list, by file and line, and nothing is read in part."""
    write(tmp_path, "Good", 2, range(1, 3))
    write(tmp_path, "Gap", 3, (1, 2, 4))
    write(tmp_path, "Empty", 0, range(1, 3))
    write(tmp_path, "Bad", 2, range(1, 3))
    (tmp_path / "Bad" / "groundtruth_rect.txt").write_text("1,2,3,4\n1,2,0,4\n")
    (tmp_path / "Bad" / "attrs.txt").write_text("SV, XX")
    write(tmp_path, "Bare", 2, range(1, 3))
    (tmp_path / "Bare" / "groundtruth_rect.txt").unlink()
    (tmp_path / "Good" / "img" / "0002.jpg").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    told = "\n".join(map(str, caught.value.problems))
    assert "Gap/img: expected images 1 to 4, found none of number 3" in told
    assert "Empty/groundtruth_rect.txt: expected rows of 4 numbers, found an empty file" in told
    assert "Bad/attrs.txt: expected attributes among IV OPR" in told
    assert "Bare: expected groundtruth_rect.txt, found images without it" in told
    assert "0002.jpg: expected an image, found an empty file" in told
    (tmp_path / "Bad" / "attrs.txt").unlink()
    assert any(
        "Bad/groundtruth_rect.txt:2: expected x, y, and positive" in problem for problem in problems_of(tmp_path)
    )


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("attrs.txt", "LR, SV\n"),
        ("cfg.json", '{"attributes": ["LR", "SV"]}'),
    ],
)
def test_attributes_of_own_sequences(tmp_path, file, content):
    """A sequence that is none of the benchmark's has the attributes that lie beside it."""
    write(tmp_path, "Mine", 1, [1])
    (tmp_path / "Mine" / file).write_text(content)
    assert read(tmp_path)["Mine"].attributes == ("SV", "LR")


def test_otb30_is_22_and_8():
    """The two parts of OTB-30 share nothing and are all of it; the last 8 of the authors' list are tested."""
    train, test = set(otb.names("otb30_train")), set(otb.names("otb30_test"))
    assert (len(train), len(test)) == (22, 8)
    assert train | test == set(otb.names("otb30"))
    assert test == {"Skater", "Skater2", "Dancer", "Dancer2", "CarScale", "Gym", "Human8", "Jump"}


def test_what_a_copy_lacks_is_known(tmp_path):
    """Of a named subset the sequences that are not there; of whatever is there, or is named, none is missing."""
    for name in ("jump", "Gym", "Couple", "Mine"):
        write(tmp_path, name, 2, range(1, 3))

    def missing(**config):
        return otb.missing(otb.Config(**config), files.open(tmp_path))

    assert missing(subset="otb30_test") == ("CarScale", "Dancer", "Dancer2", "Human8", "Skater", "Skater2")
    assert len(missing(subset="otb30")) == 27
    assert missing() == missing(subset="otb30", sequences=("Gym",)) == ()
    assert list(read(tmp_path, subset="otb30_test")) == ["Gym", "Jump"]


@pytest.mark.parametrize("content", ["{", "[]", '{"attributes": 3}', '{"attributes": ["X"]}', "[" * 9999])
def test_a_broken_cfg_json_is_a_problem(tmp_path, content):
    """JSON that is none, or something else, is a problem of that file."""
    write(tmp_path, "Mine", 1, [1])
    (tmp_path / "Mine" / "cfg.json").write_text(content)
    assert all("cfg.json: expected" in problem for problem in problems_of(tmp_path))
    assert problems_of(tmp_path)


def test_annotations_alone(tmp_path):
    """A folder of <seq>.txt gives sequences without images, with omitted frames by their numbers in the video."""
    (tmp_path / "anno").mkdir()
    (tmp_path / "initOmit").mkdir()
    (tmp_path / "README.txt").write_text("Annotations.\n")
    (tmp_path / "anno" / "jogging-1.txt").write_text(rows(9))
    (tmp_path / "anno" / "David.txt").write_text(rows(471))
    (tmp_path / "anno" / "mine.txt").write_text(rows(1))
    (tmp_path / "anno" / "att").mkdir()
    (tmp_path / "anno" / "att" / "mine.txt").write_text("0,0,1,0,0,0,0,0,0,0,1")
    (tmp_path / "initOmit" / "jogging-1.txt").write_text("2 3 \n7  7")
    (tmp_path / "initOmit" / "David.txt").write_text("1 300\n")
    found = read(tmp_path)
    assert list(found) == ["David", "Jogging-1", "mine"]
    assert found["mine"].attributes == ("SV", "LR")
    assert np.flatnonzero(found["Jogging-1"].omitted).tolist() == [1, 2, 6]
    assert np.flatnonzero(found["David"].omitted).tolist() == [0]
    with pytest.raises(FileNotFoundError, match="annotations alone"):
        found["David"].frames[0]


def test_an_absent_target_keeps_its_row(tmp_path):
    """0 0 0 0 is a row of NaN, and what the file had in its place stays known."""
    (tmp_path / "Board.txt").write_text("1,2,3,4\n0,0,0,0\n")
    sequence = read(tmp_path)["Board"]
    assert np.isnan(sequence.groundtruth[1]).all()
    assert sequence.region(1).tolist() == [-1, -1, 0, 0]


def test_nothing_there_is_a_problem(tmp_path):
    """An empty folder, and a subset of which nothing is there, are told."""
    for config in ({}, {"subset": "otb30"}):
        with pytest.raises(DataError, match="expected at least one sequence, found none"):
            read(tmp_path, **config)
        (tmp_path / "Mine.txt").write_text(rows(1))
    with pytest.raises(DataError, match="expected sequence Nobody, found no sequence of that name"):
        read(tmp_path, sequences=("Nobody",))
    with pytest.raises(ValueError, match="subset: expected one of all, otb2013"):
        otb.Config(subset="otb2014")


def test_the_lists():
    """The subsets have the published numbers of sequences, and 11 attributes are spread over them."""
    sizes = {subset: len(otb.names(subset)) for subset in ("all", "otb2015", "otb2013", "otb50", "otb30")}
    assert sizes == {"all": 100, "otb2015": 100, "otb2013": 51, "otb50": 50, "otb30": 30}
    assert {a for listed in otb.published().values() for a in listed.attributes} == set(otb.ATTRIBUTES)


@pytest.mark.skipif(not (SHARED / "otb_results").is_dir(), reason="needs OTB's lists in ../shared/data")
@pytest.mark.parametrize(("subset", "file"), [("otb2015", "tb_100"), ("otb50", "tb_50"), ("otb2013", "cvpr13")])
def test_the_lists_are_the_published_ones(subset, file):
    """Names and attributes of the subsets are those of the benchmark's authors."""
    lines = (SHARED / "otb_results" / "jwlim_json" / "lists" / f"{file}.txt").read_text().splitlines()
    listed = {
        name: {code.strip() for code in codes.split(",")} - {""} for name, codes in (s.split("\t") for s in lines)
    }
    assert {name: set(otb.published()[name].attributes) for name in otb.names(subset)} == listed


@needs_otb
def test_all_annotations_of_otb2015():
    """The 59,040 published boxes are read, less the five before Tiger1's start; two targets are once absent."""
    found = read(SHARED / "otb_anno", subset="otb2015")
    assert list(found) == list(otb.names("otb2015"))
    assert sum(map(len, found.values())) == 59_040 - 5
    assert all(isinstance(sequence.frames, Unseen) for sequence in found.values())
    absent = {name: int(np.isnan(sequence.groundtruth[:, 0]).sum()) for name, sequence in found.items()}
    assert {name: count for name, count in absent.items() if count} == {"Board": 1, "Twinnings": 1}
    assert sum(sequence.omitted is not None for sequence in found.values()) == 27
    assert found["Tiger1"].omitted[:5].tolist() == [False, False, False, True, True]
    assert {name: len(read(SHARED / "otb_anno" / "anno_TB100", subset=name)) for name in ("otb2013", "otb30")} == {
        "otb2013": 51,
        "otb30": 30,
    }


@needs_otb
def test_sequences_with_frames():
    """Real folders agree with the annotations that the toolkit keeps of them, and grey images are seen as RGB."""
    alone = read(SHARED / "otb_anno")
    found = read(SHARED / "otb")
    assert len(found) == 9
    for name, sequence in found.items():
        assert np.array_equal(sequence.groundtruth, alone[name].groundtruth[: len(sequence)])
        assert sequence.attributes == alone[name].attributes
    assert len(found["Football1"]) == 74
    assert found["Freeman1"].frames[325].shape == (240, 360, 3)
