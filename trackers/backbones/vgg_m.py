"""VGG-M (Chatfield et al. 2014) up to conv3, without padding, as MDNet (Nam and Han 2016) uses it on patches.

    conv1 7 x 7, every 2 pixels   ReLU   normalization   maximum of 3 x 3, every 2
    conv2 5 x 5, every 2          ReLU   normalization   maximum of 3 x 3, every 2
    conv3 3 x 3                   ReLU

A patch of 107 x 107 pixels gives 3 x 3 responses, 16 pixels apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers.backbones.normalization import normalize

STRIDE = 16  # pixels between responses; `dense` gives them every 8
KERNELS = (7, 5, 3)
STRIDES = (2, 2, 1)
K, ALPHA = 2.0, 1e-4  # of the normalization; alpha is not divided by the 5 channels
LEAST = 75  # pixels that one response sees
CHUNK = 8 * 107**2  # pixels of images whose responses a processor's cache holds


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


class VGGM(nn.Module):
    """Parameters: conv1.weight, conv1.bias, ... conv3.bias.

    On a CPU, without gradients, images are taken few at a time: the results are the same.
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

    def side(self, size: int) -> int:
        """Height, and width, of the responses to `size` x `size` pixels; ValueError where nothing would be left."""
        if size < LEAST:
            raise ValueError(f"size: expected at least {LEAST} pixels, got {size}")
        return (size - LEAST) // STRIDE + 1

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
            return self._responses(images, stride)
        few = max(1, CHUNK // (images.shape[2] * images.shape[3]))
        return torch.cat([self._responses(some, stride) for some in images.split(few)])

    def _responses(self, images: Tensor, stride: int) -> Tensor:
        weight, bias = self.conv1.weight, self.conv1.bias
        assert bias is not None
        bias = bias - self.grey * weight.sum((1, 2, 3))  # without padding, the grey may be taken from it instead
        x = F.relu_(F.conv2d(images, weight, bias, stride=2))  # (N, 96, 51, 51), where images are patches of 107
        x = F.max_pool2d(normalize(x, K, ALPHA), 3, 2)  # (N, 96, 25, 25)
        x = F.relu_(self.conv2(x))  # (N, 256, 11, 11)
        x = F.max_pool2d(normalize(x, K, ALPHA), 3, stride)  # (N, 256, 5, 5), or 9 x 9 where the stride is 1
        dilation = 2 // stride
        return F.relu_(F.conv2d(x, self.conv3.weight, self.conv3.bias, dilation=dilation))  # (N, 512, 3, 3), or 5 x 5


def read(path: str | Path, config: Config) -> dict[str, Tensor]:
    """The convolutional weights in a file, as the state of `VGGM(config)`, float32."""
    raise NotImplementedError
