import pytest
import torch
from torch import nn

from trackers import inference


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (7, 13), (9, 8)])
def test_minimal_filtering_is_the_convolution(kernel, groups, size):
    """Outputs are those of the convolution, for any size of image."""
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 4, kernel, padding=kernel // 2, groups=groups).double()
    x = torch.randn(2, 6, *size, dtype=torch.float64)
    torch.testing.assert_close(inference.MinimalFiltering(layer)(x), layer(x), rtol=1e-12, atol=1e-12)


def test_minimal_filtering_is_as_exact_as_float32_allows():
    """In float32, errors stay below 1e-5 of the largest output at the width of AlexNet."""
    torch.manual_seed(0)
    for layer in (nn.Conv2d(64, 96, 5, padding=2), nn.Conv2d(256, 64, 3, padding=1, bias=False)):
        x = torch.randn(1, layer.in_channels, 13, 13).relu()
        found, expected = inference.MinimalFiltering(layer)(x), layer.double()(x.double())
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_layers_are_replaced_where_that_pays():
    """Wide convolutions that keep their inputs' size are replaced, however deep they lie, and no others."""
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.Sequential(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()),
        nn.Conv2d(64, 64, 3, padding=1, stride=2),
        nn.Conv2d(64, 64, 3),
        nn.Conv2d(64, 32, 5, padding=2),
        nn.Linear(8, 8),
    )
    x = torch.randn(2, 3, 20, 20)[..., :20]
    expected = model[:5](x)
    assert inference.on_cpu(model) is model
    replaced = [isinstance(layer, inference.MinimalFiltering) for layer in (*model, model[1][0])]
    assert replaced == [False, False, False, False, True, False, True]
    torch.testing.assert_close(model[:5](x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(
    "fbgemm" not in torch.backends.quantized.supported_engines, reason="this processor has no half precision"
)
def test_large_layers_keep_weights_in_half_precision(monkeypatch):
    """A large layer is what it is with its weights rounded to half precision, for one input and for many."""
    monkeypatch.setattr(inference, "LARGE", 64 * 48)
    torch.manual_seed(0)
    layer = nn.Linear(64, 48)
    model = inference.on_cpu(nn.Sequential(layer))
    assert isinstance(model[0], inference.HalfPrecisionLinear)
    x = torch.randn(33, 64)
    expected = x @ inference.rounded(layer.weight.detach()).T + layer.bias
    torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model(x[:1]), model(x)[:1], rtol=1e-6, atol=1e-6)


def test_rounding_errors_do_not_add_up():
    """Rounded weights are what half precision can hold, and sums along a row stay off by one rounding at most."""
    weight = torch.randn(20, 500, generator=torch.Generator().manual_seed(0)) * 0.005
    found = inference.rounded(weight)
    assert torch.equal(found, found.half().float())
    error = (found.double() - weight.double()).cumsum(1)
    assert error.abs().max() <= found.abs().max() * 2**-11
    assert (weight.half().double() - weight.double()).cumsum(1).abs().max() > 2 * error.abs().max()
