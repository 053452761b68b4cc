from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackers.boxes import centre, iou
from trackers.families.rman import sampling

SIZE = (320, 240)
TARGET = np.array([100.0, 80, 40, 20])
ROUND = 1e-9
side = st.one_of(st.floats(2, 12), st.floats(12, 200), st.floats(200, 900))
box = st.tuples(st.floats(-400, 300), st.floats(-400, 220), side, side).map(np.array)  # tiny, huge, partly outside
seeds = st.integers(0, 2**31)


def rng(seed=0):
    return np.random.default_rng(seed)


def ways(target, seed=0):
    """Each way of drawing boxes, with the limits of factors of both sides: draw(n), lowest, highest."""
    near = partial(sampling.gaussian, target, shift=0.6, scale=1.05, size=SIZE, rng=rng(seed))
    far = partial(sampling.uniform, target, shift=1.5, scale=1.6, aspect=1.1, size=SIZE, rng=rng(seed))
    anywhere = partial(sampling.whole, target, scale=1.2, aspect=1.1, size=SIZE, rng=rng(seed))
    return {"gaussian": (near, 1.05), "uniform": (far, 1.6 * 1.1), "whole": (anywhere, 1.2 * 1.1)}


@given(box, seeds, st.sampled_from(["gaussian", "uniform", "whole"]))
@settings(max_examples=60, deadline=None)
def test_boxes_keep_to_their_limits(target, seed, way):
    """Centres are in the image; sides are neither tiny nor the image's, unless the target's are; none is shorter or
    longer than its factor allows but for these limits.
    """
    draw, factor = ways(target, seed)[way]
    drawn = draw(30)
    assert drawn.shape == (30, 4)
    assert (centre(drawn) >= -ROUND).all() and (centre(drawn) <= np.array(SIZE) + ROUND).all()
    least = np.minimum(10, target[2:])
    most = np.maximum(np.maximum(np.array(SIZE) - 10, target[2:]), least)
    sides = drawn[:, 2:]
    assert (sides >= least - ROUND).all() and (sides <= most + ROUND).all()
    assert (sides >= np.minimum(target[2:] / factor, most) - ROUND).all()
    assert (sides <= np.maximum(target[2:] * factor, least) + ROUND).all()


def test_gaussian_shifts_by_hand():
    """Half of the limit is one deviation, of the mean side in both ways; both sides have one factor."""
    drawn = sampling.gaussian(TARGET, 20_000, 0.6, 1.2, SIZE, rng())
    shifts = (centre(drawn) - centre(TARGET)) / 30
    assert np.abs(shifts).max() == pytest.approx(0.6)
    assert np.allclose((np.abs(shifts) < 0.3).mean(0), 0.683, atol=0.01)
    assert np.allclose((np.abs(shifts) > 0.6 - ROUND).mean(0), 0.0455, atol=0.005)
    factors = drawn[:, 2:] / TARGET[2:]
    np.testing.assert_allclose(factors[:, 0], factors[:, 1])
    powers = np.log(factors[:, 0]) / np.log(1.2)
    assert np.abs(powers).max() == pytest.approx(1) and (np.abs(powers) < 0.5).mean() == pytest.approx(0.683, abs=0.01)
    assert np.allclose(np.corrcoef(np.column_stack([shifts, powers]).T), np.eye(3), atol=0.03)


def test_uniform_shifts_and_scales_are_all_as_likely():
    """Quartiles are those of uniform distributions; sides have a factor in common and one each."""
    drawn = sampling.uniform(TARGET, 20_000, 0.5, 1.6, 1.1, SIZE, rng())
    shifts = (centre(drawn) - centre(TARGET)) / 30
    assert np.allclose(np.quantile(shifts, [0, 0.25, 0.5, 0.75, 1], axis=0).T, [-0.5, -0.25, 0, 0.25, 0.5], atol=0.01)
    logarithms = np.log(drawn[:, 2:] / TARGET[2:])
    apart = logarithms[:, 0] - logarithms[:, 1]  # of two uniform ones, in [-log 1.1, log 1.1] each
    assert np.abs(apart).max() <= 2 * np.log(1.1) + ROUND and apart.std() == pytest.approx(
        np.log(1.1) * np.sqrt(2 / 3), rel=0.03
    )
    variance = (np.log(1.6) ** 2 + np.log(1.1) ** 2) / 3
    assert np.allclose(logarithms.var(0), variance, rtol=0.03)


def test_the_whole_image_is_drawn_from():
    """Every quarter of the image has a quarter of the centres."""
    places = centre(sampling.whole(TARGET, 20_000, 1.2, 1.1, SIZE, rng())) / SIZE
    assert np.allclose(np.quantile(places, [0.25, 0.5, 0.75], axis=0).T, [0.25, 0.5, 0.75], atol=0.015)


@given(box, seeds, st.sampled_from([(0.7, 1.0), (0.0, 0.3), (0.2, 0.5)]))
@settings(max_examples=30, deadline=None)
def test_overlaps_are_within_bounds(target, seed, bounds):
    """All that are found overlap as asked for, and they are as many as asked for, or none."""
    draw, _ = ways(target, seed)["uniform"]
    found = sampling.overlapping(draw, target, 20, *bounds)
    assert found.shape in ((20, 4), (0, 4))
    overlaps = iou(found, target)
    assert ((overlaps >= bounds[0]) & (overlaps <= bounds[1])).all()


def test_too_few_are_repeated():
    """One in a round is ten in all, which come again in their order."""
    numbers = iter(range(1000))

    def draw(count):
        return np.array([[0.0, 0, 10, 10 + next(numbers) / 1e3], *[[500.0, 500, 1, 1]] * (count - 1)])

    found = sampling.overlapping(draw, np.array([0.0, 0, 10, 10]), 25, low=0.7)
    np.testing.assert_allclose(found[:, 3], [10 + i % 10 / 1e3 for i in range(25)])


def test_no_more_is_drawn_than_needed():
    """Where a round finds enough there is no other, and the first ones found are taken."""
    rounds = []

    def draw(count):
        rounds.append(count)
        return np.tile([0.0, 0, 10, 10], (count, 1)) + np.arange(count)[:, None] * [0, 0, 1e-3, 0]

    found = sampling.overlapping(draw, np.array([0.0, 0, 10, 10]), 3, low=0.7)
    assert rounds == [6] and np.allclose(found[:, 2], [10, 10.001, 10.002])


def test_nothing_is_found_where_there_is_nothing():
    """A target that fills the image leaves no background: (0, 4), without an end of drawing."""
    target = np.array([-100.0, -100, 520, 440])
    draw, _ = ways(target)["whole"]
    assert sampling.overlapping(draw, target, 8, low=0.9999).shape == (0, 4)
    assert sampling.overlapping(draw, target, 0).shape == (0, 4)


@given(box, seeds)
@settings(max_examples=20, deadline=None)
def test_quarters_are_parts_of_the_target(target, seed):
    """Half as wide and high, inside of it: they overlap it by a quarter, less than negatives may."""
    found = sampling.quarters(target, 10, rng(seed))
    assert (found[:, :2] >= target[:2] - ROUND).all()
    assert (found[:, :2] + found[:, 2:] <= target[:2] + target[2:] + 1e-6).all()
    np.testing.assert_allclose(iou(found, target), 0.25, rtol=1e-6)
