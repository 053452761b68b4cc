"""What was found out about an object, for as long as it lives: overlaps serve several measures."""

from __future__ import annotations

import weakref
from typing import Any

_memory: dict[int, tuple[weakref.ref[Any], dict[Any, Any]]] = {}


def remembered(owner: Any) -> dict[Any, Any]:
    """Of this very object, not of its equals: a place to keep things by name."""
    number = id(owner)
    if number not in _memory:
        _memory[number] = (weakref.ref(owner, lambda _: _memory.pop(number, None)), {})
    return _memory[number][1]
