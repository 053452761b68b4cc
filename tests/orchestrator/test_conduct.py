from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from orchestrator import lineage, params, plan, work
from orchestrator.conduct import conduct, find_data, look
from orchestrator.executor import Settings
from orchestrator.files import write_json
from orchestrator.progress import Board
from orchestrator.report import paper, results, scores
from orchestrator.store import Store, StoreBusyError
from trackers.benchmarks.packs import pack
from trackers.evaluation import archive


@pytest.fixture(params=["local", "ray"])
def executor(request):
    """Both ways of running jobs."""
    return request.param


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def updates(diary: Path) -> list[int]:
    return [int(line) for line in diary.read_text().split()]


def test_both_executors_give_the_same_bytes_and_do_nothing_twice(project, monkeypatch):
    """A study's results are the same bytes from this process and from Ray, and a second run finds all done."""
    started = []
    monkeypatch.setattr(Board, "started", lambda self, job, where: started.append(job.label))
    first = conduct(project.options(), project.paths)
    assert not first.failures
    local = tree(project.paths.results)
    assert conduct(project.options(), project.paths).prospect.todo == []
    assert tree(project.paths.results) == local
    assert len(set(started)) == len(started) == 8
    project.paths.store.rename(project.root / "elsewhere")
    assert not conduct(project.options(executor="ray"), project.paths).failures
    assert tree(project.paths.results) == local
    assert len(set(started)) == 8
    assert len(started) == 16


def test_results_hold_what_the_report_reads(project):
    """build/results names every trial and holds its curve, scores and trajectories."""
    conduct(project.options(), project.paths)
    study = json.loads((project.paths.results / "toy" / "study.json").read_text())
    assert [(t["name"], t["state"]) for t in study["trials"]] == [
        ("Mover / train", "done"),
        ("Slow mover / train", "done"),
        ("Identity", "done"),
    ]
    folder = project.paths.results / "toy" / study["trials"][0]["folder"]
    assert len(json.loads((folder / "training.json").read_text())["loss"]) == 5
    scores = json.loads((folder / "test" / "scores.json").read_text())
    assert scores["sequences"] == [f"test/{i}" for i in range(4)]
    assert [(s["measure"], s["length"], len(s["values"])) for s in scores["scores"]] == [
        ("average_overlap", 4, 4),
        ("average_overlap", 8, 4),
    ]
    sequences, trajectories = archive.load(folder / "test" / "one_pass" / "trajectories.npz")
    assert [s.groundtruth.shape for s in sequences] == [t.regions.shape for t in trajectories] == [(8, 4)] * 4


def write_otb(root: Path, lengths: list[int]) -> None:
    """A bright square that moves, in OTB's layout: one sequence of each length."""
    for number, length in enumerate(lengths):
        folder = root / f"Square{number}"
        (folder / "img").mkdir(parents=True)
        boxes = [(4 + t + 1, 4 + number + 1, 8, 8) for t in range(length)]
        (folder / "groundtruth_rect.txt").write_text("".join(f"{x},{y},{w},{h}\n" for x, y, w, h in boxes))
        for t, (x, y, w, h) in enumerate(boxes):
            image = np.zeros((32, 40, 3), np.uint8)
            image[y - 1 : y - 1 + h, x - 1 : x - 1 + w] = 200
            cv2.imwrite(str(folder / "img" / f"{t + 1:04d}.png"), image)


def test_packed_data_is_the_same_data(project, params):
    """What the stage `sequences` packed is read in place of the folder, under the same keys, and without it."""
    write_otb(project.root / "data" / "otb", [5, 7])
    params["datasets"]["test"] = {"format": "otb", "root": "data/otb"}
    params["studies"]["toy"]["lengths"] = []
    project.write(params)
    options = project.options(trackers=["Identity"])

    def where() -> set[Path]:
        jobs = look(options, project.paths, Store(project.paths.store)).todo
        return {data.path for job in jobs for data in job.data.values()}

    def keys() -> list[str]:
        return [trial.key for trial in look(options, project.paths, Store(project.paths.store)).trials]

    raw, packed = Path("data/otb"), project.paths.sequences / "otb"
    assert where() == {raw}
    before = keys()
    pack(raw, packed)
    assert where() == {packed}
    assert keys() == before
    shutil.rmtree(raw)
    assert keys() == before
    assert not conduct(options, project.paths).failures
    write_otb(raw, [5, 8])
    assert where() == {raw}, "packed before the folder changed"


