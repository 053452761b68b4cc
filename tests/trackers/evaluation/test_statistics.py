from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trackers.evaluation.scores import Score
from trackers.evaluation.statistics import (
    Estimate,
    band,
    bootstrap_interval,
    difference,
    interval,
    paired,
    paired_difference,
    paired_mean,
    std,
)

few = {"resamples": 300}
samples = arrays(float, st.integers(1, 30), elements=st.floats(0, 1))


def test_the_interval_of_two_values_by_hand():
    """Resampling {0, 1} gives means 0, 1/2, 1 with probability 1/4, 1/2, 1/4: the middle 95% is [0, 1]."""
    assert bootstrap_interval(np.array([0.0, 1.0])) == (0, 1)


def test_the_interval_of_many_values_is_the_normal_one():
    """For 400 values the bootstrap comes to mean ± 1.96 standard errors."""
    values = np.random.default_rng(1).normal(0.5, 0.2, 400)
    error = 1.96 * values.std() / np.sqrt(400)
    assert bootstrap_interval(values) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.05 * error)


def test_95_of_100_intervals_hold_the_truth():
    """Of samples of 200 from a normal population, about 95% of the intervals contain its mean, as of differences."""
    rng = np.random.default_rng(0)
    held = {"mean": 0, "pairs": 0, "std": 0}
    for _ in range(300):
        a, b = rng.normal(0.6, 0.2, 200), rng.normal(0.5, 0.1, 200)
        low, high = bootstrap_interval(a, **few)
        pairs, std = paired_difference(a, b, **few), paired_difference(a, b, "std", **few)
        held["mean"] += low <= 0.6 <= high
        held["pairs"] += pairs.low <= 0.1 <= pairs.high
        held["std"] += std.low <= 0.1 <= std.high
    assert all(300 * 0.9 <= n <= 300 * 0.985 for n in held.values()), held


@given(samples)
def test_the_interval_lies_among_the_values(values):
    """No resampled mean is beyond the least or the greatest value; the same seed gives the same interval."""
    low, high = bootstrap_interval(values, **few)
    assert values.min() - 1e-9 <= low <= high <= values.max() + 1e-9
    assert (low, high) == bootstrap_interval(values, **few)


@given(samples, st.sampled_from(["mean", "std"]))
def test_nothing_differs_from_itself(values, statistic):
    """Of identical inputs the difference is 0 and its interval [0, 0], exactly."""
    assert paired_difference(values, values.copy(), statistic, **few) == Estimate(0, 0, 0, len(values))


@given(samples, st.floats(-1, 1))
def test_a_constant_difference_is_certain(values, shift):
    """Pairing removes what both sides share: a constant shift has an interval of no width, and no spread."""
    assert vars(paired_difference(values + shift, values, **few)) == pytest.approx(
        {"effect": shift, "low": shift, "high": shift, "n": len(values)}, abs=1e-9
    )
    assert paired_difference(values + shift, values, "std", **few).high == pytest.approx(0, abs=1e-6)


@given(samples, st.sampled_from(["mean", "std"]))
def test_a_difference_has_a_sign(values, statistic):
    """b minus a is a minus b, turned around."""
    other = np.sqrt(values)
    there, back = paired_difference(values, other, statistic, **few), paired_difference(other, values, statistic, **few)
    assert (back.effect, back.low, back.high) == pytest.approx((-there.effect, -there.high, -there.low), abs=1e-9)


def test_effects_by_hand():
    """{1, 3} minus {0, 0}: means differ by 2, standard deviations (over n) by 1."""
    a, b = np.array([1.0, 3]), np.zeros(2)
    assert paired_difference(a, b) == Estimate(2, 1, 3, 2)
    assert paired_difference(a, b, "std") == Estimate(1, 0, 1, 2)


def test_runs_are_not_sequences():
    """A sequence is resampled with all its runs: twice the runs with the same values is no more evidence."""
    values = np.random.default_rng(0).uniform(size=20)
    assert bootstrap_interval(np.stack([values] * 3, 1)) == pytest.approx(bootstrap_interval(values))
    runs = np.array([[0.0, 1.0], [1.0, 0.0]])  # each sequence has the mean 1/2, each run a spread of 1/2
    assert bootstrap_interval(runs) == (0.5, 0.5)
    assert paired_difference(runs, np.zeros(2), "std").effect == 0.5


def test_cells_on_the_same_sequences_are_resampled_together():
    """Cells of one set that cancel in every sequence leave no doubt; on sets of their own they leave much."""
    a, zero = np.random.default_rng(0).normal(size=40), np.zeros(40)
    together = difference([[(a, zero), (-a, zero)]], "mean", **few)
    assert vars(together) == pytest.approx({"effect": 0, "low": 0, "high": 0, "n": 40}, abs=1e-9)
    apart = difference([[(a, zero)], [(-a, zero)]], "mean", **few)
    assert apart.n == 80
    assert apart.low < -0.05 < 0.05 < apart.high


