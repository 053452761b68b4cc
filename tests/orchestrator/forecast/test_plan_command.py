from __future__ import annotations

import csv
import json

import pytest

PLAIN = ("plan", "--executor", "local", "--no-calibrate")


@pytest.fixture(autouse=True)
def _steady(monkeypatch, request):
    """A machine of pace 1 with two cores; the plot, which takes a second, is drawn in one test."""
    monkeypatch.setattr("orchestrator.pace.pace", lambda: 1.0)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1})
    if "is_drawn" not in request.node.name:
        monkeypatch.setattr("orchestrator.forecast.chart.write", lambda *given: [])


def test_a_plan_says_what_there_is_to_do_before_anything_runs(call, project):
    """Jobs by kind, on what the figures rest, time, disk and critical path are printed; no result is written."""
    code, out, _ = call(*PLAIN)
    assert code == 0
    assert "jobs            8 to do, 0 done: train 2 (0 done), track 3 (0 done), score 3 (0 done)" in out
    assert "estimated from  guess 8" in out
    # 2 trainings of 60 s, 3 trackings of 8 s, 3 scorings of 0.3 s, one after the other
    assert "here            2 min 25 s, 0.04 CPU-hours" in out
    assert "critical path   1 min 08 s, 3 jobs" in out
    assert "60.0 s  toy / Mover / train / seed 1 / fit" in out
    assert not project.paths.store.exists()


def test_what_is_done_is_counted_and_its_time_used(call):
    """After a run nothing is to do; as if nothing were done, all is estimated from its own history."""
    assert call("run", "--executor", "local", "--record", "none")[0] == 0
    _, out, _ = call(*PLAIN)
    assert out.splitlines()[-1] == "nothing to do"
    assert "0 to do, 8 done" in out
    assert "estimated from  own history 8" in call(*PLAIN, "--again")[1]


def test_nodes_that_are_asked_about_cost_what_they_are_paid_for(call):
    """Two nodes at 3.60 an hour each, with 2 GPUs at 1.80 each, cost 0.004 a second, busy or not."""
    words = ("--nodes", "2", "--gpus", "2", "--cpus", "4", "--price-per-hour", "3.6", "--price-per-gpu-hour", "1.8")
    code, out, _ = call(*PLAIN, *words, "--gpu-factor", "2", "--json")
    assert code == 0
    asked = json.loads(out)["costs"][1]
    # trainings of 60 / 2 s and trackings of 8 / 2 s at once, then scoring; every job on a GPU of its own
    assert asked["seconds"] == pytest.approx(30 + 4 + 0.3)
    assert asked["gpu_hours"] == pytest.approx((2 * 30 + 3 * 4) / 3600)
    assert asked["money"] == pytest.approx(34.3 * 0.004)


def test_the_curve_has_the_makespan_by_the_number_of_gpus(call):
    """One GPU does all that can use it one after the other, 2 x 60 + 3 x 8 s; two have a training each."""
    curve = json.loads(call(*PLAIN, "--json")[1])["curve"]
    assert [point["gpus"] for point in curve] == [2**n for n in range(11)]
    assert [point["seconds"] for point in curve[:2]] == [pytest.approx(144.3), pytest.approx(76.3)]


@pytest.mark.slow
def test_the_curve_is_drawn_and_written(call, project):
    """It lies as SVG, PNG and CSV under build/forecast."""
    call(*PLAIN)
    folder = project.paths.build / "forecast"
    assert sorted(path.name for path in folder.iterdir()) == ["makespan.csv", "makespan.png", "makespan.svg"]
    assert (folder / "makespan.svg").read_text().startswith("<?xml")
    rows = list(csv.DictReader((folder / "makespan.csv").open()))
    assert [int(row["gpus"]) for row in rows] == [2**n for n in range(11)]


def test_what_has_no_room_is_an_error(call, project, params):
    """A tracker that needs two GPUs for a job is told, in one line, that the nodes have none."""
    params["studies"]["toy"]["trackers"]["Mover"]["resources"] = {"track": {"gpus": 1}}
    project.write(params)
    code, _, error = call(*PLAIN)
    assert code == 2
    assert "expected nodes with room for" in error
