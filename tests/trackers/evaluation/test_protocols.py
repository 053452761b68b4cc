import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackers import masks
from trackers.evaluation.protocols import (
    PERTURBATIONS,
    PROTOCOLS,
    FrameError,
    Initialize,
    Update,
    clip_starts,
    first_start,
    image_size,
    one_pass,
    perturbed,
    random_clips,
    segments,
    spatial_robustness,
    supervised_reset,
    temporal_robustness,
    unsupervised,
)
from trackers.sequence import GreyFrames, Sequence, Unseen, check_box

SHARED = Path(__file__).parents[4] / "shared" / "data"


def sequence(length, **known):
    """Frame t has the box [t + 1, 2, 3, 4]."""
    groundtruth = np.tile([0.0, 2, 3, 4], (length, 1))
    groundtruth[:, 0] = np.arange(length) + 1
    groundtruth = known.pop("groundtruth", groundtruth)
    return Sequence("a", GreyFrames(np.zeros((length, 60, 80), np.uint8)), groundtruth, **known)


def flags(length, *numbers):
    return np.isin(np.arange(length), numbers)


def perform(play, answer=lambda t: None):
    """What a play asked, (frame, None) or (frame, region of the start), and what it returned: the failures."""
    asked, answered = [], None
    while True:
        try:
            request = play.send(answered)
        except StopIteration as end:
            return asked, end.value
        asked.append((request.t, request.region.tolist() if isinstance(request, Initialize) else None))
        answered = answer(request.t) if isinstance(request, Update) else None


def only(plays):
    [play] = plays
    return play


def starts(plays):
    return [(request.t, request.region.tolist()) for request in map(next, plays)]


def test_one_pass_helps_once():
    """One pass initializes in frame 0 on the true box and then asks for every frame, once, in order."""
    asked, failures = perform(only(one_pass(sequence(4))))
    assert asked == [(0, [1, 2, 3, 4]), (1, None), (2, None), (3, None)]
    assert failures == ()


def test_one_pass_of_one_frame():
    """A single frame asks for nothing but the start."""
    assert perform(only(one_pass(sequence(1)))) == ([(0, [1, 2, 3, 4])], ())


def test_one_pass_starts_on_the_region_as_annotated():
    """Where the sequence has polygons, the start is one."""
    polygons = np.arange(16.0).reshape(2, 8)
    assert starts(one_pass(sequence(2, regions=polygons))) == [(0, polygons[0].tolist())]


@pytest.mark.parametrize(
    ("absent", "omitted", "start"),
    [((), (), 0), ((0, 1), (), 2), ((), (0, 1), 2), ((0,), (1, 2), 3), ((0, 1), (2, 3, 4), 2)],
)
def test_one_pass_starts_where_the_target_is_and_may_be_learnt(absent, omitted, start):
    """The first frame with groundtruth that is not one to omit; if all are, the first with groundtruth."""
    boxes = sequence(5).groundtruth
    boxes[list(absent)] = np.nan
    film = sequence(5, groundtruth=boxes, omitted=flags(5, *omitted))
    assert first_start(film) == start
    assert [t for t, _ in perform(only(one_pass(film)))[0]] == list(range(start, 5))


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_without_groundtruth_there_is_no_start(protocol):
    """Every protocol refuses a sequence without groundtruth by its name."""
    nowhere = sequence(3, groundtruth=np.full((3, 4), np.nan), size=(80, 60))
    with pytest.raises(ValueError, match="sequence a: expected a frame with groundtruth to start from"):
        perform(next(protocol(nowhere, False)))


def test_unsupervised_knows_no_frames_to_omit():
    """VOT starts in the first frame with groundtruth."""
    film = sequence(3, omitted=flags(3, 0))
    assert starts(unsupervised(film)) == [(0, [1, 2, 3, 4])]


