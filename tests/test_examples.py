import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from orchestrator import sample_data
from orchestrator.conduct import conduct
from orchestrator.extraction import make_features
from orchestrator.params import load
from trackers import extractors
from trackers.evaluation.lanes import follow
from trackers.evaluation.overlaps import average_overlap
from trackers.evaluation.protocols import one_pass
from trackers.families import find
from trackers.sequence import GreyFrames, Sequence

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = ["examples.my_tracker:TemplateTracker", "examples.flow"]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    """As from a shell in the project's folder."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))


def moving_square(seed, growth=1.0):
    """A textured square that drifts, and grows, over a dim background."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(60, 256, (6, 6), dtype=np.uint8)
    film, groundtruth = np.repeat(rng.integers(0, 40, (1, 120, 120), dtype=np.uint8), 15, 0), []
    for t, (x, y) in enumerate(rng.uniform(20, 40, 2) + np.arange(15)[:, None] * rng.uniform(-1.2, 2, 2)):
        x, y, side = round(x), round(y), round(24 * growth**t)
        film[t, y : y + side, x : x + side] = cv2.resize(texture, (side, side))
        groundtruth.append([x, y, side, side])
    return Sequence(f"square {seed}", GreyFrames(film), np.array(groundtruth, float))


@pytest.mark.parametrize("name", NAMES)
def test_an_example_follows_a_moving_square(name):
    """Each example, found by the name that its docstring gives, keeps to textured squares, several lanes at once."""
    family = find(name)
    assert family.steps(family.Config()) == []
    tracker = family.tracker(family.Config(), {}, "cpu")
    squares = {square.name: square for square in map(moving_square, range(5))}
    for trajectory in follow(tracker, one_pass, squares.values(), lanes=3):
        assert average_overlap(trajectory.regions, squares[trajectory.sequence].groundtruth) > 0.8


def test_flow_follows_growth():
    """The flow tracker's box grows with the square."""
    family = find("examples.flow")
    tracker = family.tracker(family.Config(), {}, "cpu")
    square = moving_square(1, growth=1.03)
    [trajectory] = follow(tracker, one_pass, [square])
    assert trajectory.regions[-1, 2] > 1.4 * trajectory.regions[0, 2]
    assert average_overlap(trajectory.regions, square.groundtruth) > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_an_example_survives_what_it_cannot_see(name):
    """Boxes across the border, flat images and lost targets give boxes, not errors."""
    film = np.zeros((6, 40, 60), np.uint8)
    film[:3, 30:, 50:] = np.random.default_rng(0).integers(0, 256, (10, 10))
    corner = Sequence("corner", GreyFrames(film), np.tile([50.0, 30, 20, 20], (6, 1)))
    flat = Sequence("flat", GreyFrames(np.zeros_like(film)), np.tile([20.0, 10, 20, 20], (6, 1)))
    tracker = find(name).tracker(find(name).Config(), {}, "cpu")
    for trajectory in follow(tracker, one_pass, [corner, flat]):
        assert np.isfinite(trajectory.regions).all()
        assert (trajectory.regions[:, 2:] > 0).all()


def test_the_settings_of_the_examples():
    """The template tracker's settings are its constructor's; the flow tracker refuses to follow nothing."""
    assert find(NAMES[0]).Config().reach == 20
    with pytest.raises(ValueError, match="corners: expected at least 1, got 0"):
        find("examples.flow").Config(corners=0)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_parameters_of_the_examples_are_right(path):
    """Each packaged file of parameters is read without a problem, and says how to run it."""
    assert load(path).studies
    assert f"trackmeet run --params examples/{path.name}" in path.read_text()


def test_the_examples_take_part_in_a_study_by_name(project, params):
    """A user's own tracker and a whole family outside the package run in a study that only names them."""
    shutil.copytree(Path(__file__).parents[1] / "examples", project.root / "examples")
    params["studies"]["toy"]["trackers"] = {
        "Template": {"family": "examples.my_tracker:TemplateTracker", "reach": 10},
        "Flow": {"family": "examples.flow"},
    }
    params["datasets"]["test"] = {
        "format": "moving_digits",
        "root": "data/digits",
        "sequences": 8,
        "generator": {"pieces": 10, "initial_speed": 0.3, "acceleration_variance": 0.001},
    }
    params["studies"]["toy"]["lengths"] = [10]
    sample_data.write(project.root / "data", ["digits"])
    project.write(params)
    assert not conduct(project.options(), project.paths).failures
    for tracker in ("Template", "Flow"):
        scores = json.loads((project.paths.results / "toy" / tracker / "test" / "scores.json").read_text())
        assert np.mean(scores["scores"][0]["values"]) > 0.3


def test_an_extractor_of_ones_own_takes_the_detectors_place(project, params):
    """A user's extractor outside the package is trained, what it sees is kept, and a tracker follows by that."""
    shutil.copytree(Path(__file__).parents[1] / "examples", project.root / "examples")
    for square in map(moving_square, range(3)):
        folder = project.root / "data" / "otb" / square.name
        (folder / "img").mkdir(parents=True)
        for t, image in enumerate(square.frames, 1):
            cv2.imwrite(str(folder / "img" / f"{t:04d}.jpg"), image)
        np.savetxt(folder / "groundtruth_rect.txt", square.groundtruth + [1, 1, 0, 0], "%d", ",")
    params["datasets"] = {"test": {"format": "otb", "root": "data/otb"}}
    params["studies"]["toy"] = {
        "experiments": [{"test": ["test"]}],
        "trackers": {"Blobs": {"family": "rolo", "method": "yolo", "extractor": "blobs"}},
    }
    params["extractors"] = {"blobs": {"kind": "examples.blobs", "train": {"pictures": "test"}}}
    params["features"] = ["blobs-test"]
    project.write(params)
    assert not make_features(project.options(), project.paths).failures
    assert not conduct(project.options(), project.paths).failures
    scores = json.loads((project.paths.results / "toy" / "Blobs" / "test" / "scores.json").read_text())
    assert np.mean(scores["scores"][0]["values"]) > 0.6


def test_blobs_are_the_largest_first():
    """Two bright rectangles are detections, the larger one first; one of too few pixels is none."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[5:10, 5:15] = image[20:30, 30:50] = 200
    image[0, 59] = 200
    module = extractors.find("examples.blobs")
    see = module.extractor(module.Config(), {"brightness": torch.tensor(100.0)}, "cpu")
    [seen] = see([image])
    np.testing.assert_array_equal(seen.boxes, [[30, 20, 20, 10], [5, 5, 10, 5]])
    assert seen.scores.tolist() == pytest.approx([200 / 2400, 50 / 2400])
    assert seen.features.shape == (48,)
    with pytest.raises(ValueError, match="least: expected at least 1, got 0"):
        module.Config(least=0)
