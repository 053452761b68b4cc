import base64
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zlib
from pathlib import Path
from urllib.parse import unquote

import pytest

from orchestrator.record import DataSet, Model, NoRecord, Point, Study, TrialRun, flatten, history, mlflow_view
from orchestrator.record.delivery import MlflowRecord, replay
from orchestrator.record.mlflow_store import KEY_TAG, REFUSED_TAG, default_uri, fetch_model, initialize
from orchestrator.record.mlflow_ui import links, ui_command
from orchestrator.record.outbox import refused

ROOT = Path(__file__).parents[3]
LONG = 60  # seconds that nothing here ever takes


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return inherited | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | variables


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A project with one database for all tests, each with a study of its own: creating one takes seconds."""
    root = tmp_path_factory.mktemp("project")
    initialize(f"sqlite:///{root}/build/record/mlflow.db")
    return root


@pytest.fixture(scope="module")
def uri(root) -> str:
    return f"sqlite:///{root}/build/record/mlflow.db"


@pytest.fixture(scope="module")
def client(uri):
    return mlflow_client(uri)


@pytest.fixture
def nowhere() -> str:
    """An address at which no server listens."""
    return f"http://127.0.0.1:{free_port()}"


def mlflow_client(uri: str):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def until(condition) -> None:
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def runs_of(client, study: str) -> dict:
    """All runs of a study by their trial's key; fails where a key has two."""
    experiment = client.get_experiment_by_name(study)
    runs = client.search_runs([experiment.experiment_id], max_results=1000) if experiment else []
    found = {run.data.tags[KEY_TAG]: run for run in runs}
    assert len(found) == len(runs)
    return found


def curve(client, run, name: str) -> list[tuple[int, float, int]]:
    points = client.get_metric_history(run.info.run_id, name)
    return sorted((point.step, point.value, point.timestamp) for point in points)


def tell(record, study: str, key: str = "k", losses=(3.0, 2.0, 1.0)) -> None:
    """Tell all of one small trial."""
    record.trial(TrialRun(key, study, f"trial {key}", {"train": {"epochs": 2}, "lr": 0.1}, {"fold": "0"}, "a note"))
    record.metrics(key, [Point("loss", value, step, 1000 + step) for step, value in enumerate(losses)])
    record.finish(key, "FINISHED", 5000)


def test_importing_the_record_imports_no_mlflow():
    """`import orchestrator.record`, and a record that keeps nothing, work where MLflow is not installed."""
    code = "import sys, orchestrator.record as r; r.NoRecord().close(0); print('mlflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_run_holds_what_was_told(client, uri, tmp_path):
    """Settings, tags, name, note, curves with their own times, files and the end arrive as told."""
    weights = tmp_path / "model.bin"
    weights.write_bytes(b"weights")
    record = MlflowRecord(tmp_path / "spool", uri)
    record.trial(TrialRun("k", "whole", "RecTracker", {"train": {"epochs": 2}, "lr": 0.1}, {"fold": "0"}, "a note"))
    record.metrics("k", [Point("loss", 0.5, 0, 1000), Point("iou/20", math.nan, 0, 1001)])
    record.metrics("k", [Point("loss", math.inf, 1, 2000)])
    record.artifact("k", weights, "weights")
    weights.unlink()
    record.finish("k", "KILLED", 5000)
    assert record.close(LONG) == 0

    run = runs_of(client, "whole")["k"]
    assert (run.info.run_name, run.info.status, run.info.end_time) == ("RecTracker", "KILLED", 5000)
    assert run.data.params == {"train.epochs": "2", "lr": "0.1"}
    assert (run.data.tags["fold"], run.data.tags["mlflow.note.content"]) == ("0", "a note")
    assert curve(client, run, "loss") == [(0, 0.5, 1000), (1, sys.float_info.max, 2000)]
    assert math.isnan(run.data.metrics["iou/20"])
    assert Path(client.download_artifacts(run.info.run_id, "weights/model.bin")).read_bytes() == b"weights"
    assert not list((tmp_path / "spool" / "files").iterdir())


