import numpy as np
import pytest
import torch
import torch.nn.functional as F

from trackers.backbones import vgg16
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass
from trackers.families.pixelwise import fcn, learning, rois, segmentation, tracker
from trackers.families.pixelwise.locating import Centroid
from trackers.families.pixelwise.tracking import Pixelwise, Recurrent, Refined
from trackers.inference import MinimalFiltering
from trackers.sequence import Sequence

KINDS = {
    "2-stage": {},
    "1-stage": {"stages": "1-stage"},
    "near": {"stages": "near"},
    "FCN": {"stages": "1-stage", "network": "FCN"},
    "FCN near": {"stages": "near", "network": "FCN"},
}
# Each locator and each segmenter is in one of the others.
AGAIN = ("1-stage", "FCN near")
each_kind = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind in AGAIN else ()) for kind in KINDS]
)


@pytest.fixture(scope="module")
def make(small, random_weights):
    """A tracker of a kind, untrained but lively, made anew with every call."""

    def made(kind, **settings):
        config = small(**KINDS[kind], **settings)
        return tracker(config, random_weights(config), "cpu")

    return made


@pytest.fixture(scope="module")
def videos(films):
    return films(5, length=4)


def tracked(one, videos, lanes):
    """By name, what was said of each frame after the first: mask, and how likely each pixel of which window."""
    said = {}

    def note(sequence, t, own, lane):
        if t:
            window, probabilities = own.soft([lane])[0]
            said.setdefault(sequence.name, []).append((own.found[lane].mask, window, probabilities))

    assert len(list(follow(one, one_pass, videos, lanes, note))) == len(videos)
    return said


def start(one, lanes, videos, t=0):
    """Start lanes on frame t of videos."""
    if one.oracle:
        one.reveal(lanes, videos, [t] * len(videos))
    one.initialize(lanes, [video.frames[t] for video in videos], [video.regions[t] for video in videos])


@each_kind
def test_lanes_do_not_meet(kind, make, videos):
    """Videos tracked one by one, or together in lanes that are filled again, are told the same."""
    alone, together = tracked(make(kind), videos, 1), tracked(make(kind), videos[::-1], 3)
    for name, frames in alone.items():
        for one, other in zip(frames, together[name], strict=True):
            (mask, window, likely), (other_mask, other_window, other_likely) = one, other
            assert window.tolist() == other_window.tolist()
            np.testing.assert_allclose(likely, other_likely, atol=1e-4)
            assert np.mean(mask != other_mask) < 0.01
    windows = {tuple(window) for frames in alone.values() for _, window, _ in frames}
    assert len(windows) > len(videos)
    assert max(np.ptp(likely) for frames in alone.values() for *_, likely in frames) > 0.01


@each_kind
def test_a_restarted_lane_remembers_nothing(kind, make, videos):
    """After frames of another video, and a start in a lane, it says what a new tracker does."""
    used, fresh, (video, other) = make(kind), make(kind), videos[:2]
    start(used, [0, 1], [other, other])
    for t in range(1, 3):
        used.update([0, 1], [other.frames[t]] * 2)
    for one in (used, fresh):
        start(one, [1], [video], 1)
    for t in range(2, 4):
        for one in (used, fresh):
            one.update([1], [video.frames[t]])
        (window, likely), (other_window, other_likely) = used.soft([1])[0], fresh.soft([1])[0]
        assert window.tolist() == other_window.tolist()
        np.testing.assert_allclose(likely, other_likely, atol=1e-5)


@each_kind
def test_masks_have_the_frames_size(kind, make, videos):
    """They are bool, of each frame's own size, and on where the map of the window says more than `cut`."""
    small = videos[0]
    large = Sequence(
        "large", np.pad(small.frames, ((0, 0), (0, 20), (0, 10), (0, 0))), small.groundtruth,
        regions=np.pad(small.regions, ((0, 0), (0, 20), (0, 10))),
    )  # fmt: skip
    one = make(kind, cut=0.4)
    start(one, [5, 2], [small, large])
    for t in range(1, 4):
        masks = one.update([5, 2], [small.frames[t], large.frames[t]])
        assert [mask.shape for mask in masks] == [(48, 64), (68, 74)]
        for mask, (window, likely) in zip(masks, one.soft([5, 2]), strict=True):
            assert mask.dtype == bool and likely.dtype == np.float32
            assert likely.shape == (window[3], window[2]) and likely.min() >= 0 and likely.max() <= 1
            assert np.array_equal(mask, rois.filled(likely > 0.4, window, mask.shape))


