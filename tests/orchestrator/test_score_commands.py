from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from orchestrator.report.scores import COLUMNS
from orchestrator.score_commands import evaluate, export
from trackers.benchmarks import otb
from trackers.benchmarks.problems import DataError
from trackers.evaluation import archive, result_files
from trackers.evaluation.trajectory import Trajectory
from trackers.sequence import Sequence, Unseen

DATA = Path(__file__).parents[3] / "shared" / "data"
OTB = ("otb2015", "otb_anno", "otb_results/Tracker_Benchmark_tb100/results_OPE_OTB100")
VOT = ("vot2018", "vot_eval", "vot_eval/results/VOT2018")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the real results in ../shared/data")


@pytest.fixture
def call():
    """`trackmeet` with these words: what it prints, and what it says beside that."""
    app = typer.Typer()
    app.command()(evaluate)
    app.command()(export)

    def trackmeet(*words):
        done = CliRunner().invoke(app, list(map(str, words)))
        if done.exception is not None:
            raise done.exception
        return done.stdout, done.stderr

    return trackmeet


def place(benchmark, root, results):
    return "evaluate", "--benchmark", benchmark, "--root", DATA / root, "--results", DATA / results


def by_measure(out):
    return {(row["tracker"], row["measure"]): row for row in json.loads(out)}


@needs_data
def test_otb_results_give_the_toolkits_numbers(call):
    """The raw results on OTB-100 give the four digits of the Matlab toolkit's own matrices."""
    out, _ = call(*place(*OTB), "--convention", "otb", "--json")
    rows = by_measure(out)
    for tracker, success, precision in (
        ("SRDCF", 0.5976, 0.7881),
        ("KCF_GaussHog", 0.4771, 0.6954),
        ("MEEM", 0.5387, 0.7969),
        ("Struck", 0.4294, 0.5837),
    ):
        assert abs(rows[tracker, "success_auc"]["value"] - success) <= 5e-5
        assert abs(rows[tracker, "precision_20"]["value"] - precision) <= 5e-5
    row = rows["SRDCF", "success_auc"]
    assert tuple(row) == COLUMNS
    assert row["low"] < row["value"] < row["high"]
    assert (row["n"], row["convention"], row["protocol"], row["paper"]) == (100, "otb", "one_pass", None)


@needs_data
def test_vot_results_give_the_published_numbers(call):
    """The raw results on VOT2018 give the EAO, accuracy and failures that pysot's toolkit printed."""
    out, _ = call(*place(*VOT), "--convention", "pysot", "--json")
    rows = by_measure(out)
    for tracker, eao in (("LightTrack", 0.418), ("SiamAPN", 0.248), ("SiamCAR", 0.318)):
        assert abs(rows[tracker, "eao"]["value"] - eao) <= 5e-4
    assert abs(rows["SiamCAR", "accuracy"]["value"] - 0.571) <= 5e-4
    assert rows["SiamCAR", "failures"]["value"] == 66


@needs_data
def test_the_table_names_its_convention_and_ranks_trackers(call):
    """The plain output names the convention, has the best tracker first, and compares it with the others."""
    out, _ = call(
        *place(*VOT), "--all-conventions", "--measure", "accuracy", "--tracker", "SiamCAR", "--tracker", "SiamAPN"
    )
    for convention in ("trackmeet", "pysot", "vot", "vot-legacy"):
        assert f"vot2018, convention {convention}, supervised_reset, 60 sequences" in out
    assert out.index("SiamCAR") < out.index("SiamAPN")
    assert "LightTrack" not in out
    assert "p, Holm" in out


@needs_data
def test_attributes_have_rows_of_their_own(call):
    """With --attributes each attribute has its rows, over the sequences that have it."""
    out, _ = call(*place(*OTB), "--attributes", "--measure", "success_auc", "--tracker", "Struck", "--json")
    n = {row["subset"]: row["n"] for row in json.loads(out)}
    assert n["all"] == 100
    listed = [otb.published()[name].attributes for name in otb.names("otb2015")]
    assert n == {"all": 100} | {code: sum(code in codes for codes in listed) for code in otb.ATTRIBUTES}