def test_sequences_are_clipped_or_stretched_where_asked_for(project, params):
    """A data set with `clip` has sequences of that length only: beginnings of long ones, short ones resampled."""
    write_otb(project.root / "data" / "otb", [3, 7])
    params["datasets"]["test"] = {"format": "otb", "root": "data/otb", "clip": 5}
    params["studies"]["toy"]["lengths"] = []
    project.write(params)
    assert not conduct(project.options(trackers=["Identity"]), project.paths).failures
    stored = project.paths.results / "toy" / "Identity" / "test" / "one_pass" / "trajectories.npz"
    sequences, _ = archive.load(stored)
    assert [sequence.groundtruth[:, 0].tolist() for sequence in sequences] == [[4, 4, 5, 6, 6], [4, 5, 6, 7, 8]]


def test_speed_is_measured_where_asked_for(project, params):
    """What was measured of a tracker's speed lies beside its scores, with the hardware that it was measured on."""
    params["studies"]["toy"]["experiments"][0]["speed"] = True
    project.write(params)
    assert not conduct(project.options(trackers=["Identity"]), project.paths).failures
    [(tracker, benchmark, speed)] = results.read(project.paths.results)[0].speeds
    assert (tracker, benchmark, speed["frames"], speed["lanes"]) == ("Identity", "test", 4 * 8, 1)
    assert speed["fps"] > speed["fps_with_decoding"] > 0
    assert speed["hardware"]


def test_cross_validation_tests_every_sequence_once(project, params):
    """In k folds each sequence, whatever its length, is tested by one training that has not seen it; all are pooled."""
    write_otb(project.root / "data" / "otb", [5, 7, 6, 9, 8])
    params["datasets"] = {"OTB": {"format": "otb", "root": "data/otb"}}
    study = params["studies"]["toy"]
    study["lengths"] = []
    study["experiments"] = [
        {
            "train": "OTB",
            "test": ["OTB"],
            "folds": 5,
            "protocols": ["one_pass", "temporal_robustness"],
            "measures": ["success_auc", "average_overlap"],
            "convention": "otb",
        }
    ]
    project.write(params)
    assert not conduct(project.options(), project.paths).failures
    (read,) = results.read(project.paths.results)
    assert {(trial.folds, trial.fold_seed) for trial in read.trials} == {(5, 0)}
    for tracker in ("Mover", "Identity"):
        tested = [trial.scores["OTB"].sequences for trial in read.trials_of(tracker)]
        assert sorted(name for names in tested for name in names) == [f"Square{i}" for i in range(5)]
    rows = list(scores.rows(scores.grid(read, paper.load("toy")), paper.load("toy")))
    whole = [row for row in rows if row["tracker"] == "Mover" and row["measure"] == "success_auc"]
    assert [(row["protocol"], row["fold"], row["n"]) for row in whole if row["fold"] == "all"] == [
        ("one_pass", "all", 5),
        ("temporal_robustness", "all", 5),
    ]
    assert len(whole) == 2 * 6


def test_a_trial_that_fails_fails_alone(project, params, executor):
    """A job's own error takes its trial with it and no other; nothing of it counts as finished."""
    params["studies"]["toy"]["trackers"]["Mover"]["fault"] = "bug"
    project.write(params)
    outcome = conduct(project.options(executor=executor), project.paths)
    assert len(outcome.failures) == 3
    message = outcome.failures["toy / Mover / train / seed 1 / fit"]
    assert message.startswith("FloatingPointError: update 2: expected a finite loss, got nan (log: ")
    log = Path(message.partition("(log: ")[2].removesuffix(")"))
    assert "Traceback" in log.read_text()
    study = json.loads((project.paths.results / "toy" / "study.json").read_text())
    states = {trial["tracker"]: trial["state"] for trial in study["trials"]}
    assert states == {"Mover": "failed", "Slow mover": "done", "Identity": "done"}
    assert study["trials"][0]["error"] == "FloatingPointError: update 2: expected a finite loss, got nan"
    assert json.loads(project.paths.status.read_text())["state"] == "failed"


def test_bad_data_is_refused_before_anything_runs_and_spares_the_rest(project, params):
    """Jobs whose data cannot be read fail before any training starts; the others finish."""
    params["datasets"]["bad"] = {"format": "toy.data", "root": "data/nowhere"}
    params["studies"]["toy"]["experiments"] = [
        {"train": "bad", "test": ["test"]},
        {"train": "train", "test": ["test"]},
    ]
    project.write(params)
    outcome = conduct(project.options(), project.paths)
    refused = {label for label, text in outcome.failures.items() if "data set bad" in text and "nowhere" in text}
    assert refused == {"toy / Mover / bad / seed 1 / fit", "toy / Slow mover / bad / seed 1 / fit"}
    study = json.loads((project.paths.results / "toy" / "study.json").read_text())
    assert sorted(t["state"] for t in study["trials"]) == ["done", "done", "done", "failed", "failed"]


