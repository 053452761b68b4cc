from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from orchestrator.conduct import conduct
from orchestrator.extraction import train_extractors
from orchestrator.record.mlflow_store import KEY_TAG, client, default_uri
from trackers.benchmarks import otb
from trackers.benchmarks.videos import Video
from trackers.boxes import iou

OTB = Path(__file__).parents[3] / "shared" / "data" / "otb"
STUDY = {
    "experiments": [{"test": ["test"]}],
    "trackers": {
        "KerCorrTracker": {"family": "kcf"},
        "Identity": {"family": "trackers.tracker:IdentityTracker"},
        "Mover": {"family": "toy.family", "rate": 0.2},
    },
}


@pytest.fixture
def call(call):
    """`trackmeet track` with these words: (exit status, standard output, standard error)."""
    return lambda *words: call("track", *map(str, words))


@pytest.fixture
def images(tmp_path):
    """A folder of six images, and the box of what is bright in them; it moves right by a pixel in each."""
    folder = tmp_path / "walk"
    folder.mkdir()
    for t in range(6):
        image = np.zeros((32, 48, 3), np.uint8)
        image[8:20, 10 + t : 22 + t] = 200
        cv2.imwrite(str(folder / f"{t + 1:04d}.png"), image)
    (folder / "groundtruth.txt").write_text("".join(f"{10 + t},8,12,12\n" for t in range(6)))
    return folder


def boxes(path):
    return {name: said["boxes"] for name, said in json.loads(path.read_text())["trackers"].items()}


def test_it_tracks_with_the_weights_of_the_last_run(call, project, images):
    """A trained tracker moves as its weights say, those of the study's last training job; others need no run."""
    conduct(project.options(), project.paths)
    words = ("--tracker", "Mover", "--tracker", "Slow mover", "--tracker", "Identity", "--json", "a/boxes.json")
    code, out, error = call(images, *words)
    assert (code, error) == (0, "")
    found = boxes(project.root / "a" / "boxes.json")
    for trained in project.paths.store.glob("done/*/*/weights.pt"):
        motion = torch.load(trained, weights_only=True)["motion"].double().numpy()
        name = "Mover" if motion[0] > 0.6 else "Slow mover"
        expected = np.array([10, 8, 12, 12]) + np.arange(6)[:, None] * [*motion, 0, 0]
        np.testing.assert_allclose(found.pop(name), expected)
    assert found == {"Identity": [[10, 8, 12, 12]] * 6}
    *_, described, where = out.splitlines()
    assert described.startswith("Identity: 6 frames, ")
    # Of 12 columns, 11 to 7 are shared; either covers 13 to 17.
    overlap = np.mean([(12 - t) / (12 + t) for t in range(1, 6)])
    assert described.endswith(f"average overlap {overlap:.3f} in 5")
    assert where == "a/boxes.json"
    assert not list(project.root.glob("*.webm"))


def test_what_is_not_trained_says_what_trains_it(call, images):
    """Before any run, a trained tracker ends in the command that trains it, and nothing is written."""
    code, _, error = call(images, "--tracker", "Slow mover")
    assert code == 2
    assert error.startswith("error: tracker Slow mover: expected its weights in ")
    assert error.endswith("trackmeet run --study 'toy' --tracker 'Slow mover'\n")
    assert not list(images.parent.glob("*.webm"))


def test_a_study_is_named_where_two_differ(call, project, params, images):
    """A name that means one tracker everywhere needs no --study; one that does not ends in those to choose from."""
    params["studies"]["other"] = STUDY | {"experiments": [{"train": "train", "test": ["test"]}]}
    project.write(params)
    assert call(images, "--tracker", "Identity")[0] == 0
    assert call(images, "--tracker", "Mover")[2] == (
        "error: tracker Mover: expected --study, for those of toy and other differ\n"
    )
    assert "trackmeet run --study 'other'" in call(images, "--tracker", "Mover", "--study", "other")[2]
    assert call(images, "--tracker", "KerCorrTracker", "--study", "toy")[2] == (
        "error: no tracker 'KerCorrTracker' in study toy; expected one of Identity, Mover, Slow mover\n"
    )


