import numpy as np
import pytest
import torch
import torch.nn.functional as F

from trackers.backbones import yolo
from trackers.backbones.yolo import VOC, YOLO, Config

TINY = {"width": 1 / 512, "features": 6, "grid": 2, "classes": ("a", "b", "c")}


def tiny(layout="fast", **settings):
    return Config(layout=layout, **{**TINY, **settings})


def randomized(config, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = YOLO(config)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter)
    return model.eval()


def images(count, size, seed=0):
    return torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(seed)).float()


@pytest.mark.parametrize(
    ("layout", "convolutions", "hidden"), [("yolo", 24, [4096]), ("small", 24, [512, 4096]), ("fast", 9, [256, 4096])]
)
def test_layouts_have_the_papers_sizes(layout, convolutions, hidden):
    """448 x 448 pixels make 1024 x 7 x 7, 4096 features and 7 x 7 x 30 numbers, after 24 or 9 convolutions."""
    config = Config(layout=layout)
    shapes = [shape for _, shape in yolo._layers(config)]
    shrinking = [layer.stride * (1 + layer.pooled) for layer in config.convolutions]
    assert (config.size, len(config.convolutions), config.hidden) == (448, convolutions, hidden)
    assert 7 * np.prod(shrinking) == 448
    assert shapes[convolutions:] == list(zip([*hidden, 7 * 7 * 30], [1024 * 7 * 7, *hidden], strict=True))


def test_filters_of_figure_3():
    """The 24 convolutions are those of Figure 3 of Redmon et al. 2016, in order."""
    assert [(layer.filters, layer.kernel) for layer in Config().convolutions] == [
        (64, 7), (192, 3), (128, 1), (256, 3), (256, 1), (512, 3),
        (256, 1), (512, 3), (256, 1), (512, 3), (256, 1), (512, 3), (256, 1), (512, 3), (512, 1), (1024, 3),
        (512, 1), (1024, 3), (512, 1), (1024, 3), (1024, 3), (1024, 3), (1024, 3), (1024, 3),
    ]  # fmt: skip


@pytest.mark.parametrize(("layout", "size"), [("yolo", 128), ("fast", 128), ("miniature", 32)])
def test_a_cell_is_as_large_as_its_layout_shrinks_images(layout, size):
    """Convolutions take an image to its grid: 64 pixels a cell, 16 in the miniature."""
    config = tiny(layout)
    assert config.size == size
    model = randomized(config)
    assert model.convolved(images(1, config.size)).shape[2:] == (2, 2)
    assert model(images(3, config.size))[1].shape == (3, 2 * 2 * (2 * 5 + 3))
    shapes = {f"{name}.weight": shape for name, shape in yolo._layers(config)}
    assert {name: tensor.shape for name, tensor in model.state_dict().items() if tensor.ndim > 1} == shapes


def test_the_network_is_its_layers_in_order():
    """Inputs in [-1, 1], leaky ReLU of slope 0.1 after all layers but the last, flattened channel by channel."""
    config = tiny()
    model = randomized(config)
    x = images(2, 128) / 127.5 - 1
    for number, convolution in enumerate(model.convolutions):
        x = F.leaky_relu(F.conv2d(x, convolution.weight, convolution.bias, padding=1), 0.1)
        x = F.max_pool2d(x, 2) if number < 6 else x
    x = x.reshape(2, -1)  # (c, h, w)
    for layer in model.connected[:-1]:
        x = F.leaky_relu(layer(x), 0.1)
    features, output = model(images(2, 128))
    torch.testing.assert_close(features, x)
    torch.testing.assert_close(output, model.connected[-1](x))


def test_dropout_spares_the_features():
    """What dropout withholds is withheld from the last layer alone."""
    model = randomized(tiny())
    seen = images(2, 128)
    whole, _ = model(seen)
    features, output = model(seen, torch.zeros(2, 6))
    assert torch.equal(features, whole)
    torch.testing.assert_close(output, model.connected[-1].bias.expand(2, -1))


def test_output_is_split_as_darknet_has_it():
    """Class probabilities of all cells come first, cell by cell, then confidences, then boxes."""
    classes, confidences, boxes = YOLO(tiny()).split(torch.arange(52.0)[None])
    assert classes[0, 0, 1].tolist() == [3, 4, 5]
    assert classes[0, 1, 0].tolist() == [6, 7, 8]
    assert confidences[0, 1, 0].tolist() == [16, 17]
    assert boxes[0, 0, 0].tolist() == [[20, 21, 22, 23], [24, 25, 26, 27]]
    assert boxes[0, 1, 1, 1].tolist() == [48, 49, 50, 51]


