from __future__ import annotations

import numpy as np
import pytest

from trackers.evaluation.results import Results, gather
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence, Unseen


def sequence(name, frames, **facts):
    return Sequence(name, Unseen(frames), np.ones((frames, 4)), **facts)


def run(name, frames, number=0):
    return Trajectory(name, np.full((frames, 4), float(number)), np.full(frames, Event.PREDICTED, np.int8), number)


def test_runs_are_gathered_in_their_order():
    """Runs go to their sequences by number; a sequence without any is left out."""
    results = gather(
        [sequence("a", 3), sequence("b", 2), sequence("c", 1)],
        [run("c", 1), run("a", 3, 1), run("a", 3, 0)],
        "temporal_robustness",
    )
    assert [s.name for s in results.sequences] == ["a", "c"]
    assert [[r.run for r in runs] for runs in results.runs] == [[0, 1], [0]]


def test_a_run_of_the_wrong_length_is_refused():
    """A trajectory must have as many frames as its sequence."""
    with pytest.raises(ValueError, match="sequence a: expected a trajectory through its 3 frames, got 2 frames of a"):
        gather([sequence("a", 3)], [run("a", 2)], "one_pass")


def test_a_subset_is_sequences_or_frames():
    """An attribute of sequences chooses sequences; a tag of frames chooses frames of the sequences that have any."""
    flags = np.array([True, False])
    results = gather(
        [
            sequence("a", 2, attributes=("OCC",), tags={"blur": flags}),
            sequence("b", 2, tags={"blur": ~flags & False}),
            sequence("c", 2, attributes=("OCC",)),
        ],
        [run("a", 2), run("b", 2), run("c", 2)],
        "one_pass",
    )
    assert results.subsets == ("all", "OCC", "blur")
    assert [s.name for s in results.subset("OCC").sequences] == ["a", "c"]
    assert results.subset("OCC").tag == "all"
    assert [s.name for s in results.subset("blur").sequences] == ["a"]
    assert results.subset("blur").tag == "blur"
    assert results.subset("all") is results


def test_the_first_frames_are_all_there_is():
    """`first` cuts everything that is one a frame, and leaves shorter sequences as they are."""
    masks = np.zeros((3, 4, 4), bool)
    masks[1] = True
    long = sequence("a", 3, regions=masks, labelled=np.array([True, False, True]), tags={"blur": np.ones(3, bool)})
    results = Results((long, sequence("b", 1)), ((run("a", 3),), (run("b", 1),))).first(2)
    cut, short = results.sequences
    assert (len(cut), len(cut.groundtruth), len(cut.tags["blur"]), list(cut.labelled)) == (2, 2, 2, [True, False])
    assert cut.region(1).all()
    with pytest.raises(IndexError, match="expected a frame from 0 to 1, got 2"):
        cut.region(2)
    assert len(short) == 1
    assert [len(runs[0]) for runs in results.runs] == [2, 1]
