import hashlib
import json
import pickle
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackers import features
from trackers.features import Features, FeaturesError, Part, Seen
from trackers.sequence import GreyFrames

ARRAYS = ("features", "boxes", "scores", "classes", "ends", "images")
PAGE = 64  # bytes to which arrays are aligned


def seen(rng, detections, size=8):
    """Something seen: as many detections."""
    return Seen(
        rng.standard_normal(size).astype(np.float16),
        rng.random((detections, 4), dtype=np.float32),
        rng.random(detections, dtype=np.float32),
        rng.integers(0, 20, detections).astype(np.int16),
    )


def video(name, counts, seed=0):
    """Images of one sequence, and what is seen in them: so many detections in each frame."""
    rng = np.random.default_rng((seed, *name.encode()))
    return [(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), seen(rng, count)) for count in counts]


VIDEOS = {"b": video("b", [1, 0, 3]), "a": video("a", [0]), "c/é": video("c", [0, 2, 0, 0, 1])}


@pytest.fixture
def parts():
    return [features.part(name, frames) for name, frames in VIDEOS.items()]


@pytest.fixture
def cache(parts, tmp_path):
    """A cache of two shards: two sequences in the first, one in the second."""
    features.write(tmp_path / "cache", {"weights": "abc"}, parts, shard_bytes=700)
    return tmp_path / "cache"


def assert_same(one, other):
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype


def assert_seen(found, expected):
    assert found.features.dtype == np.float16
    for name in ("features", "boxes", "scores", "classes"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def change(cache, where, value):
    """Set what lies at a path of keys and numbers in the index."""
    index = json.loads((cache / features.INDEX).read_text())
    inner = index
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    (cache / features.INDEX).write_text(json.dumps(index))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1),
    st.integers(1, 2000),
)
def test_what_was_seen_is_read(counts, shard_bytes):
    """Any sequences, with detections in all, some or none of their frames, are read as written, frame by frame."""
    videos = {name: video(str(i), some) for i, (name, some) in enumerate(counts.items())}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary) / "cache"
        features.write(root, {"of": "clouds"}, (features.part(*item) for item in videos.items()), shard_bytes)
        cache = Features(root)
        cache.verify()
        assert (cache.names, cache.size, cache.facts) == (tuple(videos), 8, {"of": "clouds"})
        for name, frames in videos.items():
            assert name in cache
            assert len(cache[name]) == len(frames)
            assert_same(cache[name], features.part(name, frames))
            for t, (image, expected) in enumerate(frames):
                assert_seen(cache[name].seen(t), expected)
                assert_seen(cache.find(image), expected)


