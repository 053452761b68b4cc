"""How plots look on paper: dark ink on no background, in sizes that stay legible when a column is 240 points wide.

Marks that have no colour of their own take these; the page's script has the same with the page's own ink
(templates/plot.js).
"""

from __future__ import annotations

from typing import Any

INK, SOFT, LINE = "#1c1e21", "#777c8a", "#e4e4ea"
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
WIDTH, WIDE = 400, 800  # pixels, a point each in a PDF
PLAIN = 250  # pixels: the height of a plot without its legend
ENTRY = 15  # pixels: the height of a line of a legend
COLUMNS = {WIDTH: 2, WIDE: 4}  # of a legend

CONFIG: dict[str, Any] = {
    "background": None,
    "font": FONT,
    "padding": 4,
    "view": {"stroke": None},
    "axis": {
        "domainColor": SOFT,
        "gridColor": LINE,
        "labelColor": INK,
        "labelFontSize": 10,
        "labelLimit": 170,
        "tickColor": SOFT,
        "tickSize": 4,
        "titleColor": INK,
        "titleFontSize": 10.5,
        "titleFontWeight": "normal",
        "titlePadding": 6,
    },
    "axisQuantitative": {"labelOverlap": "greedy"},
    "legend": {
        "labelColor": INK,
        "labelFontSize": 10,
        "labelLimit": 180,
        "offset": 10,
        "orient": "bottom",
        "rowPadding": 2,
        "symbolOpacity": 1,
        "symbolSize": 60,
        "symbolStrokeWidth": 2,
        "title": None,
        "titleColor": INK,
        "titleFontSize": 10,
        "titleFontWeight": "normal",
    },
    "line": {"strokeWidth": 1.6},
    "point": {"filled": True, "size": 40, "opacity": 1},
    "rule": {"color": INK},
    "text": {"color": INK, "fontSize": 10},
}
