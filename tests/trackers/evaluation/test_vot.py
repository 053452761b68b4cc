import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trackers import masks
from trackers.evaluation import eao, measures, vot, vot_overlaps
from trackers.evaluation.measure import Convention
from trackers.evaluation.results import Results
from trackers.evaluation.trajectory import Event, Trajectory
from trackers.masks import RunLengths
from trackers.sequence import Sequence, Unseen

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "vot_eval"
MEASURES = {measure.name: measure for measure in vot.MEASURES}
TARGET = (10.0, 10.0, 20.0, 20.0)
HALF = (10.0, 10.0, 20.0, 10.0)  # overlaps half of the target


def sequence(name: str, frames: int, **details: object) -> Sequence:
    return replace(Sequence(name, Unseen(frames), np.tile(TARGET, (frames, 1)), size=(100, 80)), **details)


def run(of: Sequence, codes: str, region: tuple[float, ...] = HALF, number: int = 0) -> Trajectory:
    """A trajectory by its codes: i where told, p where predicted, f where failed, - where skipped."""
    events = np.array([{"-": 0, "i": 1, "f": 2, "p": 3}[code] for code in codes], np.int8)
    regions = np.where((events == Event.PREDICTED)[:, None], region, np.nan)
    return Trajectory(of.name, regions, events, number)


def results(*pairs: tuple[Sequence, tuple[Trajectory, ...]], interval: tuple[int, int] | None = (2, 4)) -> Results:
    sequences, runs = zip(*pairs, strict=True)
    return Results(tuple(sequences), tuple(runs), "supervised_reset", interval=interval)


def one_failure() -> Results:
    """14 frames: told, predicted for 11, failed at frame 12; and 30 frames without a failure."""
    a, b = sequence("a", 14), sequence("b", 30)
    return results((a, (run(a, "i" + "p" * 11 + "f-"),)), (b, (run(b, "i" + "p" * 29, TARGET),)))


def test_accuracy_by_hand() -> None:
    """Frames soon after a reset do not count; vot means sequences by their lengths, the others all frames."""
    judged = one_failure()  # a: frames 10 and 11 at 1/2; b: frames 10 to 29 at 1
    for convention in ("trackmeet", "vot"):
        assert MEASURES["accuracy"](judged, convention).value == pytest.approx((14 * 0.5 + 30 * 1) / 44)
    half = 21 * 11 / (21 * 21)  # TraX's pixels
    for convention in ("vot-legacy", "pysot"):
        assert MEASURES["accuracy"](judged, convention).value == pytest.approx((2 * half + 20 * 1) / 22)


def test_failures_by_hand() -> None:
    """Failures are a total; robustness is by frame, by 100 frames, or the mean by lengths; reliability exp(-30 M)."""
    judged = one_failure()
    assert {MEASURES["failures"](judged, convention).value for convention in vot.CONVENTIONS} == {1}
    assert MEASURES["robustness"](judged, "pysot").value == pytest.approx(100 / 44)
    assert MEASURES["robustness"](judged, "vot-legacy").value == pytest.approx(1 / 44)
    assert MEASURES["robustness"](judged, "vot").value == pytest.approx(14 / 44)
    assert MEASURES["reliability"](judged, "pysot").value == pytest.approx(np.exp(-30 / 44))
    assert MEASURES["reliability"](judged, "vot").value == pytest.approx(np.exp(-30 * (14 / 44) / 22))


@pytest.mark.parametrize("convention", vot.CONVENTIONS)
def test_a_tracker_that_never_lasts_has_no_accuracy(convention: Convention) -> None:
    """Where every frame is a failure or soon after one, accuracy is unknown or 0, and the overall error of A = 0."""
    a = sequence("a", 14)
    judged = results((a, (run(a, "if----if----if"),)))
    assert np.nan_to_num(MEASURES["accuracy"](judged, convention).value) == 0
    if convention in MEASURES["overall_error"].conventions:
        assert MEASURES["overall_error"](judged, convention).value == pytest.approx(1 - np.exp(-30 * 3 / 14) / 2)