def test_a_stochastic_tracker_is_repeated_under_supervision_alone():
    """15 runs of VOT's supervised experiment, one of the unsupervised and of one pass; one of any other tracker."""
    film = sequence(30)
    numbers = {
        name: [len(list(protocol(film, dice))) for dice in (False, True)] for name, protocol in PROTOCOLS.items()
    }
    assert numbers == {
        "one_pass": [1, 1],
        "temporal_robustness": [19, 19],
        "spatial_robustness": [12, 12],
        "supervised_reset": [1, 15],
        "unsupervised": [1, 1],
        "random_clips": [1, 1],
    }
    assert [len(list(supervised_reset(film, dice, repetitions=3))) for dice in (False, True)] == [1, 3]


# Temporal robustness


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (24, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4]),  # e = 5
        (38, [*range(19), 18]),  # e = 19
        (57, [*range(0, 38, 2), 37]),  # e = 38
        (20, [0, 0]),  # e = 1
        (19, [0]),
        (1, [0]),
    ],
)
def test_segments_by_hand(length, expected):
    """e candidates with 20 frames left give the starts floor(1 : e / 19 : e), from 1, and e."""
    assert segments(sequence(length)) == expected


def test_segments_leave_out_frames():
    """Frames to omit, without groundtruth, or with a coordinate not above 0, from 1, are no candidates."""
    boxes = sequence(60).groundtruth
    boxes[0, 0] = -1.0  # column 0, counted from 1
    boxes[1, 1] = -1.5
    boxes[2, 2] = 0
    boxes[3] = np.nan
    boxes[4, 0] = -0.5
    starts = segments(sequence(60, groundtruth=boxes, omitted=flags(60, 5, 6)))
    assert starts[0] == 4
    assert starts[-1] == 40
    assert not {0, 1, 2, 3, 5, 6} & set(starts)


@given(st.integers(20, 700), st.sets(st.integers(0, 699)))
def test_segments_are_spread_over_what_is_allowed(length, omitted):
    """At most 20, rising from the first candidate to the last with 20 frames left, 20 where 19 candidates are there."""
    candidates = [t for t in range(length - 19) if t not in omitted]
    starts = segments(sequence(length, omitted=flags(length, *omitted)))
    if candidates:
        assert starts == sorted(starts)
        assert set(starts) <= set(candidates)
        assert (starts[0], starts[-1]) == (candidates[0], candidates[-1])
    assert len(starts) == 20 if len(candidates) >= 19 else len(starts) <= 20


def test_runs_of_temporal_robustness_go_to_the_end():
    """Each run starts on the groundtruth of its frame and asks for all frames after it."""
    film = sequence(40)
    for start, play in zip(segments(film), temporal_robustness(film), strict=True):
        asked, _ = perform(play)
        assert asked[0] == (start, [start + 1, 2, 3, 4])
        assert [t for t, _ in asked] == list(range(start, 40))


@pytest.mark.skipif(not (SHARED / "otb_results").is_dir(), reason="needs shared/data/otb_results")
@pytest.mark.parametrize(
    "name", ["Couple", "Crossing", "Diving", "Football1", "Freeman1", "Human7", "Jumping", "Skiing"]
)
def test_segments_start_where_published_runs_did(name):
    """The frames at which published TRE runs of IVT started (DragonBaby's left frames out that no file names)."""
    runs = json.loads((SHARED / "otb_results/jwlim_json/TRE/IVT" / f"{name}.json").read_text())
    boxes = otb_annotation(name)
    first = runs[0]["startFrame"]
    film = Sequence(name, Unseen(len(boxes)), boxes)
    assert [first + t for t in segments(film)] == [run["startFrame"] for run in runs]


def otb_annotation(name):
    [path] = [p for p in (SHARED / "otb_anno/anno_TB100").iterdir() if p.stem.lower() == name.lower()]
    return np.array([line.replace(",", " ").split() for line in path.read_text().splitlines()], float) - [1, 1, 0, 0]


# Spatial robustness