def test_a_trial_told_twice_has_one_run(client, uri, tmp_path):
    """A retry, or a second driver, opens the trial's run again: running while it lasts, nothing doubled after it."""
    for _ in range(2):
        record = MlflowRecord(tmp_path, uri)
        tell(record, "twice")
        tell(record, "twice")
        assert record.close(LONG) == 0
    run = runs_of(client, "twice")["k"]
    assert run.info.status == "FINISHED"
    assert curve(client, run, "loss") == [(0, 3.0, 1000), (1, 2.0, 1001), (2, 1.0, 1002)]

    record = MlflowRecord(tmp_path, uri)
    record.trial(TrialRun("k", "twice", "renamed"))
    assert record.close(LONG) == 0
    again = runs_of(client, "twice")["k"]
    assert (again.info.run_id, again.info.status, again.info.run_name) == (run.info.run_id, "RUNNING", "renamed")


def test_sending_everything_again_changes_nothing(client, uri, tmp_path):
    """Entries that were sent, but not yet noted as sent, may be sent again: run, points and end stay as they are."""
    record = MlflowRecord(tmp_path, uri)
    tell(record, "again")
    assert record.close(LONG) == 0
    before = runs_of(client, "again")["k"]
    (tmp_path / "delivered").unlink()  # as if killed before the first note
    assert replay(tmp_path, uri, LONG) == (3, 0)
    after = runs_of(client, "again")["k"]
    assert after.to_dictionary() == before.to_dictionary()
    assert len(curve(client, after, "loss")) == 3


@pytest.mark.slow
def test_a_kill_in_the_middle_of_delivery_loses_and_doubles_nothing(client, uri, tmp_path):
    """After SIGKILL of the driver in the middle of delivery, `replay` brings the rest, and each point is there once."""
    driver = """if True:
        import sys, time
        from pathlib import Path
        from orchestrator.record.delivery import MlflowRecord
        from orchestrator.record import Point, TrialRun
        record = MlflowRecord(Path(sys.argv[1]), sys.argv[2])
        for trial in range(12):
            key = f"key {trial}"
            record.trial(TrialRun(key, "killed", key))
            for start in range(0, 500, 50):
                steps = range(start, start + 50)
                record.metrics(key, [Point("loss", trial + step / 500, step, step) for step in steps])
            record.finish(key, "FINISHED", 1000)
        print("told", flush=True)
        time.sleep(600)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", driver, str(tmp_path), uri], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "told\n"
    size, mark = (tmp_path / "entries.jsonl").stat().st_size, tmp_path / "delivered"
    while not (mark.exists() and int(mark.read_text() or 0) > size / 4):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert int(mark.read_text()) < size, "all was delivered before the kill: the test proves nothing"

    delivered, left = replay(tmp_path, uri, LONG)
    assert delivered > 0
    assert left == 0
    runs = runs_of(client, "killed")
    assert sorted(runs) == sorted(f"key {trial}" for trial in range(12))
    for trial in range(12):
        run = runs[f"key {trial}"]
        assert run.info.status == "FINISHED"
        assert curve(client, run, "loss") == [(step, trial + step / 500, step) for step in range(500)]


def test_work_goes_on_while_no_server_ever_comes(client, uri, nowhere, tmp_path):
    """Every call returns although nothing listens, the entries stay, and the next record delivers them first."""
    record = MlflowRecord(tmp_path, nowhere)
    for trial in range(3):
        tell(record, "later", key=str(trial))
    assert record.close(0.5) == 9
    record = MlflowRecord(tmp_path, uri)
    tell(record, "later", key="3")
    assert record.close(LONG) == 0
    assert sorted(runs_of(client, "later")) == ["0", "1", "2", "3"]


@pytest.mark.slow
def test_a_server_that_comes_late_gets_everything(root, client, tmp_path, monkeypatch, caplog, capfd):
    """A record waits for its server; `ui_command` starts one that shows the runs, files included, to a browser."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    port = free_port()
    server_uri = f"http://127.0.0.1:{port}"
    (tmp_path / "figure.svg").write_text("<svg/>")
    record = MlflowRecord(tmp_path / "spool", server_uri)
    tell(record, "late")
    record.artifact("k", tmp_path / "figure.svg")
    until(lambda: "entries wait" in caplog.text)  # it has tried

    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            ui_command(root, port), stdout=log, stderr=log, cwd=tmp_path, env=environment(), start_new_session=True
        )
    try:
        assert record.close(LONG) == 0
        run = runs_of(client, "late")["k"]
        assert run.info.status == "FINISHED"
        assert curve(client, run, "loss") == [(0, 3.0, 1000), (1, 2.0, 1001), (2, 1.0, 1002)]
        page = urllib.request.urlopen(server_uri, timeout=LONG).read()
        file_uri = f"{server_uri}/get-artifact?run_uuid={run.info.run_id}&path=figure.svg"
        assert (b"<html" in page, urllib.request.urlopen(file_uri, timeout=LONG).read()) == (True, b"<svg/>")
        assert links(server_uri, "late")["charts"].startswith(f"{server_uri}/#/experiments/")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(LONG)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.svg", "server.log", "spool"]
    assert capfd.readouterr() == ("", "")