def test_the_errors_of_held_et_al() -> None:
    """Errors are 1 - A, 1 - R and 1 - (A + R) / 2."""
    for convention in vot.CONVENTIONS:
        a, r, *errors = (
            MEASURES[name](one_failure(), convention).value
            for name in ("accuracy", "reliability", "accuracy_error", "robustness_error", "overall_error")
        )
        assert errors == pytest.approx([1 - a, 1 - r, 1 - (a + r) / 2])


def test_expected_average_overlap_by_hand() -> None:
    """The curve is a mean over parts: after a failure 0 to the end; not beyond the end of what did not fail."""
    a, b = sequence("a", 12), sequence("b", 4)
    judged = results((a, (run(a, "ippf----ippp"),)), (b, (run(b, "ippp", TARGET),)))
    # Parts: i p p then 0s; i p p p at its end; and b's i p p p at 1.
    lengths = [1.0, 1 / 2, 1 / 2, 1 / 3]  # of the first, 1 to 4 frames, the first frame of which does not count
    expected = [(x + y + z) / 3 for x, y, z in zip(lengths, [1.0, 1 / 2, 1 / 2, 1 / 2], [1.0] * 4, strict=True)]
    np.testing.assert_allclose(eao.eao_curve(judged, "trackmeet")[:4], expected)
    assert MEASURES["eao"](judged, "trackmeet").value == pytest.approx(np.mean(expected[1:]))
    # vot starts one later, where the curve has ended: its longest part has 4 frames.
    np.testing.assert_allclose(eao.eao_curve(judged, "vot"), [0.0, *expected[1:]], rtol=1e-6)
    assert MEASURES["eao"](judged, "vot").value == pytest.approx(np.mean(expected[2:]))
    # Matlab's parts go from where a reset is due to the next, frame 8; 21 x 11 of 21 x 21 pixels.
    half = 11 / 21
    assert MEASURES["eao"](judged, "vot-legacy").value == pytest.approx(
        np.mean([(x * half + y * half + 1) / 3 for x, y in [(1, 1), (1, 1), (2 / 3, 1)]])
    )


def test_a_reset_at_the_very_end() -> None:
    """A reset due behind the last frame ends a part for pysot, which is then 0 in all lengths, but not for Matlab."""
    a, b = sequence("a", 9), sequence("b", 12)
    judged = results((a, (run(a, "ipppf----", TARGET),)), (b, (run(b, "i" + "p" * 11, TARGET),)), interval=(12, 12))
    assert MEASURES["eao"](judged, "vot-legacy").value == 1
    # pysot's part has 9 frames but is divided by 10: 0.9 of 3 / 11, and 1.
    assert MEASURES["eao"](judged, "pysot").value == pytest.approx((0.9 * 3 / 11 + 1) / 1.9)


@pytest.mark.parametrize("convention", vot.CONVENTIONS)
def test_repetitions_that_are_equal_change_nothing(convention: Convention) -> None:
    """Fifteen equal runs score as one."""
    once = one_failure()
    often = replace(once, runs=tuple(tuple(replace(runs[0], run=i) for i in range(15)) for runs in once.runs))
    for measure in vot.MEASURES:
        assert measure(often, convention).value == pytest.approx(measure(once, convention).value, rel=1e-6)


@pytest.mark.parametrize("convention", vot.CONVENTIONS)
def test_folds_put_together_score_as_the_whole(convention: Convention) -> None:
    """Terms of folds under each other give the number of all sequences, where each fold has the longest lengths."""
    generator = np.random.default_rng(0)
    pairs = []
    for i in range(6):
        of = sequence(f"s{i}", 40)
        wide = (10.0, 10.0, 20.0, float(generator.integers(8, 21)))
        pairs.append((of, (run(of, "i" + "p" * 14 + "f----i" + "p" * 19, wide),)))
    whole = results(*pairs, interval=(5, 20))
    for measure in vot.MEASURES:
        folds = [measure(results(*pairs[i : i + 2], interval=(5, 20)), convention) for i in (0, 2, 4)]
        score = measure(whole, convention)
        together = replace(
            score,
            numerator=np.concatenate([fold.numerator for fold in folds]),
            denominator=np.concatenate([fold.denominator for fold in folds]),
        )
        assert together.value == pytest.approx(score.value, rel=1e-6)


