from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from orchestrator.jobs import Data
from orchestrator.params import ParamsError, Report, build
from orchestrator.report import explorer
from orchestrator.report.explorer import outlines, sheets
from orchestrator.report.explorer.overlap import WORST, overlaps, worst
from orchestrator.report.explorer.played import sets
from orchestrator.report.explorer.said import attention_tiles
from orchestrator.report.explorer.videos import Videos, opener
from orchestrator.report.results import Study, read
from orchestrator.results import slug
from trackers import masks
from trackers.evaluation import archive
from trackers.evaluation.overlaps import average_overlap
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence

SIZE = (64, 48)  # width and height of a frame
BITS = 8  # squares in a row, white for ones, that say a frame's number


class Numbered:
    """Frames that show their own numbers."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, t: int) -> np.ndarray:
        frame = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        for bit in range(BITS):
            frame[:, bit * 8 : bit * 8 + 8] = 255 * (t >> bit & 1)
        return frame


def number_of(frame: np.ndarray) -> int:
    """What a frame of `Numbered` says, however it was compressed and reduced."""
    width = frame.shape[1] // BITS
    return sum(int(frame[:, bit * width : (bit + 1) * width].mean() > 127) << bit for bit in range(BITS))


def sequence(name: str, length: int = 10, **more: Any) -> Sequence:
    """A target that moves by a pixel a frame."""
    boxes = np.tile([5.0, 6.0, 20.0, 10.0], (length, 1)) + np.arange(length)[:, None] * [1, 0, 0, 0]
    return Sequence(name, Numbered(length), boxes, size=SIZE, **more)


def follow(of: Sequence, off: float = 0.0, run: int = 0, lost: Iterable[int] = ()) -> Trajectory:
    """One that is off by so many pixels to the right, and fails in some frames."""
    regions, events = of.groundtruth + [off, 0, 0, 0], np.full(len(of), Event.PREDICTED, np.int8)
    events[0], regions[0] = Event.INITIALIZED, of.groundtruth[0]
    for t in lost:
        events[t], regions[t] = Event.FAILED, np.nan
    return Trajectory(of.name, regions, events, run)


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Study]:
    """Writes a study of trials (tracker, seed, protocol, [sequence], [trajectory]) on one benchmark, and reads it."""

    def write(trials: Iterable[tuple[Any, ...]], name: str = "study", benchmark: str = "set") -> Study:
        folder, entries = tmp_path / "results" / slug(name), []
        for i, (tracker, seed, protocol, sequences, runs) in enumerate(trials):
            place = folder / str(i) / benchmark / protocol
            place.mkdir(parents=True)
            archive.save(place / "trajectories.npz", sequences, runs)
            entry: Mapping[str, Any] = dict.fromkeys(("train", "fold", "error", "log"))
            entries.append({"name": str(i), "key": str(i), "tracker": tracker, "seed": seed, "state": "done"} | entry)
            entries[-1] |= {"benchmarks": [benchmark], "settings": {}, "folder": str(i)}
        trackers = list(dict.fromkeys(entry["tracker"] for entry in entries))
        facts = {"study": name, "profile": "custom", "data": {}, "lengths": [], "benchmarks": [benchmark]}
        (folder / "study.json").write_text(json.dumps(facts | {"trials": entries, "trackers": trackers}))
        return next(study for study in read(folder.parent) if study.name == name)

    return write


def opened_as(*sequences: Sequence, origin: str = "here") -> Callable[[str, Mapping[str, Any]], Videos]:
    """Opens these, whatever is asked for."""
    videos = Videos(origin, sequences)
    return lambda name, facts: videos


def load(report: Path, name: str) -> Any:
    """The data of a file of the explorer, as the page is handed it."""
    text = (report / "explorer" / f"{name}.js").read_text(encoding="utf-8")
    assert text.startswith(f'explorerData("{name}",')
    assert text.endswith(");\n")
    return json.loads(text[len(f'explorerData("{name}",') : -3])


def frames_of(report: Path, video: Mapping[str, Any]) -> Iterator[np.ndarray]:
    """The pictures of a video, in the order of its `frames`."""
    for i, name in enumerate(video["sheets"]):
        image = cv2.imread(str(report / "frames" / f"{name}.webp"))
        each = video["columns"] * video["rows"]
        count = min(each, len(video["frames"]) - i * each)
        across = min(video["columns"], count)
        rows = np.split(image, -(-count // across), 0)
        yield from [tile for row in rows for tile in np.split(row, across, 1)][:count]


def test_folds_are_joined(write_study: Callable[..., Study]) -> None:
    """A tracker's folds give each sequence once, of the first seed and the first run, beside the other trackers'."""
    a, b = sequence("a"), sequence("b")
    study = write_study(
        [
            ("T", 2, "one_pass", [a, b], [follow(a, 5), follow(b, 5)]),
            ("T", 1, "one_pass", [b], [follow(b, 1), follow(b, 9, run=1)]),
            ("T", 1, "one_pass", [a], [follow(a, 2)]),
            ("U", 1, "one_pass", [a], [follow(a, 3)]),
        ]
    )
    [found] = sets(study)
    assert found.trackers == ("T", "U")
    off = {
        one.sequence.name: {t: run.regions[5, 0] - a.groundtruth[5, 0] for t, run in one.runs.items()}
        for one in found.played
    }
    assert off == {"a": {"T": 2, "U": 3}, "b": {"T": 1}}


def test_overlaps_are_the_projects() -> None:
    """They average to the average overlap: failures count as 0, the frame that is given not at all."""
    given, run = sequence("a"), follow(sequence("a"), 4, lost=[6])
    values = overlaps(given, [run])
    assert np.isnan(values[0, 0])
    assert values[0, 6] == 0
    assert np.nanmean(values) == pytest.approx(average_overlap(run.regions, given.groundtruth))


def test_masks_are_compared_by_pixel() -> None:
    """Where masks are annotated, overlaps are those of masks, and none where the target is absent."""
    size = (10, 8)
    true = [masks.of_box(np.array([t, 1.0, 4, 4]), size) for t in range(3)] + [np.zeros((8, 10), bool)]
    said = [masks.of_box(np.array([t + 1, 1.0, 4, 4]), size) for t in range(4)]
    given = Sequence("m", Numbered(4), masks.bounding_box(np.stack(true)), true, size=size)
    events = np.array([Event.INITIALIZED, *[Event.PREDICTED] * 3], np.int8)
    run = Trajectory("m", masks.bounding_box(np.stack(said)), events, masks=said)
    np.testing.assert_allclose(overlaps(given, [run]), [[np.nan, 12 / 20, 12 / 20, np.nan]])


def test_worst_frames_are_the_lowest_that_lie_apart() -> None:
    """The lowest is named first, then the lowest of those that are not beside it; never one that is not judged."""
    values = np.full(100, 0.9)
    values[[10, 11, 50, 90]] = [0.1, 0.05, 0.2, 0.3]
    values[70] = np.nan
    assert worst(values) == [11, 50, 90]
    assert len(worst(np.ones(4))) == WORST
    assert worst(np.full(5, np.nan)) == []


def test_shown_frames_have_their_true_numbers(write_study: Callable[..., Study], tmp_path: Path) -> None:
    """A long sequence keeps frames spread evenly, failures and the worst; each picture is of the frame that it says."""
    given = sequence("a", 200)
    study = write_study([("T", 1, "one_pass", [given], [follow(given, lost=[101])])])
    explorer.write([study], opened_as(given), Report(frames=50, side=32), tmp_path)
    video = load(tmp_path, "video-0")
    assert {0, 101, 199} <= set(video["frames"])
    assert 50 <= len(video["frames"]) <= 50 + 1 + WORST
    pictures = list(frames_of(tmp_path, video))
    assert {picture.shape for picture in pictures} == {(24, 32, 3)}
    assert [number_of(picture) for picture in pictures] == video["frames"]
    data = load(tmp_path, "0-0")
    assert (len(data["truth"]), len(data["trackers"][0]["iou"])) == (200, 200)
    assert data["trackers"][0]["worst"][0] == 101


def test_clips_show_the_frames_that_they_are_made_of(write_study: Callable[..., Study], tmp_path: Path) -> None:
    """Of a sequence that was stretched to a length, each frame names the one of the video that it repeats."""
    clipped = sequence("a", 9)
    study = write_study([("T", 1, "one_pass", [clipped], [follow(clipped)])])
    explorer.write([study], opened_as(sequence("a", 5)), Report(), tmp_path)
    assert load(tmp_path, "0-0")["numbers"] == [0, 0, 1, 2, 2, 2, 3, 4, 4]  # halves to the even number
    assert load(tmp_path, "video-0")["frames"] == [0, 1, 2, 3, 4]


def test_numbers_of_a_sequence(write_study: Callable[..., Study], tmp_path: Path) -> None:
    """Regions are in tenths of a pixel, overlaps and scores in thousandths, events in the codes of trajectories."""
    given = sequence("a", 3)
    study = write_study([("T", 1, "one_pass", [given], [follow(given, 5, lost=[2])])])
    explorer.write([study], None, Report(), tmp_path)
    data = load(tmp_path, "0-0")
    assert data["truth"] == [[50, 60, 200, 100], [60, 60, 200, 100], [70, 60, 200, 100]]
    assert data["trackers"] == [
        {
            "tracker": 0,
            "regions": [[50, 60, 200, 100], [110, 60, 200, 100], None],
            "iou": [None, 600, 0],
            "events": "132",
            "worst": [2, 1],
        }
    ]
    index = load(tmp_path, "0")
    assert (index["sequences"], index["frames"], index["scores"], index["failures"]) == (["a"], [3], [[300]], [[1]])


def test_a_mask_is_its_outlines() -> None:
    """Filled by odd numbers, the outlines of a mask with a hole are that mask again."""
    mask = np.zeros((48, 64), bool)
    mask[8:40, 10:50] = True
    mask[16:30, 20:40] = False
    [outline] = outlines.of_sequence(Sequence("m", Numbered(1), np.ones((1, 4)), [mask]), side=64)
    corners = [(np.array(one).reshape(-1, 2) / 10 - 0.5).round().astype(np.int32) for one in outline]
    filled = cv2.fillPoly(np.zeros(mask.shape, np.uint8), corners, 1) > 0
    assert masks.iou(filled, mask) > 0.9
    assert not filled[17:29, 21:39].any()


def test_videos_are_kept_once_and_not_read_again(write_study: Callable[..., Study], tmp_path: Path) -> None:
    """Studies with one video share its pictures, and a second report takes them from the first, byte for byte."""
    given = sequence("a", 60)
    studies = [
        write_study([("T", 1, "one_pass", [given], [follow(given, off)])], name) for name, off in (("x", 1), ("y", 2))
    ]
    first, second = tmp_path / "first", tmp_path / "second"
    explorer.write(studies, opened_as(given), Report(), first)
    assert load(first, "0-0")["video"] == load(first, "1-0")["video"]
    assert len(list((first / "frames").iterdir())) == -(-60 // (sheets.COLUMNS * sheets.ROWS))

    class Gone(Numbered):
        def __getitem__(self, t: int) -> np.ndarray:
            raise OSError("expected not to be read")

    gone = Sequence("a", Gone(60), given.groundtruth, size=SIZE)
    explorer.write(studies, opened_as(gone), Report(), second, old=first)
    written = [{p.relative_to(out): p.read_bytes() for p in out.rglob("*.*")} for out in (first, second)]
    assert written[0] == written[1]


def test_frames_that_cannot_be_read_leave_a_hole(write_study: Callable[..., Study], tmp_path: Path) -> None:
    """One damaged image costs the pictures beside it, not the report."""

    class Damaged(Numbered):
        def __getitem__(self, t: int) -> np.ndarray:
            if t == 50:
                raise ValueError("expected an image")
            return super().__getitem__(t)

    given = sequence("a", 60)
    study = write_study([("T", 1, "one_pass", [given], [follow(given)])])
    explorer.write([study], opened_as(Sequence("a", Damaged(60), given.groundtruth, size=SIZE)), Report(), tmp_path)
    first, second = (tmp_path / "frames" / f"{name}.webp" for name in load(tmp_path, "video-0")["sheets"])
    assert first.exists()
    assert not second.exists()


def test_a_report_from_results_alone_has_no_frames(write_study: Callable[..., Study], tmp_path: Path) -> None:
    """Without the data, or beyond the number of sequences asked for, there are regions but no pictures."""
    a, b = sequence("a"), sequence("b")
    study = write_study([("T", 1, "one_pass", [a, b], [follow(a), follow(b)])])
    explorer.write([study], lambda name, facts: None, Report(), tmp_path / "none")
    assert "video" not in load(tmp_path / "none", "0-0")
    assert not (tmp_path / "none" / "frames").exists()
    explorer.write([study], opened_as(a, b), Report(sequences=1), tmp_path / "one")
    assert ["video" in load(tmp_path / "one", f"0-{i}") for i in (0, 1)] == [True, False]


def test_names_are_safe(write_study: Callable[..., Study], tmp_path: Path) -> None:
    """Names that mean something in paths, scripts or addresses appear in none of these as they are."""
    strange = "a/b <x></script>&,"
    given = sequence(strange)
    study = write_study([(strange, 1, "one_pass", [given], [follow(given)])], name=strange)
    shown = explorer.write([study], opened_as(given), Report(), tmp_path)
    assert sorted(p.name for p in (tmp_path / "explorer").iterdir()) == ["0-0.js", "0.js", "video-0.js"]
    assert "<" not in shown.json + (tmp_path / "explorer" / "0.js").read_text()
    assert json.loads(shown.json)[0]["study"] == strange
    assert load(tmp_path, "0")["sequences"] == [strange]
    link = explorer.link(strange, "set", "one_pass", strange, 3, ["A,B", "C"])
    name = "a%2Fb%20%3Cx%3E%3C%2Fscript%3E%26%2C"
    assert link == f"#explorer={name}/set/one_pass/{name}&t=3&trackers=A%2CB,C"


def test_attention_covers_what_is_attended() -> None:
    """It is opaque in proportion to its share of the frame's largest value, and nothing where there is none."""
    [tile] = attention_tiles(np.array([[[0.0, 0.1, 0.2]]], np.float16))
    assert tile[0, :, 3].tolist() == [0, 102, 204]


