from pathlib import Path

import numpy as np
import pytest

from trackers.benchmarks import catalogue
from trackers.benchmarks.problems import DataError
from trackers.evaluation import result_files
from trackers.evaluation.formats.layout import Names
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.results import gather
from trackers.sequence import Sequence, Unseen

DATA = Path(__file__).parents[4] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the real results in ../shared/data")
SEQUENCES = [Sequence(name, Unseen(3), np.ones((3, 4))) for name in ("Jogging-1", "person2_1", "person21")]


def put(root, names, text="1,2,3,4\n" * 3):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    "layout",
    ["{t}/{s}.txt", "{t}/{s}/{s}_001.txt", "tracking_results/{t}/{s}.txt", "{t}/{s}.txt"],
)
def test_layouts_are_recognised(tmp_path, layout):
    """A box a line is found in OTB's layout, GOT-10k's and below other folders, of each tracker by itself."""
    put(tmp_path, [layout.format(t=t, s=s.name) for t in ("KCF", "MOSSE") for s in SEQUENCES])
    found = result_files.read(tmp_path, SEQUENCES)
    assert [(one.tracker, one.protocol, len(one.trajectories)) for one in found] == [
        ("KCF", "one_pass", 3),
        ("MOSSE", "one_pass", 3),
    ]


def test_the_folder_may_be_that_of_the_tracker(tmp_path):
    """Where the files lie in the folder itself, the tracker has its name."""
    put(tmp_path / "KCF", [f"{s.name}.txt" for s in SEQUENCES])
    assert [one.tracker for one in result_files.read(tmp_path / "KCF", SEQUENCES)] == ["KCF"]


def test_vot_experiments_are_recognised(tmp_path):
    """VOT's experiments are protocols of one tracker, and repetitions are runs."""
    for experiment, number in (("baseline", 2), ("unsupervised", 1)):
        put(
            tmp_path / "KCF" / experiment,
            [f"{s.name}/{s.name}_{i + 1:03}.txt" for s in SEQUENCES for i in range(number)],
            "1\n1,2,3,4\n1,2,3,4\n",
        )
    baseline, unsupervised = result_files.read(tmp_path, SEQUENCES)
    assert (baseline.protocol, len(baseline.trajectories)) == ("supervised_reset", 6)
    assert {run.run for run in baseline.trajectories} == {0, 1}
    assert (unsupervised.tracker, unsupervised.protocol) == ("KCF", "unsupervised")


def test_names_are_never_shortened():
    """Names are the same whatever the case and . _ - in them, but person2_1 is not person21."""
    names = Names(["Jogging-1", "person2_1", "person21", "car1", "car1_s"])
    assert names.find("jogging.1") == "Jogging-1"
    assert names.find("PERSON2-1") == "person2_1"
    assert names.find("person21") == "person21"
    assert names.find("person2") is None
    assert names.split("car1_s_KCF_HOG") == ("car1_s", "KCF_HOG")


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    """A missing sequence, a misspelt one, a wrong length and a binary file stand in one list."""
    put(tmp_path / "KCF", ["Jogging-1.txt", "person2l.txt"])
    put(tmp_path / "KCF", ["person2_1.txt"], "1,2,3,4\n")
    put(tmp_path / "MOSSE" / "baseline", [f"{s.name}/{s.name}_001.bin" for s in SEQUENCES], "\0")
    with pytest.raises(DataError) as refused:
        result_files.read(tmp_path, SEQUENCES)
    told = str(refused.value)
    assert "expected results of KCF on person21, found none" in told
    assert "person2l.txt: expected results of a sequence of this benchmark, found those of person2l" in told
    assert "person2_1.txt: expected 3 rows, one a frame of person2_1, found 1" in told
    assert told.count("found a binary one") == 3
    assert len(refused.value.problems) == 6


def test_files_of_other_sequences_are_left_out_with_a_note(tmp_path):
    """Where all sequences are there, those of a larger benchmark are left out, and that is said."""
    put(tmp_path, [f"KCF/{name}.txt" for name in ("Jogging-1", "person2_1", "person21", "Bolt", "Car")])
    [found] = result_files.read(tmp_path, SEQUENCES)
    assert found.notes == ("2 files of other sequences are left out, KCF/Bolt.txt the first of them",)


