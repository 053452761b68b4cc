"""Trained networks made faster on a CPU: the same results to rounding.

Convolutions of 3 x 3 and 5 x 5 are computed by minimal filtering (Lavin and Gray 2016, arXiv:1509.09308), with
3.2 and 4.6 times fewer multiplications. The largest fully connected layers, which for few inputs take as long as
their weights take to be read from memory, keep these in half precision: half the bytes. Inputs, products and
sums are float32 throughout.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TILE = 3  # side of the tiles of outputs computed at once
POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5)  # where polynomials are evaluated, besides infinity
CHANNELS = 32  # a group; convolutions with fewer gain nothing
LARGE = 2**25  # weights of a layer, from which on half of the bytes is worth the rounding


def on_cpu(model: nn.Module) -> nn.Module:
    """The model, its layers replaced in place by faster ones where there are such, for inference alone.

    Parameters of replaced layers are gone from `parameters()` and `state_dict()`. Convolutions stay what they were
    to within about 1e-5 of their largest output; fully connected layers, where the processor knows half precision,
    to within about 1e-3 of the spread of theirs.
    """
    halves = "fbgemm" in torch.backends.quantized.supported_engines
    for name, layer in model.named_children():
        if isinstance(layer, nn.Conv2d) and _is_filtered(layer):
            setattr(model, name, MinimalFiltering(layer))
        elif isinstance(layer, nn.Linear) and halves and layer.weight.numel() >= LARGE:
            setattr(model, name, HalfPrecisionLinear(layer))
        else:
            on_cpu(layer)
    return model


def _is_filtered(layer: nn.Conv2d) -> bool:
    kernel, groups = layer.kernel_size[0], layer.groups
    return (
        kernel in (3, 5)
        and layer.kernel_size == (kernel, kernel)
        and layer.padding == (kernel // 2, kernel // 2)
        and layer.padding_mode == "zeros"
        and layer.stride == layer.dilation == (1, 1)
        and min(layer.in_channels, layer.out_channels) >= CHANNELS * groups
    )


class MinimalFiltering(nn.Module):
    """A convolution of stride 1 that keeps its inputs' size, tile by tile.

    In one dimension, m = 3 outputs y of a filter g of r numbers over n = m + r - 1 inputs d are

        y = E_m^T [(E_r g) * (E_n^-T d)]

    where E_k evaluates a polynomial of k coefficients at n points: the transposed of a product of polynomials.
    In two dimensions the same is done to rows and to columns. The product, n x n numbers for m x m outputs,
    is summed over channels: n x n matrix products, in which nearly all of the time is spent.
    """

    filters: Tensor
    inputs: Tensor
    outputs: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.kernel, self.groups = layer.kernel_size[0], layer.groups
        r, n = self.kernel, TILE + self.kernel - 1
        at_points = torch.linalg.inv(_evaluation(n, n)).T.contiguous()
        of_filter, of_tile = _evaluation(n, r), _evaluation(n, TILE).T.contiguous()
        weight = layer.weight.detach().double().flatten(2)  # (O, I, r r)
        filters = torch.kron(of_filter, of_filter) @ weight.flatten(0, 1).T  # (n n, O I)
        filters = filters.view(n * n, self.groups, -1, weight.shape[1]).transpose(2, 3)  # (n n, G, I, O / G)
        self.register_buffer("filters", filters.flatten(0, 1).to(layer.weight.dtype).contiguous())  # (n n G, I, O / G)
        self.register_buffer("inputs", torch.kron(at_points, at_points).to(layer.weight.dtype))  # (n n, n n)
        self.register_buffer("outputs", torch.kron(of_tile, of_tile).to(layer.weight.dtype))  # (m m, n n)
        bias = layer.weight.new_zeros(layer.out_channels) if layer.bias is None else layer.bias.detach()
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, H, W), both best in channels-last memory."""
        (N, C, H, W), G, r, m = x.shape, self.groups, self.kernel, TILE
        n, rows, columns = m + r - 1, -(-H // m), -(-W // m)
        low, below, right = r // 2, rows * m + r // 2 - H, columns * m + r // 2 - W
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, low, right, low, below))  # (N, m rows + r - 1, .., C)
        tiles = padded.unflatten(3, (G, C // G)).unfold(1, n, m).unfold(2, n, m)  # (N, rows, columns, G, C / G, n, n)
        d = tiles.permute(5, 6, 3, 0, 1, 2, 4).reshape(n * n, -1)  # (n n, G N rows columns C / G)
        d = (self.inputs @ d).view(n * n * G, N * rows * columns, C // G)
        y = self.outputs @ torch.bmm(d, self.filters).view(n * n, -1)  # (m m, G N rows columns O / G)
        y = y.view(m, m, G, N, rows, columns, -1).permute(3, 4, 0, 5, 1, 2, 6)  # (N, rows, m, columns, m, G, O / G)
        y = y.reshape(N, rows * m, columns * m, -1)[:, :H, :W] + self.bias  # (N, H, W, O)
        return y.permute(0, 3, 1, 2)  # (N, O, H, W)


def _evaluation(points: int, coefficients: int) -> Tensor:
    """(points, coefficients): a polynomial's coefficients -> its values, the last one at infinity."""
    values = torch.tensor(POINTS[: points - 1], dtype=torch.float64)[:, None] ** torch.arange(coefficients)
    return torch.cat([values, torch.eye(coefficients, dtype=torch.float64)[-1:]])


class HalfPrecisionLinear(nn.Module):
    """A fully connected layer with weights in half precision; inputs (N, in), outputs and sums are float32."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.packed = torch.ops.quantized.linear_prepack_fp16(rounded(layer.weight.detach()), layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) -> (N, out)."""
        return torch.ops.quantized.linear_dynamic_fp16(x, self.packed)


def rounded(weight: Tensor) -> Tensor:
    """Weights (out, in) as half precision has them, float32; what rounding adds to one, it takes from the next.

    So the errors of inputs that resemble their neighbours cancel: GOTURN's boxes are off by half as much as with
    each weight rounded to the nearest.
    """
    columns = weight.T.clone(memory_format=torch.contiguous_format)  # (in, out)
    left = columns.new_zeros(columns.shape[1])
    for column in columns:
        column += left
        nearest = column.half().float()
        left = column - nearest
        column.copy_(nearest)
    return columns.T.contiguous()