def test_perturbations_by_hand():
    """The 12 boxes of Couple's first, 51 47 25 62 in pixels counted from 1, half rounded away from zero."""
    expected = {
        "left": [48, 47, 25, 62],
        "right": [54, 47, 25, 62],
        "up": [51, 40, 25, 62],
        "down": [51, 54, 25, 62],
        "top left": [49, 41, 27, 68],
        "top right": [51, 41, 28, 68],
        "bottom left": [49, 47, 27, 68],
        "bottom right": [51, 47, 28, 68],
        "scale 0.8": [54, 53, 20, 50],
        "scale 0.9": [52, 50, 23, 56],
        "scale 1.1": [50, 44, 28, 68],
        "scale 1.2": [49, 41, 30, 74],
    }
    found = perturbed(np.array([50.0, 46, 25, 62]), (320, 240)) + [1, 1, 0, 0]
    assert dict(zip(PERTURBATIONS, found.tolist(), strict=True)) == expected


def test_perturbations_stay_in_the_image():
    """On the left and top a box is moved back at its size, on the right and bottom it is cut."""
    found = dict(zip(PERTURBATIONS, perturbed(np.array([0.0, 1, 20, 10]), (21, 11)).tolist(), strict=True))
    assert found["left"] == [0, 1, 20, 10]
    assert found["right"] == [2, 1, 19, 10]
    assert found["down"] == [0, 2, 20, 9]
    assert found["top left"] == [0, 0, 21, 11]  # the corner goes to -2, 0; 22 wide until it is cut


@pytest.mark.skipif(not (SHARED / "otb_results").is_dir(), reason="needs shared/data/otb_results")
@pytest.mark.parametrize(
    "name", ["Couple", "Crossing", "DragonBaby", "Football1", "Freeman1", "Human7", "Jumping", "Skiing"]
)
def test_perturbations_are_as_large_as_in_published_runs(name):
    """The widths of the first boxes of published SRE runs of IVT (tables of them are rounded to 1/32 pixel).

    Their toolkit, the Python one, rounds some sides otherwise than the Matlab one: they differ by at most a pixel.
    "down" is left out: there that toolkit changes the width instead.
    """
    runs = json.loads((SHARED / "otb_results/jwlim_json/SRE/IVT" / f"{name}.json").read_text())
    widths = np.array([run["res"][0][2] * 32 for run in runs])
    found = perturbed(otb_annotation(name)[0], (10_000, 10_000))[:, 2]
    others = np.arange(12) != PERTURBATIONS.index("down")
    assert np.abs(widths - found)[others].max() <= 1.01
    assert np.mean(np.abs(widths - found)[others] < 0.01) > 0.8


def test_runs_of_spatial_robustness_start_together():
    """All 12 start in the frame of one pass, and the last box is the largest."""
    film = sequence(5, omitted=flags(5, 0))
    begun = starts(spatial_robustness(film))
    assert [t for t, _ in begun] == [1] * 12
    assert begun[0][1] == [1, 2, 3, 4]
    assert begun[1][1] == [3, 2, 3, 4]


def test_the_size_of_the_image_is_read_only_where_it_is_not_known():
    """The sequence's own word first; else the first frame; a frame that cannot be read is named."""
    assert image_size(sequence(2)) == (80, 60)
    assert image_size(Sequence("a", Unseen(2), np.ones((2, 4)), size=(7, 5))) == (7, 5)
    with pytest.raises(FrameError, match="sequence a, frame 0: FileNotFoundError"):
        image_size(Sequence("a", Unseen(2), np.ones((2, 4))))


# Resets


def tracked(film, lost, nowhere=()):
    """Asked frames and failures, where the answer is true but for frames `lost` (far away) and `nowhere` (NaN)."""

    def answer(t):
        region = film.region(t)
        if t in nowhere:
            return np.full(4, np.nan)
        if t in lost:
            return np.array([60.0, 50, 5, 5])
        return region

    return perform(only(supervised_reset(film)), answer)


