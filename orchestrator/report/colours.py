"""The colours of the report: one for each tracker of a study, the same wherever it is drawn."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle

# Okabe and Ito's colours, told apart with any kind of colour vision; RGB, of what is drawn on frames.
GROUNDTRUTH, PREDICTION = (86, 180, 233), (230, 159, 0)
BELOW, ABOVE = (0, 114, 178), (213, 94, 0)  # what a memory cell has below 0, and above; 0 is white
TOGETHER, APART = BELOW, ABOVE  # correlations of positives with each other, and with negatives
OKABE_ITO = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
TOL = ("#332288", "#999933", "#882255", "#117733", "#661100", "#6699cc", "#aa4499")  # for the rest
COLOURS = OKABE_ITO + TOL
SHARED = "#777777"  # of what several trackers have in common, or of those that a figure does not name


def of(trackers: Iterable[str]) -> dict[str, str]:
    """The colour "#rrggbb" of each of these, the study's trackers in its order; beyond 14 they recur."""
    return dict(zip(trackers, cycle(COLOURS), strict=False))
