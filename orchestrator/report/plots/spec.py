"""The parts that plots are put together from: views, axes, and trackers told apart by colour, dashes and shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.report.colours import COLOURS
from orchestrator.report.plots.plot import HOVER
from orchestrator.report.plots.style import COLUMNS, ENTRY, PLAIN, WIDE, WIDTH

Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
PICK, NEAR = "pick", "near"  # the series that the legend brings out; the point next to the pointer
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
DASHES = ([1, 0], [5, 2], [1.5, 1.5])  # solid first


def view(values: Sequence[Mapping[str, Any]], layers: Sequence[Spec], height: int, wide: bool = False) -> Spec:
    """One panel of these layers, fitted into its width and `height` with its axes and its legend."""
    return {
        "$schema": SCHEMA,
        "width": WIDE if wide else WIDTH,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "params": [{"name": PICK, "value": []}],
        "data": {"values": [_row(row) for row in values]},
        "layer": list(layers),
    }


def with_legend(entries: int, wide: bool = False, plain: int = PLAIN) -> int:
    """The height of a plot with a legend of so many entries below it; `plain` without."""
    columns = COLUMNS[WIDE if wide else WIDTH]
    return plain + ENTRY * -(-entries // columns) + 5


def x(title: str | None, field: str = "x", kind: str = "quantitative", **rest: Any) -> Spec:
    """A horizontal axis; also a vertical one, with another field."""
    return {"field": field, "type": kind, "title": title, **rest}


def y(title: str | None, field: str = "y", kind: str = "quantitative", **rest: Any) -> Spec:
    """A vertical axis."""
    return x(title, field, kind, **rest)


def unit(low: float = 0, high: float = 1) -> Spec:
    """A scale from one value to another, and no further."""
    return {"domain": [low, high], "nice": False}


def told_apart(labels: Mapping[str, str], field: str = "label", shapes: bool = False, legend: bool = True) -> Spec:
    """Encodings of series by `field`: a colour each, and where colours recur dashes, or shapes, as well.

    labels: colours by series, in the order of the legend.
    """
    seen: dict[str, int] = {}
    turns = []  # how often a series' colour came before it
    for colour in labels.values():
        turns.append(seen.get(colour, 0))
        seen[colour] = turns[-1] + 1
    domain = list(labels)
    same = {"field": field, "type": "nominal", "sort": None, "title": None} | ({} if legend else {"legend": None})
    found: Spec = {"color": same | {"scale": {"domain": domain, "range": list(labels.values())}}}
    if shapes and len(domain) > 1:
        place = {colour: i for i, colour in enumerate(COLOURS)}
        kinds = [SHAPES[(place.get(c, 0) + turn) % len(SHAPES)] for c, turn in zip(labels.values(), turns, strict=True)]
        found["shape"] = same | {"scale": {"domain": domain, "range": kinds}}
    elif not shapes and any(turns):
        dashes = [DASHES[turn % len(DASHES)] for turn in turns]
        found["strokeDash"] = same | {"scale": {"domain": domain, "range": dashes}}
    return found


def picked(opacity: float = 1, least: float = 0.12, field: str = "label") -> Spec:
    """How opaque series are: where the legend brought some out, the others fade."""
    test = f"!length({PICK}) || indexof({PICK}, datum.{field}) >= 0"
    return {"opacity": {"condition": {"test": test, "value": opacity}, "value": least}}


def nearest(encoding: Spec, tooltip: Sequence[Spec]) -> Spec:
    """A layer that marks the point next to the pointer, and says what it is."""
    shown = {"condition": {"param": NEAR, "empty": False, "value": 1}, "value": 0}
    return {
        "name": HOVER,
        "params": [
            {"name": NEAR, "select": {"type": "point", "nearest": True, "on": "pointerover", "clear": "pointerout"}}
        ],
        "mark": {"type": "point", "filled": True, "size": 60},
        "encoding": {**encoding, "opacity": shown, "tooltip": list(tooltip)},
    }


def said(field: str, title: str, form: str | None = None) -> Spec:
    """A line of a tooltip. form: of numbers, as d3 has it: ".3f"."""
    if form is None:
        return {"field": field, "type": "nominal", "title": title}
    return {"field": field, "type": "quantitative", "title": title, "format": form}


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Five significant digits: more are not seen."""
    return {key: float(f"{value:.5g}") if isinstance(value, float) else value for key, value in row.items()}
