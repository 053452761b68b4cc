import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from trackers.synthetic import digits
from trackers.synthetic.digits import Renderer, Settings

BLOCK = np.full((1, 28, 28), 255, np.uint8)  # a digit that fills its cell
SCRIBBLES = np.random.default_rng(0).integers(0, 256, (7, 28, 28)).astype(np.uint8)
SCRIBBLES[:, 14, 14] = 255
SCRIBBLES[:, :4] = SCRIBBLES[:, 24:] = SCRIBBLES[:, :, :6] = SCRIBBLES[:, :, 22:] = 0
PLAIN = Settings(pieces=0)  # no clutter


def rng(*seed):
    return np.random.default_rng(seed)


def extent(frame):
    """The box of what is not black in one frame."""
    y, x = np.nonzero(frame)
    return x.min(), y.min(), x.max() + 1 - x.min(), y.max() + 1 - y.min()


def tracks(images, settings, clips, length, seed=0):
    """The target's boxes as float64."""
    return Renderer(images, settings).render(clips, length, rng(seed))[1].double().numpy()


@pytest.mark.parametrize(("objects", "overlaid"), [(1, 1), (2, 1), (1, 2), (3, 2)])
def test_same_seed_same_clips(objects, overlaid):
    """A clip is a function of the generator's seed: equal for equal seeds, and different for others."""
    renderer = Renderer(SCRIBBLES, Settings(), objects, overlaid)
    frames, boxes = renderer.render(3, 5, rng(1))
    again, boxes_again = Renderer(SCRIBBLES, Settings(), objects, overlaid).render(3, 5, rng(1))
    other, _ = renderer.render(3, 5, rng(2))
    assert frames.dtype == torch.uint8
    assert frames.shape == (3, 5, 100, 100)
    assert boxes.dtype == torch.float32
    assert boxes.shape == (3, 5, 4)
    assert torch.equal(frames, again)
    assert torch.equal(boxes, boxes_again)
    assert not any(torch.equal(one, two) for one in frames for two in other)
    assert not torch.equal(frames[0], frames[1])


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 2), st.integers(1, 2))
@hypothesis_settings(max_examples=15, deadline=None)
def test_longer_clip_begins_with_shorter(one, two, objects, overlaid):
    """The first frames of a longer clip are the shorter clip of the same seed, bit for bit."""
    renderer = Renderer(SCRIBBLES, Settings(scale_change=1.0), objects, overlaid)
    frames, boxes = renderer.render(2, one, rng(5))
    more_frames, more_boxes = renderer.render(2, two, rng(5))
    both = min(one, two)
    assert torch.equal(frames[:, :both], more_frames[:, :both])
    assert torch.equal(boxes[:, :both], more_boxes[:, :both])


@pytest.mark.parametrize("part", [1, 7, 10_000])
def test_parts_change_nothing(monkeypatch, part):
    """How many frames are painted at once changes no pixel."""
    renderer = Renderer(SCRIBBLES, Settings(), objects=2)
    frames, _ = renderer.render(5, 6, rng(3))
    monkeypatch.setattr(digits, "PART", part)
    assert torch.equal(renderer.render(5, 6, rng(3))[0], frames)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("objects", "overlaid"), [(1, 1), (2, 2)])
def test_gpu_makes_the_same_clips(objects, overlaid):
    """The CPU and a GPU make the same clips, bit for bit."""
    frames, boxes = Renderer(SCRIBBLES, Settings(), objects, overlaid).render(4, 20, rng(0))
    theirs, their_boxes = Renderer(SCRIBBLES, Settings(), objects, overlaid, "cuda").render(4, 20, rng(0))
    assert torch.equal(frames, theirs.cpu())
    assert torch.equal(boxes, their_boxes.cpu())


