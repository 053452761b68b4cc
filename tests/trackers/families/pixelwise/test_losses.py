import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from trackers.families.pixelwise.losses import attention_cost, segmentation_cost, total_variation

AWAY, EVERYWHERE = [1.0, 9.0, 9.0], [100.0, 0.0, 0.0]  # transforms that cover nothing, and all of the map
ASPECT = torch.ones(1)


def test_total_variation_by_hand():
    """V of Eq. 2 on 3 x 3: what neighbours below differ by, and neighbours to the right."""
    # rows down: |1-0|+|0-2|+|0-1| = 4 and |4-1|+|0-0|+|1-0| = 4; to the right: 2+1, 1+0, 4+1
    assert total_variation(torch.tensor([[0.0, 2, 1], [1, 0, 0], [4, 0, 1]])) == 4 + 4 + 3 + 1 + 5


def test_total_variation_is_numpys():
    """Of any maps it is the sum of numpy's absolute differences, each map by itself."""
    maps = np.random.default_rng(0).random((2, 3, 7, 5))
    expected = np.abs(np.diff(maps, axis=-1)).sum((-2, -1)) + np.abs(np.diff(maps, axis=-2)).sum((-2, -1))
    np.testing.assert_allclose(total_variation(torch.from_numpy(maps)).numpy(), expected)


@pytest.mark.parametrize(("over", "each"), [("sum", 1.0), ("mean", 1 / 8)])
def test_cross_entropy_by_hand(over, each):
    """It is the sum, or mean, over the 2 x 2 x 2 pixels of a clip, and the mean over clips; p of 3/4 and of 1/2."""
    logits = torch.zeros(2, 2, 2, 2)
    logits[0, 0, 0, 0] = logits[1, 1, 1, 1] = math.log(3)  # p = 3/4, the first of the target, the second not
    masks = torch.zeros(2, 2, 2, 2)
    masks[0, 0, 0, 0] = masks[1, 0, 1, 0] = 1
    first = 7 * math.log(2) - math.log(3 / 4)
    second = 7 * math.log(2) - math.log(1 / 4)
    costs = segmentation_cost(logits, masks, over)
    assert costs["cross entropy"].item() == pytest.approx((first + second) / 2 * each)
    # One pixel of each clip, in one of two frames, differs by 1/4 from its two neighbours.
    assert costs["variation"].item() == pytest.approx(2 / 4 / 2)
    assert costs["loss"].item() == pytest.approx((first + second) / 2 * each + 1e-4 / 4)


def test_logits_of_less_precision_are_summed_as_float32():
    """In bfloat16, as mixed precision has them, they cost what the same numbers in float32 cost."""
    torch.manual_seed(0)
    logits, masks = torch.randn(3, 2, 32, 32).bfloat16(), (torch.rand(3, 2, 32, 32) > 0.5).float()
    half, full = segmentation_cost(logits, masks), segmentation_cost(logits.float(), masks)
    assert all(half[name].dtype == torch.float32 and torch.equal(half[name], full[name]) for name in full)


def checkers(size, strength=1.0):
    """Logits of a clip (T, 1, size, size) of which all neighbours differ."""
    places = torch.arange(size)
    sign = 1 - 2.0 * ((places[:, None] + places) % 2)
    return (strength * sign).expand(2, 1, size, size).clone().requires_grad_()


def slopes(logits, masks):
    """The gradients of the loss, and of the cross entropy alone."""
    [whole] = torch.autograd.grad(segmentation_cost(logits, masks)["loss"], logits)
    [entropy] = torch.autograd.grad(F.binary_cross_entropy_with_logits(logits, masks, reduction="sum"), logits)
    return whole, entropy


def test_variation_above_its_limit_does_not_count():
    """From V = 1000 (beta) on it adds 1000 lambda and no gradient."""
    logits, masks = checkers(48), torch.zeros(2, 1, 48, 48)
    costs = segmentation_cost(logits, masks)
    assert costs["variation"] > 1000
    assert (costs["loss"] - costs["cross entropy"]).item() == pytest.approx(0.1, abs=1e-3)
    whole, entropy = slopes(logits, masks)
    torch.testing.assert_close(whole, entropy, rtol=0, atol=0)


