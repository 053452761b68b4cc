"""VGG-16 (Simonyan and Zisserman 2014, configuration D) up to pool5, in torchvision's layout.

Thirteen convolutions of 3 x 3 in five blocks, ReLU after each, a maximum taken of 2 x 2 after each block. The network
takes RGB in 0..255 and sees to the rest itself: / 255, less the mean and divided by the deviation of ImageNet.

Song, Li, Wang 2017 (Section 3) see through it up to pool4: once as it is, and once with the responses just before
pool1 multiplied by a mask of the target, which tells it from other objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers.backbones import weights_file
from trackers.inference import MinimalFiltering

CONVOLUTIONS = (2, 2, 3, 3, 3)  # of each block
TORCHVISION = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # numbers of the convolutions in its `features`
WIDE = 128  # channels of a layer's inputs, from which on minimal filtering is faster
CHUNK = 224**2  # pixels of images looked at at once: about what a processor's cache holds of their responses
CHUNK_ON_GPU = 64 * 224**2  # whose responses take two times 0.8 GB, at the paper's widths


@dataclass(frozen=True)
class Config:
    """One network; the default widths are the paper's."""

    widths: tuple[int, ...] = (64, 128, 256, 512, 512)  # filters of the convolutions of each block
    weights: str | None = None  # a file that `read` understands; None: they are trained here

    def __post_init__(self) -> None:
        if len(self.widths) != 5 or min(self.widths) < 1:
            raise ValueError(f"widths: expected 5 numbers of filters, at least 1 each, got {list(self.widths)}")


class VGG16(nn.Module):
    """Five blocks of convolutions. Parameters: conv1_1.weight, conv1_1.bias, conv1_2.weight, ... conv5_3.bias.

    Without gradients, images are taken few at a time: memory is bounded, and the results are the same.
    """

    mean: Tensor  # (3,): of R, G, B in 0..255
    deviation: Tensor  # (3,)

    def __init__(self, config: Config) -> None:
        super().__init__()
        inputs = 3
        for block, (width, count) in enumerate(zip(config.widths, CONVOLUTIONS, strict=True), 1):
            for number in range(1, count + 1):
                convolution = nn.Conv2d(inputs, width, 3, padding=1)
                nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
                nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
                setattr(self, f"conv{block}_{number}", convolution)
                inputs = width
        self.register_buffer("mean", torch.tensor((123.675, 116.28, 103.53)), persistent=False)
        self.register_buffer("deviation", torch.tensor((58.395, 57.12, 57.375)), persistent=False)
        self.widths = config.widths
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def on_cpu(self) -> VGG16:
        """This network made faster on a CPU, for inference alone: the same results to rounding, in 0.7 of the time.

        Blocks 3 to 5 are computed by minimal filtering where they are wide. It would slow down blocks 1 and 2, which
        have few channels of many pixels. Parameters of the layers replaced are gone from `state_dict()`.
        """
        for block in (3, 4, 5):
            for number in range(1, CONVOLUTIONS[block - 1] + 1):
                layer = self.get_submodule(f"conv{block}_{number}")
                if isinstance(layer, nn.Conv2d) and layer.in_channels >= WIDE:
                    setattr(self, f"conv{block}_{number}", MinimalFiltering(layer))
        return self

    def pool4(self, images: Tensor) -> Tensor:
        """pool4 of RGB images in 0..255, float (N, 3, S, S): (N, C4, S / 16, S / 16). Channels-last is fastest."""
        return torch.cat([self._rest(self._before_pool1(some)) for (some,) in _few(images)])

    def pool4_masked(self, images: Tensor, masks: Tensor) -> Tensor:
        """pool4, conv1_2's responses multiplied by masks (N, 1, S, S), bool or 0..1, just before pool1."""
        return torch.cat([self._rest(self._before_pool1(some) * mask) for some, mask in _few(images, masks)])

    def both(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """`pool4` and `pool4_masked` of the same images; what comes before pool1 is computed once."""
        unmasked, masked = list[Tensor](), list[Tensor]()
        for some, mask in _few(images, masks):
            x = self._before_pool1(some)  # (n, C1, S, S)
            without, with_mask = self._rest(torch.cat([x, x * mask])).chunk(2)
            unmasked.append(without)
            masked.append(with_mask)
        return torch.cat(unmasked), torch.cat(masked)

    def block5(self, pool4: Tensor) -> Tensor:
        """pool5 of pool4: (N, C4, h, w) -> (N, C5, h / 2, w / 2)."""
        return self._block(5, pool4)

    def _before_pool1(self, images: Tensor) -> Tensor:
        """conv1_2's responses: (N, 3, S, S) -> (N, C1, S, S).

        The deviation is divided out of the first weights, which are few, instead of the images. The mean is taken from
        the images, as padding stands for it.
        """
        first: nn.Conv2d = self.get_submodule("conv1_1")  # type: ignore[assignment]
        weight = first.weight / self.deviation[:, None, None]
        x = F.conv2d(images - self.mean[:, None, None], weight, first.bias, padding=1)
        return F.relu_(self.get_submodule("conv1_2")(F.relu_(x)))

    def _rest(self, x: Tensor) -> Tensor:
        """pool4 of conv1_2's responses: (N, C1, S, S) -> (N, C4, S / 16, S / 16)."""
        x = F.max_pool2d(x, 2)  # (N, 64, 112, 112), where S is 224 and widths are the paper's
        for block in (2, 3, 4):
            x = self._block(block, x)  # (N, 128, 56, 56), (N, 256, 28, 28), (N, 512, 14, 14)
        return x

    def _block(self, block: int, x: Tensor) -> Tensor:
        for number in range(1, CONVOLUTIONS[block - 1] + 1):
            x = F.relu_(self.get_submodule(f"conv{block}_{number}")(x))
        return F.max_pool2d(x, 2)


def _few(images: Tensor, *masks: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Images, and their masks, few at a time; all at once where gradients are wanted, for which all is kept anyway."""
    if torch.is_grad_enabled():
        yield (images, *masks)
        return
    few = max(1, (CHUNK_ON_GPU if images.is_cuda else CHUNK) // (images.shape[2] * images.shape[3]))
    yield from zip(*(x.split(few) for x in (images, *masks)), strict=True)


def read(path: str | Path, config: Config) -> dict[str, Tensor]:
    """The convolutional weights in a file, as the state of `VGG16(config)`, float32.

    The file was written by `torch.save` and holds names and tensors as torchvision's vgg16 does (features.0.weight,
    features.0.bias, features.2.weight, ..., features.28.bias). Its fully connected layers (classifier...) are left
    out, and not even read where the file can be mapped. Raises ValueError, with every name and shape that differs,
    where it is of another architecture; for any other file; and for numbers that are not finite.
    """
    with torch.device("meta"):
        expected = VGG16(config).state_dict()  # weight and bias of each convolution in order
    names = [f"features.{number}.{part}" for number in TORCHVISION for part in ("weight", "bias")]
    shapes = {name: tuple(tensor.shape) for name, tensor in zip(names, expected.values(), strict=True)}
    network = f"torchvision's vgg16 of widths {list(config.widths)}"
    found = weights_file.fitted(path, weights_file.tensors(path), shapes, network, beside=("classifier",))
    return dict(zip(expected, found.values(), strict=True))
