import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackers import boxes, masks
from trackers.benchmarks import vot
from trackers.benchmarks.problems import DataError
from trackers.sequence import Unseen

SHARED = Path(__file__).parents[4] / "shared" / "data"
JPEG = cv2.imencode(".jpg", np.full((12, 16, 3), (10, 20, 200), np.uint8))[1].tobytes()
SQUARE = "2,3,6,3,6,7,2,7"  # corners of a box 2 3 4 4
DIAMOND = "5,1,9,5,5,9,1,5"  # its bounding box is 1 1 8 8, its area half of that


def write(root, name, rows, below="", first=1, count=None, **tags):
    """A sequence: rows of groundtruth, as many images as rows, and tags."""
    folder = root / name
    (folder / below).mkdir(parents=True, exist_ok=True)
    (folder / "groundtruth.txt").write_text("".join(f"{row}\n" for row in rows))
    for number in range(first, first + (len(rows) if count is None else count)):
        (folder / below / f"{number:08d}.jpg").write_bytes(JPEG)
    for tag, flags in tags.items():
        (folder / f"{tag}.tag").write_text("".join(f"{flag}\n" for flag in flags))
    return folder


def read(root, **settings):
    return vot.open(vot.Config(**settings), root, "vot").sequences


def problems_of(root, **settings):
    with pytest.raises(DataError) as raised:
        read(root, **settings)
    return [str(problem).replace(f"{root}/", "").replace(str(root), ".") for problem in raised.value.problems]


def test_boxes_polygons_and_absent_targets_in_one_file(tmp_path):
    """A file may mix boxes, polygons and rows of no target; polygons are kept, and boxes drawn around them."""
    write(tmp_path, "bag", ["2,3,4,4", SQUARE, DIAMOND, "NaN,NaN,NaN,NaN", "0", "nan\tnan nan,nan"])
    (sequence,) = read(tmp_path)
    nothing = [np.nan] * 4
    assert np.array_equal(
        sequence.groundtruth, [[2, 3, 4, 4], [2, 3, 4, 4], [1, 1, 8, 8], nothing, nothing, nothing], equal_nan=True
    )
    assert [len(sequence.region(t)) for t in range(6)] == [4, 8, 8, 4, 4, 4]
    assert sequence.region(2).tolist() == [5, 1, 9, 5, 5, 9, 1, 5]
    assert sequence.origin == 0
    image = sequence.frames[0]
    assert image.shape == (12, 16, 3) and image[0, 0, 0] > 150  # red is the first channel


def test_a_file_of_boxes_needs_no_regions(tmp_path):
    """VOT2013 has boxes alone: those are the groundtruth, and nothing else is kept."""
    write(tmp_path, "bolt", ["336.00, 165.00,26.00,61.00", "1e0 2.5 +3 .5"])
    (sequence,) = read(tmp_path)
    assert sequence.regions is None
    assert sequence.groundtruth.tolist() == [[336, 165, 26, 61], [1, 2.5, 3, 0.5]]


@given(st.tuples(*[st.floats(-50, 50)] * 2), st.tuples(*[st.floats(1, 40)] * 2), st.floats(0, 2 * np.pi), st.booleans())
def test_the_equal_area_box(centre, sides, angle, backwards):
    """A rotated rectangle's box of equal area has its centre and area, and the shape of the box around it."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 * sides @ turn + centre
    box = vot.equal_area((corners[::-1] if backwards else corners).ravel())
    around = vot.bounding(corners.ravel())
    assert boxes.area(box) == pytest.approx(sides[0] * sides[1])
    assert boxes.centre(box) == pytest.approx(np.array(centre))
    assert box[2] * around[3] == pytest.approx(box[3] * around[2])


def test_the_box_of_a_polygon_is_a_setting(tmp_path):
    """Asked for boxes of equal area, a diamond gives one of half its bounding box's area; boxes stay as they are."""
    write(tmp_path, "bag", [DIAMOND, "1,2,3,4"])
    (sequence,) = read(tmp_path, box="equal_area")
    side = np.sqrt(32)
    assert sequence.groundtruth[0] == pytest.approx([5 - side / 2, 5 - side / 2, side, side])
    assert sequence.groundtruth[1].tolist() == [1, 2, 3, 4]


