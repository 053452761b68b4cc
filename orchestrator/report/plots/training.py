"""Training curves: a plot a metric, a line a trial."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from orchestrator.report import colours
from orchestrator.report.plots.curves import thinned
from orchestrator.report.plots.plot import Plot
from orchestrator.report.plots.spec import nearest, picked, said, told_apart, view, with_legend, x, y
from orchestrator.report.results import Study, Trial
from orchestrator.report.table import slug

DOTTED = 15  # points of a line, up to which each has a dot


def training(study: Study) -> list[Plot]:
    """A plot for each metric; of one step of several it is called after both: "train: loss"."""
    trained = [trial for trial in study.trials if trial.curves]
    metrics = dict.fromkeys(name for trial in trained for name in trial.curves)
    return [_metric(study, metric, [trial for trial in trained if metric in trial.curves]) for metric in metrics]


def _metric(study: Study, metric: str, trials: list[Trial]) -> Plot:
    """A tracker keeps its colour; of the same tracker, other training data has other dashes. A step that trials share
    is one line. Losses and errors that span more than a decade have a log axis.
    """
    alike: dict[bytes, list[Trial]] = {}
    for trial in trials:
        alike.setdefault(trial.curves[metric].tobytes(), []).append(trial)
    palette = colours.of(study.trackers)
    data: dict[str, set[str | None]] = {}  # that a tracker was trained on, by tracker
    for trial in trials:
        data.setdefault(trial.tracker, set()).add(trial.train)
    labels, rows = {}, []
    for trial, *others in alike.values():
        label, colour = study.marked(trial.tracker), palette[trial.tracker]
        if len(data[trial.tracker]) > 1:
            label = f"{label}, {trial.train}"
        if others:
            label, colour = "shared by several", colours.SHARED
        labels[label] = colour
        said_of = trial.name if not others else f"{trial.name} and {len(others)} more"
        rows += [
            {"trial": said_of, "label": label, "x": step, "y": value}
            for step, value in thinned(trial.curves[metric][:, 0], trial.curves[metric][:, 1], 200)
        ]
    values = np.array([row["y"] for row in rows], float)
    log = metric.endswith(("loss", "error")) and 0 < 10 * values.min(initial=np.inf) < values.max(initial=0)
    most = max(map(len, (trial.curves[metric] for trial in trials)))
    title = metric.replace("/", ": ")
    scale = {"type": "log", "nice": False} if log else {"zero": False, "nice": True}
    ticks = {"values": _decades(values), "format": "~g"} if log else {"tickCount": 5}
    ordered = {label: labels[label] for label in sorted(labels, key=_place(study))}
    encoding = {
        "x": x("step", axis={"grid": False, "tickMinStep": 1, "tickCount": 6}, scale={"zero": False, "nice": False}),
        "y": y(title, scale=scale, axis=ticks),
        **told_apart(ordered),
    }
    detail = {"detail": {"field": "trial"}}
    tooltip = [said("trial", "trial"), said("x", "step", ",d"), said("y", title, ".4~g")]
    mark = {"type": "line", "point": {"size": 20}} if most <= DOTTED else {"type": "line"}
    layers = [{"mark": mark, "encoding": {**encoding, **detail, **picked()}}]
    return Plot(
        slug(f"{study.name}-training-{metric}"),
        title,
        f"A line for each of {len(alike)} trainings: {title} by step.",
        view(rows, [*layers, nearest(encoding, tooltip)], with_legend(len(labels))),
        place="Training",
    )


def _decades(values: np.ndarray) -> list[float]:
    """Powers of ten among these values; where there is hardly one, 2 and 5 as well."""
    low, high = np.log10([values.min(), values.max()])
    steps = (1, 2, 5) if high - low < 2 else (1,)
    return [float(f"{m}e{e}") for e in range(int(np.floor(low)), int(np.ceil(high)) + 1) for m in steps]


def _place(study: Study) -> Callable[[str], tuple[int, str]]:
    """By which labels stand in the study's order, what is shared first."""
    order = {study.marked(tracker): i for i, tracker in enumerate(study.trackers)}
    return lambda label: (order.get(label.split(", ")[0], -1), label)
