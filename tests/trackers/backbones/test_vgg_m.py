import numpy as np
import pytest
import torch
from scipy.io import savemat
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
        assert network(images(1, size)).shape == (1, 6, vgg_m.side(size), vgg_m.side(size))
    assert vgg_m.side(107) == 3
    with pytest.raises(ValueError, match="size: expected at least 75 pixels, got 74"):
        vgg_m.side(74)


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


def cell(*values):
    """MATLAB's cell array, one row."""
    row = np.empty((1, len(values)), object)
    for i, value in enumerate(values):
        row[0, i] = value
    return row


def matlab(state, old=False, **more):
    """A state as MatConvNet has it, with a ReLU and a fully connected layer, its weights one cell, or two fields."""
    layers = []
    for name in [*dict.fromkeys(name.split(".")[0] for name in state)]:
        filters, biases = state[f"{name}.weight"].permute(2, 3, 1, 0).numpy(), state[f"{name}.bias"].numpy()
        own = {"filters": filters, "biases": biases} if old else {"weights": cell(filters, biases[:, None])}
        layers += [{"type": "conv", "name": name, "stride": [2, 2], **own}, {"type": "relu", "name": f"relu_{name}"}]
    return {"layers": cell(*layers), "meta": {"normalization": {"imageSize": [224, 224, 3]}}, **more}


def more_layers():
    """A state with the layers that VGG-M has behind conv3."""
    shapes = {"conv4": (6, 6, 3, 3), "conv5": (6, 6, 3, 3), "fc6": (7, 6, 6, 6), "fc8": (5, 7, 1, 1)}
    behind = {f"{name}.weight": torch.randn(shape) for name, shape in shapes.items()}
    return {**randomized().state_dict(), **behind, **{f"{n}.bias": torch.randn(s[0]) for n, s in shapes.items()}}


def same(found, state):
    """The first three layers' weights, in their order, that fit a network."""
    assert list(found) == [f"conv{n}.{part}" for n in (1, 2, 3) for part in ("weight", "bias")]
    assert all(torch.equal(found[name], state[name]) and found[name].dtype == torch.float32 for name in found)
    VGGM(SMALL).load_state_dict(found)


@pytest.mark.parametrize("name", ["{}.{}", "layers.{}.0.{}"])
def test_files_of_torch_are_read(name, tmp_path):
    """Under our own names or MDNet's; what is behind conv3 is left out."""
    state = more_layers() if name == "{}.{}" else randomized().state_dict()
    named = {name.format(*own.split(".")): tensor for own, tensor in state.items()}
    behind = {"layers.fc4.1.weight": torch.zeros(2, 2), "branches.0.1.weight": torch.zeros(2, 2)}
    torch.save({**named, **behind}, tmp_path / "vgg_m.pt")
    same(vgg_m.read(tmp_path / "vgg_m.pt", SMALL), state)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_files_of_matconvnet_are_read(old, compressed, tmp_path):
    """Their filters' last axis is our first; of all layers the first three convolutions are taken."""
    state = more_layers()
    savemat(tmp_path / "vgg_m.mat", matlab(state, old), do_compression=compressed)
    same(vgg_m.read(tmp_path / "vgg_m.mat", SMALL), state)
    savemat(tmp_path / "net.mat", {"net": matlab(state, old)})
    same(vgg_m.read(tmp_path / "net.mat", SMALL), state)


def test_another_architecture_is_refused_with_all_that_differs(tmp_path):
    """Every name and shape that differs is listed, whatever the file's kind."""
    state = randomized().state_dict()
    state["conv2.weight"] = torch.zeros(8, 4, 3, 3)
    state["conv3.bias"] = torch.zeros(7)
    savemat(tmp_path / "other.mat", matlab(state))
    differences = ["  conv2.weight: expected (8, 4, 5, 5), got (8, 4, 3, 3)", "  conv3.bias: expected (6,), got (7,)"]
    with pytest.raises(ValueError, match=r"other.mat: expected a VGG-M of widths \[4, 8, 6\]") as caught:
        vgg_m.read(tmp_path / "other.mat", SMALL)
    assert str(caught.value).splitlines()[1:] == differences
    del state["conv1.bias"]
    torch.save({**state, "conv9.weight": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other.pt: expected a VGG-M") as caught:
        vgg_m.read(tmp_path / "other.pt", SMALL)
    expected = ["  conv1.bias: expected (4,), got nothing", *differences, "  conv9.weight: expected nothing, got (2,)"]
    assert str(caught.value).splitlines()[1:] == expected


@pytest.mark.parametrize("content", [b"", b"MATLAB", b"MATLAB 5.0 MAT-file" + bytes(200), b"some text\n" * 30])
def test_a_file_of_another_kind_is_refused_in_our_words(content, tmp_path):
    """Whatever it is, the message names the file and what it should be, and never says how to trust it."""
    (tmp_path / "weights").write_bytes(content)
    with pytest.raises(ValueError, match=r"weights: expected (names and tensors|a MATLAB file|MatConvNet)") as caught:
        vgg_m.read(tmp_path / "weights", SMALL)
    assert "weights_only" not in str(caught.value)


def test_files_cut_short_are_refused(tmp_path):
    """Wherever a MATLAB file ends, it is refused by its name."""
    savemat(tmp_path / "whole.mat", matlab(randomized().state_dict()))
    content = (tmp_path / "whole.mat").read_bytes()
    for share in (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999):
        (tmp_path / "short.mat").write_bytes(content[: int(len(content) * share)])
        with pytest.raises(ValueError, match="short.mat: expected"):
            vgg_m.read(tmp_path / "short.mat", SMALL)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (np.zeros((3, 3)), r"strange.mat: expected MatConvNet's cell array `layers`, got variables \['layers'\]"),
        (cell(np.zeros(3)), "strange.mat: layer 1: expected a struct"),
        (cell({"type": "conv", "name": "conv1"}), r"layer 1 \(conv1\): expected numbers of filters and biases"),
        (cell({"type": "conv", "name": "a", "weights": cell("x", "y")}), r"layer 1 \(a\): expected numbers"),
        (
            cell({"type": "conv", "weights": cell(np.ones(3), np.ones(3))}),
            "layer 1: expected a name of its own, got ''",
        ),
    ],
)
def test_strange_matlab_files_are_refused(layers, message, tmp_path):
    """Where something else is than MatConvNet writes, the layer is named."""
    savemat(tmp_path / "strange.mat", {"layers": layers})
    with pytest.raises(ValueError, match=message):
        vgg_m.read(tmp_path / "strange.mat", SMALL)


@pytest.mark.parametrize("kind", ["torch", "matlab"])
def test_weights_that_are_no_numbers_are_refused(kind, tmp_path):
    """NaN in a file is found when it is read, by the name of its layer."""
    state = randomized().state_dict()
    state["conv3.bias"][0] = float("nan")
    torch.save(state, tmp_path / "nan") if kind == "torch" else savemat(
        tmp_path / "nan", matlab(state), appendmat=False
    )
    with pytest.raises(ValueError, match="nan: expected finite numbers, got NaN or infinity in conv3.bias"):
        vgg_m.read(tmp_path / "nan", SMALL)


def test_a_missing_file_is_missing(tmp_path):
    """Where there is no file, the error is the system's own."""
    with pytest.raises(FileNotFoundError):
        vgg_m.read(tmp_path / "none", SMALL)
