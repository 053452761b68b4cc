"""Times and sizes as people read them."""

from __future__ import annotations


def span(seconds: float) -> str:
    """0.352 s, 24.8 s, 12 min 05 s, 3 h 20 min, 2 d 4 h."""
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def size(number: float) -> str:
    """Of bytes: 1.1 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"
