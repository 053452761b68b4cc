"""Local response normalization across channels (Krizhevsky, Sutskever, Hinton 2012, Section 3.3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 2  # channels to either side
BLOCK = 80_000  # numbers that the cache of each thread holds a few times


def normalize(x: Tensor, k: float, alpha: float) -> Tensor:
    """Responses (N, C, H, W), each divided by (k + alpha x the sum of squares of 5 channels around it) ** (3/4).

    Fastest where they lie channels last. torch's own sums those 5 with a pooling in three dimensions, in ten times
    the time; its alpha is 5 times as large.
    """
    channels = x.shape[1]
    last = x.permute(0, 2, 3, 1)  # (N, H, W, C)
    squares = F.pad((last * alpha**0.5).square(), (REACH, REACH))  # (N, H, W, C + 4)
    total = squares[..., :channels] + k
    for offset in range(1, 2 * REACH + 1):
        total = total + squares[..., offset : offset + channels]
    return (last * (total * total.sqrt()).rsqrt()).permute(0, 3, 1, 2)  # (N, C, H, W)


def normalize_(x: Tensor, k: float, alpha: float) -> Tensor:
    """`normalize` in place, without gradients, of responses that lie channels last: on a CPU in half of the time.

    Block by block, so that what is written stays in cache. The squares of a block lie in one row, with REACH numbers
    between those of one pixel and of the next, so that sums over channels are sums of this row and itself, shifted.
    """
    channels = x.shape[1]
    pixels = x.permute(0, 2, 3, 1).view(-1, channels)  # (N H W, C)
    count = max(1, min(len(pixels), BLOCK * torch.get_num_threads() // channels))
    share = x.new_tensor(k / (2 * REACH + 1))  # of k, in each of the numbers that are added up
    padded = share.repeat(count * (channels + REACH) + REACH)
    pairs, sums = torch.empty_like(padded), torch.empty_like(padded)
    for some in pixels.split(count):
        n = len(some) * (channels + REACH)
        squares, two, five = padded[: n + REACH], pairs[: n + 1], sums[: n - REACH]
        torch.addcmul(share, some, some, value=alpha, out=_without_gaps(squares[REACH:], channels))
        torch.add(squares[:-1], squares[1:], out=two)
        torch.add(two[:-3], two[2:-1], out=five).add_(squares[4:])
        torch.sqrt(five, out=two[:-3]).mul_(five).sqrt_()  # five ** (3/4)
        some.div_(_without_gaps(two[:-1], channels))
    return x


def _without_gaps(row: Tensor, channels: int) -> Tensor:
    return row.view(-1, channels + REACH)[:, :channels]
