from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from orchestrator import lineage
from trackers.benchmarks import packs


@pytest.fixture(autouse=True)
def _forget():
    lineage._source.cache_clear()
    lineage._read_code.cache_clear()


def test_a_familys_code_holds_what_it_reaches_and_nothing_else():
    """A fingerprint names the module, what it imports inside trackers, and no other family."""
    modules = lineage.fingerprint(["trackers.families.kcf"])
    assert "trackers.families.kcf" in modules
    assert "trackers.tracker" in modules
    assert "trackers.families.rectracker" not in modules
    assert not any(name.startswith("orchestrator") for name in modules)


def test_only_the_code_of_a_users_module_counts(project, edit):
    """Comments, docstrings and layout leave a fingerprint alone; code does not."""
    family = project.root / "toy" / "family.py"
    before = lineage.fingerprint(["toy.family"])
    edit(family, "class Mover(Tracker):", '# a comment\nclass Mover(Tracker):\n    """Moves."""\n')
    assert lineage.fingerprint(["toy.family"]) == before
    edit(family, "0.9 * noise", "0.8 * noise")
    after = lineage.fingerprint(["toy.family"])
    assert {name for name in after if after[name] != before[name]} == {"toy.family"}


def test_a_folders_digest_follows_names_and_contents(tmp_path):
    """The digest of a folder changes with a file's content or name, and with nothing else."""
    folder = tmp_path / "data"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "x").write_text("1")
    digest = lineage.Digests(tmp_path / "cache.json").folder
    first = digest(folder)
    (folder / "a" / "x").touch()
    assert lineage.Digests(tmp_path / "cache.json").folder(folder) == first
    (folder / "a" / "x").write_text("2")
    second = lineage.Digests(tmp_path / "cache.json").folder(folder)
    (folder / "a" / "x").rename(folder / "a" / "y")
    third = lineage.Digests(tmp_path / "cache.json").folder(folder)
    assert len({first, second, third}) == 3
    (tmp_path / "cache.json").write_text("damaged")
    assert lineage.Digests(tmp_path / "cache.json").folder(folder) == third


def test_hidden_files_are_no_data(tmp_path):
    """What is hidden changes no digest, and neither does where the folder lies."""
    digest = lineage.Digests(tmp_path / "cache.json").folder
    for name in ("one", "two"):
        (tmp_path / name / "a").mkdir(parents=True)
        (tmp_path / name / "a" / "x").write_text("1")
    (tmp_path / "two" / ".DS_Store").write_text("hidden")
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert digest(tmp_path / "nothing") == "absent"
    assert digest(tmp_path / "one" / "a" / "x") != digest(tmp_path / "one")


def test_a_data_set_has_one_digest_packed_or_not(tmp_path):
    """A packed folder has the digest of the folder, and none where a shard was cut short."""
    (tmp_path / "data" / "a").mkdir(parents=True)
    for name in ("a/x", "a-b", "a.txt"):
        (tmp_path / "data" / name).write_text(name)
    packed = packs.pack(tmp_path / "data", tmp_path / "pack")
    digest = lineage.Digests(tmp_path / "cache.json").folder
    assert digest(packed.root) == digest(tmp_path / "data")
    (packed.root / "shard-00000.bin").write_text("1")
    with pytest.raises(ValueError, match="expected a shard of 11 bytes, found 1 bytes"):
        digest(packed.root)


def test_revisions_are_read_where_they_are(tmp_path):
    """Git and data revisions come from the project's own files, and are 'unknown' outside any."""
    assert lineage.git_revision(tmp_path) == lineage.data_revision(tmp_path) == "unknown"
    (tmp_path / "data.dvc").write_text("outs:\n- md5: 0123.dir\n  path: data\n")
    assert lineage.data_revision(tmp_path) == "0123.dir"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "data.dvc"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    clean = lineage.git_revision(tmp_path)
    Path(tmp_path / "data.dvc").write_text("changed")
    assert lineage.git_revision(tmp_path) == f"{clean}-dirty"
