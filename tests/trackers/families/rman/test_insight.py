import copy
import dataclasses

import numpy as np
import pytest
import torch

from trackers.boxes import iou
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass
from trackers.families.rman import Learning
from trackers.families.rman.insight import DRAWN
from trackers.families.rman.seeing import flattened

BRIEF = {"first": Learning(3, 2e-2), "update": Learning(1, 5e-3)}
BASELINE = {"recurrent": False, "activation": "none", "coherence": 0.0, "compactness": 0.0}
LSTM = {"activation": "none", "coherence": 0.0, "compactness": 0.0}


def start(tracker, lanes, films):
    tracker.initialize(lanes, [film.frames[0] for film in films], np.stack([film.groundtruth[0] for film in films]))


def step(tracker, lanes, films, t):
    return tracker.update(lanes, [film.frames[t] for film in films])


def states(heads, patches):
    """h of each of these features (K, D), one after the other, gate by gate in NumPy."""
    own = {name: parameter.double().numpy() for name, parameter in heads.items()}
    h = c = np.zeros(own["recurrent.weight"].shape[1])
    found = []
    for x in patches.double().numpy():
        i, f, g, o = np.split(own["input.weight"] @ x + own["recurrent.weight"] @ h + own["input.bias"], 4)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        found.append(h)
    return found


def test_recalled_are_the_last_patches_and_their_weights(make, film):
    """The last K, the oldest first, then the chosen one; each weighs its state's cosine with that one's (Eq. 1).

    The first frame's stands for all before it. They are of where the target was found, before the box regression, as
    what is learnt from. Heads are those by which the frame was looked at.
    """
    one, tracker = film(0, length=7), make(every=2, **BRIEF)
    start(tracker, [5], [one])
    patches = [tracker.patches.pixels([one.frames[0]], [one.groundtruth[:1]])] * 4
    for t in range(1, 7):
        heads = tracker.lanes[5].heads
        step(tracker, [5], [one], t)
        patches.append(tracker.patches.pixels([one.frames[t]], [tracker.lanes[5].box[None]]))
        [found] = tracker.recalled([5])
        expected = torch.cat(patches[-4:]).permute(0, 2, 3, 1).numpy()
        assert found.patches.shape == (4, 75, 75, 3) and found.patches.dtype == np.uint8
        np.testing.assert_array_equal(found.patches, expected)
        with torch.no_grad():
            *before, chosen = states(heads, flattened(tracker.see.backbone(torch.cat(patches[-4:]))))
        cosines = [h @ chosen / np.linalg.norm(h) / np.linalg.norm(chosen) for h in before]
        assert found.weights.shape == (3,) and found.weights.dtype == np.float32
        np.testing.assert_allclose(found.weights, cosines, atol=1e-4)


def test_at_the_start_the_first_patch_is_recalled(make, film):
    """Before any step all patches are the first one."""
    one, tracker = film(0), make(**BRIEF)
    start(tracker, [0], [one])
    [found] = tracker.recalled([0])
    assert len(found.patches) == 4 and (found.patches == found.patches[0]).all()


@pytest.mark.parametrize(
    ("settings", "recalls"),
    [({"recurrent": False}, True), ({"activation": "average"}, True), (LSTM, False), (BASELINE, False)],
)
def test_what_weighs_no_memory_recalls_nothing(settings, recalls, make, film):
    """Without a memory layer there are no weights; with one, even of averages, what Eq. 1 says of its states."""
    one, tracker = film(0), make(**settings, **BRIEF)
    start(tracker, [0], [one])
    step(tracker, [0], [one], 1)
    found = tracker.recalled([0])
    assert (found is not None) == recalls
    if recalls:
        assert np.abs(found[0].weights).max() <= 1 + 1e-6


def looked(tracker, frame, box):
    """A lane that has looked at this box of this frame last; where its patch lies: x, y, width, height."""
    tracker.initialize([0], [frame], np.array([box], float))
    x, y, w, h = box
    grown = np.array([w, h]) * 75 / 55
    return (*(np.array([x, y]) + (np.array([w, h]) - grown) / 2), *grown)


def score(tracker, image):
    """How much the box of the last step would be like the target in this image, in double precision."""
    glance, backbone = tracker.lanes[0].past[-1], copy.deepcopy(tracker.patches.backbone).double()
    exact = dataclasses.replace(
        glance,
        heads={name: parameter.double() for name, parameter in glance.heads.items()},
        remembered=None if glance.remembered is None else glance.remembered.double(),
    )
    with torch.no_grad():
        pixels = tracker.patches.pixels([image], [glance.box[None]]).double()
        return exact.score(flattened(backbone(pixels)), tracker.config.activation).item()


@pytest.mark.parametrize("settings", [{}, BASELINE])
def test_attention_is_the_scores_derivative(settings, make):
    """Where the patch has the image's own pixels, it is how fast the score changes with each, in its largest channel.

    It is nothing outside of the patch, and never negative.
    """
    tracker = make(**settings, **BRIEF)
    frame = np.random.default_rng(0).integers(9, 247, (100, 120, 3)).astype(np.uint8)  # no two maxima alike
    x, y, w, h = (int(edge) for edge in looked(tracker, frame, (30, 25, 55, 55)))
    assert (w, h) == (75, 75)
    [found] = tracker.attention([0])
    assert found.shape == (100, 120) and (found >= 0).all() and found.max() > 0
    outside = np.ones_like(found, bool)
    outside[y : y + h, x : x + w] = False
    assert not found[outside].any()
    strongest = np.unravel_index(found.argmax(), found.shape)
    for row, column in (strongest, (y + 30, x + 40)):
        slopes = []
        for channel in range(3):
            around = []
            for change in (1, -1):
                changed = frame.astype(int)
                changed[row, column, channel] += change
                around.append(score(tracker, changed.astype(np.uint8)))
            slopes.append((around[0] - around[1]) / 2)
        np.testing.assert_allclose(np.abs(slopes).max(), found[row, column], rtol=0.02)