@pytest.mark.parametrize(
    ("name", "wanted", "message"),
    [
        ("otb", "Circle", "data set otb: pictures: expected some of Square0, Square1, got Circle"),
        (
            "test",
            "test/0",
            "data set test: pictures: expected recorded sequences, which have names, got generated ones",
        ),
    ],
)
def test_pictures_of_what_is_not_there_are_refused_before_anything_runs(name, wanted, message, project, params):
    """A sequence that a data set lacks, or cannot name, fails what was to show it, and what was to train for that."""
    write_otb(project.root / "data" / "otb", [3, 4])
    params["datasets"]["otb"] = {"format": "otb", "root": "data/otb"}
    params["studies"]["toy"] |= {
        "lengths": [],
        "experiments": [{"train": "train", "test": [name], "pictures": {"sequences": [wanted]}}],
    }
    project.write(params)
    failures = conduct(project.options(), project.paths).failures
    assert failures["toy / Mover / train / seed 1 / fit"] == message
    assert failures[f"toy / Identity / seed 1 / track {name} / one_pass"] == message


@pytest.mark.slow
def test_a_worker_that_dies_is_tried_again(project, params):
    """The death of a worker is no failure of the job: it runs again on another."""
    diary = project.root / "diary"
    params["studies"]["toy"]["trackers"]["Mover"].update(fault="suicide", diary=str(diary))
    project.write(params)
    assert not conduct(project.options(executor="ray"), project.paths).failures
    assert updates(diary) == [0, 1, 2, 3, 4]


def test_out_of_memory_is_tried_again_with_fewer_lanes(project, params):
    """A tracker for which the memory does not suffice is run in half as many lanes, as often as it takes."""
    conduct(project.options(trackers=["Mover"]), project.paths)
    [whole] = list(project.paths.results.rglob("trajectories.npz"))
    before = whole.read_bytes()
    params["studies"]["toy"]["trackers"]["Mover"]["fault"] = "memory"
    project.write(params)
    assert not conduct(project.options(trackers=["Mover"]), project.paths).failures
    [again] = list(project.paths.results.rglob("trajectories.npz"))
    assert again.read_bytes() == before


def test_code_that_changes_under_a_run_is_noticed(project, edit):
    """A result is never kept under the key of other code: a job whose code has changed since it was planned fails."""
    prospect = look(project.options(), project.paths, Store(project.paths.store))
    job = prospect.chosen[0].training["fit"]
    edit(project.root / "toy" / "family.py", "0.9 * noise", "0.8 * noise")
    task = work.Task(job.kind, job.label, job.arguments, {}, job.data, job.code)
    with pytest.raises(work.CodeChangedError, match=r"the code of toy\.family changed"):
        work.run(task, project.root, print)


@pytest.mark.slow
def test_a_job_that_takes_too_long_is_ended(project, params):
    """A time limit ends a job with an error that says so, and the rest of the study finishes."""
    params["studies"]["toy"]["trackers"]["Mover"]["pause"] = 60.0
    project.write(params)
    options = project.options(executor="ray", settings=Settings(timeout=8.0))
    outcome = conduct(options, project.paths)
    assert "took longer than 8 s" in outcome.failures["toy / Mover / train / seed 1 / fit"]
    assert len(outcome.failures) == 3


@pytest.mark.slow
def test_inputs_travel_where_no_file_system_is_shared(project, monkeypatch):
    """Where nodes do not see the driver's files, inputs go through Ray's object store, with the same results."""
    from orchestrator.cluster import backend

    conduct(project.options(), project.paths)
    local = tree(project.paths.results)
    project.paths.store.rename(project.root / "elsewhere")
    monkeypatch.setenv("TMPDIR", str(project.root / "node"))  # the node's cache, empty
    monkeypatch.setenv("RAY_TMPDIR", tempfile.gettempdir())  # its sockets need short names
    (project.root / "node").mkdir()
    real = backend.Cluster
    monkeypatch.setattr(backend, "Cluster", lambda marker, workers: real(marker, workers, share=False))
    assert not conduct(project.options(executor="ray"), project.paths).failures
    assert tree(project.paths.results) == local


