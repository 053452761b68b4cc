"""Damaged annotations, thousands of them, in every format of one text file a sequence."""

import re
from pathlib import Path

import numpy as np
import pytest

from trackers.benchmarks import got10k, lasot, otb, temple, uav123
from trackers.benchmarks.files import Files
from trackers.benchmarks.problems import Problems

FRAMES, DAMAGED = 12, 2000
READERS = {  # reader, the file that is damaged, folder of the images
    "otb": (otb.read, otb.Config(), "Mine/groundtruth_rect.txt", "Mine/img"),
    "uav123": (uav123.read, uav123.Config(), "anno/UAV123/mine.txt", "data_seq/UAV123/mine"),
    "temple": (temple.read, temple.Config(), "Mine/Mine_gt.txt", "Mine/img"),
    "got10k": (got10k.read, got10k.Config(), "val/GOT_1/groundtruth.txt", "val/GOT_1"),
    "lasot": (lasot.read, lasot.Config(), "cat/cat-1/groundtruth.txt", "cat/cat-1/img"),
}
JUNK = b"0123456789.,;:- \t\r\n\x00\xff\xef\xbb\xbfeEnaNif_x"


class Memory(Files):
    """Files that are held in memory."""

    def __init__(self, contents):
        super().__init__(Path("data"), contents)
        self.contents = contents

    def read(self, name):
        return self.contents[name]

    def size(self, name):
        return len(self.contents[name])

    def path(self, name):
        raise NotImplementedError


def damage(content, random):
    """The content with one to three pieces changed, lost, doubled, moved or made up."""
    for _ in range(random.integers(1, 4)):
        start, end = sorted(random.integers(0, len(content) + 1, 2))
        end = min(end, start + int(random.integers(1, 30)))
        piece = content[start:end]
        junk = bytes(random.choice(list(JUNK), int(random.integers(1, 6))).tolist())
        lines = content.splitlines(keepends=True) or [b""]
        line = int(random.integers(len(lines)))
        content = [
            content[:start] + content[end:],
            content[:start] + piece + piece + content[end:],
            content[:start] + junk + content[end:],
            content[:start] + junk + content[start:],
            content[:start],
            b"".join(lines[:line] + lines[line + 1 :]),
            b"".join(lines[: line + 1] + lines[line:]),
            b"".join(lines[:line] + [b"\n"] + lines[line:]),
            content.replace(b",", bytes([junk[0]]), int(random.integers(1, 9))),
        ][random.integers(9)]
    return content


def parsed(content):
    """What a file says, line by line: boxes less 1, or None where a line is not four finite numbers."""
    rows = []
    for line in content.removeprefix(b"\xef\xbb\xbf").rstrip().splitlines():
        fields = [field for field in re.split(rb"[,; \t]", line) if field]
        rows.append([float(field) for field in fields])
    return np.array(rows, float) - [1, 1, 0, 0]


@pytest.mark.parametrize("name", READERS)
def test_damage_is_told_or_harmless(name):
    """A damaged annotation is refused by its name, or every frame has just the box of its own line."""
    read, config, annotation, folder = READERS[name]
    random = np.random.default_rng(7)
    sound = "".join(f"{10 + t},{20 + t}.5,{30 - t},40\n" for t in range(FRAMES)).encode()
    contents = {f"{folder}/{t:08d}.jpg": b"image" for t in range(1, FRAMES + 1)}
    refused = 0
    for _ in range(DAMAGED):
        content = damage(sound, random)
        problems = Problems()
        sequences = read(config, Memory(contents | {annotation: content}), problems)
        if problems:
            assert not sequences
            assert all(problem.file == f"data/{annotation}" for problem in problems)
            refused += 1
            continue
        (sequence,) = sequences
        rows = parsed(content)
        assert rows.shape == (FRAMES, 4)
        present = ~np.isnan(sequence.groundtruth).any(1)
        assert np.array_equal(sequence.groundtruth[present], rows[present])
        absent = rows[~present]
        assert (np.isnan(absent).all(1) | (absent[:, 2:] <= 0).any(1)).all()
    assert DAMAGED / 2 < refused < DAMAGED