def test_a_box_is_the_start_and_the_groundtruth_stays(call, project, images):
    """--box replaces the start alone: the result is still compared with the groundtruth, and drawn as a video."""
    code, out, _ = call(
        images, "--tracker", "Identity", "--box", " 15, 8,12.0,12", "--out", "v.mp4", "--json", "v.json"
    )
    assert code == 0
    assert boxes(project.root / "v.json") == {"Identity": [[15, 8, 12, 12]] * 6}
    assert f"average overlap {np.mean([(12 - t) / (12 + t) for t in (4, 3, 2, 1, 0)]):.3f} in 5" in out
    assert len(Video(project.root / "v.mp4")) == 6
    assert call(images, "--tracker", "Identity")[1].splitlines()[-1] == "walk-tracked.webm"
    assert call(project.root / "v.mp4", "--tracker", "Identity", "--box", "1,30,9,9")[1].endswith("v-tracked.webm\n")


def test_frames_are_chosen_and_timed(call, project, images):
    """--start and --end choose frames by their numbers, which have times by --fps; each tracker says what it is of."""
    words = ("--start", 2, "--end", 4, "--fps", 10, "--out", "v.mp4", "--side-by-side", "--json", "v.json")
    assert call(images, "--tracker", "Identity", *words)[0] == 0
    said = json.loads((project.root / "v.json").read_text())
    identity = said["trackers"]["Identity"]
    assert (said["fps"], said["frames"], said["times"]) == (10, [2, 3, 4], [0, 0.1, 0.2])
    assert identity["boxes"] == [[12, 8, 12, 12]] * 3
    assert len(identity["seconds"]) == 3
    assert (identity["study"], identity["settings"], identity["weights"]) == ("toy", "params.yaml", None)
    assert cv2.VideoCapture(str(project.root / "v.mp4")).get(cv2.CAP_PROP_FPS) == 10
    assert len(Video(project.root / "v.mp4")) == 3


def test_weights_are_given(call, project, images):
    """A file's weights take the place of what was trained; the same tracker is told apart by it."""
    for name, motion in (("one", [1.0, 0.0]), ("two", [0.0, 2.0])):
        torch.save({"motion": torch.tensor(motion)}, project.root / f"{name}.pt")
    words = (
        "--tracker",
        "Mover",
        "--weights",
        "one.pt",
        "--tracker",
        "Mover",
        "--weights",
        "two.pt",
        "--json",
        "a.json",
    )
    assert call(images, *words)[0] == 0
    found = boxes(project.root / "a.json")
    assert found["Mover"][5] == [15, 8, 12, 12]
    assert found["Mover (two.pt)"][5] == [10, 18, 12, 12]
    (project.root / "three.pt").write_text("words")
    code, _, error = call(images, "--tracker", "Mover", "--weights", "three.pt")
    assert (code, error.count("\n")) == (2, 1)
    assert error.startswith("error: three.pt: expected a file of weights by torch.save, got another one")
    error = call(images, "--tracker", "Mover", "--tracker", "Identity", "--weights", "one.pt")[2]
    assert error == "error: --weights: expected one for each of 2 --tracker, got 1\n"


