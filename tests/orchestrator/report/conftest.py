from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator import score_files
from orchestrator.report.build import build
from orchestrator.report.plots import plot
from trackers.evaluation import archive
from trackers.evaluation.pixels import LEVELS
from trackers.evaluation.scores import Pool, Score
from trackers.evaluation.trajectory import Trajectory
from trackers.sequence import Sequence, Unseen

SETS = ("MNIST-Single-Same", "MNIST-Single-Diff", "MNIST-Multi-Same", "MNIST-Multi-Diff")
TRAINED = ("RecTracker-ID", "RecTracker-Att-1", "RecTracker-Att-3", "ConvTracker")
TRACKERS = (*TRAINED, "KerCorrTracker")
LENGTHS = (20, 40, 80, 160)
QUALITY = dict(zip(TRACKERS, (0.6, 0.55, 0.54, 0.3, 0.35), strict=True))

Write = Callable[..., Path]


def trial(
    tracker: str, train: str | None, benchmarks: tuple[str, ...], seed: int = 1, **changes: Any
) -> dict[str, Any]:
    """One entry of study.json's trials."""
    name = " / ".join(part for part in (tracker, train) if part) + (f" / seed {seed}" if seed > 1 else "")
    return {
        "name": name,
        "key": name.encode().hex(),
        "tracker": tracker,
        "train": train,
        "fold": None,
        "seed": seed,
        "state": "done",
        "error": None,
        "log": None,
        "benchmarks": list(benchmarks),
        "settings": {"family": "rectracker", "hidden": 200, "optimizer": {"learning_rate": 0.001}},
        "folder": name.replace(" / ", "_"),
    } | changes


def scores_of(tracker: str, benchmark: str, sequences: int, seed: int = 1) -> dict[int, np.ndarray]:
    """Made-up overlaps: they fall with length; the correlation filter's spread is wide. By length, (sequences,)."""
    rng = np.random.default_rng([TRACKERS.index(tracker), SETS.index(benchmark), seed])
    start = QUALITY[tracker] - (0.2 if "Multi" in benchmark else 0)
    spread = 0.2 if tracker == "KerCorrTracker" else 0.08
    values = start + spread * rng.standard_normal(sequences)
    return {length: np.clip(values - 0.03 * i, 0, 1) for i, length in enumerate(LENGTHS)}


def overlap_score(names: tuple[str, ...], length: int, values: np.ndarray) -> Score:
    """The average overlap at that length, one value a sequence."""
    return Score(
        "average_overlap", "trackmeet", "one_pass", "all", length, names, values[:, None], np.ones((len(names), 1))
    )


def write_trial(folder: Path, entry: dict[str, Any], sequences: int) -> None:
    """Everything that one trial leaves."""
    for benchmark in entry["benchmarks"]:
        target = folder / entry["folder"] / benchmark
        target.mkdir(parents=True)
        values = scores_of(entry["tracker"], benchmark, sequences, entry["seed"])
        names = tuple(f"{i:04d}" for i in range(sequences))
        score_files.write(target, names, {}, [overlap_score(names, length, v) for length, v in values.items()])
        (target / "pictures.npz").write_bytes(pictures(masks="Att" in entry["tracker"]))
    if entry["train"]:
        steps = np.arange(0, 500, 10)
        curves = {"loss": np.stack([steps, 0.3 * np.exp(-steps / 150) + 0.02], 1).tolist()}
        (folder / entry["folder"] / "training.json").write_text(json.dumps(curves))


@cache
def pictures(masks: bool) -> bytes:
    """Two sequences of a bright disc that moves over noise, at seven frames, and a prediction near it: an npz file."""
    rng = np.random.default_rng(0)
    file = io.BytesIO()
    numbers = np.arange(1, 20, 3)
    y, x = np.mgrid[:100, :100]
    centres = np.stack([25 + 3 * numbers, 40 + numbers], -1)  # (t, 2)
    distance = np.hypot(x - centres[:, :1, None], y - centres[:, 1:, None])  # (t, 100, 100)
    noise = 60 * (rng.random((2, len(numbers), 100, 100)) > 0.93)
    frames = np.clip(255 * (distance < 12) + noise, 0, 255).astype(np.uint8)
    groundtruth = np.broadcast_to(np.concatenate([centres - 12, np.full_like(centres, 24)], -1), (2, len(numbers), 4))
    regions = groundtruth + rng.normal(0, 3, groundtruth.shape)
    attention = np.broadcast_to(np.exp(-(distance**2) / 800), frames.shape).astype(np.float16)
    kept: dict[str, np.ndarray] = {"sequences": np.array(["0000", "0001"])}
    for i in range(2):
        kept |= {
            f"numbers/{i}": numbers,
            f"frames/{i}": np.repeat(frames[i][..., None], 3, -1),
            f"regions/{i}": regions[i].astype(float),
            f"groundtruth/{i}": groundtruth[i].astype(float),
            **({f"attention/{i}": attention[i]} if masks else {}),
        }
    np.savez_compressed(file, **kept)
    return file.getvalue()


