from __future__ import annotations

import copy
import csv
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from orchestrator import lineage, plan
from orchestrator import params as reading
from orchestrator.conduct import find_data
from orchestrator.params import ParamsError
from orchestrator.record.mlflow_store import default_uri
from orchestrator.search_journal import Journal
from orchestrator.search_patch import patch
from orchestrator.search_plan import Ground
from orchestrator.search_space import Dimension, Search, changed
from orchestrator.work import SHORTER
from trackers.synthetic.layouts import write_otb
from trackers.training import Silent, Training, fit

NAMES = [f"Square{i}" for i in range(8)]


def write_videos(folder, names=NAMES, length=6):
    """Videos of a square that moves one pixel a frame."""
    clips = {}
    for i, name in enumerate(names):
        frames = np.zeros((length, 32, 32, 3), np.uint8)
        for t in range(length):
            frames[t, 4 + i : 12 + i, 4 + t : 12 + t] = 200
        boxes = np.array([[4.0 + t, 4.0 + i, 8.0, 8.0] for t in range(length)])
        clips[name] = SimpleNamespace(frames=frames, boxes=boxes, attributes=())
    write_otb(folder, clips)


@pytest.fixture
def searched(project, params):
    """A tracker with a search: it learns from, and is judged on, eight videos; the study tests others."""
    write_videos(project.root / "data" / "otb")
    params["datasets"]["videos"] = {"format": "otb", "root": "data/otb"}
    study = params["studies"]["toy"]
    study["lengths"] = []
    study["experiments"] = [{"train": "videos", "test": ["test"]}]
    study["trackers"] = {
        "Mover": {"family": "toy.family", "updates": 9, "search": {"space": {"rate": {"choice": [0.01, 0.4]}}}}
    }
    project.write(params)
    return params


def ground_of(project, tracker="Mover"):
    sources = plan.Sources(find_data(project.paths), lineage.fingerprint)
    return Ground.of(reading.load(project.root / "params.yaml"), "toy", tracker, sources)


def search_of(params):
    return params["studies"]["toy"]["trackers"]["Mover"]["search"]


# What params say.


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"space": {"rte": {"uniform": [0, 1]}}}, r"params.yaml:\d+: .*search.space.rte: no such setting; .* rate"),
        ({"space": {"updates": {"choice": [3, "many"]}}}, r"space.updates: 'many' is refused: .*expected int"),
        ({"space": {"rate": {"uniform": [1, 0]}}}, r"uniform: expected two numbers, from and to, got \[1, 0\]"),
        ({"space": {"rate": {"loguniform": [0, 1]}}}, r"loguniform: expected numbers above 0, got 0"),
        ({"space": {"updates": {"int": [1, 2.5]}}}, r"int: expected whole numbers"),
        (
            {"space": {"rate": {"normal": [0, 1]}}},
            r"expected one of uniform, loguniform, int, choice, grid, got normal",
        ),
        ({"space": {}}, r"space: expected at least one setting"),
        ({"measure": "beauty"}, r"measure: expected one of .*got 'beauty'"),
        ({"validation": "elsewhere"}, r"validation: no data set 'elsewhere'"),
        ({"validation": "test"}, r"validation: expected a data set of recorded sequences"),
        ({"budget": "epochs"}, r"budget: no setting 'epochs'"),
        ({"budget": "pause"}, r"budget: expected a setting that counts, got pause: 0.0"),
        ({"budget": "rate"}, r"budget: expected a setting that is not searched, got rate"),
        ({"folds": 1}, r"folds: expected at least 2"),
    ],
)
def test_a_search_that_means_nothing_is_refused_where_it_stands(project, searched, change, said):
    """Unknown settings, values that the family refuses, unknown measures and data are said with file and line."""
    search_of(searched).update(change)
    project.write(searched)
    with pytest.raises(ParamsError, match=said):
        reading.load(project.root / "params.yaml")


def test_a_search_changes_no_job(project, searched):
    """What is searched is no setting of the tracker: with and without it, the jobs have the same keys."""
    sources = plan.Sources(find_data(project.paths), lineage.fingerprint)
    before = [trial.key for trial in plan.plan(reading.load(project.root / "params.yaml"), sources)]
    del searched["studies"]["toy"]["trackers"]["Mover"]["search"]
    project.write(searched)
    assert [trial.key for trial in plan.plan(reading.load(project.root / "params.yaml"), sources)] == before


