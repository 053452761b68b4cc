"""What an extractor saw of a whole data set, kept: few large shards, read by memory map, and one index.

The index, `features.json`, holds facts about how the cache came about, the shards, each with its length and
hash, and where in them each sequence lies. A sequence lies in one piece, its arrays one behind the other, each
at a multiple of 64 bytes: the ends of its frames, the fingerprints of their images, features, boxes, scores and
classes. A frame is found by its sequence and number, or by its pixels, whatever file they came from.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from trackers.folders import replaced_folder
from trackers.sequence import Image

INDEX = "features.json"
FORMAT = "trackmeet features 1"
SHARD_BYTES = 256 * 2**20
ALIGNMENT = 64  # bytes: a line of a processor's cache

_SHARD = re.compile(r"shard-\d{5,}\.bin")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class FeaturesError(ValueError):
    """A cache is damaged, or lacks what is asked of it; the message says where, and what was expected."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What an extractor sees in one image.

    features: float16 (D,). boxes: float32 (N, 4), the detections, in pixels of the image. scores: float32 (N,), best
    first, in [0, 1]. classes: int16 (N,), their numbers.
    """

    features: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True, eq=False)
class Part:
    """What an extractor saw of one sequence of T frames; made by `part`, or read.

    name: of the sequence. features: float16 (T, D), finite. boxes, scores, classes: float32 (n, 4), float32 (n,) and
    int16 (n,), the detections of all frames one behind the other, see `Seen`. ends: int64 (T,), where a frame's
    detections end in them. images: uint8 (T, 16), the `fingerprint` of each frame.

    Raises ValueError for arrays of other types or shapes, for ends that fall or are not those of n detections, and
    for features or boxes that are not finite; features that a memory map holds are not read for that.
    """

    name: str
    features: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    ends: np.ndarray
    images: np.ndarray

    def __post_init__(self) -> None:
        frames, size = (*self.features.shape, 0, 0)[:2]
        detections = (*self.boxes.shape, 0)[0]
        if not self.name or min(frames, size) < 1:
            raise ValueError(
                f"sequence {self.name!r}: expected a name, a frame and a feature, at least, got {frames} frames "
                f"of {size} features"
            )
        for array, (dtype, shape) in _arrays(frames, size, detections).items():
            found = getattr(self, array)
            if (found.dtype, found.shape) != (dtype, shape):
                raise ValueError(
                    f"sequence {self.name!r}: expected {array} of type {dtype} and shape {shape}, "
                    f"got {found.dtype} and {found.shape}"
                )
        if (np.diff(self.ends, prepend=0) < 0).any() or self.ends[-1] != detections:
            raise ValueError(
                f"sequence {self.name!r}: expected ends that never fall, from 0 to {detections} detections, "
                f"got {np.array2string(self.ends, threshold=8)}"
            )
        if not np.isfinite(self.boxes).all() or not np.isfinite(self.scores).all():
            raise ValueError(f"sequence {self.name!r}: expected finite boxes and scores, got NaN or infinity")
        if not isinstance(self.features, np.memmap) and not (finite := np.isfinite(self.features).all(1)).all():
            raise ValueError(
                f"sequence {self.name!r}, frame {int(np.argmin(finite))}: expected finite features, of at most "
                f"{np.finfo(np.float16).max:g}, got larger ones, or NaN"
            )

    def __len__(self) -> int:
        return len(self.ends)

    def seen(self, t: int) -> Seen:
        """What was seen in frame t, 0 <= t < T; views of the arrays here."""
        if not 0 <= t < len(self):
            raise IndexError(f"sequence {self.name!r}: expected a frame from 0 to {len(self) - 1}, got {t}")
        here = slice(int(self.ends[t - 1]) if t else 0, int(self.ends[t]))
        return Seen(np.asarray(self.features[t]), self.boxes[here], self.scores[here], self.classes[here])

    def save(self, path: Path) -> None:
        """Write it to a file, .npz; the same part gives the same bytes."""
        with path.open("wb") as file:
            np.savez(file, **{field.name: getattr(self, field.name) for field in fields(self)})

    @staticmethod
    def load(path: Path) -> Part:
        """What `save` wrote. FeaturesError for any other file, OSError where there is none."""
        names = {field.name for field in fields(Part)}
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            if found.keys() != names:
                raise ValueError(f"arrays {', '.join(found)}")
            return Part(**found | {"name": str(found["name"])})
        except OSError:
            raise
        except Exception as error:  # whatever a file of another kind makes of the reader
            raise FeaturesError(f"{path}: expected the features of a sequence, as saved, got {error}") from error


def fingerprint(image: Image) -> bytes:
    """16 bytes that tell this image from any other: a hash of its shape and pixels, however they lie in memory."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"expected an image, uint8 (H, W, 3), got {image.dtype} {image.shape}")
    hashed = hashlib.blake2b(np.array(image.shape, "<u4").data, digest_size=16)
    hashed.update(np.ascontiguousarray(image).data)
    return hashed.digest()


