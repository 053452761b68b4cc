import pytest
import torch
from torch import nn

from trackers.families.pixelwise.attention import Model, Widths

SMALL = Widths((2, 3), 2, 4)


def model(seed=0):
    """One whose answers are not those that it begins with."""
    torch.manual_seed(seed)
    made = Model(16, SMALL)
    nn.init.normal_(made.full2.weight)
    return made


def seen(frames=4, videos=3):
    torch.manual_seed(1)
    return (torch.rand(frames, videos, 16, 16) > 0.5).float(), torch.tensor([1.3, 0.7, 1.0])[:videos]


def test_defaults_have_the_papers_sizes():
    """Filters and units of all layers are Table 1's; the last sees 1024 features and the frame's aspect ratio."""
    with torch.device("meta"):
        made = Model(224, Widths())
    shapes = [tuple(layer.weight.shape) for layer in made.convolutions if isinstance(layer, nn.Conv2d)]
    pairs = [((out, inputs, 3, 3), (out, out, 3, 3)) for inputs, out in ((1, 8), (8, 16), (16, 32), (32, 64))]
    assert shapes == [shape for pair in pairs for shape in pair]
    assert sum(isinstance(layer, nn.MaxPool2d) for layer in made.convolutions) == 4
    assert [layer.of_hidden.weight.shape for layer in made.memory.layers] == [(4 * 64, 64, 3, 3)] * 2
    assert made.full1.weight.shape == (1024, 64 * 14 * 14)
    assert made.full2.weight.shape == (3, 1025)


def test_training_begins_with_the_anchor_in_its_place():
    """Untrained, the model answers s = 1 and no shift, whatever it is shown."""
    made = Model(16, SMALL)
    theta, _ = made(*seen(), made.zeros(3))
    assert torch.equal(theta, torch.tensor([1.0, 0.0, 0.0]).expand(4, 3, 3))


def test_the_scale_is_positive():
    """However wild its outputs are, s > 0, and finite."""
    made = model()
    with torch.no_grad():
        made.full2.weight[0] *= 1e6
    theta, _ = made(*seen(), made.zeros(3))
    assert (theta[..., 0] > 0).all() and theta.isfinite().all()


def test_theta_is_not_rounded_in_mixed_precision():
    """The last layer is float32: bfloat16 has fewer steps between -1 and 1 than a frame has pixels."""
    made, (maps, aspect) = model(), seen()
    with torch.autocast("cpu", torch.bfloat16):
        theta, _ = made(maps, aspect, made.zeros(3))
    assert theta.dtype == torch.float32
    assert not torch.equal(theta, theta.bfloat16().float())


def test_a_state_carried_over_is_one_go():
    """Maps one by one, the states carried over, give what all of them in one call do."""
    made, (maps, aspect) = model(), seen()
    whole, last = made(maps, aspect, made.zeros(3))
    states = made.zeros(3)
    for t in range(4):
        [now], states = made(maps[t : t + 1], aspect, states)
        torch.testing.assert_close(now, whole[t])
    torch.testing.assert_close(states, last)


def test_no_answer_knows_of_later_maps():
    """A changed map changes its own answer and those after it, in its own video."""
    made, (maps, aspect) = model(), seen()
    other = maps.clone()
    other[2, 1] = 1 - other[2, 1]
    one, two = (made(some, aspect, made.zeros(3))[0] for some in (maps, other))
    changed = (one - two).abs().amax(2) > 1e-6
    assert changed.nonzero().tolist() == [[2, 1], [3, 1]]


def test_the_shape_of_the_frame_counts():
    """The same maps of a wider frame are answered otherwise."""
    made, (maps, aspect) = model(), seen()
    one, two = (made(maps, ratio, made.zeros(3))[0] for ratio in (aspect, aspect + 0.5))
    assert (one != two).all()


@pytest.mark.parametrize("settings", [{"convolutions": ()}, {"convolutions": (4, 0)}, {"memory": 0}, {"units": 0}])
def test_no_filters_are_refused(settings):
    """A layer has at least one, and there is a layer."""
    with pytest.raises(ValueError, match="widths: expected numbers of filters and units from 1 on"):
        Widths(**settings)