def test_what_is_drawn_lies_within_the_ends():
    """Drawn values lie between the ends, and whole numbers reach both."""
    random = Random(1)
    assert {Dimension.read({"int": (1, 3)}).draw(random) for _ in range(50)} == {1, 2, 3}
    logs = [Dimension.read({"loguniform": ("1e-4", 1)}).draw(random) for _ in range(200)]
    assert 1e-4 <= min(logs) < 1e-3
    assert 0.1 < max(logs) <= 1
    assert 60 < sum(value < 1e-2 for value in logs) < 140


def test_budgets_of_rungs():
    """ASHA's rungs have a third of the next one's budget each, PBT's rise in equal steps; none is empty or double."""
    search = Search({"rate": {"choice": (1,)}}, rungs=3)
    assert search.levels("asha", 90) == [10, 30, 90]
    assert search.levels("asha", 4) == [1, 4]
    assert search.levels("pbt", 90) == [30, 60, 90]
    assert search.levels("pbt", 2) == [1, 2]
    assert search.levels("none", 90) == [90]


def test_dotted_settings_are_changed_alone():
    """A dotted setting is changed within its group, and the rest, and the original, stay."""
    settings = {"a": {"b": 1, "c": 2}, "d": 3}
    assert changed(settings, {"a.b": 5}) == {"a": {"b": 5, "c": 2}, "d": 3}
    assert settings["a"]["b"] == 1
    with pytest.raises(KeyError):
        changed(settings, {"a.x": 1})


# Folds.


def names_read(job):
    return {role: set(use["settings"]["sequences"]) for role, use in job.arguments["train"].items()}


def test_folds_are_apart(project, searched):
    """A candidate never trains on its validation fold nor on what is held out, which nobody sees before the end."""
    ground = ground_of(project)
    held_out = set(ground.held_out)
    assert len(held_out) == 4
    trials = ground.validated("x", [{"rate": 0.4}], True)
    tested = []
    for trial in trials:
        [use] = [job.arguments["test"] for job in trial.tracking.values()]
        own = set(use["settings"]["sequences"])
        tested += own
        assert names_read(trial.training["fit"]) == {"train": set(NAMES) - own - held_out}
    assert sorted(tested) == sorted(set(NAMES) - held_out)
    [final] = ground.proven("best", {"rate": 0.4})
    assert names_read(final.training["fit"]) == {"train": set(NAMES) - held_out}
    [use] = [job.arguments["test"] for job in final.tracking.values()]
    assert set(use["settings"]["sequences"]) == held_out


def test_what_trains_on_other_data_trains_once(project, searched):
    """Where validation is no part of the training data, all folds are tracked by one training on all of it."""
    searched["datasets"]["others"] = {"format": "otb", "root": "data/others"}
    write_videos(project.root / "data" / "others", ["Other0", "Other1"])
    searched["studies"]["toy"]["experiments"][0]["train"] = "others"
    search_of(searched)["validation"] = "videos"
    project.write(searched)
    trials = ground_of(project).validated("x", [{}], True)
    assert len({trial.training["fit"].key for trial in trials}) == 1
    assert sum(len(trial.tracking) for trial in trials) == 2


@pytest.mark.parametrize("test", ["videos", "again"])
def test_what_the_study_tests_is_not_searched_on(project, searched, test):
    """A study that tests a sequence of the validation data, by whatever name of the data set, is refused with both."""
    searched["datasets"]["again"] = {"format": "otb", "root": "data/otb", "sequences": ["Square3"]}
    searched["studies"]["toy"]["experiments"].append({"test": [test], "train": "videos"})
    project.write(searched)
    with pytest.raises(ValueError, match=r"study toy does not test.*Square3.*`validation`"):
        ground_of(project)


def test_a_candidate_goes_on_from_rung_to_rung(project, searched):
    """Each rung's training needs the one before it and can be gone on with; from the last, nothing goes on."""
    search_of(searched)["budget"] = "updates"
    project.write(searched)
    ground = ground_of(project)
    steps = [{"rate": 0.4, "updates": updates} for updates in (1, 3, 9)]
    first, second, last = (ground.validated("x", steps[:n], n == 3)[0].training["fit"] for n in (1, 2, 3))
    assert (first.arguments["goes_on"], list(first.needs)) == (True, [])
    assert second.needs[SHORTER].key == first.key
    assert last.needs[SHORTER].key == second.key
    assert "goes_on" not in last.arguments
    [tracked] = ground.validated("x", steps, True)[0].tracking.values()
    assert tracked.needs["weights"].key == last.key


