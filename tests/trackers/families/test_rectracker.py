import math

import numpy as np
import pytest
import torch

from trackers.boxes import iou
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass
from trackers.families.rectracker import (
    Config,
    FullyConnected,
    GatedRecurrentUnits,
    Model,
    cost,
    steps,
    to_boxes,
    to_corners,
    tracker,
)
from trackers.sequence import GreyFrames, Sequence
from trackers.training import Inputs, Silent, Training

VARIANTS = {
    "ID": {},
    "Att-1": {"attention": 1},
    "Att-3": {"attention": 3},
    "Conv": {"recurrent": False},
}
K = 24


class Squares:
    """Stand-in data: one bright square on black, that drifts."""

    def clips(self, count, *, seed, index, device, length=6, side=8):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
        start = torch.rand(count, 1, 2, generator=generator) * (K - side)
        velocity = torch.randn(count, 1, 2, generator=generator)
        at = (start + velocity * torch.arange(length)[:, None]).clamp(0, K - side)  # (count, length, 2)
        pixels = torch.arange(K)
        inside = (pixels >= at[..., None]) & (pixels < at[..., None] + side)  # (count, length, 2, K)
        frames = (inside[:, :, 1, :, None] & inside[:, :, 0, None, :]).to(torch.uint8) * 255
        return frames.to(device), torch.cat([at, torch.full_like(at, side)], -1).to(device)


def small(variant, **settings):
    sizes = {"image_size": K, "filters": 4, "filter_size": 6, "stride": 3, "units": 8}
    return Config(**{**sizes, **VARIANTS[variant], **settings})


def untrained(config, seed=0):
    """A model whose output weights are not zero, so that it does something."""
    torch.manual_seed(seed)
    model = Model(config)
    torch.nn.init.normal_(model.out.weight, std=0.5)
    return model


