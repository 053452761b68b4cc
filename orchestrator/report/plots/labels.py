"""Names written beside points, where no other name, nor a point, is in the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from orchestrator.report.plots.spec import Spec

FEW = 8  # points, up to which each can have its name beside it
LETTER, HIGH = 5.2, 11  # pixels that a letter is wide, about, and a line high
CORNERS = ((6, -6), (6, 8), (-6, -6), (-6, 8))  # pixels to the right and down


def placed(points: np.ndarray, names: Sequence[str], size: tuple[float, float], all_of_them: bool = False) -> list[int]:
    """For each point, at which of `CORNERS` its name stands; -1: nowhere, as all are taken.

    points: (n, 2), shares of a panel whose size is (width, height) in pixels, from its lower left. all_of_them: names
    that find no free corner stand where the fewest others are.
    """
    at = np.asarray(points, float).reshape(-1, 2) * size
    at[:, 1] = size[1] - at[:, 1]  # down from the top
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in at]
    corners = []
    for (x, y), name in zip(at, names, strict=True):
        wide = LETTER * len(name)
        boxes = []
        for right, down in CORNERS:
            left = x + right if right > 0 else x + right - wide
            boxes.append((left, y + down - HIGH / 2, left + wide, y + down + HIGH / 2))
        crossed = [
            sum(a < right and left < c and b < low and top < d for a, b, c, d in taken)
            + 5 * (left < 0 or right > size[0])
            for left, top, right, low in boxes
        ]
        best = crossed.index(min(crossed))
        if crossed[best] and not all_of_them:
            corners.append(-1)
        else:
            taken.append(boxes[best])
            corners.append(best)
    return corners


def layers(encoding: Spec, text: str = "name", corner: str = "corner") -> list[Spec]:
    """The names, each at the corner that its row says."""
    return [
        {
            "transform": [{"filter": f"datum.{corner} === {i}"}],
            "mark": {"type": "text", "dx": dx, "dy": dy, "align": "left" if dx > 0 else "right", "baseline": "middle"},
            "encoding": {**encoding, "text": {"field": text}},
        }
        for i, (dx, dy) in enumerate(CORNERS)
    ]


def shares(values: Sequence[float], log: bool = False, reverse: bool = False) -> tuple[list[float], dict[str, Any]]:
    """Where values stand on an axis with some room at both ends, in [0, 1]; and the scale that has it so."""
    array = np.log10(values) if log else np.asarray(values, float)
    room = 0.12 * (float(np.ptp(array)) or 1.0)
    low, high = float(array.min()) - room, float(array.max()) + room
    placed = (array - low) / (high - low)
    domain = [10**low, 10**high] if log else [low, high]
    scale = {"domain": [float(f"{end:.4g}") for end in domain], "nice": False, "reverse": reverse}
    return (1 - placed if reverse else placed).tolist(), scale | ({"type": "log"} if log else {"zero": False})