# The journal.


def test_a_journal_is_read_back_without_its_torn_line(tmp_path):
    """What was written is there again after a kill in the middle of a line; another search begins anew."""
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, "this", resume=True)
    one, two = journal.begin({"rate": 0.1}), journal.begin({"rate": 0.2})
    journal.score(one, [{"rate": 0.1}], 0.5)
    journal.end(one, "FINISHED")
    journal.score(two, [{"rate": 0.2}], 0.7)
    with path.open("a") as file:
        file.write('{"trial": 1, "ended')
    again = Journal(path, "this", resume=True)
    assert (again.id, again.members) == (journal.id, journal.members)
    again.end(again.members[1], "FAILED", "diverged")
    assert Journal(path, "this", resume=True).members[1].message == "diverged"
    assert Journal(path, "that", resume=True).members == []


# The patch.

FILE = """\
# A comment.
studies:
  s:
    experiments: []
    trackers:
      Plain: {family: f, rate: &rate 0.3}  # another
      Base: &base
        family: f
        rate: 0.5  # why
        training: &short {batch: 2, epochs: 3}
      Merged: {<<: *base, loss: l2, training: {<<: *short, batch: 4}}
      Inherits: {<<: *base}
      Block:
        <<: *base
        units: 3
      Alias: {family: f, rate: *rate, training: *short}
"""


@pytest.mark.parametrize(
    ("tracker", "changes", "line", "others"),
    [
        ("Plain", {"rate": 1e-5}, "      Plain: {family: f, rate: &rate 1.0e-05}  # another", ("s/Alias",)),
        ("Base", {"rate": 0.7}, "        rate: 0.7  # why", ("s/Merged", "s/Inherits", "s/Block")),
        (
            "Merged",
            {"training.epochs": 5, "rate": 2},
            "      Merged: {<<: *base, loss: l2, training: {<<: *short, batch: 4, epochs: 5}, rate: 2}",
            (),
        ),
        ("Inherits", {"training.epochs": 5}, "      Inherits: {<<: *base, training: {batch: 2, epochs: 5}}", ()),
        ("Inherits", {"new.a": 5}, "      Inherits: {<<: *base, new: {a: 5, b: 9}}", ()),
        ("Block", {"rate": 0.7}, "        rate: 0.7", ()),
        ("Alias", {"rate": 0.9}, "      Alias: {family: f, rate: 0.9, training: *short}", ()),
        (
            "Alias",
            {"training.batch": 8},
            "      Alias: {family: f, rate: *rate, training: {<<: *short, batch: 8}}",
            (),
        ),
    ],
)
def test_a_patch_changes_the_tracker_and_keeps_the_rest(tmp_path, tracker, changes, line, others):
    """Applied, it gives the tracker the settings in its own mapping, keeps comments, and names who follows."""
    path = tmp_path / "params.yaml"
    path.write_text(FILE)
    found = patch(FILE, "params.yaml", "s", tracker, changes, {"new": {"a": 1, "b": 9}})
    subprocess.run(["patch", "-p0"], input=f"# said\n{found.diff}", text=True, cwd=tmp_path, check=True)
    assert path.read_text() == found.text
    assert line in found.text.splitlines()
    assert "# A comment." in found.text
    assert found.others == others
    before, after = (yaml.safe_load(text)["studies"]["s"]["trackers"] for text in (FILE, found.text))
    expected = changed({"new": {"a": 1, "b": 9}, **before[tracker]}, changes)
    assert {name: expected[name] for name in after[tracker]} == after[tracker]
    same = set(before) - {tracker} - {other.split("/")[1] for other in others}
    assert all(before[name] == after[name] for name in same)


def test_what_is_an_alias_as_a_whole_is_refused():
    """A tracker that is another's alias has no mapping of its own to write in, and is refused."""
    text = FILE + "      Same: *base\n"
    with pytest.raises(ValueError, match="got the alias"):
        patch(text, "params.yaml", "s", "Same", {"rate": 1.0}, {})


