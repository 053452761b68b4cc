"""New settings as a patch to params.yaml, which keeps its comments, its order and its anchors.

A setting is written into the tracker's own mapping. Where that takes it from an anchor, the override goes into the
tracker, not into the anchor. What other trackers take from this one changes with it: `others` names them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

PROPERTY = re.compile(r"(?:[&!]\S*\s+)*")  # an anchor or a tag before a value
ALIAS = re.compile(r"\s*:\s*(\*[^\s,\]}]+)")


@dataclass(frozen=True)
class Patch:
    """diff: in unified form. others: "<study>/<tracker>" that change with it, for they take settings from this one.

    text: the file as it will be.
    """

    diff: str
    others: tuple[str, ...]
    text: str


def patch(
    text: str, file: str, study: str, tracker: str, changes: Mapping[str, Any], settings: Mapping[str, Any]
) -> Patch:
    """The patch to a file of this text that gives a tracker these dotted settings.

    settings: all that it has, for those groups of which the text says nothing. ValueError where the text cannot be
    edited to mean that.
    """
    place = ("studies", study, "trackers", tracker)
    before = yaml.safe_load(text)
    new = text
    for name, value in changes.items():
        new = _with(new, place, name.split("."), value, settings)
    after = yaml.safe_load(new)
    wanted = _flat(_at(before, place)) | dict(changes)
    found = _flat(_at(after, place))
    if {name: found.get(name) for name in wanted} != wanted:
        said = ", ".join(f"{name}: {_shown(value)}" for name, value in changes.items())
        raise ValueError(f"{file}: {study}/{tracker}: expected a mapping that can be edited; by hand, set {said}")
    lines = difflib.unified_diff(text.splitlines(True), new.splitlines(True), file, file)
    whole = (line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    return Patch("".join(whole), _others(before, after, study, tracker), new)


def _others(before: Any, after: Any, study: str, tracker: str) -> tuple[str, ...]:
    return tuple(
        f"{name}/{other}"
        for name, entry in before["studies"].items()
        for other in entry["trackers"]
        if (name, other) != (study, tracker)
        and _at(before, ("studies", name, "trackers", other)) != _at(after, ("studies", name, "trackers", other))
    )


def _with(text: str, place: tuple[str, ...], names: list[str], value: Any, settings: Any) -> str:
    """The text with one setting of the mapping at a place changed, or put in."""
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    for name in place:
        key, node = _own(node, name)
        alias = _alias(text, key, node)
        if alias is not None:
            raise ValueError(f"{'.'.join(place)}: expected its own mapping, got the alias {text[slice(*alias)]}")
    path = list(place)
    while True:
        found = next((pair for pair in node.value if pair[0].value == names[0]), None)
        if found is None:
            known = _at(yaml.safe_load(text), (*path, names[0]))  # from an anchor
            known = _at(settings, (*path[len(place) :], names[0])) if known is None else known
            return _put_in(text, node, names[0], _nested(known, names[1:], value))
        key, inner = found
        alias = _alias(text, key, inner)
        if len(names) == 1:
            start, end = alias or _span(text, inner)
            return text[:start] + _shown(value) + text[end:]
        if alias is not None:
            own = _shown(_nested({}, names[1:], value)).removeprefix("{")
            shown = f"{{<<: {text[slice(*alias)]}, {own}"
            return text[: alias[0]] + shown + text[alias[1] :]
        path.append(names[0])
        node, names = inner, names[1:]


def _own(node: Any, name: str) -> tuple[Any, Any]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == name:
            return key, value
    raise ValueError(f"expected the key {name!r} in line {node.start_mark.line + 1} or below, found none")


def _alias(text: str, key: Any, value: Any) -> tuple[int, int] | None:
    """Where the alias stands that is this key's value; None where its value stands there itself."""
    found = ALIAS.match(text, key.end_mark.index)
    return None if found is None else found.span(1)


def _span(text: str, node: Any) -> tuple[int, int]:
    """Where a value stands, without its anchor: others may refer to that."""
    start = PROPERTY.match(text, node.start_mark.index)
    assert start is not None  # it matches nothing, too
    return start.end(), node.end_mark.index


def _nested(known: Any, names: list[str], value: Any) -> Any:
    """What is known, with this value at a path within it."""
    if not names:
        return value
    inner = dict(known) if isinstance(known, Mapping) else {}
    return {**inner, names[0]: _nested(inner.get(names[0]), names[1:], value)}


def _put_in(text: str, node: Any, name: str, value: Any) -> str:
    """The text with one more key in a mapping: at the end of {...}, in a block after its first line."""
    entry = f"{_shown(name)}: {_shown(value)}"
    if node.flow_style:
        end = node.end_mark.index - 1
        inside = text[:end].rstrip()
        comma = "" if not node.value or inside.endswith(",") else ","
        gap = "" if not node.value else " "
        return inside + comma + gap + entry + text[len(inside) :]
    first, content = node.value[0]
    indent = " " * first.start_mark.column
    if _alias(text, first, content) is not None or content.end_mark.line == first.start_mark.line:
        end = text.find("\n", first.end_mark.index)
        end = len(text) if end < 0 else end
        return f"{text[:end]}\n{indent}{entry}{text[end:]}"
    start = first.start_mark.index
    return f"{text[:start]}{entry}\n{indent}{text[start:]}"


def _shown(value: Any) -> str:
    """On one line, as YAML that reads back the same."""
    if isinstance(value, float):
        return repr(value) if "e" not in repr(value) or "." in repr(value) else repr(value).replace("e", ".0e")
    shown = yaml.safe_dump(value, default_flow_style=True, width=100_000, sort_keys=False, allow_unicode=True).strip()
    return shown.removesuffix("\n...").strip()


def _at(data: Any, place: tuple[str, ...] | list[str]) -> Any:
    for name in place:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found