def test_pixels_one_by_one():
    """The two ways to add patches, by windows on the CPU and by pixels on a GPU, agree, and wrap at 256."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (3, 20, 20), generator=generator, dtype=torch.uint8)
    patches = torch.randint(256, (3, 6, 6), generator=generator, dtype=torch.uint8)
    at = torch.tensor([7, 400 + 14 * 20 + 14, 800])
    expected = images.clone()
    expected.view(-1).index_add_(0, digits._pixels(at, 6, 20).flatten(), patches.flatten())
    by_hand = images.clone()
    by_hand[0, :6, 7:13] += patches[0]
    by_hand[1, 14:, 14:] += patches[1]
    by_hand[2, :6, :6] += patches[2]
    digits._add(images, at, patches)
    assert torch.equal(images, expected)
    assert torch.equal(images, by_hand)


def test_unscaled_digit_is_its_image():
    """In the first frame a digit of full brightness is its own image where it has ink, and black elsewhere."""
    settings = Settings(pieces=0, intensity=(255, 255))
    frames, boxes = Renderer(SCRIBBLES, settings).render(20, 1, rng(0))
    inked = np.where(SCRIBBLES > 255 / 4, SCRIBBLES, 0)[:, 4:24, 6:22]
    for frame, (x, y, width, height) in zip(frames[:, 0].numpy(), boxes[:, 0].numpy().astype(int), strict=True):
        ink = frame[y : y + height, x : x + width]
        assert any(np.array_equal(ink, image) for image in inked)
        assert frame.sum(dtype=int) == ink.sum(dtype=int)


@given(st.integers(0, 1000), st.sampled_from([BLOCK, SCRIBBLES]), st.integers(1, 2))
@hypothesis_settings(max_examples=25, deadline=None)
def test_box_is_the_tight_extent_of_the_ink(seed, images, overlaid):
    """Without clutter, what is not black lies in the box, rounded outwards, and reaches to a pixel of its edges.

    A pixel that the ink only touches stays black; so may a second one, where a thin line is shrunk.
    """
    settings = Settings(pieces=0, scale_change=2.0)
    frames, boxes = Renderer(images, settings, overlaid=overlaid).render(2, 12, rng(seed))
    slack = 1 if overlaid == 1 else 2
    for frame, box in zip(frames.flatten(0, 1).numpy(), boxes.flatten(0, 1).double().numpy(), strict=True):
        x, y, width, height = extent(frame)
        shown = np.array([x, y, x + width, y + height])
        edges = np.array([*box[:2], *(box[:2] + box[2:])])
        assert (shown[:2] >= np.floor(edges[:2] + 1e-4)).all()
        assert (shown[2:] <= np.ceil(edges[2:] - 1e-4)).all()
        assert np.abs(shown - edges).max() <= slack


@given(
    st.builds(
        Settings,
        size=st.just(64),
        step=st.floats(0, 1),
        initial_speed=st.floats(0, 5),
        acceleration_variance=st.floats(0, 5),
        scale_change=st.floats(0, 5),
        canvas_size=st.just(70),
    ),
    st.integers(0, 100),
)
@hypothesis_settings(max_examples=25, deadline=None)
def test_boxes_stay_inside(settings, seed):
    """However wild the motion, every box lies inside the image and is neither too small nor too large."""
    boxes = tracks(BLOCK, settings, 4, 15, seed)
    assert (boxes[..., :2] >= 0).all()
    assert (boxes[..., :2] + boxes[..., 2:] <= 64).all()
    assert (boxes[..., 2:] >= 14).all()
    assert (boxes[..., 2:] <= 56).all()


def test_velocity_changes_by_the_variance():
    """Each velocity changes by N(0, v' I): v' = 0.1 is a variance, so 0.1 * 72 * sqrt(0.1) pixels are the deviation."""
    boxes = tracks(BLOCK, Settings(pieces=0, initial_speed=0.0, scale_change=0.0), 4000, 3)
    x = boxes[..., :2]
    assert np.array_equal(x[:, 0], x[:, 1])  # no first velocity: the first change is seen one frame later
    free = (x[:, 0] > 15) & (x[:, 0] < 57)
    moved = (x[:, 2] - x[:, 1])[free]
    assert moved.mean() == pytest.approx(0, abs=0.15)
    assert moved.var() - 1 / 12 == pytest.approx(0.1 * 7.2**2, rel=0.06)  # 1/12: of rounding


def test_speed_is_drawn_for_each_clip():
    """First velocities have a speed of N(0, 1) and a uniform direction, of their own in each clip."""
    boxes = tracks(BLOCK, Settings(pieces=0, acceleration_variance=0.0, scale_change=0.0), 4000, 2)
    x = boxes[..., :2]
    free = ((x[:, 0] > 25) & (x[:, 0] < 47)).all(-1)
    moved = (x[:, 1] - x[:, 0])[free]
    assert moved.mean() == pytest.approx(0, abs=0.6)
    assert np.square(moved).sum(1).mean() == pytest.approx(7.2**2, rel=0.15)  # E[(step * 72 * speed)^2]


def test_bounces_at_the_border():
    """Without acceleration a digit goes straight on at one speed, and turns round where the border stops it."""
    settings = Settings(pieces=0, acceleration_variance=0.0, scale_change=0.0, initial_speed=3.0)
    x = tracks(BLOCK, settings, 200, 40)[..., 0]  # 0 to 72
    step = np.diff(x)
    stopped = (x[:, 1:-1] == 0) | (x[:, 1:-1] == 72)
    turned = np.sign(step[:, 1:]) * np.sign(step[:, :-1]) < 0
    assert turned.sum() > 100
    assert stopped[turned].all()
    free = (x[:, 1:] > 0) & (x[:, 1:] < 72) & (x[:, :-1] > 0) & (x[:, :-1] < 72)
    pace = np.where(free, np.abs(step), np.nan)
    pace = pace[(~np.isnan(pace)).sum(1) > 1]
    assert (np.nanmax(pace, 1) - np.nanmin(pace, 1) <= 1).all()  # the same, to rounding


def test_scale_changes_by_the_printed_range():
    """Widths change by factors exp(0.1 f), f in [-0.5, 0.5], both up and down, and start at the digit's own size."""
    width = tracks(BLOCK, Settings(), 500, 20)[..., 2]
    assert (width[:, 0] == 28).all()
    change = np.diff(width)
    assert np.abs(change).max() <= np.ceil(width.max() * (np.exp(0.05) - 1))
    logarithm = np.log(width[:, -1] / 28)
    assert logarithm.mean() == pytest.approx(0, abs=0.02)
    assert logarithm.std() == pytest.approx(0.1 * np.sqrt(19 / 12), rel=0.1)


def test_brightness_is_uniform():
    """Each digit, of each clip, has a brightness between 64 and 255, uniform, and keeps it."""
    frames, _ = Renderer(BLOCK, PLAIN).render(2000, 2, rng(0))
    brightness = frames.flatten(2).amax(-1).numpy()
    assert np.array_equal(brightness[:, 0], brightness[:, 1])
    quartiles = np.percentile(brightness[:, 0], [0, 25, 50, 75, 100])
    assert quartiles == pytest.approx([64, 111.75, 159.5, 207.25, 254.5], abs=8)
    assert brightness.min() >= 64


def test_layers():
    """Digits hide the clutter behind them, and are hidden by the clutter before them.

    Let a layer leave a share f of the pixels free. Of a digit's pixels f show the digit; of the
    others f^2, both layers being free there, show black.
    """
    clear, _ = Renderer(SCRIBBLES, PLAIN).render(20, 10, rng(0))
    frames, _ = Renderer(SCRIBBLES, Settings(pieces=1000)).render(20, 10, rng(0))
    digit = clear > 0
    free = float((frames == clear)[digit].double().mean())
    black = float((frames == 0)[~digit].double().mean())
    assert 0.3 < free < 0.8
    assert black == pytest.approx(free**2, abs=0.03)


def test_clutter_moves():
    """Both layers of clutter move, by about a pixel a frame."""
    settings = Settings(intensity=(255, 255), initial_speed=1.0, acceleration_variance=0.0)
    dots = np.zeros((1, 28, 28), np.uint8)
    dots[0, ::3, ::3] = 255
    renderer = Renderer(dots, settings)
    _, _, windows_at = renderer._clutter(renderer._walk(500, 11, rng(0), rng(1))[:2], rng(2))
    y, x = np.divmod(windows_at.numpy() % 200**2, 200)
    shift = np.hypot(x[..., -1] - x[..., 0], y[..., -1] - y[..., 0]) / 10
    assert 0.5 < shift.mean() < 1.0  # E|N(0, 1)| is 0.8
    assert not np.array_equal(x[0], x[1])


def test_target_is_the_first_object():
    """Of two objects the boxes are those of the first, and the second passes in front of it."""
    images = np.zeros((1, 28, 28), np.uint8)
    images[0, 4:24, 10:18] = 255
    one, boxes = Renderer(images, PLAIN, objects=2).render(50, 20, rng(0))
    for frame, (x, y, width, height) in zip(one.flatten(0, 1).numpy(), boxes.flatten(0, 1).numpy(), strict=True):
        inside = frame[int(np.ceil(y)) : int(y + height), int(np.ceil(x)) : int(x + width)]
        assert (inside > 0).all()  # the first, or the second in front of it
        assert len(np.unique(inside)) <= 2 + 4  # and whole: two brightnesses, and those of their mixed edges


def test_overlaid_digits_of_full_size():
    """An MNIST-2 object is two digits in one cell, of which the brighter pixel shows."""
    images = np.zeros((2, 28, 28), np.uint8)
    images[0, 4:24, 10:18] = 255
    images[1, 10:18, 6:22] = 128
    settings = Settings(pieces=0, intensity=(255, 255))
    frames, boxes = Renderer(images, settings, overlaid=2).render(100, 1, rng(0))
    kinds = {tuple(box[2:]): frame for frame, box in zip(frames[:, 0].numpy(), boxes[:, 0].tolist(), strict=True)}
    assert sorted(kinds) == [(8, 20), (16, 8), (16, 20)]  # twice the first, twice the second, both
    assert (kinds[16, 20] == 255).sum() == 8 * 20 + 8 * 8  # a cross: the dim one was raised to full brightness


def test_overlaid_digits_shrunk():
    """With `overlaid_size` digits are shrunk to it, and lie anywhere in the cell of 28."""
    settings = Settings(pieces=0, intensity=(255, 255), overlaid_size=18)
    frames, boxes = Renderer(BLOCK, settings, overlaid=2).render(300, 1, rng(0))
    sides = boxes[:, 0, 2:].numpy()
    assert sides.min() >= 18
    assert sides.max() <= 28
    area = (frames[:, 0] > 0).flatten(1).sum(1).numpy()
    overlap = np.prod(36 - sides, axis=1)  # of two squares of 18 in a box of these sides
    assert np.array_equal(area, 2 * 18**2 - overlap)
    assert len(np.unique(area)) > 20


def test_all_digits_are_used():
    """Every digit is drawn about as often as any other."""
    steps = np.zeros((4, 28, 28), np.uint8)
    for i in range(4):
        steps[i, : 7 * (i + 1)] = 255
    height = tracks(steps, PLAIN, 2000, 1)[:, 0, 3]
    values, counts = np.unique(height, return_counts=True)
    assert list(values) == [7, 14, 21, 28]
    assert counts == pytest.approx(500, rel=0.2)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"intensity": (200, 100)}, r"dark <= bright <= 255 in intensity, got intensity=\(200, 100\)"),
        ({"intensity": (0, 256)}, "<= 255"),
        ({"acceleration_variance": -0.1}, "acceleration_variance >= 0"),
        ({"smallest": 60}, "smallest < largest <= size, got smallest=60, largest=56, size=100"),
        ({"largest": 101}, "largest <= size"),
        ({"canvas_size": 99}, "canvas_size >= size"),
        ({"smallest_piece": 10}, "smallest_piece <= largest_piece"),
        ({"pieces": -1}, "pieces >= 0"),
    ],
)
def test_settings_out_of_range_are_refused(changes, rule):
    """A setting out of range is refused with the rule that it breaks."""
    with pytest.raises(ValueError, match=f"expected .*{rule}"):
        Settings(**changes)


@pytest.mark.parametrize("side", [8, 60])
def test_digits_that_do_not_fit_are_refused(side):
    """Digits smaller than `smallest` or larger than `largest` are refused."""
    with pytest.raises(ValueError, match=f"expected smallest <= {side}, .* got smallest=14, largest=56"):
        Renderer(np.ones((3, side, side), np.uint8), Settings())
