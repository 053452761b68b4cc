from functools import partial

import numpy as np
import pytest
import torch

from trackers.boxes import centre, iou
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass, supervised_reset
from trackers.evaluation.trajectory import Event
from trackers.families.rman import Learning, tracking

both = pytest.mark.parametrize("features", ["roi_align", pytest.param("patches", marks=pytest.mark.slow)])
VARIANTS = {
    "Baseline": {"recurrent": False, "activation": "none", "coherence": 0.0, "compactness": 0.0},
    "LSTM": {"activation": "none", "coherence": 0.0, "compactness": 0.0},
    "MAL": {"recurrent": False},
    "APL": {"activation": "average"},
}
BRIEF = {"first": Learning(3, 2e-2), "update": Learning(1, 5e-3)}  # where it need not follow anything


def boxes(tracker, films, lanes=8, protocol=one_pass, seed=0):
    """Boxes (T, 4) by sequence and run; NaN where nothing was said."""
    played = follow(tracker, protocol, films, lanes, seed=seed)
    return {(run.sequence, run.run): run.boxes for run in played}


def start(tracker, lanes, films, seeds=None):
    """Start lanes on the first frames of films."""
    if seeds is not None:
        tracker.reseed(lanes, seeds)
    tracker.initialize(lanes, [film.frames[0] for film in films], np.stack([film.groundtruth[0] for film in films]))


def assert_same(found, expected, atol=0.0):
    assert found.keys() == expected.keys()
    for run in expected:
        np.testing.assert_allclose(found[run], expected[run], atol=atol, rtol=0, err_msg=str(run))


@both
def test_it_follows_a_target(features, make, film):
    """What was learnt in the first frame finds the target where it went, better than a box that stands still."""
    films = [film(seed) for seed in range(3)]
    for (name, _), found in boxes(make(features=features), films).items():
        truth = next(one.groundtruth for one in films if one.name == name)
        standing = iou(truth[:1], truth)[1:].mean()
        assert iou(found, truth)[1:].mean() > max(0.5, standing + 0.15), name


@pytest.mark.parametrize(
    "variant", ["Baseline", *(pytest.param(name, marks=pytest.mark.slow) for name in ("LSTM", "MAL", "APL"))]
)
def test_so_do_its_parts(variant, make, film):
    """Without the LSTM, the memory, or its weights, it is a tracker all the same."""
    one = film(1)
    [found] = boxes(make(**VARIANTS[variant]), [one]).values()
    assert iou(found, one.groundtruth)[1:].mean() > iou(one.groundtruth[:1], one.groundtruth)[1:].mean() + 0.05


def test_draws_are_by_seed(make, film):
    """The same seed gives the same boxes, another one other boxes, from the first step on."""
    films = [film(0, length=3)]
    first, again, other = (boxes(make(**BRIEF), films, seed=seed) for seed in (1, 1, 2))
    assert_same(again, first)
    for run in first:
        assert not np.allclose(first[run][1], other[run][1])


@both
@pytest.mark.parametrize(("lanes", "order"), [(2, -1), pytest.param(8, 1, marks=pytest.mark.slow)])
def test_lanes_do_not_meet(lanes, order, features, make, film):
    """One lane and eight, and two that are filled again in another order, give the same boxes to 1e-3 pixels."""
    films = [film(seed, length=3 + seed % 2) for seed in range(4)]
    alone = boxes(make(features=features, **BRIEF), films, lanes=1)
    assert_same(boxes(make(features=features, **BRIEF), films[::order], lanes), alone, 1e-3)


@pytest.mark.slow
def test_nor_do_they_where_failures_start_them_again(make, film):
    """With resets, in which lanes learn their first frames while others step, runs are as alone."""
    films = [film(0, length=8, jumps=2), film(1, length=4)]
    protocol = partial(supervised_reset, repetitions=2)
    tracker, events = make(**BRIEF), []
    alone = boxes(make(**BRIEF), films, 1, protocol)
    together = {}
    for run in follow(tracker, protocol, films, 4):
        together[run.sequence, run.run] = run.boxes
        events.append(run.events.tolist())
    assert any(Event.FAILED in some and some.count(Event.INITIALIZED) > 1 for some in events)
    assert_same(together, alone, 1e-3)