def test_variation_below_its_limit_counts_by_lambda():
    """Below 1000 its gradient is 1e-4 times that of the mean V of the clip's frames."""
    logits, masks = checkers(8), torch.zeros(2, 1, 8, 8)
    assert segmentation_cost(logits, masks)["variation"] < 1000
    whole, entropy = slopes(logits, masks)
    [variation] = torch.autograd.grad(total_variation(logits.sigmoid()).mean(), logits)
    torch.testing.assert_close(whole - entropy, 1e-4 * variation, rtol=1e-2, atol=1e-7)
    assert variation.abs().min() > 0


def test_the_limit_is_each_clips_own():
    """A clip above it leaves another one below it its gradient."""
    restless, quiet = checkers(48), checkers(48, 0.01)
    both = torch.cat([restless, quiet], 1)
    masks = torch.zeros(2, 2, 48, 48)
    [whole] = torch.autograd.grad(segmentation_cost(both, masks)["loss"], both)
    [entropy] = torch.autograd.grad(segmentation_cost(both, masks)["cross entropy"], both_again := both)
    assert both_again is both
    assert not (whole - entropy)[:, 0].any()
    assert (whole - entropy)[:, 1].any()


def cost(thetas, maps, weight=3.0, smoothness=0.0, burn_in=2):
    """Eq. 4 of one clip: transforms (T, 3) and maps (T, S, S)."""
    theta, seen = torch.tensor(thetas)[:, None], torch.tensor(maps).bool()[:, None]
    costs = attention_cost(theta, seen, ASPECT, 8, weight, smoothness, burn_in)
    return {name: value.item() for name, value in costs.items()}


ONE = [[1, 0], [0, 0]]  # a map of 2 x 2, one pixel of which is the target's
NONE = [[0, 0], [0, 0]]


def test_the_weighted_distance_by_hand():
    """A pixel of the target that is not covered costs its weight, one beside it that is covered costs 1."""
    assert cost([AWAY, AWAY], [ONE, ONE])["overlap"] == pytest.approx(3 / 4)
    assert cost([EVERYWHERE, EVERYWHERE], [ONE, ONE])["overlap"] == pytest.approx(3 * 1 / 4)
    assert cost([EVERYWHERE, EVERYWHERE], [ONE, ONE], weight=50.0)["overlap"] == pytest.approx(3 / 4)
    assert cost([AWAY, AWAY], [ONE, ONE], weight=1.0)["overlap"] == pytest.approx(1 / 4)


def test_the_loss_begins_with_frame_i():
    """Of frames 1 to 4, those from burn_in on count, and are summed up."""
    maps, thetas = [ONE] * 4, [AWAY] * 4
    for burn_in, counted in ((2, 3), (3, 2), (4, 1)):
        assert cost(thetas, maps, burn_in=burn_in)["overlap"] == pytest.approx(counted * 3 / 4)
    covered = cost([AWAY, AWAY, AWAY, EVERYWHERE], maps, weight=11.0, burn_in=3)
    assert covered["overlap"] == pytest.approx(11 / 4 + 3 / 4)


def test_frames_without_a_target_do_not_count():
    """Wherever the anchor is then, it costs nothing."""
    assert cost([AWAY, EVERYWHERE, AWAY], [ONE, NONE, ONE])["overlap"] == pytest.approx(3 / 4)


def test_restlessness_by_hand():
    """Lambda times the lengths of the steps to frame i and later ones: 5 and 13, before them 1 that is not counted."""
    thetas = [[1.0, 20, 20], [1.0, 20, 21], [1.0, 23, 25], [1.0, 28, 37]]
    found = cost(thetas, [ONE] * 4, smoothness=0.5, burn_in=3)
    assert found["moved"] == pytest.approx(18)
    assert found["loss"] == pytest.approx(2 * 3 / 4 + 0.5 * 18)


def test_clips_are_averaged():
    """Of two clips the costs are the mean of what each costs by itself."""
    theta = torch.tensor([[AWAY, EVERYWHERE]] * 2)
    maps = torch.tensor([[ONE, NONE], [ONE, ONE]]).bool()
    found = attention_cost(theta, maps, torch.tensor([1.0, 2.0]), 8, 9.0, 0.0, 2)
    assert found["overlap"].item() == pytest.approx((9 / 4 + 3 / 4) / 2)


def test_standing_still_has_a_slope():
    """Where nothing moves, as at the beginning of a training, the gradient is a number."""
    theta = torch.tensor([[[1.0, 0, 0]]] * 3, requires_grad=True)
    maps = torch.ones(3, 1, 4, 4, dtype=torch.bool)
    attention_cost(theta, maps, ASPECT, 8, 2.0, 1.0, 2)["loss"].backward()
    assert theta.grad.isfinite().all()
