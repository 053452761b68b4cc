from collections import OrderedDict

import pytest
import torch
from torch import nn

from trackers.backbones import vgg16
from trackers.backbones.vgg16 import VGG16, Config

SMALL = Config(widths=(3, 4, 5, 6, 7))
# torchvision's configuration D: a number is a convolution of so many filters and a ReLU, M is a pooling.
LAYERS = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")
FULL_WIDTHS = (64, 128, 256, 512, 512)


def of_torchvision(widths: tuple[int, ...]) -> nn.Sequential:
    """`features` of torchvision's vgg16, narrowed."""
    torch.manual_seed(1)
    layers, inputs, blocks = [], 3, iter(widths)
    width = next(blocks)
    for layer in LAYERS:
        if layer == "M":
            layers.append(nn.MaxPool2d(2))
            width = next(blocks, 0)
        else:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
    return nn.Sequential(*layers)


def state_of(features: nn.Sequential) -> OrderedDict[str, torch.Tensor]:
    """As torchvision's vgg16 saves it, with a classifier cut small."""
    state = OrderedDict((f"features.{name}", tensor) for name, tensor in features.state_dict().items())
    state["classifier.0.weight"] = torch.zeros(4, 8)
    state["classifier.0.bias"] = torch.zeros(4)
    return state


@pytest.fixture
def plain() -> nn.Sequential:
    return of_torchvision(SMALL.widths)


@pytest.fixture
def network(plain, tmp_path) -> VGG16:
    """The same weights in ours, by way of a file."""
    torch.save(state_of(plain), tmp_path / "vgg16.pth")
    network = VGG16(SMALL)
    network.load_state_dict(vgg16.read(tmp_path / "vgg16.pth", SMALL))
    return network


def images(count: int, size: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(0)).float()


def normalized(images: torch.Tensor) -> torch.Tensor:
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
    return (images / 255 - mean) / deviation


