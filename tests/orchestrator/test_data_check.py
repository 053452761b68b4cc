import shutil

import cv2
import numpy as np
import pytest

from orchestrator import data_check
from orchestrator.data_list import describe
from orchestrator.params import Dataset
from orchestrator.sample_data import SAMPLE
from trackers.benchmarks import moving_digits, otb, packs, vot

SIZE = (32, 24)
IMAGE = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
JPEG = cv2.imencode(".jpg", IMAGE)[1].tobytes()
FRAMES = 4


@pytest.fixture
def root(tmp_path):
    """Three whole sequences in the layout of OTB."""
    for name in ("Couple", "Crossing", "Deer"):
        folder = tmp_path / "otb" / name / "img"
        folder.mkdir(parents=True)
        for t in range(FRAMES):
            (folder / f"{t + 1:04d}.jpg").write_bytes(JPEG)
        (folder.parent / "groundtruth_rect.txt").write_text("3,4,5,6\n" * FRAMES)
    return tmp_path / "otb"


def dataset(root, format="otb", config=None):
    return Dataset("some", format, root, config or otb.Config())


def found(root, deep=False):
    """{place below the root: what is wrong there}."""
    (reading,) = data_check.check([dataset(root)], deep)
    return {
        problem.file.removeprefix(f"{root}/") + (f":{problem.line}" if problem.line else ""): (
            problem.expected,
            problem.found,
        )
        for problem in reading.problems
    }


def test_whole_data_has_no_problems(root):
    """Of whole data all sequences and frames are counted, and nothing is wrong."""
    progress = []
    (reading,) = data_check.check([dataset(root)], progress=lambda done, total: progress.append((done, total)))
    assert (len(reading.sequences), reading.frames, len(reading.problems)) == (3, 12, 0)
    assert progress == [(4, 12), (8, 12), (12, 12)]
    assert not found(root, deep=True)


def test_all_problems_are_found_at_once(root):
    """Every kind of damage is told in one go: in annotations, and in frames of sequences with bad annotations, too."""
    couple, crossing, deer = (root / name / "img" for name in ("Couple", "Crossing", "Deer"))
    (root / "Couple" / "groundtruth_rect.txt").write_text("3,4,5,6\n3,4,five,6\n3,4,5,6\n3,4,5\n")
    (couple / "0001.jpg").write_bytes(JPEG[:-100])
    (crossing / "0002.jpg").write_bytes(cv2.imencode(".jpg", IMAGE[:20])[1].tobytes())
    (crossing / "0003.jpg").write_bytes(b"\xff\xd8\xffno JPEG at all")
    (crossing / "0004.jpg").write_bytes(b"no image at all")
    (deer / "0003.jpg").unlink()
    (deer / "0004.jpg").write_bytes(b"")
    problems = found(root)
    assert set(problems) == {
        "Couple/groundtruth_rect.txt:2",
        "Couple/groundtruth_rect.txt:4",
        "Couple/img/0001.jpg",
        "Crossing/img/0002.jpg",
        "Crossing/img/0003.jpg",
        "Crossing/img/0004.jpg",
        "Deer/img",
        "Deer/img/0004.jpg",
    }
    assert problems["Couple/img/0001.jpg"] == (
        "the end of the JPEG (ff d9)",
        f"it cut short at {len(JPEG) - 100} bytes",
    )
    assert problems["Crossing/img/0002.jpg"] == ("32 x 24 pixels, as most frames of Crossing", "32 x 20 pixels")
    assert problems["Crossing/img/0004.jpg"] == ("an image", "one that cannot be decoded")
    assert problems["Deer/img/0004.jpg"] == ("an image", "an empty file")


def test_one_line_for_many_frames_of_another_size(root):
    """Frames of another size than the others are told by the first of them and their number."""
    for t in (3, 4):
        (root / "Deer" / "img" / f"{t:04d}.jpg").write_bytes(cv2.imencode(".jpg", IMAGE[:20])[1].tobytes())
    (root / "Deer" / "img" / "0005.jpg").write_bytes(JPEG)
    (root / "Deer" / "groundtruth_rect.txt").write_text("3,4,5,6\n" * 5)
    assert found(root) == {
        "Deer/img/0003.jpg": (
            "32 x 24 pixels, as most frames of Deer",
            "32 x 20 pixels; 2 of 5 frames have another size",
        )
    }


