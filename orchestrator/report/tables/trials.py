"""The trials of a study, and the settings in which its trackers differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from orchestrator.report.results import Study, Trial, flattened
from orchestrator.report.table import Cell, Column, Row, Table, slug
from orchestrator.report.tables import cells

UNSET = object()  # a setting that a tracker does not have


def trials(study: Study) -> Table:
    """A row a trial: what came of it, and what it was trained and tested on."""
    rows = [Row(study.marked(trial.tracker), _trial(trial)) for trial in study.trials]
    head = [
        Column("tracker", text=True), Column("state", text=True), Column("trained on", text=True),
        Column("tested on", text=True), Column("fold"), Column("seed"),
    ]  # fmt: skip
    notes = cells.caveats(study, study.trackers)
    return Table(slug(study.name, "trials"), "All trials", head, rows, notes, place=study.name)


def settings(study: Study) -> Table | None:
    """What the ablation is, at a glance: each tracker's values of the settings in which trackers of its family differ.

    None where none do. Trackers of other families, whose settings do not compare, are left out.
    """
    of = {t: _settings(own[0]) for t in study.trackers if (own := study.trials_of(t))}
    families = {tracker: str(values.get("family", tracker)) for tracker, values in of.items()}
    names: dict[str, None] = {}
    shown: dict[str, str] = {}  # by tracker, the first of its family, which it is read against
    for family in dict.fromkeys(families.values()):
        alike = [tracker for tracker in of if families[tracker] == family]
        every = dict.fromkeys(name for tracker in alike for name in of[tracker])
        differing = [name for name in every if _differs(name, [of[tracker] for tracker in alike])]
        names |= dict.fromkeys(differing)
        if differing:
            shown |= dict.fromkeys(alike, alike[0])
    if not names:
        return None
    ordered = sorted(names, key=lambda name: ("." in name, name.rpartition(".")[0]))  # the nested in groups, behind
    rows = [Row(study.marked(t), [_value(of, t, first, name) for name in ordered]) for t, first in shown.items()]
    columns = [Column(name.rpartition(".")[2], name.rpartition(".")[0], text=True) for name in ordered]
    firsts = ", ".join(study.marked(tracker) for tracker in dict.fromkeys(shown.values()))
    notes = [f"Settings in which trackers of one family differ. Soft: as in the family’s first, {firsts}."]
    left = [study.marked(tracker) for tracker in study.trackers if tracker not in shown]
    if left:
        notes.append(f"Alone in their families, or without settings that differ: {', '.join(left)}.")
    head = [Column("tracker", text=True), *columns]
    title = "Settings in which trackers differ"
    return Table(slug(study.name, "settings"), title, head, rows, notes, place=study.name)


def setting(value: Any) -> str:
    """A setting's value as params.yaml would have it: 0.00003, true, null, [videos, images]; "" where there is none."""
    if value is UNSET:
        return ""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, float):
        return np.format_float_positional(value, trim="-")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(setting, value))}]"
    return str(value)


def _trial(trial: Trial) -> list[Cell]:
    state = {"done": Cell("done"), "failed": cells.hole(failed=True), "missing": Cell("not run", mark="soft")}
    return [
        state[trial.state],
        cells.words(trial.train or ""),
        cells.words(", ".join(trial.benchmarks)),
        cells.hole() if trial.fold is None else cells.count(trial.fold),
        cells.count(trial.seed),
    ]


def _differs(name: str, settings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any two have other values; those that were not trained have none of training, and count for none."""
    having = [own for own in settings if name in own or "training." not in name]
    return len({setting(own.get(name, UNSET)) for own in having}) > 1


def _settings(trial: Trial) -> dict[str, Any]:
    """With what it was trained on, in which variants differ as well; untrained, without those of training."""
    flat = flattened(trial.settings)
    if trial.train is None:
        flat = {name: value for name, value in flat.items() if "training." not in name}
    return {"trained on": trial.train or "nothing"} | flat


def _value(of: dict[str, dict[str, Any]], tracker: str, first: str, name: str) -> Cell:
    own, reference = (setting(of[one].get(name, UNSET)) for one in (tracker, first))
    return cells.words(own, "soft" if own == reference and tracker != first else "")
