"""What the experiments took: what workers did when, and the time that each tracker's jobs took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchestrator.report import colours
from orchestrator.report.plots.plot import Plot
from orchestrator.report.plots.spec import Spec, picked, said, told_apart, view, with_legend, x, y
from orchestrator.report.plots.style import WIDE

Span = tuple[str, str, str, float, float]  # worker, kind of job, its label, begin and end in seconds
PART = 1 / WIDE  # of the whole time: what is shorter is not seen
UNITS = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
KINDS = ("training", "tracking", "scoring", "measuring speed", "features")  # of jobs, whose colours are always the same
LINE = 18  # pixels: the height of a bar with the room around it


def timeline(name: str, spans: Iterable[Span]) -> Plot:
    """A line for each worker, with its jobs one after the other, coloured by kind.

    Jobs of one kind that are too short to be seen, with nothing to be seen between them, are one bar.
    """
    known = sorted(spans, key=lambda span: (span[0], span[3], span[4]))
    first = min((span[3] for span in known), default=0.0)
    last = max((span[4] for span in known), default=1.0)
    unit = _unit(last - first)
    rows = [
        {"worker": worker, "kind": kind, "label": label}
        | {"begin": (begin - first) / UNITS[unit], "end": (end - first) / UNITS[unit]}
        for worker, kind, label, begin, end in _merged(known, (last - first) * PART)
    ]
    kinds = _colours(span[1] for span in known)
    workers = len({span[0] for span in known})
    encoding: Spec = {
        "y": y(None, "worker", "nominal", axis={"domain": False, "ticks": False}),
        "x": x(f"{unit} since the first job began", "begin", axis={"grid": True, "tickCount": 12}),
        "x2": {"field": "end"},
        **told_apart(kinds, "kind"),
        **picked(field="kind"),
        "tooltip": [said("worker", "worker"), said("kind", "kind"), said("label", "job"),
                    said("begin", f"begin ({unit})", ".2f"), said("end", f"end ({unit})", ".2f")],
    }  # fmt: skip
    layer = {"mark": {"type": "bar", "height": {"band": 0.8}}, "encoding": encoding}
    return Plot(
        name,
        "What the workers did",
        f"A line for each of {workers} workers over {(last - first) / UNITS[unit]:.3g} {unit}, with its jobs by kind.",
        view(rows, [layer], with_legend(len(kinds), True, 50 + LINE * max(2, workers)), wide=True),
        wide=True,
    )  # fmt: skip


def seconds(name: str, rows: Sequence[tuple[str, str, float]]) -> Plot:
    """A bar for each tracker, the longest first, of the seconds that its jobs of each kind took.

    rows: (tracker, kind of job, seconds); those of one tracker and kind are added up.
    """
    sums: dict[tuple[str, str], float] = {}
    totals: dict[str, float] = {}
    for tracker, kind, took in rows:
        sums[tracker, kind] = sums.get((tracker, kind), 0) + took
        totals[tracker] = totals.get(tracker, 0) + took
    unit = _unit(max(totals.values(), default=0))
    kinds = _colours(kind for _, kind in sums)
    values = [
        {"tracker": tracker, "kind": kind, "time": took / UNITS[unit], "total": totals[tracker] / UNITS[unit]}
        for (tracker, kind), took in sums.items()
    ]
    ordered = sorted(totals, key=lambda tracker: -totals[tracker])
    encoding: Spec = {
        "y": y(None, "tracker", "nominal", sort=ordered, axis={"domain": False, "ticks": False, "labelLimit": 250}),
        "x": x(unit, "time", stack="zero", axis={"tickCount": 12}),
        **told_apart(kinds, "kind"),
        **picked(field="kind"),
        "tooltip": [said("tracker", "tracker"), said("kind", "kind"), said("time", unit, ".3~g"),
                    said("total", f"{unit} in all", ".3~g")],
    }  # fmt: skip
    layer = {"mark": {"type": "bar", "height": {"band": 0.8}}, "encoding": encoding}
    return Plot(
        name,
        "Time by tracker and kind of job",
        f"A bar for each of {len(totals)} trackers, made of the {unit} that its jobs of each kind took.",
        view(values, [layer], with_legend(len(kinds), True, 50 + LINE * max(2, len(totals))), wide=True),
        wide=True,
    )


def _merged(spans: Iterable[Span], least: float) -> list[Span]:
    """Sorted spans; of one worker and kind, those shorter than `least` seconds and less than that apart are one."""
    found: list[Span] = []
    counts: list[int] = []
    last: dict[tuple[str, str], int] = {}  # where the one before lies, by worker and kind
    for worker, kind, label, begin, end in spans:
        i = last.get((worker, kind))
        if i is not None:
            start, stop = found[i][3:]
            if max(end - begin, begin - stop, (stop - start) / counts[i]) < least:
                counts[i] += 1
                found[i] = (worker, kind, f"{counts[i]} jobs", start, max(end, stop))
                continue
        last[worker, kind] = len(found)
        found.append((worker, kind, label, begin, end))
        counts.append(1)
    return found


def _colours(kinds: Iterable[str]) -> dict[str, str]:
    """Those of the kinds that there are; the same whichever these are."""
    there = set(kinds)
    known = colours.of([*KINDS, *sorted(there - set(KINDS))])
    return {kind: colour for kind, colour in known.items() if kind in there}


def _unit(duration: float) -> str:
    """In which a duration in seconds is a number of few digits."""
    return next((name for name, length in UNITS.items() if duration >= 2 * length), "seconds")
