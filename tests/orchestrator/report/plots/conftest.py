from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from orchestrator.report.results import Quantity, Study, Trial
from orchestrator.report.scores import Cell, Grid
from orchestrator.report.summary import Summary, summaries
from trackers.evaluation.results import ALL

Write = Callable[..., Summary]
SEQUENCES = ("a", "b", "c", "d")


def trial(tracker: str, speed: float | None, caveat: str | None) -> Trial:
    """One that is done; speed: in frames per second."""
    made = Trial(
        tracker, tracker, tracker, None, None, 1, "done", None, None, ("OTB",), {}, Path("nowhere"), caveat=caveat
    )
    vars(made)["speeds"] = {} if speed is None else {"OTB": {"fps": speed, "efo": speed / 10}}
    vars(made)["curves"] = {}
    return made


@pytest.fixture
def invented() -> Write:
    """A summary of trackers by the score that they have on every sequence."""

    def invent(
        qualities: Mapping[str, float],
        subsets: Sequence[str] = (),
        speeds: Mapping[str, float] | None = None,
        caveats: Mapping[str, str] | None = None,
        measures: Sequence[str] = ("success_auc",),
        protocol: str = "one_pass",
    ) -> Summary:
        trials = tuple(trial(name, (speeds or {}).get(name), (caveats or {}).get(name)) for name in qualities)
        study = Study("mine", "custom", {}, (), tuple(qualities), ("OTB",), trials)
        measured, curves = {}, {}
        for name, quality in qualities.items():
            rising = quality + np.linspace(-0.05, 0.05, len(SEQUENCES))[:, None, None]
            for measure in measures:
                for subset in (ALL, *subsets):
                    key = Quantity(measure, protocol, None, subset, "otb")
                    measured[name, "OTB", key] = Cell(key, SEQUENCES, rising, np.ones_like(rising))
            key = Quantity("success", protocol, None, ALL, "otb")
            falling = rising * np.linspace(2, 0, 21)
            curves[name, "OTB", key] = Cell(key, SEQUENCES, falling, np.ones_like(falling))
        [found] = summaries(Grid(study, measured, {}, curves, {"OTB": frozenset(subsets)}))
        return found

    return invent