def test_a_sequence_lies_in_one_shard_aligned(cache, parts):
    """Sequences share a shard up to its length, none is split, and every array begins at a multiple of 64 bytes."""
    index = json.loads((cache / features.INDEX).read_text())
    assert [(place["name"], place["shard"]) for place in index["sequences"]] == [("b", 0), ("a", 0), ("c/é", 1)]
    # of b: 3 ends, 3 fingerprints, 3 x 8 features, 4 boxes, scores, classes: 24, 48, 48, 64, 16, 8 bytes, each in 64.
    assert [place["offset"] for place in index["sequences"]] == [0, 6 * PAGE, 0]
    for shard in index["shards"]:
        content = (cache / shard["file"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (shard["length"], shard["sha256"])
    for part in map(Features(cache).__getitem__, Features(cache).names):
        assert all(getattr(part, name).ctypes.data % PAGE == 0 for name in ARRAYS if getattr(part, name).size)


def test_the_same_parts_give_the_same_bytes(cache, parts, tmp_path):
    """Written again, from parts saved to files and read back, a cache and those files are the same byte for byte."""
    for i, part in enumerate(parts):
        for copy in ("one", "other"):
            part.save(tmp_path / f"{copy}{i}")
        assert (tmp_path / f"one{i}").read_bytes() == (tmp_path / f"other{i}").read_bytes()
    read = [Part.load(tmp_path / f"one{i}") for i in range(len(parts))]
    features.write(tmp_path / "again", {"weights": "abc"}, read, shard_bytes=700)
    content = [{path.name: path.read_bytes() for path in root.iterdir()} for root in (cache, tmp_path / "again")]
    assert content[0] == content[1]


def test_a_cache_replaces_a_cache_only_and_is_whole(cache, parts, tmp_path):
    """An older cache goes when the new one is whole; after an error it stands; other folders are left alone."""

    def broken():
        yield parts[0]
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        features.write(cache, {}, broken())
    assert Features(cache).names == ("b", "a", "c/é")
    features.write(cache, {}, parts[:1])
    assert Features(cache).names == ("b",)
    assert {path.name for path in cache.iterdir()} == {"features.json", "shard-00000.bin"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="mine: expected a cache to replace or nothing"):
        features.write(tmp_path / "mine", {}, parts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "mine"]


def test_parts_that_do_not_go_together_are_refused(parts, tmp_path):
    """A cache holds at least one sequence, each once, all with as many features; nothing is left where it fails."""
    wide = features.part("wide", [(VIDEOS["a"][0][0], seen(np.random.default_rng(0), 1, size=9))])
    with pytest.raises(ValueError, match="at least one sequence"):
        features.write(tmp_path / "cache", {}, [])
    with pytest.raises(ValueError, match="'b': expected each sequence once"):
        features.write(tmp_path / "cache", {}, [*parts, parts[0]])
    with pytest.raises(ValueError, match="'wide': expected 8 features, as the others have, got 9"):
        features.write(tmp_path / "cache", {}, [*parts, wide])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("array", "value", "message"),
    [
        ("features", np.zeros((3, 8), np.float32), "features of type float16"),
        ("features", np.zeros(3, np.float16), "a frame and a feature, at least"),
        ("features", np.zeros((0, 8), np.float16), "a frame and a feature, at least"),
        ("features", np.full((3, 8), np.inf, np.float16), "frame 0: expected finite features, of at most 65504"),
        ("boxes", np.zeros((4, 5), np.float32), r"boxes of type float32 and shape \(4, 4\), got float32 and \(4, 5\)"),
        ("boxes", np.full((4, 4), np.nan, np.float32), "finite boxes"),
        ("boxes", np.zeros((5, 4), np.float32), r"scores of type float32 and shape \(5,\)"),
        ("scores", np.zeros(4), "scores of type float32"),
        ("classes", np.zeros(4, np.int64), "classes of type int16"),
        ("ends", np.array([1, 1, 3]), "ends that never fall, from 0 to 4 detections"),
        ("ends", np.array([2, 1, 4]), "ends that never fall"),
        ("ends", np.array([-1, 1, 4]), "ends that never fall"),
        ("ends", np.array([1, 4]), r"ends of type int64 and shape \(3,\)"),
        ("images", np.zeros((3, 15), np.uint8), r"images of type uint8 and shape \(3, 16\)"),
    ],
)
def test_parts_are_checked(parts, array, value, message):
    """A part of wrong types, shapes or values is refused, with the sequence, what was expected and what came."""
    arrays = {name: getattr(parts[0], name) for name in ARRAYS}
    with pytest.raises(ValueError, match=f"sequence 'b'.*{message}"):
        Part("b", **arrays | {array: value})


def test_features_too_large_for_float16_are_refused():
    """65504 is kept; where a feature becomes infinite as float16, sequence and frame are named."""
    frames = [(image, Seen(np.full(8, 65504, np.float32), *empty())) for image, _ in VIDEOS["b"]]
    assert features.part("b", frames).features.max() == 65504
    frames[1] = frames[1][0], Seen(np.full(8, 7e4, np.float32), *empty())
    with pytest.raises(ValueError, match="sequence 'b', frame 1: expected finite features, of at most 65504"):
        features.part("b", frames)


def empty():
    return np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int16)


def test_frames_that_are_not_there_are_refused(parts, cache):
    """Frames count from 0 to the last; a sequence that is not in a cache is named."""
    for t in (-1, 3):
        with pytest.raises(IndexError, match=f"sequence 'b': expected a frame from 0 to 2, got {t}"):
            parts[0].seen(t)
    with pytest.raises(FeaturesError, match=r"cache: expected sequence 'd' among 3 here, found none"):
        Features(cache)["d"]
    assert "d" not in Features(cache)


def test_a_fingerprint_is_of_shape_and_pixels_alone():
    """However an image lies in memory its fingerprint is the same; another shape or one other pixel changes it."""
    grey = np.arange(24, dtype=np.uint8).reshape(4, 6)
    broadcast = GreyFrames(grey[None])[0]
    image = np.repeat(grey[:, :, None], 3, axis=2)
    prints = [features.fingerprint(view) for view in (broadcast, image, np.asfortranarray(image), image[::-1][::-1])]
    assert len(set(prints)) == 1
    assert len(prints[0]) == 16
    other = image.copy()
    other[3, 5, 2] ^= 1
    assert len({prints[0], *map(features.fingerprint, (other, image.reshape(6, 4, 3), image[::-1]))}) == 4
    for wrong in (grey, image.astype(float), image[..., :2]):
        with pytest.raises(ValueError, match=r"expected an image, uint8 \(H, W, 3\), got "):
            features.fingerprint(wrong)


