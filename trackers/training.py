"""Training: a small graph of steps, each resumable bit for bit.

A step is a pure function of its inputs, its settings and its seed. It talks to the world only
through a `Reporter`: progress, metrics, and checkpoints from which it goes on after a kill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

Weights = Mapping[str, "torch.Tensor"]  # what training publishes: a flat state_dict


class Reporter(Protocol):
    """Where a step says how it goes."""

    def progress(self, done: int, total: int) -> None:
        """So much of the step is done (any unit, the same in both)."""

    def metric(self, name: str, value: float, step: int) -> None:
        """One point of a curve."""

    def checkpoint(self, step: int, state: Callable[[], dict[str, Any]]) -> None:
        """Offer a checkpoint: `state()` is called, and kept, only when one is due.

        The state holds tensors, numbers, strings, lists and dicts only (it is read back with
        `weights_only=True`).
        """

    def resume(self) -> dict[str, Any] | None:
        """The last checkpoint kept of this step, on the CPU; None at a fresh start."""


class Silent:
    """A reporter that keeps nothing and resumes nothing."""

    def progress(self, done: int, total: int) -> None: ...

    def metric(self, name: str, value: float, step: int) -> None: ...

    def checkpoint(self, step: int, state: Callable[[], dict[str, Any]]) -> None: ...

    def resume(self) -> dict[str, Any] | None:
        return None


@dataclass(frozen=True)
class Inputs:
    """What a step works on. data: the opened training data. weights: those of the steps it needs."""

    data: Any
    seed: int
    device: str = "cpu"
    weights: Mapping[str, Weights] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One node of a family's training graph. needs: names of the steps whose weights it takes."""

    name: str
    run: Callable[[Inputs, Any, Reporter], Weights]
    needs: tuple[str, ...] = ()
