import pytest
import torch
from torch import nn

from trackers.families.pixelwise.segmentation import Model, Widths

SMALL = Widths(4, 3, (4, 3, 2))


def model(remembered=None, seed=0):
    torch.manual_seed(seed)
    return Model(6, 32, SMALL, remembered)


def seen(frames=5, videos=2, seed=1):
    """pool4 of ROIs, of the first, and of its target alone."""
    torch.manual_seed(seed)
    return torch.rand(frames, videos, 6, 2, 2), torch.rand(videos, 6, 2, 2), torch.rand(videos, 6, 2, 2)


def test_defaults_have_the_papers_sizes():
    """Filters of all layers are Table 1's, after a pool4 of 512 x 14 x 14."""
    with torch.device("meta"):
        made = Model(512, 224, Widths())
    shapes = {
        name: [tuple(layer.weight.shape) for layer in getattr(made, name).modules() if hasattr(layer, "weight")]
        for name in ("m_cnn", "f_cnn", "deconvolutions")
    }
    assert shapes == {
        "m_cnn": [(1024, 2 * 512, 3, 3), (1024, 1024, 3, 3)],
        "f_cnn": [(512, 512, 3, 3), (512, 512, 3, 3)],
        "deconvolutions": [(256, 128, 5, 5), (128, 64, 5, 5), (64, 32, 5, 5), (32, 1, 5, 5)],
    }
    for layer, inputs in zip(made.memory.layers, (512, 256), strict=True):
        assert layer.of_input.weight.shape == (4 * 256, inputs, 3, 3)
        assert layer.of_hidden.weight.shape == (4 * 256, 256, 3, 3)
        assert layer.of_cell.shape == (3, 256, 14, 14)
    assert [layer.stride for layer in made.deconvolutions] == [(2, 2)] * 4


def test_each_deconvolution_doubles_the_map():
    """14 x 14 become 28, 56, 112 and 224, the pixels of a ROI."""
    made, sides = Model(6, 224, SMALL), []
    x = torch.rand(1, 3, 14, 14)
    for layer in made.deconvolutions:
        x = layer(x)
        sides.append(tuple(x.shape[2:]))
    assert sides == [(28, 28), (56, 56), (112, 112), (224, 224)]
    logits, states = made(torch.rand(3, 2, 6, 14, 14), made.start(*torch.rand(2, 2, 6, 14, 14)))
    assert logits.shape == (3, 2, 224, 224)
    assert [tuple(part.shape) for state in states for part in state] == [(2, 3, 14, 14)] * 4


def test_activations_are_table_1s():
    """F-CNN and M-CNN have a relu inside and a tanh at their end."""
    made = model()
    for network in (made.f_cnn, made.m_cnn):
        assert [type(layer) for layer in network] == [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.Tanh]


def test_first_states_are_bounded():
    """However large features are, memory cells and hidden states of both layers begin in [-1, 1]."""
    made, (_, first, masked) = model(), seen()
    for states in (made.start(first, masked), made.start(1000 * first, -1000 * masked)):
        assert len(states) == 2
        assert all(part.shape == (2, 3, 2, 2) and part.abs().max() <= 1 for state in states for part in state)
    parts = [part for state in made.start(first, masked) for part in state]
    assert not any(torch.equal(one, other) for i, one in enumerate(parts) for other in parts[:i])  # each has its own


def test_first_states_see_frame_and_target():
    """They change with the first ROI, and with what is left of it where its target alone is shown."""
    made, (_, first, masked) = model(), seen()
    states = made.start(first, masked)
    for other in (made.start(first + 1, masked), made.start(first, masked + 1)):
        for one, two in zip(states, other, strict=True):
            assert all(not torch.allclose(a, b) for a, b in zip(one, two, strict=True))


def test_the_first_state_counts_in_every_frame():
    """Other first states give other maps, in the last frame, too."""
    made, (features, first, masked) = model(), seen()
    one, _ = made(features, made.start(first, masked))
    other, _ = made(features, made.start(first, 1 - masked))
    assert ((one - other).abs().amax((1, 2, 3)) > 1e-4).all()


@pytest.mark.parametrize("remembered", [1, 2, 4, 9])
def test_forgotten_gradients_are_computed_again(remembered):
    """In parts of any length a clip has the logits and gradients that it has in one go."""
    features, first, masked = seen()
    found = []
    for made in (model(), model(remembered)):
        logits, states = made(features, made.start(first, masked))
        (logits.square().sum() + states[1].cell.sum()).backward()
        found.append((logits.detach(), {name: p.grad for name, p in made.named_parameters()}))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)
    assert all(gradient.any() for gradient in found[0][1].values())


@pytest.mark.parametrize("remembered", [None, 2])
def test_a_state_carried_over_is_one_go(remembered):
    """Frames 0 and 1, then the others from the states after these, give what all in one call do."""
    made, (features, first, masked) = model(remembered), seen()
    with torch.no_grad():
        states = made.start(first, masked)
        whole, last = made(features, states)
        head, states = made(features[:2], states)
        tail, states = made(features[2:], states)
    torch.testing.assert_close(torch.cat([head, tail]), whole)
    torch.testing.assert_close(states, last)


def test_videos_do_not_meet():
    """What is said of one video does not depend on who shares the minibatch."""
    made, (features, first, masked) = model(), seen()
    both, _ = made(features, made.start(first, masked))
    alone, _ = made(features[:, 1:], made.start(first[1:], masked[1:]))
    torch.testing.assert_close(both[:, 1:], alone)


@pytest.mark.parametrize("settings", [{"features": 0}, {"memory": 0}, {"deconvolutions": (4, 0, 2)}])
def test_no_filters_are_refused(settings):
    """A layer has at least one."""
    with pytest.raises(ValueError, match="widths: expected numbers of filters from 1 on"):
        Widths(**settings)


def test_other_than_three_widths_of_deconvolutions_are_refused():
    """The fourth has one filter, and pool4 is a 16th of a ROI."""
    with pytest.raises(ValueError, match="3 of deconvolutions"):
        Widths(deconvolutions=(4, 2))
