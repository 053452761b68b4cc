from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.facts import Facts
from orchestrator.report import made
from orchestrator.report.results import Study, Trial
from orchestrator.report.table import Column, Row, Table


def trial(name: str, benchmarks: tuple[str, ...] = ("OTB-30",), **changes: object) -> Trial:
    given = {
        "key": f"key of {name}",
        "train": None,
        "fold": None,
        "seed": 1,
        "state": "done",
        "error": None,
        "log": None,
    }
    return Trial(name, tracker=name, benchmarks=benchmarks, settings={}, folder=Path(name), **given | changes)  # type: ignore[arg-type]


def study(name: str, *trials: Trial) -> Study:
    benchmarks = tuple(dict.fromkeys(benchmark for one in trials for benchmark in one.benchmarks))
    return Study(name, "toy", {}, (), tuple(one.tracker for one in trials), benchmarks, trials)


STUDIES = [study("rolo", trial("ROLO"), trial("SORT", ("OTB-30-test",))), study("rolo two", trial("X"))]
FACTS = Facts(
    "abc-dirty", "def", "profile: toy\n", {"torch": "2"},
    trials={(one.name, each.name): each.key for one in STUDIES for each in one.trials},
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "benchmarks", "trials"),
    [
        ("rolo-otb-30-one-pass-success", ("OTB-30",), ["ROLO"]),
        ("rolo-scores-otb-30-test-one-pass", ("OTB-30-test",), ["SORT"]),
        ("rolo-settings", ("OTB-30", "OTB-30-test"), ["ROLO", "SORT"]),
        ("rolo-two-otb-30", ("OTB-30",), ["X"]),
        ("overview", ("OTB-30", "OTB-30-test"), ["ROLO", "SORT", "X"]),
    ],
)
def test_names_say_what_is_shown(name: str, benchmarks: tuple[str, ...], trials: list[str]) -> None:
    """A name leads to the trials of its study on its benchmark, the longest that it has; else to all of them."""
    found = made.origin(name, "", STUDIES)
    assert (found.benchmarks, [trial for _, trial in found.trials]) == (benchmarks, trials)


def test_a_figure_is_traced_by_its_files(tmp_path: Path) -> None:
    """origins.json leads from a table to trials, and from these to keys; params.yaml lies beside it."""
    shown = Table("rolo-otb-30", "Scores", [Column("tracker")], [Row("ROLO", [])])
    made.write(made.of(STUDIES, FACTS, [shown]), STUDIES, tmp_path)
    said = json.loads((tmp_path / "origins.json").read_text())
    assert said["of"]["rolo-otb-30"]["trials"] == ["rolo / ROLO"]
    assert said["trials"]["rolo"]["ROLO"] == "key of ROLO"
    assert said["revisions"] == {"git": "abc-dirty", "data": "def", "params": FACTS.sha256}
    assert (tmp_path / "params.yaml").read_text() == "profile: toy\n"


def test_what_cannot_be_made_again_is_said() -> None:
    """A dirty tree and results of other parameters are warned of; the commands name the commit, without the mark."""
    found = made.of(STUDIES, FACTS)
    assert ("git checkout abc", "the code") in found.commands
    assert len(found.warnings) == 1
    other = replace(FACTS, git="abc", trials={**FACTS.trials, ("rolo", "ROLO"): "another"})
    [warning] = made.of(STUDIES, other).warnings
    assert warning.startswith("1 of 3 trials are of other parameters, data or code")
    assert made.of(STUDIES, None).commands == ()


def test_failures_come_with_what_to_do() -> None:
    """Trials without results are listed, failed ones first, with why, the log below build/logs, and what to do."""
    lost = "the worker died (3 attempts; log: /somewhere/build/logs/a.log)"
    bad = study(
        "s", trial("left", state="missing"), trial("lost", state="failed", error=lost), trial("fine"),
        trial("ill", state="failed", error="ValueError: loss is NaN", log="/somewhere/build/logs/b.log"),
    )  # fmt: skip
    failures = made.of([bad], None).failures
    assert failures is not None
    rows = {row.heading: [cell.text for cell in row.cells] for row in failures.rows}
    assert list(rows) == ["lost", "ill", "left"]
    assert rows["lost"][1:4] == ["failed", "the worker died (3 attempts)", "build/logs/a.log"]
    assert "trackmeet doctor" in rows["lost"][4]
    assert "trackmeet logs 'ill'" in rows["ill"][4]
    assert rows["left"][1:] == [
        "not run",
        "–",
        "–",
        "It was left out: trackmeet run --study 's' --tracker 'left' runs it.",
    ]
    assert made.of(STUDIES, None).failures is None
