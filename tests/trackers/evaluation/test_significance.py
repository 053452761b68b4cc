import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trackers.evaluation.significance import average_ranks, comparisons, holm, ranking, wilcoxon


def test_holm_by_hand():
    """The least p is multiplied by the number of tests, the next by one less, and none falls below one before it."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])) == [1, 1]


def test_wilcoxon_by_hand():
    """Of 5 differences of one sign the exact p is 2 / 2^5; differences of 0 are dropped, or split between the sides."""
    pytest.importorskip("scipy")
    assert wilcoxon(np.array([1.0, 2, 3, 4, 5])) == 2 / 2**5
    assert wilcoxon(np.zeros(4)) == 1
    some = np.array([0, 0, 0, 1.0, 2, 3, 4, 5])
    assert wilcoxon(some, "wilcox") != wilcoxon(some, "zsplit")


def test_ranks_by_hand():
    """The best has rank 1, equals share; what is better is said; a sequence that one lacks is left out."""
    values = {"a": np.array([0.9, 0.5, np.nan]), "b": np.array([0.9, 0.7, 1]), "c": np.array([0.1, 0.6, 1])}
    assert average_ranks(values) == {"a": 2.25, "b": 1.25, "c": 2.5}
    assert average_ranks(values, "lower") == {"a": 1.75, "b": 2.75, "c": 1.5}


def test_the_critical_difference():
    """It is that of Demsar 2006, Table 5 and section 3.2.2: q .05 = 2.569 of 4 classifiers on 14 data sets, 1.25."""
    pytest.importorskip("scipy")
    rng = np.random.default_rng(0)
    found = ranking({name: rng.random(14) for name in "abcd"})
    assert (
        found.difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=1e-3) == pytest.approx(1.25, abs=0.01)
    )
    assert found.n == 14


def test_groups_of_a_diagram():
    """Trackers closer than the difference share a line; lines within others are left out; those apart share none."""
    pytest.importorskip("scipy")
    ahead = {name: np.full(40, value) for name, value in {"a": 0.9, "b": 0.5, "c": 0.1}.items()}
    apart = ranking(ahead)
    assert list(apart.ranks) == ["a", "b", "c"] and apart.groups == () and apart.p < 1e-9
    mixed = np.where(np.arange(40) % 2, 0.4, 0.6)
    assert ranking({**ahead, "d": mixed}).groups == (("b", "d"),)
    alike = ranking(dict.fromkeys("abc", np.ones(9)))
    assert alike.groups == (("a", "b", "c"),) and alike.p == 1


@given(arrays(float, (12, 4), elements=st.integers(0, 9)))
@settings(max_examples=25, deadline=None)
def test_ranks_and_friedman_are_those_of_scipy(table):
    """Ties included, ranks and p are those of SciPy; the ranks of all trackers add up."""
    stats = pytest.importorskip("scipy.stats")
    values = dict(zip("abcd", table.T, strict=True))
    ranks = stats.rankdata(-table, axis=1).mean(0)
    assert list(average_ranks(values).values()) == pytest.approx(ranks.tolist())
    assert sum(ranks) == pytest.approx(10)
    if np.ptp(table, axis=1).any():
        assert ranking(values).p == pytest.approx(stats.friedmanchisquare(*table.T).pvalue)


def test_comparisons():
    """All pairs, or one against all others; clear differences stay after the correction, and none arises from it."""
    pytest.importorskip("scipy")
    rng = np.random.default_rng(0)
    base = rng.random(40)
    values = {"good": base + 0.2, "same": base + rng.normal(0, 0.01, 40), "base": base}
    found = {(c.a, c.b): c for c in comparisons(values)}
    assert len(found) == 3
    assert found["good", "base"].adjusted < 1e-6 and found["good", "base"].median == pytest.approx(0.2)
    assert found["same", "base"].adjusted > 0.05
    assert all(c.p <= c.adjusted <= 1 for c in found.values())
    assert [(c.a, c.b) for c in comparisons(values, control="base")] == [("base", "good"), ("base", "same")]


def test_what_cannot_be_compared():
    """Values of different sequences, unknown controls and lone trackers are refused."""
    with pytest.raises(ValueError, match=r"expected values \(n,\) of the same sequences of every tracker"):
        comparisons({"a": np.ones(3), "b": np.ones(4)})
    with pytest.raises(ValueError, match="control: expected one of a, b, got c"):
        comparisons({"a": np.ones(3), "b": np.ones(3)}, control="c")
    pytest.importorskip("scipy")
    with pytest.raises(ValueError, match="expected at least 2 trackers and 1 sequence that all have, got 1 and 3"):
        ranking({"a": np.ones(3)})