def test_a_failure_is_followed_by_a_new_start_five_frames_later():
    """After a failure in frame 3 frames 4 to 7 are not asked for, and 8 is a start."""
    asked, failures = tracked(sequence(14), lost={3, 5, 11})
    assert failures == (3, 11)
    assert [t for t, _ in asked] == [0, 1, 2, 3, 8, 9, 10, 11]
    assert [t for t, region in asked if region is not None] == [0, 8]


def test_a_failure_near_the_end_ends_the_run():
    """Where fewer than 5 frames are left there is no further start."""
    asked, failures = tracked(sequence(8), lost={3})
    assert failures == (3,)
    assert [t for t, _ in asked] == [0, 1, 2, 3]
    assert [t for t, _ in tracked(sequence(9), lost={3})[0]] == [0, 1, 2, 3, 8]


def test_a_tracker_that_says_nothing_has_failed():
    """A prediction of NaN overlaps nothing."""
    assert tracked(sequence(4), lost=(), nowhere={2})[1] == (2,)


def test_absent_groundtruth_is_no_failure_and_no_start():
    """A prediction beside an absent target goes on; a start waits for the target."""
    boxes = sequence(16).groundtruth
    boxes[[0, 5, 9, 10]] = np.nan
    film = sequence(16, groundtruth=boxes)
    asked, failures = tracked(film, lost={4, 5, 11}, nowhere={5, 9, 10})
    assert failures == (4,)
    assert [t for t, region in asked if region is not None] == [1, 11]
    assert [t for t, _ in asked] == [1, 2, 3, 4, *range(11, 16)]


def test_failures_are_judged_on_the_annotated_region():
    """A box inside the bounding box of a thin diagonal polygon, but off the polygon, has failed; one on it has not."""
    polygon = np.array([10.0, 10, 14, 10, 50, 50, 46, 50])
    mask = masks.of_polygon(polygon, (80, 60))
    for regions in (np.tile(polygon, (3, 1)), np.tile(mask, (3, 1, 1))):
        film = sequence(3, groundtruth=np.tile([10.0, 10, 40, 40], (3, 1)), regions=regions)
        for box, failures in (([40.0, 12, 5, 5], (1,)), ([28.0, 28, 4, 4], ())):
            assert perform(only(supervised_reset(film)), lambda t, box=box: np.array(box))[1] == failures


@pytest.mark.parametrize(("shift", "failures"), [(2.4, ()), (2.6, (1,)), (3.0, (1,))])
def test_an_overlap_of_less_than_a_pixel_is_a_failure(shift, failures):
    """As in the VOT toolkit boxes are rounded to pixels: 3 wide from 1, and from 3.6 or 4 on, share none."""
    film = sequence(2, groundtruth=np.tile([1.0, 2, 3, 4], (2, 1)))
    assert perform(only(supervised_reset(film)), lambda t: np.array([1 + shift, 2, 3, 4]))[1] == failures


def test_grey_frames_are_rgb_without_a_copy():
    """A grey frame reads as (height, width, 3) and shares its memory with the film."""
    film = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
    image = GreyFrames(film)[1]
    assert image.shape == (3, 5, 3)
    assert (image == film[1, :, :, None]).all()
    assert np.shares_memory(image, film)


def test_a_sequence_has_a_box_for_each_of_its_frames():
    """Frames without boxes, boxes without frames, and no frames at all, are refused by the sequence's name."""
    film = GreyFrames(np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(ValueError, match=r"sequence walk: expected groundtruth of shape \(3, 4\).*got \(2, 4\)"):
        Sequence("walk", film, np.zeros((2, 4)))
    with pytest.raises(ValueError, match="sequence walk: expected at least one frame"):
        Sequence("walk", GreyFrames(np.zeros((0, 8, 8), np.uint8)), np.zeros((0, 4)))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([1, 1, np.nan, 2], "finite box of positive size"),
        ([1, 1, 0, 2], "finite box of positive size"),
        ([1, 1, 2, -1], "finite box of positive size"),
        ([8, 1, 2, 2], "touches the 8 x 6 image, got x=8"),
        ([1, 6, 2, 2], "touches the 8 x 6 image"),
        ([-2, 1, 2, 2], "touches the 8 x 6 image"),
        ([1, -3, 2, 3], "touches the 8 x 6 image"),
    ],
)
def test_check_box_refuses(box, message):
    """A box to start on is finite, has a size, and has a part inside the image."""
    with pytest.raises(ValueError, match=f"here: expected .*{message}"):
        check_box(np.array(box, float), np.zeros((6, 8, 3), np.uint8), "here")