def test_frames_are_found_by_content(tmp_path):
    """A grey view is found by its pixels; of two frames that are the same, the first; what is unknown is not found."""
    rng = np.random.default_rng(0)
    grey = GreyFrames(rng.integers(0, 256, (3, 9, 9), dtype=np.uint8))
    first, again, other = (seen(rng, n) for n in (1, 2, 3))
    frames = {"one": [(grey[0], first), (grey[1], other)], "two": [(grey[1], again), (grey[0], again)]}
    features.write(tmp_path, {}, [features.part(*item) for item in frames.items()])
    cache = Features(tmp_path)
    assert_seen(cache.find(np.ascontiguousarray(grey[0])), first)
    assert_seen(cache.find(grey[1]), other)
    assert cache.find(grey[2]) is None


def test_fingerprints_that_begin_or_end_alike_are_told_apart(tmp_path, monkeypatch):
    """All 16 bytes count, zeros at the end as well."""
    images = np.zeros((4, 16), np.uint8)
    images[0, 0], images[1, 15], images[2, :2] = 1, 1, 1
    rng = np.random.default_rng(0)
    frames = [seen(rng, 1) for _ in images]
    boxes, scores, classes = (np.concatenate([getattr(s, n) for s in frames]) for n in ("boxes", "scores", "classes"))
    stacked = np.stack([s.features for s in frames])
    features.write(tmp_path, {}, [Part("s", stacked, boxes, scores, classes, np.arange(1, 5), images)])
    cache = Features(tmp_path)
    for row, expected in zip(images, frames, strict=True):
        monkeypatch.setattr(features, "fingerprint", lambda image, row=row: row.tobytes())
        assert_seen(cache.find(None), expected)
    for unknown in (bytes(15) + b"\2", b"\1" * 3 + bytes(13), b"\xff" * 16):
        monkeypatch.setattr(features, "fingerprint", lambda image, unknown=unknown: unknown)
        assert cache.find(None) is None


def test_a_cache_goes_to_other_processes_and_threads(cache):
    """Pickled, a cache is opened where it arrives, though its pickle holds none of its bytes; threads may share it."""
    opened = Features(cache)
    opened.find(VIDEOS["b"][0][0])
    pickled = pickle.dumps(opened)
    assert len(pickled) < 1000
    assert_same(pickle.loads(pickled)["b"], opened["b"])  # noqa: S301
    images = [image for frames in VIDEOS.values() for image, _ in frames] * 5
    fresh = Features(cache)
    with ThreadPoolExecutor(8) as pool:
        for one, other in zip(pool.map(fresh.find, images), map(opened.find, images), strict=True):
            assert_seen(one, other)
    assert not opened["b"].features.flags.writeable


def test_no_torch_is_needed():
    """Opening caches loads numpy, and no torch."""
    code = "import sys, trackers.features; assert 'torch' not in sys.modules and 'cv2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("where", "value", "expected"),
    [
        (["format"], "trackmeet features 0", '"format": "trackmeet features 1"'),
        (["size"], "8", '"size": int'),
        (["size"], True, '"size": int'),
        (["size"], 0, "a size of at least 1"),
        (["size"], 10**4000, "a sequence within the"),
        (["facts"], None, '"facts": dict'),
        (["shards"], {}, '"shards": list'),
        (["shards", 0], "shard-00000.bin", "in shards"),
        (["shards", 0, "file"], "../x", "a shard in this folder"),
        (["shards", 0, "file"], "/etc/shard-00000.bin", "a shard in this folder"),
        (["shards", 0, "file"], "shard-00000.bin\n", "a shard in this folder"),
        (["shards", 0, "file"], "shard-00001.bin", "each shard and each sequence once"),
        (["shards", 0, "length"], 512.0, "in shards"),
        (["shards", 0, "length"], -1, "its length in bytes"),
        (["shards", 0, "length"], 10**30, "a shard of 1000000"),
        (["shards", 0, "sha256"], "0" * 63, "sha256"),
        (["sequences"], None, '"sequences": list'),
        (["sequences"], [], "a size of at least 1, and a sequence"),
        (["sequences", 0], {"name": "b"}, "in sequences"),
        (["sequences", 0, "more"], 1, "in sequences"),
        (["sequences", 0, "name"], 7, "in sequences"),
        (["sequences", 0, "name"], "", "a name"),
        (["sequences", 0, "name"], "a", "each shard and each sequence once"),
        (["sequences", 0, "frames"], 0, "a frame at least"),
        (["sequences", 0, "frames"], True, "in sequences"),
        (["sequences", 0, "frames"], 10**9, "a sequence within the"),
        (["sequences", 0, "frames"], 5, "behind the sequence before it"),
        (["sequences", 0, "detections"], -1, "one of 2 shards"),
        (["sequences", 2, "detections"], 2**70, "a sequence within the"),
        (["sequences", 0, "shard"], 2, "one of 2 shards"),
        (["sequences", 0, "shard"], -1, "one of 2 shards"),
        (["sequences", 0, "offset"], 32, "a multiple of 64"),
        (["sequences", 0, "offset"], -64, "behind the sequence before it"),
        (["sequences", 1, "offset"], 0, "behind the sequence before it"),
        (["sequences", 2, "offset"], 2**62, "a sequence within the"),
    ],
)
def test_a_damaged_index_is_refused(cache, where, value, expected):
    """An index of wrong types, or that points outside its shards, is refused with its file and what was expected."""
    change(cache, where, value)
    with pytest.raises(FeaturesError) as caught:
        Features(cache)
    assert str(cache) in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 10**5, b"\xff", b"7", b"[]", b'{"size":' + b"1" * 9999 + b"}"])
