import numpy as np
import pytest

from trackers.evaluation.scores import Score, pooled


def score(numerator, denominator, pool="mean"):
    numerator, denominator = np.array(numerator, float), np.array(denominator, float)
    names = tuple(map(str, range(len(numerator))))
    return Score("m", "trackmeet", "one_pass", "all", None, names, numerator, denominator, pool)


def test_a_mean_over_sequences():
    """With denominators of 1 a score is the mean of the sequences that contribute."""
    found = score([[0.2], [0], [0.6]], [[1], [0], [1]])
    assert found.value == pytest.approx(0.4)
    np.testing.assert_array_equal(found.values, [0.2, np.nan, 0.6])


def test_a_mean_over_frames():
    """With numbers of frames as denominators long sequences weigh more."""
    found = score([[1], [9]], [[10], [10 * 3]])
    assert found.value == 0.25
    np.testing.assert_allclose(found.values, [0.1, 0.3])


def test_a_mean_of_ratios():
    """Of many ratios of sums those count that have a denominator."""
    found = score([[1, 2, 0], [1, 0, 0]], [[2, 2, 0], [2, 2, 0]])
    assert found.value == 0.5
    np.testing.assert_allclose(found.values, [0.75, 0.25])


def test_a_total():
    """A total adds up; nothing at all has no mean."""
    assert score([[2], [3]], [[1], [1]], "sum").value == 5
    assert np.isnan(pooled(np.zeros(4), np.zeros(4), "mean"))


def test_an_accuracy_of_no_frames():
    """Where no frame counts for accuracy, it is 0 if something failed and unknown if not; sums know what parts do not.

    Of three sequences, 10 frames each: no frame counts and nothing fails; none counts, 1 failure; 5 count, at 0.8.
    """
    overlaps, counted, frames = [0, 0, 4], [0, 0, 5], [10, 10, 10]
    found = score(np.stack([overlaps, [0, 1, 0]], 1), np.stack([counted, frames], 1), "overall_error")
    np.testing.assert_allclose(found.values, [np.nan, 1 - np.exp(-3) / 2, 0.1])
    assert found.value == pytest.approx(1 - (0.8 + np.exp(-1)) / 2)