def all_trials() -> list[dict[str, Any]]:
    """The study's trials, all done: each network trained on one digit and on two, the filter on nothing."""
    single, multi = SETS[:2], SETS[2:]
    trained = [trial(tracker, sets[0], sets) for tracker in TRAINED for sets in (single, multi)]
    return [*trained, trial("KerCorrTracker", None, SETS)]


def write_study(
    root: Path, trials: list[dict[str, Any]], sequences: int = 12, profile: str = "sample", **changes: Any
) -> Path:
    """The results of these trials, with made-up scores, below `root`; returns the results folder."""
    folder = root / "results" / "rectracker"
    folder.mkdir(parents=True)
    study = {
        "study": "rectracker",
        "profile": profile,
        "data": {name: {"format": "moving_digits", "settings": {"seed": 1}} for name in SETS},
        "lengths": list(LENGTHS),
        "trials": trials,
        "trackers": list(TRACKERS),
        "benchmarks": list(SETS),
    } | changes
    (folder / "study.json").write_text(json.dumps(study))
    for entry in trials:
        if entry["state"] == "done":
            write_trial(folder, entry, sequences)
    return folder.parent


NAMES = tuple("abcdefgh")
FRAMES = np.arange(40, 120, 10)  # of each sequence
TAGS = {"all": 8, "camera_motion": 6, "empty": 8, "occlusion": 1, "size_change": 5}  # how many sequences have them
CLASSES = {"class_often": list(NAMES[::2]), "class_rarely": list(NAMES[1::2])}
# A, failures: GOTURN is the more exact the more videos it saw, and without the previous frame loses the target.
VOT_QUALITY = {
    "GOTURN": (0.7, 0.2),
    "GOTURN-L2": (0.5, 0.8),
    "GOTURN-Uniform": (0.6, 0.4),
    "GOTURN-Images": (0.5, 0.6),
    "GOTURN-Videos": (0.62, 0.4),
    "GOTURN-Current": (0.68, 0.9),
    "GOTURN-14": (0.4, 0.9),
    "GOTURN-37": (0.5, 0.7),
    "GOTURN-157": (0.6, 0.5),
    "GOTURN-Untrained": (0.1, 3.0),
    "KerCorrTracker": (0.65, 0.6),
    "Identity": (0.15, 2.5),
}


