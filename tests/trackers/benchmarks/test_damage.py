"""Damaged annotations, thousands of them, in every format of one text file a sequence."""

import re

import numpy as np
import pytest

from trackers.benchmarks import alov, got10k, lasot, otb, plain, temple, uav123
from trackers.benchmarks.problems import Problems
from trackers.sequence import Unseen

FRAMES, DAMAGED = 12, 2000
READERS = {  # reader, the file that is damaged, folder of the images
    "otb": (otb.read, otb.Config(), "Mine/groundtruth_rect.txt", "Mine/img"),
    "uav123": (uav123.read, uav123.Config(), "anno/UAV123/mine.txt", "data_seq/UAV123/mine"),
    "temple": (temple.read, temple.Config(), "Mine/Mine_gt.txt", "Mine/img"),
    "got10k": (got10k.read, got10k.Config(), "val/GOT_1/groundtruth.txt", "val/GOT_1"),
    "lasot": (lasot.read, lasot.Config(), "cat/cat-1/groundtruth.txt", "cat/cat-1/img"),
    "plain": (plain.read, plain.Config(), "walk/groundtruth.txt", "walk"),
}
NUMBER = re.compile(rb"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan)", re.IGNORECASE)
SOUND = "".join(f"{10 + t},{20 + t}.5,{30 - t},40\n" for t in range(FRAMES)).encode()
CORNERS = "".join(f"{1 + 2 * t} 9 5 3 5 3 {20 + t}.5 9 {20 + t}.5\n" for t in range(FRAMES)).encode()


def parsed(line):
    """The numbers of a line; None where something else is between them."""
    fields = re.split(rb"[ \t]*[,;][ \t]*|[ \t]+", line.strip(b" \t"))
    return [float(field) for field in fields] if all(map(NUMBER.fullmatch, fields)) else None


def rows_of(content):
    return [parsed(line) for line in content.removeprefix(b"\xef\xbb\xbf").rstrip().splitlines()]


def is_sound(row):
    """Whether a row would be a box of its own, or an absent target."""
    whole = row is not None and len(row) == 4 and np.isfinite(row).all() and max(map(abs, row)) <= 1e9
    return whole and (min(row[2:]) > 0 or not any(row))


@pytest.mark.parametrize("name", READERS)
def test_damage_is_told_or_harmless(memory, damaged_texts, name):
    """A damaged annotation is refused by its name and line, or every frame has just the box of its own line."""
    read, config, annotation, folder = READERS[name]
    contents = {f"{folder}/{t:08d}.jpg": b"image" for t in range(1, FRAMES + 1)}
    first = 0 if name == "plain" else 1
    refused = 0
    for content in damaged_texts(SOUND):
        problems = Problems()
        sequences = read(config, memory(contents | {annotation: content}), problems)
        rows = rows_of(content)
        if problems:
            assert not sequences
            assert all(problem.file == f"data/{annotation}" for problem in problems)
            assert not any(problem.line and is_sound(rows[problem.line - 1]) for problem in problems)
            refused += 1
            continue
        (sequence,) = sequences
        assert len(sequence) == FRAMES
        if name == "plain" and len(rows) == 1:
            assert sequence.labelled.tolist() == [True] + [False] * (FRAMES - 1)
            rows += [[np.nan] * 4] * (FRAMES - 1)
        expected = np.array(rows) - [first, first, 0, 0]
        assert expected.shape == (FRAMES, 4)
        present = ~np.isnan(sequence.groundtruth).any(1)
        assert np.array_equal(sequence.groundtruth[present], expected[present])
        absent = expected[~present]
        assert (np.isnan(absent).all(1) | (absent[:, 2:] <= 0).any(1)).all()
    assert DAMAGED / 2 < refused < DAMAGED


@pytest.mark.parametrize("images", [2 * FRAMES, 0], ids=["images", "annotations alone"])
def test_damage_to_numbered_rows_is_told_or_harmless(memory, damaged_texts, images):
    """A damaged row of ALOV300++ is told, or its box is that of the very frame that its own number says."""
    name, folder = "01-Light_video00001", "imagedata++/01-Light/01-Light_video00001"
    contents = {f"{folder}/{t:08d}.jpg": b"image" for t in range(1, images + 1)}
    refused = 0
    for content in damaged_texts(CORNERS):
        problems = Problems()
        sequences = alov.read(alov.Config(), memory(contents | {f"ann/01-Light/{name}.ann": content}), problems)
        if problems:
            assert not sequences
            assert all(problem.file == f"data/ann/01-Light/{name}.ann" for problem in problems)
            refused += 1
            continue
        (sequence,) = sequences
        rows = np.array(rows_of(content))
        frames = rows[:, 0] - rows[0, 0]
        assert np.flatnonzero(sequence.labelled).tolist() == frames.tolist()
        assert not images or int(sequence.frames.names[0][-12:-4]) == rows[0, 0]
        x, y = rows[:, 1::2], rows[:, 2::2]
        boxes = np.stack([x.min(1) - 1, y.min(1) - 1, np.ptp(x, 1), np.ptp(y, 1)], 1)
        assert np.array_equal(sequence.groundtruth[sequence.labelled], boxes)
    assert DAMAGED / 2 < refused < DAMAGED


