import pytest
import torch
import torch.nn.functional as F

from trackers.backbones import normalization
from trackers.backbones.normalization import normalize, normalize_


@pytest.mark.parametrize("channels", [1, 3, 7])
@pytest.mark.parametrize(("k", "alpha"), [(1.0, 1e-4 / 5), (2.0, 1e-4)])
def test_normalization_is_torchs_own(channels, k, alpha):
    """Responses are normalized across channels as nn.LocalResponseNorm does it, whose alpha is five times ours."""
    x = torch.randn(2, channels, 5, 4).mul(200)
    torch.testing.assert_close(normalize(x, k, alpha), F.local_response_norm(x, 5, 5 * alpha, 0.75, k))


def test_a_response_is_divided_by_its_neighbours_strength():
    """Of seven ones in a row the middle one has five in reach, the first three: worked out by hand."""
    x = torch.ones(1, 7, 1, 1)
    found = normalize(x, 2.0, 0.1).flatten()
    assert found[3].item() == pytest.approx(2.5**-0.75)
    assert found[0].item() == pytest.approx(2.3**-0.75)


@pytest.mark.parametrize("channels", [1, 3, 7, 96])
def test_in_place_it_is_the_same(channels, monkeypatch):
    """Block by block too, the last of which is a part of one."""
    monkeypatch.setattr(normalization, "BLOCK", 7 * channels)
    x = torch.randn(2, channels, 5, 4).mul(200).contiguous(memory_format=torch.channels_last)
    expected = normalize(x, 2.0, 1e-4)
    found = normalize_(x, 2.0, 1e-4)
    torch.testing.assert_close(found, expected)
    assert found.data_ptr() == x.data_ptr()