def test_a_start_leaves_other_lanes_alone(make, film):
    """A lane that is started again between two steps of another changes nothing of what that one says."""
    one, other = film(0), film(1)
    found = []
    for disturbed in (False, True):
        tracker = make(every=2, **BRIEF)
        start(tracker, [4], [one], [7])
        said = []
        for t in range(1, 3):
            if disturbed:
                start(tracker, [t % 3], [other])
            said.append(tracker.update([4], [one.frames[t]])[0])
        found.append(said)
    np.testing.assert_array_equal(*found)


def test_a_lane_forgets_what_it_followed(make, film):
    """With a seed of its own, the second sequence in a lane is told as the first one of a new tracker."""
    first, second = film(0), film(1)
    used, fresh = make(every=2, **BRIEF), make(every=2, **BRIEF)
    start(used, [2], [first], [1])
    for t in range(1, 3):
        used.update([2], [first.frames[t]])
    start(used, [2], [second], [5])
    start(fresh, [0], [second], [5])
    for t in range(1, 3):
        image = second.frames[t]
        np.testing.assert_array_equal(used.update([2], [image]), fresh.update([0], [image]))


def test_a_restart_draws_on(make, film):
    """Without a new seed a second start on the same frame learns from other samples, and says other boxes."""
    tracker, one = make(**BRIEF), film(0)
    said = []
    for seeds in ([3], None, [3]):
        start(tracker, [0], [one], seeds)
        said.append(tracker.update([0], [one.frames[1]])[0].tolist())
    assert said[0] == said[2] != said[1]


class Seen:
    """Notes the boxes (n, 4) that a tracker looks at, call by call."""

    def __init__(self, tracker):
        self.see, self.boxes = tracker.see, []
        tracker.see = self

    def __getattr__(self, name):
        return getattr(self.see, name)

    def __call__(self, images, boxes, targets):
        self.boxes.append(boxes)
        return self.see(images, boxes, targets)


def sure(tracker, log_odds):
    """From here on every candidate of lane l is this likely to be the target: log_odds[l]."""

    def scores(lanes, seen):
        positive = torch.tensor([[log_odds[lane]] for lane in lanes]).expand(-1, len(seen[0]))
        return torch.stack([torch.zeros_like(positive), positive], 2)

    tracker.scores = scores


def test_a_target_that_is_not_found_stays_and_is_looked_for_farther(make, film):
    """At a probability of a half the box stays, and the next candidates are up to 1.5 sides away instead of 0.6."""
    one, tracker = film(0, size=(200, 200)), make(found=0.5, **BRIEF)
    start(tracker, [0, 1], [one, one])
    for lane in tracker.lanes.values():
        lane.box = lane.refined = np.array([90.0, 90, 24, 24])
    seen = Seen(tracker)

    def farthest(log_odds):
        """How far the candidates of each lane are, in sides of where its target was; and whether what it says moved."""
        sure(tracker, log_odds)
        seen.boxes.clear()
        before, said = ([getattr(tracker.lanes[lane], box) for lane in (0, 1)] for box in ("box", "refined"))
        found = tracker.update([0, 1], [one.frames[1]] * 2)
        candidates = seen.boxes[0]
        reach = [np.abs(centre(c) - centre(b)).max() / b[2:].mean() for c, b in zip(candidates, before, strict=True)]
        moved = [not np.array_equal(*pair) for pair in zip(found, said, strict=True)]
        assert moved == [not np.array_equal(tracker.lanes[lane].box, before[lane]) for lane in (0, 1)]
        return np.round(reach, 6), moved

    (near, other), moved = farthest([0.0, 0.1])
    assert near <= 0.6 and other <= 0.6 and moved == [False, True]
    (far, near), moved = farthest([0.1, -5.0])
    assert 0.6 < far <= 1.5 and near <= 0.6 and moved == [True, False]
    (near, far), moved = farthest([0.1, 0.1])
    assert near <= 0.6 < far <= 1.5 and moved == [True, True]


