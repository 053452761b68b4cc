from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.report import results
from orchestrator.report.results import ResultsError
from orchestrator.report.tables.trials import setting

Write = Callable[..., Path]
SCORES = Path("rectracker") / "KerCorrTracker" / "MNIST-Single-Same" / "scores.json"


def read_all(folder: Path) -> None:
    """Read everything that a report reads."""
    for study in results.read(folder):
        for trial in study.trials:
            assert trial.scores
            assert trial.curves or not trial.train
            for benchmark in trial.benchmarks:
                trial.pictures(benchmark)


def test_missing_results_are_named(tmp_path: Path) -> None:
    """A folder that is not there, or holds no study, is refused by its name."""
    with pytest.raises(ResultsError, match="nowhere: expected the folder"):
        results.read(tmp_path / "nowhere")
    with pytest.raises(ResultsError, match=r"expected at least one <study>/study.json, got none"):
        results.read(tmp_path)


def _edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        entry = json.loads(path.read_text())
        change(entry)
        path.write_text(json.dumps(entry))

    return damage


def _terms(name: str, value: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with np.load(path.with_name("terms.npz")) as stored:
            terms = dict(stored)
        terms[name][3] = value
        np.savez(path.with_name("terms.npz"), **terms)

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "expected this file, got nothing there"),
        (lambda path: path.write_text('{"sequences": ["0000", "00'), "expected JSON, got JSONDecodeError"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "expected JSON, got UnicodeDecodeError"),
        (lambda path: path.write_text("[]"), 'expected {"sequences", "attributes", "scores".*TypeError'),
        (_edit(lambda entry: entry.pop("sequences")), "expected .*KeyError: 'sequences'"),
        (_edit(lambda entry: entry["scores"][0].pop("length")), "expected .*KeyError: 'length'"),
        (
            _edit(lambda entry: entry["scores"][1]["sequences"].pop()),
            r"length 40: expected terms of 11 sequences, got shapes \(12, 1\)",
        ),
        (_terms("numerator/0", float("nan")), "length 20: expected finite terms, got others for sequence 0003"),
        (lambda path: path.with_name("terms.npz").unlink(), "expected .*terms beside it, got FileNotFoundError"),
        (lambda path: path.with_name("terms.npz").write_bytes(b"PK"), "expected .*terms beside it, got ValueError"),
        (
            _edit(lambda entry: entry["sequences"].__setitem__(1, "0000")),
            "expected the names of .* different sequences",
        ),
    ],
)
def test_damaged_scores_are_named(damage: Callable[[Path], None], message: str, write_results: Write) -> None:
    """Scores that are gone, torn or inconsistent name the file, what was expected and what came."""
    folder = write_results()
    damage(folder / SCORES)
    with pytest.raises(ResultsError, match=f"{SCORES.name}: .*{message}"):
        read_all(folder)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("study.json", "{}", "expected the key 'trials'"),
        ("study.json", '{"trials": [{"benchmarks": [], "folder": "x", "colour": "red"}]}', "expected a study and its"),
        ("RecTracker-ID_MNIST-Single-Same/training.json", '{"loss": [1, 2, 3]}', "expected lists of"),
        ("KerCorrTracker/MNIST-Multi-Diff/pictures.npz", "PK", "expected pictures"),
    ],
)
def test_other_damaged_files_are_named(file: str, content: str, message: str, write_results: Write) -> None:
    """So do a study, training curves and pictures that cannot be read."""
    folder = write_results()
    (folder / "rectracker" / file).write_text(content)
    with pytest.raises(ResultsError, match=f"{Path(file).name}: {message}"):
        read_all(folder)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        (
            "masks/0",
            np.zeros((7, 100, 99), bool),
            r"0000: masks: expected bool \(7, 100, 100\), got bool \(7, 100, 99\)",
        ),
        ("groundtruth_masks/1", np.zeros((7, 100, 100)), "0001: groundtruth_masks: expected bool .* got float64"),
        ("memory/0/layer 1", np.zeros((6, 4, 2, 2)), "0000: memory of layer 1: expected 7 of them, got 6"),
        ("memory/0/layer 1", np.zeros((7, 4, 2)), r"0000: memory of layer 1: expected \(t, cells, h, w\), got"),
    ],
)
def test_masks_and_memory_of_pictures_are_checked(
    name: str, array: np.ndarray, message: str, unmasked_pictures: bytes, tmp_path: Path
) -> None:
    """Masks of another size than their frames, or memory cells that are no pictures, are named."""
    path = tmp_path / "set" / "pictures.npz"
    path.parent.mkdir()
    with np.load(io.BytesIO(unmasked_pictures)) as stored:
        np.savez(path, **stored, **{name: array})
    trial = results.Trial("", "", "", None, None, 1, "done", None, None, ("set",), {}, tmp_path)
    with pytest.raises(ResultsError, match=f"pictures.npz: {message}"):
        trial.pictures("set")


def test_benchmarks_of_the_same_videos_are_known(write_results: Write) -> None:
    """Benchmarks of one format, folder and settings are the same videos; older results name no folder, so none are."""
    (study,) = results.read(write_results())
    assert [study.videos(name) for name in study.benchmarks] == list(study.benchmarks)
    short, long, other, boxes = study.benchmarks
    facts = {"format": "vot", "root": "data/vot2016", "settings": {"regions": "masks"}}
    data = {short: facts, long: facts, other: facts | {"root": "data/vot2014"}, boxes: facts | {"settings": {}}}
    assert [replace(study, data=data).videos(name) for name in study.benchmarks] == [short, short, other, boxes]