def clips(count=3, length=6, seed=0):
    frames, boxes = Squares().clips(count, seed=seed, index=0, device="cpu", length=length)
    noise = torch.randint(0, 60, frames.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return torch.maximum(frames, noise), boxes


def frame_by_frame(model, frames, given):
    """The definition (Eqs. 2-5), one frame after the other."""
    state, predicted = model.start(given[:, 0]), []
    for t in range(frames.shape[1]):
        if 1 <= t <= given.shape[1]:
            state = state._replace(box=given[:, t - 1])
        state = model.step(state, frames[:, t])
        predicted.append(state.box)
    return torch.stack(predicted[given.shape[1] :], 1)


def test_defaults_have_the_papers_sizes():
    """Appendix A: 32 filters of 10 x 10 with stride 5 give 11552 features to 200 gated recurrent units."""
    model = Model(Config())
    assert model.conv.weight.shape == (32, 1, 10, 10)
    assert model.see.weight.shape == (600, 19 * 19 * 32)
    assert model.out.weight.shape == (4, 200)
    conv = Model(Config(recurrent=False))
    assert conv.conv.weight.shape == (32, 4, 10, 10)
    assert conv.see.weight.shape == (200, 11552)
    assert conv.rec.place.weight.shape == (200, 16)
    assert Model(Config(attention=3)).out.weight.shape == (7, 200)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("stride", [3, 4])
def test_clip_at_once_equals_frame_by_frame(variant, k, stride):
    """Looking at all frames of a clip at once changes predictions and gradients by less than 1e-5."""
    model = untrained(small(variant, stride=stride))
    frames, boxes = clips()
    given = to_corners(boxes, K)[:, :k]
    results = []
    for run in (model, lambda *clip: frame_by_frame(model, *clip)):
        model.zero_grad()
        predicted = run(frames, given)
        predicted.square().sum().backward()
        results.append([predicted.detach(), *(p.grad.clone() for p in model.parameters())])
    assert results[0][0].shape == (3, 6 - k, 4)
    for at_once, stepped in zip(*results, strict=True):
        torch.testing.assert_close(at_once, stepped, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("N", [1, 2, 3])
def test_mask_is_the_printed_sum_of_gaussians(N):
    """The mask is the sum of N x N Gaussians at the centres, and with the deviation, of Section 3.1."""
    size = 40
    model = Model(Config(attention=N, image_size=size))
    x0, y0, x1, y1 = 10.0, 4.0, 20.0, 12.0
    s, r, a = math.log(0.1), math.log(0.15), math.log(3)
    corners = to_corners(torch.tensor([[x0, y0, x1 - x0, y1 - y0]]), size)
    mask = model.gaussians(corners, torch.tensor([[s, r, a]]))[0]
    sigma = math.exp(s) * size / 2
    for row, column in ((8, 15), (8, 21), (14, 15), (2, 9), (30, 30)):
        expected = 0.0
        for i in range(1, N + 1):
            for j in range(1, N + 1):
                cx = (x0 + x1) / 2 + (i - N / 2 - 0.5) * math.exp(r) * size
                cy = (y0 + y1) / 2 + (j - N / 2 - 0.5) * math.exp(r) * size
                square = (column + 0.5 - cx) ** 2 + (row + 0.5 - cy) ** 2
                expected += 3 * math.exp(-square / (2 * sigma**2))
        assert mask[row, column].item() == pytest.approx(expected, abs=1e-5)


def test_attention_looks_along_the_right_axes():
    """A target to the right and above is looked at to the right and above, not transposed."""
    model = Model(Config(attention=1))
    state = model.start(to_corners(torch.tensor([[75.0, 15.0, 10.0, 10.0]]), 100))
    mask = model.gaussians(state.box, state.gaze)[0]
    row, column = divmod(int(mask.argmax()), 100)
    assert column in (79, 80)
    assert row in (19, 20)


def test_first_frame_is_looked_at_as_in_the_original():
    """Before anything is predicted the deviation is 10 pixels of 100 and the amplitude 1."""
    model = Model(Config(attention=1))
    state = model.start(to_corners(torch.tensor([[40.5, 40.5, 20.0, 20.0]]), 100))
    mask = model.gaussians(state.box, state.gaze)[0]
    assert mask[50, 50].item() == pytest.approx(1)
    assert mask[50, 60].item() == pytest.approx(math.exp(-0.5), abs=1e-6)
    assert mask[60, 50].item() == pytest.approx(math.exp(-0.5), abs=1e-6)


def test_gated_recurrent_unit_worked_by_hand():
    """One unit follows Cho et al. 2014: h = z h + (1 - z) tanh(x + u (r h))."""
    unit = GatedRecurrentUnits(1)
    with torch.no_grad():
        unit.place.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0]]))
        unit.gates.weight.copy_(torch.tensor([[2.0], [3.0]]))
        unit.candidate.weight.fill_(4.0)
        h, memory = unit(torch.tensor([[0.1, 0.2, 0.3]]), torch.tensor([[0.5, -0.5, 0.25, 9.0]]), torch.tensor([[0.7]]))
    z = 1 / (1 + math.exp(-(0.1 + 0.5 + 2 * 0.7)))
    r = 1 / (1 + math.exp(-(0.2 - 0.5 + 3 * 0.7)))
    expected = z * 0.7 + (1 - z) * math.tanh(0.3 + 0.25 + 4 * r * 0.7)
    assert h.item() == memory.item() == pytest.approx(expected, abs=1e-6)


def test_recurrent_weights_are_orthogonal():
    """Each of the three square recurrent matrices is orthogonal at the start."""
    unit = GatedRecurrentUnits(16)
    for square in (*unit.gates.weight.split(16), unit.candidate.weight):
        torch.testing.assert_close(square @ square.T, torch.eye(16), atol=1e-5, rtol=0)


def test_conv_tracker_remembers_the_boxes_before():
    """The fully connected units see the four boxes before, oldest first, and keep the last three."""
    units = FullyConnected(1, history=4)
    with torch.no_grad():
        units.place.weight.copy_(torch.arange(16.0)[None] / 100)
        before, box = torch.arange(12.0)[None] / 10, torch.tensor([[5.0, 6.0, 7.0, 8.0]]) / 10
        h, memory = units(torch.tensor([[0.2]]), box, before)
    boxes = [*range(12), 5, 6, 7, 8]
    assert h.item() == pytest.approx(math.tanh(0.2 + sum(i * b for i, b in enumerate(boxes)) / 1000))
    assert torch.equal(memory, torch.cat([before, box], 1)[:, 4:])


