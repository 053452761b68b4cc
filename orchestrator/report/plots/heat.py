"""A table as a picture: the darker the cell the better the score, which stands in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.report.plots.spec import Spec, view, x, y

PALE, DEEP = "#f3f6fa", "#0072b2"
CELL = 20  # pixels: the height of one


def heat(
    rows: Sequence[Mapping[str, object]], column: str, line: str, tooltip: Sequence[Spec], better: str, most: float = 1
) -> Spec:
    """A cell for each row, in the order that they come in. rows: the fields `column`, `line`, and value.

    better: "higher" or "lower". most: of values up to 1 three decimals are shown, else two.
    """
    values = [float(str(row["value"])) for row in rows]
    low, high = min(values), max(values)
    middle = low + 0.55 * (high - low)
    scale = {"domain": [low, high], "range": [PALE, DEEP] if better == "higher" else [DEEP, PALE]}
    deep = f"datum.value {'>' if better == 'higher' else '<'} {middle:.6g}"
    axes: Spec = {
        "x": x(None, column, "nominal", sort=None, axis={"orient": "top", "labelAngle": -35, "labelLimit": 110}),
        "y": y(None, line, "nominal", sort=None),
    }
    axes["x"]["axis"] |= {"domain": False, "ticks": False}
    axes["y"]["axis"] = {"domain": False, "ticks": False}
    colour = {"field": "value", "type": "quantitative", "scale": scale, "legend": None}
    written = {"field": "value", "type": "quantitative", "format": ".2f" if max(map(abs, values)) <= most else ".3~g"}
    ink = {"condition": {"test": deep, "value": "#ffffff"}, "value": "#1c1e21"}
    layers: list[Spec] = [
        {"mark": {"type": "rect", "tooltip": True}, "encoding": {**axes, "color": colour, "tooltip": list(tooltip)}},
        {"mark": {"type": "text", "fontSize": 9.5}, "encoding": {**axes, "text": written, "color": ink,
                                                                 "tooltip": list(tooltip)}},
    ]  # fmt: skip
    lines = len({row[line] for row in rows})
    return view(rows, layers, 90 + CELL * lines, wide=True)
