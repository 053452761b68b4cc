from __future__ import annotations

import weakref
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from trackers.evaluation import archive
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.masks import RunLengths
from trackers.sequence import Sequence, Unseen


def boxes(frames, start=0.0):
    return np.arange(4.0 * frames).reshape(-1, 4) + 1 + start


def events(frames):
    return np.array([Event.INITIALIZED] + [Event.PREDICTED] * (frames - 1), np.int8)


def ragged():
    """Three sequences of different lengths and kinds of groundtruth, and runs through them."""
    polygon = np.array([1.0, 1, 5, 1, 5, 4, 1, 4])
    mask = np.zeros((3, 6, 8), bool)
    mask[0, 1:3, 2:5] = mask[2, 0, 0] = True
    absent = boxes(4)
    absent[2] = np.nan
    sequences = [
        Sequence(
            "plain",
            Unseen(4),
            absent,
            omitted=np.array([True, False, False, False]),
            attributes=("OCC", "FM"),
            size=(8, 6),
            origin=1.0,
        ),
        Sequence(
            "polygons", Unseen(2), boxes(2), (polygon, np.array([1.0, 2, 3, 4])), tags={"occlusion": [True, False]}
        ),
        Sequence("masks", Unseen(3), boxes(3), mask, np.array([True, False, True]), label="disc"),
    ]
    wide = np.full((2, 8), np.nan)
    wide[0], wide[1, :4] = polygon, [1, 2, 3, 4]
    runs = [
        Trajectory("plain", boxes(4, 0.5), events(4), seconds=np.array([np.nan, 0.1, 0.2, 0.3])),
        Trajectory("plain", boxes(4, 0.25), events(4), run=1, pixels=np.array([[5, 0, 1], [0, 2, 3]])),
        Trajectory("polygons", wide, events(2)),
        Trajectory("masks", boxes(3), events(3), masks=mask),
        Trajectory("masks", boxes(3), events(3), run=1, masks=RunLengths.of(mask[::-1])),
    ]
    return sequences, runs


def test_what_is_saved_comes_back(tmp_path):
    """Sequences of any length and kind, and their runs, are the same after a way through a file, but for images."""
    sequences, runs = ragged()
    archive.save(tmp_path / "a.npz", sequences, runs)
    read_sequences, read_runs = archive.load(tmp_path / "a.npz")
    for before, after in zip(sequences, read_sequences, strict=True):
        for name in ("name", "attributes", "label", "size", "origin"):
            assert getattr(before, name) == getattr(after, name)
        for name in ("groundtruth", "labelled", "omitted"):
            np.testing.assert_equal(getattr(before, name), getattr(after, name))
        assert before.tags.keys() == after.tags.keys()
        for tag in before.tags:
            assert list(before.tags[tag]) == list(after.tags[tag])
        for t in range(len(before)):
            np.testing.assert_equal(before.region(t), after.region(t))
        assert isinstance(after.frames, Unseen)
    for before, after in zip(runs, read_runs, strict=True):
        assert (before.sequence, before.run) == (after.sequence, after.run)
        for name in ("regions", "events", "seconds", "pixels"):
            np.testing.assert_equal(getattr(before, name), getattr(after, name))
        assert (before.masks is None) == (after.masks is None)
        for t in range(len(before) if before.masks is not None else 0):
            np.testing.assert_equal(before.masks[t], after.masks[t])


def test_the_same_content_gives_the_same_bytes(tmp_path):
    """Nothing of when or where it was written is in the file."""
    for name in ("a.npz", "b.npz"):
        archive.save(tmp_path / name, *ragged())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_damaged_file_is_named(tmp_path):
    """A file that is torn, or holds something else, is refused with its name; one that is not there is not found."""
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError):
        archive.load(path)
    archive.save(path, *ragged())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"a.npz: expected trajectories \(npz\), found"):
        archive.load(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ValueError, match=r"a.npz: expected trajectories \(npz\), found KeyError"):
        archive.load(path)


def test_without_counts_of_pixels_the_file_is_as_it_was(tmp_path):
    """Runs of trackers that tell no probabilities take no room for them, as in files from before they were counted."""
    sequences, runs = ragged()
    archive.save(tmp_path / "a.npz", sequences, [replace(run, pixels=None) for run in runs])
    with np.load(tmp_path / "a.npz") as stored:
        assert not {"run_soft", "run_pixels"} & set(stored)
    assert all(run.pixels is None for run in archive.load(tmp_path / "a.npz")[1])


def test_masks_are_coded_one_at_a_time(tmp_path):
    """However many frames a sequence has, saving it holds no more than one mask."""

    class Masks:
        held: ClassVar[list] = []

        def __len__(self):
            return 30

        def __getitem__(self, t):
            mask = np.ones((6, 8), bool)
            self.held[:] = [kept for kept in self.held if kept() is not None] + [weakref.ref(mask)]
            assert len(self.held) <= 2
            return mask

    sequence = Sequence("a", Unseen(30), boxes(30), Masks())
    archive.save(tmp_path / "a.npz", [sequence], [Trajectory("a", boxes(30), events(30), masks=Masks())])
    assert archive.load(tmp_path / "a.npz")[0][0].regions[29].all()
