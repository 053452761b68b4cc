"""What our measures say of the files that a toolkit judged, in the shape that its script prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from trackers.benchmarks import got10k, otb, vot
from trackers.benchmarks.collection import Collection
from trackers.evaluation import ope, result_files
from trackers.evaluation.eao import eao_curve
from trackers.evaluation.measure import Convention, Terms
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import Results, gather

Values = dict[str, dict[str, list]]


def of_otb(root: Path, results: Path, convention: Convention = "got10k") -> Values:
    """Success, precision and their curves, by tracker: read from annotations alone, and a box a line."""
    collection = otb.open(otb.Config(), root, "synthetic")
    return {
        submission.tracker: judge_boxes(gather(collection, submission.trajectories, submission.protocol), convention)
        for submission in result_files.read(results, collection)
    }


def judge_boxes(found: Results, convention: Convention) -> dict[str, list]:
    """The same of one tracker, from arrays."""
    success, precision = [], []
    for part in ope.parts(found):
        judged = ope.frames(part, convention)
        success += _each(ope.success(judged, convention))
        precision += _each(ope.precision(judged, convention))
    success, precision = ([np.mean(curves, 0), *curves] for curves in (success, precision))
    return {
        "success_auc": [np.mean(success[0])],
        "os_50": [success[0][10]],
        "precision_20": [precision[0][20]],
        "success curves": success,
        "precision curves": precision,
    }


def of_pysot(collection: Collection, results: Path) -> Values:
    """The same as pysot-toolkit has it, and normalized precision."""
    values = {}
    for submission in result_files.read(results, collection):
        found = gather(collection, submission.trajectories, submission.protocol)
        curves = _each(ope.normalized_precision(ope.frames(found, "pysot"), "pysot"))
        curves = [np.mean(curves, 0), *curves]
        normalized = {"normalized_precision": [curves[0][20]], "normalized precision curves": curves}
        values[submission.tracker] = {**judge_boxes(found, "pysot"), **normalized}
    return values


def of_got10k(root: Path, results: Path) -> Values:
    """Average overlap and success rates of frames in the image, by tracker."""
    collection, values = got10k.open(got10k.Config(), root, "synthetic"), {}
    for submission in result_files.read(results, collection):
        found = gather(collection, submission.trajectories, submission.protocol)
        scores = {name: MEASURES[name](found, "got10k") for name in ("average_overlap", "sr_50", "sr_75")}
        values[submission.tracker] = {
            **{name: [score.value] for name, score in scores.items()},
            "pooled success curve": ope.POOLED_SUCCESS(found, "got10k").tolist(),
            "average overlap of sequences": scores["average_overlap"].values.tolist(),
            "sr_50 of sequences": scores["sr_50"].values.tolist(),
        }
    return values


def of_vot(root: Path, results: Path, convention: Convention, interval: tuple[int, int]) -> Values:
    """Accuracy, failures, robustness, EAO and its curve, by tracker."""
    collection = vot.open(vot.Config(), root, "synthetic")
    return {
        submission.tracker: judge_resets(collection, submission, convention, interval)
        for submission in result_files.read(results, collection)
    }


def judge_resets(
    collection: Collection, submission: result_files.Submission, convention: Convention, interval: tuple[int, int]
) -> dict[str, list]:
    """The same of one tracker."""
    found = replace(gather(collection, submission.trajectories, submission.protocol), interval=interval)
    names = ("accuracy", "robustness", "reliability", "failures", "eao")
    scores = {name: MEASURES[name](found, convention) for name in names if convention in MEASURES[name].conventions}
    return {
        **{name: [score.value] for name, score in scores.items()},
        **{f"{name} of sequences": scores[name].values.tolist() for name in ("accuracy", "failures")},
        "eao curve": eao_curve(found, convention).tolist(),
    }


def _each(terms: Terms) -> list[np.ndarray]:
    """The curve of each sequence."""
    numerator, denominator = terms
    return list(numerator / denominator)