def test_a_trial_of_an_unknown_benchmark_is_refused(write_results: Write, trials: list[dict[str, Any]]) -> None:
    """A trial may only name trackers and benchmarks that its study lists."""
    folder = write_results(benchmarks=["MNIST-Single-Same"])
    with pytest.raises(ResultsError, match=r"study.json: trial RecTracker-ID .* got MNIST-Single-Diff"):
        results.read(folder)


@pytest.mark.parametrize("state", ["failed", "missing"])
def test_a_trial_that_is_not_done_may_have_no_files(
    state: str, write_results: Write, trials: list[dict[str, Any]]
) -> None:
    """A trial that failed, or was not run, has no scores and is no error."""
    trials[0]["state"] = state
    (study,) = results.read(write_results())
    assert not study.trials[0].scores
    assert study.trials[1].scores
    assert bool(study.failures) == (state == "failed")


def test_older_results_have_neither_caveats_nor_gaps(results_folder: Path) -> None:
    """A study that was written before these were known reads as one without them."""
    (study,) = results.read(results_folder)
    assert study.caveats == {}
    assert study.missing == {}


def test_gaps_of_the_data_that_is_used_count(write_results: Write, trials: list[dict[str, Any]]) -> None:
    """What training or test data lacks is known by name, and does not compare; what other data lacks is no matter."""
    lacking = {"sample": False, "missing": ["a", "b"]}
    (study,) = results.read(write_results(profile="paper", data={"Other": lacking}))
    assert study.missing == {}
    assert study.comparable
    assert replace(study, data={"MNIST-Multi-Same": lacking}).missing == {"MNIST-Multi-Same": ("a", "b")}
    trained = replace(study.trials[0], train="MNIST-Single + Other")
    study = replace(study, trials=(trained,))
    assert study.missing == {"Other": ("a", "b")}
    assert not study.comparable


def test_frames_are_counted_as_tracked(rolo_results: Path, tmp_path: Path) -> None:
    """The number of frames of each sequence comes from what was tracked; a torn file is named, none at all is none."""
    trial = results.read(rolo_results)[1].trials[0]
    assert trial.frames("OTB-30", "one_pass") == {"Couple": 140, "Human3": 199, "Mine": 6}
    assert trial.frames("OTB-30", "supervised_reset") == {}
    place = tmp_path / "OTB-30" / "one_pass"
    place.mkdir(parents=True)
    (place / "trajectories.npz").write_bytes(b"PK")
    with pytest.raises(ResultsError, match=r"trajectories.npz: expected trajectories"):
        replace(trial, folder=tmp_path).frames("OTB-30", "one_pass")


@pytest.mark.parametrize(
    ("profile", "sample", "comparable"),
    [("paper", False, True), ("paper", True, False), ("sample", False, False), ("custom", False, False)],
)
def test_only_the_papers_settings_and_data_compare(
    profile: str, sample: bool, comparable: bool, write_results: Write
) -> None:
    """Numbers are held against the paper's only if both settings and data are the paper's."""
    data = {"digits": {"sample": sample}}
    (study,) = results.read(write_results(profile=profile, data=data))
    assert study.comparable == comparable


def test_trackers_differ_in_settings(write_results: Write, trials: list[dict[str, Any]]) -> None:
    """Settings in which two trackers differ are named, nested ones by all their names; of families, these alone."""
    by_tracker = {trial["tracker"]: trial for trial in trials}
    by_tracker["ConvTracker"]["settings"] = {
        "family": "rectracker",
        "hidden": 100,
        "optimizer": {"learning_rate": 3e-5},
    }
    by_tracker["KerCorrTracker"]["settings"] = {"family": "kcf", "hidden": 7}
    trials[:] = [one for one in by_tracker.values() if one["tracker"] != "RecTracker-Att-3"]
    (study,) = results.read(write_results())
    assert study.differences("RecTracker-ID", "ConvTracker") == {
        "hidden": (200, 100),
        "optimizer.learning_rate": (0.001, 3e-5),
    }
    assert study.differences("RecTracker-ID", "RecTracker-Att-1") == {}
    assert study.differences("RecTracker-ID", "KerCorrTracker") == {"family": ("rectracker", "kcf")}
    assert study.differences("RecTracker-ID", "RecTracker-Att-3") == {}  # which was not run


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3e-5, "0.00003"),
        (0.5, "0.5"),
        (4, "4"),
        (True, "true"),
        (None, "null"),
        (["a", 1e-4], "[a, 0.0001]"),
        ("l1", "l1"),
    ],
)
def test_settings_are_shown_as_they_are_written(value: object, text: str) -> None:
    """A value reads as in params.yaml, without exponents."""
    assert setting(value) == text


def test_damaged_trajectories_are_named(tmp_path: Path) -> None:
    """Trajectories that cannot be read name their file; where none were kept there are none."""
    trial = results.Trial("", "", "", None, None, 1, "done", None, None, ("set",), {}, tmp_path)
    assert (trial.protocols("set"), trial.trajectories("set", "one_pass")) == ((), ((), ()))
    path = tmp_path / "set" / "one_pass" / "trajectories.npz"
    path.parent.mkdir(parents=True)
    path.write_text("PK")
    assert trial.protocols("set") == ("one_pass",)
    with pytest.raises(ResultsError, match=r"trajectories.npz: expected trajectories \(npz\), found"):
        trial.trajectories("set", "one_pass")