def test_an_index_that_is_none_is_refused(cache, content):
    """What is not JSON, or not such an index, is refused with its file; so is a folder without one."""
    (cache / features.INDEX).write_bytes(content)
    with pytest.raises(FeaturesError, match=r"features\.json: expected "):
        Features(cache)
    (cache / features.INDEX).unlink()
    with pytest.raises(FeaturesError, match=r"features\.json: expected an index"):
        Features(cache)


def test_a_missing_or_cut_shard_is_refused(cache):
    """A shard that is longer, shorter or not there is refused on opening, by name."""
    place = cache / "shard-00001.bin"
    content = place.read_bytes()
    for wrong in (content[:-1], content + b"0", b""):
        place.write_bytes(wrong)
        with pytest.raises(
            FeaturesError, match=rf"shard-00001\.bin: expected .* {len(content)} bytes, got {len(wrong)}"
        ):
            Features(cache)
    place.unlink()
    with pytest.raises(FeaturesError, match=r"shard-00001\.bin: expected a shard of"):
        Features(cache)
    place.mkdir()
    with pytest.raises(FeaturesError, match=r"shard-00001\.bin: expected a shard of"):
        Features(cache)


def test_a_flipped_byte_is_found_by_verify(cache):
    """A byte that changed among the features goes unnoticed until all is read; then each such shard is named."""
    for file, at in (("shard-00000.bin", 2 * PAGE), ("shard-00001.bin", 3 * PAGE)):
        content = bytearray((cache / file).read_bytes())
        content[at] ^= 1
        (cache / file).write_bytes(content)
        opened = Features(cache)
        opened["b"]
        with pytest.raises(FeaturesError, match=rf"cache: expected shards as they were written, .*{file}"):
            opened.verify()
    with pytest.raises(FeaturesError, match=r"shard-00000\.bin, shard-00001\.bin"):
        Features(cache).verify()


@pytest.mark.parametrize("byte", range(0, 24, 3))
def test_ends_that_are_damaged_lead_nowhere(cache, byte):
    """Where a frame's detections end is checked on reading: FeaturesError that names shard and sequence."""
    content = bytearray((cache / "shard-00000.bin").read_bytes())
    content[byte] ^= 0x84
    (cache / "shard-00000.bin").write_bytes(content)
    with pytest.raises(FeaturesError, match=r"shard-00000\.bin: sequence 'b': expected ends"):
        Features(cache)["b"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "another", "array"])
def test_a_damaged_part_is_refused(parts, tmp_path, damage):
    """A file that is not a part as saved is refused by name; one that is not there is missing."""
    path = tmp_path / "b.npz"
    parts[0].save(path)
    content = bytearray(path.read_bytes())
    content[content.index(parts[0].features.tobytes())] ^= 1
    with path.open("wb") as file:
        match damage:
            case "cut":
                file.write(content[: len(content) // 2])
            case "flipped":
                file.write(content)
            case "another":
                np.savez(file, name="b", boxes=parts[0].boxes)
            case "array":
                np.save(file, parts[0].boxes)
    with pytest.raises(FeaturesError, match=r"b\.npz: expected the features of a sequence"):
        Part.load(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        Part.load(path)
