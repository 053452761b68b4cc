"""Links into the explorer, for whatever else names a sequence."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote


def link(
    study: str, benchmark: str, protocol: str, sequence: str, t: int | None = None, trackers: Iterable[str] = ()
) -> str:
    """The address of a sequence within the page: at its start or at frame t, with these trackers or the usual ones."""
    place = "/".join(quote(name, safe="") for name in (study, benchmark, protocol, sequence))
    named = ",".join(quote(name, safe="") for name in trackers)
    return f"#explorer={place}" + (f"&t={t}" if t is not None else "") + (f"&trackers={named}" if named else "")