def test_resamples_without_a_score_are_left_out():
    """Of two sequences, one of them unknown, resamples of that one alone are left out: what the others say is sure."""
    unknown = Score(
        "overall_error", "vot-legacy", "supervised_reset", "empty", None, ("a", "b"),
        np.array([[4.0, 0], [0, 0]]), np.array([[5.0, 10], [0, 10]]), "overall_error",
    )  # fmt: skip
    assert interval(unknown, **few) == pytest.approx((0.1, 0.1))
    assert std(unknown) == 0
    worse = replace(unknown, numerator=np.array([[2.0, 0], [0, 0]]))
    assert vars(paired(worse, unknown, **few)) == pytest.approx({"effect": 0.2, "low": 0.2, "high": 0.2, "n": 2})
    nothing = replace(unknown, numerator=np.zeros((2, 2)), denominator=np.array([[0.0, 10], [0, 10]]))
    assert np.isnan([nothing.value, *interval(nothing, **few), std(nothing), paired(nothing, unknown).low]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval(np.array([])), r"at least one, got shape \(0,\)"),
        (lambda: bootstrap_interval(np.zeros((2, 2, 2))), r"got shape \(2, 2, 2\)"),
        (lambda: bootstrap_interval(np.array([1, np.nan])), r"expected finite values, got \[nan\] of sequence 1"),
        (lambda: paired_difference(np.zeros(3), np.zeros(4)), r"same sequences in every pair of a set, got \[3, 4\]"),
        (lambda: difference([], "mean"), "at least one pair"),
        (lambda: difference([[]], "std"), "at least one pair"),
    ],
)
def test_what_cannot_be_paired_is_refused(call, message):
    """Missing, unfinished and unmatched values are errors that say so."""
    with pytest.raises(ValueError, match=message):
        call()


def score(numerator, denominator, names=None, pool="mean", measure="average_overlap"):
    numerator, denominator = np.array(numerator, float), np.array(denominator, float)
    names = tuple(names or map(str, range(len(numerator))))
    return Score(measure, "trackmeet", "one_pass", "all", None, names, numerator, denominator, pool)


def mean_score(values, names=None):
    """A plain mean over sequences, of those that are not NaN."""
    known = ~np.isnan(values)
    return score(np.where(known, values, 0)[:, None], known[:, None], names)


@given(samples, samples)
def test_a_plain_mean_is_judged_as_its_values(a, b):
    """The interval, the paired difference and the spread of a mean over sequences are those of its values, exactly."""
    names = [f"{i:02}" for i in range(30)]
    assert interval(mean_score(a), **few) == bootstrap_interval(a, **few)
    assert std(mean_score(a)) == a.std()
    n = min(len(a), len(b))
    reversed_b = mean_score(b[::-1], names[: len(b)][::-1])
    assert paired(mean_score(a, names[: len(a)]), reversed_b, **few) == paired_difference(a[:n], b[:n], **few)


def test_what_contributes_nothing_is_left_out():
    """A sequence without a value is no part of an interval, a difference or a spread; of nothing all are NaN."""
    values = np.array([0.2, np.nan, 0.6, 0.4])
    assert interval(mean_score(values), **few) == bootstrap_interval(values[[0, 2, 3]], **few)
    assert std(mean_score(values)) == values[[0, 2, 3]].std()
    assert paired(mean_score(values), mean_score(np.array([0.1, 0.5, np.nan, 0.5])), **few).n == 2
    nothing = mean_score(np.array([np.nan]))
    assert np.isnan([*interval(nothing), std(nothing), paired(nothing, nothing).effect]).all()
    total = score([[0], [3]], [[1], [1]], pool="sum")  # no failure is a contribution, too
    assert interval(total) == (0, 6)


@given(arrays(float, (12, 3), elements=st.floats(0, 1)), arrays(float, (12, 3), elements=st.integers(1, 9)))
def test_ratios_of_sums_are_resampled_as_such(numerator, denominator):
    """Each resample's value is that of a score of the sequences drawn: here of each alone, all of them the same."""
    whole = score(numerator, denominator)
    low, high = interval(whole, **few)
    ratios = numerator / denominator
    assert ratios.min() - 1e-9 <= low <= high <= ratios.max() + 1e-9
    same = score(np.tile(numerator[:1], (5, 1)), np.tile(denominator[:1], (5, 1)))
    assert interval(same, **few) == pytest.approx((same.value, same.value))
    assert paired(whole, whole, **few) == Estimate(0, 0, 0, 12)


def test_scores_of_two_kinds_are_not_compared():
    """A difference between measures means nothing: both kinds are named."""
    a, b = mean_score(np.ones(3)), score(np.ones((3, 1)), np.ones((3, 1)), measure="cle")
    with pytest.raises(ValueError, match=r"expected two scores of one kind, got \('average_overlap'.*'cle'"):
        paired(a, b)


def test_the_band_of_a_curve_holds_the_interval_of_each_point():
    """Each column of a score has the interval that it would have alone; one that never counts has none."""
    rng = np.random.default_rng(2)
    numerator, denominator = rng.random((9, 4)), np.ones((9, 4))
    numerator[:, 3] = denominator[:, 3] = 0
    names = tuple("abcdefghi")
    low, high = band(Score("success", "otb", "one_pass", "all", None, names, numerator, denominator), **few)
    for k in range(3):
        alone = Score("x", "otb", "one_pass", "all", None, names, numerator[:, k, None], denominator[:, k, None])
        assert (low[k], high[k]) == pytest.approx(interval(alone, **few))
    assert np.isnan([low[3], high[3]]).all()


def test_the_mean_of_paired_differences_resamples_a_set_at_once():
    """Of two pairs on the same sequences whose differences cancel sequence by sequence, nothing is left to vary."""
    names = tuple("abcdef")
    hard = np.arange(6.0)[:, None]

    def score(values):
        return Score("m", "trackmeet", "one_pass", "all", None, names, values, np.ones((6, 1)))

    pairs = [(score(hard + 1), score(0 * hard)), (score(-hard + 2), score(0 * hard))]
    found = paired_mean([pairs], **few)
    assert (found.effect, found.n) == (1.5, 6)
    assert (found.low, found.high) == pytest.approx((1.5, 1.5))
    assert paired_mean([pairs[:1]], **few) == paired(*pairs[0], **few)
    twice = paired_mean([pairs[:1], pairs[1:]], **few)
    assert twice.n == 12
    assert twice.high > twice.low + 0.1
