"""Damaged result files, thousands of them, in every format that results come in."""

import io
import json
import re

import numpy as np
import pytest

from trackers.benchmarks.problems import Problems
from trackers.evaluation.formats import boxes, otb, vot
from trackers.evaluation.trajectory import Event
from trackers.sequence import Sequence, Unseen

FRAMES, DAMAGED = 12, 2000
NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan)", re.ASCII | re.IGNORECASE)
SEQUENCE = Sequence("Bolt", Unseen(FRAMES), np.ones((FRAMES, 4)), origin=1.0, size=(9, 7))
ORIGIN = np.array([1, 1, 0, 0])
ROWS = [[10 + t, 20.5 + t, 30 - t, 40] for t in range(FRAMES)]
TEXTS = {
    "plain": "".join(f"{x},{y},{w},{h}\n" for x, y, w, h in ROWS),
    "decimals": "".join(f"{x}.25\t{y}\t{w}.5\t{h}.125\n" for x, y, w, h in ROWS),
    "precise": "".join(f"{x / 3!r},{y / 3!r},{w / 3!r},{h / 3!r}\n" for x, y, w, h in ROWS),
}
POLYGON, MASK = "1,2,7,2.5,7,8,1,7", "m1,1,3,2,1,2,3"
RUNS = {
    "boxes": ["1", *(["2,3,4,5"] * 4), "2", "0", "0", "1", *(["3,4,5,6.5"] * 3)],
    "polygons": ["1", *([POLYGON] * 4), "2", "0", "0", "0", "1", "2,3,4,5", POLYGON],
    "masks": ["1", *([MASK] * 4), "2", "0", "0", "0", "1", *([MASK] * 2)],
}


def lines_of(content):
    return [line.decode("utf-8", "replace") for line in content.removeprefix(b"\xef\xbb\xbf").rstrip().splitlines()]


def numbers(line, delimiter=r"[ \t]*[,;][ \t]*|[ \t]+"):
    """The numbers of a line; AssertionError where something else is between them."""
    fields = re.split(delimiter, line.strip(" \t"))
    assert all(map(NUMBER.fullmatch, fields))
    return np.array(fields, float)


@pytest.mark.parametrize("kind", TEXTS)
def test_damaged_boxes_are_told_or_harmless(damaged_texts, kind):
    """A damaged row of results is told by the file, or every frame has just the box of its own line."""
    refused = 0
    for content in damaged_texts(TEXTS[kind].encode()):
        problems = Problems()
        run = boxes.read(content, "KCF/Bolt.txt", SEQUENCE, 0, problems)
        if problems:
            assert run is None
            assert {problem.file for problem in problems} == {"KCF/Bolt.txt"}
            refused += 1
            continue
        rows = np.array([numbers(line) for line in lines_of(content)])
        assert rows.shape == (FRAMES, 4)
        assert np.array_equal(run.regions, rows - ORIGIN, equal_nan=True)
    assert DAMAGED / 2 < refused < DAMAGED


@pytest.mark.parametrize("kind", RUNS)
def test_damaged_trajectories_are_told_or_harmless(damaged_texts, kind):
    """A damaged line of a VOT trajectory is told by the file, or every frame has its own line's code or region."""
    refused = 0
    for content in damaged_texts("".join(f"{line}\n" for line in RUNS[kind]).encode()):
        problems = Problems()
        run = vot.read(content, "KCF/Bolt_001.txt", SEQUENCE, 0, problems)
        if problems:
            assert run is None
            assert {problem.file for problem in problems} == {"KCF/Bolt_001.txt"}
            refused += 1
            continue
        lines = lines_of(content)
        assert len(lines) == FRAMES
        for t, line in enumerate(lines):
            if line.startswith("m"):
                assert run.events[t] == Event.PREDICTED
                assert np.array_equal(run.masks[t], mask(line))
                continue
            values = numbers(line, r"\s*,\s*")
            if len(values) == 1:
                assert run.events[t] == values[0] and values[0] in (0, 1, 2)
            else:
                assert run.events[t] == Event.PREDICTED
                expected = values - (ORIGIN if len(values) == 4 else 1)
                assert np.array_equal(run.regions[t, : len(values)], expected, equal_nan=True)
    assert DAMAGED / 2 < refused < DAMAGED


