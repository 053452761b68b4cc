import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackers.evaluation.folds import folds

NAMES = [f"sequence {i}" for i in range(60)]


def test_ten_folds_of_vot2016():
    """60 sequences in 10 folds: 6 to test on in each, every sequence in one."""
    parts = folds(NAMES, 10, seed=0)
    assert [len(part) for part in parts] == [6] * 10
    assert sorted(name for part in parts for name in part) == sorted(NAMES)


def test_the_split_is_a_random_one():
    """Neighbours by name are not kept together; another seed splits otherwise."""
    assert all(part != tuple(sorted(NAMES)[6 * i : 6 * i + 6]) for i, part in enumerate(folds(NAMES, 10, seed=0)))
    assert len({folds(NAMES, 10, seed) for seed in range(20)}) == 20


def test_the_split_is_for_ever():
    """The same names and seed give these folds on every machine."""
    assert folds("abcdefg", 3, seed=5) == folds("gfedcba", 3, seed=5) == (("a", "b", "f"), ("c", "g"), ("d", "e"))


@given(st.sets(st.text(), min_size=2, max_size=40), st.data())
def test_folds_are_a_partition_that_no_order_changes(names, data):
    """Each name is in one fold, sizes differ by at most 1, and the order of the names is nothing."""
    k, seed = data.draw(st.integers(2, len(names))), data.draw(st.integers(0, 2**32))
    parts = folds(names, k, seed)
    assert len(parts) == k
    assert sorted(name for part in parts for name in part) == sorted(names)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert folds(data.draw(st.permutations(sorted(names))), k, seed) == parts


@pytest.mark.parametrize("k", [-1, 0, 1, 4])
def test_no_fold_is_empty_nor_everything(k):
    """Fewer than 2 folds leave nothing to train on; more than there are names leave some without a test."""
    with pytest.raises(ValueError, match=f"folds: expected from 2 to 3, the number of sequences, got {k}"):
        folds("abc", k, seed=0)


def test_a_name_is_in_one_fold_only():
    """A name that comes twice would be trained on and tested on."""
    with pytest.raises(ValueError, match="folds: expected each sequence once, got a twice"):
        folds("abca", 2, seed=0)