@pytest.mark.parametrize("convention", ["vot", "vot-legacy", "pysot", "trackmeet"])
def test_what_fails_in_a_fold_of_short_sequences_counts_to_the_end(convention: Convention) -> None:
    """EAO of folds is that of the whole, whichever fold has the longest sequences: a failure is 0 from there on."""
    long, short = sequence("long", 40), sequence("short", 14)
    pairs = [(long, (run(long, "i" + "p" * 39),)), (short, (run(short, "i" + "p" * 5 + "f----i" + "pp"),))]
    whole = MEASURES["eao"](results(*pairs, interval=(5, 20)), convention)
    folds = [MEASURES["eao"](replace(results(p, interval=(5, 20)), partial=True), convention) for p in pairs]
    together = replace(
        whole,
        numerator=np.concatenate([fold.numerator for fold in folds]),
        denominator=np.concatenate([fold.denominator for fold in folds]),
    )
    assert together.value == pytest.approx(whole.value, rel=1e-6)


@pytest.mark.parametrize("convention", vot.CONVENTIONS)
def test_trackers_compared_together_score_as_each_alone(convention: Convention) -> None:
    """What one tracker scores does not depend on the others that are compared at the same time."""
    [a, b], [(first,), _] = one_failure().sequences, one_failure().runs
    others = [(run(a, "i" + "p" * 13, (12, 12, 20, 15)),), (run(b, "i" + "p" * 28 + "f", HALF),)]
    pair = [results((a, (first,))), results((a, others[0]), (b, others[1]))]
    alone = [replace(judged, runs=tuple(tuple(map(replace, runs)) for runs in judged.runs)) for judged in pair]
    vot_overlaps.compare_together(pair, convention)
    for name in ("accuracy", "failures", "eao"):
        found, expected = ([MEASURES[name](judged, convention).value for judged in each] for each in (pair, alone))
        assert found == expected


def test_a_tag_counts_its_frames_alone() -> None:
    """Frames without a tag are cut out; over tags the headline is the mean by numbers of frames."""
    flags = np.arange(14) >= 10
    a = sequence("a", 14, tags={"blur": flags, "empty": ~flags})
    judged = results((a, (run(a, "i" + "p" * 11 + "f-"),)))
    half = 11 / 21
    assert MEASURES["accuracy"](judged, "vot-legacy", subset="blur").value == pytest.approx(half)
    assert MEASURES["failures"](judged, "vot-legacy", subset="blur").value == 1
    assert MEASURES["failures"](judged, "vot-legacy", subset="empty").value == 0
    failures = MEASURES["failures"]
    over = [vot.over_tags(failures, judged, "vot-legacy", ("blur", "empty"), how) for how in ("weighted_mean", "mean")]
    assert over == pytest.approx([4 / 14, 1 / 2])
    assert vot.over_tags(failures, judged, "vot-legacy", ("blur",), "pooled") == 1


def test_runs_never_reset() -> None:
    """The unsupervised overlap leaves out the first ten frames and those without a target."""
    truth = np.tile(TARGET, (20, 1))
    truth[15:] = np.nan
    a = replace(sequence("a", 20), groundtruth=truth)
    numerator, denominator = vot.unsupervised_overlap(Results((a,), ((run(a, "i" + "p" * 19),),), "unsupervised"))
    assert (numerator / denominator).tolist() == [[pytest.approx(0.5)]]
    never = Results((a,), ((run(a, "i" + "p" * 19),),), "unsupervised")
    average_overlap = measures.MEASURES["average_overlap"]
    assert average_overlap(never, "vot").value == pytest.approx(0.5)
    with pytest.raises(
        ValueError, match="average_overlap: expected a protocol among unsupervised under convention vot"
    ):
        average_overlap(replace(never, protocol="one_pass"), "vot")
    for name in ("success_auc", "precision_20", "cle"):
        for convention in ("trackmeet", "otb"):
            once = replace(never, protocol="one_pass")
            assert measures.MEASURES[name](never, convention).value == measures.MEASURES[name](once, convention).value


