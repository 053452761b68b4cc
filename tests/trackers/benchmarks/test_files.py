import pickle

import pytest

from trackers.benchmarks import files


@pytest.fixture
def tree(tmp_path):
    for name in ("b/img/0002.jpg", "b/img/0001.jpg", "b/groundtruth.txt", "a.txt", "a/x", ".git/config", "b/.hidden"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data"


def test_names_are_sorted_and_hidden_files_do_not_count(tree):
    """The names are those of all files, hidden ones left out, in the order of their characters."""
    assert files.open(tree).names == ("a.txt", "a/x", "b/groundtruth.txt", "b/img/0001.jpg", "b/img/0002.jpg")


def test_a_tree_is_told_folder_by_folder(tree):
    """Each folder knows the files and the folders directly in it; a folder that is not there has none."""
    there = files.open(tree)
    assert there.folders() == ("a", "b")
    assert there.folders("b") == ("b/img",)
    assert there.within("b/img") == ("b/img/0001.jpg", "b/img/0002.jpg")
    assert there.within("nowhere") == there.folders("nowhere") == ()
    assert "a/x" in there
    assert "a" not in there


def test_bytes_come_as_they_lie_there(tree):
    """A file's bytes, a view of them and its size are what was written, empty or not."""
    (tree / "empty").touch()
    there = files.open(tree)
    for name, content in (("a/x", b"a/x"), ("empty", b"")):
        assert bytes(there.read(name)) == bytes(there.view(name)) == there.path(name).read_bytes() == content
        assert there.size(name) == len(content)
    with pytest.raises(FileNotFoundError):
        there.read("nothing")


def test_links_in_a_circle_end(tree):
    """A link to a folder is followed, but never into a folder that was seen before."""
    (tree / "a" / "circle").symlink_to(tree)
    (tree.parent / "elsewhere").mkdir()
    (tree.parent / "elsewhere" / "y").touch()
    (tree / "linked").symlink_to(tree.parent / "elsewhere")
    assert "linked/y" in files.open(tree)
    assert len(files.open(tree).names) == 6


def test_no_folder_is_refused(tree):
    """What is no folder is refused, by name."""
    with pytest.raises(FileNotFoundError, match=r"nothing: expected a folder, found nothing"):
        files.open(tree / "nothing")
    with pytest.raises(NotADirectoryError, match=r"a\.txt: expected a folder, found a file"):
        files.open(tree / "a.txt")


def test_files_can_be_sent(tree):
    """Files sent to another process are the same there."""
    there = files.open(tree)
    assert "a/x" in there
    sent = pickle.loads(pickle.dumps(there))  # noqa: S301 - just written
    assert sent.names == there.names
    assert sent.read("a/x") == b"a/x"
