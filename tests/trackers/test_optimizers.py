import pytest
import torch

from trackers.optimizers import RMSProp


def parameter(*values):
    return torch.nn.Parameter(torch.tensor(values, dtype=torch.float64))


def test_two_steps_worked_by_hand():
    """Two steps follow Graves 2013, Eqs. 38-45, to the last digit."""
    w = parameter(1.0)
    optimizer = RMSProp([w], lr=0.01)
    w.grad = torch.tensor([2.0], dtype=torch.float64)
    optimizer.step()
    # n = .05 * 4 = .2, m = .1, root = sqrt(.2 - .01 + .0001), delta = -.02 / root
    first = -0.02 / 0.1901**0.5
    assert w.item() == pytest.approx(1 + first, abs=1e-15)
    w.grad = torch.tensor([-1.0], dtype=torch.float64)
    optimizer.step()
    # n = .95 * .2 + .05 = .24, m = .095 - .05 = .045
    second = 0.9 * first + 0.01 / (0.24 - 0.045**2 + 0.0001) ** 0.5
    assert w.item() == pytest.approx(1 + first + second, abs=1e-15)


def test_constant_large_gradient_stays_finite():
    """Where n - m^2 is nothing but rounding, a step is still a number."""
    w = torch.nn.Parameter(torch.linspace(0, 1, 1000))
    optimizer = RMSProp([w])
    for _ in range(500):
        w.grad = torch.linspace(1e3, 1e4, 1000)
        optimizer.step()
    assert w.isfinite().all()


def test_learning_rate_may_be_a_tensor():
    """A learning rate in a tensor, changed in place, acts as a number does."""
    a, b = parameter(1.0, 2.0), parameter(1.0, 2.0)
    rate = torch.tensor(0.5, dtype=torch.float64)
    plain, tensor = RMSProp([a], lr=0.5), RMSProp([b], lr=rate)
    for lr in (0.5, 0.25):
        plain.param_groups[0]["lr"] = lr
        rate.fill_(lr)
        for w, optimizer in ((a, plain), (b, tensor)):
            w.grad = torch.tensor([0.3, -0.2], dtype=torch.float64)
            optimizer.step()
    assert torch.equal(a, b)


def test_parameters_without_gradient_stay():
    """A parameter that no gradient reached is left alone."""
    a, b = parameter(1.0), parameter(1.0)
    optimizer = RMSProp([a, b])
    a.grad = torch.ones(1, dtype=torch.float64)
    optimizer.step()
    assert a.item() < 1
    assert b.item() == 1


@pytest.mark.parametrize("wrong", [{"decay": 1.0}, {"momentum": -0.1}, {"epsilon": 0.0}])
def test_settings_out_of_range_are_refused(wrong):
    """A setting outside its range is refused by name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RMSProp([parameter(1.0)], **wrong)