@each_kind
def test_rois_beyond_the_image_are_tracked(kind, make, blob):
    """A target in the corner has a first ROI of which three quarters are outside; tracking goes on from there."""
    frames = np.random.default_rng(0).integers(0, 256, (4, 48, 64, 3), np.uint8)
    masks = np.stack([blob(48, 64, 62, 46, 2, 2)] * 4)
    corner = Sequence("corner", frames, np.tile([62.0, 46, 2, 2], (4, 1)), regions=masks)
    assert rois.first(masks[0], make(kind).roi).tolist() == [55, 39, 16, 16]
    said = tracked(make(kind), [corner], 1)["corner"]
    assert all(mask.shape == (48, 64) and np.isfinite(likely).all() for mask, _, likely in said)


@each_kind
def test_targets_may_vanish(kind, make, videos):
    """Empty masks after the first frame are legal: tracking goes on through them."""
    video = videos[0]
    masks, boxes = video.regions.copy(), video.groundtruth.copy()
    masks[1:3], boxes[1:3] = False, np.nan
    said = tracked(make(kind), [Sequence("gone", video.frames, boxes, regions=masks)], 1)["gone"]
    assert len(said) == len(video) - 1


@each_kind
def test_an_empty_first_mask_is_refused(kind, make, videos):
    """Nobody can say what to track; nor in a mask of another size than the image."""
    one, video = make(kind), videos[0]
    if one.oracle:
        one.reveal([0], [video], [0])
    with pytest.raises(ValueError, match="expected a mask with at least one pixel of the target"):
        one.initialize([0], [video.frames[0]], [np.zeros((48, 64), bool)])
    with pytest.raises(ValueError, match=r"expected a mask of the image's size \(48, 64\), got \(47, 64\)"):
        one.initialize([0], [video.frames[0]], [video.regions[0][1:]])


@each_kind
def test_what_it_starts_on_and_is_shown(kind, make):
    """All start on masks; those that look near the groundtruth are oracles, and no others."""
    one = make(kind)
    assert one.region == "mask" and not one.stochastic
    assert one.oracle is ("near" in kind)


def test_memory_cells_are_both_layers(make, videos):
    """The local model shows the cells of its ConvLSTMs, those of each lane; the FCN remembers nothing."""
    one = make("1-stage")
    start(one, [1, 4], videos[:2])
    before = one.memory([1, 4])
    one.update([1, 4], [video.frames[1] for video in videos[:2]])
    cells = one.memory([4, 1])
    assert {name: layer.shape for name, layer in cells.items()} == {f"ConvLSTM {i}": (2, 3, 2, 2) for i in (1, 2)}
    for name, layer in cells.items():
        assert np.array_equal(layer[:1], one.memory([4])[name])
        assert not np.array_equal(layer[::-1], before[name])
    baseline = make("FCN")
    start(baseline, [0], videos[:1])
    assert baseline.memory([0]) is None


def refined(config, iterations=20, rate=0.3):
    torch.manual_seed(0)
    return Refined(learning.fcn_model(config), fcn.Refining(iterations, rate), "cpu")


def seen(count, seed=1):
    """pool4 of first ROIs, and their masks."""
    torch.manual_seed(seed)
    return torch.rand(count, 6, 2, 2), torch.rand(count, 32, 32) > 0.3


def test_refining_lowers_the_cost_on_the_first_frame(small):
    """In each lane cross entropy on its own first frame is lower than that of the network as it was trained."""
    one, (first, masks) = refined(small()), seen(3)
    before = F.binary_cross_entropy_with_logits(one.model(first), masks.float(), reduction="none").mean((1, 2))
    one.start([0, 1, 2], first, first, masks)
    after = F.binary_cross_entropy_with_logits(one([0, 1, 2], first), masks.float(), reduction="none").mean((1, 2))
    assert (after < before - 0.01).all()


