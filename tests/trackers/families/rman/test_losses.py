import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trackers.families.rman import losses

seeds, scales = st.integers(0, 2**31), st.sampled_from([0.0, 1e-3, 1.0, 30.0])


def drawn(seed, *shape, scale=1.0):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def apart(a, b):
    """||a - b||^2, number by number."""
    return sum((x - y) ** 2 for x, y in zip(a.tolist(), b.tolist(), strict=True))


def test_classification_by_hand():
    """Eq. 3 for p = 3/4 and 1/2 of positives, 1/4 and 0.9 of negatives: each lane has its own mean."""
    scores = torch.tensor([[[0, math.log(3)], [0, 0], [math.log(3), 0], [0, math.log(9)]], [[0.0, 0]] * 4])
    positive = torch.tensor([[True, True, False, False]] * 2)
    first = -(math.log(3 / 4) + math.log(1 / 2) + math.log(3 / 4) + math.log(0.1)) / 4
    torch.testing.assert_close(losses.classification(scores, positive), torch.tensor([first, math.log(2)]))


def test_coherence_by_hand():
    """Eq. 5: a pair with its negative far enough away costs nothing, another one what it lacks to the margin."""
    zero = torch.zeros(1, 2, 2)
    positives, negatives = torch.tensor([[[1.0, 0], [1, 2]]]), torch.tensor([[[0, 3.0], [2, 0]]])
    # [1 - 9 + 1]+ = 0 and [5 - 4 + 1]+ = 2; with a margin of 10, 2 and 11
    assert losses.coherence(positives, zero, negatives, zero, 1.0).tolist() == [1.0]
    assert losses.coherence(positives, zero, negatives, zero, 10.0).tolist() == [6.5]
    # What counts is how far each is from its own reference, not from 0.
    assert losses.coherence(positives + 3, zero + 3, negatives - 1, zero - 1, 1.0).tolist() == [1.0]


def test_a_margin_that_is_kept_teaches_nothing():
    """Where negatives are farther than positives by more than the margin there is no slope; elsewhere there is."""
    zero, positives = torch.zeros(1, 2, 1), torch.tensor([[[1.0], [1]]], requires_grad=True)
    losses.coherence(positives, zero, torch.tensor([[[2.0], [1]]]), zero, 1.0).sum().backward()
    assert positives.grad.flatten().tolist() == [0, 1]  # (2 h) / N


def test_compactness_by_hand():
    """Eq. 6: positives (0, 0) and (2, 0) are 1 from their centre, negatives 4 and 1 from it: (1/4 + 1/1) / 2."""
    positives, negatives = torch.tensor([[[0.0, 0], [2, 0]]]), torch.tensor([[[1.0, 2], [0, 0]]])
    assert losses.compactness(positives, negatives).tolist() == [0.625]


def test_a_negative_in_the_centre_is_finite():
    """It counts as 1e-4 away: the loss is large, and slopes are numbers."""
    positives = torch.tensor([[[0.0, 0], [2, 0]]], requires_grad=True)
    negatives = torch.tensor([[[1.0, 0], [1, 1]]], requires_grad=True)
    loss = losses.compactness(positives, negatives)
    loss.sum().backward()
    assert loss.item() == pytest.approx((1e8 + 1) / 2)
    assert positives.grad.isfinite().all() and negatives.grad.isfinite().all()


def test_the_whole_is_a_weighted_sum():
    """Eq. 7, lane by lane."""
    parts = torch.tensor([1.0, 2]), torch.tensor([10.0, 20]), torch.tensor([100.0, 200])
    assert losses.total(*parts, (2.0, 0.5)).tolist() == [1 + 20 + 50, 2 + 40 + 100]
    assert losses.total(*parts, (0.0, 0.0)).tolist() == [1, 2]


@given(seeds, st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_losses_are_the_papers_sums(seed, pairs, lanes):
    """Eqs. 3, 5 and 6 written as loops over pairs give the same, whatever the numbers."""
    h, a, h_n, a_n = drawn(seed, 4, lanes, pairs, 3).double()
    scores = drawn(seed + 1, lanes, 2 * pairs, 2).double()
    positive = (torch.arange(2 * pairs) < pairs).expand(lanes, -1)
    for lane in range(lanes):
        entropy = coherence = compactness = 0.0
        centre = sum(h[lane]) / pairs
        for m in range(2 * pairs):
            background, target = scores[lane, m].exp().tolist()
            entropy -= math.log((target if m < pairs else background) / (target + background)) / (2 * pairs)
        for m in range(pairs):
            gap = apart(h[lane, m], a[lane, m]) - apart(h_n[lane, m], a_n[lane, m]) + 0.7
            coherence += max(gap, 0) / pairs
            compactness += apart(h[lane, m], centre) / apart(h_n[lane, m], centre) / pairs
        assert losses.classification(scores, positive)[lane].item() == pytest.approx(entropy)
        assert losses.coherence(h, a, h_n, a_n, 0.7)[lane].item() == pytest.approx(coherence)
        assert losses.compactness(h, h_n)[lane].item() == pytest.approx(compactness)


@given(seeds, scales, scales, st.floats(0, 3))
@settings(max_examples=20, deadline=None)
def test_losses_are_never_negative(seed, near, far, margin):
    """Nor are they anything but numbers, be states all the same or far apart."""
    h, a = drawn(seed, 2, 2, 3, 4, scale=near)
    h_n, a_n = drawn(seed + 1, 2, 2, 3, 4, scale=far)
    positive = torch.tensor([[True, False] * 3] * 2)
    found = torch.stack(
        [
            losses.coherence(h, a, h_n, a_n, margin),
            losses.compactness(h, h_n),
            losses.classification(drawn(seed, 2, 6, 2, scale=near), positive),
        ]
    )
    assert (found >= 0).all() and found.isfinite().all()