def slopes_of_patch(tracker):
    """How fast the score changes with each pixel of the last step's patch: (75, 75), in the largest channel."""
    glance = tracker.lanes[0].past[-1]
    pixels = tracker.patches.pixels([glance.image], [glance.box[None]]).requires_grad_()
    score = glance.score(flattened(tracker.patches.backbone(pixels)), tracker.config.activation)
    [slopes] = torch.autograd.grad(score.sum(), [pixels])
    return slopes[0].abs().amax(0).numpy()


def test_attention_is_told_where_pixels_have_their_centres(make, film):
    """Where a patch has three pixels for each of the image, that of the middle one counts."""
    tracker = make(**BRIEF)
    looked(tracker, film(0).frames[0], (23 + 10 / 3, 13 + 10 / 3, 55 / 3, 55 / 3))  # its patch begins at 23, 13
    [found] = tracker.attention([0])
    np.testing.assert_allclose(found[13:38, 23:48], slopes_of_patch(tracker)[1::3, 1::3], rtol=1e-3, atol=1e-9)


def test_attention_of_a_large_target_is_told_where_it_lies(make, film):
    """Where a patch has one pixel for five by five of the image, its centre of mass is that in the image."""
    tracker = make(**BRIEF)
    x, y, w, h = looked(tracker, film(0, size=(500, 490)).frames[0], (100, 90, 275, 275))
    [found], slopes = tracker.attention([0]), slopes_of_patch(tracker)
    for axis, start in ((0, x), (1, y)):
        own, patch = found.sum(axis), slopes.sum(axis)
        expected = start + np.average((np.arange(75) + 0.5) * 5, weights=patch)
        assert np.average(np.arange(len(own)) + 0.5, weights=own) == pytest.approx(expected, abs=0.2)


def test_attention_is_of_the_frames_size(make, film):
    """Of a target across the border what lies in the image is told; each lane has its own frame."""
    tracker = make(**BRIEF)
    frames = [film(0).frames[0], film(1, size=(60, 50)).frames[0]]
    tracker.initialize([0, 1], frames, np.array([[-10.0, -5, 24, 24], [40, 30, 30, 30]]))
    [one], [other] = tracker.attention([0]), tracker.attention([1])
    assert (one.shape, other.shape) == ((72, 96), (50, 60))
    assert one.any() and other.any()


class Seen:
    """Notes the boxes that a tracker looks at."""

    def __init__(self, tracker):
        self.see, self.boxes = tracker.see, []
        tracker.see = self

    def __getattr__(self, name):
        return getattr(self.see, name)

    def __call__(self, images, boxes, targets):
        self.boxes += boxes
        return self.see(images, boxes, targets)


@pytest.mark.parametrize(("settings", "width"), [({}, 24), (LSTM, 12), (BASELINE, 4), ({"recurrent": False}, 24)])
def test_contrast_is_what_the_classifier_is_given(settings, width, make, film):
    """As many samples of the target as of the distractor: states and memory, or what the convolutions see."""
    one, tracker = film(0), make(**settings, **BRIEF)
    start(tracker, [3], [one])
    step(tracker, [3], [one], 1)
    [found] = tracker.contrast([3])
    for samples in found:
        assert samples.shape == (DRAWN, width) and samples.dtype == np.float32 and np.isfinite(samples).all()
    assert not np.allclose(found.positives.mean(0), found.negatives.mean(0))


def test_the_distractor_looks_most_like_the_target(make, film):
    """It hardly overlaps the target; a second square like the target's, near it, is what is taken."""
    one = film(0, size=(200, 120))
    x, y, w, h = one.groundtruth[0].astype(int)
    frame = one.frames[0].copy()
    other = x + 40 if x < 100 else x - 40
    frame[y : y + h, other : other + w] = frame[y : y + h, x : x + w]
    tracker = make()
    tracker.initialize([0], [frame], one.groundtruth[:1])
    seen = Seen(tracker)
    tracker.contrast([0])
    others, positives, negatives = seen.boxes
    assert (iou(others, one.groundtruth[0]) <= 0.3).all()
    assert iou(positives, one.groundtruth[0]).mean() > 0.6 and iou(negatives, one.groundtruth[0]).max() < 0.5
    assert iou(negatives, np.array([other, y, w, h], float)).mean() > 0.4


def test_asking_changes_nothing(make, film):
    """With all asked after each step, the boxes are those of a run in which nobody asks."""
    films = [film(0, length=3)]

    def ask(sequence, t, tracker, lane):
        for question in (tracker.recalled, tracker.attention, tracker.contrast):
            assert len(question([lane])) == 1

    quiet, asked = (list(follow(make(every=1, **BRIEF), one_pass, films, observe=observe)) for observe in (None, ask))
    for one, other in zip(quiet, asked, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