def test_conv_tracker_sees_four_frames():
    """Without the boxes, ConvTracker's prediction depends on the frame and the three before it alone."""
    model = untrained(small("Conv"))
    torch.nn.init.zeros_(model.rec.place.weight)
    frames, boxes = clips(1, 8)
    given = to_corners(boxes, K)[:, :1]
    before = model(frames, given)[0, -1]
    for t in range(8):
        changed = frames.clone()
        changed[:, t] = 255 - changed[:, t]
        assert torch.allclose(model(changed, given)[0, -1], before, atol=1e-6) == (t < 4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_given_boxes_replace_predictions(variant):
    """The first k boxes are fed in as given: each of them matters, and no prediction is made of them."""
    model = untrained(small(variant))
    frames, boxes = clips()
    corners = to_corners(boxes, K)
    before = model(frames, corners[:, :2])
    assert before.shape == (3, 4, 4)
    for t in range(2):
        changed = corners[:, :2].clone()
        changed[:, t] *= 0.5
        assert not torch.allclose(model(frames, changed), before)


def test_cost_worked_by_hand():
    """Half the squared error of the last frame, plus those of all frames; the mean over clips."""
    predicted = torch.zeros(2, 3, 4)
    target = torch.zeros(2, 3, 4)
    target[0, 0] = torch.tensor([1.0, 2.0, 0.0, 0.0])  # squared error 5, not last
    target[1, 2] = torch.tensor([0.0, 0.0, 3.0, 0.0])  # squared error 9, last
    assert cost(predicted, target, 1.0).item() == pytest.approx(((5 + 9) / 2 + 9 / 2) / 2)
    assert cost(predicted, target, 0.0).item() == pytest.approx(9 / 2 / 2)


def test_corners_span_the_frame():
    """The whole frame is (-1, -1, 1, 1), and boxes come back from corners."""
    assert to_corners(torch.tensor([0.0, 0.0, 50.0, 50.0]), 50).tolist() == [-1, -1, 1, 1]
    boxes = torch.rand(20, 4) * 40
    torch.testing.assert_close(to_boxes(to_corners(boxes, 50), 50), boxes, atol=1e-4, rtol=0)


def test_swapped_corners_are_an_empty_box():
    """A prediction whose corners are the wrong way round has no area, and no negative side."""
    assert to_boxes(torch.tensor([0.5, 0.0, -0.5, 0.5]), 100).tolist() == [75, 50, 0, 25]


@pytest.mark.parametrize("variant", VARIANTS)
def test_tracker_says_what_the_model_says(variant):
    """Tracking a video gives the boxes that the model predicts along the clip from its first box."""
    config = small(variant)
    model = untrained(config)
    frames, boxes = clips(1)
    with torch.no_grad():
        expected = to_boxes(model(frames, to_corners(boxes[:, :1], K)), K)[0]
    sequence = Sequence("a", GreyFrames(frames[0].numpy()), boxes[0].numpy())
    (trajectory,) = follow(tracker(config, model.state_dict(), "cpu"), one_pass, [sequence])
    np.testing.assert_allclose(trajectory.regions[1:], expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_lanes_do_not_matter(variant):
    """One lane and 32, refilled in different orders, give the same boxes to 1e-4 pixels."""
    config = small(variant)
    weights = untrained(config).state_dict()
    sequences = []
    for i in range(40):
        frames, boxes = clips(1, length=2 + i * 7 % 9, seed=i)
        sequences.append(Sequence(str(i), GreyFrames(frames[0].numpy()), boxes[0].numpy()))
    runs = {}
    for lanes, order in ((1, 1), (32, 1), (5, -1)):
        played = follow(tracker(config, weights, "cpu"), one_pass, sequences[::order], lanes)
        runs[lanes] = {trajectory.sequence: trajectory.regions for trajectory in played}
    for name, regions in runs[1].items():
        for lanes in (32, 5):
            np.testing.assert_allclose(runs[lanes][name], regions, atol=1e-4, err_msg=f"{name}, {lanes} lanes")


def test_images_of_any_size_and_colour():
    """An image of twice the size gives twice the box; equal colours and one grey layer give the same."""
    config = small("ID")
    weights = untrained(config).state_dict()
    frames, boxes = clips(1)
    grey = [GreyFrames(frames[0].numpy())[t] for t in range(6)]
    colour = [np.array(image) for image in grey]
    twice = [image.repeat(2, 0).repeat(2, 1) for image in grey]
    followed = []
    for scale, images in ((1, grey), (1, colour), (2, twice)):
        one = tracker(config, weights, "cpu")
        one.initialize([0], images[:1], boxes[0, :1].numpy() * scale)
        followed.append(np.concatenate([one.update([0], [image]) for image in images[1:]]) / scale)
    np.testing.assert_allclose(followed[1], followed[0], atol=1e-4)
    np.testing.assert_allclose(followed[2], followed[0], atol=1e-4)


def test_attention_of_a_tracker():
    """A tracker with attention shows where it looked in the last step; without, it says None."""
    config = small("Att-1")
    frames, boxes = clips(2)
    images = [GreyFrames(clip.numpy())[0] for clip in frames]
    one = tracker(config, untrained(config).state_dict(), "cpu")
    one.initialize([3, 1], images, boxes[:, 0].numpy())
    masks = one.attention([1, 3])
    assert masks.shape == (2, K, K)
    assert (masks >= 0).all()
    for mask, box in zip(masks, boxes[[1, 0], 0].numpy(), strict=True):
        row, column = divmod(int(mask.argmax()), K)
        assert abs(column + 0.5 - box[0] - box[2] / 2) <= 0.5
        assert abs(row + 0.5 - box[1] - box[3] / 2) <= 0.5
    one.update([1], images[1:])
    assert not np.array_equal(one.attention([1])[0], masks[0])
    assert np.array_equal(one.attention([3])[0], masks[1])
    identity = small("ID")
    assert tracker(identity, untrained(identity).state_dict(), "cpu").attention([0]) is None


@pytest.mark.parametrize("variant", VARIANTS)
def test_mixed_precision_keeps_the_recurrence_exact(variant):
    """Under bfloat16 autocast boxes are still float32, and within 2% of the frame."""
    model = untrained(small(variant))
    frames, boxes = clips()
    given = to_corners(boxes, K)[:, :1]
    exact = model(frames, given)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model(frames, given)
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, exact, atol=0.04, rtol=0)


@pytest.mark.parametrize("variant", [pytest.param(v, marks=pytest.mark.slow if v != "Att-3" else ()) for v in VARIANTS])
def test_training_teaches_to_track(variant):
    """After a few hundred updates a model follows squares that it has never seen, better than one that stands still."""
    config = small(variant, units=16, training=Training(batch=16, updates_per_epoch=250, epochs=1, learning_rate=2e-3))
    (step,) = steps(config)
    weights = step.run(Inputs({"train": Squares()}, seed=0), config, Silent())
    frames, boxes = Squares().clips(50, seed=1, index=0, device="cpu")
    model = Model(config)
    model.load_state_dict(dict(weights))
    with torch.no_grad():
        tracked = iou(to_boxes(model(frames, to_corners(boxes[:, :1], K)), K), boxes[:, 1:]).mean()
    still = iou(boxes[:, :1], boxes[:, 1:]).mean()
    assert tracked > still + 0.1


def test_training_depends_on_its_seed_alone():
    """The same seed gives the same weights, another one others, whatever the global generator's state."""
    config = small("Att-1", training=Training(batch=2, updates_per_epoch=3, epochs=1))
    (step,) = steps(config)
    runs = []
    for seed in (1, 1, 2):
        torch.rand(1)
        state = torch.get_rng_state()
        runs.append(step.run(Inputs({"train": Squares()}, seed=seed), config, Silent()))
        assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
    assert not torch.equal(runs[0]["see.weight"], runs[2]["see.weight"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"units": 0},
        {"attention": -1},
        {"image_size": 9},
        {"auxiliary": -1.0},
        {"given": 0},
        {"history": 0},
        {"epsilon": 0.0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    """A setting outside its range is refused by name."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Config(**wrong)


def test_clips_too_short_for_the_given_boxes_are_refused():
    """A clip with nothing left to predict is an error that says so."""
    frames, boxes = clips(2, 3)
    with pytest.raises(ValueError, match="more than 3 frames"):
        untrained(small("ID"))(frames, to_corners(boxes, K))
