from collections import OrderedDict

import pytest
import torch
from torch import nn

from trackers.backbones import alexnet
from trackers.backbones.alexnet import AlexNet, Config

SMALL = Config(widths=(4, 8, 6, 6, 4))
SMALL_TORCHVISION = Config(layout="torchvision", widths=(4, 8, 6, 6, 4))
TORCHVISION = Config(layout="torchvision", widths=(64, 192, 384, 256, 256))
CONVOLUTIONS_OF_TORCHVISION = {
    0: (64, 3, 11, 11),
    3: (192, 64, 5, 5),
    6: (384, 192, 3, 3),
    8: (256, 384, 3, 3),
    10: (256, 256, 3, 3),
}


def images(count: int, size: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(0)).float()


def randomized(config: Config) -> AlexNet:
    torch.manual_seed(1)
    network = AlexNet(config)
    for convolution in network.convolutions:
        nn.init.normal_(convolution.bias)
    return network


def of_torchvision() -> OrderedDict[str, torch.Tensor]:
    """A state dict as torchvision's AlexNet has it, with a classifier cut small."""
    state = OrderedDict()
    for number, shape in CONVOLUTIONS_OF_TORCHVISION.items():
        state[f"features.{number}.weight"] = torch.randn(shape)
        state[f"features.{number}.bias"] = torch.randn(shape[0])
    state["classifier.1.weight"] = torch.randn(4, 9216)
    state["classifier.1.bias"] = torch.randn(4)
    return state


