"""YOLO (Redmon, Divvala, Girshick, Farhadi 2016, "You Only Look Once"), whole: convolutions, hidden layers, output.

yolo: Figure 3, 24 convolutions and one hidden layer. small: the released YOLO-small that Ning et al. 2016 (ROLO) see
through, the same convolutions and hidden layers of 512 and 4096. fast: Fast YOLO, of which the paper says nothing
but nine convolutions with fewer filters (Section 2.1): as the public tiny model has it, maxima taken after the first
six, hidden layers of 256 and 4096. miniature: ours, for images of about a hundred pixels, a sixteenth of whose
width a cell is: five convolutions, maxima taken after four.

Weights are read from PyTorch's files and from darknet's. The last layer's numbers are darknet's: the classes of
all cells, then the confidences, then the boxes; see `YOLO.split`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers.backbones import weights_file

VOC = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
LEAK = 0.1  # slope of negative responses
LEAST = 2  # filters of the narrowest layer
CHUNK = 448**2  # pixels of images whose responses a processor's cache holds
EPSILON = 1e-6  # what darknet adds to a deviation
ZIP, PICKLE = b"PK", b"\x80"  # what torch's files begin with
LARGEST = 1 << 16  # above any number of a darknet version


class Convolution(NamedTuple):
    """One layer: its filters, their side, their stride, and whether a maximum of 2 x 2 follows."""

    filters: int
    kernel: int
    stride: int = 1
    pooled: bool = False


YOLO_CONVOLUTIONS = (
    Convolution(64, 7, 2, pooled=True),
    Convolution(192, 3, pooled=True),
    *(Convolution(128, 1), Convolution(256, 3), Convolution(256, 1), Convolution(512, 3, pooled=True)),
    *(Convolution(256, 1), Convolution(512, 3)) * 4,
    *(Convolution(512, 1), Convolution(1024, 3, pooled=True)),
    *(Convolution(512, 1), Convolution(1024, 3)) * 2,
    *(Convolution(1024, 3), Convolution(1024, 3, 2), Convolution(1024, 3), Convolution(1024, 3)),
)
FAST_CONVOLUTIONS = (
    *(Convolution(filters, 3, pooled=True) for filters in (16, 32, 64, 128, 256, 512)),
    *(Convolution(1024, 3),) * 3,
)
MINIATURE_CONVOLUTIONS = (
    *(Convolution(filters, 3, pooled=True) for filters in (64, 128, 256, 512)),
    Convolution(512, 3),
)
CONVOLUTIONS = {
    "yolo": YOLO_CONVOLUTIONS,
    "small": YOLO_CONVOLUTIONS,
    "fast": FAST_CONVOLUTIONS,
    "miniature": MINIATURE_CONVOLUTIONS,
}
HIDDEN: dict[str, tuple[int, ...]] = {"yolo": (), "small": (512,), "fast": (256,), "miniature": ()}  # before the last
PRETRAINED = {"yolo": 20, "small": 20, "fast": 7, "miniature": 5}  # Section 2.2; fast: those of darknet's reference


@dataclass(frozen=True)
class Config:
    """One network; the defaults are the paper's.

    width: what the numbers of filters, and of hidden units but the last ones, are multiplied by; at least 2 are
    left. features: the last hidden layer's units. grid, boxes, classes: S, B and the names of the C classes.
    dropout: rate after the last hidden layer while training (Section 2.2; the paper has one, darknet's others agree).
    weights: a file that `read` understands; None: they are trained here.
    """

    layout: Literal["yolo", "small", "fast", "miniature"] = "yolo"
    width: float = 1.0
    features: int = 4096
    grid: int = 7
    boxes: int = 2
    classes: tuple[str, ...] = VOC
    dropout: float = 0.5
    weights: str | None = None

    def __post_init__(self) -> None:
        if self.layout not in CONVOLUTIONS:
            raise ValueError(f"layout: expected {', '.join(CONVOLUTIONS)}, got {self.layout!r}")
        if not 0 < self.width < float("inf"):
            raise ValueError(f"width: expected a positive number, got {self.width}")
        for name in ("features", "grid", "boxes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes: expected names, each once, got {list(self.classes)}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: expected a share in [0, 1), got {self.dropout}")

    @property
    def size(self) -> int:
        """Width, and height, of the images that the network sees, in pixels."""
        return self.grid * prod(layer.stride * (1 + layer.pooled) for layer in self.convolutions)

    @property
    def outputs(self) -> int:
        """S x S x (B x 5 + C)."""
        return self.grid**2 * (self.boxes * 5 + len(self.classes))

    @property
    def convolutions(self) -> list[Convolution]:
        """The layers, as wide as `width` says."""
        return [layer._replace(filters=self._narrowed(layer.filters)) for layer in CONVOLUTIONS[self.layout]]

    @property
    def hidden(self) -> list[int]:
        """Units of the hidden layers."""
        return [*map(self._narrowed, HIDDEN[self.layout]), self.features]

    def _narrowed(self, units: int) -> int:
        return max(LEAST, round(units * self.width))


class YOLO(nn.Module):
    """Parameters: convolutions.0.weight, convolutions.0.bias, ..., connected.0.weight, ...; the last one is linear."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        layers = config.convolutions
        self.poolings = [layer.pooled for layer in layers]
        channels = pairwise((3, *(layer.filters for layer in layers)))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(inputs, outputs, layer.kernel, layer.stride, layer.kernel // 2)
            for (inputs, outputs), layer in zip(channels, layers, strict=True)
        )
        units = pairwise((layers[-1].filters * config.grid**2, *config.hidden, config.outputs))
        self.connected = nn.ModuleList(nn.Linear(inputs, outputs) for inputs, outputs in units)
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.kaiming_normal_(parameter, a=LEAK, nonlinearity="leaky_relu")
            else:
                nn.init.zeros_(parameter)
        last = self.get_parameter(f"connected.{len(self.connected) - 1}.weight")
        nn.init.normal_(last, std=0.01)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor, kept: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """RGB images in 0..255, float (N, 3, S, S) -> features (N, D), output (N, S * S * (B * 5 + C)).

        kept: what dropout lets through, (N, D) of 0 or 1 / (1 - rate); None: all. Channels-last is fastest.
        """
        if images.is_cuda or torch.is_grad_enabled():
            x = self.convolved(images)
        else:
            few = max(1, CHUNK // (images.shape[2] * images.shape[3]))
            x = torch.cat([self.convolved(some) for some in images.split(few)])
        x = x.flatten(1)  # (N, C * S * S), channel by channel, then row by row
        for layer in self.connected[:-1]:
            x = F.leaky_relu(layer(x), LEAK)
        return x, self.connected[-1](x if kept is None else x * kept)

    def convolved(self, images: Tensor, layers: int | None = None) -> Tensor:
        """Responses of the first `layers` convolutions, or of all, to RGB images in 0..255: (N, C, H, W)."""
        x = images * (2 / 255) - 1  # (N, 3, 448, 448)
        for convolution, pooled in zip(self.convolutions[:layers], self.poolings, strict=False):
            x = F.leaky_relu(convolution(x), LEAK, inplace=True)
            if pooled:
                x = F.max_pool2d(x, 2)
        return x  # (N, 1024, 7, 7)

    def split(self, output: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Output (N, S * S * (B * 5 + C)) -> class probabilities (N, S, S, C), confidences (N, S, S, B), boxes.

        Cells go row by row. Boxes (N, S, S, B, 4) are the centre's x, y in units of the cell, from its top left, and
        the square roots of width and height in units of the image.
        """
        S, B, C = self.config.grid, self.config.boxes, len(self.config.classes)
        classes, confidences, boxes = output.split([S * S * C, S * S * B, S * S * B * 4], 1)
        return classes.view(-1, S, S, C), confidences.view(-1, S, S, B), boxes.view(-1, S, S, B, 4)


def read(path: str | Path, config: Config) -> dict[str, Tensor]:
    """The weights in a file, as the state of `YOLO(config)`, float32.

    The file was written by `torch.save` and holds the names and tensors of that state; or it is darknet's, with or
    without batch normalization of all convolutions, which is folded into them. Raises ValueError where it is of
    another architecture, with every name and shape that differs, or with the layer in which it ends or the numbers
    that are left over; for any other file; and for numbers that are not finite.
    """
    with Path(path).open("rb") as file:
        start = file.read(2)
    found = _read_torch(path, config) if start.startswith((ZIP, PICKLE)) else _read_darknet(path, config)
    weights_file.refuse_broken(path, found)
    return found


def write_darknet(path: str | Path, config: Config, state: Mapping[str, Tensor]) -> None:
    """Write the state of `YOLO(config)` as darknet does, version 0.1, without batch normalization."""
    numbers = [state[f"{name}.{part}"].float().numpy().ravel() for name, _ in _layers(config) for part in PARTS]
    with Path(path).open("wb") as file:
        file.write(np.array([0, 1, 0, 0], "<i4").tobytes())  # major, minor, revision; images seen in training
        file.write(np.concatenate(numbers).astype("<f4").tobytes())


PARTS = ("bias", "weight")  # in darknet's order


def _layers(config: Config) -> list[tuple[str, tuple[int, ...]]]:
    """Name, and shape of the weight, of each layer in order: (outputs, inputs) or (outputs, inputs, K, K)."""
    layers = config.convolutions
    channels = [3, *(layer.filters for layer in layers)]
    units = [channels[-1] * config.grid**2, *config.hidden, config.outputs]
    return [
        *(
            (f"convolutions.{i}", (layer.filters, channels[i], layer.kernel, layer.kernel))
            for i, layer in enumerate(layers)
        ),
        *((f"connected.{i}", (outputs, inputs)) for i, (inputs, outputs) in enumerate(pairwise(units))),
    ]


def _described(config: Config) -> str:
    return (
        f"a network of layout {config.layout}, width {config.width:g}, {config.features} features, grid {config.grid}, "
        f"{config.boxes} boxes and {len(config.classes)} classes"
    )


def _read_torch(path: str | Path, config: Config) -> dict[str, Tensor]:
    shapes = {
        f"{name}.{part}": shape[:1] if part == "bias" else shape
        for name, shape in _layers(config)
        for part in ("weight", "bias")
    }
    return weights_file.fitted(path, weights_file.tensors(path), shapes, _described(config))


def _read_darknet(path: str | Path, config: Config) -> dict[str, Tensor]:
    """Header, then of each layer biases, of a normalized one scales, means and variances, then weights."""
    content = Path(path).read_bytes()
    version = np.frombuffer(content[:12], "<i4") if len(content) >= 12 else np.zeros(0, "<i4")
    if len(version) < 3 or version.min() < 0 or version.max() > LARGEST:
        raise ValueError(
            f"{path}: expected names and tensors written by torch.save, or darknet's weights, which begin with their "
            f"version, got a file of {len(content)} bytes that begins with {content[:12]!r}"
        )
    major, minor, _ = version.tolist()
    transposed = major > 1000 or minor > 1000
    header = 20 if major * 10 + minor >= 2 and not transposed else 16  # `seen` takes 8 bytes, or 4
    layers = _layers(config)
    normalizations = [3 * shape[0] if len(shape) == 4 else 0 for _, shape in layers]
    plain = [shape[0] + int(np.prod(shape)) for _, shape in layers]
    normalized = [a + b for a, b in zip(plain, normalizations, strict=True)]
    count, rest = divmod(max(len(content) - header, 0), 4)
    if rest or count not in (sum(plain), sum(normalized)):
        ends = np.cumsum(plain)
        if count < ends[-1]:
            at = int(np.searchsorted(ends, count, "right"))
            where = f"it ends in {layers[at][0]}, layer {at + 1} of {len(layers)}"
        else:
            where = f"{count - ends[-1]} numbers are left over" + (f", and {rest} bytes" if rest else "")
        raise ValueError(
            f"{path}: expected {_described(config)}, {sum(plain)} numbers, or {sum(normalized)} with batch "
            f"normalization, got {count}: {where}"
        )
    numbers = torch.from_numpy(np.frombuffer(content, "<f4", offset=header).astype(np.float32))
    weights, at = dict[str, Tensor](), 0

    def take(*shape: int) -> Tensor:
        nonlocal at
        at += (n := int(np.prod(shape)))
        return numbers[at - n : at].view(shape)

    for name, shape in layers:
        outputs = shape[0]
        bias = take(outputs)
        if count != sum(plain) and len(shape) == 4:
            scale, mean, variance = take(3, outputs).double()
            factor = scale / (variance.sqrt() + EPSILON)  # (outputs,)
            weight = (take(*shape) * factor[:, None, None, None]).float()
            bias = (bias - mean * factor).float()
        else:
            weight = take(*shape[::-1]).T if transposed and len(shape) == 2 else take(*shape)
        weights[f"{name}.weight"], weights[f"{name}.bias"] = weight.contiguous(), bias.contiguous()
    return weights
