"""The scores of one trial on one benchmark as files: what a scoring job leaves, and the report reads.

scores.json names the sequences, the members of each attribute, and every score with its value and one value
a sequence, for people and for the record. terms.npz holds what scores are pooled from, numerator/i and
denominator/i of score i (see `trackers.evaluation.scores`).
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

from trackers.evaluation.scores import Score

FACTS = ("measure", "convention", "protocol", "subset", "length", "pool")


@dataclass(frozen=True)
class Scores:
    """sequences: names of all. attributes: which of them have each. scores: of all of them, or of frames with a tag."""

    sequences: tuple[str, ...]
    attributes: Mapping[str, frozenset[str]]
    scores: tuple[Score, ...]


def write(
    folder: Path, sequences: Sequence[str], attributes: Mapping[str, Iterable[str]], scores: Sequence[Score]
) -> None:
    """Write both files into an existing folder."""
    entries = [
        {
            **{name: getattr(score, name) for name in FACTS},
            "value": _number(score.value),
            "sequences": score.sequences,
            "values": [_number(value) for value in score.values],
        }
        for score in scores
    ]
    members = {name: sorted(sequences) for name, sequences in sorted(attributes.items())}
    content = {"sequences": list(sequences), "attributes": members, "scores": entries}
    (folder / "scores.json").write_text(json.dumps(content))
    terms = {f"numerator/{i}": score.numerator for i, score in enumerate(scores)}
    terms |= {f"denominator/{i}": score.denominator for i, score in enumerate(scores)}
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
            scores = tuple(
                Score(
                    **{name: score[name] for name in FACTS},
                    sequences=tuple(score["sequences"]),
                    numerator=stored[f"numerator/{i}"],
                    denominator=stored[f"denominator/{i}"],
                )
                for i, score in enumerate(entry["scores"])
            )
    except (OSError, AttributeError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f'{path}: expected {{"sequences", "attributes", "scores"}}, and their terms beside it, '
            f"got {type(error).__name__}: {error}"
        ) from error
    if not sequences or len(set(sequences)) < len(sequences):
        raise ValueError(f"{path}: expected the names of one or more different sequences, got {sequences}")
    for score in scores:
        _check(score, f"{path}: {score.measure}, {score.protocol}, {score.subset}, length {score.length}")
    return Scores(sequences, attributes, scores)


def _check(score: Score, where: str) -> None:
    n, shapes = len(score.sequences), (score.numerator.shape, score.denominator.shape)
    if shapes[0] != shapes[1] or len(shapes[0]) != 2 or shapes[0][0] != n:
        raise ValueError(f"{where}: expected terms of {n} sequences, got shapes {shapes[0]} and {shapes[1]}")
    for i, name in enumerate(score.sequences):
        if not np.isfinite([score.numerator[i], score.denominator[i]]).all():
            raise ValueError(f"{where}: expected finite terms, got others for sequence {name}")


def _number(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)
