from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from orchestrator.compare import checkout, ours, published, synthetic
from orchestrator.compare.__main__ import CLOSE, beside_toolkits, differences
from trackers.benchmarks import lasot
from trackers.evaluation import result_files
from trackers.evaluation.trajectory import Event

ROOT = Path(__file__).parents[3]
DATA, PEERS = ROOT.parent / "shared" / "data", ROOT / "build" / "peers" / "env" / "bin" / "python"


def test_every_number_is_compared():
    """The largest difference of all trackers and points counts; numbers of different counts differ."""
    theirs = {"A": {"auc": [0.5], "curve": [[1, 2], [3, 4]]}, "B": {"auc": [0.25], "curve": [[1, 2], [3, 4]]}}
    mine = {"A": {"auc": [0.5], "curve": [[1, 2], [3, 4]]}, "B": {"auc": [0.5], "curve": [[1, 2]]}}
    auc, curve = differences(mine, theirs, "otb", "toolkit")
    assert (auc.measure, auc.count, auc.difference) == ("auc", 2, 0.25)
    assert (curve.count, curve.difference) == (8, np.inf)


def test_results_with_resets_follow_the_rule():
    """Made results start with an initialization, and 5 frames after a failure comes the next, none between."""
    sequences = synthetic.sequences(3, (50, 80), seed=0)
    for run in synthetic.supervised(sequences, 2, 0.1, seed=1, runs=2):
        assert run.events[0] == Event.INITIALIZED
        for t in np.flatnonzero(run.events == Event.FAILED):
            after = run.events[t + 1 : t + 6]
            assert after.tolist() == [0, 0, 0, 0, 1][: len(after)]


def test_the_same_seed_makes_the_same_files(tmp_path):
    """What both sides read is made from a seed alone, and read as it was made."""
    sequences = synthetic.polygons(synthetic.sequences(4, (30, 40), seed=0), seed=1)
    for name in ("first", "second"):
        runs = synthetic.supervised(sequences, 2, 0.1, seed=1, rotated=True)
        synthetic.write_vot(tmp_path / name, sequences, {"T": runs})
    texts = [{p.name: p.read_text() for p in (tmp_path / n).rglob("*.txt")} for n in ("first", "second")]
    assert texts[0] == texts[1]
    [back] = result_files.read(tmp_path / "first" / "results", sequences)
    for a, b in zip(runs, back.trajectories, strict=True):
        predicted = a.events == Event.PREDICTED
        assert np.array_equal(a.events, b.events)
        assert np.allclose(a.regions[predicted], b.regions[predicted], rtol=0, atol=1e-9)


def test_a_perfect_tracker_has_20_of_21(tmp_path):
    """Success of boxes that equal the groundtruth is 20/21, in all toolkits: 1 > 1 is false."""
    sequences = synthetic.sequences(3, (30, 40), seed=0)
    synthetic.write_otb(tmp_path / "root", sequences, images=False)
    runs = synthetic.one_pass(sequences, 0, seed=0)
    result_files.write("otb", tmp_path / "results", "T", "one_pass", sequences, runs)
    values = ours.of_otb(tmp_path / "root", tmp_path / "results")["T"]
    assert np.isclose(values["success_auc"][0], 20 / 21, rtol=0, atol=1e-12)
    assert values["precision_20"] == [1]


def test_frames_out_of_view_fail_in_pysot(tmp_path):
    """Success at threshold 0 of a perfect tracker is the share of the frames in which the target is seen."""
    sequences = synthetic.absences(synthetic.sequences(3, (60, 80), seed=0), seed=1)
    synthetic.write_lasot(tmp_path / "root", sequences)
    result_files.write("otb", tmp_path / "results", "T", "one_pass", sequences, synthetic.one_pass(sequences, 0, 0))
    collection = lasot.open(lasot.Config(), tmp_path / "root", "synthetic")
    values = ours.of_pysot(collection, tmp_path / "results")["T"]
    seen = [1 - sequence.tags["absent"].mean() for sequence in sequences]
    assert min(seen) < 1
    for curves in ("success curves", "precision curves", "normalized precision curves"):
        assert np.allclose([curve[0] for curve in values[curves][1:]], seen, rtol=0, atol=1e-12)


@pytest.mark.parametrize("runs", [1, 3])
def test_frames_out_of_view_do_not_count_in_got10k(tmp_path, runs):
    """AO and SR are 1 of a tracker that is right wherever the target is seen, and wrong elsewhere."""
    sequences = synthetic.sequences(3, (30, 40), seed=0)
    synthetic.write_got10k(tmp_path / "root", sequences, seed=1)
    perfect = synthetic.one_pass(sequences, 0, seed=0, runs=runs)
    for sequence, run in zip(np.repeat(np.arange(3), runs), perfect, strict=True):
        cover = np.loadtxt(tmp_path / "root" / "val" / sequences[sequence].name / "cover.label")
        run.regions[cover == 0] = (0, 0, 1, 1)
    result_files.write("got10k", tmp_path / "results", "T", "one_pass", sequences, perfect)
    values = ours.of_got10k(tmp_path / "root", tmp_path / "results")["T"]
    assert np.allclose([values[name][0] for name in ("average_overlap", "sr_50", "sr_75")], 1, rtol=0, atol=1e-12)


def test_pysot_reads_the_numbers_that_the_annotations_hold(tmp_path):
    """The benchmark in pysot's JSON has the boxes of the text files, in their coordinates, and polygons as they are."""
    sequences = synthetic.sequences(4, (30, 40), seed=0)
    synthetic.write_otb(tmp_path, sequences, images=False)
    synthetic.write_pysot(tmp_path, "boxes", sequences)
    synthetic.write_pysot(tmp_path, "rotated", synthetic.polygons(sequences, seed=1))
    boxes, rotated = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("boxes", "rotated"))
    for name, facts in boxes.items():
        assert np.array_equal(facts["gt_rect"], np.loadtxt(tmp_path / f"{name}.txt", delimiter=","))
        assert len(facts["img_names"]) == len(facts["gt_rect"])
    assert [len(facts["gt_rect"][0]) for facts in rotated.values()] == [8, 8, 8, 4]


def test_a_folder_that_is_no_checkout_is_refused(tmp_path):
    """Without the region extension's source there is nothing to compare with: the message says what was expected."""
    (tmp_path / "toolkit" / "utils").mkdir(parents=True)
    with pytest.raises(OSError, match=r"toolkit/utils/region.pyx \(STVIR-pysot\), found neither"):
        checkout.build(Path("python"), tmp_path, tmp_path / "built")
    assert not (tmp_path / "built").exists()


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the real results in ../shared/data")
def test_published_scores_are_met():
    """Raw results give the scores that were published of them, to the last printed digit."""
    rows = list(published.compare(DATA))
    assert len(rows) == len(published.PUBLISHED)
    for row, value in rows:
        assert abs(value - row.value) <= row.tolerance + 1e-12, row


@pytest.mark.slow
@pytest.mark.skipif(not PEERS.exists(), reason="needs the toolkits, which `make compare` installs")
def test_the_toolkits_agree(tmp_path):
    """got10k and vot-toolkit give the same numbers of the same files, to 1e-9."""
    assert all(row.difference <= CLOSE for row in beside_toolkits(tmp_path, PEERS, []))