def test_run_lengths(tmp_path):
    """VOT2020's masks are regions of the image's size, with boxes around them; a row of 0 is an empty one."""
    mask = np.zeros((12, 16), bool)
    mask[3:7, 2:5] = mask[4, 9] = True
    write(tmp_path, "agility", [masks.format(mask), "0", "m14,10,4,4,0,16"])
    (sequence,) = read(tmp_path)
    assert np.array_equal(sequence.region(0), mask)
    assert not sequence.region(1).any()
    assert np.argwhere(sequence.region(2)).tolist() == [[10, 14], [10, 15], [11, 14], [11, 15]]
    assert np.array_equal(sequence.groundtruth, [[2, 3, 8, 4], [np.nan] * 4, [14, 10, 2, 2]], equal_nan=True)


def test_segmentations_in_images(tmp_path):
    """VOT2016's segmentations are read from the folder named, in each sequence or beside them, on request only."""
    mask = np.zeros((12, 16), np.uint8)
    mask[2:5, 3:9] = 255
    png = cv2.imencode(".png", mask)[1].tobytes()
    for name, folder in (("bag", "bag/masks"), ("ball1", "masks/ball1")):
        write(tmp_path, name, [SQUARE] * 2)
        (tmp_path / folder).mkdir(parents=True)
        for t in (1, 2):
            (tmp_path / folder / f"{t:08d}.png").write_bytes(png)
    for sequence in read(tmp_path, regions="masks"):
        assert np.array_equal(sequence.region(1), mask > 0)
        assert sequence.groundtruth[1].tolist() == [2, 3, 4, 4]
    assert [len(sequence.region(0)) for sequence in read(tmp_path)] == [8, 8]
    (tmp_path / "bag/masks/00000002.png").unlink()
    assert problems_of(tmp_path, regions="masks") == ["bag/masks: expected masks 1 to 2, found 1 to 1"]
    assert "bag/groundtruth: expected masks, or in groundtruth/bag, found none" in problems_of(
        tmp_path, regions="masks", masks="groundtruth"
    )


