from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from orchestrator.cache import GB, Cache
from orchestrator.listing import DamagedError, Listing


class Given:
    """A source of folders, each with one file, that counts how often each is asked for."""

    def __init__(self, root: Path, **contents: bytes) -> None:
        self.root, self.asked = root / "given", []
        for digest, content in contents.items():
            (self.root / digest / "in").mkdir(parents=True)
            (self.root / digest / "in" / "file").write_bytes(content)

    def listing(self, digest: str) -> Listing:
        self.asked.append(digest)
        return Listing.of(self.root / digest)

    def chunk(self, digest: str, name: str, offset: int, length: int) -> bytes:
        return (self.root / digest / name).read_bytes()[offset : offset + length]


@pytest.fixture
def given(tmp_path: Path) -> Given:
    return Given(tmp_path, a=b"a" * 10, b=b"b" * 10, c=b"c" * 10, large=b"l" * 100)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", 20)


def use(cache: Cache, source: Given, *digests: str, verify: bool = False) -> None:
    for digest in digests:
        with cache.hold() as hold:
            place = hold.get(digest, source, verify)
            assert (place / "in" / "file").read_bytes() == (source.root / digest / "in" / "file").read_bytes()


def entries(cache: Cache) -> set[str]:
    return {path.name for path in cache.root.iterdir() if path.is_dir()}


def test_an_entry_is_fetched_once_whoever_asks(cache, given):
    """Of several that ask for the same content at once, one fetches it and the others wait for it."""
    slow, given.chunk = given.chunk, lambda *what: time.sleep(0.05) or slow(*what)
    threads = [threading.Thread(target=use, args=(cache, given, "a")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given.asked == ["a"]


def test_what_was_used_longest_ago_goes_first(cache, given):
    """Where a new entry does not fit, the one used longest ago is removed, and no more than that."""
    use(cache, given, "a", "b", "a", "c")
    assert entries(cache) == {"a", "c"}
    assert cache.used() == 20
    assert not [path for path in cache.root.iterdir() if path.name.startswith("b")]


def test_what_is_held_stays(cache, given, caplog):
    """An entry that somebody holds is not removed, though the cache grows over its limit; later it may go."""
    with cache.hold() as hold:
        held = [hold.get(digest, given) for digest in ("a", "b")]
        use(cache, given, "c")
        assert all(place.exists() for place in held)
        assert "expected to stay below" in caplog.text
    use(cache, given, "large")
    assert entries(cache) == {"large"}


def test_a_dead_process_holds_nothing(cache, given):
    """What a killed process held may be removed."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        cache.hold().get("a", given)
        os.write(write, b"held")
        signal.pause()
    assert os.read(read, 4) == b"held"
    use(cache, given, "large")
    assert entries(cache) == {"a", "large"}
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    use(cache, given, "b")
    assert entries(cache) == {"b"}


def test_an_entry_larger_than_the_limit_lies_alone(cache, given, caplog):
    """What is larger than the limit is kept all the same, everything else goes, and the log says so."""
    use(cache, given, "a", "b")
    assert not caplog.text
    use(cache, given, "large")
    assert entries(cache) == {"large"}
    assert "TRACKMEET_CACHE_GB" in caplog.text


@pytest.mark.parametrize("damage", ["cut", "changed", "lost", "added", "record"])
def test_damage_is_noticed_and_mended(cache, given, damage):
    """An entry that is not as it was fetched is fetched again at its next use, also while another one holds it."""
    with cache.hold() as hold:
        file = hold.get("a", given) / "in" / "file"
        match damage:
            case "cut":
                file.write_bytes(b"a" * 5)
            case "changed":
                file.write_bytes(b"b" * 10)
            case "lost":
                file.unlink()
            case "added":
                file.with_name("more").write_bytes(b"m")
            case "record":
                (cache.root / "a.json").write_text("{")
        use(cache, given, "a")
        assert Listing.of(file.parents[1]) == Listing.of(given.root / "a")
    use(cache, given, "a")
    assert given.asked == ["a", "a"]


def test_silent_damage_is_noticed_where_every_byte_is_compared(cache, given):
    """Damage that leaves size and time of change is found by `verify`, and after the machine was started again."""
    use(cache, given, "a")
    for verify in (True, False):
        file = cache.root / "a" / "in" / "file"
        before = file.stat()
        file.write_bytes(b"b" * 10)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        if not verify:
            record = json.loads((cache.root / "a.json").read_text())
            (cache.root / "a.json").write_text(json.dumps({**record, "boot": "another"}))
        use(cache, given, "a", verify=verify)
    assert given.asked == ["a", "a", "a"]


def test_a_change_of_time_alone_is_no_damage(cache, given):
    """A file that only looks newer is compared by its hash, and not fetched again."""
    use(cache, given, "a")
    os.utime(cache.root / "a" / "in" / "file")
    use(cache, given, "a", "a")
    assert given.asked == ["a"]


def test_a_fetch_that_fails_leaves_nothing_in_the_way(cache, given):
    """Where a fetch ends in the middle, the next one starts again; what the first left is removed."""
    whole, given.chunk = given.chunk, lambda *what: b"wrong"
    with pytest.raises(DamagedError, match="a: expected in/file as listed"):
        use(cache, given, "a")
    (cache.root / ".b.01234567").mkdir()  # of a process that was killed
    given.chunk = whole
    use(cache, given, "c", "large")
    assert entries(cache) == {"large"}
    assert not [path for path in cache.root.iterdir() if path.name[0] in ".abc"]
    use(cache, given, "a")


def test_the_cache_is_this_users_alone(tmp_path, given):
    """Its folder is closed to others; a link in its place, which another user may have put there, is refused."""
    (tmp_path / "open").mkdir(mode=0o755)
    assert Cache(tmp_path / "open", 1).root.stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "open")
    with pytest.raises(PermissionError, match="this user's own"):
        Cache(tmp_path / "link", 1)
    with pytest.raises(ValueError, match="expected a digest"):
        Cache(tmp_path / "open", 1).hold().get("../link", given)


def test_environment_variables_say_where_and_how_large(tmp_path, monkeypatch):
    """TRACKMEET_CACHE and TRACKMEET_CACHE_GB set place and limit; by default it takes half of the free disk at most."""
    monkeypatch.setenv("TRACKMEET_CACHE", str(tmp_path / "mine"))
    monkeypatch.delenv("TRACKMEET_CACHE_GB", raising=False)
    assert 0 < Cache.here().limit <= 20 * GB
    monkeypatch.setenv("TRACKMEET_CACHE_GB", "0.5")
    assert (Cache.here().root, Cache.here().limit) == (tmp_path / "mine", GB // 2)