@pytest.mark.parametrize("size", [32, 50])
def test_it_is_torchvisions_layers_on_normalized_rgb(size, network, plain):
    """pool4 is what the first 24 layers of torchvision's give on RGB / 255, normalized; block 5 is what follows."""
    rgb = images(2, size)
    expected = plain[:24](normalized(rgb))
    pool4 = network.pool4(rgb)
    assert pool4.shape == (2, 6, size // 16, size // 16)
    torch.testing.assert_close(pool4, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.block5(pool4), plain[24:](expected), rtol=1e-4, atol=1e-5)


def test_a_mask_multiplies_what_comes_before_pool1(network, plain):
    """Masked features are those of conv1_2's responses times the mask, pooled only then."""
    rgb = images(2, 32)
    masks = torch.zeros(2, 1, 32, 32)
    masks[0, :, 5:20, 7:21] = 1
    masks[1, :, 1:2] = 0.5
    expected = plain[4:24](plain[:4](normalized(rgb)) * masks)
    torch.testing.assert_close(network.pool4_masked(rgb, masks), expected, rtol=1e-4, atol=1e-5)


def test_a_mask_of_ones_changes_nothing(network):
    """All of the image being the target, masked and unmasked features agree bit for bit; masks may be bool."""
    rgb = images(2, 32)
    assert torch.equal(network.pool4_masked(rgb, torch.ones(2, 1, 32, 32)), network.pool4(rgb))
    assert torch.equal(network.pool4_masked(rgb, torch.ones(2, 1, 32, 32, dtype=torch.bool)), network.pool4(rgb))


def test_a_mask_of_zeros_leaves_the_biases(network):
    """Nothing of the image being the target, features are what biases from block 2 on make of zeros."""
    none = torch.zeros(1, 1, 32, 32)
    assert torch.equal(network.pool4_masked(images(2, 32)[:1], none), network.pool4_masked(images(2, 32)[1:], none))
    single = VGG16(Config(widths=(1, 1, 1, 1, 1)))
    for parameter in single.parameters():
        nn.init.zeros_(parameter)
    for block, number in ((2, 2), (3, 1), (3, 2), (3, 3), (4, 1), (4, 2), (4, 3)):
        nn.init.ones_(getattr(single, f"conv{block}_{number}").weight[:, :, 1, 1])  # pass on what is there
    nn.init.constant_(single.conv2_1.bias, 0.25)
    nn.init.constant_(single.conv4_1.bias, 2)
    assert single.pool4_masked(images(1, 32), none).flatten().tolist() == [0.25 + 2] * 4


def test_both_are_each(network):
    """Computing what comes before the mask once changes nothing, with gradients and without."""
    rgb, masks = images(3, 32), torch.zeros(3, 1, 32, 32)
    masks[:, :, 8:24, 8:24] = 1
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            unmasked, masked = network.both(rgb, masks)
            torch.testing.assert_close(unmasked, network.pool4(rgb), rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(masked, network.pool4_masked(rgb, masks), rtol=1e-5, atol=1e-6)


def test_images_in_chunks_are_images_at_once(network, monkeypatch):
    """Without gradients images and their masks are taken few at a time; their features are the same, in order."""
    rgb, masks = images(5, 32), torch.rand(5, 1, 32, 32)
    expected = network.pool4(rgb), network.pool4_masked(rgb, masks), *network.both(rgb, masks)
    monkeypatch.setattr(vgg16, "CHUNK", 2 * 32**2)
    with torch.no_grad():
        found = network.pool4(rgb), network.pool4_masked(rgb, masks), *network.both(rgb, masks)
    for few, whole in zip(found, expected, strict=True):
        torch.testing.assert_close(few, whole, rtol=1e-5, atol=1e-6)


def test_made_faster_it_gives_the_same():
    """On a CPU wide layers are replaced, once; results stay what they were, to 1e-5 of the largest."""
    torch.manual_seed(1)
    network, rgb, masks = VGG16(Config(widths=(4, 128, 8, 128, 128))), images(2, 48), torch.ones(2, 1, 48, 48)
    with torch.no_grad():
        pool4 = network.pool4(rgb)
        expected = pool4, *network.both(rgb, masks), network.block5(pool4)
        assert network.on_cpu().on_cpu() is network
        found = network.pool4(rgb), *network.both(rgb, masks), network.block5(pool4)
    replaced = [name for name, layer in network.named_children() if not isinstance(layer, nn.Conv2d)]
    assert replaced == ["conv3_1", "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3"]
    for fast, plain in zip(found, expected, strict=True):
        assert (fast - plain).abs().max() < 1e-5 * plain.abs().max()


def test_gradients_reach_every_layer(network):
    """Where weights are trained here, all of them learn."""
    network.block5(network.pool4(images(1, 64))).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_default_widths_are_torchvisions():
    """By default it has the shapes of torchvision's vgg16, in its order."""
    with torch.device("meta"):
        ours, theirs = VGG16(Config()).state_dict(), of_torchvision(FULL_WIDTHS).state_dict()
    assert [tensor.shape for tensor in ours.values()] == [tensor.shape for tensor in theirs.values()]


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_of_torchvision_are_read(zipped, plain, tmp_path):
    """torchvision's convolutions are read in order, its classifier left out, from files of torch of any age."""
    torch.save(state_of(plain), tmp_path / "vgg16.pth", _use_new_zipfile_serialization=zipped)
    weights = vgg16.read(tmp_path / "vgg16.pth", SMALL)
    assert list(weights) == list(VGG16(SMALL).state_dict())
    assert torch.equal(weights["conv1_2.bias"], plain[2].bias)
    assert torch.equal(weights["conv4_3.weight"], plain[21].weight)
    assert torch.equal(weights["conv5_3.weight"], plain[28].weight)


def test_weights_read_outlive_their_file(plain, tmp_path):
    """A file overwritten after it was read changes nothing that was read."""
    path = tmp_path / "vgg16.pth"
    torch.save(state_of(plain), path)
    weights = vgg16.read(path, SMALL)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert torch.equal(weights["conv4_3.weight"], plain[21].weight)


def test_another_architecture_is_refused_with_all_that_differs(plain, tmp_path):
    """Every name and shape that differs is listed: missing, of another shape, and not known (as of vgg16_bn)."""
    state = state_of(plain)
    state["features.5.weight"] = torch.zeros(9, 3, 3, 3)
    state["features.1.running_mean"] = torch.zeros(3)
    del state["features.28.bias"]
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="other.pth: expected torchvision's vgg16 of widths") as caught:
        vgg16.read(tmp_path / "other.pth", SMALL)
    assert str(caught.value).splitlines()[1:] == [
        "  features.5.weight: expected (4, 3, 3, 3), got (9, 3, 3, 3)",
        "  features.28.bias: expected (7,), got nothing",
        "  features.1.running_mean: expected nothing, got (3,)",
    ]


@pytest.mark.parametrize("content", [torch.zeros(3), {"epoch": 3, "state_dict": {}}])
def test_files_of_anything_else_are_refused(content, tmp_path):
    """A file of anything but names and tensors is refused by its path."""
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other.pt: expected names and tensors written by torch.save, got "):
        vgg16.read(tmp_path / "other.pt", SMALL)


def test_a_file_cut_short_is_refused_in_our_words(plain, tmp_path):
    """A download that ended early is refused by its path, and the message never says how to trust it."""
    path = tmp_path / "vgg16.pth"
    torch.save(state_of(plain), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="vgg16.pth: expected names and tensors") as caught:
        vgg16.read(path, SMALL)
    assert "weights_only" not in str(caught.value)


def test_weights_that_are_no_numbers_are_refused(plain, tmp_path):
    """NaN in a file is found when it is read, by the name that it has there."""
    state = state_of(plain)
    state["features.7.bias"][1] = float("nan")
    torch.save(state, tmp_path / "vgg16.pth")
    with pytest.raises(ValueError, match="vgg16.pth: expected finite numbers, got NaN or infinity in features.7.bias"):
        vgg16.read(tmp_path / "vgg16.pth", SMALL)


@pytest.mark.parametrize("widths", [(64, 128), (64, 128, 256, 0, 512)])
def test_settings_are_checked(widths):
    """Widths that make no network are refused."""
    with pytest.raises(ValueError, match="widths: expected 5 numbers of filters, at least 1 each, got"):
        Config(widths=widths)
