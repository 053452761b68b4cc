import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trackers import boxes
from trackers.evaluation import ope
from trackers.evaluation.measures import MEASURES
from trackers.evaluation.overlaps import average_overlap
from trackers.evaluation.results import Results
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.sequence import Sequence, Unseen

SHARED = Path(__file__).parents[4] / "shared" / "data"
BOX = [11.0, 11, 4, 4]
HALF = [11.0, 11, 4, 2]  # IoU 1/2 with BOX, centre 1 pixel away
AWAY = [51.0, 11, 4, 4]  # 40 pixels away
NAN = [np.nan] * 4
ZERO = [0.0] * 4


def run(name, regions, groundtruth, number=0, start=0, **facts):
    """A sequence as in a file whose pixels count from 1, and a run through it from frame `start`."""
    events = np.full(len(regions), Event.PREDICTED, np.int8)
    events[:start], events[start] = Event.SKIPPED, Event.INITIALIZED
    annotated = np.array(groundtruth, float) - [1, 1, 0, 0]
    known = annotated.copy()
    known[~np.array(groundtruth, float).any(1)] = np.nan
    sequence = Sequence(name, Unseen(len(regions)), known, annotated, origin=1, **facts)
    return sequence, Trajectory(name, np.array(regions, float) - [1, 1, 0, 0], events, number)


def results(*runs, protocol="one_pass"):
    """Results of one run a sequence."""
    return Results(tuple(s for s, _ in runs), tuple((t,) for _, t in runs), protocol)


def defining(measure):
    """The conventions that define a measure of one pass."""
    return [convention for convention in measure.conventions if "one_pass" in measure.protocols_of(convention)]


def values(judged, convention, *names):
    return [MEASURES[name](judged, convention).value for name in names]


def test_the_released_overlap_takes_corners_for_centres():
    """ROLO_evaluation.py's: decimals are cut off, and boxes lie around their corners; the given frame is no merit."""
    judged = results(run("a", [BOX, [11.9, 11.9, 4.9, 2], [13, 11, 2, 4], NAN], [BOX] * 4))
    # 4 x 2 inside of 4 x 4 around the same point; 1 of 2 columns of the second within 4 x 4; and no box at all.
    expected = (8 / 16 + 4 / (8 + 16 - 4) + 0) / 3
    for convention in MEASURES["released_overlap"].conventions:  # no toolkit's: everywhere the same
        assert MEASURES["released_overlap"](judged, convention).value == pytest.approx(expected)
    assert MEASURES["average_overlap"](judged).value != pytest.approx(expected)


def test_the_curves_by_hand():
    """Success counts overlaps above a threshold, precision distances of at most one; the given frame is no merit."""
    judged = results(run("a", [BOX, BOX, HALF, AWAY], [BOX] * 4))
    success = np.where(np.arange(21) < 10, 2 / 3, np.where(np.arange(21) < 20, 1 / 3, 0))  # 1/2 > 0.5 is false
    np.testing.assert_allclose(ope.SUCCESS(judged), success, atol=1e-15)
    np.testing.assert_allclose(ope.PRECISION(judged), [1 / 3] + [2 / 3] * 39 + [1] * 11, atol=1e-15)
    np.testing.assert_allclose(ope.NORMALIZED_PRECISION(judged), [1 / 3] * 25 + [2 / 3] * 26, atol=1e-15)
    assert values(judged, "trackmeet", "os_50", "precision_20", "cle", "average_overlap") == pytest.approx(
        [1 / 3, 2 / 3, 41 / 3, 0.5]
    )
    assert ope.curves(judged).keys() == {"success", "precision", "normalized_precision"}


def test_a_perfect_tracker():
    """Its AUC is 20/21 in every convention, for no overlap is above 1; all else is at its best."""
    judged = results(run("a", [BOX, AWAY, HALF], [BOX, AWAY, HALF]), run("b", [BOX] * 2, [BOX] * 2))
    for measure in ope.MEASURES:
        for convention in defining(measure):
            best = measure.bounds[0 if measure.better == "lower" else 1]
            assert measure(judged, convention).value == (
                pytest.approx(20 / 21) if measure.name == "success_auc" else best
            )


def test_the_first_frame():
    """It is the groundtruth in otb and got10k, as given in pysot, and does not count in trackmeet."""
    judged = results(run("a", [AWAY, HALF], [BOX, BOX]))
    found = {c: values(judged, c, "precision_20")[0] for c in ope.CONVENTIONS}
    assert found == {"trackmeet": 1, "otb": 1, "got10k": 1, "pysot": 0.5}
    assert values(judged, "otb", "average_overlap") == [0.75]


