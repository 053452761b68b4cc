import pytest
import torch
from torch import nn

from trackers.backbones import vgg_m
from trackers.backbones.vgg_m import VGGM, Config

SMALL = Config(widths=(4, 8, 6))


def images(count, height, width=None):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, height, width or height), generator=generator).float()


def randomized(config=SMALL):
    torch.manual_seed(1)
    network = VGGM(config)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)
    return network


@pytest.mark.parametrize("size", [(107, 107), (75, 90)])
def test_vgg_m_is_its_layers_in_order(size):
    """Convolution, ReLU, normalization whose alpha is of the sum, maximum; of RGB less the grey."""
    network = randomized()
    plain = nn.Sequential(
        nn.Conv2d(3, 4, 7, 2), nn.ReLU(), nn.LocalResponseNorm(5, 5e-4, 0.75, 2), nn.MaxPool2d(3, 2),
        nn.Conv2d(4, 8, 5, 2), nn.ReLU(), nn.LocalResponseNorm(5, 5e-4, 0.75, 2), nn.MaxPool2d(3, 2),
        nn.Conv2d(8, 6, 3), nn.ReLU(),
    )  # fmt: skip
    for number, convolution in zip((0, 4, 8), (network.conv1, network.conv2, network.conv3), strict=True):
        plain[number].load_state_dict(convolution.state_dict())
    seen = images(2, *size)
    torch.testing.assert_close(network(seen), plain(seen - 128), rtol=1e-4, atol=1e-4)


def test_grey_leaves_only_the_biases():
    """An image of the grey is zero to conv1: all places respond alike, as without filters."""
    network = randomized(Config(SMALL.widths, grey=100.0))
    before = network(torch.full((1, 3, 107, 107), 100.0))
    nn.init.zeros_(network.conv1.weight)
    torch.testing.assert_close(before, network(images(1, 107)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(75, 75), (83, 91), (107, 107), (140, 203)])
def test_every_second_dense_response_is_a_response(size):
    """Responses every 8 pixels hold those every 16."""
    network, seen = randomized(), images(2, *size)
    torch.testing.assert_close(network.dense(seen)[..., ::2, ::2], network(seen), rtol=1e-4, atol=1e-4)


def test_a_dense_response_is_that_of_the_patch_it_sees():
    """The response in row i and column j is that to the 75 x 75 pixels from (8 i, 8 j) on."""
    network, seen = randomized(), images(1, 110, 130)
    dense = network.dense(seen)
    assert dense.shape == (1, 6, 5, 7)
    patch = seen[:, :, 16 : 16 + 75, 24 : 24 + 75]
    torch.testing.assert_close(network(patch)[0, :, 0, 0], dense[0, :, 2, 3], rtol=1e-4, atol=1e-4)


def test_sides_are_those_of_conv3():
    """A patch of 107 gives 3 x 3; `side` is what forward gives; what nothing is left of is refused."""
    network = VGGM(SMALL)
    for size in (75, 76, 90, 91, 106, 107, 108, 122, 123):
        assert network(images(1, size)).shape == (1, 6, network.side(size), network.side(size))
    assert network.side(107) == 3
    with pytest.raises(ValueError, match="size: expected at least 75 pixels, got 74"):
        network.side(74)


@pytest.mark.parametrize("chunk", [2 * 107**2, 1])
def test_images_in_pieces_are_images_at_once(monkeypatch, chunk):
    """Without gradients images are taken few at a time, large ones in strips; their responses are the same."""
    network, seen = randomized(), images(5, 107, 121)
    expected, dense = network(seen), network.dense(seen)
    monkeypatch.setattr(vgg_m, "CHUNK", chunk)
    with torch.no_grad():
        torch.testing.assert_close(network(seen), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(network.dense(seen), dense, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("see", [VGGM.forward, VGGM.dense])
def test_gradients_reach_every_layer(see):
    """Where weights are trained here, all of them learn."""
    network = randomized()
    see(network, images(1, 107)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widths": (96, 256)}, r"widths: expected 3 numbers of filters, at least 1 each, got \[96, 256\]"),
        ({"widths": (96, 0, 512)}, r"widths: expected 3 numbers of filters, at least 1 each, got \[96, 0, 512\]"),
        ({"grey": float("nan")}, "grey: expected a number, got nan"),
    ],
)
def test_settings_are_checked(settings, message):
    """A setting that makes no network is refused by its name."""
    with pytest.raises(ValueError, match=message):
        Config(**settings)
