from __future__ import annotations

import os
import platform
import subprocess

import pytest

from orchestrator import files, garbage, reach
from orchestrator.conduct import conduct, look
from orchestrator.garbage import delete, find
from orchestrator.jobs import Job
from orchestrator.paths import Paths
from orchestrator.reach import Wanted, commits, planned, wanted
from orchestrator.store import Store

FIT = Job("train", "toy / Mover / fit", {"rate": 1})
TRACK = Job("track", "toy / Mover / track", {}, {"weights": FIT})
OTHER = Job("train", "toy / Other / fit", {"rate": 2})


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path)


@pytest.fixture
def store(paths):
    """A training, a tracking that needs it, and another training."""
    store = Store(paths.store)
    for job in (FIT, TRACK, OTHER):
        store.publish(job, {"weights.pt": job.label.encode()}, {"python": platform.python_version()})
    return store


def goes(store, paths, *trees, days=0.0) -> set[str]:
    return {entry.key for entry in find(store, [paths], trees, days).jobs}


def test_what_no_tree_plans_goes(store, paths):
    """Jobs that some tree plans are kept, with all that they need, and the others go."""
    assert goes(store, paths, Wanted("main", frozenset({TRACK.key})), Wanted("other")) == {OTHER.key}
    assert goes(store, paths, Wanted("main")) == {FIT.key, TRACK.key, OTHER.key}


def test_what_results_show_is_kept(store, paths):
    """A job whose file lies in build/results is kept, and so is what it needs, whoever plans it."""
    files.write_bytes(paths.results / "toy" / "Mover" / "weights.pt", TRACK.label.encode())
    assert goes(store, paths, Wanted("main")) == {OTHER.key}


def test_what_a_search_made_is_kept_as_long_as_its_folder_is(store, paths):
    """Jobs of a search's candidates are kept while its folder is in build/searches; those of others are not."""
    one, other = (Job("train", f"toy search / {name}, trial 3, rung 0 / fit", {"name": name}) for name in "AB")
    for job in (one, other):
        store.publish(job, {}, {})
    files.write_bytes(paths.build / "searches" / "toy" / "A" / "journal.jsonl", b"")
    planned = Wanted("main", frozenset({TRACK.key, OTHER.key}))
    assert goes(store, paths, planned) == {other.key}


def test_nothing_goes_while_a_tree_cannot_be_asked(store, paths):
    """Where one tree cannot be planned every job is kept, and the reason says which and why."""
    found = find(store, [paths], [Wanted("main"), Wanted("v1", problem="no module toy")], 0.0, checkpoints=True)
    assert found.jobs == []
    assert [pile.why for pile in found.kept] == ["v1 cannot be planned: no module toy"]


def test_a_job_that_cannot_be_told_apart_is_kept(store, paths):
    """Jobs whose labels begin like those of jobs with unknown data are kept."""
    assert goes(store, paths, Wanted("main", unsure=("toy / Mover",))) == {OTHER.key}


def test_what_another_python_made_is_kept(store, paths):
    """A job that a driver under another Python finished is kept: its key means nothing here."""
    store.publish(OTHER, {}, {"python": "3.9.1"})
    assert goes(store, paths, Wanted("main")) == {FIT.key, TRACK.key}


def test_the_young_are_kept(store, paths):
    """What is younger than the days asked for is kept: jobs by when they finished, logs by their last line."""
    old = paths.logs / "a.12345678.log"
    files.write_bytes(old, b"")
    files.write_bytes(paths.logs / "b.12345678.log", b"")
    os.utime(old, (0, 0))
    found = find(store, [paths], [Wanted("main")], 1.0)
    assert found.jobs == []
    assert found.logs == [old]


def test_deleting_takes_what_was_said_and_nothing_else(store, paths):
    """What goes is gone, with its checkpoint; what is kept is whole; how long jobs took stays known."""
    store.keep_checkpoint(OTHER.key, 1, b"state")
    store.keep_checkpoint(FIT.key, 1, b"state")
    found = find(store, [paths], [Wanted("main", frozenset({TRACK.key}))], 0.0, checkpoints=True)
    assert found.bytes > len(OTHER.label)
    last = set((store.root / "last").iterdir())
    with store.locked():
        delete(found, store)
    assert [store.done(job.key) for job in (FIT, TRACK, OTHER)] == [True, True, False]
    assert [store.checkpoint(job.key) for job in (FIT, OTHER)] == [b"state", None]
    assert set((store.root / "last").iterdir()) == last


