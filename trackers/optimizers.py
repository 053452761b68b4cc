"""Optimizers that torch does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch


class RMSProp(torch.optim.Optimizer):
    """RMSProp as in Graves 2013 (arXiv:1308.0850, Eqs. 38-45): centred, with momentum.

        n     <- decay n + (1 - decay) g^2
        m     <- decay m + (1 - decay) g
        delta <- momentum delta - lr g / sqrt(n - m^2 + epsilon)
        w     <- w + delta

    Not torch's: there epsilon stands outside the root, and momentum gathers gradients not yet
    scaled by lr. `lr` may be a tensor on the parameters' device: then the step can be captured in a
    CUDA graph, and lr changed in place. Every parameter that has a gradient is updated.
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor],
        lr: float | torch.Tensor = 1e-4,
        decay: float = 0.95,
        momentum: float = 0.9,
        epsilon: float = 1e-4,
    ) -> None:
        for name, value in (("decay", decay), ("momentum", momentum)):
            if not 0 <= value < 1:
                raise ValueError(f"{name}: expected a number in [0, 1), got {value}")
        if epsilon <= 0:
            raise ValueError(f"epsilon: expected a positive number, got {epsilon}")
        super().__init__(params, {"lr": lr, "decay": decay, "momentum": momentum, "epsilon": epsilon})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient. No closure is taken."""
        if closure is not None:
            raise ValueError("RMSProp: expected no closure")
        for group in self.param_groups:
            w = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not w:
                continue
            g = [parameter.grad for parameter in w]
            n, m, delta = (self._averages(name, w) for name in ("n", "m", "delta"))
            torch._foreach_mul_(n, group["decay"])
            torch._foreach_addcmul_(n, g, g, value=1 - group["decay"])
            torch._foreach_lerp_(m, g, 1 - group["decay"])
            root = torch._foreach_addcmul(n, m, m, value=-1)
            torch._foreach_clamp_min_(root, 0)  # a variance; rounding can take it below
            torch._foreach_add_(root, group["epsilon"])
            torch._foreach_sqrt_(root)
            scaled = torch._foreach_div(g, root)
            torch._foreach_mul_(scaled, group["lr"])
            torch._foreach_mul_(delta, group["momentum"])
            torch._foreach_sub_(delta, scaled)
            torch._foreach_add_(w, delta)

    def _averages(self, name: str, parameters: list[torch.Tensor]) -> list[torch.Tensor]:
        for parameter in parameters:
            if name not in self.state[parameter]:
                self.state[parameter][name] = torch.zeros_like(parameter)
        return [self.state[parameter][name] for parameter in parameters]
