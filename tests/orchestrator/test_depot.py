from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from orchestrator import depot, listing
from orchestrator.depot import Depot, Shelf
from orchestrator.listing import DamagedError, Listing, fetch

CONTENTS = {"a": b"0123456789", "in/b": b"", "in/c": b"abc"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {**CONTENTS, ".hidden": b"h"}.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    return tmp_path / "folder"


@pytest.fixture(params=["folder", "memory"])
def url(request, tmp_path: Path) -> str:
    return str(tmp_path / "depot") if request.param == "folder" else f"memory://{uuid.uuid4().hex}"


def read(place: Path) -> dict[str, bytes]:
    return {p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*") if p.is_file()}


def test_a_listing_holds_what_the_digest_counts(folder):
    """Names, sizes and hashes of all files but the hidden ones; a single file is listed by its name."""
    listed = Listing.of(folder)
    assert {name: size for name, (size, _) in listed.files.items()} == {"a": 10, "in/b": 0, "in/c": 3}
    assert listed.files["in/c"][1] == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
    assert listed.bytes == 13
    assert Listing.of(folder / "a").files.keys() == {"a"}
    assert Listing.from_json(listed.to_json()) == listed


@pytest.mark.parametrize("name", ["../a", "/a", "in/../../a", "a//b", "./a", "", "in\\a", "a\0"])
def test_a_name_that_leaves_the_folder_is_refused(name):
    """No listing, wherever it comes from, makes anybody write outside of the folder."""
    with pytest.raises(ValueError, match="expected a name inside the folder"):
        Listing.from_json({name: [1, "00"]})


def test_the_shelf_serves_what_was_put_on_it(folder, tmp_path, monkeypatch):
    """Folders and files travel by chunks, whole; nothing else is served, however it is named."""
    monkeypatch.setattr(listing, "CHUNK", 4)
    shelf = Shelf()
    shelf.put({"1": folder, "2": folder / "a"})
    fetch("1", shelf.listing("1"), shelf, tmp_path / "one")
    fetch("2", shelf.listing("2"), shelf, tmp_path / "two")
    assert read(tmp_path / "one") == CONTENTS
    assert read(tmp_path / "two") == {"a": CONTENTS["a"]}
    for digest, name in [("3", "a"), ("1", "../folder/a"), ("1", str(folder / "a")), ("1", ".hidden"), ("2", "in/c")]:
        with pytest.raises(FileNotFoundError):
            shelf.chunk(digest, name, 0, 1)
    for offset, length in [(0, depot.CHUNK + 1), (0, 0), (-1, 1)]:
        with pytest.raises(ValueError, match="expected 1 to"):
            shelf.chunk("1", "a", offset, length)


def test_what_arrives_damaged_is_asked_for_again(folder, tmp_path, monkeypatch):
    """A file that is not as listed is fetched once more, then refused."""
    shelf = Shelf()
    shelf.put({"1": folder})
    whole, times = shelf.chunk, []

    def chunk(digest: str, name: str, offset: int, length: int) -> bytes:
        times.append(name)
        return whole(digest, name, offset, length) if len(times) != 1 else b"garbled"

    monkeypatch.setattr(shelf, "chunk", chunk)
    fetch("1", shelf.listing("1"), shelf, tmp_path / "one")
    assert read(tmp_path / "one") == CONTENTS
    assert times == ["a", "a", "in/c"]
    shelf.listing("1")
    (folder / "a").write_bytes(b"9876543210")  # changed behind our back
    with pytest.raises(DamagedError, match=r"expected a as listed \(10 bytes\)"):
        fetch("1", shelf.listing("1"), shelf, tmp_path / "two")


def test_a_depot_keeps_what_is_put_there(folder, tmp_path, url):
    """Folders and files come back from a depot as they were put there, to whoever opens it; once is enough."""
    for digest, path in [("1", folder), ("2", folder / "a"), ("1", tmp_path / "not needed any more")]:
        Depot(url).put(digest, path)
    Depot(url).fetch("1", tmp_path / "one")
    Depot(url).fetch("2", tmp_path / "two")
    assert read(tmp_path / "one") == CONTENTS
    assert read(tmp_path / "two") == {"a": CONTENTS["a"]}
    assert Depot(url).chunk("1", "a", 2, 3) == b"234"
    with pytest.raises(FileNotFoundError, match="3"):
        Depot(url).fetch("3", tmp_path / "three")


def test_a_depot_shows_nothing_half(folder, tmp_path, url, monkeypatch):
    """What was put or left there in part, by a process that died, is not there."""
    broken = Depot(url)
    monkeypatch.setattr(broken, "_write", lambda *_: (_ for _ in ()).throw(OSError("died")))
    with pytest.raises(OSError, match="died"):
        broken.put("1", folder)
    with pytest.raises(OSError, match="died"):
        broken.put_result("k", "1", CONTENTS)
    with pytest.raises(FileNotFoundError):
        Depot(url).listing("1")
    with pytest.raises(FileNotFoundError):
        Depot(url).take_result("k", "1")
    Depot(url).put("1", folder)
    Depot(url).fetch("1", tmp_path / "one")
    assert read(tmp_path / "one") == CONTENTS


def test_no_message_tells_a_password():
    """What a depot says of itself leaves out the user and the password of its URL."""
    name = uuid.uuid4().hex
    with pytest.raises(FileNotFoundError) as error:
        Depot(f"memory://user:p@ss@{name}/inputs").listing("1")
    assert str(error.value).startswith(f"memory://{name}/inputs: ")
    assert "p@ss" not in str(error.value)


def test_results_wait_in_the_depot_for_the_driver(url):
    """Each attempt leaves its own; the driver takes one, damage is noticed, and all of a job go together."""
    left, driver = Depot(url), Depot(url)
    left.put_result("k", "1", {"a": b"one"})
    left.put_result("k", "2", {"a": b"two"})
    left.put_result("other", "1", {"a": b"other"})
    assert driver.take_result("k", "2") == {"a": b"two"}
    left._files.pipe_file(f"{left._root}/results/k/1/a", b"xne")
    with pytest.raises(DamagedError):
        driver.take_result("k", "1")
    driver.drop_results("k")
    driver.drop_results("k")
    with pytest.raises(FileNotFoundError):
        driver.take_result("k", "2")
    assert driver.take_result("other", "1") == {"a": b"other"}