def segmented(root, name, masks):
    """A sequence with these masks (height, width)."""
    folder = write(root, name, [SQUARE] * len(masks)) / "masks"
    folder.mkdir()
    for number, mask in enumerate(masks, 1):
        (folder / f"{number:08d}.png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())
    return folder


MASK = np.zeros((12, 16), np.uint8)
MASK[2:5, 3:9] = 255


def test_a_target_may_vanish_from_its_masks(tmp_path):
    """An empty mask is a target that is gone, for some frames or to the end; any one value stands for the target."""
    segmented(tmp_path, "bag", [MASK, MASK * 0, MASK // 255, MASK * 0])
    (sequence,) = read(tmp_path, regions="masks")
    assert [int(sequence.region(t).sum()) for t in range(4)] == [18, 0, 18, 0]
    assert sequence.region(1).shape == (12, 16) and sequence.size == (16, 12)


def test_masks_that_do_not_fit_are_all_told_at_once(tmp_path):
    """Masks of another size than the frames, missing, damaged, empty or of several objects at the start: one list."""
    segmented(tmp_path, "a", [MASK, MASK[:6], MASK[:, :9]])
    segmented(tmp_path, "b", [MASK[:6]])
    (segmented(tmp_path, "c", [MASK] * 4) / "00000002.png").unlink()
    (segmented(tmp_path, "d", [MASK] * 3) / "00000003.png").unlink()
    segmented(tmp_path, "e", [MASK * 0, MASK])
    segmented(tmp_path, "f", [MASK + np.eye(12, 16, dtype=np.uint8), MASK])
    (segmented(tmp_path, "g", [MASK]) / "00000001.png").write_bytes(b"no image")
    (segmented(tmp_path, "h", [MASK] * 2) / "00000002.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    write(tmp_path, "i", ["0", "m3,2,6,3,0,18"])
    start = "in its first mask, or the sequence left out"
    assert problems_of(tmp_path, regions="masks") == [
        "a/masks/00000002.png: expected a mask of 16 x 12 pixels, as the frames of a, found 16 x 6 pixels; "
        "2 of 3 masks have another size",
        "b/masks/00000001.png: expected a mask of 16 x 12 pixels, as the frames of b, found 16 x 6 pixels",
        "c/masks: expected images 1 to 4, found none of number 2",
        "d/masks: expected masks 1 to 3, found 1 to 2",
        f"e/masks/00000001.png: expected the target of e {start} (exclude: [e]), found an empty mask",
        "f/masks/00000001.png: expected a mask of one target, 0 and one other value, found 0 and 1, 255",
        "g/masks/00000001.png: expected an image of a mask, found one that cannot be decoded",
        "h/masks/00000002.png: expected the header of an image, found it cut short at 8 bytes",
        f"i/groundtruth.txt:1: expected the target of i {start} (exclude: [i]), found an empty mask",
    ]


def test_a_later_mask_of_several_objects_is_told_when_it_is_read(tmp_path):
    """Blurred or compressed masks are not taken for larger targets: they are refused by their file."""
    blurred = cv2.GaussianBlur(MASK, (3, 3), 0)
    segmented(tmp_path, "bag", [MASK, blurred])
    (sequence,) = read(tmp_path, regions="masks")
    with pytest.raises(ValueError, match=r"bag/masks/00000002.png: expected a mask of one target, .* and \d more"):
        sequence.region(1)


def test_masks_without_frames_are_of_one_size(tmp_path):
    """Masks alone are enough to score by, if they are of one size."""
    for name, shown in (("bag", [MASK] * 2), ("car", [MASK, MASK[:6]])):
        segmented(tmp_path, name, shown)
        for image in (tmp_path / name).glob("*.jpg"):
            image.unlink()
    assert problems_of(tmp_path, regions="masks") == [
        "car/masks/00000002.png: expected a mask of 16 x 12 pixels, as the first mask of car, found 16 x 6 pixels"
    ]
    assert len(read(tmp_path, regions="masks", exclude=("car",))[0]) == 2


@pytest.mark.parametrize("below", ["", "color", "imgs"])
def test_where_frames_lie(tmp_path, below):
    """Frames are found in the sequence's folder, or below color/ or imgs/."""
    write(tmp_path, "bag", [SQUARE] * 3, below)
    (sequence,) = read(tmp_path)
    assert sequence.frames[2].shape == (12, 16, 3)


@pytest.mark.parametrize("channel", ["rgb/%08d.jpg", "rgb/", "rgb", "rgb\\%08d.jpg", "./rgb/%08d.jpg"])
def test_the_toolkit_says_where_frames_lie(tmp_path, channel):
    """The toolkit's file `sequence` names the folder of frames, and the images' size."""
    folder = write(tmp_path, "bag", [SQUARE], "rgb")
    (folder / "sequence").write_text(f"channels.color={channel}\nfps=30\nname=bag\nwidth=16\nheight=12\n")
    (sequence,) = read(tmp_path)
    assert sequence.frames[0].shape == (12, 16, 3)
    assert sequence.size == (16, 12)


def test_the_toolkits_file_cannot_lead_outside(tmp_path):
    """A folder of frames outside the sequence's own, or a size that is none, is a problem."""
    for name, said in (
        ("a", "channels.color=../b/%08d.jpg"),
        ("b", "channels.color=/etc/x"),
        ("c", "width=x\nheight=1"),
    ):
        (write(tmp_path, name, [SQUARE]) / "sequence").write_text(said)
    (write(tmp_path, "d", [SQUARE]) / "sequence").write_text("nonsense")
    assert problems_of(tmp_path) == [
        "a/sequence: expected channels.color inside the sequence's folder, found ../b/%08d.jpg",
        "b/sequence: expected channels.color inside the sequence's folder, found /etc/x",
        "c/sequence: expected width and height, whole numbers from 1 to 99999, found 'x' and '1'",
        "d/sequence:1: expected key=value, found 'nonsense'",
    ]


def test_annotations_alone(tmp_path):
    """Groundtruth without images is enough to score by; a frame that is asked for is not there."""
    write(tmp_path, "bag", [SQUARE, "m1,1,2,2,0,4"][:1] * 2, count=0)
    write(tmp_path, "coded", ["m1,1,2,2,0,4"], count=0)
    bag, coded = read(tmp_path)
    assert isinstance(bag.frames, Unseen) and len(bag) == 2
    assert coded.region(0).shape == (3, 3)
    with pytest.raises(FileNotFoundError, match="annotations alone"):
        bag.frames[0]


def test_tags_of_frames(tmp_path):
    """Tags keep their names; rows that a file lacks at its end are 0; `empty` are the frames with no other tag."""
    write(tmp_path, "bag", [SQUARE] * 4, occlusion=[0, 1, 1, 0], camera_motion=[1])
    folder = write(tmp_path, "ball1", [SQUARE] * 2, occlusion=[])
    (folder / "size_change.label").write_text("0\n1\n")
    bag, ball = read(tmp_path)
    assert {tag: flags.astype(int).tolist() for tag, flags in bag.tags.items()} == {
        "occlusion": [0, 1, 1, 0], "camera_motion": [1, 0, 0, 0], "empty": [0, 0, 0, 1]
    }  # fmt: skip
    assert {tag: flags.astype(int).tolist() for tag, flags in ball.tags.items()} == {
        "occlusion": [0, 0], "size_change": [0, 1], "empty": [1, 0]
    }  # fmt: skip


def test_without_tags_no_frame_is_untagged(tmp_path):
    """A data set without any tag has no `empty` either."""
    write(tmp_path, "bag", [SQUARE])
    assert read(tmp_path)[0].tags == {}


def test_wrong_tags_are_problems(tmp_path):
    """Tags of more frames than there are, and flags other than 0 and 1, are problems with file and line."""
    write(tmp_path, "bag", [SQUARE] * 2, occlusion=[0, 1, 0], size_change=[0, 2], camera_motion=[0, "x"])
    assert problems_of(tmp_path) == [
        "bag/camera_motion.tag:2: expected 1 number, found 'x'",
        "bag/occlusion.tag: expected at most 2 rows, one a frame, found 3",
        "bag/size_change.tag:2: expected 0 or 1, found 2",
    ]


def test_order_and_choice_of_sequences(tmp_path):
    """Sequences come as list.txt has them, without it by name; some can be asked for, others left out."""
    for name in ("ants1", "bag", "car1"):
        write(tmp_path, name, [SQUARE])
    assert [s.name for s in read(tmp_path)] == ["ants1", "bag", "car1"]
    (tmp_path / "list.txt").write_text("car1\nants1\n")
    assert [s.name for s in read(tmp_path)] == ["car1", "ants1"]
    assert [s.name for s in read(tmp_path, sequences=("ants1",))] == ["ants1"]
    assert [s.name for s in read(tmp_path, exclude=("car1", "not there"))] == ["ants1"]
    assert problems_of(tmp_path, sequences=("dog",)) == [".: expected sequence dog, found no sequence of that name"]
    (tmp_path / "list.txt").write_text("car1\n../other\ncar1\n")
    assert problems_of(tmp_path) == [
        "list.txt:2: expected a folder of that name with groundtruth.txt, found '../other'",
        "list.txt:3: expected each sequence once, found car1 again",
    ]


@pytest.mark.parametrize("first", [0, 1])
def test_ball_has_one_image_more(tmp_path, first):
    """In VOT2014's ball, rows belong to images from number 1 on, and the one too many to no row."""
    write(tmp_path, "ball", [SQUARE] * 3, first=first, count=4)
    (sequence,) = read(tmp_path)
    assert [Path(name).stem for name in sequence.frames.names] == ["00000001", "00000002", "00000003"]


def test_images_and_rows_must_agree(tmp_path):
    """Any other sequence with more or fewer images than rows is a problem, and so are gaps between them."""
    write(tmp_path, "bag", [SQUARE] * 3, count=4)
    write(tmp_path, "car", [SQUARE] * 3, count=2)
    write(tmp_path, "dog", [SQUARE] * 3, count=4)
    (tmp_path / "dog" / "00000002.jpg").unlink()
    assert problems_of(tmp_path) == [
        "bag/groundtruth.txt: expected 4 rows, one an image, found 3",
        "car/groundtruth.txt: expected 2 rows, one an image, found 3",
        "dog: expected images 1 to 4, found none of number 2",
    ]


@pytest.mark.parametrize(
    "row",
    ["", "1,2,3", "1,2,3,4,5", "1,2,,4", "1,2,3,4,", "a,2,3,4", "1,2,3,inf", "1,2,nan,4", "1,2,-3,4", "1_0,2,3,4"]
    + ["1", "2", "1,2,3,4,5,6,7,8,9", "m1,1,2,2,0,3", "m", "1;2;;3", "0x1,2,3,4", "1e999,2,3,4", "١,2,3,4"],
)  # fmt: skip
def test_a_wrong_row_is_told_with_its_line(tmp_path, row):
    """A row that is no region is a problem with its line: never left out, never read as another."""
    write(tmp_path, "bag", [SQUARE, row, SQUARE])
    (problem,) = problems_of(tmp_path)
    assert problem.startswith("bag/groundtruth.txt:2: expected ")


def test_masks_and_polygons_do_not_mix(tmp_path):
    """A file of run lengths has no other regions."""
    write(tmp_path, "bag", ["m1,1,2,2,0,4", "0", SQUARE])
    assert problems_of(tmp_path) == [
        "bag/groundtruth.txt:3: expected a mask, as other rows of this file are, found 8 numbers"
    ]


def test_all_problems_at_once(tmp_path):
    """Many wrong lines of a file are told in short, and those of other files beside them."""
    write(tmp_path, "bag", ["x"] * 9)
    write(tmp_path, "car", [])
    told = problems_of(tmp_path)
    assert len(told) == 5 + 1 + 1
    assert told[-2] == "bag/groundtruth.txt:9: expected no more wrong lines, found 4 more, the last of them here"
    assert told[-1] == "car/groundtruth.txt: expected at least one row of groundtruth, found an empty file"


@pytest.mark.parametrize("settings", [{"box": "round"}, {"regions": "boxes"}])
def test_settings_are_checked(settings):
    """A setting that is none of the choices is refused by name."""
    with pytest.raises(ValueError, match=f"{next(iter(settings))}: expected .* or .*, got"):
        vot.Config(**settings)


@pytest.mark.skipif(not (SHARED / "vot").is_dir(), reason="needs VOT2015 bag in ../shared/data/vot")
def test_a_real_sequence():
    """VOT2015's bag has 196 frames of 480 x 360 below imgs/, and polygons whose mask has their area."""
    (sequence,) = read(SHARED / "vot")
    assert (sequence.name, len(sequence)) == ("vot2015_bag", 196)
    image, polygon = sequence.frames[195], sequence.region(0)
    assert image.shape == (360, 480, 3)
    assert sequence.groundtruth[0] == pytest.approx([291.827, 124.711, 150.346, 139.578])
    x, y = polygon.reshape(-1, 2).T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    assert masks.of_polygon(polygon, (480, 360)).sum() == pytest.approx(area, rel=0.005)


@pytest.mark.skipif(not (SHARED / "vot_eval").is_dir(), reason="needs VOT2018 in ../shared/data/vot_eval")
def test_a_real_benchmark(tmp_path):
    """VOT2018's 60 sequences, written as they lie in its archive, are read number for number, tags and all."""
    known = json.loads((SHARED / "vot_eval" / "VOT2018.json").read_text())
    for name, about in known.items():
        tags = {tag: about[tag] for tag in ("occlusion", "camera_motion", "size_change") if about[tag]}
        write(tmp_path, name, [",".join(map(str, row)) for row in about["gt_rect"]], count=0, **tags)
    sequences = read(tmp_path)
    assert len(sequences) == 60 and sum(map(len, sequences)) == 21356
    for sequence in sequences:
        about = known[sequence.name]
        assert all(sequence.region(t).tolist() == row for t, row in enumerate(about["gt_rect"]))
        assert all(len(flags) == len(sequence) for flags in sequence.tags.values())
        if about["occlusion"]:
            assert sequence.tags["occlusion"].tolist() == [flag == 1 for flag in about["occlusion"]]