@pytest.mark.parametrize(
    "profile", [pytest.param(p, marks=pytest.mark.slow if p == "sample" else ()) for p in reading.profiles()]
)
def test_searches_of_the_profiles_can_be_patched(tmp_path, profile):
    """For each search of a packaged profile, the patch means what was tried, as the file is read."""
    file = reading.PROFILES / f"{profile}.yaml"
    known = reading.load(file)
    for study in known.studies:
        for variant in [variant for variant in study.trackers if variant.search is not None]:
            settings = dataclasses.asdict(variant.config)
            changes = {name: d.values[0] for name, d in variant.search.dimensions.items()}
            found = patch(file.read_text(), file.name, study.name, variant.name, changes, settings)
            (tmp_path / "params.yaml").write_text(found.text)
            again = {
                s.name: {v.name: v.config for v in s.trackers} for s in reading.load(tmp_path / "params.yaml").studies
            }
            assert dataclasses.asdict(again[study.name][variant.name]) == changed(settings, changes)


def test_what_goes_on_takes_its_new_rate():
    """A training that goes on from another's state learns at its own rate, as PBT's members must."""
    training = Training(batch=1, updates_per_epoch=1, epochs=1, patience=9)
    model = torch.nn.Linear(1, 1)

    class Kept(Silent):
        state: dict | None = None

        def checkpoint(self, step, state):
            self.kept = state()

        def resume(self):
            return self.state

    def costs(x):
        return {"loss": model(x).square().sum()}

    reporter = Kept()
    fit(model, torch.optim.SGD(model.parameters(), lr=0.1), lambda i: (torch.ones(1, 1),), costs, training, reporter)
    reporter.state = copy.deepcopy(reporter.kept)
    before = [weight.clone() for weight in model.parameters()]
    slow = torch.optim.SGD(model.parameters(), lr=1e-12)
    fit(model, slow, lambda i: (torch.ones(1, 1),), costs, dataclasses.replace(training, epochs=2), reporter)
    assert reporter.kept["done"] == 2
    assert all(torch.allclose(a, b, atol=1e-9, rtol=0) for a, b in zip(before, model.parameters(), strict=True))


# With Tune itself: each starts Ray. `pytest -m slow tests/orchestrator/test_search.py`


def tune(project, *words: str, wait: bool = True):
    """`trackmeet tune toy/Mover` in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "tune", "toy/Mover", "--workers", "2", *words],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": f"{Path(__file__).parents[2]}:."},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    if wait:
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
    return process


def table(project):
    """trials.csv and summary.json."""
    folder = project.root / "build" / "searches" / "toy" / "Mover"
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file)), json.loads((folder / "summary.json").read_text())


def updates_noted(diary):
    return len(diary.read_text().split()) if diary.exists() else 0


def runs_of(project):
    """Statuses of the runs in MLflow, and of how many the parent is another of them."""
    from mlflow import MlflowClient

    client = MlflowClient(default_uri(project.root))
    runs = client.search_runs([client.get_experiment_by_name("toy").experiment_id])
    ids = {run.info.run_id for run in runs}
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") in ids]
    return Counter(run.info.status for run in runs), len(children)


@pytest.fixture
def noted(project, searched):
    """The search, of whose trainings each update is noted."""
    settings = searched["studies"]["toy"]["trackers"]["Mover"]
    settings |= {"rate": 0.01, "diary": str(project.root / "diary")}
    settings["search"] = {"space": {"rate": {"loguniform": [1e-3, 0.5]}}, "budget": "updates"}
    project.write(searched)
    return settings


@pytest.mark.slow
@pytest.mark.timeout(900)  # seconds; 60 where nothing else runs
def test_a_grid_is_tried_whole_and_its_patch_applies(project, searched, noted):
    """Each point of a grid is a trial, one run of MLflow below the search's; applied, the patch sets the best."""
    noted["search"]["space"] = {"rate": {"grid": [0.001, 0.4]}, "updates": {"choice": [2, 9]}}
    noted["search"]["budget"] = None
    project.write(searched)
    tune(project, "--search", "grid")
    rows, summary = table(project)
    assert sorted((float(row["rate"]), int(row["updates"])) for row in rows) == [
        (0.001, 2),
        (0.001, 9),
        (0.4, 2),
        (0.4, 9),
    ]
    assert summary["best"]["settings"] == {"rate": 0.4, "updates": 9}
    gain, low, high = summary["held out"]["gain"]
    assert 0 < low <= gain <= high
    assert runs_of(project) == (Counter(FINISHED=5), 4)
    with (project.root / "build/searches/toy/Mover/best.patch").open() as file:
        subprocess.run(["patch", "-p0"], stdin=file, cwd=project.root, check=True)
    [variant] = reading.load(project.root / "params.yaml").studies[0].trackers
    assert (variant.config.rate, variant.config.updates) == (0.4, 9)


