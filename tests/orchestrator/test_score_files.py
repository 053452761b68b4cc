from __future__ import annotations

import json

import numpy as np
import pytest

from orchestrator import score_files
from trackers.evaluation.scores import Score


def score(subset="all", numerator=((0.5, 1.0), (0.0, 0.0)), denominator=((1.0, 1.0), (0.0, 0.0)), names=("a", "b")):
    terms = np.array(numerator), np.array(denominator)
    return Score("success_auc", "otb", "one_pass", subset, None, names, *terms)


def test_scores_come_back_with_their_terms(tmp_path):
    """What was measured is read as it was written; what counts nothing is null for people."""
    score_files.write(tmp_path, ["a", "b"], {"OCC": {"b"}}, [score(), score("blur")])
    stored = score_files.read(tmp_path)
    assert stored.sequences == ("a", "b")
    assert stored.attributes == {"OCC": frozenset({"b"})}
    assert [s.subset for s in stored.scores] == ["all", "blur"]
    assert stored.scores[0].value == 0.75
    np.testing.assert_equal(stored.scores[0].numerator, [[0.5, 1.0], [0.0, 0.0]])
    first = json.loads((tmp_path / "scores.json").read_text())["scores"][0]
    assert (first["value"], first["values"], first["convention"]) == (0.75, [0.75, None], "otb")


def test_terms_that_do_not_fit_are_refused(tmp_path):
    """Terms must be finite and one row a sequence."""
    score_files.write(tmp_path, ["a", "b"], {}, [score(names=("a",))])
    with pytest.raises(ValueError, match=r"success_auc, one_pass, all, length None: expected terms of 1 sequences"):
        score_files.read(tmp_path)
    score_files.write(tmp_path, ["a", "b"], {}, [score(numerator=((0.5, np.inf), (0.0, 0.0)))])
    with pytest.raises(ValueError, match="expected finite terms, got others for sequence a"):
        score_files.read(tmp_path)


def curve(measure="success", columns=21):
    terms = np.full((2, columns), 0.1), np.ones((2, columns))
    return Score(measure, "otb", "one_pass", "all", None, ("a", "b"), *terms)


def test_curves_come_back_in_float32(tmp_path):
    """Curves are kept beside the scores, as exact as a plot needs."""
    score_files.write(tmp_path, ["a", "b"], {}, [score()], [curve()])
    [stored] = score_files.read(tmp_path).curves
    assert (stored.measure, stored.sequences, stored.numerator.dtype) == ("success", ("a", "b"), float)
    np.testing.assert_allclose(stored.numerator, curve().numerator, rtol=1e-7)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (curve("failure"), "expected curves among success, .*, got failure"),
        (curve(columns=20), "success: expected 21 columns, got 20"),
    ],
)
def test_curves_that_are_none_are_refused(tmp_path, found, message):
    """A curve has a known name and as many columns as its thresholds."""
    score_files.write(tmp_path, ["a", "b"], {}, [score()], [found])
    with pytest.raises(ValueError, match=message):
        score_files.read(tmp_path)