BESIDE = {  # files beside the groundtruth that say more of its frames, or of the sequence
    "otb": [("Mine/attrs.txt", "SV, LR\n")],
    "uav123": [("anno/UAV123/att/mine.txt", "0,1,0,0,1,0,0,0,0,0,0,1\n")],
    "temple": [("Mine/Mine_frames.txt", f"1,{FRAMES}\n"), ("Mine/Mine_att.txt", "SV, LR\n")],
    "got10k": [
        ("val/list.txt", "GOT_1\n"),
        ("val/GOT_1/absence.label", "0\n" * FRAMES),
        ("val/GOT_1/cover.label", "8\n" * FRAMES),
        ("val/GOT_1/meta_info.ini", "[METAINFO]\nobject_class: dog\nresolution: (64, 48)\n"),
    ],
    "lasot": [("cat/cat-1/full_occlusion.txt", ",".join("01" * (FRAMES // 2)) + "\n")],
}


@pytest.mark.parametrize(("name", "beside", "sound"), [(name, *file) for name in BESIDE for file in BESIDE[name]])
def test_damage_beside_never_moves_a_box(memory, damaged_texts, name, beside, sound):
    """Whatever stands in the files beside a groundtruth: it is told, or every frame has the box of its own line."""
    read, config, annotation, folder = READERS[name]
    contents = {f"{folder}/{t:08d}.jpg": b"image" for t in range(1, FRAMES + 1)} | {annotation: SOUND}
    expected = np.array(rows_of(SOUND)) - [1, 1, 0, 0]
    for content in damaged_texts(sound.encode()):
        problems = Problems()
        sequences = read(config, memory(contents | {beside: content}), problems)
        assert all(problem.file.startswith("data") for problem in problems)
        for sequence in sequences:
            present = ~np.isnan(sequence.groundtruth).any(1)
            assert np.array_equal(sequence.groundtruth[present], expected[present])
            assert all(len(tag) == FRAMES for tag in sequence.tags.values())
            assert sequence.frames.names[0].endswith("/00000001.jpg")


def test_damage_beside_a_video_is_told_or_harmless(memory, damaged_texts, monkeypatch):
    """The box or boxes of a video are those of the lines in its text, or what is wrong is told."""
    monkeypatch.setattr(plain, "Video", lambda path: Unseen(FRAMES))
    for content in damaged_texts(SOUND):
        problems = Problems()
        sequences = plain.read(plain.Config(), memory({"dog.mp4": b"video", "dog.txt": content}), problems)
        if problems:
            assert not sequences
            assert {problem.file for problem in problems} == {"data/dog.txt"}
            continue
        rows = np.array(rows_of(content))
        assert len(rows) in (1, FRAMES)
        found = sequences[0].groundtruth[: len(rows)]
        assert np.array_equal(found[~np.isnan(found).any(1)], rows[~np.isnan(found).any(1)])


@pytest.mark.parametrize("name", READERS)
def test_frames_out_of_step_are_told(memory, name):
    """A frame that is missing, one more, an empty one, a row too many or too few: each is told."""
    read, config, annotation, folder = READERS[name]
    images = {f"{folder}/{t:08d}.jpg": b"image" for t in range(1, FRAMES + 1)}
    missing = {image: content for image, content in images.items() if not image.endswith("5.jpg")}
    for there, rows, place in (
        (missing, SOUND, folder),
        (images | {f"{folder}/{FRAMES + 1:08d}.jpg": b"image"}, SOUND, annotation),
        (images | {f"{folder}/{4:08d}.jpg": b""}, SOUND, f"{folder}/{4:08d}.jpg"),
        (images, SOUND + b"1,2,3,4\n", annotation),
        (images, SOUND[: SOUND.rindex(b"\n", 0, -1) + 1], annotation),
        (images, b"", annotation),
        ({}, b"", annotation),
    ):
        problems = Problems()
        sequences = read(config, memory(there | {annotation: rows}), problems)
        assert not sequences
        if there or name != "plain":
            assert f"data/{place}" in [problem.file for problem in problems]