def test_without_a_usable_prediction():
    """otb takes the box of the frame before; elsewhere the frame fails, but that `cle` goes on with the last box."""
    judged = results(run("a", [BOX, HALF, NAN, [11, 11, 0, 5], BOX], [BOX] * 5))
    assert values(judged, "otb", "average_overlap", "precision_20", "cle") == pytest.approx([3.5 / 5, 1, 3 / 5])
    assert values(judged, "trackmeet", "average_overlap", "precision_20") == pytest.approx([1.5 / 4, 3 / 4])
    assert values(results(run("a", [BOX, HALF, NAN], [BOX] * 3)), "trackmeet", "cle") == [1]
    assert values(judged, "got10k", "success_auc") == pytest.approx([(20 + 10 + 20) / 21 / 5])
    assert values(judged, "pysot", "precision_20") == pytest.approx([4 / 5])


def test_a_groundtruth_that_is_not_positive():
    """At x = 0 otb and pysot count a failure of overlap; for otb it is precise at any distance, for pysot as it is."""
    edge = [0.0, 11, 4, 4]
    judged = results(run("a", [BOX, [0, 51, 4, 4]], [BOX, edge]))
    assert [values(judged, c, "os_50", "precision_20") for c in ope.CONVENTIONS] == [
        [0, 0],
        [0.5, 1],
        [0.5, 0.5],
        [0.5, 0.5],
    ]
    exact = results(run("a", [BOX, edge], [BOX, edge]))
    assert [values(exact, c, "os_50")[0] for c in ope.CONVENTIONS] == [1, 0.5, 1, 0.5]


def test_an_absent_target():
    """trackmeet leaves it out; 0, 0, 0, 0 is a box for got10k, NaN is none; for otb and pysot both are precise."""
    far = [211.0, 11, 4, 4]
    zero, nan = results(run("a", [BOX, far], [BOX, ZERO])), results(run("a", [BOX, far], [BOX, NAN]))
    for judged, got10k in ((zero, [0.5, 0.5]), (nan, [1, 1])):
        found = [values(judged, c, "os_50", "precision_20") for c in ope.CONVENTIONS]
        np.testing.assert_array_equal(found, [[np.nan, np.nan], [0.5, 1], got10k, [0.5, 1]])
    hidden = results(run("a", [BOX, BOX, BOX], [BOX] * 3, tags={"absent": np.array([False, True, False])}))
    assert values(hidden, "pysot", "os_50", "precision_20") == pytest.approx([2 / 3, 2 / 3])


def test_the_numbers_of_got10k():
    """AO and SR are over all frames but the first, where the target is seen, with all boxes cut to the image."""
    cut = [18.0, 10, 20, 10]  # 2 x 10 of it in an image of 20 x 20
    a = run("a", [BOX, BOX, AWAY, AWAY], [BOX] * 4, size=(99, 99), tags={"cover": np.array([1, 1, 1, 0], bool)})
    b = run("b", [BOX, cut], [BOX, [18, 10, 2, 10]], size=(20, 20))
    judged = results(a, b)
    assert values(judged, "got10k", "average_overlap", "sr_50", "sr_75") == pytest.approx([2 / 3] * 3)
    np.testing.assert_allclose(ope.POOLED_SUCCESS(judged, "got10k"), [2 / 3] * 100 + [0], atol=1e-15)


def test_many_runs_are_pooled_by_frames():
    """Frames of all runs through a sequence count alike, from the start of each; then sequences are averaged."""
    sequence, whole = run("a", [BOX, BOX, BOX, BOX], [BOX] * 4)
    _, late = run("a", [NAN, NAN, BOX, AWAY], [BOX] * 4, number=1, start=2)
    other, lost = run("b", [BOX, AWAY], [BOX] * 2)
    judged = Results((sequence, other), ((whole, late), (lost,)), "temporal_robustness")
    assert values(judged, "otb", "os_50") == pytest.approx([(5 / 6 + 1 / 2) / 2])
    assert values(judged, "trackmeet", "os_50") == pytest.approx([(3 / 4 + 0) / 2])