def test_samples_are_of_frames_in_which_it_was_found(make, film):
    """Elsewhere none are collected; the predicted patch is remembered anyway (Section IV-C)."""
    one, tracker = film(0), make(found=0.5, **BRIEF)
    start(tracker, [0], [one])
    kept = tracker.lanes[0].recollection
    for t, likely in enumerate((1.0, -1.0, 0.0, 1.0), 1):
        moments, patches = len(kept.moments), list(kept.patches)
        sure(tracker, [likely])
        tracker.update([0], [one.frames[t]])
        assert len(kept.moments) == moments + (likely > 0)
        assert all(a is b for a, b in zip(list(kept.patches)[:-1], patches[1:], strict=True))
        assert not any(kept.patches[-1] is patch for patch in patches)


def test_samples_follow_the_patches_before_theirs(make, film):
    """Those of frame T come after the patches predicted in frames T - K to T - 1, the oldest first."""
    one, tracker = film(0), make(**BRIEF)
    start(tracker, [0], [one])
    kept = tracker.lanes[0].recollection
    predicted = [kept.patches[-1]] * 3
    assert all(a is b for a, b in zip(kept.moments[-1].remembered, predicted, strict=True))
    for t in range(1, 6):
        tracker.update([0], [one.frames[t]])
        assert all(a is b for a, b in zip(kept.moments[-1].remembered, predicted[-3:], strict=True))
        predicted.append(kept.patches[-1])
        [own] = tracker.see([one.frames[t]], [tracker.lanes[0].box[None]], [tracker.lanes[0].box])
        torch.testing.assert_close(predicted[-1], own[0], rtol=1e-4, atol=1e-4)


def test_positives_overlap_the_target_and_negatives_hardly(make, film):
    """In the first frame and later, as tau_1 and tau_2 say; there are as many as set, of which some are anywhere."""
    one, tracker = film(2, size=(120, 120)), make(**BRIEF)
    seen = Seen(tracker)
    start(tracker, [0], [one])
    tracker.update([0], [one.frames[1]])
    own = tracker.config.sampling
    for drawn, box, counts in (
        (seen.boxes[0][0], one.groundtruth[0], (own.regression, own.first_positives, own.first_negatives)),
        (seen.boxes[2][0], tracker.lanes[0].box, (0, own.positives, own.negatives)),
    ):
        assert drawn[0].tolist() == box.tolist() and len(drawn) == 1 + sum(counts)
        around, positives, negatives = np.split(iou(drawn[1:], box), np.cumsum(counts)[:-1])
        assert (around >= 0.6).all() and (positives >= 0.7).all() and (negatives <= 0.3).all()


def test_the_first_frame_is_kept_as_one_of_many(make, film):
    """Of its negatives as many go on being learnt from as later frames have, evenly taken."""
    tracker = make(**BRIEF)
    start(tracker, [0], [film(0)])
    [first] = tracker.lanes[0].recollection.moments
    assert (len(first.positives), len(first.negatives)) == (16, 12)


@pytest.fixture
def lessons(monkeypatch):
    """What lanes learn from, lesson by lesson."""
    noted, learn = [], tracking.learn

    def note(heads, draws, objective, generators):
        noted.append((objective.rate, draws))
        return learn(heads, draws, objective, generators)

    monkeypatch.setattr(tracking, "learn", note)
    return noted


def test_it_learns_every_so_many_frames_of_its_lane(lessons, make, film):
    """N_3 frames after each lane's own start, and again; lanes that are due at once learn at once."""
    one, tracker = film(0), make(every=2, first=Learning(2, 0.25), update=Learning(1, 0.125))
    start(tracker, [0, 1], [one, one])
    assert [(rate, len(draws)) for rate, draws in lessons] == [(0.25, 2)]
    due = []
    for t in range(1, 6):
        if t == 4:
            start(tracker, [1], [one])
        lessons.clear()
        tracker.update([0, 1], [one.frames[t]] * 2)
        due.append([len(draws) for rate, draws in lessons if rate == 0.125])
    assert due == [[], [2], [], [1], [1]]


