"""How targets move between training crops (Held et al. 2016, Section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trackers.boxes import centre


@dataclass(frozen=True)
class Motion:
    """The distributions of the shifts dx, dy of Eqs. 1-2 and the factors of Eqs. 3-4; defaults: the paper's.

    kind: "laplace", or "uniform" over all that the limits allow (Section 6.4: no motion smoothness).
    shift_scale: b_x, of a Laplace distribution around 0. size_scale: b_s, around 1.
    size_limit: factors are within 1 - size_limit and 1 + size_limit, below 1.
    half_inside: "window": at least half of the target is inside the search window around the shifted box, in
    each dimension. "target": as in the authors' code, the window's centre is at most one width (height) of the
    target away (of windows twice as large); less than half of it is in the window where the box has shrunk. Either
    limit holds for the window before `crops.windows` rounds it to whole pixels, which may cost one pixel.

    What is beyond a limit is drawn again: the distributions are truncated, not clipped (the authors' code clips
    the factors).
    """

    kind: Literal["laplace", "uniform"] = "laplace"
    shift_scale: float = 1 / 5
    size_scale: float = 1 / 15
    size_limit: float = 0.4
    half_inside: Literal["window", "target"] = "window"

    def __post_init__(self) -> None:
        if self.kind not in ("laplace", "uniform"):
            raise ValueError(f"kind: expected laplace or uniform, got {self.kind}")
        for name in ("shift_scale", "size_scale"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")
        if not 0 <= self.size_limit < 1:
            raise ValueError(f"size_limit: expected a share in [0, 1), got {self.size_limit}")
        if self.half_inside not in ("window", "target"):
            raise ValueError(f"half_inside: expected window or target, got {self.half_inside}")


def draw(
    motion: Motion,
    boxes: np.ndarray,
    frame_sizes: np.ndarray,
    count: int,
    rng: np.random.Generator,
    context: float = 2.0,
) -> np.ndarray:
    """Boxes (n, 4), each moved `count` times as Eqs. 1-4 say -> (n, count, 4).

    frame_sizes: (n, 2) width and height of their frames. context: how many times a box's size its window has.
    As in the authors' code a moved box stays inside of its frame, as far as the limits on sizes and shifts let it.
    """
    frames = frame_sizes[:, None].astype(float)  # (n, 1, 2)
    centres, sides = centre(boxes)[:, None], boxes[:, None, 2:]  # (n, 1, 2) each
    uniform = rng.uniform(-1, 1, (2, len(boxes), count, 2))  # (2, n, count, 2)
    factors = 1 + _displaced(motion.kind, uniform[0], motion.size_scale, motion.size_limit)  # (n, count, 2)
    new_sides = np.maximum(np.minimum(sides * factors, frames), sides * (1 - motion.size_limit))
    inside = new_sides if motion.half_inside == "window" else np.broadcast_to(sides, new_sides.shape)
    farthest = inside * context / 2  # half of a window: the target's centre lies at its border
    shifts = sides * _displaced(motion.kind, uniform[1], motion.shift_scale, farthest / sides)  # (n, count, 2)
    new_centres = np.clip(centres + shifts, new_sides / 2, frames - new_sides / 2)
    new_centres = np.clip(new_centres, centres - farthest, centres + farthest)
    return np.concatenate([new_centres - new_sides / 2, new_sides], -1)


def _displaced(
    kind: Literal["laplace", "uniform"], uniform: np.ndarray, scale: float, limit: np.ndarray | float
) -> np.ndarray:
    """Numbers uniform in [-1, 1] -> numbers distributed around 0 as `kind` says, within -limit and limit."""
    if kind == "uniform":
        return uniform * limit
    return -scale * np.sign(uniform) * np.log1p(-np.abs(uniform) * -np.expm1(-limit / scale))