def test_data_sets_are_opened_where_they_are(tmp_path: Path) -> None:
    """A data set is read in the folder that is found for it; it is None where there is none, or it cannot be read."""
    folder = tmp_path / "walk"
    folder.mkdir()
    for t in range(3):
        cv2.imwrite(str(folder / f"{t}.png"), Numbered(3)[t])
    (folder / "groundtruth.txt").write_text("5,6,20,10\n" * 3)
    opened = opener(lambda root: Data(tmp_path, "absent" if root.name == "gone" else "digest"))
    facts = {"format": "plain", "root": "data/here", "settings": {"box": None, "sequences": [], "exclude": []}}
    videos = opened("set", facts)
    assert videos is not None
    assert videos.identity("walk") is not None
    assert videos.identity("run") is None
    assert opened("set", facts | {"root": "data/gone"}) is None
    assert opened("set", facts | {"settings": {"sequences": ["run"]}}) is None
    assert opened("set", {"format": "plain"}) is None


def test_settings_of_the_report_are_checked() -> None:
    """An unknown one, or a number that means nothing, is refused by name."""
    assert build(Report, {}) == Report(120, 320, None)
    with pytest.raises(ParamsError, match="frame: unknown key; expected one of frames, side, sequences"):
        build(Report, {"frame": 3})
    with pytest.raises(ParamsError, match="frames: expected at least 2, got 1"):
        build(Report, {"frames": 1})
