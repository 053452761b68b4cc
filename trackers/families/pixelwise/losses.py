"""What the two models minimize (Song et al. 2017, Eqs. 2 and 4)."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from trackers.families.pixelwise.anchor import transformed

LARGEST_VARIATION, VARIATION = 1000.0, 1e-4  # beta and lambda of Eq. 2


def total_variation(maps: Tensor) -> Tensor:
    """V of Eq. 2: the sum of what neighbouring pixels differ by, maps (..., height, width) -> (...)."""
    down, right = maps[..., 1:, :] - maps[..., :-1, :], maps[..., :, 1:] - maps[..., :, :-1]
    return down.abs().sum((-2, -1)) + right.abs().sum((-2, -1))


def segmentation_cost(logits: Tensor, masks: Tensor, over: Literal["sum", "mean"] = "sum") -> dict[str, Tensor]:
    """Eq. 2 of clips: logits and masks (float, 0 or 1), (T, N, size, size) -> scalars, means over the N clips.

    loss: cross entropy + 1e-4 min(1000, V), V the mean total variation of a clip's T maps.
    over: whether cross entropy is the sum over the pixels of a clip, as printed, or their mean. Logits of less
    precision are taken as float32: a sum of so many would lose most of its digits.
    """
    logits = logits.float()
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")  # (T, N, S, S)
    entropy = entropy.sum((0, 2, 3)) if over == "sum" else entropy.mean((0, 2, 3))  # (N,)
    variation = total_variation(logits.sigmoid()).mean(0)  # (N,)
    parts = {"cross entropy": entropy.mean(), "variation": variation.mean()}
    limited = variation.clamp(max=LARGEST_VARIATION)
    return {"loss": (entropy + VARIATION * limited).mean(), **parts}


def attention_cost(
    theta: Tensor, maps: Tensor, aspect: Tensor, pixels: int, weight: float, smoothness: float, burn_in: int
) -> dict[str, Tensor]:
    """Eq. 4 of clips: theta (T, N, 3) of the frames that maps (T, N, size, size), bool, show -> scalars.

    aspect: (N,). pixels: of the anchor's image. weight: of a pixel of the target, against 1 of another: the anchor is
    to "enclose as much foreground pixel as possible". smoothness: lambda. burn_in: i; the first frame here is number 1.

    The weighted l2 loss is the mean over pixels, as the sum would grow with the size of maps; frames in which the
    target is gone do not count in it. loss: the sum of both over frames, in the mean over clips.
    """
    theta_before, theta, maps = theta[burn_in - 2 : -1], theta[burn_in - 1 :], maps[burn_in - 1 :]
    covered = transformed(theta, aspect.expand(theta.shape[:2]), maps.shape[-1], pixels)  # (T - i + 1, N, S, S)
    squares = (covered - maps.float()).square() * (1 + (weight - 1) * maps.float())
    present = maps.flatten(2).any(2)  # (T - i + 1, N)
    overlap = (squares.mean((2, 3)) * present).sum(0).mean()
    moved = (theta - theta_before).square().sum(-1).add(1e-12).sqrt().sum(0).mean()
    return {"loss": overlap + smoothness * moved, "overlap": overlap, "moved": moved}