def test_images_in_chunks_are_images_at_once(monkeypatch):
    """Without gradients convolutions take few images at a time; what comes out is the same."""
    model, seen = randomized(tiny()), images(5, 128)
    expected = model(seen)
    monkeypatch.setattr(yolo, "CHUNK", 2 * 128**2)
    with torch.no_grad():
        for found, whole in zip(model(seen), expected, strict=True):
            torch.testing.assert_close(found, whole)


def same(found, expected):
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("layout", ["yolo", "small", "fast"])
def test_darknet_files_round_trip(layout, tmp_path):
    """What is written as darknet does is read again, bit for bit, whatever the file's name."""
    config = tiny(layout)
    state = randomized(config).state_dict()
    yolo.write_darknet(tmp_path / "file", config, state)
    found = yolo.read(tmp_path / "file", config)
    assert set(found) == set(state)
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor)
    YOLO(config).load_state_dict(found)


def darknet(config, state, header, normalization=None, transposed=False):
    """A darknet file's bytes; normalization: scales, means and variances of each convolution."""
    parts = [header]
    for name in dict.fromkeys(name.rpartition(".")[0] for name in state):
        weight, bias = (state[f"{name}.{part}"].numpy() for part in ("weight", "bias"))
        parts.append(bias.tobytes())
        if normalization and weight.ndim == 4:
            parts += [part.numpy().tobytes() for part in normalization[name]]
        parts.append(np.ascontiguousarray(weight.T if transposed and weight.ndim == 2 else weight).tobytes())
    return b"".join(parts)


def ints(*numbers):
    return np.array(numbers, "<i4").tobytes()


@pytest.mark.parametrize(
    ("header", "transposed"),
    [
        (ints(0, 1, 0, 64), False),
        (ints(0, 2, 0) + np.array([2**40], "<i8").tobytes(), False),
        (ints(1, 0, 0) + np.array([64], "<i8").tobytes(), False),
        (ints(1001, 0, 0, 64), True),
        (ints(0, 1001, 0, 64), True),
    ],
)
def test_headers_say_how_a_file_is_read(header, transposed, tmp_path):
    """From version 0.2 on `seen` takes 8 bytes; above 1000 connected weights are transposed and it takes 4."""
    config = tiny()
    state = randomized(config).state_dict()
    (tmp_path / "tiny.weights").write_bytes(darknet(config, state, header, transposed=transposed))
    for name, tensor in yolo.read(tmp_path / "tiny.weights", config).items():
        assert torch.equal(tensor, state[name])


def test_batch_normalization_is_folded_in(tmp_path):
    """A normalized file's network answers as convolution, (x - mean) / (deviation + 1e-6) * scale + bias would."""
    config = tiny("miniature")
    model = randomized(config)
    rng = torch.Generator().manual_seed(3)
    normalization = {
        f"convolutions.{i}": torch.rand(3, layer.out_channels, generator=rng) + 0.2
        for i, layer in enumerate(model.convolutions)
    }
    path = tmp_path / "normalized.weights"
    path.write_bytes(darknet(config, model.state_dict(), ints(0, 1, 0, 0), normalization))
    x = images(2, 32)
    found = randomized(config, seed=5)
    found.load_state_dict(yolo.read(path, config))
    x = x / 127.5 - 1
    for i, (layer, plan) in enumerate(zip(model.convolutions, config.convolutions, strict=True)):
        scale, mean, variance = normalization[f"convolutions.{i}"][:, :, None, None]
        x = (F.conv2d(x, layer.weight, padding=1) - mean) / (variance.sqrt() + 1e-6)
        x = F.leaky_relu(x * scale + layer.bias[:, None, None], 0.1)
        x = F.max_pool2d(x, 2) if plan.pooled else x
    torch.testing.assert_close(found.convolved(images(2, 32)), x, rtol=1e-4, atol=1e-5)


