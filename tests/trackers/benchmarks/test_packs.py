import hashlib
import json
import pickle
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trackers.benchmarks import files, otb, packs
from trackers.benchmarks.problems import DataError, Problems

SHARED = Path(__file__).parents[4] / "shared" / "data" / "otb"
NAMES = st.text("abcé_-. 0'\"", min_size=1, max_size=6).filter(lambda part: not part.startswith("."))
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=40), min_size=1, max_size=12
)


def write(root, tree):
    """Write {name: bytes}; what would be both a file and a folder is left out."""
    for name, content in tree.items():
        path = root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError:
            continue
    return root


@pytest.fixture
def folder(tmp_path):
    tree = {f"s{i % 3}/{i:03d}.jpg": bytes([i]) * (10 + i) for i in range(30)}
    return write(tmp_path / "data", tree | {"s0/empty.txt": b"", "s1/video.mp4": b"moving", "zero.AVI": b""})


@pytest.fixture
def packed(folder, tmp_path):
    return packs.pack(folder, tmp_path / "pack", shard_bytes=100)


def rewrite(pack, change):
    """Change the index of a pack."""
    path = pack.root / packs.INDEX
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(TREES, st.integers(1, 100))
def test_what_was_packed_is_read(tree, shard_bytes):
    """Any tree of names and bytes is read from its pack as from its folder, and has the same digest."""
    with tempfile.TemporaryDirectory() as temporary:
        plain = files.open(write(Path(temporary) / "data", tree))
        pack = packs.pack(plain.root, Path(temporary) / "pack", shard_bytes)
        assert pack.names == plain.names
        for name in plain.names:
            assert bytes(pack.read(name)) == bytes(pack.view(name)) == plain.read(name)
            assert pack.size(name) == plain.size(name)
            assert name in pack
        assert (pack.folders(), pack.within("")) == (plain.folders(), plain.within(""))
        hashes = ((name, hashlib.sha256(plain.read(name)).hexdigest()) for name in plain.names)
        assert pack.digest == files.digest(hashes)


def test_the_same_files_give_the_same_bytes(folder, packed, tmp_path):
    """Packing twice, with more threads or fewer, gives the same files byte for byte."""
    again = packs.pack(folder, tmp_path / "again", shard_bytes=100, threads=1)
    content = [{path.name: path.read_bytes() for path in pack.root.iterdir()} for pack in (packed, again)]
    assert content[0] == content[1]


def test_small_files_share_shards_and_large_ones_do_not(folder, tmp_path):
    """A shard is no longer than asked, but a larger file or a video is one by itself and keeps its suffix."""
    (folder / "large.bin").write_bytes(b"1" * 101)
    pack = packs.pack(folder, tmp_path / "pack", shard_bytes=100)
    shards = json.loads((pack.root / packs.INDEX).read_text())["shards"]
    assert len(shards) == pack.shards < 20
    for shard in shards:
        alone = shard["names"][0] in ("large.bin", "s1/video.mp4", "zero.AVI")
        assert len(shard["names"]) == 1 if alone else sum(shard["sizes"]) <= 100
    suffixes = {shard["names"][0]: Path(shard["file"]).suffix for shard in shards}
    assert suffixes["s1/video.mp4"] == ".mp4"
    assert suffixes["zero.AVI"] == ".AVI"


def test_a_path_holds_the_very_bytes(folder, packed):
    """The path of a video is its shard, that of a small file a copy which goes with the pack."""
    video, small = packed.path("s1/video.mp4"), packed.path("s0/000.jpg")
    assert video.parent == packed.root
    assert small.parent != packed.root
    assert (video.suffix, small.suffix) == (".mp4", ".jpg")
    assert packed.path("s0/000.jpg") == small
    for name in ("s1/video.mp4", "s0/000.jpg", "s0/empty.txt", "zero.AVI"):
        assert packed.path(name).read_bytes() == (folder / name).read_bytes()


def test_copies_go_with_the_pack(folder, tmp_path):
    """What `path` wrote is gone when the pack is."""
    pack = packs.pack(folder, tmp_path / "pack")
    small = pack.path("s0/000.jpg")
    assert small.exists()
    del pack
    assert not small.parent.exists()


def test_a_video_is_opened_from_its_shard(tmp_path):
    """OpenCV opens a packed video by its path."""
    (tmp_path / "data").mkdir()
    place = str(tmp_path / "data" / "a.avi")
    writer = cv2.VideoWriter(place, cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 24))
    for value in (0, 100, 200):
        writer.write(np.full((24, 32, 3), value, np.uint8))
    writer.release()
    video = cv2.VideoCapture(str(packs.pack(tmp_path / "data", tmp_path / "pack").path("a.avi")))
    means = [round(float(video.read()[1].mean()) / 100) for _ in range(3)]
    assert means == [0, 1, 2]
    video.release()