def test_what_mlflow_refuses_is_put_aside_alone(client, uri, tmp_path):
    """Of what MLflow refuses only the bad part is put aside, with the reason and a tag of the run; the rest arrives."""
    record = MlflowRecord(tmp_path, uri)
    record.trial(TrialRun("k", "poison", "trial", {"bad?name": 1, "lr": 0.1} | {f"s{n}": n for n in range(150)}))
    points = [Point("loss", step, step, step) for step in range(100)]
    record.metrics("k", [*points[:50], Point("bad?name", 1, 0, 0), *points[50:]])
    record.trial(TrialRun("k", "poison", "trial", {"lr": 0.2, "new": 1}))
    record.finish("k", "FINISHED", 1000)
    assert record.close(LONG) == 0

    run = runs_of(client, "poison")["k"]
    assert run.info.status == "FINISHED"
    assert run.data.params == {"lr": "0.1", "new": "1"} | {f"s{n}": str(n) for n in range(150)}
    assert curve(client, run, "loss") == [(step, step, step) for step in range(100)]
    aside = [(entry["what"], entry.get("name"), entry.get("value")) for entry in refused(tmp_path)]
    assert aside == [
        ("setting", "bad?name", "1"),
        ("metric", "bad?name", 1),
        ("setting", "lr", "0.2"),
    ]
    assert "0.1" in refused(tmp_path)[-1]["reason"]
    assert run.data.tags[REFUSED_TAG].startswith("lr: ")


def test_what_fails_while_the_store_answers_is_put_aside(client, uri, tmp_path, monkeypatch):
    """An entry that goes on failing, in a way that MLflow has no code for, does not hold up the rest for ever."""
    monkeypatch.setattr(MlflowRecord, "attempts", 2)
    record = MlflowRecord(tmp_path, uri)
    record.trial(TrialRun("k", "stubborn", "trial"))
    record.metrics("k", [Point("loss", 1, 2**70, 0)])  # a step beyond 64 bits
    record.artifact("k", Path(__file__), "../outside")
    record.metrics("k", [Point("loss", 1, 1, 0)])
    assert record.close(LONG) == 0
    assert [entry["what"] for entry in refused(tmp_path)] == ["metric", "artifact"]
    assert curve(client, runs_of(client, "stubborn")["k"], "loss") == [(1, 1.0, 0)]


def test_a_deleted_run_is_replaced(client, uri, tmp_path):
    """A run that the user deletes, between two drivers or while one works, is replaced by a new, whole one."""
    record = MlflowRecord(tmp_path, uri)
    tell(record, "deleted")
    assert record.close(LONG) == 0
    first = runs_of(client, "deleted")["k"].info.run_id
    client.delete_run(first)

    record = MlflowRecord(tmp_path, uri)
    tell(record, "deleted")
    until(lambda: runs_of(client, "deleted"))
    until(lambda: runs_of(client, "deleted")["k"].info.status == "FINISHED")
    second = runs_of(client, "deleted")["k"].info.run_id
    client.delete_run(second)
    record.metrics("k", [Point("loss", 0.5, 3, 1003)])
    assert record.close(LONG) == 0
    third = runs_of(client, "deleted")["k"]
    assert third.info.run_id not in (first, second)
    assert third.data.params == {"train.epochs": "2", "lr": "0.1"}
    assert curve(client, third, "loss") == [(3, 0.5, 1003)]


def test_a_deleted_study_is_brought_back(client, uri, tmp_path):
    """Recording to a study whose experiment the user deleted brings it back, with its runs."""
    record = MlflowRecord(tmp_path, uri)
    tell(record, "back")
    assert record.close(LONG) == 0
    client.delete_experiment(client.get_experiment_by_name("back").experiment_id)
    record = MlflowRecord(tmp_path, uri)
    tell(record, "back", key="other")
    assert record.close(LONG) == 0
    assert sorted(runs_of(client, "back")) == ["k", "other"]


