"""Trackers by one measure, the best on top: scores with their intervals, and which of them do not differ."""

from __future__ import annotations

from orchestrator.report import colours
from orchestrator.report.plots.names import slugged
from orchestrator.report.plots.plot import Plot
from orchestrator.report.plots.spec import Spec, said, view, x, y
from orchestrator.report.plots.style import WIDE, WIDTH
from orchestrator.report.summary import Summary, measure_name, titled
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.significance import Ranking

LINE = 17  # pixels: the height of a line of text with the room around it
TOP, BAR = 52, 8  # pixels: what the axis takes; between two bars of groups
LETTER = 5.4  # pixels that a letter is wide, about
DIGITS = 20  # pixels for a number below the axis and the room around it
MANY = 12  # trackers, beyond which a diagram is as wide as the page
LONGEST = 140  # pixels that a name may take


def scores(summary: Summary, measure: str) -> Plot:
    """A line for each tracker: its rank, its score and the 95% interval of that."""
    study, palette = summary.grid.study, colours.of(summary.trackers)
    found = [(t, summary.cell(t, measure)) for t in summary.ranked(measure)]
    rows = [
        {
            "name": f"{i}. {t}" if t in summary.competing else study.marked(t),
            "tracker": t,
            "x": cell.mean,
            "low": cell.interval[0],
        }
        | {"high": cell.interval[1], "rank": i, "colour": palette[t]}
        for i, (t, cell) in enumerate(found, 1)
        if cell is not None
    ]
    better = MEASURES[measure].better
    title = titled(measure)
    coloured = {"color": {"field": "colour", "type": "nominal", "scale": None}}
    across = x(title, scale={"zero": MEASURES[measure].bounds[1] <= 1}, axis={"grid": True, "tickCount": 6})
    down = y(None, "name", "nominal", sort=None, axis={"domain": False, "ticks": False, "grid": False})
    tooltip = [said("tracker", "tracker"), said("rank", "rank"), said("x", title, ".3~f"),
               said("low", "95% from", ".3~f"), said("high", "to", ".3~f")]  # fmt: skip
    layers: list[Spec] = [
        {"mark": {"type": "rule", "strokeWidth": 2},
         "encoding": {"y": down, "x": {**across, "field": "low"}, "x2": {"field": "high"}, **coloured}},
        {"mark": {"type": "point", "size": 60}, "encoding": {"y": down, "x": across, **coloured, "tooltip": tooltip}},
    ]  # fmt: skip
    return Plot(
        slugged(summary, f"{measure}-ranks"),
        f"{title} with 95% intervals",
        f"A line for each of {len(rows)} trackers, the best on top: {title}, {better} is better, and its 95% interval. "
        f"The best is {rows[0]['tracker'] if rows else 'none'}.",
        view(rows, layers, 60 + LINE * len(rows)),
        place=summary.heading,
    )


def critical_difference(summary: Summary, measure: str, ranking: Ranking) -> Plot:
    """Demsar's diagram: average ranks, the best on the left; a bar joins trackers that do not differ."""
    k, half, wide = len(ranking.ranks), (len(ranking.ranks) + 1) // 2, len(ranking.ranks) > MANY
    names = {tracker: f"{summary.grid.study.marked(tracker)} {rank:.2f}" for tracker, rank in ranking.ranks.items()}
    widest = min(LONGEST, LETTER * max(map(len, names.values())) + 24)
    whole = WIDE if wide else WIDTH
    share = widest / whole  # that the names of a side have
    base = TOP + BAR * len(ranking.groups)
    height = base + LINE * half + 8
    left, right = 1 - 0.06 * (k - 1), k + 0.06 * (k - 1)
    rows: list[dict[str, object]] = []

    def line(x: float, y: float, x2: float, y2: float, **rest: object) -> None:
        rows.append({"x": x, "y": -y, "x2": x2, "y2": -y2, **rest})

    line(1, 35, k, 35, kind="line")
    step = max(1, round(k * DIGITS / ((1 - 2 * share) * whole)))
    for i in range(1, k + 1):
        line(i, 35, i, 30, kind="line")
        if (i - 1) % step == 0:
            rows.append({"x": i, "y": -23, "kind": "tick", "text": str(i)})
    for x_ in (1, 1 + ranking.difference):
        line(x_, 3, x_, 9, kind="line")
    line(1, 6, 1 + ranking.difference, 6, kind="line")
    text = f"critical difference {ranking.difference:.2f}"
    room = whole * (1 - share - (1 - 2 * share) * ranking.difference / (k - 1))  # behind its bar
    if LETTER * len(text) < room:
        rows.append({"x": 1 + ranking.difference, "y": -6, "kind": "size", "text": text})
    else:
        rows.append({"x": 1, "y": -6, "kind": "left", "text": f"CD {ranking.difference:.2f}"})
    for i, group in enumerate(ranking.groups, 1):
        ends = [ranking.ranks[group[j]] for j in (0, -1)]
        line(ends[0] - 0.02 * k, 35 + BAR * i, ends[1] + 0.02 * k, 35 + BAR * i, kind="group")
    for i, (tracker, rank) in enumerate(ranking.ranks.items()):
        first = i < half
        at = base + LINE * (i if first else k - 1 - i)
        line(rank, 35, rank, at, kind="line")
        line(rank, at, left if first else right, at, kind="line")
        kind = "left" if first else "right"
        rows.append({"x": left if first else right, "y": -at, "kind": kind, "text": names[tracker]})
    side = share * (k - 1) / (1 - 2 * share)
    axes = {
        "x": x(None, scale={"domain": [1 - side, k + side], "nice": False, "zero": False}, axis=None),
        "y": y(None, scale={"domain": [-height, 0], "nice": False}, axis=None),
    }
    ruled = {**axes, "x2": {"field": "x2"}, "y2": {"field": "y2"}}
    return Plot(
        slugged(summary, f"{measure}-difference"),
        f"Critical differences by {measure_name(measure)}",
        f"Average ranks of {k} trackers by {titled(measure)} over {ranking.n} sequences, the best on the left: "
        + ", ".join(f"{tracker} {rank:.2f}" for tracker, rank in ranking.ranks.items())
        + f". Ranks that are {ranking.difference:.2f} apart differ.",
        view(
            rows,
            [
                _only("line", {"type": "rule"}, ruled),
                _only("group", {"type": "rule", "strokeWidth": 3.5}, ruled),
                _text("tick", "center", axes, share),
                _text("size", "left", axes, 1, 4),
                _text("left", "right", axes, share, -4),
                _text("right", "left", axes, share, 4),
            ],
            height,
            wide,
        ),
        wide,
        summary.heading,
    )


def _only(kind: str, mark: Spec, encoding: Spec) -> Spec:
    return {"transform": [{"filter": f"datum.kind === '{kind}'"}], "mark": mark, "encoding": encoding}


def _text(kind: str, align: str, axes: Spec, share: float, dx: int = 0) -> Spec:
    limit = {"expr": f"{share:.3f} * width - 10"}
    mark = {"type": "text", "align": align, "baseline": "middle", "dx": dx, "limit": limit}
    return _only(kind, mark, {**axes, "text": {"field": "text"}})