def test_vot2014_counts_pixels_otherwise() -> None:
    """Where results say so, vot-legacy counts w x h pixels of a box, in the image or not, and needs no size of it."""
    a = replace(sequence("a", 14), size=None, groundtruth=np.tile((-10.0, 10, 20, 20), (14, 1)))
    judged = replace(results((a, (run(a, "i" + "p" * 13, (-10.0, 10, 20, 10)),))), legacy_rasterization=True)
    assert MEASURES["accuracy"](judged, "vot-legacy").value == pytest.approx(0.5)
    inside = replace(results((replace(a, size=(100, 80)), judged.runs[0])), legacy_rasterization=False)
    assert MEASURES["accuracy"](inside, "vot-legacy").value == pytest.approx(11 / 21)


def test_masks_of_the_groundtruth() -> None:
    """They are compared with masks where a tracker gives such, else with its boxes; not by region.c's conventions."""
    mask = masks.of_box(np.array(TARGET), (100, 80))
    truth = RunLengths.of([mask] * 14 + [np.zeros_like(mask)] * 2)
    boxes = np.concatenate([np.tile(TARGET, (14, 1)), np.full((2, 4), np.nan)])
    a = replace(sequence("a", 16), regions=truth, groundtruth=boxes)
    said = run(a, "i" + "p" * 15)
    quarter = masks.of_box(np.array([10.0, 10, 10, 10]), (100, 80))
    with_masks = replace(said, masks=RunLengths.of([quarter] * 16))
    for convention, absent in (("trackmeet", ()), ("vot", (0, 0))):  # where it is absent, vot says 0
        for given, expected in ((said, 0.5), (with_masks, 0.25)):
            value = MEASURES["accuracy"](results((a, (given,))), convention).value
            assert value == pytest.approx(np.mean([*[expected] * 4, *absent]))
    for convention in ("vot-legacy", "pysot"):
        with pytest.raises(ValueError, match=f"sequence a: {convention} compares boxes and polygons"):
            MEASURES["accuracy"](results((a, (said,))), convention)


def test_polygons_of_any_corners() -> None:
    """Groundtruth may have polygons of more or fewer than four corners; a lone number is refused."""
    corners = np.array([10.0, 10, 30, 10, 30, 30, 20, 30, 10, 30])
    a = sequence("a", 14, regions=(corners,) * 14)
    judged = results((a, (run(a, "i" + "p" * 13),)))
    assert MEASURES["accuracy"](judged, "trackmeet").value == pytest.approx(0.5)
    # The walk along the lower side stops at the corner in its middle: 10 of 21 x 21 pixels are left out.
    assert MEASURES["accuracy"](judged, "vot").value == pytest.approx(200 / 431)
    broken = replace(a, regions=(corners,) * 13 + (corners[:9],))
    with pytest.raises(ValueError, match="sequence a, frame 13: expected a box of 4 numbers or a polygon"):
        MEASURES["accuracy"](results((broken, (run(a, "i" + "p" * 13),))), "vot")


def test_ranks() -> None:
    """Equal values share the mean of their ranks, and so do trackers that do not differ significantly."""
    np.testing.assert_array_equal(vot.ranks(np.array([[0.5, 0.7, 0.5, 0.1]]), "higher"), [[2.5, 1, 2.5, 4]])
    np.testing.assert_array_equal(vot.ranks(np.array([[3, 1, 2]]), "lower"), [[3, 1, 2]])
    different = np.array([[[0, 0, 1], [0, 0, 1], [1, 1, 0]]], bool)
    np.testing.assert_array_equal(vot.ranks(np.array([[1, 2, 3]]), "lower", different), [[1.5, 1.5, 3]])


def test_trackers_differ_where_their_overlaps_do() -> None:
    """Trackers with equal results do not differ; one that overlaps twice as much does, but not in failures."""
    a = sequence("a", 60)
    worse, better = (results((a, (run(a, "i" + "p" * 59, region),))) for region in (HALF, TARGET))
    accuracy, robustness = vot.differences([worse, worse, better])
    np.testing.assert_array_equal(accuracy, [[0, 0, 1], [0, 0, 1], [1, 1, 0]])
    assert not robustness.any()


def test_images_of_unknown_size_are_refused() -> None:
    """Counting pixels needs the size of the images; exact areas do not."""
    a = replace(sequence("a", 20), size=None)
    judged = results((a, (run(a, "i" + "p" * 19),)))
    assert MEASURES["accuracy"](judged, "trackmeet").value == 0.5
    with pytest.raises(ValueError, match="sequence a: expected the width and height"):
        MEASURES["accuracy"](judged, "vot")


