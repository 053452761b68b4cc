"""Damaged files of VOT, thousands of them: boxes, polygons and masks by frame, and tags."""

import re

import numpy as np
import pytest

from trackers.benchmarks import vot
from trackers.benchmarks.problems import Problems

FRAMES, DAMAGED = 12, 2000
WIDTH, HEIGHT = 9, 7
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan", re.ASCII | re.IGNORECASE)
REGIONS = "".join(
    f"{10 + t},{20 + t}.5,30,{40 - t}\n" if t % 3 else f"{t},9,20.5,{5 + t},25,20,{5 + t},25\n" for t in range(FRAMES)
)
TAGS = "".join(f"{t % 3 // 2}\n" for t in range(FRAMES))
MASKS = "".join(f"m{t % 3},1,4,3,{t % 5},3,{4 - t % 5},5\n" for t in range(FRAMES))
IMAGES = {f"bag/{t:08d}.jpg": b"image" for t in range(1, FRAMES + 1)}


def lines_of(content):
    return [line.decode("utf-8", "replace") for line in content.removeprefix(b"\xef\xbb\xbf").rstrip().splitlines()]


def numbers(line):
    """The numbers of a line; None where something else is between them."""
    fields = re.split(r"[ \t]*[,;][ \t]*|[ \t]+", line.strip(" \t"))
    return np.array(fields, float) if all(map(NUMBER.fullmatch, fields)) else None


def mask(line):
    """What a line of run lengths says, pixel by pixel."""
    x, y, width, height, *runs = map(int, line.strip(" \t")[1:].split(","))
    pixels = [value for number, run in enumerate(runs) for value in [number % 2 == 1] * run]
    image = np.zeros((HEIGHT, WIDTH), bool)
    for place, value in enumerate(pixels):
        row, column = y + place // width, x + place % width
        if 0 <= row < HEIGHT and 0 <= column < WIDTH:
            image[row, column] = value
    assert len(pixels) == width * height
    return image


def read(memory, content, **others):
    """(The sequence, or None; the places and lines of what is wrong) of damaged groundtruth, or of other files."""
    problems = Problems()
    files = {"bag/groundtruth.txt": content, **others, **IMAGES}
    sequences = vot.read(vot.Config(), memory(files), problems)
    assert bool(problems) != bool(sequences)
    return next(iter(sequences), None), [(problem.file, problem.line) for problem in problems]


def test_damaged_regions_are_told_or_harmless(memory, damaged_texts):
    """A damaged row of groundtruth is told, or every frame has just the region of its own line."""
    refused = 0
    for content in damaged_texts(REGIONS.encode()):
        sequence, told = read(memory, content)
        rows = [numbers(line) for line in lines_of(content)]
        if told:
            assert {file for file, _ in told} == {"data/bag/groundtruth.txt"}
            for row in (rows[line - 1] for _, line in told if line):
                assert row is None or len(row) not in (4, 8) or not (abs(row) < 1e9).all() or min(row[2:]) < 0
            refused += 1
            continue
        assert len(rows) == FRAMES
        for t, row in enumerate(rows):
            absent = np.isnan(row).all() or (len(row) == 1 and row[0] == 0)
            assert np.array_equal(sequence.region(t), [np.nan] * 4 if absent else row, equal_nan=True)
    assert DAMAGED / 2 < refused < DAMAGED


def test_damaged_masks_are_told_or_harmless(memory, damaged_texts):
    """A damaged row of run lengths is told, or every frame has just the mask of its own line."""
    about = f"width={WIDTH}\nheight={HEIGHT}\n".encode()
    refused = 0
    for content in damaged_texts(MASKS.encode()):
        sequence, told = read(memory, content, **{"bag/sequence": about})
        if told:
            assert {file for file, _ in told} == {"data/bag/groundtruth.txt"}
            refused += 1
            continue
        rows = lines_of(content)
        assert len(rows) == FRAMES
        for t, row in enumerate(rows):
            absent = row.strip(" \t")[0] != "m"
            assert not absent or np.isnan(numbers(row)).all() or numbers(row).tolist() == [0]
            assert np.array_equal(sequence.region(t), np.zeros((HEIGHT, WIDTH), bool) if absent else mask(row))
    assert DAMAGED / 2 < refused < DAMAGED


def test_damaged_tags_are_told_or_harmless(memory, damaged_texts):
    """A damaged tag is told, or every frame has the tag of its own line; lines that lack at the end are 0."""
    refused = 0
    for content in damaged_texts(TAGS.encode()):
        sequence, told = read(memory, REGIONS.encode(), **{"bag/occlusion.tag": content})
        if told:
            assert {file for file, _ in told} == {"data/bag/occlusion.tag"}
            refused += 1
            continue
        flags = [numbers(line) for line in lines_of(content)]
        assert all(len(flag) == 1 and flag[0] in (0, 1) for flag in flags)
        expected = [bool(flag[0]) for flag in flags]
        assert sequence.tags["occlusion"].tolist() == expected + [False] * (FRAMES - len(flags))
    assert DAMAGED / 4 < refused < DAMAGED


@pytest.mark.parametrize("name", ["bag/sequence", "list.txt"])
def test_damage_to_what_is_beside_is_told_or_harmless(memory, damaged_texts, name):
    """Whatever stands in the list or in the toolkit's own file, the regions are those of their frames."""
    sound = {"bag/sequence": b"name=bag\nwidth=9\nheight=7\nchannels.color=%08d.jpg\n", "list.txt": b"bag\n"}[name]
    for content in damaged_texts(sound):
        problems = Problems()
        files = {"bag/groundtruth.txt": REGIONS.encode(), **IMAGES, name: content}
        sequences = vot.read(vot.Config(), memory(files), problems)
        assert not problems or all(problem.file.startswith("data/") for problem in problems)
        for sequence in sequences:
            assert [sequence.region(t).tolist() for t in range(FRAMES)] == [
                numbers(row).tolist() for row in REGIONS.splitlines()
            ]
