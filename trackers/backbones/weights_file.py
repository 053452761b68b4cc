"""Weights in a file of `torch.save`: names and tensors, those that are asked for, or a refusal that says why."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

ZIP = b"PK"  # what torch's files begin with since torch 1.6; older ones cannot be mapped


def tensors(path: str | Path) -> dict[str, Tensor]:
    """All names and tensors in a file written by `torch.save`, mapped into memory where its format allows.

    Nothing in it is run. Raises ValueError, which names the file, for any other file, or one cut short.
    """
    with Path(path).open("rb") as file:
        start = file.read(len(ZIP))
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=start == ZIP)
    except Exception as error:  # whatever a file of another kind makes of the reader
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # what a file cut short makes of torch's
            raise
        # torch's own text is not passed on: it advises to trust the file.
        raise ValueError(
            f"{path}: expected names and tensors written by torch.save, got a file that cannot be read as such, "
            "or that holds more than tensors"
        ) from error
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"{path}: expected names and tensors written by torch.save, got {_kind(found)}")
    return dict(found)


def fitted(
    path: str | Path,
    found: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    network: str,
    beside: tuple[str, ...] = (),
) -> dict[str, Tensor]:
    """The tensors of these names and shapes, in this order, float32, copies.

    network: what they are the weights of, in words. beside: how names begin that may stand in the file, too, and are
    left out. Raises ValueError with every name and shape that differs, and for numbers that are not finite.
    """
    differences = [
        f"  {name}: expected {shape}, got {tuple(found[name].shape) if name in found else 'nothing'}"
        for name, shape in shapes.items()
        if name not in found or found[name].shape != shape
    ]
    differences += [
        f"  {name}: expected nothing, got {tuple(tensor.shape)}"
        for name, tensor in found.items()
        if name not in shapes and not str(name).startswith(beside)
    ]
    if differences:
        raise ValueError(f"{path}: expected {network}, but these differ:\n" + "\n".join(differences))
    weights = {name: found[name].to(torch.float32, copy=True) for name in shapes}
    refuse_broken(path, weights)
    return weights


def refuse_broken(path: str | Path, weights: Mapping[str, Tensor]) -> None:
    """Raise ValueError with the names of weights that are not finite numbers."""
    broken = [name for name, weight in weights.items() if not weight.isfinite().all()]
    if broken:
        raise ValueError(f"{path}: expected finite numbers, got NaN or infinity in {', '.join(broken)}")


def _kind(found: object) -> str:
    if isinstance(found, Mapping):
        return ", ".join(f"{name}: {type(value).__name__}" for name, value in list(found.items())[:5])
    return type(found).__name__