def test_results_judged_against_another_groundtruth() -> None:
    """What is kept of a run belongs to the groundtruth it was judged by."""
    a = sequence("a", 20)
    other = replace(a, groundtruth=np.tile(HALF, (20, 1)))
    runs = (run(a, "i" + "p" * 19),)
    judged = [MEASURES["accuracy"](results((of, runs)), "vot").value for of in (a, other, a)]
    assert judged == [0.5, 1, 0.5]


def test_intervals_from_lengths() -> None:
    """One length alone gives it and the one before; of several, those about the mode, not a lone long one."""
    assert eao.interval([100, 100]) == (99, 100)
    low, high = eao.interval([90, 100, 100, 110, 300])
    assert 60 < low < 100 < high < 140


def read(folder: Path) -> tuple[Sequence, ...]:
    sequences = []
    for name, about in json.loads((folder / "VOT2018.json").read_text()).items():
        polygons = np.array(about["gt_rect"], float)
        x, y = polygons[:, 0::2], polygons[:, 1::2]
        around = np.stack([x.min(1), y.min(1), np.ptp(x, 1), np.ptp(y, 1)], 1)
        size = (about["width"], about["height"])
        sequences.append(Sequence(name, Unseen(len(around)), around, regions=tuple(polygons), size=size))
    return tuple(sequences)


def read_run(name: str, file: Path, corners: bool = False) -> Trajectory:
    rows = [[float(number) for number in line.split(",")] for line in file.read_text().splitlines()]
    events = np.array([int(row[0]) if len(row) == 1 else Event.PREDICTED for row in rows], np.int8)
    regions = np.array([row if len(row) > 1 else [np.nan] * 4 for row in rows])
    if corners:
        regions[:, 2:] -= regions[:, :2]
    return Trajectory(name, regions, events)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/vot_eval")
def test_published_numbers_of_vot2018() -> None:
    """pysot's numbers of three trackers equal those printed where their results were published."""
    sequences = read(DATA)
    assert eao.interval([len(s) for s in sequences]) == eao.INTERVALS["vot2018"] == (100, 356)
    printed = {"LightTrack": 0.418, "SiamAPN": 0.248, "SiamCAR": 0.318}
    for tracker, value in printed.items():
        folder = DATA / "results" / "VOT2018" / tracker / "baseline"
        runs = tuple((read_run(s.name, folder / s.name / f"{s.name}_001.txt"),) for s in sequences)
        judged = Results(sequences, runs, "supervised_reset", interval=eao.INTERVALS["vot2018"])
        assert round(MEASURES["eao"](judged, "pysot").value, 3) == value
    assert round(MEASURES["accuracy"](judged, "pysot").value, 3) == 0.571  # of SiamCAR
    assert round(MEASURES["robustness"](judged, "pysot").value, 3) == 0.309
    assert MEASURES["failures"](judged, "pysot").value == 66
    assert MEASURES["eao"](judged, "vot").value == pytest.approx(0.316, abs=0.0005)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/vot_eval")
def test_the_toy_case_of_mmtracking() -> None:
    """Its expected numbers are those of vot, in its images of 512 x 256 pixels; its robustness is by 100 frames."""
    pairs = []
    for name in ("video-1", "video-2"):
        truth = np.loadtxt(DATA / "mmtracking_dummy" / f"{name}.vot2018_gt_for_eval.txt", delimiter=",")
        of = Sequence(name, Unseen(len(truth)), np.zeros((len(truth), 4)), regions=tuple(truth), size=(512, 256))
        file = DATA / "mmtracking_dummy" / f"{name}.vot2018_track_results.txt"
        pairs.append((of, (read_run(name, file, corners=True),)))
    judged = results(*pairs, interval=(1, 3))
    assert round(MEASURES["eao"](judged, "vot").value, 4) == 0.6661
    assert round(MEASURES["accuracy"](judged, "vot").value, 4) == 0.5826
    assert MEASURES["robustness"](judged, "pysot").value == pytest.approx(6.0)
