"""Weights in a file of MatConvNet: the convolutions of its simple networks (simplenn), by their names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.io import loadmat
from torch import Tensor


def tensors(path: str | Path) -> dict[str, Tensor]:
    """NAME.weight (O, I, H, W) and NAME.bias (O,) of all convolutions NAME in a .mat file.

    The file holds a cell array `layers` of structs with `name`, `type`, and, where the type is conv, `weights`, a cell
    array of filters (H, W, I, O) and biases; or, in older files, `filters` and `biases`. Nothing in it is run. Raises
    ValueError, which names the file, for any other file, or one cut short.
    """
    try:
        content = loadmat(path, struct_as_record=True, squeeze_me=False)
    except Exception as error:  # whatever a damaged file makes of the reader
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(
            f"{path}: expected a MATLAB file of version 7 or older, got one that cannot be read"
        ) from error
    found = dict[str, Tensor]()
    for number, layer in enumerate(_layers(path, content), 1):
        if _text(layer, "type") != "conv":
            continue
        name = _text(layer, "name")
        if not name or f"{name}.weight" in found:
            raise ValueError(f"{path}: layer {number}: expected a name of its own, got {name!r}")
        filters, biases = _weights(layer)
        if filters is None or biases is None:
            raise ValueError(f"{path}: layer {number} ({name}): expected numbers of filters and biases, got others")
        filters = filters.reshape(*filters.shape, *[1] * (4 - filters.ndim))  # MATLAB drops last sides of 1
        found[f"{name}.weight"] = torch.from_numpy(filters.astype(np.float32).transpose(3, 2, 0, 1).copy())
        found[f"{name}.bias"] = torch.from_numpy(biases.astype(np.float32).ravel())
    return found


def _layers(path: str | Path, content: dict[str, Any]) -> Iterator[np.void]:
    """The structs, each its fields by their names."""
    layers = content.get("layers")
    if isinstance(net := content.get("net"), np.ndarray) and net.dtype.names and "layers" in net.dtype.names:
        layers = net.flat[0]["layers"] if net.size else None
    if not isinstance(layers, np.ndarray) or layers.dtype != object or not layers.size:
        names = [name for name in content if not name.startswith("__")]
        raise ValueError(f"{path}: expected MatConvNet's cell array `layers`, got variables {names}")
    for number, layer in enumerate(layers.flat, 1):
        if not isinstance(layer, np.ndarray) or not layer.dtype.names or layer.size != 1:
            raise ValueError(f"{path}: layer {number}: expected a struct, got something else")
        yield layer.flat[0]


def _text(layer: np.void, field: str) -> str:
    """A field's text; nothing where there is none."""
    value = layer[field] if field in (layer.dtype.names or ()) else None
    return str(value.flat[0]) if isinstance(value, np.ndarray) and value.dtype.kind == "U" and value.size == 1 else ""


def _weights(layer: np.void) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Filters and biases; None for what is no array of numbers."""
    names = layer.dtype.names or ()
    pair = (
        list(layer["weights"].flat) if "weights" in names else [layer[n] for n in ("filters", "biases") if n in names]
    )
    if len(pair) != 2 or not all(isinstance(each, np.ndarray) and each.dtype.kind in "fiu" for each in pair):
        return None, None
    filters, biases = pair
    return (filters, biases) if filters.ndim <= 4 else (None, None)
