"""The scores of one trial on one benchmark as files: what a scoring job leaves, and the report reads.

scores.json names the sequences, the members of each attribute, and every score with its value and one value
a sequence, for people and for the record; and the curves that they are taken from. terms.npz holds what scores
are pooled from, numerator/i and denominator/i of score i (see `trackers.evaluation.scores`), and in float32
curves/numerator/i and curves/denominator/i of curve i (see `trackers.evaluation.curves`).
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trackers.evaluation.curves import CURVES
from trackers.evaluation.scores import Score

FACTS = ("measure", "convention", "protocol", "subset", "length", "pool")


@dataclass(frozen=True)
class Scores:
    """sequences: names of all. attributes: which of them have each. scores: of all of them, or of frames with a tag.

    curves: of all sequences, with a column for each threshold.
    """

    sequences: tuple[str, ...]
    attributes: Mapping[str, frozenset[str]]
    scores: tuple[Score, ...]
    curves: tuple[Score, ...]


def write(
    folder: Path,
    sequences: Sequence[str],
    attributes: Mapping[str, Iterable[str]],
    scores: Sequence[Score],
    curves: Sequence[Score] = (),
) -> None:
    """Write both files into an existing folder."""
    entries = [
        {
            **_facts(score),
            "value": _number(score.value),
            "sequences": score.sequences,
            "values": [_number(value) for value in score.values],
        }
        for score in scores
    ]
    members = {name: sorted(sequences) for name, sequences in sorted(attributes.items())}
    content = {
        "sequences": list(sequences),
        "attributes": members,
        "scores": entries,
        "curves": [{**_facts(curve), "sequences": curve.sequences} for curve in curves],
    }
    (folder / "scores.json").write_text(json.dumps(content))
    terms: dict[str, np.ndarray] = {}
    for i, score in enumerate(scores):
        terms |= {f"numerator/{i}": score.numerator, f"denominator/{i}": score.denominator}
    for i, curve in enumerate(curves):
        terms[f"curves/numerator/{i}"] = curve.numerator.astype(np.float32)
        terms[f"curves/denominator/{i}"] = curve.denominator.astype(np.float32)
    np.savez_compressed(folder / "terms.npz", allow_pickle=False, **terms)


def read(folder: Path) -> Scores:
    """Both files. Raises ValueError, with the file, what was expected and what came, where one is damaged."""
    path = folder / "scores.json"
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{path}: expected this file, got nothing there") from error
    except (OSError, ValueError) as error:  # JSON and UTF-8 errors are ValueErrors
        raise ValueError(f"{path}: expected JSON, got {type(error).__name__}: {error}") from error
    try:
        sequences = tuple(entry["sequences"])
        attributes = {name: frozenset(members) for name, members in entry["attributes"].items()}
        with np.load(folder / "terms.npz", allow_pickle=False) as stored:
            scores, curves = _stored(entry["scores"], stored, ""), _stored(entry["curves"], stored, "curves/")
    except (OSError, AttributeError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f'{path}: expected {{"sequences", "attributes", "scores", "curves"}}, and their terms beside it, '
            f"got {type(error).__name__}: {error}"
        ) from error
    if not sequences or len(set(sequences)) < len(sequences):
        raise ValueError(f"{path}: expected the names of one or more different sequences, got {sequences}")
    for score in (*scores, *curves):
        _check(score, f"{path}: {score.measure}, {score.protocol}, {score.subset}, length {score.length}")
    for curve in curves:
        _check_columns(curve, path)
    return Scores(sequences, attributes, scores, curves)


def _facts(score: Score) -> dict[str, Any]:
    return {name: getattr(score, name) for name in FACTS}


def _stored(entries: Iterable[Mapping[str, Any]], terms: Mapping[str, np.ndarray], prefix: str) -> tuple[Score, ...]:
    return tuple(
        Score(
            **{name: entry[name] for name in FACTS},
            sequences=tuple(entry["sequences"]),
            numerator=terms[f"{prefix}numerator/{i}"].astype(float),
            denominator=terms[f"{prefix}denominator/{i}"].astype(float),
        )
        for i, entry in enumerate(entries)
    )


def _check(score: Score, where: str) -> None:
    n, shapes = len(score.sequences), (score.numerator.shape, score.denominator.shape)
    if shapes[0] != shapes[1] or len(shapes[0]) != 2 or shapes[0][0] != n:
        raise ValueError(f"{where}: expected terms of {n} sequences, got shapes {shapes[0]} and {shapes[1]}")
    for i, name in enumerate(score.sequences):
        if not np.isfinite([score.numerator[i], score.denominator[i]]).all():
            raise ValueError(f"{where}: expected finite terms, got others for sequence {name}")


def _check_columns(curve: Score, path: Path) -> None:
    if curve.measure not in CURVES:
        raise ValueError(f"{path}: expected curves among {', '.join(CURVES)}, got {curve.measure}")
    try:
        CURVES[curve.measure].thresholds(curve.numerator.shape[1])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _number(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)