def test_a_long_setting_is_kept_whole_in_a_file(client, uri, tmp_path):
    """MLflow keeps 6,000 characters of a setting; a longer one is whole in the run's settings.json."""
    record = MlflowRecord(tmp_path, uri)
    record.trial(TrialRun("k", "long", "trial", {"long": "x" * 7000, "empty": "", "none": None}))
    record.trial(TrialRun("k", "long", "trial", {"long": "x" * 7000, "empty": "", "none": None}))
    assert record.close(LONG) == 0
    run = runs_of(client, "long")["k"]
    assert run.data.params == {"long": "x" * 6000, "empty": "", "none": "null"}
    whole = json.loads(Path(client.download_artifacts(run.info.run_id, "settings.json")).read_text())
    assert whole["long"] == "x" * 7000
    assert refused(tmp_path) == []


def test_a_trial_must_be_told_first(tmp_path, nowhere):
    """Metrics of a trial that was never told are a mistake of the caller, and he hears of it."""
    record = MlflowRecord(tmp_path, nowhere)
    with pytest.raises(KeyError, match="told first"):
        record.metrics("unknown", [])
    with pytest.raises(RuntimeError, match="one process"):
        MlflowRecord(tmp_path, nowhere)
    assert record.close(LONG) == 0


def test_processes_that_start_together_share_a_cold_database(tmp_path):
    """Four processes that meet no database make one that works, silently, and nothing in the working directory."""
    cwd = tmp_path / "cwd"
    (cwd / "mlruns" / "0").mkdir(parents=True)  # with this, MLflow by itself would fall back to its file store
    (cwd / "mlruns" / "0" / "meta.yaml").write_text("experiment_id: 0\n")
    program = """if True:
        import os, sys
        from pathlib import Path
        from orchestrator.record.delivery import MlflowRecord
        from orchestrator.record.mlflow_store import client, default_uri
        from orchestrator.record import TrialRun
        root = Path(sys.argv[1])
        client("http://127.0.0.1:1")  # imports MLflow before the start, so that all four start at once
        for key in "0123":
            if os.fork() == 0:
                record = MlflowRecord(root / key, default_uri(root))
                record.trial(TrialRun(key, "cold", key))
                record.finish(key, "FINISHED", 1000)
                os._exit(record.close(120))
        sys.exit(max(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(4)))
    """
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=150)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    runs = runs_of(mlflow_client(f"sqlite:///{tmp_path}/build/record/mlflow.db"), "cold")
    assert [runs[str(key)].info.status for key in range(4)] == ["FINISHED"] * 4
    assert [path.name for path in cwd.iterdir()] == ["mlruns"]


def test_points_are_sent_once_to_a_run(client, uri, tmp_path, monkeypatch):
    """A later process that tells the same points sends none of them, unless the run was deleted meanwhile."""
    sent: list = []
    log = type(client).log_batch

    def noted(self, run, metrics=(), **others):
        sent.extend(metrics)
        return log(self, run, metrics=metrics, **others)

    def tell_all() -> list[float]:
        record = MlflowRecord(tmp_path, uri)
        tell(record, "once")
        assert record.close(LONG) == 0
        return [value for _, value, _ in curve(client, runs_of(client, "once")["k"], "loss")]

    monkeypatch.setattr(type(client), "log_batch", noted)
    assert tell_all() == tell_all() == [3, 2, 1]
    assert len(sent) == 3
    client.delete_run(runs_of(client, "once")["k"].info.run_id)
    assert tell_all() == [3, 2, 1]


def test_a_tracker_told_twice_is_registered_once(client, uri, tmp_path):
    """It has one version, with its aliases, and its weights, which take no more of the disk than they did."""
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"weights")
    facts = {"name": "T", "study": "models", "family": "kcf", "settings": {}, "seed": 1, "extractor": None}
    for _ in range(2):
        record = MlflowRecord(tmp_path / "spool", uri)
        tell(record, "models")
        files = {"weights.pt": weights}
        record.model("k", Model("models.T", ["current", "fold-0"], "a tracker", {"fold": "0"}, facts, files))
        assert record.close(LONG) == 0
    assert refused(tmp_path / "spool") == []
    [version] = client.search_model_versions("name = 'models.T'")
    assert version.tags["fold"] == "0"
    assert client.get_registered_model("models.T").aliases == {"current": 1, "fold-0": 1}
    folder = fetch_model("models:/models.T@fold-0", uri)
    assert (folder / "weights.pt").samefile(weights)
    assert json.loads((folder / "tracker.json").read_text()) == facts


