from pathlib import Path

import cv2
import numpy as np
import pytest

from trackers.benchmarks import imagenet_det
from trackers.benchmarks.problems import DataError
from trackers.sequence import Unseen

SHARED = Path(__file__).parents[4] / "shared" / "data" / "voc_xml"
JPEG = cv2.imencode(".jpg", np.zeros((50, 100, 3), np.uint8))[1].tobytes()
OBJECT = "<object><name>{}</name><bndbox><xmin>{}</xmin><xmax>{}</xmax><ymin>{}</ymin><ymax>{}</ymax></bndbox></object>"
LAUGHS = """<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<annotation><size><width>&b;</width></size></annotation>"""
OUTSIDE = """<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation>&x;</annotation>"""


def xml(*objects, width=100, height=50):
    """An annotation of objects (class, xmin, ymin, xmax, ymax)."""
    found = "".join(OBJECT.format(label, x1, x2, y1, y2) for label, x1, y1, x2, y2 in objects)
    return (
        "<annotation><folder>../../..</folder><filename>passwd</filename>"
        f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>{found}</annotation>"
    )


def write(root, name, content, image=None):
    for path, data in (
        (root / f"Annotations/DET/{name}.xml", content),
        (root / (image or f"Data/DET/{name}.JPEG"), JPEG),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)


def read(root, **settings):
    return imagenet_det.open(imagenet_det.Config(**settings), root, "det").sequences


def problems_of(root, **settings):
    with pytest.raises(DataError) as raised:
        read(root, **settings)
    return [str(problem).replace(f"{root}/", "") for problem in raised.value.problems]


def test_each_object_is_a_sequence_of_one_frame(tmp_path):
    """An object is a sequence of one frame; where an image has several, their place in the file is in the name."""
    write(tmp_path, "train/n01/n01_18", xml(("n01", 10, 5, 40, 25)))
    write(tmp_path, "train/n02/n02_7", xml(("n02", 0, 5, 40, 25), ("n03", 10.5, 5, 40, 25)))
    sequences = read(tmp_path)
    assert [(s.name, s.label, len(s)) for s in sequences] == [
        ("n01_18", "n01", 1),
        ("n02_7.1", "n02", 1),
        ("n02_7.2", "n03", 1),
    ]
    assert [s.groundtruth[0].tolist() for s in sequences] == [[10, 5, 30, 20], [0, 5, 40, 20], [10.5, 5, 29.5, 20]]
    assert sequences[0].size == (100, 50) and sequences[0].frames[0].shape == (50, 100, 3)


def test_coordinates_may_count_from_one(tmp_path):
    """Pascal VOC counts pixels from 1: asked for that, boxes move by one."""
    write(tmp_path, "a", xml(("dog", 1, 1, 40, 25)))
    (sequence,) = read(tmp_path, origin=1)
    assert sequence.groundtruth.tolist() == [[0, 0, 39, 24]]
    assert sequence.origin == 1


def test_objects_that_fill_the_image_are_left_out(tmp_path):
    """Objects that fill 66% of the width or height, or more, are left out, and so are those without area."""
    write(tmp_path, "a", xml(("w", 0, 0, 66, 10), ("w-", 0, 0, 65, 10), ("h", 0, 0, 10, 33), ("thin", 5, 5, 5, 9)))
    assert [s.label for s in read(tmp_path)] == ["w-"]
    assert [s.name for s in read(tmp_path)] == ["a.2"]
    assert [s.label for s in read(tmp_path, largest=None)] == ["w", "w-", "h"]