def test_a_pack_is_shared_by_threads_and_sent_to_processes(folder, packed):
    """Many threads read the same pack, and one that was sent by pickle reads what the first one reads."""
    sent = pickle.loads(pickle.dumps(packed))  # noqa: S301 - just written
    names = packed.names * 20
    with ThreadPoolExecutor(8) as pool:
        for pack in (packed, sent):
            content = list(pool.map(lambda name, pack=pack: bytes(pack.read(name)), names))
            assert content == [(folder / name).read_bytes() for name in names]


def test_few_shards_are_held_open(folder, tmp_path, monkeypatch):
    """No more shards are mapped at once than a process may have open; what was read stays readable."""
    monkeypatch.setattr(packs, "MAPPED", 2)
    pack = packs.pack(folder, tmp_path / "pack", shard_bytes=40)
    views = {name: pack.read(name) for name in pack.names}
    assert pack.shards > 10
    assert len(pack._maps) == 2
    assert all(bytes(view) == (folder / name).read_bytes() for name, view in views.items())


def test_a_missing_file_is_named(packed):
    """A name that is not there is a FileNotFoundError, as it is with a folder."""
    with pytest.raises(FileNotFoundError, match="s0/nothing"):
        packed.read("s0/nothing")


DAMAGES = {
    "another format": (lambda index: index.update(format="tar"), "\"trackmeet pack 1\", found 'tar'"),
    "no digest": (lambda index: index.pop("digest"), "a list of shards and a digest"),
    "another digest": (lambda index: index.update(digest="0"), "the digest of the files that it lists"),
    "no list": (lambda index: index.update(shards={}), "a list of shards and a digest"),
    "no shard": (lambda index: index["shards"].append(7), "expected a shard: file, names, sizes, sha256, found 7"),
    "one size less": (lambda index: index["shards"][0]["sizes"].pop(), "a size in bytes for each of"),
    "a negative size": (lambda index: index["shards"][0]["sizes"].__setitem__(0, -1), "in bytes, found -1"),
    "sizes that are none": (lambda index: index["shards"][0]["sizes"].__setitem__(0, True), "in bytes, found True"),
    "a larger size": (lambda index: index["shards"][0]["sizes"].__setitem__(0, 99), "expected a shard of"),
    "no hash": (lambda index: index["shards"][0]["sha256"].__setitem__(0, "f" * 63 + "g"), "expected a sha256"),
    "other hash": (lambda index: index["shards"][0]["sha256"].__setitem__(0, "f" * 64), "the digest of the files"),
    "a name twice": (lambda index: index["shards"][0]["names"].__setitem__(0, "zero.AVI"), "each name once"),
    "a shard twice": (lambda index: index["shards"].append(index["shards"][0]), "each shard once"),
    "a shard elsewhere": (lambda index: index["shards"][0].update(file="../shard-00000.bin"), "in this folder"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_is_refused(packed, damage):
    """An index that contradicts itself, its shards or its format is refused, with what was expected."""
    change, message = DAMAGES[damage]
    rewrite(packed, change)
    with pytest.raises(DataError, match=message):
        files.open(packed.root)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from([(), ("shards",), ("shards", 0), *(("shards", 0, key) for key in ("file", "names", "sizes"))]),
    st.sampled_from(["digest", "shards", 0, 1, "file", "names", "sizes", "sha256"]),
    st.one_of(st.none(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3), st.lists(st.integers())),
)
def test_no_index_leads_astray(packed, place, key, value):
    """Whatever value stands in an index in the place of another: the files as packed, or DataError."""
    index = json.loads((packed.root / packs.INDEX).read_text())
    part = index
    for step in place:
        part = part[step]
    if isinstance(part, str) or isinstance(part, list) != isinstance(key, int):
        return
    part[key] = value
    (copy := packed.root.with_name("copy")).mkdir(exist_ok=True)
    for path in packed.root.iterdir():
        if not (copy / path.name).exists():
            (copy / path.name).symlink_to(path)
    (copy / packs.INDEX).unlink()
    (copy / packs.INDEX).write_text(json.dumps(index))
    try:
        found = files.open(copy)
    except DataError:
        return
    assert {name: bytes(found.read(name)) for name in found.names} == {n: bytes(packed.read(n)) for n in packed.names}


@pytest.mark.parametrize(
    "name", ["../x", "a/../x", "/x", "a//x", "a/", "", ".", ".hidden/x", "a\\x", "C:/x", "a\n../x", "a\0", 7, None]
)
def test_no_name_leaves_the_pack(packed, name):
    """A name that is hidden, absolute or leads out of its folder is refused."""
    rewrite(packed, lambda index: index["shards"][0]["names"].__setitem__(0, name))
    with pytest.raises(DataError, match=r"pack\.json:2: expected a name below the root, found "):
        files.open(packed.root)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"7", b"null"])