def part(name: str, frames: Iterable[tuple[Image, Seen]]) -> Part:
    """What was seen of a sequence, from each of its images and what was seen there; images are not kept.

    Features may be of any float type. ValueError for one that float16 cannot hold, with sequence and frame.
    """
    features, boxes, scores, classes, images = [], [], [], [], []
    for image, seen in frames:
        images.append(fingerprint(image))
        with np.errstate(over="ignore"):  # infinite then, which `Part` refuses
            features.append(np.asarray(seen.features, np.float16))
        boxes.append(seen.boxes)
        scores.append(seen.scores)
        classes.append(seen.classes)
    if not images:
        raise ValueError(f"sequence {name!r}: expected at least one frame, got none")
    return Part(
        name,
        np.stack(features),
        np.concatenate(boxes),
        np.concatenate(scores),
        np.concatenate(classes),
        np.cumsum([len(some) for some in boxes], dtype=np.int64),
        np.frombuffer(b"".join(images), np.uint8).reshape(-1, 16),
    )


def write(root: Path, facts: Mapping[str, Any], parts: Iterable[Part], shard_bytes: int = SHARD_BYTES) -> None:
    """Write a cache to the folder `root`, sequences in the order given, one in memory at a time.

    facts: what JSON can hold, such as what the features were made by. A shard has about `shard_bytes`: a sequence is
    never split, and one that is larger has a shard of its own. `root` is whole or not there: an older cache
    in its place is replaced at the end. The same parts give the same bytes.

    Raises ValueError for no parts at all, for two of the same name or of another number of features, and for a
    `root` that holds something else than a cache.
    """
    if root.exists() and (not root.is_dir() or not all(_is_part_of_one(path.name) for path in root.iterdir())):
        raise ValueError(f"{root}: expected a cache to replace or nothing, found something else")
    shards: list[_Shard] = []
    places: dict[str, _Place] = {}
    size = 0
    with replaced_folder(root) as folder:
        for piece in parts:
            found = piece.features.shape[1]
            size = size or found
            if found != size:
                raise ValueError(f"sequence {piece.name!r}: expected {size} features, as the others have, got {found}")
            if piece.name in places:
                raise ValueError(f"sequence {piece.name!r}: expected each sequence once, got it again")
            length = _length(len(piece), size, len(piece.boxes))
            if not shards or shards[-1].length + length > shard_bytes:
                shards.append(_Shard(f"shard-{len(shards):05d}.bin", 0, ""))
                hashed = hashlib.sha256()
            shard = shards[-1]
            places[piece.name] = _Place(piece.name, len(piece), len(piece.boxes), len(shards) - 1, shard.length)
            with (folder / shard.file).open("ab") as file:
                for name in _arrays(len(piece), size, len(piece.boxes)):
                    content = np.ascontiguousarray(getattr(piece, name)).tobytes()
                    for some in (content, bytes(-len(content) % ALIGNMENT)):
                        hashed.update(some)
                        file.write(some)
            shards[-1] = _Shard(shard.file, shard.length + length, hashed.hexdigest())
        if not places:
            raise ValueError(f"{root}: expected at least one sequence to write, got none")
        head = {"format": FORMAT, "facts": dict(facts), "size": size}
        lines = [f'"{key}":{json.dumps(value, sort_keys=True, allow_nan=False)}' for key, value in head.items()]
        for key, rows in (("shards", shards), ("sequences", places.values())):
            lines.append(f'"{key}":[\n' + ",\n".join(json.dumps(asdict(row)) for row in rows) + "\n]")
        (folder / INDEX).write_text("{" + ",\n".join(lines) + "}\n", encoding="ascii", newline="\n")