def test_check_box_lets_a_box_cross_the_border():
    """A box that is partly outside is a box."""
    check_box(np.array([-1.5, 5, 2, 3]), np.zeros((6, 8, 3), np.uint8), "here")


# Random clips


def test_random_clips_have_32_frames_behind_their_first():
    """Twenty different starts, in order, each on the groundtruth, and the 32 frames behind it."""
    film = sequence(80)
    found = [perform(play)[0] for play in random_clips(film)]
    assert [asked[0][0] for asked in found] == clip_starts(film, 20)
    assert len(found) == len({asked[0][0] for asked in found}) == 20
    for asked in found:
        start = asked[0][0]
        assert asked[0] == (start, [start + 1, 2, 3, 4])
        assert [t for t, _ in asked] == list(range(start, start + 33))


@given(st.integers(1, 120), st.sets(st.integers(0, 119)), st.integers(1, 30))
def test_random_clips_start_where_32_frames_are_left(length, omitted, number):
    """As many as asked for, or all there are; without any, one, from the first frame that is allowed, to the end."""
    film = sequence(length, omitted=flags(length, *omitted))
    long = [t for t in range(length - 32) if t not in omitted]
    if set(range(length)) <= omitted:
        long = list(range(length - 32))
    starts = clip_starts(film, number)
    assert starts == sorted(set(starts))
    if long:
        assert set(starts) <= set(long)
        assert len(starts) == min(number, len(long))
    else:
        assert starts == [first_start(film)]
        assert perform(only(random_clips(film)))[0][-1][0] == length - 1


def test_the_name_of_a_sequence_draws_its_clips():
    """The same sequence has the same clips, whoever asks, of which a smaller number are some; another has others."""
    film = sequence(200)
    other = Sequence("b", film.frames, film.groundtruth)
    assert clip_starts(film, 20) == clip_starts(film, 20) != clip_starts(other, 20)
    assert set(clip_starts(film, 5)) < set(clip_starts(film, 20))


def masked(length, *empty):
    """As `sequence`, with masks that are empty in these frames, though the boxes are not."""
    shown = np.zeros((length, 60, 80), bool)
    shown[:, 2:6, 1:4] = True
    shown[list(empty)] = False
    return sequence(length, regions=shown)


def test_no_run_starts_on_an_empty_mask():
    """Random clips, and VOT's runs and their resets, start where a pixel of the target is shown."""
    assert clip_starts(masked(40, 0, 2, 5), 20) == [1, 3, 4, 6, 7]
    assert clip_starts(masked(20, 0, 1), 20) == [2]
    nothing = np.zeros((60, 80), bool)
    asked, failures = perform(only(supervised_reset(masked(12, 0, 6))), lambda t: nothing)
    assert [t for t, start in asked if start is not None] == [1, 7]
    assert failures == (2, 8)  # the fifth after the first of these is the empty one


def test_a_frame_with_an_empty_mask_is_no_failure():
    """Whatever was predicted there; an empty mask that was predicted elsewhere is one."""
    full = np.ones((60, 80), bool)
    asked, failures = perform(only(supervised_reset(masked(5, 2, 3))), lambda t: full)
    assert failures == ()
    _, failures = perform(only(supervised_reset(masked(5, 2))), lambda t: full & (t != 3))
    assert failures == (3,)