def test_a_darknet_file_of_another_length_is_refused(tmp_path):
    """The message has the numbers expected and found, and the layer in which the file ends or what is left over."""
    config, path = tiny(), tmp_path / "tiny.weights"
    content = darknet(config, randomized(config).state_dict(), ints(0, 1, 0, 0))
    # Nine convolutions: 3 -> 2 filters takes 56 numbers, 2 -> 2 takes 38; connected: 8 -> 2, 2 -> 6, 6 -> 52.
    count = 56 + 8 * 38 + 18 + 18 + 364
    assert len(content) == 16 + 4 * count
    expected = f"{count} numbers, or {count + 9 * 6} with batch normalization, got "
    path.write_bytes(content[: 16 + 4 * 60])
    with pytest.raises(ValueError, match=f"tiny.weights: .*layout fast.*3 classes, {expected}60: it ends in conv.*1, "):
        yolo.read(path, config)
    path.write_bytes(content[:-4])
    with pytest.raises(ValueError, match=rf"{expected}{count - 1}: it ends in connected.2, layer 12 of 12"):
        yolo.read(path, config)
    path.write_bytes(content + ints(1, 2, 3) + b"x")
    with pytest.raises(ValueError, match=rf"{expected}{count + 3}: 3 numbers are left over, and 1 bytes"):
        yolo.read(path, config)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"20 classes, .* it ends in connected.2"):
        yolo.read(path, tiny(classes=VOC))


@pytest.mark.parametrize("content", [b"", b"weights", b"not a file of weights, but some text\n", b"PK\x03\x04 no"])
def test_a_file_of_another_kind_is_refused_in_our_words(content, tmp_path):
    """Whatever it is, the message names the file and what it should be, and never says how to trust it."""
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights.bin: expected names and tensors written by torch.save") as caught:
        yolo.read(path, tiny())
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("content", [torch.zeros(3), {"epoch": 3, "state_dict": {}}])
def test_files_of_anything_but_tensors_are_refused(content, tmp_path):
    """A torch file holds names and tensors, and nothing else."""
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other.pt: expected names and tensors written by torch.save, got "):
        yolo.read(tmp_path / "other.pt", tiny())


def test_a_missing_file_is_missing(tmp_path):
    """Where there is no file, the error is the system's own."""
    with pytest.raises(FileNotFoundError):
        yolo.read(tmp_path / "none", tiny())


def test_torch_files_are_read(tmp_path):
    """A state dict comes back as it was, in float32."""
    config = tiny()
    state = randomized(config).state_dict()
    torch.save({name: tensor.double() for name, tensor in state.items()}, tmp_path / "tiny.pt")
    same(yolo.read(tmp_path / "tiny.pt", config), state)


def test_another_architecture_is_refused_with_all_that_differs(tmp_path):
    """Every name and shape that differs is listed: of another shape, missing, and not known."""
    config = tiny()
    state = randomized(config).state_dict()
    state["connected.2.bias"] = torch.zeros(30)
    del state["convolutions.0.bias"]
    state["fc.weight"] = torch.zeros(2, 2)
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="other.pt: expected a network of layout fast") as caught:
        yolo.read(tmp_path / "other.pt", config)
    assert str(caught.value).splitlines()[1:] == [
        "  convolutions.0.bias: expected (2,), got nothing",
        "  connected.2.bias: expected (52,), got (30,)",
        "  fc.weight: expected nothing, got (2, 2)",
    ]


@pytest.mark.parametrize("kind", ["torch", "darknet"])
def test_weights_that_are_no_numbers_are_refused(kind, tmp_path):
    """NaN in a file is found when it is read, by the name of its layer."""
    config = tiny()
    state = randomized(config).state_dict()
    state["convolutions.3.bias"][0] = float("nan")
    if kind == "torch":
        torch.save(state, tmp_path / "nan")
    else:
        yolo.write_darknet(tmp_path / "nan", config, state)
    with pytest.raises(ValueError, match="nan: expected finite numbers, got NaN or infinity in convolutions.3.bias"):
        yolo.read(tmp_path / "nan", config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layout": "v2"}, "layout: expected yolo, small, fast, miniature, got 'v2'"),
        ({"width": 0.0}, "width: expected a positive number, got 0"),
        ({"grid": 0}, "grid: expected at least 1, got 0"),
        ({"boxes": 0}, "boxes: expected at least 1, got 0"),
        ({"features": 0}, "features: expected at least 1, got 0"),
        ({"classes": ()}, "classes: expected names, each once, got"),
        ({"classes": ("a", "a")}, "classes: expected names, each once, got"),
        ({"dropout": 1.0}, "dropout: expected a share in"),
    ],
)
def test_settings_are_checked(settings, message):
    """A setting that makes no network is refused by its name."""
    with pytest.raises(ValueError, match=message):
        Config(**settings)