class Features:
    """A cache, opened. May be shared by threads, and sent to other processes, which open it again.

    facts: those given to `write`. names: of the sequences, in order. size: features of a frame, D.

    Raises FeaturesError for an index that is damaged or names a place outside its shards, and where a shard is
    missing or not as long as it should be. The bytes themselves are compared by `verify` alone.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        index = _read_index(root / INDEX)
        self.facts: Mapping[str, Any] = index.facts
        self.size = index.size
        self.names = tuple(place.name for place in index.sequences)
        self._shards = index.shards
        self._places = {place.name: place for place in index.sequences}
        self._maps = [_map(root / shard.file, shard.length) for shard in index.shards]
        self._parts: dict[str, Part] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Features, (self.root,)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> Part:
        """What was seen of a sequence: views of the memory map. FeaturesError where it is not there, or is damaged."""
        if name not in self._places:
            raise FeaturesError(f"{self.root}: expected sequence {name!r} among {len(self.names)} here, found none")
        if name not in self._parts:
            place = self._places[name]
            try:
                self._parts[name] = Part(name, **self._views(place))
            except ValueError as error:
                raise FeaturesError(f"{self.root / self._shards[place.shard].file}: {error}") from error
        return self._parts[name]

    def find(self, image: Image) -> Seen | None:
        """What was seen in an image of these pixels; None where none of the frames is it."""
        keys, order, starts = self._table
        key = np.frombuffer(fingerprint(image), keys.dtype)
        at = int(np.searchsorted(keys, key)[0])
        if at == len(keys) or keys[at] != key[0]:
            return None
        frame = int(order[at])
        sequence = int(np.searchsorted(starts, frame, side="right")) - 1
        return self[self.names[sequence]].seen(frame - int(starts[sequence]))

    def verify(self) -> None:
        """Read every byte; FeaturesError that names each shard which is not as it was written."""
        with ThreadPoolExecutor(4) as pool:
            hashes = pool.map(lambda mapped: hashlib.sha256(mapped).hexdigest(), self._maps)
            wrong = [shard.file for shard, found in zip(self._shards, hashes, strict=True) if shard.sha256 != found]
        if wrong:
            raise FeaturesError(f"{self.root}: expected shards as they were written, got others in {', '.join(wrong)}")

    def _views(self, place: _Place) -> dict[str, np.ndarray]:
        views, offset = {}, place.offset
        for name, (dtype, shape) in _arrays(place.frames, self.size, place.detections).items():
            length = math.prod(shape) * dtype.itemsize
            views[name] = self._maps[place.shard][offset : offset + length].view(dtype).reshape(shape)
            offset += _padded(dtype, shape)
        # Slices of a map are slow to make: only what is large stays one.
        return {name: view if name == "features" else np.asarray(view) for name, view in views.items()}

    @cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All fingerprints in order, the number of each one's frame, and that of each sequence's first frame."""
        images = [self._views(place)["images"] for place in self._places.values()]
        keys = np.concatenate(images).view("S16")[:, 0]
        order = np.argsort(keys, kind="stable")  # of frames that are the same, the first is found
        starts = np.cumsum([0, *map(len, images[:-1])])
        return keys[order], order, starts


@dataclass(frozen=True)
class _Shard:
    """A line of the index: a file, its length in bytes, and its hash."""

    file: str
    length: int
    sha256: str


@dataclass(frozen=True)
class _Place:
    """A line of the index: a sequence, how much there is of it, the number of its shard, and where it begins there."""

    name: str
    frames: int
    detections: int
    shard: int
    offset: int


@dataclass(frozen=True)
class _Index:
    facts: dict[str, Any]
    size: int
    shards: list[_Shard]
    sequences: list[_Place]