@pytest.fixture
def small(tmp_path):
    """A folder of groundtruth and one of results, as trackers leave them."""
    for name in ("Bolt", "Couple"):
        for folder, rows in (("root", "1,1,10,10\n" * 30), ("results/KCF", "1,1,10,10\n" * 29 + "1,1,5,10\n")):
            path = tmp_path / folder / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(rows)
    return tmp_path


def test_results_in_plain_text_are_scored(call, small):
    """29 frames of overlap 1 and one of 0.5 are a mean of the thresholds below: 20 of 21, and 10 of 21."""
    words = ("evaluate", "--benchmark", "OTB2015", "--root", small / "root", "--results", small / "results")
    out, error = call(*words, "--convention", "otb", "--json")
    expected = (29 * 20 + 10) / 30 / 21
    assert abs(by_measure(out)["KCF", "success_auc"]["value"] - expected) < 1e-12
    assert "98 of the 100 sequences of otb2015 are not there" in error


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--measure", "speediness"), "measure: expected one of .*, got speediness"),
        (("--subset", "XY"), "subset: expected one of all, .*, got XY"),
        (("--tracker", "MEEM"), "tracker: expected one of KCF, got MEEM"),
        (("--measure", "eao"), "eao: expected a convention among"),
        (("--convention", "vot"), "expected a convention with measures for one_pass"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(call, small, words, told):
    """A measure, subset or tracker that is not there is refused, and those that are there are named."""
    start = ("evaluate", "--benchmark", "otb2015", "--root", small / "root", "--results", small / "results")
    with pytest.raises(ValueError, match=told):
        call(*start, *words)


def test_a_wrong_length_is_refused_unless_results_are_to_be_cut(call, small):
    """A result file that is too short is refused by name; --cut scores the frames that both have."""
    (small / "results" / "KCF" / "Bolt.txt").write_text("1,1,10,10\n" * 20)
    start = ("evaluate", "--benchmark", "otb2015", "--root", small / "root", "--results", small / "results", "--json")
    with pytest.raises(DataError, match="Bolt.txt: expected 30 rows, one a frame of Bolt, found 20"):
        call(*start)
    out, error = call(*start, "--cut", "--measure", "os_50")
    assert by_measure(out)["KCF", "os_50"]["value"] == (1 + 29 / 30) / 2
    assert "Bolt: results end in frame 20 of 30; the others do not count" in error


def test_exported_trajectories_come_back(call, tmp_path, monkeypatch):
    """What a trial found is written in each format that has a place for it, and read as it was."""
    sequence = Sequence("Bolt", Unseen(3), np.ones((3, 4)), origin=1.0)
    boxes = np.array([[1, 1, 1, 1], [2.25, 3, 4, 5], [np.nan] * 4])
    run = Trajectory("Bolt", boxes, np.array([1, 3, 3], np.int8))
    study = tmp_path / "build" / "results" / "toy"
    for protocol in ("one_pass", "temporal_robustness"):
        (study / "Mover_1" / "squares" / protocol).mkdir(parents=True)
        archive.save(study / "Mover_1" / "squares" / protocol / "trajectories.npz", [sequence], [run])
    trial = {"name": "Mover / 1", "key": "k", "folder": "Mover_1", "tracker": "Mover", "train": None, "fold": None}
    trial |= {"seed": 1, "benchmarks": ["squares"], "settings": {}, "state": "done", "error": None, "log": None}
    entry = {"study": "toy", "profile": "toy", "lengths": [], "trackers": ["Mover"], "benchmarks": ["squares"]}
    (study / "study.json").write_text(json.dumps({**entry, "data": {}, "trials": [trial]}))
    monkeypatch.chdir(tmp_path)
    for form in result_files.FORMATS:
        out, error = call("export", "--format", form, "--out", tmp_path / form)
        assert out.split() == [str(tmp_path / form / "toy" / "squares" / "Mover")]
        assert "temporal_robustness: format" in error
        [back] = result_files.read(tmp_path / form, [sequence])
        assert np.array_equal(back.trajectories[0].regions, boxes, equal_nan=True)
    with pytest.raises(ValueError, match="no tracker 'Runner'; expected one of Mover"):
        call("export", "--format", "otb", "--out", tmp_path, "--tracker", "Runner")
