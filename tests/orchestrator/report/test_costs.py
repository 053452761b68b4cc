from __future__ import annotations

import pytest

from orchestrator.facts import Done, Facts
from orchestrator.report import costs
from orchestrator.report.costs import spells
from orchestrator.report.table import Table


def done(
    key: str, began: float, ended: float, kind: str = "track", users: tuple[str, ...] = ("A",), **changes: object
) -> Done:
    """A job of trackers of the study s, at which its worker was all the time."""
    given = {"label": key, "trials": len(users), "worked": ended - began, "host": "h", **changes}
    return Done(key, kind, users=tuple(("s", user) for user in users), began=began, ended=ended, **given)  # type: ignore[arg-type]


def facts(*jobs: Done, **changes: object) -> Facts:
    return Facts("abc", "def", "profile: toy\n", {}, done=jobs, **changes)  # type: ignore[arg-type]


def table(found: costs.Costs, name: str) -> dict[str, list[str]]:
    """The texts of a table's cells by heading."""
    [one] = [table for table in found.tables if table.name == name]
    assert isinstance(one, Table)
    return {row.heading: [cell.text for cell in row.cells] for row in one.rows}


def test_jobs_stand_in_as_many_lanes_as_ran_at_once() -> None:
    """Of 0-10, 2-5 and 5-8 s the last takes the lane that the second left: two workers, busy 16 of 20 s."""
    [spell] = spells([done("b", 2, 5), done("c", 5, 8), done("a", 0, 10)])
    assert [(span.job.key, span.lane) for span in spell.spans] == [("a", 1), ("b", 2), ("c", 2)]
    assert (spell.lanes, spell.wall, spell.utilization) == (2, 10, pytest.approx(0.8))


def test_each_host_has_lanes_of_its_own() -> None:
    """Jobs one after the other on two hosts were done by two workers."""
    [spell] = spells([done("a", 0, 1), done("b", 1, 2, host="other")])
    assert (spell.lanes, spell.utilization) == (2, pytest.approx(0.5))


def test_a_pause_parts_runs() -> None:
    """What begins more than a minute after all before it has ended is another run; a long job bridges short ones."""
    found = spells([done("a", 0, 100), done("b", 1, 2), done("c", 160, 170), done("d", 231, 240)])
    assert [[span.job.key for span in spell.spans] for spell in found] == [["a", "b", "c"], ["d"]]
    assert [row["run"] for row in costs.rows(facts(done("a", 0, 1), done("b", 99, 100)))] == [1, 0]


def test_shared_jobs_are_split_evenly() -> None:
    """A training of 10 s that two trackers need counts 5 s for each: all add up to the 16 s that workers were at it."""
    known = facts(done("t", 0, 10, "train", ("A", "B")), done("a", 10, 14), done("b", 10, 12, users=("B",)))
    found = costs.of(known)
    assert table(found, "costs-trackers") == {
        "A": ["s", "5 s", "4 s", "9 s", "14 s"],
        "B": ["s", "5 s", "2 s", "7 s", "12 s"],
    }
    assert table(found, "costs-kinds")["training"] == ["1", "1", "10 s", "62%", "10 s", "10 s", "–"]
    assert table(found, "costs-studies") == {"s": ["3", "0", "16 s", "100%", "16 s"]}
    assert "1 of them serve several trackers, which saved 10 s." in found.summary


def test_what_was_tried_again_is_said() -> None:
    """A job whose worker died under it is listed with the reason; without such jobs there is no such table."""
    found = costs.of(facts(done("a", 0, 1, attempts=("the worker died",))))
    assert table(found, "costs-again") == {"a": ["1", "the worker died"]}
    assert "costs-again" not in [one.name for one in costs.of(facts(done("a", 0, 1))).tables]


def test_an_empty_store_is_said_to_be_empty() -> None:
    """Where no job is known the page says why, in place of tables of nothing; a part that is lacking is said, too."""
    empty = costs.of(facts(problem="the store, build/store, has none of their jobs"))
    assert (list(empty.tables), "build/store" in empty.problem) == ([], True)
    assert "3 jobs more" in costs.of(facts(done("a", 0, 1), lacking=3)).problem
    assert not costs.of(facts(done("a", 0, 1))).problem


def test_every_job_is_a_row() -> None:
    """costs.csv has a row a job with all columns, and the key by which the store knows it."""
    rows = costs.rows(facts(done("a", 0, 1, memory=5, users=("A", "B"))))
    assert [list(row) for row in rows] == [list(costs.COLUMNS)]
    assert (rows[0]["for"], rows[0]["memory"], rows[0]["gpu_memory"], rows[0]["key"]) == ("s / A; s / B", 5, None, "a")
