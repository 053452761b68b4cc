from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import score_files
from orchestrator.report import paper, results, scores
from orchestrator.report.results import Quantity
from trackers.evaluation.scores import Score

Write = Callable[..., Path]
AT_20 = Quantity("average_overlap", "one_pass", 20)


def set_values(folder: Path, trial: dict[str, Any], benchmark: str, values: dict[str, float]) -> None:
    """Make these, by sequence, the trial's only scores there: of length 20."""
    names, numbers = tuple(values), np.array(list(values.values()))[:, None]
    score = Score("average_overlap", "trackmeet", "one_pass", "all", 20, names, numbers, np.ones_like(numbers))
    score_files.write(folder / "rectracker" / trial["folder"] / benchmark, names, {}, [score])


def table_of(study: results.Study) -> list[dict[str, object]]:
    reported = paper.load("rectracker")
    return list(scores.rows(scores.grid(study, reported), reported))


def test_a_row_of_the_tidy_table(write_results: Write) -> None:
    """Each trial's scores at each length are one row, with mean, deviation, interval, n and the paper's number."""
    folder = write_results()
    (study,) = results.read(folder)
    stored = json.loads((folder / "rectracker/ConvTracker_MNIST-Multi-Same/MNIST-Multi-Diff/scores.json").read_text())
    values = np.array(stored["scores"][2]["values"])
    table = table_of(study)
    assert len(table) == 5 * 4 * 4
    assert all(tuple(row) == scores.COLUMNS for row in table)
    (row,) = [
        r for r in table if (r["tracker"], r["benchmark"], r["length"]) == ("ConvTracker", "MNIST-Multi-Diff", 80)
    ]
    assert row["value"] == pytest.approx(values.mean())
    assert row["std"] == pytest.approx(values.std())
    assert row["low"] < row["value"] < row["high"]
    assert (row["n"], row["fold"], row["subset"], row["paper"]) == (12, "all", "all", 0.14)


def test_folds_are_pooled_and_kept(write_results: Write, trials: list[dict[str, Any]]) -> None:
    """Folds of one seed pool their sequences into one cell, and each keeps a row of its own."""
    first = trials[-1]
    second = first | {"folder": "second", "name": "second", "fold": 2}
    first["fold"] = 1
    trials.append(second)
    folder = write_results()
    set_values(folder, first, "MNIST-Single-Same", {"a": 0.2, "b": 0.4})
    set_values(folder, second, "MNIST-Single-Same", {"c": 0.9})
    (study,) = results.read(folder)
    table = [
        (row["fold"], row["n"], round(float(row["value"]), 6), row["paper"])  # type: ignore[arg-type]
        for row in table_of(study)
        if (row["tracker"], row["benchmark"]) == ("KerCorrTracker", "MNIST-Single-Same")
    ]
    assert table == [("all", 3, 0.5, 0.37), (1, 2, 0.3, None), (2, 1, 0.9, None)]


def test_seeds_do_not_multiply_sequences(write_results: Write, trials: list[dict[str, Any]]) -> None:
    """Two seeds on two sequences are two sequences: means are averaged, and so are each seed's deviations."""
    first = trials[-1]
    second = first | {"folder": "second", "name": "second", "seed": 2}
    trials.append(second)
    folder = write_results()
    set_values(folder, first, "MNIST-Single-Same", {"a": 0.0, "b": 0.4})
    set_values(folder, second, "MNIST-Single-Same", {"b": 0.2, "a": 0.4})
    (study,) = results.read(folder)
    cell = scores.pool(study.trials[-2:], "MNIST-Single-Same", AT_20)
    assert cell is not None
    assert cell.n == 2
    assert cell.mean == pytest.approx(0.25)
    assert cell.std == pytest.approx((0.2 + 0.1) / 2)
    assert cell.of(["b", "a"]).tolist() == [[0.4, 0.2], [0.0, 0.4]]


def test_csv_is_stable() -> None:
    """Floats have six decimals and no negative zero, None is an empty field, commas are quoted."""
    text = scores.as_csv(["a", "b", "c"], [{"a": -1e-9, "b": None, "c": "x, y"}, {"a": 0.1 + 0.2, "b": 3, "c": "z"}])
    assert text == 'a,b,c\n0.000000,,"x, y"\n0.300000,3,z\n'
    assert len(list(csv.DictReader(io.StringIO(text)))) == 2