def test_what_is_no_index_is_refused(packed, content):
    """An index that is no JSON, or something else, is refused by name."""
    (packed.root / packs.INDEX).write_bytes(content)
    with pytest.raises(DataError, match=r"pack\.json: expected an index"):
        files.open(packed.root)


def test_missing_and_short_shards_are_told_together(packed):
    """A shard that is missing and one cut short are both named, in one error."""
    (packed.root / "shard-00000.bin").unlink()
    (packed.root / "shard-00001.bin").write_bytes(b"1")
    with pytest.raises(DataError, match=r"shard-00000\.bin: expected.*none\n.*shard-00001\.bin: expected.*found 1 by"):
        files.open(packed.root)


def test_changed_bytes_are_found_by_verifying(packed):
    """Bytes that changed within a shard are found by their hash, and only the files that they belong to."""
    packed.verify(problems := Problems())
    assert not problems
    path = packed.path("s1/video.mp4")
    path.write_bytes(b"MOVING")
    files.open(packed.root).verify(problems)
    assert [str(problem) for problem in problems] == [
        f"{packed.root}/s1/video.mp4: expected the bytes that were packed, found others, in {path.name}"
    ]


def test_a_pack_takes_the_place_of_a_pack_and_of_nothing_else(folder, packed, tmp_path):
    """An older pack is replaced whole; a folder of something else, or within the packed one, is left alone."""
    (folder / "s2" / "new").write_bytes(b"new")
    assert "s2/new" in packs.pack(folder, packed.root)
    assert "s2/new" in files.open(packed.root)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(ValueError, match="expected a pack to replace or nothing, found something else"):
        packs.pack(folder, tmp_path / "other")
    with pytest.raises(ValueError, match="expected a place outside the folder"):
        packs.pack(folder, folder / "pack")
    with pytest.raises(ValueError, match="packed already"):
        packs.pack(packed.root, tmp_path / "twice")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.tex"]


def test_nothing_is_left_of_a_packing_that_failed(folder, tmp_path, monkeypatch):
    """Where a file changes while it is packed, packing ends with its name, and no half of a pack stays."""
    monkeypatch.setattr(files.Folder, "size", lambda self, name: 5)
    with pytest.raises(ValueError, match=r"s0/000\.jpg: expected 5 bytes as before, got 10"):
        packs.pack(folder, tmp_path / "pack")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("name", ["a\\b", "C:x", "a\nb"])
def test_names_that_no_pack_may_hold_are_told_before(tmp_path, name):
    """A folder with a name that would be refused later is refused at once, by that name."""
    write(tmp_path / "data", {name: b""})
    with pytest.raises(ValueError, match="expected names without backslashes, drives and line ends"):
        packs.pack(tmp_path / "data", tmp_path / "pack")


def test_an_empty_folder_is_refused(tmp_path):
    """A folder without files makes no pack."""
    (tmp_path / "data").mkdir()
    with pytest.raises(ValueError, match="expected files to pack, found none"):
        packs.pack(tmp_path / "data", tmp_path / "pack")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the sequences in ../shared/data/otb")
def test_a_benchmark_reads_the_same_packed(tmp_path):
    """A packed benchmark gives the very images and boxes that its folder gives."""
    for name in ("Crossing", "Freeman1"):
        shutil.copytree(SHARED / name, tmp_path / "otb" / name)
    packs.pack(tmp_path / "otb", tmp_path / "pack")
    plain, packed = (otb.open(otb.Config(), tmp_path / name, "OTB") for name in ("otb", "pack"))
    assert len(plain) == len(packed) == 2
    for one, other in zip(plain, packed, strict=True):
        assert (one.name, one.attributes, len(one)) == (other.name, other.attributes, len(other))
        assert np.array_equal(one.groundtruth, other.groundtruth, equal_nan=True)
        for t in range(0, len(one), 40):
            assert np.array_equal(one.frames[t], other.frames[t])