def test_refining_is_gradient_descent_by_hand(small):
    """Three steps by autograd on one lane's own cost end at its weights."""
    one, (first, masks) = refined(small(), 3), seen(2)
    one.start([0, 1], first, first, masks)
    model = refined(small()).model
    for _ in range(3):
        model.zero_grad()
        F.binary_cross_entropy_with_logits(model(first[1:]), masks[1:].float()).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.3 * parameter.grad
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(one.weights[1][name], parameter.detach(), rtol=1e-4, atol=1e-6)


def test_refining_leaves_others_alone(small):
    """A lane's start changes neither the network as it was trained, nor another lane's weights."""
    one, (first, masks) = refined(small()), seen(3)
    common = {name: weight.clone() for name, weight in one.model.state_dict().items()}
    one.start([0, 1], first[:2], first[:2], masks[:2])
    kept = {name: weight.clone() for name, weight in one.weights[0].items()}
    one.start([1], first[2:], first[2:], masks[2:])
    assert all(torch.equal(kept[name], weight) for name, weight in one.weights[0].items())
    assert all(torch.equal(common[name], weight) for name, weight in one.model.state_dict().items())
    assert any(not torch.equal(kept[name], one.weights[1][name]) for name in kept)


def test_refining_is_the_same_in_any_lanes(small):
    """Weights are those of a lane started by itself, bit for bit; a lane that starts again is told by its new ones."""
    (first, masks), lanes = seen(3), [0, 1]
    together, alone = refined(small()), refined(small())
    together.start(lanes, first[:2], first[:2], masks[:2])
    before = together(lanes, first[:2])
    for lane, i in ((0, 0), (1, 2)):
        alone.start([lane], first[i, None], first[i, None], masks[i, None])
    together.start([1], first[2:], first[2:], masks[2:])
    for lane in lanes:
        assert all(torch.equal(alone.weights[lane][name], w) for name, w in together.weights[lane].items())
    after = together(lanes, first[:2])
    assert torch.equal(after, alone(lanes, first[:2]))
    assert torch.equal(after[0], before[0]) and not torch.allclose(after[1], before[1])
    assert torch.equal(together(lanes[::-1], first[:2].flip(0)).flip(0), after)


def test_without_iterations_it_is_as_it_was_trained(small):
    """With 0 of them nothing is refined."""
    one, (first, masks) = refined(small(), 0), seen(2)
    one.start([0, 1], first, first, masks)
    torch.testing.assert_close(one([0, 1], first), one.model(first))


def test_what_is_faster_on_a_cpu_says_the_same(small, random_weights, videos):
    """Models wide enough to be computed by minimal filtering, and the same as they learn, tell the same to 1e-4."""
    config = small(
        stages="1-stage",
        backbone=vgg16.Config((2, 2, 128, 128, 4)),
        local=segmentation.Widths(128, 2, (2, 2, 2)),
        size=64,
    )
    weights, said = random_weights(config), []
    fast = tracker(config, weights, "cpu")
    plain = learning.local_model(config)
    plain.load_state_dict({n.removeprefix("local."): w for n, w in weights.items() if n.startswith("local.")})
    backbone = vgg16.VGG16(config.backbone)
    backbone.load_state_dict({n.removeprefix("backbone."): w for n, w in weights.items() if n.startswith("backbone.")})
    slow = Pixelwise(backbone, Recurrent(plain, "cpu"), Centroid(config.roi), config.roi, 64, config.grown, 0.5, "cpu")
    for one in (fast, slow):
        start(one, [0], videos[:1])
        one.update([0], [videos[0].frames[1]])
        said.append(one.soft([0])[0].probabilities)
    for network in (fast.backbone, fast.segmenter.model):
        assert any(isinstance(layer, MinimalFiltering) for layer in network.modules())
    np.testing.assert_allclose(*said, atol=1e-4)
    assert np.ptp(said[0]) > 0.01