def test_tags_labels_and_empty_results():
    """A tag restricts the frames; frames that nobody labelled do not count; of nothing there is no score."""
    tags = {"dark": np.array([False, True, False, True])}
    judged = results(run("a", [BOX, HALF, BOX, AWAY], [BOX] * 4, tags=tags))
    assert MEASURES["average_overlap"](judged, subset="dark").value == 0.25
    assert MEASURES["average_overlap"](judged, "otb", subset="dark").value == 0.25
    labelled = results(run("a", [BOX, BOX, AWAY], [BOX] * 3, labelled=np.array([True, True, False])))
    assert values(labelled, "otb", "os_50") == [1]
    for measure in ope.MEASURES:
        for convention in defining(measure):
            assert np.isnan(measure(Results((), ()), convention).value)
            score = measure(replace(judged, runs=((),)), convention)
            assert np.isnan(score.value) and score.sequences == ("a",)
    with pytest.raises(ValueError, match="sr_50: expected a convention among got10k, got otb"):
        MEASURES["sr_50"](judged, "otb")


rows = arrays(float, st.integers(1, 30).map(lambda n: (n, 8)), elements=st.integers(1, 30) | st.just(np.nan))


@given(st.lists(rows, min_size=1, max_size=5))
@settings(max_examples=15, deadline=None)
def test_measures_are_within_bounds_and_judge_sequences_apart(sequences):
    """Every value is within its bounds; a sequence's is the same in company; average overlap is that of the array."""
    runs = [run(str(i), row[:, :4], row[:, 4:]) for i, row in enumerate(sequences)]
    judged = results(*runs)
    for measure in ope.MEASURES:
        for convention in defining(measure):
            score = measure(judged, convention)
            alone = [measure(results(one), convention).value for one in runs]
            np.testing.assert_allclose(score.values, alone, rtol=0, atol=1e-12)
            low, high = measure.bounds
            assert all(np.isnan(v) or low <= v <= high + 1e-12 for v in score.values)
    simple = [float(average_overlap(t.regions, s.groundtruth)) for s, t in runs]
    np.testing.assert_array_equal(MEASURES["average_overlap"](judged).values, simple)


@given(arrays(float, 40, elements=st.floats(-1, 60) | st.integers(0, 100).map(lambda n: n / 100)))
def test_thresholds_are_counted_exactly(found):
    """The quick count of thresholds below a value is that of a search, ties and neighbouring floats included."""
    for thresholds in (ope.OVERLAPS, ope.FINE_OVERLAPS, ope.DISTANCES, ope.SHARES, *ope.TOOLKIT_OVERLAPS.values()):
        near = np.concatenate([found, thresholds, np.nextafter(thresholds, 99), np.nextafter(thresholds, -99)])
        np.testing.assert_array_equal(ope._below(thresholds, near), np.searchsorted(thresholds, near))


OTB = SHARED / "otb_results" / "Tracker_Benchmark_tb100"


@pytest.mark.skipif(not OTB.is_dir(), reason="needs published OTB results in ../shared/data/otb_results")
@pytest.mark.parametrize(
    ("tracker", "auc", "precision"),
    [
        ("KCF_GaussHog", 0.4771, 0.6954),
        ("SRDCF", 0.5976, 0.7881),
        ("MEEM", 0.5387, 0.7969),
        ("Struck", 0.4294, 0.5837),
    ],
)
def test_otb_equals_the_matlab_toolkit_bit_by_bit(tracker, auc, precision):
    """On published results every one of 100 x 21 and 100 x 51 numbers equals that which the toolkit computed."""
    io = pytest.importorskip("scipy.io")
    files = {path.name.lower(): path for path in (OTB / "results_OPE_OTB100").iterdir()}
    runs = []
    for path in (SHARED / "otb_anno" / "anno_TB100").glob("*.txt"):
        mat = io.loadmat(files[f"{path.stem}_{tracker}.mat".lower()], simplify_cells=True)
        regions = np.array(np.atleast_1d(mat["results"])[0]["res"], float)
        groundtruth = np.array([re.split(r"[,\s]+", line.strip()) for line in path.open()], float)
        runs.append(run(path.stem, regions, groundtruth[-len(regions) :]))  # Tiger1 was begun at frame 6
    judged = results(*runs)
    assert values(judged, "otb", "success_auc", "precision_20") == pytest.approx([auc, precision], abs=5e-5)
    for name, curve in (("overlap", ope.SUCCESS), ("error", ope.PRECISION)):
        theirs = io.loadmat(OTB / "perfMat" / f"aveSuccessRatePlot_15alg_{name}_OPE.mat", simplify_cells=True)
        row = list(theirs["nameTrkAll"]).index(tracker.removesuffix("_GaussHog"))
        numerator, denominator = curve.judge(ope.frames(judged, "otb"), "otb")
        assert denominator.all()
        assert sorted(map(tuple, numerator)) == sorted(map(tuple, theirs["aveSuccessRatePlot"][row]))


