"""The region of interest as a spatial transform of a fixed anchor (Song et al. 2017, Section 4, Eq. 4).

The anchor Z_A is a square in the middle of the frame, half as high and wide as the frame's shorter side. A transform
theta scales it by s and shifts it by x and y: in the frame it stays a square. Maps of the frame are squeezed to
squares, whatever its shape: coordinates of theta and of maps reach from -1 to 1 across the width, and from -1 to 1 down
the height.

The paper's anchor, transformed, is to cover the target; the ROI from which the target is to be cut is "twice the longer
length of the object" wide (Section 3.3). Read here: the ROI is `context` (2) times as wide as the transformed anchor.
"""

from __future__ import annotations

import torch
from torch import Tensor

HALF = 0.5  # of the frame's shorter side: the anchor's


def reach(theta: Tensor, aspect: Tensor) -> Tensor:
    """Half the width and height of the transformed anchor in coordinates of maps.

    theta: (..., 3) s, x, y. aspect: (...), width by height of the frame. -> (..., 2)
    """
    sides = torch.stack([(1 / aspect).clamp(max=1), aspect.clamp(max=1)], -1)  # (..., 2)
    return HALF * theta[..., :1] * sides


def transformed(theta: Tensor, aspect: Tensor, size: int, pixels: int) -> Tensor:
    """T(theta)(Z_A): the anchor's image of pixels x pixels, sampled by a map of size x size.

    theta: (..., 3). aspect: (...). -> (..., size, size) in [0, 1]. What bilinear sampling of an image of a square
    gives is a product of two ramps, of x and of y, one pixel of the anchor's image wide; so no image is sampled.
    """
    places = (torch.arange(size, device=theta.device) + 0.5) * 2 / size - 1  # (S,) of the map's pixels
    extent = reach(theta, aspect) / HALF  # (..., 2) of the whole image of the anchor
    away = (places - theta[..., 1:, None]).abs() / extent[..., None].clamp(min=1e-6)  # (..., 2, S) in that image
    ramps = (0.5 + (HALF - away) * pixels / 2).clamp(0, 1)  # (..., 2, S)
    return ramps[..., 1, :, None] * ramps[..., 0, None, :]


def square(theta: Tensor, aspect: Tensor, size: Tensor) -> Tensor:
    """The transformed anchor in pixels of the frame: centre x, y and side.

    theta: (..., 3). size: (..., 2), width and height of the frame. -> (..., 3)
    """
    centre = (theta[..., 1:] + 1) / 2 * size
    return torch.cat([centre, reach(theta, aspect)[..., :1] * size[..., :1]], -1)


def around(squares: Tensor, size: Tensor) -> Tensor:
    """The transforms of which these are the squares, see `square`: (..., 3) -> (..., 3)."""
    shorter = size.amin(-1, keepdim=True)
    return torch.cat([squares[..., 2:] / (HALF * shorter), squares[..., :2] / size * 2 - 1], -1)
