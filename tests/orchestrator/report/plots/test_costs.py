from __future__ import annotations

import pytest

from orchestrator.report.plots import costs


def test_jobs_too_short_to_be_seen_are_one_bar() -> None:
    """Of 3,000 short jobs in turn few bars remain, that cover the same time; long ones and their labels stay."""
    spans = [("w1", ("score", "track")[i % 2], f"job {i}", i * 0.01, i * 0.01 + 0.01) for i in range(3000)]
    spans += [("w2", "train", "long", 0.0, 3000.0), ("w2", "train", "second", 3000.0, 3600.0)]
    drawn = costs.timeline("costs", spans)
    bars = drawn.spec["data"]["values"]
    assert len(bars) == 4
    short = [bar for bar in bars if bar["worker"] == "w1"]
    assert {bar["label"] for bar in short} == {"1500 jobs"}
    assert max(bar["end"] for bar in short) == pytest.approx(30 / 60, abs=1e-3)  # minutes: an hour is less than two
    assert [bar["label"] for bar in bars if bar["worker"] == "w2"] == ["long", "second"]


def test_time_is_added_up_by_tracker_and_kind() -> None:
    """The tracker that took longest is first; jobs of one kind are one part of its bar, in a fitting unit."""
    drawn = costs.seconds(
        "costs", [("A", "train", 3600), ("B", "train", 7200), ("A", "track", 7200), ("A", "train", 3600)]
    )
    parts = {(row["tracker"], row["kind"]): (row["time"], row["total"]) for row in drawn.spec["data"]["values"]}
    assert parts == {("A", "train"): (2, 4), ("B", "train"): (2, 2), ("A", "track"): (2, 4)}
    encoding = drawn.spec["layer"][0]["encoding"]
    assert (encoding["x"]["title"], encoding["y"]["sort"]) == ("hours", ["A", "B"])


def test_a_kind_of_job_keeps_its_colour() -> None:
    """Whichever kinds there are, one has the same colour, and no two have one."""
    drawn = [
        costs.seconds("costs", [("A", kind, 1.0) for kind in kinds])
        for kinds in (("tracking", "other"), ("features", "tracking", "training"))
    ]
    scales = [plot.spec["layer"][0]["encoding"]["color"]["scale"] for plot in drawn]
    first, second = (dict(zip(scale["domain"], scale["range"], strict=True)) for scale in scales)
    assert first["tracking"] == second["tracking"]
    assert list(second) == ["training", "tracking", "features"]
    assert len(set(second.values())) == 3


def test_nothing_took_no_time() -> None:
    """Without jobs there are empty plots, not errors."""
    assert costs.timeline("costs", []).spec["data"]["values"] == []
    assert costs.seconds("costs", []).spec["data"]["values"] == []