UAV = SHARED / "uav123_10fps" / "results-mat"


@pytest.mark.skipif(not UAV.is_dir(), reason="needs published UAV123 results in ../shared/data/uav123_10fps")
def test_uav123_as_published():
    """BACF scores .413 and .572 on UAV123 at 10 fps, where otb counts frames without a target as precise."""
    io = pytest.importorskip("scipy.io")
    runs = []
    for path in sorted(UAV.rglob("*.mat")):
        name = path.stem.partition("_BACF")[0]
        groundtruth = np.genfromtxt(SHARED / "uav123_anno" / "anno_UAV123" / f"{name}.txt", delimiter=",")[::3]
        mat = io.loadmat(path, simplify_cells=True)
        runs.append(run(name, np.atleast_1d(mat["results"])[0]["res"], groundtruth))
    assert len(runs) == 123
    found = values(results(*runs), "otb", "success_auc", "precision_20")
    assert found == pytest.approx([0.4130, 0.5721], abs=5e-5)


def by_definition(convention, regions, groundtruth):
    """Overlap and distance of each frame that counts, one after the other, as the toolkits' loops have them."""
    regions = regions.copy()
    for t in range(1, len(regions)):
        if convention == "otb" and (regions[t, 2:] <= 0).any() or np.isnan(regions[t]).all():
            regions[t] = regions[t - 1] if convention == "otb" else regions[t]
    if convention != "pysot":
        regions[0] = groundtruth[0]
    for (x, y, w, h), (gx, gy, gw, gh) in zip(regions, groundtruth, strict=True):
        wide, high = min(x + w, gx + gw) - max(x, gx), min(y + h, gy + gh) - max(y, gy)
        inside = max(0, wide) * max(0, high)
        overlap = inside / (w * h + gw * gh - inside) if w * h + gw * gh > 0 else 0.0
        dx, dy = x + (w - 1) / 2 - gx - (gw - 1) / 2, y + (h - 1) / 2 - gy - (gh - 1) / 2
        distance = (dx**2 + dy**2) ** 0.5
        if convention != "got10k" and min(gx, gy, gw, gh) <= 0:
            overlap = -1
        if (
            convention == "otb"
            and min(gx, gy, gw, gh) <= 0
            or convention == "pysot"
            and min(gx + (gw - 1) / 2, gy + (gh - 1) / 2) <= 0
        ):
            distance = -1
        yield overlap, distance


@pytest.mark.parametrize("convention", ["otb", "got10k", "pysot"])
def test_random_results_by_definition(convention):
    """Every number of every curve is that of a plain loop over frames and thresholds."""
    rng = np.random.default_rng(0)
    runs, success, precision = [], [], []
    for i in range(10):
        groundtruth = np.hstack([rng.integers(-2, 60, (50, 2)), rng.integers(1, 40, (50, 2))]).astype(float)
        groundtruth[rng.integers(1, 50, 2)] = 0
        regions = groundtruth + rng.integers(-9, 9, (50, 4))
        runs.append(run(str(i), regions, groundtruth))
        found = np.array(list(by_definition(convention, regions, groundtruth)))
        thresholds = [k * 0.05 if k <= 10 else 1 - (20 - k) * 0.05 for k in range(21)]
        if convention != "otb":
            thresholds = np.linspace(0, 1, 21)
        success.append([(found[:, 0] > t).mean() for t in thresholds])
        precision.append([(found[:, 1] <= t).mean() for t in range(51)])
    judged = results(*runs)
    np.testing.assert_allclose(ope.SUCCESS(judged, convention), np.mean(success, 0), atol=1e-12)
    np.testing.assert_allclose(ope.PRECISION(judged, convention), np.mean(precision, 0), atol=1e-12)


def test_the_centres_of_toolkits():
    """Toolkits put the centre of a box half a pixel before ours: distances are the same."""
    a, b = np.array([BOX, HALF]), np.array([AWAY, BOX])
    judged = replace(ope.frames(results(run("a", a, b)), "pysot"), regions=a, groundtruth=b)
    np.testing.assert_allclose(ope.frame_distances(judged, "pysot"), boxes.centre_distance(a, b), atol=1e-12)