@pytest.mark.slow
@pytest.mark.timeout(900)  # seconds; 60 where nothing else runs
@pytest.mark.parametrize("search", ["random", "optuna"])
def test_killed_it_goes_on_and_repeats_nothing(project, searched, noted, search):
    """Killed in the middle, a search goes on with --resume; no finished job is done again, no run doubled."""
    noted["pause"] = 0.1
    project.write(searched)
    diary = project.root / "diary"
    driver = tune(project, "--search", search, "--trials", "5", wait=False)
    journal = project.root / "build/searches/toy/Mover/journal.jsonl"
    until = time.monotonic() + 240
    while not (journal.exists() and journal.read_text().count('"score"') >= 2):
        assert time.monotonic() < until
        time.sleep(0.1)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()
    time.sleep(3)  # workers end with it
    finished = [json.loads(line) for line in journal.read_text().splitlines() if '"score"' in line]
    done = {path.parent.name for path in project.paths.store.glob("done/*/*/manifest.json")}
    stamps = {key: (project.paths.store / "done" / key[:2] / key / "manifest.json").stat().st_mtime_ns for key in done}
    before = updates_noted(diary)
    tune(project, "--search", search, "--trials", "5", "--resume")
    rows, _ = table(project)
    assert [row["state"] for row in rows] == ["FINISHED"] * 5
    again = [json.loads(line) for line in journal.read_text().splitlines() if '"score"' in line]
    assert again[: len(finished)] == finished
    assert len(again) == 5
    for key, stamp in stamps.items():
        assert (project.paths.store / "done" / key[:2] / key / "manifest.json").stat().st_mtime_ns == stamp
    trainings = 5 * 2 + 2
    unfinished = 2 * 9  # at most two were at work, each with a checkpoint at most 20 s old
    assert trainings * 9 <= updates_noted(diary) <= trainings * 9 + unfinished
    assert before > 0
    assert runs_of(project) == (Counter(FINISHED=6), 5)


@pytest.mark.slow
@pytest.mark.timeout(900)  # seconds; 60 where nothing else runs
def test_asha_stops_the_worse(project, searched, noted):
    """Of candidates at the first rung some are stopped, and what goes on, goes on from where it was."""
    noted["search"]["space"] = {"rate": {"choice": [0.001, 0.002, 0.003, 0.3, 0.4, 0.45]}}
    project.write(searched)
    tune(project, "--scheduler", "asha", "--trials", "8", "--record", "none")
    rows, summary = table(project)
    reached = [sum(bool(row[f"score at {level}"]) for row in rows) for level in (1, 3, 9)]
    assert reached[0] == 8 > reached[2] >= 1
    pairs = {(row["rate"], level) for row in rows for level in (1, 3, 9) if row[f"score at {level}"]}
    own = sum({1: 1, 3: 2, 9: 6}[level] for _, level in pairs)  # equal candidates are one job
    assert updates_noted(project.root / "diary") == 2 * own + 2 * 9
    assert summary["best"]["settings"]["rate"] >= 0.3


@pytest.mark.slow
@pytest.mark.timeout(900)  # seconds; 60 where nothing else runs
def test_pbt_lets_the_worse_go_on_from_the_better(project, searched, noted):
    """A member that does badly takes over another's training, under settings of its own; none begins from scratch."""
    noted["updates"] = 12
    noted["search"] |= {"rungs": 4}
    project.write(searched)
    tune(project, "--scheduler", "pbt", "--trials", "4")
    rows, _ = table(project)
    lines = (project.root / "build/searches/toy/Mover/journal.jsonl").read_text().splitlines()
    last = [line for line in map(json.loads, lines) if len(line.get("lineage", ())) == 4]
    assert len(last) == 4 == len(rows)
    firsts = Counter(line["lineage"][0]["rate"] for line in last)
    assert max(firsts.values()) > 1  # one began as another did
    assert any(len({step["rate"] for step in line["lineage"]}) > 1 for line in last)
    assert updates_noted(project.root / "diary") <= 4 * 2 * 12 + 2 * 12
    assert runs_of(project) == (Counter(FINISHED=5), 4)
