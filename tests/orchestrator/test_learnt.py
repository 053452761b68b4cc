from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.learnt import LearntFrom

FOLDERS = st.dictionaries(st.sampled_from(["vot", "otb"]), st.frozensets(st.sampled_from("abcde")), max_size=2)
STEPS = st.lists(st.tuples(FOLDERS, st.sets(st.integers(0, 7)), st.booleans()), min_size=1, max_size=8)


def known(of) -> set[tuple[str, str]]:
    return {(digest, name) for digest, names in of.items() for name in names}


@given(STEPS)
def test_a_result_has_learnt_from_all_that_led_to_it(graph):
    """In any graph of steps, whatever a step that learns has read is in all that needs it, by whatever way."""
    results: list[LearntFrom] = []
    before: list[set[int]] = []  # of each step, all that lead to it
    for i, (read, needs, prepares) in enumerate(graph):
        wanted = [n for n in needs if n < i]
        before.append({i}.union(*(before[n] for n in wanted)))
        results.append(LearntFrom.step([read], [results[n] for n in wanted], prepares))
        learning = [j for j in before[i] if not graph[j][2]]
        assert known(results[i].learnt) >= {pair for j in learning for pair in known(graph[j][0])}
        if len(learning) == 0:
            assert results[i].learnt == {}


def test_of_what_was_prepared_a_step_learns_what_it_reads():
    """From a pack of all sequences a step learns those that it reads; all where it reads none of that folder."""
    pack = LearntFrom.step([{"vot": frozenset("abc")}], [], prepares=True)
    assert (pack.learnt, pack.prepared) == ({}, {"vot": frozenset("abc")})
    half = LearntFrom.step([{"vot": frozenset("a")}], [pack], prepares=False)
    assert half.learnt == {"vot": frozenset("a")}
    assert LearntFrom.step([{"otb": frozenset("x")}], [pack], prepares=False).learnt == {
        "vot": frozenset("abc"),
        "otb": frozenset("x"),
    }
    both = LearntFrom.step([{"vot": frozenset("b")}], [pack, half], prepares=False)
    assert both.learnt == {"vot": frozenset("ab")}


def test_what_was_learnt_from_is_kept_and_refused(tmp_path):
    """What lies beside the weights reads back the same, and its sequences are refused, in their folder alone."""
    pack = LearntFrom.step([{"vot": frozenset("abc")}], [], prepares=True)
    LearntFrom.step([{"vot": frozenset("ab")}], [pack], prepares=False).write(tmp_path)
    found = LearntFrom.read(tmp_path)
    assert found == LearntFrom({"vot": frozenset("ab")}, {})
    found.refuse("vot", "cd")
    found.refuse("otb", "a")
    with pytest.raises(ValueError, match="expected sequences that nothing was learnt from, got a, b$"):
        found.refuse("vot", "abc")
