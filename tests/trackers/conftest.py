"""Damaged files, to hold readers against: always the same ones, thousands of them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from trackers.benchmarks.files import Files

DAMAGED = 2000
JUNK = b'0123456789.,;:- \t\r\n\x00\xff\xef\xbb\xbf\x0b\x0c\x1ceEnaNif_x<>&"{}[]'
NUMBER = re.compile(rb"[-+.\w]+")
STRANGE = (
    b"", b"nan", b"NaN", b"inf", b"-inf", b"1e309", b"-7", b"0", b"99999999999999999999", b"1e300", b"9" * 400,
    b"1_0", b"0x1f", b"1.2.3", b"abc", "\u0663".encode(), b"1e-400", b"--1", b"+5", b".5", b"null", b'"4"', b".", b"-",
    b"e5",
)  # fmt: skip
VALUES = (
    None, True, False, 0, 1, -1, 2.5, 10**30, 10**400, 1e300, float("nan"), float("inf"), "", "7", "nan", "../x",
    [], {}, [[]], [[[1]]], {"a": [1]}, [1, 2, 3, 4], ["1", "2", "3", "4"], [None] * 4,
)  # fmt: skip


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
        return self.root / name


@pytest.fixture
def memory():
    """Files of {name: content}, below the root `data`."""
    return Memory


@pytest.fixture
def damaged_bytes():
    """Copies of a content with one to three pieces changed, lost, doubled or made up."""
    return lambda content: _copies(content, _break_bytes)


@pytest.fixture
def damaged_texts():
    """Copies of a text with pieces, lines, numbers or delimiters damaged, or the whole in another encoding."""
    return lambda content: _copies(content, lambda *args: (_break_bytes, _break_lines)[args[1].integers(2)](*args))


@pytest.fixture
def damaged_json():
    """Copies of JSON with keys renamed, lost or twice there, values of other types, or the text itself damaged."""
    return lambda content: _copies(content, lambda *args: (_break_bytes, _break_json)[args[1].integers(2)](*args))


def _copies(content, damage):
    random = np.random.default_rng(7)
    for _ in range(DAMAGED):
        copy = content
        for _ in range(random.integers(1, 4)):
            copy = damage(copy, random)
        yield copy


def _break_bytes(content, random):
    start, end = sorted(random.integers(0, len(content) + 1, 2).tolist())
    end = min(end, start + int(random.integers(1, 30)))
    piece = content[start:end]
    junk = bytes(random.choice(list(JUNK), int(random.integers(1, 6))).tolist())
    kind = random.integers(7)
    if kind == 0:  # lost
        return content[:start] + content[end:]
    if kind == 1:  # twice there
        return content[:start] + piece + piece + content[end:]
    if kind == 2:  # something else there
        return content[:start] + junk + content[end:]
    if kind == 3:  # something more there
        return content[:start] + junk + content[start:]
    if kind == 4 and piece:  # a bit flipped
        return content[:start] + bytes([piece[0] ^ 1 << int(random.integers(8))]) + content[start + 1 :]
    if kind == 5:
        return content[:start]
    return content[:start] + bytes(len(piece)) + content[end:]


def _break_lines(content, random):
    lines = content.splitlines(keepends=True) or [b""]
    first, second = random.integers(0, len(lines), 2).tolist()
    kind = random.integers(10)
    if kind == 0:
        del lines[first]
    elif kind == 1:
        lines.insert(first, lines[first])
    elif kind == 2:
        lines[first], lines[second] = lines[second], lines[first]
    elif kind == 3:
        lines[first] = b"\n"
    elif kind == 4:  # a column more, or less
        fields = lines[first].rstrip(b"\r\n").split(b",")
        lines[first] = b",".join([fields[:-1], [*fields, b"7"]][random.integers(2)]) + b"\n"
    elif kind in (5, 6):
        numbers = list(NUMBER.finditer(lines[first]))
        if numbers:
            start, end = numbers[random.integers(len(numbers))].span()
            strange = STRANGE[random.integers(len(STRANGE))]
            lines[first] = lines[first][:start] + strange + lines[first][end:]
    elif kind == 7:
        delimiter = (b" ", b"\t", b";", b", ", b",,", b"|", b":")[random.integers(7)]
        lines[first] = lines[first].replace(b",", delimiter, int(random.integers(1, 9)))
    elif kind == 8:
        delimiter = (b" ", b"\t", b";", b" , ", b"|")[random.integers(5)]
        lines = [line.replace(b",", delimiter) for line in lines]
    else:
        whole = b"".join(lines)
        if random.integers(2):
            return whole.replace(b"\n", (b"\r\n", b"\r", b"\x0b", b"\n\n")[random.integers(4)])
        mark = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")[random.integers(3)]
        text = whole.decode("latin-1")
        return (mark + whole, text.encode("utf-16"), text.encode("utf-32"))[random.integers(3)]
    return b"".join(lines)


def _break_json(content, random):
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError):
        return content
    places = list(_places(whole))
    if not places:
        return content
    parent, key = places[random.integers(len(places))]
    kind = random.integers(6)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[f"{key}s"] = parent.pop(key)
    elif kind == 1:
        parent.insert(key, parent[key])
    elif kind == 2:
        parent[key] = [parent[key]]
    elif kind == 3 and isinstance(parent, dict):  # the same key twice
        value = json.dumps(VALUES[random.integers(len(VALUES))])
        return json.dumps(whole).replace(f'"{key}": ', f'"{key}": {value}, "{key}": ', 1).encode()
    else:
        parent[key] = VALUES[random.integers(len(VALUES))]
    return json.dumps(whole).encode()


def _places(value):
    """(object or list, key or number) of every value in it."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


class _Said:
    """An answer of the others, who say nothing."""

    def wait(self): ...


class _EnoughError(Exception):
    """The first gradients are there."""


@pytest.fixture
def parted(monkeypatch):
    """Runs a training as one process, then as each of so many would: the first gradients, and the sum of theirs."""
    import torch.distributed as dist
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    from trackers import parallel

    for name in ("all_reduce", "broadcast"):
        monkeypatch.setattr(dist, name, lambda *args, **options: _Said())

    def first_gradients(train, rank, ranks):
        found = []

        def look(optimizer, *_):
            every = (p.grad for group in optimizer.param_groups for p in group["params"])
            found[:] = [grad.clone() for grad in every if grad is not None]
            raise _EnoughError

        monkeypatch.setattr(parallel, "standing", lambda: (rank, ranks))
        watching = register_optimizer_step_pre_hook(look)
        try:
            with pytest.raises(_EnoughError):
                train()
        finally:
            watching.remove()
        return found

    def run(train, ranks=2):
        parts = [first_gradients(train, rank, ranks) for rank in range(ranks)]
        return first_gradients(train, 0, 1), [sum(of_all) for of_all in zip(*parts, strict=True)]

    return run