def test_it_learns_from_the_last_frames_in_which_it_was_found(lessons, make, film):
    """Of positives `long` frames, of negatives `short` ones, however many there were."""
    one = film(0, length=10)
    tracker = make(long=4, short=2, every=9, first=Learning(1, 0.1), update=Learning(9, 0.1))
    start(tracker, [0], [one])
    for t in range(1, 10):
        tracker.update([0], [one.frames[t]])
    _, [draws] = lessons[-1]
    assert len(draws.sequences) == 4
    assert sorted(set(draws.of[draws.positives.flatten()].tolist())) == [0, 1, 2, 3]
    assert sorted(set(draws.of[draws.candidates.flatten()].tolist())) == [2, 3]


def test_first_sequences_are_drawn_from_its_positives(lessons, make, film):
    """In the first frame all that is remembered are positive samples of it (Section IV-A), in eight sequences."""
    tracker = make(**BRIEF)
    start(tracker, [0], [film(0)])
    [(_, [draws])] = lessons
    kept = tracker.lanes[0].recollection.moments[0].positives
    assert draws.sequences.shape == (8, 3)
    for patch in draws.rows[: draws.patches]:
        assert (kept == patch).all(1).any()
    assert len({tuple(some) for some in draws.sequences.tolist()}) > 1


def test_the_mean_of_the_best_candidates_is_taken(make, film):
    """One of them is the likeliest itself; of more their mean; without a box regression as they were drawn."""
    one = film(0)
    for best in (1, 4):
        tracker = make(best=best, **BRIEF)
        start(tracker, [0], [one])
        tracker.lanes[0].regressor = None
        seen = Seen(tracker)
        odds = torch.linspace(-1, 1, 32)[torch.randperm(32, generator=torch.Generator().manual_seed(0))]
        tracker.scores = lambda lanes, seen, odds=odds: torch.stack([torch.zeros(1, 32), odds[None]], 2)
        found = tracker.update([0], [one.frames[1]])
        np.testing.assert_allclose(found[0], seen.boxes[0][0][odds.argsort()[-best:].numpy()].mean(0))


def test_boxes_are_regressed_where_the_target_was_found(make, film):
    """What the regressor makes of the candidates is the box, in the image; it is not asked where none was found.

    Then what was said last is said again.
    """
    one, tracker, asked = film(0), make(found=0.5, **BRIEF), []
    start(tracker, [0], [one])
    started = one.groundtruth[0].tolist()

    def regress(features, drawn):
        asked.append(len(drawn))
        return np.tile([-5.0, 10, 25, 30], (len(drawn), 1))

    tracker.lanes[0].regressor = regress
    for likely, count, said in ((-1.0, [], started), (1.0, [3], [0, 10, 20, 30]), (-1.0, [3], [0, 10, 20, 30])):
        sure(tracker, [likely])
        found = tracker.update([0], [one.frames[1]])
        assert asked == count and found.tolist() == [said]


def test_a_regressed_box_is_only_said(make, film):
    """The search goes on around the mean of the best candidates, and samples are of there, whatever was said."""
    one, tracker = film(0, size=(200, 200)), make(best=4, **BRIEF)
    start(tracker, [0], [one])
    tracker.lanes[0].regressor = lambda features, drawn: np.tile([5.0, 160, 40, 12], (len(drawn), 1))
    odds = torch.linspace(-1, 1, 32)
    tracker.scores = lambda lanes, seen: torch.stack([torch.zeros(1, 32), odds[None]], 2)
    seen = Seen(tracker)
    for t in (1, 2):
        seen.boxes.clear()
        before = tracker.lanes[0].box
        assert tracker.update([0], [one.frames[t]]).tolist() == [[5, 160, 40, 12]]
        candidates, samples = (boxes for [boxes] in seen.boxes)
        assert np.abs(centre(candidates) - centre(before)).max() <= 0.6 * before[2:].mean() + 1e-9
        np.testing.assert_allclose(tracker.lanes[0].box, candidates[-4:].mean(0))
        np.testing.assert_allclose(samples[0], candidates[-4:].mean(0))


def test_it_has_dice(make):
    """It says that it is stochastic, starts on boxes, and is shown no truth."""
    tracker = make()
    assert tracker.stochastic and tracker.region == "box" and not tracker.oracle
