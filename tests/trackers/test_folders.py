from __future__ import annotations

from pathlib import Path

import pytest

from trackers.folders import remove_unfinished, replaced_folder


def write(path: Path, text: str) -> None:
    with replaced_folder(path) as folder:
        (folder / "text").write_text(text)


def test_a_folder_is_replaced_whole(tmp_path):
    """The new folder takes the old one's place, with nothing of it and nothing beside it."""
    place = tmp_path / "a" / "b"
    write(place, "old")
    (place / "more").touch()
    write(place, "new")
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b", "text"]
    assert (place / "text").read_text() == "new"


@pytest.mark.parametrize("renames", [None, 0, 1])
def test_an_error_leaves_the_old_folder(tmp_path, monkeypatch, renames):
    """Whatever fails, the filling or either rename, the old folder is where it was, and nothing is beside it."""
    place = tmp_path / "b"
    write(place, "old")
    replace, done = Path.replace, []

    def fail(self: Path, target: Path) -> Path:
        done.append(target)
        if len(done) - 1 == renames:
            raise OSError("no room")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no room"), replaced_folder(place) as folder:
        (folder / "text").write_text("new")
        if renames is None:
            raise OSError("no room")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (place / "text").read_text() == "old"


def test_what_a_kill_left_is_removed(tmp_path):
    """Folders that were being written go; folders in their place, and hidden ones of another kind, stay."""
    write(tmp_path / "b", "here")
    for name in (".b.0123abcd", ".other.89abcdef", ".git", ".b.txt"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "text").touch()
    remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"b", ".git", ".b.txt"}
    remove_unfinished(tmp_path / "nothing")