def test_a_kill_while_deleting_leaves_nothing_half(store, paths, monkeypatch):
    """A deletion that is cut off leaves each job whole or gone, and the next run clears the rest away."""
    found = find(store, [paths], [Wanted("main")], 0.0)

    def die(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(garbage.shutil, "rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        delete(found, store)
    monkeypatch.undo()
    assert sorted(store.done(job.key) for job in (FIT, TRACK, OTHER)) == [False, True, True]
    assert sum(store.manifest(job.key) is None for job in (FIT, TRACK, OTHER)) == 1
    with store.locked():
        assert not (store.root / "tmp").exists()


def test_a_tree_says_what_it_plans(project, params):
    """A tree's keys are those of a run's jobs; jobs whose data is not there are said by name."""
    options = project.options()
    prospect = look(options, project.paths, Store(project.paths.store))
    said = planned(project.paths)
    assert said == {"keys": sorted({job.key for job in prospect.todo}), "unsure": []}
    params["datasets"]["test"]["root"] = "data/elsewhere"
    project.write(params)
    assert {label.split(" / ")[1] for label in planned(project.paths)["unsure"]} == {"Mover", "Slow mover", "Identity"}
    assert not any(label.endswith(" / fit") for label in planned(project.paths)["unsure"])


def test_data_is_part_of_what_is_planned(project):
    """Other data in the same place plans other keys."""
    before = planned(project.paths)["keys"]
    (project.root / "data" / "squares" / "brightness.txt").write_text("100")
    assert not set(before) & set(planned(project.paths)["keys"])


def git(root, *words):
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


def test_commits_are_found_by_all_their_names(tmp_path):
    """Branches, tags (annotated ones, too), stashes and HEAD lead to commits, each listed once with its names."""
    git(tmp_path, "init", "-b", "main")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "one")
    git(tmp_path, "tag", "-a", "v1", "-m", "one")
    (tmp_path / "a").write_text("2")
    git(tmp_path, "stash")
    found = sorted(commits(tmp_path).values(), key=len)
    assert [sorted(names)[-1] for names in found] == ["stash@{0}", "v1"]
    assert sorted(found[1]) == ["HEAD", "main", "v1"]
    assert commits(tmp_path / "nowhere") == {}


def test_code_that_others_pushed_is_asked_only_on_request(tmp_path, monkeypatch):
    """Commits that only remote-tracking branches or fetched requests name are asked, which runs them, on request."""
    asked = []
    monkeypatch.setattr(reach, "ask", lambda name, tree: asked.append(name) or Wanted(name))
    git(tmp_path, "init", "-b", "main")
    for name in ("own", "theirs"):
        git(tmp_path, "commit", "--allow-empty", "-m", name)
    git(tmp_path, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(tmp_path, "update-ref", "refs/pull/1/head", "HEAD")
    git(tmp_path, "update-ref", "refs/exps/ab/cd/tuned", "HEAD~")
    git(tmp_path, "reset", "--hard", "HEAD~")
    list(wanted(tmp_path))
    assert [sorted(name.split(", ")) for name in asked[1:]] == [["HEAD", "exps/ab/cd/tuned", "main"]]
    del asked[:]
    list(wanted(tmp_path, remotes=True))
    assert sorted(asked[-1].split(", ")) == ["origin/main", "pull/1/head"]


def test_a_commit_cannot_reach_out_of_its_folder(tmp_path, monkeypatch):
    """A commit with a link that leads out of its tree is not unpacked nor asked, but said to be a problem."""
    monkeypatch.setattr(reach, "ask", lambda name, tree: Wanted(name))
    git(tmp_path, "init", "-b", "main")
    (tmp_path / "build").symlink_to("/")
    git(tmp_path, "add", "build")
    git(tmp_path, "commit", "-m", "one")
    assert "build" in list(wanted(tmp_path))[-1].problem


@pytest.mark.slow
def test_branches_keep_their_jobs_by_their_own_code(project, edit):
    """Jobs of a branch with other code and settings are kept, though the working tree's code knows no such keys."""
    git(project.root, "init", "-b", "main")
    (project.root / ".gitignore").write_text("/build/\n/data/\n__pycache__/\n")
    git(project.root, "add", ".")
    git(project.root, "commit", "-m", "one")
    assert not conduct(project.options(), project.paths).failures
    store = Store(project.paths.store)
    first = {entry.key for entry in garbage.survey(store)}
    edit(project.root / "toy" / "family.py", "0.9 * noise", "0.8 * noise")
    assert not conduct(project.options(), project.paths).failures
    second = {entry.key for entry in garbage.survey(store)} - first
    edit(project.root / "toy" / "family.py", "0.8 * noise", "0.7 * noise")
    trees = list(wanted(project.root))
    assert [tree.problem for tree in trees] == ["", ""]
    assert [tree.name for tree in trees] == ["the working tree", "HEAD, main"]
    for path in project.paths.results.rglob("*.npz"):
        path.unlink()
    for path in project.paths.results.rglob("*.json"):
        path.unlink()
    assert second
    assert goes(store, project.paths, *trees) == second
    assert goes(store, project.paths, *wanted(project.root, ["HEAD", "main"])) > second
