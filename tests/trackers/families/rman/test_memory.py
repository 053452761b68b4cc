import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trackers.families.rman.memory import Recollection

KINDS = {"positives": 1000, "negatives": 2000}  # where features of each begin, patches' at 0: 10 t + i in frame t


def recollection(frames, remembered=3, long=100, short=20, positives=2, negatives=4, skipped=()):
    """One of features of a single number that say what they are; of the frames skipped there are patches alone."""
    own = Recollection(remembered, long, short)
    for t in range(frames):
        own.remember(torch.tensor([10.0 * t]))
        if t not in skipped:
            counts = zip(KINDS.values(), (positives, negatives), strict=True)
            own.collect(*(start + 10.0 * t + torch.arange(count)[:, None] for start, count in counts))
    return own


def drawn(own, iterations=1, pairs=1, mined=1, seed=0):
    return own.draw(iterations, pairs, mined, np.random.default_rng(seed))


def features(draws, numbers):
    """Of rows of these numbers, what they say."""
    return draws.rows[numbers][..., 0].int().tolist()


def test_the_last_patches_are_remembered_in_order():
    """K of them, the oldest first; the first one stands for all before it."""
    own, last = Recollection(3, 1, 1), []
    for t in range(5):
        own.remember(torch.tensor([float(t)]))
        last.append([int(patch) for patch in own.patches])
    assert last == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]]


def test_sequences_are_those_of_their_frames():
    """Samples follow what was remembered in their frame, even of frames without samples; patches are kept once."""
    draws = drawn(recollection(5, skipped=(2,)))
    assert [features(draws, frame) for frame in draws.sequences] == [[0, 0, 0], [0, 0, 10], [10, 20, 30], [20, 30, 40]]
    assert draws.patches == 5 and features(draws, slice(5)) == [0, 10, 20, 30, 40]
    assert draws.of[:5].tolist() == [0] * 5


def test_equal_patches_are_two():
    """Patches are those of their frames, even where they show the same."""
    own = Recollection(2, 9, 9)
    for _ in range(3):
        own.remember(torch.zeros(1))
        own.collect(torch.ones(1, 1), torch.ones(1, 1))
    assert drawn(own).sequences.tolist() == [[0, 0], [0, 1], [1, 2]]


def test_positives_are_kept_long_and_negatives_for_a_short_time():
    """Samples are those of the last `long` and `short` frames; sequences are of all of these, and no older ones."""
    draws = drawn(recollection(9, long=5, short=2), 10, 2, 4)
    frames = lambda some: sorted({value % 1000 // 10 for row in features(draws, some) for value in row})  # noqa: E731
    assert frames(draws.positives) == [4, 5, 6, 7, 8] and frames(draws.candidates) == [7, 8]
    assert features(draws, draws.sequences[0]) == [20, 30, 40]


def test_negatives_may_be_kept_longer():
    """The two numbers of frames have nothing to do with each other."""
    draws = drawn(recollection(9, long=2, short=5), 10, 2, 4)
    assert min(sum(features(draws, draws.positives), [])) == 1070
    assert min(sum(features(draws, draws.candidates), [])) == 2040


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_all_are_drawn_before_any_is_again(frames, iterations, pairs, mined, seed):
    """Every sample, positive or negative, comes once in each round; rows are of their kind, after their own frame."""
    draws = drawn(recollection(frames), iterations, pairs, mined, seed)
    assert draws.positives.shape == (iterations, pairs) and draws.candidates.shape == (iterations, mined)
    for numbers, start, each in zip(draws[-2:], KINDS.values(), (2, 4), strict=True):
        found, count = np.array(features(draws, numbers.flatten())), frames * each
        every = sorted(start + 10 * t + i for t in range(frames) for i in range(each))
        for first in range(0, len(found), count):
            some = found[first : first + count]
            assert len(set(some)) == len(some) and set(some) <= set(every)
        assert (np.array(draws.of[numbers.flatten()]) == found % 1000 // 10).all()
    assert len(draws.rows) == len(draws.of) <= draws.patches + iterations * (pairs + mined)


def test_draws_are_by_chance():
    """Other seeds draw in another order, and the same seed in the same."""
    own = recollection(4)
    first, again, other = (drawn(own, 4, 2, 4, seed) for seed in (0, 0, 1))
    assert torch.equal(first.candidates, again.candidates) and torch.equal(first.rows, again.rows)
    assert features(first, first.candidates) != features(other, other.candidates)


def test_only_what_is_drawn_is_taken_along():
    """Rows that no iteration needs are left behind: there are five thousand negatives in the first frame."""
    draws = drawn(recollection(1, negatives=500), 2, 2, 3)
    assert len(draws.rows) == 1 + 2 + 6