@pytest.mark.parametrize("size", [227, 64, 101])
def test_caffenet_is_its_layers_in_caffes_order(size):
    """CaffeNet is convolution, ReLU, pooling with sides rounded up, normalization, on BGR less the mean colour."""
    network = randomized(SMALL)
    conv1, conv2, conv3, conv4, conv5 = network.convolutions
    plain = nn.Sequential(
        nn.Conv2d(3, 4, 11, 4), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5, 1e-4, 0.75),
        nn.Conv2d(4, 8, 5, padding=2, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.LocalResponseNorm(5, 1e-4, 0.75),
        nn.Conv2d(8, 6, 3, padding=1), nn.ReLU(),
        nn.Conv2d(6, 6, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(6, 4, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True),
    )  # fmt: skip
    for number, convolution in zip((0, 4, 8, 10, 12), (conv1, conv2, conv3, conv4, conv5), strict=True):
        plain[number].load_state_dict(convolution.state_dict())
    rgb = images(2, size)
    expected = plain(rgb.flip(1) - torch.tensor([104.0, 117.0, 123.0])[:, None, None])
    torch.testing.assert_close(network(rgb), expected, rtol=1e-4, atol=1e-3)


def test_torchvision_is_its_layers_on_normalized_rgb():
    """torchvision's layout is that of its AlexNet, on RGB / 255 normalized by ImageNet's mean and deviation."""
    network = randomized(SMALL_TORCHVISION)
    plain = nn.Sequential(
        nn.Conv2d(3, 4, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(4, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(8, 6, 3, padding=1), nn.ReLU(),
        nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(),
        nn.Conv2d(6, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    )  # fmt: skip
    for number, convolution in zip((0, 3, 6, 8, 10), network.convolutions, strict=True):
        plain[number].load_state_dict(convolution.state_dict())
    rgb = images(2, 227)
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
    torch.testing.assert_close(network(rgb), plain((rgb / 255 - mean) / deviation), rtol=1e-4, atol=1e-4)


def test_the_mean_colour_leaves_only_the_bias_of_conv1():
    """An image of the mean colour is zero to conv1, up to its border where the layout pads."""
    for config, colour in ((SMALL, (123.0, 117.0, 104.0)), (SMALL_TORCHVISION, (123.675, 116.28, 103.53))):
        network = randomized(config)
        flat = torch.tensor(colour)[None, :, None, None].expand(1, 3, 64, 64)
        responses = network._first(flat)
        torch.testing.assert_close(
            responses, network.conv1.bias[:, None, None].expand_as(responses), rtol=1e-4, atol=1e-3
        )


@pytest.mark.parametrize("config", [SMALL, SMALL_TORCHVISION])
def test_sides_are_those_of_pool5(config):
    """`side` and `features` are what forward gives; images that nothing is left of are refused."""
    network = AlexNet(config)
    for size in (64, 67, 99, 128, 227):
        pool5 = network(images(1, size))
        assert pool5.shape == (1, 4, network.side(size), network.side(size))
        assert pool5.numel() == network.features(size)
    assert network.side(227) == 6
    least = {"caffenet": 39, "torchvision": 63}[config.layout]
    assert network.side(least) == 1
    with pytest.raises(ValueError, match=f"size: expected at least {least} pixels, got {least - 1}"):
        network.side(least - 1)


def test_images_in_chunks_are_images_at_once(monkeypatch):
    """Without gradients images are taken few at a time; their features are the same."""
    network, some = randomized(SMALL), images(5, 67)
    expected = network(some)
    monkeypatch.setattr(alexnet, "CHUNK", 2 * 67**2)
    with torch.no_grad():
        torch.testing.assert_close(network(some), expected, rtol=1e-5, atol=1e-5)


def test_gradients_reach_every_layer():
    """Where weights are trained here, all of them learn."""
    network = randomized(SMALL)
    network(images(1, 67)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_weights_of_torchvision_are_read(tmp_path):
    """A torchvision AlexNet gives its convolutions in order; its classifier is left out."""
    state = of_torchvision()
    torch.save(state, tmp_path / "alexnet.pth")
    weights = alexnet.read(tmp_path / "alexnet.pth", TORCHVISION)
    AlexNet(TORCHVISION).load_state_dict(weights)
    assert list(weights) == [f"conv{n}.{part}" for n in range(1, 6) for part in ("weight", "bias")]
    assert torch.equal(weights["conv4.weight"], state["features.8.weight"])


@pytest.mark.parametrize("names", ["{}.{}", "{}_{:.1}"])
def test_weights_of_caffe_are_read(tmp_path, names):
    """A converted CaffeNet is read under either of its names, its blobs as they are."""
    blobs = {
        names.format(*name.split(".")): torch.randn(tensor.shape)
        for name, tensor in AlexNet(SMALL).state_dict().items()
    }
    torch.save({**blobs, "fc6.weight": torch.zeros(2, 2)}, tmp_path / "caffenet.pt")
    weights = alexnet.read(tmp_path / "caffenet.pt", SMALL)
    assert torch.equal(weights["conv1.weight"], blobs[names.format("conv1", "weight")])
    AlexNet(SMALL).load_state_dict(weights)


def test_another_architecture_is_refused_with_all_that_differs(tmp_path):
    """Every name and shape that differs is listed: missing, of another shape, and not known."""
    state = of_torchvision()
    state["features.0.weight"] = torch.zeros(64, 3, 3, 3)
    state["features.2.weight"] = torch.zeros(64, 64, 3, 3)
    del state["features.10.bias"]
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ValueError) as caught:
        alexnet.read(tmp_path / "other.pth", TORCHVISION)
    assert str(caught.value).splitlines()[1:] == [
        "  features.0.weight: expected (64, 3, 11, 11), got (64, 3, 3, 3)",
        "  features.10.bias: expected (256,), got nothing",
        "  features.2.weight: expected nothing, got (64, 64, 3, 3)",
    ]


def test_weights_without_groups_do_not_fit_caffenet(tmp_path):
    """torchvision's weights in Caffe's layout are refused, since its convolutions have groups."""
    torch.save(of_torchvision(), tmp_path / "alexnet.pth")
    with pytest.raises(ValueError, match=r"features.3.weight: expected \(192, 32, 5, 5\), got \(192, 64, 5, 5\)"):
        alexnet.read(tmp_path / "alexnet.pth", Config(widths=TORCHVISION.widths))


class Pickled:
    def __reduce__(self):
        return (print, ("run by a pickle",))


@pytest.mark.parametrize("content", [Pickled(), torch.zeros(3), {"epoch": 3, "state_dict": {}}])
def test_files_of_anything_else_are_refused(tmp_path, content, capsys):
    """A file of anything but names and tensors is refused by its path, and nothing in it is run."""
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other.pt: expected names and tensors written by torch.save, got "):
        alexnet.read(tmp_path / "other.pt", SMALL)
    assert "run by a pickle" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layout": "vgg"}, "layout: expected caffenet or torchvision, got 'vgg'"),
        ({"widths": (96, 256)}, "widths: expected 5 numbers of filters, at least 1 each, got"),
        ({"widths": (4, 5, 6, 6, 4)}, "widths: expected even numbers, for two groups of filters, got"),
    ],
)
def test_settings_are_checked(settings, message):
    """A setting that makes no network is refused by its name."""
    with pytest.raises(ValueError, match=message):
        Config(**settings)


@pytest.mark.parametrize("content", [b"", b"weights", b"not a file of weights, but some text\n"])
def test_a_file_of_another_kind_is_refused_in_our_words(content, tmp_path):
    """Whatever torch makes of it, the message names the file, and never says how to trust it."""
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="weights.pt: expected names and tensors") as caught:
        alexnet.read(path, alexnet.Config())
    assert "weights_only" not in str(caught.value)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    """NaN in a file is found when it is read, by name, and not when training begins."""
    config = alexnet.Config(widths=(2, 2, 2, 2, 2))
    weights = alexnet.AlexNet(config).state_dict()
    weights["conv3.bias"][0] = float("nan")
    torch.save(weights, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="weights.pt: expected finite numbers, got NaN or infinity in conv3.bias"):
        alexnet.read(tmp_path / "weights.pt", config)
