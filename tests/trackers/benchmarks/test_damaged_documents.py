"""Damaged JSON and xml, thousands of files: pysot's annotations, and those of ImageNet DET."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from trackers.benchmarks import imagenet_det, otb, pysot
from trackers.benchmarks.problems import Problems

DAMAGED = 2000
ENTRY = {
    "img_names": ["ball/1.jpg", "ball/2.jpg", "ball/3.jpg"],
    "gt_rect": [[1, 2, 3, 4], [1, 2, 5, 3, 4, 8, 0, 7], [5.5, 6, 7, 8]],
    "width": 64,
    "height": 48,
    "attr": ["OCC"],
    "occlusion": [0, 1, 0],
}
OBJECT = "<object>\n<name>{}</name>\n<bndbox>\n<xmin>{}</xmin>\n<ymin>{}</ymin>\n<xmax>{}</xmax>\n<ymax>{}</ymax>\n"
XML = (
    '<?xml version="1.0"?>\n<annotation>\n<filename>x</filename>\n<size>\n<width>100</width>\n<height>50</height>\n'
    f"</size>\n{OBJECT.format('n01', 10, 5, 40, 25)}</bndbox>\n</object>\n"
    f"{OBJECT.format('n02', 3, 4, 20, 25)}</bndbox>\n</object>\n</annotation>\n"
)
DECLARED = (
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
    '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;">]>',
    '<!DOCTYPE a SYSTEM "a.dtd">',
    "&x;",
    "<![CDATA[1]]>",
    "<!-- 1 -->",
    "<?x 1?>",
)


def once(pairs):
    """An object; AssertionError where a key is there twice."""
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def absent(row):
    return row == [] or (isinstance(row, list) and any(value is None or value != value for value in row))


@pytest.mark.parametrize("images", [True, False])
def test_damaged_json_is_told_or_harmless(memory, damaged_json, images):
    """Damaged JSON is refused by its name, or every frame of every sequence has just its own row."""
    contents = dict.fromkeys(ENTRY["img_names"], b"image") if images else {}
    refused = 0
    for content in damaged_json(json.dumps({"ball": ENTRY, "bag": {**ENTRY, "img_names": []}}).encode()):
        problems = Problems()
        sequences = pysot.read(pysot.Config(), memory(contents | {"SET.json": content}), problems)
        if problems:
            for problem in problems:  # all in the file, but for an image that it names
                assert problem.file == "data/SET.json" or problem.expected == "an image of ball"
            refused += 1
            continue
        held = json.loads(content, object_pairs_hook=once)
        assert [sequence.name for sequence in sequences] == list(held)
        for sequence in sequences:
            entry = held[sequence.name]
            rows, there = entry["gt_rect"], entry.get("img_names") or entry["gt_rect"]
            assert len(sequence) == len(rows) == len(there)
            for t, row in enumerate(rows):
                assert np.array_equal(sequence.region(t), [np.nan] * 4 if absent(row) else row, equal_nan=True)
            for tag, flags in sequence.tags.items():
                assert tag == "empty" or flags.tolist() == entry[tag]
            assert sequence.size is None or sequence.size == (entry["width"], entry["height"])
            assert list(sequence.attributes) == (entry.get("attr", entry.get("attributes")) or [])
    assert DAMAGED / 2 < refused < DAMAGED


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "a\n", "a\0", "/etc/passwd"])
def test_a_name_that_is_no_files_is_told(memory, name):
    """A sequence's name that leads out of its folder, or that no file may have, is refused."""
    problems = Problems()
    files = memory({"SET.json": json.dumps({name: {"gt_rect": [[1, 2, 3, 4]]}}).encode()})
    assert not pysot.read(pysot.Config(), files, problems)
    assert [problem.file for problem in problems] == ["data/SET.json"]


def test_damaged_attributes_are_told_or_harmless(memory, damaged_json):
    """Whatever stands in the JSON of attributes beside a groundtruth, it is told, or these are the attributes."""
    contents = {"Mine/groundtruth_rect.txt": b"1,2,3,4\n", "Mine/img/1.jpg": b"image"}
    for content in damaged_json(b'{"name": "Mine", "attributes": ["SV", "LR"], "start": 1}'):
        problems = Problems()
        sequences = otb.read(otb.Config(), memory({**contents, "Mine/cfg.json": content}), problems)
        if problems:
            assert not sequences
            assert {problem.file for problem in problems} == {"data/Mine/cfg.json"}
        else:
            named = json.loads(content, object_pairs_hook=once).get("attributes", [])
            assert set(sequences[0].attributes) == set(named) - {""}


def boxes(content):
    """{name: box} of the objects in an xml file, of those with an area."""
    root = ET.fromstring(content)
    assert root.tag == "annotation" and float(root.findtext("size/width")) >= 1
    found, objects = {}, root.findall("object")
    for k, each in enumerate(objects, 1):
        x1, y1, x2, y2 = (float(each.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax"))
        assert all(len(each.findall(f"bndbox/{edge}")) == 1 for edge in ("xmin", "ymin", "xmax", "ymax"))
        if x2 > x1 and y2 > y1:
            found[k if len(objects) > 1 else 0] = (each.findtext("name").strip(), [x1, y1, x2 - x1, y2 - y1])
    return found


def test_damaged_xml_is_told_or_harmless(memory, damaged_texts):
    """Damaged xml is refused by its name, or every object has just its own box and class."""
    random = np.random.default_rng(3)
    refused = 0
    for number, content in enumerate(damaged_texts(XML.encode())):
        if number % 4 == 0:  # damage that is well-formed: a tag, a number or a declaration
            lines = XML.splitlines(keepends=True)
            line = int(random.integers(1, len(lines)))
            kind = random.integers(4)
            if kind == 0:
                lines[line] = lines[line].replace("min", "max").replace("object", "objects")
            elif kind == 1:
                lines[line] = re.sub(r"\d+", str(random.integers(-3, 60)), lines[line])
            elif kind == 2:
                lines[line] = lines[line] * 2
            else:
                lines.insert(line, DECLARED[random.integers(len(DECLARED))])
            content = "".join(lines).encode()
        problems = Problems()
        files = memory({"Annotations/a.xml": content, "Data/a.JPEG": b"image"})
        sequences = imagenet_det.read(imagenet_det.Config(largest=None), files, problems)
        if problems:
            assert not sequences
            assert {problem.file for problem in problems} == {"data/Annotations/a.xml"}
            refused += 1
            continue
        found = {int(sequence.name.partition(".")[2] or 0): sequence for sequence in sequences}
        expected = boxes(content)
        assert found.keys() == expected.keys()
        for k, (label, box) in expected.items():
            assert (found[k].label, found[k].groundtruth[0].tolist()) == (label, box)
    assert DAMAGED / 2 < refused < DAMAGED
