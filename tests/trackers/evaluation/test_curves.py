from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trackers.evaluation import eao
from trackers.evaluation.curves import CURVES
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import Results
from trackers.evaluation.scores import pooled
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence, Unseen


def judged(protocol="one_pass", frames=(30, 40, 50)):
    """Sequences of a target that moves, and runs that lose it a little; with resets, one failure each."""
    rng = np.random.default_rng(3)
    sequences, runs = [], []
    for i, length in enumerate(frames):
        boxes = np.array([20, 20, 30, 30]) + np.arange(length)[:, None] * [1.0, 0.5, 0, 0]
        events = np.full(length, Event.PREDICTED, np.int8)
        events[0] = Event.INITIALIZED
        if protocol == "supervised_reset":
            events[20], events[21:25], events[25] = Event.FAILED, Event.SKIPPED, Event.INITIALIZED
        sequences.append(Sequence(f"s{i}", Unseen(length), boxes, size=(200, 200)))
        runs.append((Trajectory(f"s{i}", boxes + rng.normal(0, 6, boxes.shape), events),))
    return Results(tuple(sequences), tuple(runs), protocol, interval=(10, 20))


def points(score):
    """Thresholds and values of a curve over all sequences."""
    numerator, denominator = score.numerator.sum(0), score.denominator.sum(0)
    x = CURVES[score.measure].thresholds(len(numerator))
    return x, pooled(numerator[:, None], denominator[:, None], "mean")


@pytest.mark.parametrize(
    ("curve", "measure", "convention", "at"),
    [
        ("success", "success_auc", "otb", None),
        ("success", "os_50", "otb", 0.5),
        ("precision", "precision_20", "otb", 20),
        ("normalized_precision", "normalized_precision", "pysot", 0.2),
        ("normalized_precision", "normalized_precision_auc", "got10k", None),
        ("pooled_success", "sr_50", "got10k", 0.5),
        ("pooled_success", "sr_75", "got10k", 0.75),
    ],
)
def test_measures_are_points_or_means_of_their_curves(curve, measure, convention, at):
    """A measure is the curve's value at its threshold, or its mean over all of them."""
    assert measure in CURVES[curve].measures
    x, values = points(CURVES[curve](judged(), convention))
    expected = values.mean() if at is None else values[np.flatnonzero(np.isclose(x, at))].item()
    assert MEASURES[measure](judged(), convention).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("convention", "first"), [("trackmeet", 10), ("vot", 11), ("vot-legacy", 10), ("pysot", 10)])
def test_eao_is_the_mean_of_its_curve_over_the_interval(convention, first):
    """EAO is the mean of the expected average overlap of its lengths, which begin at 2 frames."""
    results = judged("supervised_reset")
    x, values = points(CURVES["eao"](results, convention))
    assert x[0] == 2
    inside = (x >= first) & (x <= first + 10)
    assert MEASURES["eao"](results, convention).value == pytest.approx(values[inside].mean(), rel=1e-6)
    np.testing.assert_allclose(values[:20], eao.eao_curve(results, convention)[1:21], rtol=1e-6)


@pytest.mark.parametrize("name", ["success", "precision", "normalized_precision"])
def test_parts_of_the_sequences_are_pooled_to_the_whole(name):
    """The terms of some sequences and those of the others, under each other, are the curve of all."""
    results, curve = judged(), CURVES[name]
    parts = [replace(results, sequences=results.sequences[i], runs=results.runs[i]) for i in (slice(2), slice(2, 3))]
    terms = np.concatenate([curve(part, "otb").numerator for part in parts])
    np.testing.assert_array_equal(terms, curve(results, "otb").numerator)


def test_every_measure_that_has_a_curve_is_known():
    """Curves name measures that are there, and are defined under each of their protocols and conventions."""
    for curve in CURVES.values():
        for name in curve.measures:
            measure = MEASURES[name]
            for convention in measure.conventions:
                score = curve(judged(measure.protocols_of(convention)[0]), convention)
                assert score.numerator.shape == score.denominator.shape
                assert (np.diff(curve.thresholds(score.numerator.shape[1])) > 0).all()


def test_a_curve_of_another_length_is_refused():
    """Where the number of thresholds is fixed, terms of another number are no such curve."""
    with pytest.raises(ValueError, match="success: expected 21 columns, got 20"):
        CURVES["success"].thresholds(20)
    assert CURVES["eao"].thresholds(3).tolist() == [2, 3, 4]


def test_framewise_iou_is_of_random_clips_alone():
    """Only there have all sequences as many frames behind a start; a ROC is wherever pixels are counted."""
    assert CURVES["framewise_iou"].belongs(["mask_iou"], "random_clips")
    assert not CURVES["framewise_iou"].belongs(["mask_iou"], "one_pass")
    assert not CURVES["framewise_iou"].belongs(["pixel_auc"], "random_clips")
    assert CURVES["roc"].belongs(["mask_iou", "pixel_auc"], "one_pass")
