"""VGG-M (Chatfield et al. 2014) up to conv3, without padding, as MDNet (Nam and Han 2016) uses it on patches.

    conv1 7 x 7, every 2 pixels   ReLU   normalization   maximum of 3 x 3, every 2
    conv2 5 x 5, every 2          ReLU   normalization   maximum of 3 x 3, every 2
    conv3 3 x 3                   ReLU

A patch of 107 x 107 pixels gives 3 x 3 responses, 16 pixels apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

STRIDE = 16  # pixels between responses; `dense` gives them every 8


@dataclass(frozen=True)
class Config:
    """One backbone; the defaults are VGG-M's. grey: what stands for no light, taken from all pixels."""

    widths: tuple[int, ...] = (96, 256, 512)  # filters of conv1 .. conv3
    grey: float = 128.0
    weights: str | None = None  # a file that `read` understands; None: they are trained here


class VGGM(nn.Module):
    """Parameters: conv1.weight, conv1.bias, ... conv3.bias."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.width = config.widths[-1]

    def side(self, size: int) -> int:
        """Height, and width, of the responses to `size` x `size` pixels; ValueError where nothing would be left."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """conv3 of RGB images in 0..255, float (N, 3, H, W): (N, C, h, w), responses every 16 pixels."""
        raise NotImplementedError

    def dense(self, images: Tensor) -> Tensor:
        """conv3 every 8 pixels: (N, C, h', w'), of which [::2, ::2] is `forward` of the same images."""
        raise NotImplementedError


def read(path: str | Path, config: Config) -> dict[str, Tensor]:
    """The convolutional weights in a file, as the state of `VGGM(config)`, float32."""
    raise NotImplementedError