def vot_scores(accuracy: float, failures: float, seed: int) -> list[Score]:
    """What runs with resets on the sequences NAMES come to, on all frames and by tag."""
    found = []
    rng = np.random.default_rng(seed)
    for subset, count in TAGS.items():
        frames = (FRAMES[:count] // (1 if subset == "all" else 4)).astype(float)
        overlaps = frames * np.clip(accuracy + rng.normal(0, 0.02, count), 0, 1)
        lost = failures * rng.uniform(0.8, 1.2, count)
        terms: dict[str, tuple[list[np.ndarray], list[np.ndarray], Pool]] = {
            "overall_error": ([overlaps, lost], [frames, frames], "overall_error"),
            "accuracy_error": ([frames - overlaps], [frames], "mean"),
            "robustness_error": ([lost], [frames], "robustness_error"),
            "accuracy": ([overlaps], [frames], "mean"),
            "robustness": ([lost], [frames], "mean"),
            "failures": ([lost], [np.ones(count)], "sum"),
        }
        for measure, (above, below, pool) in terms.items():
            columns = np.stack(above, 1), np.stack(below, 1)
            found.append(Score(measure, "vot-legacy", "supervised_reset", subset, None, NAMES[:count], *columns, pool))
    return found


def write_vot_study(root: Path, study: str, trackers: Iterable[str], settings: Mapping[str, Any] | None = None) -> None:
    """The results of these trackers of `VOT_QUALITY` on VOT2014, with speeds, and curves of those that are trained."""
    folder = root / "results" / study
    entries = []
    trackers = list(trackers)
    for i, tracker in enumerate(trackers):
        trained = tracker.startswith("GOTURN")
        own: dict[str, Any] = {"family": "goturn" if trained else tracker, **(settings or {})}
        if trained:
            number = tracker.removeprefix("GOTURN-")
            own["videos"] = int(number) if number.isdecimal() else 307
        entry = trial(tracker, "ALOV300++ + ImageNet DET" if trained else None, ("VOT2014",), settings=own)
        entries.append(entry)
        place = folder / entry["folder"] / "VOT2014"
        place.mkdir(parents=True)
        score_files.write(place, NAMES, CLASSES, vot_scores(*VOT_QUALITY[tracker], seed=i))
        speed = {"fps": 100.0 + i, "fps_with_decoding": 50.0, "efo": 10.0 + i, "hardware": "a CPU"}
        (place / "speed.json").write_text(json.dumps(speed))
        if trained:
            shared, private = [[0, 2.0], [100, 1.0]], [[0, 1.0 + i], [100, 0.5]]
            curves = {"backbone/loss": shared, "train/loss": private}
            (place.parent / "training.json").write_text(json.dumps(curves))
    facts = {"study": study, "profile": "sample", "data": {"VOT2014": {"format": "vot", "sample": True}}}
    tested = {"lengths": [], "trials": entries, "trackers": trackers, "benchmarks": ["VOT2014"]}
    (folder / "study.json").write_text(json.dumps(facts | tested))


@pytest.fixture(scope="session")
def vot_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Study goturn, and another one that tested two of its trackers on the same data; not to be changed.

    Identity is the same in both; the other one's KerCorrTracker has other settings.
    """
    root = tmp_path_factory.mktemp("vot")
    write_vot_study(root, "goturn", tuple(VOT_QUALITY))
    write_vot_study(root, "others", ("Identity",))
    entry = json.loads((root / "results/others/study.json").read_text())
    write_vot_study(root, "others", ("KerCorrTracker",), {"features": "grey"})
    second = json.loads((root / "results/others/study.json").read_text())
    entry["trials"] += second["trials"]
    entry["trackers"] += second["trackers"]
    (root / "results/others/study.json").write_text(json.dumps(entry))
    return root / "results"


@pytest.fixture(scope="session")
def vot_report(vot_results: Path) -> Path:
    """The report on `vot_results`, not to be changed."""
    return built(vot_results, vot_results.parent / "report")


OTB30 = {"Couple": 140, "Human3": 199, "Mine": 6}  # frames of sequences; Human3 has 1698 in the benchmark
OTB30_TEST = {"Gym": 767, "Jump": 122}
CAVEAT = "It is shown the groundtruth of every frame."
ROLO_QUALITY = {
    "ROLO": 0.6,
    "ROLO-Third": 0.5,
    "ROLO-Third-1": 0.4,
    "ROLO-Heatmap": 0.52,
    "ROLO-Dropout": 0.45,
    "ROLO-Released": 0.7,
    "YOLO": 0.48,
    "YOLO+SORT": 0.35,
    "KerCorrTracker": 0.4,
    "Identity": 0.1,
}


def otb_scores(frames: Mapping[str, int], protocol: str, quality: float) -> tuple[list[Score], list[Score]]:
    """Scores of all frames and of two tags, and the success curve.

    Of sequence i, overlaps from 0 to 2 quality - i / 20.
    """
    names, scores = tuple(frames), []
    most = 2 * quality - np.arange(len(names)) / 20
    ones, thresholds = np.ones((len(names), 1)), np.linspace(0, 1, 21)
    success = np.clip(1 - thresholds / most[:, None], 0, 1)  # (n, 21)
    values = {"average_overlap": most / 2, "success_auc": success.mean(1)}
    for subset in ("all", "undetected", "occluded_undetected") if protocol == "one_pass" else ("all",):
        for measure, value in values.items():
            lower = 1 if subset == "all" else 0.8
            scores.append(Score(measure, "otb", protocol, subset, None, names, lower * value[:, None], ones))
    return scores, [Score("success", "otb", protocol, "all", None, names, success, np.ones_like(success))]


def write_rolo_study(root: Path, study: str, quality: Mapping[str, float], sample: bool = False) -> None:
    """The results of these trackers on OTB30, and of a ROLO-Videos on OTB30_TEST: scores, speeds and lengths."""
    folder = root / "results" / study
    entries = []
    trackers = {**quality, "ROLO-Videos": 0.3} if study == "rolo" else quality
    for tracker, good in trackers.items():
        network = tracker.startswith("ROLO")
        steps = int(tracker.rpartition("-")[2]) if tracker[-1].isdecimal() else 6
        settings = {"family": "rolo", "steps": steps} if network else {"family": tracker}
        caveat = CAVEAT if tracker == "ROLO-Released" else None
        tested = {"OTB-30": OTB30}
        if study == "rolo" and tracker in ("ROLO-Third", "ROLO-Videos", "YOLO"):
            tested = ({} if tracker == "ROLO-Videos" else tested) | {"OTB-30-test": OTB30_TEST}
        entry = trial(tracker, "OTB-30" if network else None, tuple(tested), settings=settings, caveat=caveat)
        entries.append(entry)
        for benchmark, frames in tested.items():
            place = folder / entry["folder"] / benchmark
            (place / "one_pass").mkdir(parents=True)
            protocols = (
                ("one_pass", "temporal_robustness", "spatial_robustness")
                if benchmark == "OTB-30" and study == "rolo"
                else ("one_pass",)
            )
            parts = [otb_scores(frames, protocol, good) for protocol in protocols]
            scores, curves = ([one for part in parts for one in part[i]] for i in (0, 1))
            if caveat:
                scores += [replace(s, measure="released_overlap") for s in scores if s.measure == "average_overlap"]
            score_files.write(place, list(frames), {}, scores, curves)
            sequences = [Sequence(name, Unseen(n), np.ones((n, 4))) for name, n in frames.items()]
            runs = [Trajectory(s.name, s.groundtruth, np.full(len(s), 1, np.int8)) for s in sequences]
            archive.save(place / "one_pass" / "trajectories.npz", sequences, runs)
            if network:
                speed = {"fps": 60.0 / steps, "fps_with_decoding": 5.0, "efo": 1.0, "hardware": "a CPU"}
                (place / "speed.json").write_text(json.dumps(speed))
            if tracker in ("ROLO-Heatmap", "ROLO-Released"):
                (place / "pictures.npz").write_bytes(pictures(masks=tracker == "ROLO-Heatmap"))
    facts: dict[str, Any] = {"format": "otb", "settings": {}, "sample": sample}
    data = {"OTB-30": facts | {"missing": ["Bird1", "Gym"]}, "OTB-30-test": facts | {"missing": []}}
    benchmarks = ["OTB-30", "OTB-30-test"] if study == "rolo" else ["OTB-30"]
    content = {"study": study, "profile": "custom", "data": data, "lengths": [], "trials": entries}
    content |= {"trackers": list(trackers), "benchmarks": benchmarks}
    (folder / "study.json").write_text(json.dumps(content))


def undrawn(patch: pytest.MonkeyPatch) -> None:
    """Leave plots undrawn: what is drawn is tested for itself, and takes most of the time of a report."""
    patch.setattr(plot, "svg", lambda one: f"<svg><title>{one.name}</title></svg>")
    patch.setattr(plot, "pdf", lambda drawn: b"%PDF")
    patch.setattr(plot, "_write_bundle", lambda path, old: path.write_text("// nothing"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test of a report draws plots."""
    undrawn(monkeypatch)


def built(results: Path, out: Path) -> Path:
    """The report's folder, its plots undrawn."""
    with pytest.MonkeyPatch.context() as patch:
        undrawn(patch)
        return build(results, out).parent


@pytest.fixture(scope="session")
def rolo_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Study rolo, and another one that tested a tracker of its own on the same data; not to be changed."""
    root = tmp_path_factory.mktemp("rolo")
    write_rolo_study(root, "rolo", ROLO_QUALITY)
    write_rolo_study(root, "others", {"Grey": 0.2})
    return root / "results"


@pytest.fixture(scope="session")
def rolo_report(rolo_results: Path) -> Path:
    """The report on `rolo_results`, not to be changed."""
    return built(rolo_results, rolo_results.parent / "report")


VOT2016 = ("VOT2016-20", "VOT2016-40", "VOT2016-80", "VOT2016-160")  # one data set at several lengths
PIXELWISE_QUALITY = {"2-stage ConvLSTM": 0.4, "1-stage ConvLSTM": 0.3, "ConvLSTM-Near": 0.6, "FCN-Near": 0.5}


def mask_pictures(sequence: str, memory: bool) -> dict[str, np.ndarray]:
    """One frame of a sequence with masks."""
    mask, box = np.zeros((1, 20, 30), bool), np.array([[5.0, 5, 10, 10]])
    mask[:, 5:15, 5:15] = True
    kept = {"sequences": np.array([sequence]), "numbers/0": np.array([1]), "regions/0": box, "groundtruth/0": box}
    kept |= {"frames/0": np.zeros((1, 20, 30, 3), np.uint8), "masks/0": mask, "groundtruth_masks/0": mask}
    return kept | ({"memory/0/layer 1": np.ones((1, 16, 3, 3), np.float16)} if memory else {})


def clip_scores(iou: Score) -> tuple[list[Score], list[Score]]:
    """Beside a mean IoU (n, 1), that by frame, which falls, and pixels of which that share is told from others."""
    levels = np.zeros((2, len(iou.numerator), LEVELS))
    levels[0, :, 150] = 100 * iou.numerator[:, 0]
    levels[0, :, 0] = 100 - levels[0, :, 150]
    levels[1, :, 100] = 50
    pixels = replace(iou, measure="pixel_auc", numerator=levels[0], denominator=levels[1], pool="pixel_auc")
    framewise = iou.numerator + (16.5 - np.arange(1, 33)) / 100
    curves = [
        replace(pixels, measure="roc", pool="mean"),
        replace(iou, measure="framewise_iou", numerator=framewise, denominator=np.ones_like(framewise)),
    ]
    return [iou, pixels], curves


def write_pixelwise_study(root: Path, folds: int = 2) -> None:
    """The results of these trackers in so many folds, on 8 videos at four lengths and on random clips of them."""
    folder, entries = root / "results" / "pixelwise", []
    benchmarks = (*VOT2016, "VOT2016-masks")
    for tracker, quality in PIXELWISE_QUALITY.items():
        for fold in range(folds):
            caveat = "It looks." if tracker.endswith("Near") else None
            own = {"name": f"{tracker} / fold {fold}", "key": f"{tracker} {fold}", "folder": f"{tracker}-{fold}"}
            entries.append(trial(tracker, "VOT2016-masks", benchmarks) | own | {"fold": fold, "caveat": caveat})
            names = tuple(f"s{i}" for i in range(fold, 8, folds))
            for benchmark in benchmarks:
                place = folder / own["folder"] / benchmark
                place.mkdir(parents=True)
                values = quality + np.arange(fold, 8, folds)[:, None] / 100
                lengths = benchmark in VOT2016
                measure, protocol = ("mask_iou_above_40", "one_pass") if lengths else ("mask_iou", "random_clips")
                score = Score(measure, "trackmeet", protocol, "all", None, names, values, np.ones_like(values))
                scores, curves = ([score], []) if lengths else clip_scores(score)
                score_files.write(place, list(names), {}, scores, curves)
                if lengths:
                    pictures = mask_pictures(names[0], memory=tracker.startswith("Conv"))
                    np.savez(place / "pictures.npz", **pictures)  # type: ignore[arg-type]
    facts = {"format": "vot", "root": "data/vot2016", "settings": {"regions": "masks"}, "sample": True}
    study: dict[str, Any] = {"study": "pixelwise", "profile": "sample", "lengths": []}
    study |= {
        "data": dict.fromkeys(benchmarks, facts),
        "trials": entries,
        "trackers": list(PIXELWISE_QUALITY),
        "benchmarks": benchmarks,
    }
    (folder / "study.json").write_text(json.dumps(study))


@pytest.fixture(scope="session")
def pixelwise_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on a study pixelwise of two folds, two of whose trackers have a caveat; not to be changed."""
    root = tmp_path_factory.mktemp("pixelwise")
    write_pixelwise_study(root)
    return built(root / "results", root / "report")


@pytest.fixture
def unmasked_pictures() -> bytes:
    """Pictures of a tracker that looks everywhere, as its npz file."""
    return pictures(masks=False)


@pytest.fixture
def trials() -> list[dict[str, Any]]:
    """What `write_results` writes, to be changed before it is called."""
    return all_trials()


@pytest.fixture
def write_results(tmp_path: Path, trials: list[dict[str, Any]]) -> Write:
    """Writes the results of `trials` and returns their folder."""
    return partial(write_study, tmp_path, trials)


@pytest.fixture(scope="session")
def results_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of all trials, not to be changed."""
    return write_study(tmp_path_factory.mktemp("study"), all_trials())


@pytest.fixture(scope="session")
def report(results_folder: Path) -> Path:
    """The report on `results_folder`, not to be changed."""
    return built(results_folder, results_folder.parent / "report")
