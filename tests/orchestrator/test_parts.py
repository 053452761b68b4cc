from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.parts import names_in

NAMES = st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=2, max_size=12, unique=True)


def part(fold: int, of: int, side: str, seed: int = 0) -> dict:
    return {"fold": fold, "of": of, "seed": seed, "side": side}


@given(NAMES, st.data())
def test_no_fold_trains_on_what_it_tests(names, data):
    """Whatever of the dealt names a data set has, each is tested in one fold, and left out of its training alone."""
    of = data.draw(st.integers(2, len(names)))
    seed = data.draw(st.integers(0, 5))
    some = data.draw(st.lists(st.sampled_from(names), unique=True))
    extra = [*some, "never dealt out"]
    tested: list[str] = []
    for fold in range(of):
        learnt = names_in(part(fold, of, "train", seed), extra, names)
        try:
            own = names_in(part(fold, of, "test", seed), some, names)
        except ValueError as error:
            assert "expected a sequence to test" in str(error)
            own = ()
        assert sorted([*own, *learnt]) == sorted(extra)
        tested += own
    assert sorted(tested) == sorted(some)


@pytest.mark.parametrize(
    ("names", "drawn", "side", "message"),
    [
        ("ab", "ab", "test", "expected from 2 to 2, the number of sequences, got 3"),
        ("abcx", "abc", "test", "some of the 3 sequences that are dealt out to the folds, got x as well"),
        ("", "abc", "test", "expected a sequence to test in fold 1 of 3, got none"),
        ("", "abc", "train", "expected a sequence to train on in fold 1 of 3, got none"),
    ],
)
def test_a_part_that_cannot_be_is_refused(names, drawn, side, message):
    """Fewer sequences than folds, a tested one that no fold leaves out, and an empty part are refused in words."""
    with pytest.raises(ValueError, match=message):
        names_in(part(1, 3, side), names, drawn)