def test_deep_means_decoded(root):
    """What a header does not show, decoding does: a PNG whose pixels are damaged, and a packed byte that changed."""
    png = bytearray(cv2.imencode(".png", IMAGE)[1].tobytes())
    png[len(png) // 2 : len(png) // 2 + 40] = bytes(40)
    (root / "Deer" / "img" / "0001.jpg").unlink()
    (root / "Deer" / "img" / "0001.png").write_bytes(png)
    pack = packs.pack(root, root.parent / "pack")
    assert not found(root)
    assert not found(pack.root)
    assert found(root, deep=True) == {"Deer/img/0001.png": ("an image", "one that cannot be decoded")}
    shard = pack.root / "shard-00000.bin"
    shard.write_bytes(shard.read_bytes().replace(b"3,4,5,6", b"3,4,5,7", 1))
    problems = found(pack.root, deep=True)
    assert problems["Couple/groundtruth_rect.txt"] == ("the bytes that were packed", "others, in shard-00000.bin")
    assert len(problems) == 2


def test_masks_are_checked(tmp_path):
    """Of masks, every size and the whole first one are looked at; what later ones show only when it is to be deep."""
    mask = np.zeros((24, 32), np.uint8)
    mask[4:9, 3:8] = 255
    blurred = cv2.GaussianBlur(mask, (3, 3), 0)
    bad = {"small": (mask, mask[:20]), "empty": (mask * 0, mask), "blurred": (mask, blurred), "gone": (mask, mask * 0)}
    for name, masks in bad.items():
        (tmp_path / "vot" / name / "masks").mkdir(parents=True)
        (tmp_path / "vot" / name / "groundtruth.txt").write_text("3,4,5,5\n" * 2)
        for number, values in enumerate(masks, 1):
            (tmp_path / "vot" / name / f"{number:08d}.jpg").write_bytes(JPEG)
            png = cv2.imencode(".png", values)[1].tobytes()
            (tmp_path / "vot" / name / "masks" / f"{number:08d}.png").write_bytes(png)
    config = vot.Config(regions="masks")

    def places(deep, root=tmp_path / "vot"):
        (reading,) = data_check.check([dataset(root, "vot", config)], deep)
        return [problem.file.removeprefix(f"{root}/") for problem in reading.problems]

    assert places(deep=False) == ["empty/masks/00000001.png", "small/masks/00000002.png"]
    assert places(deep=True) == [
        "blurred/masks/00000002.png",
        "empty/masks/00000001.png",
        "small/masks/00000002.png",
    ]
    pack = packs.pack(tmp_path / "vot", tmp_path / "pack")
    assert places(False, pack.root) == places(False)


def test_a_packed_data_set_is_checked_like_its_folder(root):
    """The same problems are found in a folder and in its pack."""
    (root / "Couple" / "groundtruth_rect.txt").write_text("1\n")
    (root / "Deer" / "img" / "0002.jpg").write_bytes(JPEG[:50])
    assert found(packs.pack(root, root.parent / "pack").root) == found(root)
    assert len(found(root)) == 2


def test_problems_are_kept_by_data_set(root, tmp_path):
    """Each data set has its own list, in the order of the parameters; one that is missing or empty is one problem."""
    (tmp_path / "empty").mkdir()
    missing, whole, empty = data_check.check([dataset(tmp_path / n) for n in ("missing", "otb", "empty")])
    assert [str(p) for p in missing.problems] == [f"{tmp_path}/missing: expected a folder, found nothing there"]
    assert not whole.problems
    assert [str(p) for p in empty.problems] == [f"{tmp_path}/empty: expected at least one sequence, found none"]


def test_a_damaged_pack_is_a_list_of_problems(root):
    """What is wrong with a pack itself is told like all the rest."""
    pack = packs.pack(root, root.parent / "pack")
    shutil.copy(pack.root / "shard-00000.bin", root)
    (pack.root / "shard-00000.bin").write_bytes(b"")
    ((place, (expected, came)),) = found(pack.root).items()
    assert (place, came) == ("shard-00000.bin", "0 bytes")
    assert expected.startswith("a shard of ")


def test_data_that_is_made_is_opened(tmp_path):
    """Data sets without frames on disk are opened, and what is wrong is told with its place."""
    (reading,) = data_check.check([dataset(tmp_path, "moving_digits", moving_digits.Config())])
    (problem,) = reading.problems
    assert problem.file == str(tmp_path)
    assert problem.expected == "t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz"
    assert problem.found == "neither"


def test_contents_are_counted(root):
    """Sequences, frames, labels, attributes, sizes and bytes of a data set are those that lie there, packed or not."""
    (root / SAMPLE).write_text("made\n")
    (root / "Deer" / "img" / "0001.jpg").write_bytes(cv2.imencode(".jpg", IMAGE[:20])[1].tobytes())
    contents = describe(dataset(root))
    assert (contents.sequences, contents.frames, contents.labelled) == (3, 12, 12)
    assert (contents.smallest, contents.largest) == ((32, 20), (32, 24))
    assert contents.attributes == {"BC": 3, "DEF": 2, "FM": 3, "IPR": 1, "LR": 1, "MB": 1, "OPR": 2, "SV": 2}
    assert contents.bytes == sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    assert (contents.packed, contents.sample, contents.problems) == (False, True, 0)
    packed = describe(dataset(packs.pack(root, root.parent / "pack").root))
    assert (packed.packed, packed.sample, packed.frames, packed.attributes) == (True, True, 12, contents.attributes)


def test_contents_of_bad_data_are_counted_as_far_as_they_go(root, tmp_path):
    """A data set with problems is listed with what can be read, and one that is not there with nothing."""
    (root / "Couple" / "groundtruth_rect.txt").write_text("1\n")
    contents = describe(dataset(root))
    assert (contents.sequences, contents.frames) == (2, 8)
    assert "1 problem; 'trackmeet data check' lists all" in str(contents)
    assert describe(dataset(tmp_path / "missing")).problems == 1