def _arrays(frames: int, size: int, detections: int) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
    """Type and shape of a part's arrays, in the order of their bytes."""
    return {
        "ends": (np.dtype("<i8"), (frames,)),
        "images": (np.dtype("u1"), (frames, 16)),
        "features": (np.dtype("<f2"), (frames, size)),
        "boxes": (np.dtype("<f4"), (detections, 4)),
        "scores": (np.dtype("<f4"), (detections,)),
        "classes": (np.dtype("<i2"), (detections,)),
    }


def _length(frames: int, size: int, detections: int) -> int:
    """Bytes of a part in a shard."""
    return sum(_padded(dtype, shape) for dtype, shape in _arrays(frames, size, detections).values())


def _padded(dtype: np.dtype, shape: tuple[int, ...]) -> int:
    """Bytes from an array to the next in a shard."""
    length = math.prod(shape) * dtype.itemsize
    return length + -length % ALIGNMENT


def _map(path: Path, length: int) -> np.memmap:
    try:
        found = path.stat().st_size
        if found == length:  # an access behind the end would end the process
            return np.memmap(path, np.uint8, "r", shape=(length,))
    except (OSError, ValueError) as error:
        raise FeaturesError(f"{path}: expected a shard of {length} bytes, got none: {error}") from error
    raise FeaturesError(f"{path}: expected a shard of {length} bytes, got {found}")


def _read_index(path: Path) -> _Index:
    """The index, each line checked by itself and against the others. Raises FeaturesError."""

    def refuse(expected: str, got: Any) -> NoReturn:
        raise FeaturesError(f"{path}: expected {expected}, got {got!r:.200}")

    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise FeaturesError(f"{path}: expected an index of features in JSON, got {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        refuse(f'"format": "{FORMAT}"', content.get("format") if isinstance(content, dict) else content)
    kinds = {"facts": dict, "size": int, "shards": list, "sequences": list}
    for key, kind in kinds.items():
        if type(content.get(key)) is not kind:
            refuse(f'"{key}": {kind.__name__}', content.get(key))
    size = content["size"]
    if size < 1 or not content["sequences"]:
        refuse("a size of at least 1, and a sequence", f"{size} and {len(content['sequences'])} sequences")
    rows: dict[str, list[Any]] = {}
    for key, Row in (("shards", _Shard), ("sequences", _Place)):
        types = {field.name: {"str": str, "int": int}[str(field.type)] for field in fields(Row)}
        for row in content[key]:
            if not isinstance(row, dict) or {name: type(value) for name, value in row.items()} != types:
                refuse(f"in {key}, each time, " + ", ".join(f"{n}: {t.__name__}" for n, t in types.items()), row)
        rows[key] = [Row(**row) for row in content[key]]
    shards, places = rows["shards"], rows["sequences"]
    if len({shard.file for shard in shards}) != len(shards) or len({place.name for place in places}) != len(places):
        refuse("each shard and each sequence once", "some of them again")
    for shard in shards:
        if not _SHARD.fullmatch(shard.file) or shard.length < 1 or not _SHA256.fullmatch(shard.sha256):
            refuse("a shard in this folder, shard-00000.bin, its length in bytes and sha256", vars(shard))
    ends = [0] * len(shards)
    for place in sorted(places, key=lambda place: (place.shard, place.offset)):
        if not place.name or place.frames < 1 or place.detections < 0 or not 0 <= place.shard < len(shards):
            refuse(f"a name, a frame at least, and one of {len(shards)} shards", vars(place))
        if place.offset % ALIGNMENT or place.offset < ends[place.shard]:
            refuse(f"an offset that is a multiple of {ALIGNMENT} and behind the sequence before it", vars(place))
        ends[place.shard] = place.offset + _length(place.frames, size, place.detections)
        if ends[place.shard] > shards[place.shard].length:
            refuse(f"a sequence within the {shards[place.shard].length} bytes of its shard", vars(place))
    return _Index(content["facts"], size, shards, places)


def _is_part_of_one(name: str) -> bool:
    """Whether a cache has files of this name."""
    return name == INDEX or _SHARD.fullmatch(name) is not None
