import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from trackers.families.rman.regression import Regressor, corrected, corrections, scaled

sides = st.floats(2, 300)
box = st.tuples(st.floats(-50, 300), st.floats(-50, 300), sides, sides).map(np.array)
TARGET = np.array([40.0, 30, 20, 10])


def around(count, seed=0):
    """Boxes near the target, float64 (count, 4)."""
    rng = np.random.default_rng(seed)
    return TARGET + rng.uniform(-3, 3, (count, 4))


def test_corrections_by_hand():
    """Offsets of centres are in sides of the box drawn; scales are logarithms."""
    found = corrections(np.array([[0.0, 0, 10, 20]]), np.array([5.0, 0, 20, 20]))  # from (5, 10) to (15, 10)
    np.testing.assert_allclose(found, [[1, 0, math.log(2), 0]])


@given(box, box)
def test_corrections_are_undone(drawn, target):
    """A box with its corrections is the target, where no side is more than e times as long or short."""
    target[2:] = np.clip(target[2:], drawn[2:] / 2.7, drawn[2:] * 2.7)
    found = corrected(drawn[None], corrections(drawn[None], target))
    np.testing.assert_allclose(found, target[None], rtol=1e-9, atol=1e-9)


def test_scales_are_limited():
    """However much is asked for, sides grow or shrink by e at most; the centre stays."""
    found = corrected(np.array([[0.0, 0, 10, 10]]), np.array([[0, 0, 5.0, -5]]))
    np.testing.assert_allclose(found[0, 2:], [10 * math.e, 10 / math.e])
    np.testing.assert_allclose(found[0, :2] + found[0, 2:] / 2, [5, 5])


def of_one_norm(drawn):
    """Features (n, 31) of boxes (n, 4), of the norm 20, in 30 of which corrections are linear."""
    mixed = torch.randn(4, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    linear = torch.from_numpy(corrections(drawn, TARGET)) @ mixed + 0.7
    return torch.cat([linear, (400 - linear.square().sum(1, keepdim=True)).sqrt()], 1)


def test_features_are_scaled_by_hand():
    """Each box's have the norm 20, in the proportions that they had; of nothing nothing is made."""
    found = scaled(torch.tensor([[3.0, 4], [-0.3, 0], [0, 0]]))
    torch.testing.assert_close(found, torch.tensor([[12.0, 16], [-20, 0], [0, 0]]))


def test_what_features_say_is_found():
    """Where corrections are linear in features of one norm, boxes not seen before become the target."""
    drawn, others = around(20), around(6, seed=1)
    regressor = Regressor.fit(of_one_norm(drawn), drawn, TARGET, 1e-9)
    np.testing.assert_allclose(regressor(of_one_norm(others), others), np.tile(TARGET, (6, 1)), atol=1e-5)


@pytest.mark.parametrize("brighter", [0.5, 3.0])
def test_a_brighter_frame_is_no_other_box(brighter):
    """Where all features are so many times as large, in the first frame or later, boxes are the same."""
    drawn, others = around(6), around(3, seed=1)
    features, seen = of_one_norm(drawn) + 0.3, of_one_norm(others) + 0.3
    expected = Regressor.fit(features, drawn, TARGET, 10.0)(seen, others)
    for first, later in ((1.0, brighter), (brighter, 1.0)):
        found = Regressor.fit(first * features, drawn, TARGET, 10.0)(later * seen, others)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("ridge", [0.1, 10.0])
def test_weights_are_the_ridge_regressions(ridge):
    """They are (X^T X + lambda)^-1 X^T Y of centred X and Y, solved for as many unknowns as there are features.

    The norm of each box's features is 20 before they are centred.
    """
    drawn = around(6)
    features = torch.randn(6, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x, y = 20 * F.normalize(features), torch.from_numpy(corrections(drawn, TARGET))
    x = x - x.mean(0)
    primal = torch.linalg.inv(x.T @ x + ridge * torch.eye(9, dtype=torch.float64)) @ x.T @ (y - y.mean(0))
    torch.testing.assert_close(Regressor.fit(features, drawn, TARGET, ridge).weights, primal)


def test_a_great_ridge_leaves_the_mean():
    """Where nothing may be learnt from features, all boxes have the mean correction of those drawn."""
    drawn = around(8)
    features = torch.randn(8, 5, generator=torch.Generator().manual_seed(2))
    found = Regressor.fit(features, drawn, TARGET, 1e12)(features, drawn)
    mean = corrections(drawn, TARGET).mean(0)
    np.testing.assert_allclose(found, corrected(drawn, np.tile(mean, (8, 1))), rtol=1e-5)
