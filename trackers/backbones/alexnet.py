"""AlexNet (Krizhevsky, Sutskever, Hinton 2012) up to pool5, in the two layouts whose weights are at hand.

caffenet: Caffe's own, which GOTURN (Held et al. 2016, Section 3.3) builds on: convolution, ReLU, pooling, then
local response normalization; two groups in conv2, conv4 and conv5; inputs BGR, less the mean colour. Pooling
rounds sides up, as Caffe does. torchvision: one group, no normalization, conv1 padded by 2; inputs RGB / 255,
less the mean and divided by the deviation of ImageNet; pooling rounds down.

Either way the network takes RGB in 0..255 and sees to the rest itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers.backbones import weights_file
from trackers.backbones.normalization import normalize

KERNELS = (11, 5, 3, 3, 3)
STRIDES = (4, 1, 1, 1, 1)
POOLED = (1, 2, 5)  # convolutions after which a maximum is taken of 3 x 3, every 2 pixels
NORMALIZED = (1, 2)  # convolutions whose pooled responses are normalized, in Caffe's layout
K, ALPHA = 1.0, 1e-4 / 5  # of that normalization
CHUNK = 4 * 227**2  # pixels of images whose responses a processor's cache holds
TORCHVISION = (0, 3, 6, 8, 10)  # numbers of the convolutions in torchvision's `features`


@dataclass(frozen=True)
class Config:
    """One backbone; the defaults are CaffeNet's. torchvision's own widths are 64, 192, 384, 256, 256."""

    layout: Literal["caffenet", "torchvision"] = "caffenet"
    widths: tuple[int, ...] = (96, 256, 384, 384, 256)  # filters of conv1 .. conv5
    weights: str | None = None  # a file that `read` understands; None: they are trained here

    def __post_init__(self) -> None:
        if self.layout not in ("caffenet", "torchvision"):
            raise ValueError(f"layout: expected caffenet or torchvision, got {self.layout!r}")
        if len(self.widths) != 5 or min(self.widths) < 1:
            raise ValueError(f"widths: expected 5 numbers of filters, at least 1 each, got {list(self.widths)}")
        if self.layout == "caffenet" and any(width % 2 for width in self.widths):
            raise ValueError(f"widths: expected even numbers, for two groups of filters, got {list(self.widths)}")


class AlexNet(nn.Module):
    """Five convolutional layers. Parameters: conv1.weight, conv1.bias, ... conv5.bias."""

    conv1: nn.Conv2d
    conv2: nn.Conv2d
    conv3: nn.Conv2d
    conv4: nn.Conv2d
    conv5: nn.Conv2d
    mean: Tensor  # (3,): of R, G, B in 0..255
    deviation: Tensor  # (3,)

    def __init__(self, config: Config) -> None:
        super().__init__()
        caffe = self.caffe = config.layout == "caffenet"
        paddings = (0 if caffe else 2, 2, 1, 1, 1)
        groups = (1, 2, 1, 2, 2) if caffe else (1, 1, 1, 1, 1)
        layers = zip(pairwise((3, *config.widths)), KERNELS, STRIDES, paddings, groups, strict=True)
        for number, ((inputs, outputs), kernel, stride, padding, group) in enumerate(layers, 1):
            convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=group)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
            setattr(self, f"conv{number}", convolution)
        mean = (123.0, 117.0, 104.0) if caffe else (123.675, 116.28, 103.53)
        deviation = (1.0, 1.0, 1.0) if caffe else (58.395, 57.12, 57.375)
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation), persistent=False)
        self.width = config.widths[-1]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def convolutions(self) -> list[nn.Conv2d]:
        """conv1 .. conv5."""
        return [self.conv1, self.conv2, self.conv3, self.conv4, self.conv5]

    def side(self, size: int) -> int:
        """Height, and width, of pool5 for images of `size` x `size`; ValueError where nothing would be left."""
        side = (size + (0 if self.caffe else 4) - 11) // 4 + 1  # conv1; the others keep sides as they are
        for number in range(1, 6):
            if number in POOLED:
                side = (side - 3 + self.caffe) // 2 + 1
            if side < 1:
                raise ValueError(f"size: expected at least {39 if self.caffe else 63} pixels, got {size}")
        return side

    def features(self, size: int) -> int:
        """Numbers in pool5 for one image of `size` x `size`."""
        return self.width * self.side(size) ** 2

    def forward(self, images: Tensor) -> Tensor:
        """pool5 of RGB images in 0..255, float (N, 3, S, S): (N, C, side(S), side(S)). Channels-last is fastest."""
        if images.is_cuda or torch.is_grad_enabled():
            return self._pool5(images)
        few = max(1, CHUNK // (images.shape[2] * images.shape[3]))
        return torch.cat([self._pool5(some) for some in images.split(few)])

    def _pool5(self, images: Tensor) -> Tensor:
        x = self._first(images)  # (N, 96, 55, 55), where S is 227 and widths are CaffeNet's
        for number, convolution in enumerate(self.convolutions, 1):
            x = F.relu(x if number == 1 else convolution(x))  # (N, 256, 27, 27), then (N, 384 or 256, 13, 13)
            if number in POOLED:
                x = F.max_pool2d(x, 3, 2, ceil_mode=self.caffe)  # sides 27, 13, 6
            if self.caffe and number in NORMALIZED:
                x = normalize(x, K, ALPHA)
        return x

    def _first(self, images: Tensor) -> Tensor:
        """conv1 of images as they come: what is done to its inputs is done to its few weights instead.

        Only with padding, which stands for the mean colour, that colour is taken from the images.
        """
        weight, bias = self.conv1.weight, self.conv1.bias
        assert bias is not None
        weight = weight.flip(1) if self.caffe else weight / self.deviation[:, None, None]
        if self.caffe:
            bias = bias - (weight.sum((2, 3)) * self.mean).sum(1)
        else:
            images = images - self.mean[:, None, None]
        return F.conv2d(images, weight, bias, stride=4, padding=0 if self.caffe else 2)


def read(path: str | Path, config: Config) -> dict[str, Tensor]:
    """The convolutional weights in a file, as the state of `AlexNet(config)`, float32.

    The file was written by `torch.save` and holds names and tensors, in one of these ways: torchvision's AlexNet
    (features.0.weight, features.0.bias, features.3.weight, ...); or converted from Caffe, shapes as in Caffe and
    conv1's inputs BGR (conv1.weight, conv1.bias, ..., or conv1_w, conv1_b, ...). Fully connected layers in it
    (classifier..., fc...) are left out. Raises ValueError, with every name and shape that differs, where it is of
    another architecture, and for any other file.
    """
    found = weights_file.tensors(path)
    with torch.device("meta"):
        expected = AlexNet(config).state_dict()
    ways = [{name: write(name) for name in expected} for write in (_as_torchvision, str, _as_caffe)]
    names = max(ways, key=lambda way: len(found.keys() & set(way.values())))  # own name -> the file's
    shapes = {names[name]: tuple(tensor.shape) for name, tensor in expected.items()}
    network = f"an AlexNet in the {config.layout} layout of widths {list(config.widths)}"
    weights = weights_file.fitted(path, found, shapes, network, beside=("classifier", "fc"))
    return dict(zip(expected, weights.values(), strict=True))


def _as_torchvision(name: str) -> str:
    return f"features.{TORCHVISION[int(name[4]) - 1]}.{name[6:]}"


def _as_caffe(name: str) -> str:
    return f"{name[:5]}_{name[6]}"
