"""VGG-M (Chatfield et al. 2014) up to conv3, without padding, as MDNet (Nam and Han 2016) uses it on patches.

    conv1 7 x 7, every 2 pixels   ReLU   normalization   maximum of 3 x 3, every 2
    conv2 5 x 5, every 2          ReLU   normalization   maximum of 3 x 3, every 2
    conv3 3 x 3                   ReLU

A patch of 107 x 107 pixels gives 3 x 3 responses, 16 pixels apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers.backbones import matconvnet, weights_file
from trackers.backbones.normalization import normalize, normalize_

STRIDE = 16  # pixels between responses; `dense` gives them every 8
KERNELS = (7, 5, 3)
STRIDES = (2, 2, 1)
K, ALPHA = 2.0, 1e-4  # of the normalization; alpha is not divided by the 5 channels
LEAST = 75  # pixels that one response sees
BESIDE = ("conv4", "conv5", "fc", "layers.fc", "branches")  # how the names of layers begin that are left out
MATLAB = b"MATLAB"  # what its files begin with
CHUNK = 16 * 107**2  # pixels of images whose responses a processor's cache holds
MANY = 4  # times as many images, for conv3: its inputs are small, its weights large

Normalize = Callable[[Tensor, float, float], Tensor]


@dataclass(frozen=True)
class Config:
    """One backbone; the defaults are VGG-M's. grey: what stands for no light, taken from all pixels."""

    widths: tuple[int, ...] = (96, 256, 512)  # filters of conv1 .. conv3
    grey: float = 128.0
    weights: str | None = None  # a file that `read` understands; None: they are trained here

    def __post_init__(self) -> None:
        if len(self.widths) != 3 or min(self.widths) < 1:
            raise ValueError(f"widths: expected 3 numbers of filters, at least 1 each, got {list(self.widths)}")
        if not isfinite(self.grey):
            raise ValueError(f"grey: expected a number, got {self.grey}")


def side(size: int) -> int:
    """Height, and width, of the responses to `size` x `size` pixels; ValueError where nothing would be left."""
    if size < LEAST:
        raise ValueError(f"size: expected at least {LEAST} pixels, got {size}")
    return (size - LEAST) // STRIDE + 1


class VGGM(nn.Module):
    """Parameters: conv1.weight, conv1.bias, ... conv3.bias.

    On a CPU, without gradients, images are taken few at a time, and large ones in strips: memory is bounded, and the
    results are the same.
    """

    conv1: nn.Conv2d
    conv2: nn.Conv2d
    conv3: nn.Conv2d

    def __init__(self, config: Config) -> None:
        super().__init__()
        layers = zip(pairwise((3, *config.widths)), KERNELS, STRIDES, strict=True)
        for number, ((inputs, outputs), kernel, stride) in enumerate(layers, 1):
            convolution = nn.Conv2d(inputs, outputs, kernel, stride)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
            setattr(self, f"conv{number}", convolution)
        self.grey = config.grey
        self.width = config.widths[-1]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        """conv3 of RGB images in 0..255, float (N, 3, H, W): (N, C, h, w), responses every 16 pixels.

        Channels-last is fastest.
        """
        return self._conv3(images, 2)

    def dense(self, images: Tensor) -> Tensor:
        """conv3 every 8 pixels: (N, C, h', w'), of which [::2, ::2] is `forward` of the same images."""
        return self._conv3(images, 1)

    def _conv3(self, images: Tensor, stride: int) -> Tensor:
        """Responses; stride: of the second maxima. Where it is 1 there are twice as many, of which conv3 skips some."""
        if images.is_cuda or torch.is_grad_enabled():
            return self._third(self._second(self._first(images, normalize), normalize, stride), stride)
        N, _, H, W = images.shape
        few = max(1, CHUNK // (H * W))
        if few < N:
            first = (self._first(some, normalize_) for some in images.split(few))
            second = torch.cat([self._second(some, normalize_, stride) for some in first])
            return torch.cat([self._third(some, stride) for some in second.split(MANY * few)])
        # pool1 row by row: 11 rows of pixels give one, 4 more the next.
        high = max(1, CHUNK // (4 * N * W))
        strips = [images[:, :, 4 * top : 4 * (top + high) + 7] for top in range(0, (H - 7) // 4, high)]
        x = torch.cat([self._first(strip, normalize_) for strip in strips], 2)
        return self._third(self._second(x, normalize_, stride), stride)

    def _first(self, images: Tensor, normalize: Normalize) -> Tensor:
        """pool1 of images."""
        weight, bias = self.conv1.weight, self.conv1.bias
        assert bias is not None
        bias = bias - self.grey * weight.sum((1, 2, 3))  # without padding, the grey may be taken from it instead
        x = F.relu_(F.conv2d(images, weight, bias, stride=2))  # (N, 96, 51, 51), where images are patches of 107
        return F.max_pool2d(normalize(x, K, ALPHA), 3, 2)  # (N, 96, 25, 25)

    def _second(self, x: Tensor, normalize: Normalize, stride: int) -> Tensor:
        """pool2 of pool1."""
        x = F.relu_(self.conv2(x))  # (N, 256, 11, 11)
        return F.max_pool2d(normalize(x, K, ALPHA), 3, stride)  # (N, 256, 5, 5), or 9 x 9 where the stride is 1

    def _third(self, x: Tensor, stride: int) -> Tensor:
        """conv3 of pool2."""
        # (N, 512, 3, 3), or 5 x 5 where the stride is 1
        return F.relu_(F.conv2d(x, self.conv3.weight, self.conv3.bias, dilation=2 // stride))


def read(path: str | Path, config: Config) -> dict[str, Tensor]:
    """The convolutional weights in a file, as the state of `VGGM(config)`, float32.

    The file was written by `torch.save` and holds names and tensors: conv1.weight, conv1.bias, ..., or MDNet's,
    layers.conv1.0.weight, ...; or it is MatConvNet's (imagenet-vgg-m.mat). Layers behind conv3 in it are left out.
    Nothing in it is run. Raises ValueError, with every name and shape that differs, where it is of another
    architecture; for any other file; and for numbers that are not finite.
    """
    with Path(path).open("rb") as file:
        found = matconvnet.tensors(path) if file.read(6) == MATLAB else weights_file.tensors(path)
    with torch.device("meta"):
        expected = VGGM(config).state_dict()
    ways = [{name: write(name) for name in expected} for write in (str, _as_mdnet)]
    names = max(ways, key=lambda way: len(found.keys() & set(way.values())))  # own name -> the file's
    shapes = {names[name]: tuple(tensor.shape) for name, tensor in expected.items()}
    network = f"a VGG-M of widths {list(config.widths)}"
    weights = weights_file.fitted(path, found, shapes, network, beside=BESIDE)
    return dict(zip(expected, weights.values(), strict=True))


def _as_mdnet(name: str) -> str:
    return f"layers.{name.replace('.', '.0.')}"
