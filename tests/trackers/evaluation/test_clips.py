import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackers import masks
from trackers.evaluation.clips import clip, picked
from trackers.sequence import GreyFrames, Sequence


def sequence(length):
    """Everything of frame t tells t."""
    numbers = np.arange(length)
    film = np.repeat(numbers.astype(np.uint8), 24).reshape(length, 4, 6)
    return Sequence(
        "a",
        GreyFrames(film),
        np.tile(numbers[:, None], 4).astype(float),
        masks.RunLengths.of(np.arange(24).reshape(4, 6) == t for t in numbers),
        labelled=numbers % 2 == 0,
        omitted=numbers % 3 == 0,
        tags={"blur": numbers % 5 == 0},
        attributes=("FM",),
        label="cat",
        size=(6, 4),
        origin=1.0,
    )


def assert_shows(view, numbers):
    """All of the view's frames are those of these numbers."""
    numbers = np.array(numbers)
    assert len(view) == len(numbers)
    assert [int(view.frames[t][0, 0, 0]) for t in range(len(view))] == numbers.tolist()
    assert view.groundtruth[:, 2].tolist() == numbers.tolist()
    assert [int(view.region(t).argmax()) for t in range(len(view))] == numbers.tolist()
    assert (view.labelled == (numbers % 2 == 0)).all()
    assert (view.omitted == (numbers % 3 == 0)).all()
    assert (view.tags["blur"] == (numbers % 5 == 0)).all()


def test_a_clip_of_a_longer_sequence_is_its_beginning():
    """The first frames, with all that is known of them and of the sequence."""
    view = clip(sequence(9), 4)
    assert_shows(view, [0, 1, 2, 3])
    assert (view.name, view.attributes, view.label, view.size, view.origin) == ("a", ("FM",), "cat", (6, 4), 1.0)


@pytest.mark.parametrize(
    ("length", "clipped", "numbers"),
    [
        (3, 5, [0, 0, 1, 2, 2]),  # 0, 0.5, 1, 1.5, 2: halves to even
        (4, 7, [0, 0, 1, 2, 2, 2, 3]),
        (2, 5, [0, 0, 0, 1, 1]),
        (5, 6, [0, 1, 2, 2, 3, 4]),
        (1, 3, [0, 0, 0]),
    ],
)
def test_a_clip_of_a_shorter_sequence_repeats_frames(length, clipped, numbers):
    """Song et al.'s upsampling: the nearest frame to each of evenly spaced places from the first to the last."""
    assert_shows(clip(sequence(length), clipped), numbers)


@given(st.integers(1, 40), st.sampled_from([20, 40, 80, 160]))
def test_a_resampled_clip_leaves_no_frame_out(length, clipped):
    """In order, from the first frame to the last, none more often than others but by one and the halves at the ends."""
    view = clip(sequence(length), clipped)
    assert len(view) == clipped
    numbers = view.groundtruth[:, 0].astype(int)
    assert (np.diff(numbers) >= 0).all()
    if length <= clipped:
        times = np.bincount(numbers, minlength=length)
        assert (times > 0).all()
        assert times.max() <= np.ceil((clipped - 1) / max(length - 1, 1)) + 1 or length == 1


def test_generated_sequences_are_never_resampled():
    """The rule "refuse" takes sequences that are long enough, and names one that is not."""
    assert_shows(clip(sequence(4), 4, "refuse"), [0, 1, 2, 3])
    with pytest.raises(ValueError, match="sequence a: expected at least 5 frames, got 4"):
        clip(sequence(4), 5, "refuse")


def test_a_clip_has_a_frame():
    """A length of 0 is refused."""
    with pytest.raises(ValueError, match="length: expected at least 1, got 0"):
        clip(sequence(4), 0)


def test_a_clip_reads_nothing():
    """Frames are read when they are asked for, each as often as it is shown."""
    read = []

    class Film:
        def __len__(self):
            return 3

        def __getitem__(self, t):
            read.append(t)
            return np.zeros((4, 6, 3), np.uint8)

    view = clip(Sequence("a", Film(), np.ones((3, 4))), 5)
    assert read == []
    assert view.regions is None
    assert view.frames[4].shape == (4, 6, 3)
    assert read == [2]


def test_any_frames_may_be_picked():
    """In any order, also backwards and again."""
    assert_shows(picked(sequence(6), [5, 3, 3, 0]), [5, 3, 3, 0])