def mask(line):
    """What a line of run lengths says, pixel by pixel."""
    x, y, width, height, *runs = map(int, line[1:].split(","))
    pixels = [value for number, run in enumerate(runs) for value in [number % 2 == 1] * run]
    assert len(pixels) == width * height
    image = np.zeros((7, 9), bool)
    for place, value in enumerate(pixels):
        row, column = y + place // width, x + place % width
        if 0 <= row < 7 and 0 <= column < 9:
            image[row, column] = value
    return image


def once(pairs):
    """An object; AssertionError where a key is there twice."""
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_damaged_json_is_told_or_harmless(damaged_json):
    """Damaged JSON of results is told by the file, or every run has just its own rows, where it says it begins."""
    later = {"resType": "rect", "res": ROWS[4:], "startFrame": 5, "endFrame": FRAMES, "fps": 20.0}
    whole = {"resType": "rect", "res": ROWS, "startFrame": 1, "endFrame": FRAMES, "annoBegin": 1}
    refused = 0
    for content in damaged_json(json.dumps([whole, later]).encode()):
        problems = Problems()
        runs = otb.read_json(content, "KCF/Bolt.json", SEQUENCE, problems)
        if problems:
            assert {problem.file for problem in problems} == {"KCF/Bolt.json"}
            refused += 1
            continue
        held = json.loads(content, object_pairs_hook=once)
        for record, run in zip(held if isinstance(held, list) else [held], runs, strict=True):
            assert record.get("type", record.get("resType")) == "rect"
            start = int(np.argmax(run.events == Event.INITIALIZED))
            rows = np.array(record["res"], float)
            assert len(rows) == FRAMES or start == (record.get("startFrame") or 1) - (record.get("annoBegin") or 1)
            assert np.array_equal(run.regions[start : start + len(rows)], rows - ORIGIN, equal_nan=True)
            assert (run.events != Event.SKIPPED).sum() == len(rows)
    assert DAMAGED / 2 < refused < DAMAGED


@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_mat_is_told_or_harmless(damaged_bytes, compressed):
    """A damaged .mat is told by the file, or every frame has the very box that SciPy finds for it."""
    matlab = pytest.importorskip("scipy.io")
    record = {"type": "rect", "res": np.array(ROWS), "len": FRAMES, "annoBegin": 1, "startFrame": 1, "fps": 9.5}
    cell, content = np.empty((1, 1), object), io.BytesIO()
    cell[0, 0] = np.array([[tuple(record.values())]], [(name, object) for name in record])
    matlab.savemat(content, {"results": cell}, do_compression=compressed)
    refused = 0
    for damaged in damaged_bytes(content.getvalue()):
        problems = Problems()
        runs = otb.read_mat(damaged, "Bolt_KCF.mat", SEQUENCE, problems)
        if problems:
            assert not runs
            assert {problem.file for problem in problems} == {"Bolt_KCF.mat"}
            refused += 1
            continue
        found = matlab.loadmat(io.BytesIO(damaged))["results"].ravel()[0]["res"].ravel()[0]
        assert np.array_equal(runs[0].regions, found - ORIGIN, equal_nan=True)
    assert DAMAGED / 4 < refused < DAMAGED


@pytest.mark.parametrize("length", [FRAMES - 1, FRAMES + 1])
def test_a_wrong_length_is_told_in_every_format(length):
    """Results of a frame too few or too many are refused in every format, with both numbers."""
    rows = [[1.0, 2, 3, 4]] * length
    for read, content in (
        (lambda *args: boxes.read(*args[:3], 0, args[3]), "1,2,3,4\n" * length),
        (lambda *args: vot.read(*args[:3], 0, args[3]), "1\n" + "1,2,3,4\n" * (length - 1)),
        (otb.read_json, json.dumps([{"resType": "rect", "res": rows}])),
    ):
        problems = Problems()
        assert not read(content.encode(), "x", SEQUENCE, problems)
        [problem] = problems
        assert str(FRAMES) in problem.expected and problem.found == str(length)