@pytest.mark.parametrize(
    ("annotation", "image"),
    [
        ("Annotations/DET/train/n01/a.xml", "Data/DET/train/n01/a.JPEG"),
        ("annotations/a.xml", "images/a.jpg"),
        ("VOC2007/Annotations/a.xml", "VOC2007/JPEGImages/a.jpg"),
        ("data/annotations/a.xml", "data/images/a.png"),
        ("a.xml", "a.png"),
    ],
)
def test_where_images_lie(tmp_path, annotation, image):
    """An image lies beside its xml, or in a folder parallel to the annotations; what the xml says does not count."""
    for name, content in ((annotation, xml(("n01", 10, 5, 40, 25)).encode()), (image, JPEG)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (sequence,) = read(tmp_path)
    assert sequence.frames[0].shape == (50, 100, 3)


def test_annotations_alone(tmp_path):
    """Without any images, the annotations are read; with some, one that misses its own is a problem."""
    (tmp_path / "a.xml").write_text(xml(("n01", 10, 5, 40, 25)))
    assert isinstance(read(tmp_path)[0].frames, Unseen)
    (tmp_path / "b.jpg").write_bytes(JPEG)
    assert problems_of(tmp_path) == ["a.xml: expected an image of that name, found none"]
    (tmp_path / "a.jpg").write_bytes(JPEG)
    (tmp_path / "a.png").write_bytes(JPEG)
    assert problems_of(tmp_path) == ["a.png: expected one image for an xml file, found also a.jpg"]


def test_choice_of_images(tmp_path):
    """Images can be asked for by name, or left out."""
    for name in ("a", "b", "c"):
        write(tmp_path, name, xml(("n01", 10, 5, 40, 25)))
    assert [s.name for s in read(tmp_path, sequences=("a", "c"))] == ["a", "c"]
    assert [s.name for s in read(tmp_path, exclude=("a",))] == ["b", "c"]
    assert problems_of(tmp_path, sequences=("d",))[0].endswith("expected d.xml, found no such file")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "a.xml:1: expected a well-formed xml file, found no element found"),
        ("<annotation>\n<size>", "a.xml:2: expected a well-formed xml file, found no element found"),
        ("<annotation>\n</size>", "a.xml:2: expected a well-formed xml file, found mismatched tag"),
        (LAUGHS, "a.xml: expected a plain xml file, found a document type"),
        (OUTSIDE, "a.xml: expected a plain xml file, found a document type"),
        (OUTSIDE.encode("utf-16"), "a.xml: expected a plain xml file, found a document type"),
        ("<html/>", "a.xml: expected <annotation> at the root, found <html>"),
        ("<annotation/>", "a.xml: expected a number in <size><height>, found none"),
        (xml(width="wide"), "a.xml: expected a number in <size><width>, found 'wide'"),
        (xml(height=0), "a.xml: expected width and height of the image, whole numbers above 0, found 100 and 0"),
        (xml(("n", 1, 2, "", 4)), "a.xml: expected a number in <bndbox><xmax>, found none"),
        (xml(("n", 1, 2, "1e3", 4)), "a.xml: expected a number in <bndbox><xmax>, found '1e3'"),
        (xml(("", 1, 2, 3, 4)), "a.xml: expected a name of object 1, found none"),
        (
            xml(("n", 30, 2, 3, 4)),
            "a.xml: expected xmin ymin xmax ymax of object 1 in this order, none below 0, found 30 2 3 4",
        ),
        (
            xml(("n", -2, 2, 3, 4)),
            "a.xml: expected xmin ymin xmax ymax of object 1 in this order, none below 0, found -2 2 3 4",
        ),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "a.xml: expected a "),
    ],
)
def test_what_is_no_annotation_is_told(tmp_path, content, problem):
    """Xml that is broken, asks for entities, or lacks what an annotation has is a problem, never a traceback."""
    (tmp_path / "a.xml").write_bytes(content.encode() if isinstance(content, str) else content)
    assert problems_of(tmp_path)[0].startswith(problem)


@pytest.mark.parametrize("settings", [{"largest": 0}, {"largest": float("nan")}, {"origin": 2}])
def test_settings_are_checked(settings):
    """A setting that makes no sense is refused by name."""
    with pytest.raises(ValueError, match=f"{next(iter(settings))}: expected"):
        imagenet_det.Config(**settings)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs annotations in ../shared/data/voc_xml")
def test_real_annotations():
    """40 real images have 43 objects, in boxes inside images of the size that the xml says."""
    sequences = read(SHARED, largest=None, origin=1)
    assert len(sequences) == 43 and len({s.name.partition(".")[0] for s in sequences}) == 40
    for sequence in sequences:
        height, width, _ = sequence.frames[0].shape
        assert sequence.size == (width, height)
        x, y, w, h = sequence.groundtruth[0]
        assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
