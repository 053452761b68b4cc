"""Frames per second, from the time that runs say each frame took; whether it was taken alone, they do not say.

Frames whose time is not known do not count. Conventions:

    trackmeet    all frames of all sequences / the seconds that they took
    got10k       ExperimentOTB: the mean of 1 / seconds over the frames of a sequence, then over sequences
"""

from __future__ import annotations

import numpy as np

from trackers.evaluation import ope, vot
from trackers.evaluation.measure import Convention, Measure, Terms
from trackers.evaluation.results import Results


def fps(results: Results, convention: Convention) -> Terms:
    """Frames per second, of those frames that took a known time above 0."""
    terms = np.zeros((2, len(results.sequences), 1))
    for i, runs in enumerate(results.runs):
        seconds = np.concatenate([np.zeros(0), *(run.seconds for run in runs if run.seconds is not None)])
        seconds = seconds[seconds > 0]
        if len(seconds):
            terms[:, i, 0] = (np.mean(1 / seconds), 1) if convention == "got10k" else (len(seconds), seconds.sum())
    return terms[0], terms[1]


MEASURES = [
    Measure("fps", "fps", (0.0, np.inf), "higher", ("trackmeet", "got10k"), (*ope.PROTOCOLS, *vot.PROTOCOLS), fps)
]
