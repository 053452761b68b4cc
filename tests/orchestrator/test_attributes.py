from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from orchestrator import params, work
from orchestrator.jobs import Data
from orchestrator.report.results import Trial
from trackers.benchmarks import catalogue, otb, uav123
from trackers.evaluation import archive
from trackers.evaluation.trajectory import Event, Trajectory

MEASURES = ("success_auc", "precision_20", "os_50", "cle")
ANNOTATIONS = Path(__file__).parents[3] / "shared" / "data"


def rows(format, settings, root, benchmark, out):
    """By subset and measure what the report has of a box that never moves: the number of sequences, and the score."""
    module = params.dataset_module(format)
    sequences = list(module.open(params.build(module.Config, settings), root, "set"))
    played, judged = out / "played", out / "set"
    for folder in (played, judged):
        folder.mkdir()
    runs = [Trajectory(s.name, np.repeat(s.groundtruth[:1], len(s), 0), moved(len(s))) for s in sequences]
    archive.save(played / "trajectories.npz", sequences, runs)
    known = catalogue.find(benchmark)
    arguments = {"measures": list(known.measures), "convention": known.convention, "interval": None, "lengths": []}
    arguments |= {"legacy_rasterization": False, "partial": False}
    work.score(work.Task("score", "", arguments, {"one_pass": Data(played, "")}, {}, {}), judged)
    scores = Trial("", "", "", None, None, 1, "done", None, None, ("set",), {}, out).scores["set"]
    return {(q.subset, q.measure): (len(score.sequences), score.value) for q, score in scores.values.items()}


def moved(length):
    events = np.full(length, Event.PREDICTED, np.int8)
    events[0] = Event.INITIALIZED
    return events


def write(place, text):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


@pytest.mark.parametrize(
    ("format", "settings", "benchmark", "files"),
    [
        ("otb", {}, "otb2015", {"{}/groundtruth_rect.txt": 0, "{}/attrs.txt": "OCC"}),
        ("temple", {}, "temple128", {"{}/{}_gt.txt": 0, "{}/{}_att.txt": "OCC"}),
        ("uav123", {}, "uav123", {"anno/{}.txt": 0, "anno/att/{}.txt": "0,0,0,0,0,1,0,0,0,0,0,0"}),
    ],
)
def test_each_attribute_has_a_row_of_each_measure(format, settings, benchmark, files, tmp_path):
    """Of two sequences the one that is still, whose target is occluded, makes up the rows of that attribute."""
    for name, boxes in {"Still": "5,5,10,10\n" * 3, "Away": "5,5,10,10\n90,90,10,10\n90,90,10,10\n"}.items():
        for place, content in files.items():
            if content == 0 or name == "Still":
                write(tmp_path / "data" / place.format(name, name), content or boxes)
    found = rows(format, settings, tmp_path / "data", benchmark, tmp_path)
    attribute = "POC" if format == "uav123" else "OCC"
    assert set(found) == {(subset, measure) for subset in ("all", attribute) for measure in MEASURES}
    assert {found[attribute, measure][0] for measure in MEASURES} == {1}
    assert [found[attribute, measure][1] for measure in MEASURES[1:]] == [1, 1, 0]
    assert {found["all", measure][0] for measure in MEASURES} == {2}
    assert found["all", "os_50"][1] == pytest.approx((1 + 1 / 3) / 2)


def test_attributes_of_otb_2013_are_as_published(tmp_path):
    """Rows of each of the 11 attributes are over as many real sequences as the authors' list says."""
    if not (ANNOTATIONS / "otb_anno").is_dir():
        pytest.skip(f"takes OTB's published annotations, and {ANNOTATIONS / 'otb_anno'} is not there")
    listed = Counter(a for name in otb.names("otb2013") for a in otb.published()[name].attributes)
    assert listed.keys() == set(otb.ATTRIBUTES)
    found = rows("otb", {"subset": "otb2013"}, ANNOTATIONS / "otb_anno", "otb2013", tmp_path)
    assert {subset: n for (subset, measure), (n, _) in found.items() if measure == "cle"} == {"all": 51, **listed}
    assert {measure for _, measure in found} == set(MEASURES)


@pytest.mark.slow
def test_attributes_of_uav123_are_as_annotated(tmp_path):
    """Each of UAV123's 12 attributes has rows of all four measures, on the real annotations."""
    folder = ANNOTATIONS / "uav123_anno"
    if not folder.is_dir():
        pytest.skip(f"takes UAV123's published annotations, and {folder} is not there")
    found = rows("uav123", {}, folder, "uav123", tmp_path)
    files = [folder / "anno_UAV123" / "att" / f"{name}.txt" for name in uav123.published("uav123")]
    flags = np.sum([np.loadtxt(path, delimiter=",", dtype=int) for path in files], 0)
    counted = dict(zip(uav123.ATTRIBUTES, flags.tolist(), strict=True))
    assert {subset: n for (subset, measure), (n, _) in found.items() if measure == "os_50"} == {"all": 123, **counted}
    assert {measure for _, measure in found} == set(MEASURES)
