from __future__ import annotations

import json

import pytest

from orchestrator import params


def test_a_run_ends_with_the_table_and_where_to_look(call):
    """`trackmeet run` ends with the table of trackers and the places of page and record; status says how it ended."""
    code, out, _ = call("run", "--executor", "local", "--record", "none")
    assert code == 0
    assert "Slow mover" in out
    assert "index.html" in out
    assert "make ui" in out
    assert call("status")[1].startswith("finished: 8/8 jobs done")


def test_a_recorded_run_ends_with_links_into_mlflow(call, monkeypatch):
    """A run that MLflow holds ends with the link of its study to the charts of all its trackers."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code, out, _ = call("run", "--executor", "local", "--record", "mlflow")
    assert code == 0
    [link] = [line for line in out.splitlines() if line.startswith("toy: http")]
    assert "/#/experiments/1/runs?" in link
    assert "compareRunsMode=CHART" in link


def test_a_dry_run_runs_nothing(call, project):
    """`--dry-run` prints each job and why it would run, and leaves no result."""
    code, out, _ = call("run", "--dry-run")
    assert code == 0
    assert "run   toy / Mover / train / seed 1 / fit: never ran" in out
    assert out.splitlines()[-1] == "8 jobs would run, 0 are done"
    assert not project.paths.results.exists()
    call("run", "--executor", "local", "--record", "none", "--tracker", "Mover")
    assert call("run", "--dry-run")[1].splitlines()[-1] == "5 jobs would run, 3 are done"


def test_bad_parameters_are_refused_in_one_list(call, project, params):
    """Wrong parameters end with status 2 and a line for each problem, no traceback, and nothing run."""
    params["studies"]["toy"]["trackers"]["Mover"].update(rat=1, rate="fast")
    project.write(params)
    code, _, error = call("run")
    assert code == 2
    assert "rat: unknown key" in error
    assert "rate: expected float, got 'fast' (str)" in error
    assert "Traceback" not in error
    assert not project.paths.status.exists()


def test_a_failure_is_told_by_its_cause_and_status_1(call, project, params):
    """A failed trial ends with status 1 and its cause alone, and the report is built to show the hole."""
    params["studies"]["toy"]["trackers"]["Mover"]["fault"] = "bug"
    project.write(params)
    code, out, error = call("run", "--executor", "local", "--record", "none")
    assert code == 1
    assert [line for line in error.splitlines() if line.startswith("FAILED")] == [
        line for line in error.splitlines() if "FloatingPointError: update 2" in line
    ]
    assert "and 2 jobs that needed them" in error
    assert "failed" in out
    assert "FloatingPointError" in (project.paths.report / "index.html").read_text()


def test_an_unknown_tracker_is_refused(call):
    """A tracker that is not in the parameters is an error that names those that are."""
    code, _, error = call("run", "--tracker", "Runner")
    assert code == 2
    assert "no tracker 'Runner'" in error


@pytest.mark.parametrize("profile", params.profiles())
def test_profiles_are_printed_as_they_are_packaged(call, profile):
    """`trackmeet params NAME` prints the packaged profile."""
    code, out, _ = call("params", profile)
    assert code == 0
    assert out == (params.PROFILES / f"{profile}.yaml").read_text()


def test_speed_prints_one_json_object(call):
    """`trackmeet speed NAME --json` prints one object with name, machine and results."""
    code, out, _ = call("speed", "digits", "--json", "--repeats", "1")
    assert code == 0
    result = json.loads(out)
    assert set(result) == {"name", "machine", "results"}
    assert all(set(row) == {"what", "ours", "other", "unit", "ratio", "target"} for row in result["results"])


def test_no_run_yet_is_said(call):
    """`trackmeet status` before any run says so."""
    assert call("status")[1] == "no run yet\n"