def test_part_of_a_benchmark_is_scored_where_asked_for(tmp_path):
    """Sequences without results are an error, or, where a part is asked for, a note."""
    put(tmp_path, ["KCF/Jogging-1.txt"])
    with pytest.raises(DataError, match="expected results of KCF on person2_1, found none"):
        result_files.read(tmp_path, SEQUENCES)
    [found] = result_files.read(tmp_path, SEQUENCES, partial=True)
    assert [run.sequence for run in found.trajectories] == ["Jogging-1"]
    assert found.notes == ("no results of 2 of the 3 sequences, person2_1 the first of them",)


def test_an_empty_folder_is_refused(tmp_path):
    """A folder without results is refused, and so is one with results of other sequences alone."""
    with pytest.raises(DataError, match=r"expected result files, .txt, .mat or .json, found 0 files"):
        result_files.read(tmp_path, SEQUENCES)
    put(tmp_path, ["KCF/Bolt.txt"])
    with pytest.raises(DataError, match="found 1 files, none of them of Jogging-1 or another sequence here"):
        result_files.read(tmp_path, SEQUENCES)


@pytest.mark.parametrize(
    ("form", "protocol"),
    [("otb", "one_pass"), ("lasot", "one_pass"), ("got10k", "one_pass"), ("vot", "one_pass"), ("vot", "unsupervised")],
)
def test_what_was_written_is_read(tmp_path, form, protocol):
    """Results written in each format are found, and are the same."""
    put(tmp_path / "first", [f"KCF/{s.name}.txt" for s in SEQUENCES], "1,1,1,1\n2.5,3.5,4.5,5.5\n-1,2,3,4\n")
    [given] = result_files.read(tmp_path / "first", SEQUENCES)
    result_files.write(form, tmp_path / "out", "KCF", protocol, SEQUENCES, given.trajectories)
    [back] = result_files.read(tmp_path / "out", SEQUENCES)
    assert back.tracker == "KCF"
    assert back.protocol == ("unsupervised" if form == "vot" else "one_pass")
    for a, b in zip(given.trajectories, back.trajectories, strict=True):
        assert a.sequence == b.sequence
        assert np.array_equal(a.regions, b.regions)
        assert np.array_equal(a.events, b.events)


def test_a_format_without_a_place_is_refused(tmp_path):
    """Runs with resets have no place in a box a line."""
    with pytest.raises(ValueError, match="format otb: expected results of one_pass or unsupervised, got supervised"):
        result_files.write("otb", tmp_path, "KCF", "supervised_reset", SEQUENCES, [])


@needs_data
@pytest.mark.parametrize(
    ("benchmark", "root", "results", "convention", "expected"),
    [
        (
            "otb2015",
            "otb_anno",
            "otb_results/jwlim_json/OPE/STRUCK",
            "otb",
            {"STRUCK": (0.4625, 5e-5)},
        ),
        ("uav123_10fps", "uav123_anno", "uav123_10fps/results-mat", "otb", {"BACF": (0.4130, 5e-5)}),
    ],
)
def test_real_results_give_their_published_scores(benchmark, root, results, convention, expected):
    """Results in .json and .mat, as their authors left them, give the success that was published."""
    collection = catalogue.find(benchmark).open(DATA / root)
    for one in result_files.read(DATA / results, collection):
        score = MEASURES["success_auc"](gather(collection, one.trajectories, one.protocol), convention)
        value, tolerance = expected[one.tracker]
        assert abs(score.value - value) <= tolerance


@needs_data
@pytest.mark.parametrize(
    ("folder", "protocol", "runs"), [("TRE", "temporal_robustness", 20), ("SRE", "spatial_robustness", 12)]
)
def test_robustness_results_are_recognised(folder, protocol, runs):
    """The 20 runs of TRE begin later and later; the 12 of SRE all begin in the first frame."""
    collection = catalogue.find("otb2015").open(DATA / "otb_anno")
    names = {path.stem for path in (DATA / "otb_results/jwlim_json" / folder / "IVT").glob("*.json")}
    chosen = [sequence for sequence in collection if sequence.name in names]
    [found] = result_files.read(DATA / "otb_results/jwlim_json" / folder, chosen)
    assert (found.tracker, found.protocol, len(found.trajectories)) == ("IVT", protocol, 9 * runs)
