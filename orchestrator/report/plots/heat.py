"""A table as a picture: the darker the cell the better the score, which stands in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.report.plots.spec import Spec, view, x, y

PALE, DEEP = "#f3f6fa", "#0072b2"
CELL = 20  # pixels: the height of one


def heat(rows: Sequence[Mapping[str, object]], column: str, line: str, tooltip: Sequence[Spec], better: str) -> Spec:
    """A cell for each row, in the order that they come in. rows: the fields `column`, `line`, and value.

    better: "higher" or "lower".
    """
    values = [float(str(row["value"])) for row in rows]
    low, high = min(values), max(values)
    middle = low + (0.75 if better == "higher" else 0.25) * (high - low)
    scale = {"domain": [low, high], "range": [PALE, DEEP] if better == "higher" else [DEEP, PALE]}
    deep = f"datum.value {'>' if better == 'higher' else '<'} {middle:.6g}"
    axes: Spec = {
        "x": x(None, column, "nominal", sort=None, axis={"orient": "top", "labelAngle": -35, "labelLimit": 110}),
        "y": y(None, line, "nominal", sort=None),
    }
    axes["x"]["axis"] |= {"domain": False, "ticks": False}
    axes["y"]["axis"] = {"domain": False, "ticks": False}
    colour = {"field": "value", "type": "quantitative", "scale": scale, "legend": None}
    written = {"field": "value", "type": "quantitative", "format": _digits(low, high)}
    ink = {"condition": {"test": deep, "value": "#ffffff"}, "value": "#1c1e21"}
    layers: list[Spec] = [
        {"mark": {"type": "rect", "tooltip": True}, "encoding": {**axes, "color": colour, "tooltip": list(tooltip)}},
        {"mark": {"type": "text", "fontSize": 9.5}, "encoding": {**axes, "text": written, "color": ink,
                                                                 "tooltip": list(tooltip)}},
    ]  # fmt: skip
    lines = len({row[line] for row in rows})
    return view(rows, layers, 90 + CELL * lines, wide=True)


def _digits(low: float, high: float) -> str:
    """How values that span so much are written: no more digits than tell them apart."""
    most = max(abs(low), abs(high))
    return ".3f" if most < 0.2 else ".2f" if most <= 1 else ".1f" if most < 100 else ".0f"