def start(project, *arguments: str, **environment: str) -> subprocess.Popen:
    """`trackmeet run` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "run", "--record", "none", "--checkpoint-seconds", "0", *arguments],
        cwd=project.root,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A shell starts what it puts in the background with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for_updates(diary: Path, number: int) -> None:
    until = time.monotonic() + 90
    while not (diary.exists() and len(updates(diary)) >= number):
        assert time.monotonic() < until, "the training did not start"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("executor", "how"),
    [
        ("local", signal.SIGKILL),
        pytest.param("local", signal.SIGTERM, marks=pytest.mark.slow),
        ("local", signal.SIGINT),
        pytest.param("ray", signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param("ray", signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_killed_in_the_middle_it_goes_on_and_ends_the_same(project, params, executor, how):
    """However the driver dies in the middle of training, the next run resumes and ends with the same bits."""
    diary = project.root / "diary"
    params["studies"]["toy"]["trackers"] = {"Mover": {"family": "toy.family", "updates": 40, "diary": str(diary)}}
    project.write(params)
    conduct(project.options(), project.paths)
    whole = tree(project.paths.results)
    weights = sorted(project.paths.store.rglob("weights.pt"))[0].read_bytes()
    project.paths.store.rename(project.root / "elsewhere")
    diary.unlink()

    params["studies"]["toy"]["trackers"]["Mover"]["pause"] = 0.1
    project.write(params)
    driver = start(project, "--executor", executor)
    wait_for_updates(diary, 12)
    driver.send_signal(how)
    output, _ = driver.communicate(timeout=60)
    assert driver.returncode == (130 if how != signal.SIGKILL else -signal.SIGKILL), output
    done = updates(diary)
    assert len(done) < 40

    params["studies"]["toy"]["trackers"]["Mover"]["pause"] = 0.0
    project.write(params)
    _give_checkpoints_to_the_other_pause(project)
    assert not conduct(project.options(), project.paths).failures
    again = updates(diary)[len(done) :]
    assert again[0] > 0
    assert max(again) == 39  # a worker that Ray has not ended yet may write one more line at last
    assert tree(project.paths.results) == whole
    assert torch.equal(*[_motion(path) for path in (weights, sorted(project.paths.store.rglob("weights.pt"))[0])])


def _motion(weights: bytes | Path) -> torch.Tensor:
    import io

    source = io.BytesIO(weights if isinstance(weights, bytes) else weights.read_bytes())
    return torch.load(source, weights_only=True)["motion"]


def _give_checkpoints_to_the_other_pause(project) -> None:
    """The pause only slows the training down, but it is a setting and so part of the key."""
    folders = list((project.paths.store / "checkpoints").iterdir())
    assert len(folders) == 1
    sources = plan.Sources(find_data(project.paths), lineage.fingerprint)
    [trial] = plan.plan(params.load(project.root / "params.yaml"), sources)
    folders[0].rename(folders[0].with_name(trial.training["fit"].key))


def test_a_second_driver_is_refused(project, params):
    """While a run is under way, another is refused, with the number of the process that runs."""
    diary = project.root / "diary"
    params["studies"]["toy"]["trackers"] = {
        "Mover": {"family": "toy.family", "updates": 400, "diary": str(diary), "pause": 0.1}
    }
    project.write(params)
    driver = start(project, "--executor", "local")
    try:
        wait_for_updates(diary, 1)
        with pytest.raises(StoreBusyError, match=str(driver.pid)), Store(project.paths.store).locked(patience=0.2):
            pass
    finally:
        driver.kill()
        driver.communicate()


def test_it_ends_with_its_parent_when_asked_to(project, params):
    """With --with-parent a run ends when the process that started it has gone, resumable."""
    diary = project.root / "diary"
    params["studies"]["toy"]["trackers"] = {
        "Mover": {"family": "toy.family", "updates": 400, "diary": str(diary), "pause": 0.1}
    }
    project.write(params)
    run = f"{sys.executable} -m orchestrator run --record none --executor local --with-parent"
    parent = subprocess.Popen(["sh", "-c", f"{run} & echo $!; sleep 600"], cwd=project.root, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    wait_for_updates(diary, 2)
    parent.kill()
    parent.wait()
    with Store(project.paths.store).locked(patience=60):
        status = json.loads(project.paths.status.read_text())
    assert (status["pid"], status["state"]) == (child, "interrupted")


def test_a_dry_run_says_what_would_run_and_why(project, params):
    """Looking ahead names what is done, and for the rest the reason that it would run."""
    conduct(project.options(), project.paths)
    params["studies"]["toy"]["trackers"]["Slow mover"]["rate"] = 0.2
    project.write(params)
    store = Store(project.paths.store)
    prospect = look(project.options(), project.paths, store)
    assert {job.label: store.why(job) for job in prospect.todo} == {
        "toy / Slow mover / train / seed 1 / fit": "rate: 0.1 -> 0.2",
        "toy / Slow mover / train / seed 1 / track test / one_pass": "rate: 0.1 -> 0.2",
        "toy / Slow mover / train / seed 1 / score test": "its one_pass change",
    }
    assert len(prospect.found_done) == 5


def test_status_tells_a_killed_run_from_one_in_progress(project):
    """The status of a run whose process is gone says that it ended without a word."""
    from orchestrator.progress import describe

    conduct(project.options(), project.paths)
    status = json.loads(project.paths.status.read_text())
    assert describe(status).startswith("finished: 8/8 jobs done")
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    write_json(project.paths.status, {**status, "state": "running", "pid": dead.pid})
    assert "ended without a word" in describe(json.loads(project.paths.status.read_text()))