def test_data_sets_are_inputs_of_a_run(client, uri, tmp_path):
    """A run names each data set once, with the digest of its content, where it lies, and what it is used for."""
    data = [DataSet("OTB", "ab12", "training and testing", {"path": "data/otb", "dvc": "cd34"}, {"format": "otb"})]
    record = MlflowRecord(tmp_path, uri)
    for _ in range(2):
        record.trial(TrialRun("k", "inputs", "trial", data=data))
    assert record.close(LONG) == 0
    [used] = runs_of(client, "inputs")["k"].inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest, used.tags[0].value) == ("OTB", "ab12", "training and testing")
    assert json.loads(used.dataset.source) == {"path": "data/otb", "dvc": "cd34"}


def test_the_run_report_has_a_step_for_each_change(client, uri, tmp_path):
    """A report that finds what the last one did adds nothing; one that finds anything else adds a step."""
    folder = tmp_path / "report"
    folder.mkdir()
    for revision, score in (("a", 0.5), ("b", 0.5), ("c", 0.6)):
        found = {"OTB": {"success_auc": {"T": score}}, "claims": {"verdict": {"holds": 2}}}
        (folder / "metrics.json").write_text(json.dumps({"reported": found}))
        record = MlflowRecord(tmp_path / "spool", uri)
        history.tell(record, folder, f"git {revision}")
        assert record.close(LONG) == 0
    [run] = runs_of(client, "reported").values()
    assert [(step, value) for step, value, _ in curve(client, run, "success_auc/OTB/T")] == [(0, 0.5), (1, 0.6)]
    assert [step for step, *_ in curve(client, run, "claims/holds")] == [0, 1]
    assert (run.data.tags["result 0"], run.data.tags["result 1"]) == ("git a", "git c")


def test_links_open_the_comparison(client, uri, tmp_path):
    """The links lead to charts, in the view that was laid out, and to the shown runs side by side, in their order."""
    record = MlflowRecord(tmp_path, uri)
    record.study(Study("linked", "a study", {}))
    for key in "abc":
        tell(record, "linked", key=key)
    record.study(Study("linked", "a study", {"profile": "toy"}, ["c", "unrecorded", "a"], ["loss"], ["loss"], True))
    assert record.close(LONG) == 0
    runs, experiment = runs_of(client, "linked"), client.get_experiment_by_name("linked")
    number = runs["a"].info.experiment_id
    found = links(uri, "linked", address="http://there")
    table = f"http://there/#/experiments/{number}/runs?workflowType=machine_learning"
    assert found["charts"] == f"{table}&compareRunsMode=CHART&viewStateShareKey=trackmeet"
    shown = [runs["c"].info.run_id, runs["a"].info.run_id]
    ids = json.dumps(shown, separators=(",", ":"))
    assert unquote(found["compare"]) == (
        f'http://there/#/compare-runs?runs={ids}&experiments=["{number}"]&workflowType=machine_learning'
    )
    assert (experiment.tags["mlflow.note.content"], experiment.tags["profile"]) == ("a study", "toy")
    view = json.loads(zlib.decompress(base64.b64decode(experiment.tags[mlflow_view.TAG].removeprefix("deflate;"))))
    assert view["searchFilter"] == f"attributes.run_id IN ('{shown[0]}', '{shown[1]}')"
    assert (view["orderByKey"], view["orderByAsc"]) == ("metrics.`loss`", True)
    with pytest.raises(LookupError, match="absent"):
        links(uri, "absent")


def test_the_store_is_where_the_user_says(tmp_path, monkeypatch):
    """MLFLOW_TRACKING_URI is respected; without it the record is an absolute SQLite file below the project."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert default_uri(Path()) == f"sqlite:///{tmp_path.resolve()}/build/record/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@mlflow.lab:5000")
    assert default_uri(Path()) == "http://user:secret@mlflow.lab:5000"
    with pytest.raises(ValueError, match="open http://mlflow.lab:5000 instead"):
        ui_command(Path())


def test_settings_are_flattened():
    """Nested settings get dotted names; strings stay as they are, other values are written as in YAML."""
    settings = {"train": {"epochs": 2, "shapes": {"k": (1, 2)}}, "name": "kcf", "auto": None, "on": True, "extra": {}}
    flat = {"train.epochs": "2", "train.shapes.k": "[1, 2]", "name": "kcf", "auto": "null", "on": "true", "extra": "{}"}
    assert flatten(settings) == flat


def test_no_record_keeps_nothing():
    """`NoRecord` takes everything and has nothing left."""
    record = NoRecord()
    tell(record, "nothing")
    record.artifact("k", Path("absent"))
    assert record.close(0) == 0