@pytest.mark.slow
def test_runs_of_the_record_track_as_they_did(call, project, params, images, monkeypatch):
    """A run's id, a trial's key and a registered name mean its settings and weights, whatever the parameters say."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    conduct(project.options(record="mlflow"), project.paths)
    assert call(images, "--tracker", "Mover", "--json", "a.json")[0] == 0
    expected = boxes(project.root / "a.json")["Mover"]
    params["studies"]["toy"]["trackers"] = {"Mover": {"family": "toy.family", "rate": 0.01}}
    project.write(params)
    [run] = client(default_uri(project.root)).search_runs(["1"], "attributes.run_name = 'Mover'")
    for number, weights in enumerate((run.info.run_id, run.data.tags[KEY_TAG], "models:/toy.Mover@current")):
        code, _, error = call(images, "--tracker", "Mover", "--weights", weights, "--json", f"{number}.json")
        assert (code, error) == (0, "")
        assert boxes(project.root / f"{number}.json") == {"Mover": expected}
        assert json.loads((project.root / f"{number}.json").read_text())["trackers"]["Mover"]["weights"] == weights
    error = call(images, "--tracker", "Identity", "--weights", run.info.run_id)[2]
    assert error == f"error: --weights {run.info.run_id}: expected a run of tracker Identity, got one of Mover\n"
    error = call(images, "--tracker", "Mover", "--weights", "nothing")[2]
    assert error.startswith("error: --weights nothing: expected a file, or a run of the record, found neither: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tracker", "Nobody"), "no tracker 'Nobody' in the parameters; expected one of Identity, Mover, Slow mover"),
        (("--box", "50,8,12,12"), "sequence walk, frame 0: expected a box that touches the 48 x 32 image, got x=50"),
        (("--box", "1,2,3"), "--box: expected x,y,width,height, four numbers, the last two above 0, got '1,2,3'"),
        (("--box", "1,2,nan,4"), "--box: expected x,y,width,height, four numbers, the last two above 0, got '1,2,nan"),
        (("--box", "1,2,0,4"), "--box: expected x,y,width,height, four numbers, the last two above 0, got '1,2,0,4'"),
        (("--out", "a.avi"), "--out: expected a file of its own that ends in .mp4 or .webm, got a.avi"),
        (("--start", "6"), "sequence walk: expected --start and --end within its frames 0 to 5, got 6 and 5"),
        (
            ("--start", "3", "--end", "2"),
            "sequence walk: expected --start and --end within its frames 0 to 5, got 3 and",
        ),
        (("--params", "none.yaml"), "none.yaml: no such file"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(call, images, words, message):
    """Wrong words end with status 2 and one line that says what was expected."""
    code, out, error = call(images, "--tracker", "Identity", *words)
    assert (code, out) == (2, "")
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1


def test_a_broken_frame_is_named(call, project, images):
    """A frame that cannot be decoded ends in its name and number, and leaves no video."""
    (images / "0004.png").write_bytes(b"no image")
    code, _, error = call(images, "--tracker", "Identity")
    assert code == 2
    assert "sequence walk, frame 3" in error
    assert "0004.png" in error
    assert not list(project.root.glob("*.webm"))


def test_an_oracle_says_what_it_is(call, project, params, images):
    """What was shown where the target is says so, and is refused where there is nothing to show it in some frame."""
    params["extractors"] = {"eye": {"kind": "toy.network", "train": {"pictures": "train"}}}
    params["features"] = ["eye-train"]
    params["studies"]["toy"]["trackers"]["Oracle"] = {"family": "toy.seer", "trained": False, "oracle": True}
    project.write(params)
    assert not train_extractors(project.options(), project.paths).failures
    code, out, _ = call(images, "--tracker", "Oracle", "--tracker", "Identity", "--json", "a.json")
    assert code == 0
    assert [line for line in out.splitlines() if "shown" in line] == ["Oracle: it is shown where the target is."]
    code, _, error = call(images, "--tracker", "Oracle", "--box", "10,8,12,12", "--json", "b.json")
    assert (code, error.count("\n")) == (2, 1)
    assert error.startswith("error: sequence walk: expected groundtruth in each of its 6 frames, for this tracker")
    assert error.endswith(" got it in 1\n")


@pytest.mark.skipif(not OTB.is_dir(), reason="needs the real sequences in ../shared/data")
def test_a_real_sequence(call, project, params):
    """KCF follows the pedestrian of OTB's Crossing from the first box of its groundtruth, and a still box does not."""
    params["studies"] = {
        "real": STUDY | {"trackers": {n: STUDY["trackers"][n] for n in ("KerCorrTracker", "Identity")}}
    }
    (project.root / "params.yaml").write_text(yaml.safe_dump(params))
    words = ("--tracker", "KerCorrTracker", "--tracker", "Identity", "--json", "c.json", "--out", "c.mp4")
    assert call(OTB / "Crossing", *words)[0] == 0
    (sequence,) = otb.open(otb.Config(sequences=("Crossing",)), OTB, "OTB")
    overlap = {name: iou(np.array(rows), sequence.groundtruth).mean() for name, rows in boxes(Path("c.json")).items()}
    assert overlap["KerCorrTracker"] > 0.6 > 0.1 > overlap["Identity"]
    assert len(Video(Path("c.mp4"))) == len(sequence) == 120
