import dataclasses

import numpy as np
import pytest
import torch

from trackers import crops
from trackers.backbones import vgg16
from trackers.families.pixelwise import rois
from trackers.families.pixelwise.clips import (
    Clips,
    Drawing,
    Fresh,
    Looking,
    Prepared,
    Take,
    chosen,
    dilated,
    draw,
    frames_from,
    keep,
    unpacked,
    with_noise,
)
from trackers.families.pixelwise.rois import ROI
from trackers.masks import bounding_box
from trackers.sequence import Sequence, Unseen

STILL = Drawing(length=10, scale=0, shift=0)


def walk(length, tags=None, gone=()):
    """A target that walks and grows: in frame t its box begins at (100 + 3 t, 50 + 2 t) and is 40 + t wide, 20 high."""
    t = np.arange(length, dtype=float)
    boxes = np.stack([100 + 3 * t, 50 + 2 * t, 40 + t, np.full(length, 20)], 1)
    boxes[list(gone)] = np.nan
    flags = {} if tags is None else {"occlusion": np.isin(t, tags)}
    return Sequence("walk", Unseen(length), boxes, tags=flags), boxes


def drawn(sequence, boxes, drawing=STILL, seed=0, roi=ROI()):  # noqa: B008  # frozen
    return draw(sequence, 7, boxes, drawing, roi, np.random.default_rng(seed))


def test_rois_are_five_frames_late():
    """Each is as wide as its own mask asks for, and centred on that of five frames before, or on the clip's first."""
    take = drawn(*walk(40))
    start = take.frames[0]
    assert take.video == 7
    assert take.frames.tolist() == list(range(start, start + 11))
    for i, t in enumerate(range(start, start + 11)):
        late = max(t - 5, start)
        side = 2 * (40 + t)
        x, y = 100 + 3 * late + (40 + late) / 2, 50 + 2 * late + 10
        assert take.windows[i].tolist() == [np.rint(x - side / 2), np.rint(y - side / 2), side, side]


def test_rois_are_within_their_limits():
    """A wide target has a ROI of 672 pixels, a small one of 56; both are then scaled by 0.9 to 1.1 (Section 3.3)."""
    for size, side in ((500.0, 672), (10.0, 56)):
        boxes = np.tile([200.0, 200, size, size], (20, 1))
        still = Sequence("still", Unseen(20), boxes)
        assert (drawn(still, boxes).windows[:, 2:] == side).all()
        sides = np.concatenate([drawn(still, boxes, Drawing(10), seed).windows[:, 2:] for seed in range(50)])
        assert (sides[:, 0] == sides[:, 1]).all()
        assert sides.min() >= round(0.9 * side) and sides.max() <= round(1.1 * side)
        assert np.ptp(sides) > 0.19 * side - 1
        assert set(np.sign(np.unique(sides) - side)) == {-1, 0, 1}  # beyond both limits


def test_jitter_keeps_within_its_bounds():
    """Over 200 clips ROIs are scaled by 0.9 to 1.1, and shifted by up to 10 of 224 pixels: by nearly all of it."""
    sequence, boxes = walk(40)
    scales, shifts = [], []
    for seed in range(200):
        take = drawn(sequence, boxes, Drawing(length=10), seed)
        late = take.frames[(np.arange(11) - 5).clip(0)]
        side = 2 * boxes[take.frames, 2]
        centre = boxes[late, :2] + boxes[late, 2:] / 2
        scales.append(take.windows[:, 2] / side)
        shifts.append((take.windows[:, :2] + take.windows[:, 2:] / 2 - centre) / side[:, None] * 224)
    scale, shift = np.concatenate(scales), np.concatenate(shifts)
    rounding = 1 / 80
    assert (np.abs(scale - 1) <= 0.1 + rounding).all() and np.ptp(scale) > 0.19
    assert (np.abs(shift) <= 10 + rounding * 224).all() and (np.ptp(shift, axis=0) > 19).all()
    assert np.corrcoef(shift.T)[0, 1] == pytest.approx(0, abs=0.1)  # x and y are drawn apart
    assert np.std(np.diff(shift[:11, 0])) > 1  # and each frame's


def test_clips_begin_anywhere_that_leaves_a_clip():
    """Starts are those frames that have a whole clip behind them, all of them."""
    sequence, boxes = walk(16)
    starts = {int(drawn(sequence, boxes, seed=seed).frames[0]) for seed in range(100)}
    assert starts == set(range(6))


@pytest.mark.parametrize(
    ("tags", "gone", "starts"),
    [
        ([0, 1, 3], [], {2, 4, 5}),  # tagged as occluded
        ([], [0, 4], {1, 2, 3, 5}),  # not to be seen
        ([0, 1, 2, 3, 4], [5], {0, 1, 2, 3, 4}),  # occluded ones, where there are no others
        ([], [0, 1, 2, 3, 4, 5], set(range(6, 16))),  # late ones, where there are no others: what is left is repeated
    ],
)
def test_clips_begin_with_a_clear_target(tags, gone, starts):
    """An initial frame shows the target, and nothing in front of it where there is such a frame."""
    sequence, boxes = walk(16, tags, gone)
    takes = [drawn(sequence, boxes, seed=seed) for seed in range(150)]
    assert {int(take.frames[0]) for take in takes} == starts
    assert all(len(take.frames) == 11 and take.frames.max() < 16 for take in takes)


def test_frames_of_short_videos_are_repeated_evenly():
    """Of four frames from number 1 on, eight are made, both ends kept; the nearest to each place counts."""
    assert frames_from(1, 8, 5).tolist() == [1, 1, 2, 2, 3, 3, 4, 4]  # 1, 1.43, 1.86, 2.29, 2.71, 3.14, 3.57, 4
    assert frames_from(0, 3, 1).tolist() == [0, 0, 0]
    assert frames_from(2, 3, 5).tolist() == [2, 3, 4]
    take = drawn(*walk(4), Drawing(length=6, scale=0, shift=0))
    assert take.frames.tolist() == [0, 0, 1, 2, 2, 2, 3]  # 0, 0.5, 1, 1.5, 2, 2.5, 3: halves to the even number


def test_drawing_is_deterministic_by_seed():
    """The same generator gives the same clip, another one another."""
    sequence, boxes = walk(40)
    one, again, other = (drawn(sequence, boxes, Drawing(length=10), seed) for seed in (3, 3, 4))
    assert np.array_equal(one.windows, again.windows) and np.array_equal(one.frames, again.frames)
    assert not np.array_equal(one.windows, other.windows)


def test_every_video_comes_before_any_comes_again():
    """Of three videos, seven places are two of each and one more; the order is drawn."""
    rng = np.random.default_rng(0)
    orders = [chosen([2, 5, 9], 7, rng) for _ in range(20)]
    for order in orders:
        assert sorted(order[:3]) == sorted(order[3:6]) == [2, 5, 9]
        assert len(order) == 7
    assert len(set(map(tuple, orders))) > 5


def test_dilated_masks_by_hand():
    """By one pixel each way a pixel becomes 3 x 3, cut at the border; by none it stays."""
    masks = torch.zeros(2, 5, 5, dtype=torch.bool)
    masks[0, 2, 2] = masks[1, 0, 4] = True
    grown = dilated(masks, 1)
    assert grown.shape == (2, 1, 5, 5)
    assert grown[0, 0].nonzero().tolist() == [[r, c] for r in (1, 2, 3) for c in (1, 2, 3)]
    assert grown[1, 0].nonzero().tolist() == [[0, 3], [0, 4], [1, 3], [1, 4]]
    assert torch.equal(dilated(masks, 0)[:, 0], masks.float())


def numbered(videos, length=5):
    """Clips of these videos; each feature is 100 times its clip's number and that of its frame."""
    features = 100.0 * torch.arange(len(videos)) + torch.arange(length)[:, None]  # (T, N)
    features = features[..., None, None, None].expand(-1, -1, 2, 3, 3).clone()
    masks = torch.ones(length, len(videos), 8, 8, dtype=torch.bool)
    return Clips(features, features[0] - 1, features[0] - 2, masks, torch.tensor(videos))


def test_noise_is_one_frame_of_another_video():
    """In each clip exactly one frame is another video's, and its mask is empty; all else is as it was."""
    at, sources = set(), set()
    for seed in range(60):
        clips = numbered([4, 4, 9])
        noisy = with_noise(clips, np.random.default_rng(seed))
        assert torch.equal(clips.features, numbered([4, 4, 9]).features) and clips.masks.all()  # itself is left alone
        for name in ("first", "masked", "videos"):
            assert torch.equal(getattr(noisy, name), getattr(clips, name))
        changed = (noisy.features != clips.features).flatten(2).any(2)
        assert changed.sum(0).tolist() == [1, 1, 1]
        assert torch.equal(noisy.masks.flatten(2).any(2), ~changed)
        assert torch.equal(noisy.masks.flatten(2).all(2), ~changed)
        for n in range(3):
            [t] = changed[:, n].nonzero()[0].tolist()
            frame = noisy.features[t, n]
            assert frame.unique().numel() == 1  # the whole frame is of one other
            source = int(frame[0, 0, 0]) // 100
            assert clips.videos[source] != clips.videos[n]
            at.add(t)
            sources.add((n, source, int(frame[0, 0, 0]) % 100))
    assert at == set(range(5))
    assert {(n, source) for n, source, _ in sources} == {(0, 2), (1, 2), (2, 0), (2, 1)}
    assert {t for *_, t in sources} == set(range(5))


def test_clips_of_one_video_have_no_noise():
    """Where there is no other video, nothing is replaced."""
    clips = numbered([4, 4])
    assert with_noise(clips, np.random.default_rng(0)) is clips


@pytest.fixture(scope="module")
def network(small):
    torch.manual_seed(0)
    return vgg16.VGG16(small().backbone).eval()


@pytest.fixture(scope="module")
def looking(films, network):
    """Looks at three videos, numbered 2, 5 and 6."""
    return Looking(network, dict(zip((2, 5, 6), films(3), strict=True)), 32, 1, "cpu")


def taken(looking, count=1, seed=0):
    """So many clips of each video."""
    roi, rng = ROI(least=16, most=64), np.random.default_rng(seed)
    return [
        draw(sequence, video, bounding_box(sequence.regions), Drawing(length=6), roi, rng)
        for video, sequence in looking.videos.items()
        for _ in range(count)
    ]


def test_clips_are_what_the_backbone_sees(looking, network):
    """pool4 of each ROI after the first; of the first, and of its dilated mask alone; and masks cut like ROIs."""
    takes = taken(looking)
    seen = looking(takes)
    assert seen.features.shape == (6, 3, 6, 2, 2) and seen.masks.shape == (6, 3, 32, 32)
    assert seen.videos.tolist() == [2, 5, 6]
    for n, take in enumerate(takes):
        sequence = looking.videos[take.video]
        images = torch.cat(
            [
                crops.sample([torch.from_numpy(sequence.frames[t])], torch.from_numpy(window)[None], 32)
                for t, window in zip(take.frames, take.windows, strict=True)
            ]
        )
        cuts = [rois.cut(sequence.regions[t], window, 32) for t, window in zip(take.frames, take.windows, strict=True)]
        masks = torch.from_numpy(np.stack(cuts))
        with torch.no_grad():
            torch.testing.assert_close(seen.features[:, n], network.pool4(images[1:]))
            torch.testing.assert_close(seen.first[n], network.pool4(images[:1])[0])
            masked = network.pool4_masked(images[:1], dilated(masks[:1], 1))
        torch.testing.assert_close(seen.masked[n], masked[0])
        assert torch.equal(seen.masks[:, n], masks[1:])
    assert seen.masks.flatten(2).any(2).all() and not seen.masks.flatten(2).all(2).any()


def test_what_is_wrong_with_a_frame_is_said(films, network):
    """A mask of another size than its image is refused with sequence, frame and both sizes."""
    [film] = films(1)
    odd = dataclasses.replace(film, regions=film.regions[:, :-1])
    look = Looking(network, {0: odd}, 32, 1, "cpu")
    windows = np.tile([0, 0, 16, 16], (2, 1))
    with pytest.raises(ValueError, match=r"sequence film0, frame 3: expected a mask of the image's size \(48, 64\)"):
        look([Take(0, np.array([3, 4]), windows)])


def test_kept_clips_are_looked_at_again(looking):
    """What was kept and is drawn again is what is seen anew: features to float16, masks exactly."""
    takes, progress = taken(looking, 2), []
    kept = keep(looking, takes, lambda done, total: progress.append((done, total)))
    assert progress == [(n, 6) for n in range(1, 7)]
    assert kept.features.dtype == torch.float16 and kept.masks.shape == (6, 6, 32, 4)
    assert kept.videos.tolist() == [2, 2, 5, 5, 6, 6]
    whole = looking(takes)
    drawn = Prepared(kept, [2, 6], "cpu").batch(5, np.random.default_rng(0))
    for n in range(5):
        same = [
            m
            for m in range(6)
            if torch.equal(drawn.masks[:, n], whole.masks[:, m])
            and torch.allclose(drawn.features[:, n], whole.features[:, m], rtol=1e-3, atol=1e-3)
            and torch.allclose(drawn.first[n], whole.first[m], rtol=1e-3, atol=1e-3)
            and torch.allclose(drawn.masked[n], whole.masked[m], rtol=1e-3, atol=1e-3)
        ]
        assert [int(whole.videos[m]) for m in same] == [int(drawn.videos[n])]
    assert drawn.features.dtype == torch.float32
    assert set(drawn.videos[:2].tolist()) == set(drawn.videos[2:4].tolist()) == {2, 6}


@pytest.mark.parametrize("way", ["fresh", "prepared"])
def test_minibatches_are_a_function_of_the_generator(looking, way):
    """The same seed gives the same minibatch, another seed another."""
    if way == "prepared":
        source = Prepared(keep(looking, taken(looking, 3), lambda done, total: None), [2, 5, 6], "cpu")
    else:
        boxes = {video: bounding_box(sequence.regions) for video, sequence in looking.videos.items()}
        roi = ROI(least=16, most=64)

        def take(video, rng):
            return draw(looking.videos[video], video, boxes[video], Drawing(length=6), roi, rng)

        source = Fresh([2, 5, 6], take, looking)
    one, again, other = (source.batch(2, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one.features, other.features)
    assert one.features.shape[1] == 2


def test_bits_come_back():
    """Unpacking undoes numpy's packing."""
    bits = np.random.default_rng(0).random((3, 4, 16)) > 0.5
    assert np.array_equal(unpacked(torch.from_numpy(np.packbits(bits, axis=-1))).numpy(), bits)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 0}, "clips: expected length >= 1"),
        ({"scale": 1.0}, "clips: expected length >= 1, 0 <= scale < 1"),
        ({"scale": -0.1}, "clips: expected"),
        ({"shift": -1.0}, "clips: expected"),
        ({"shift": float("inf")}, "clips: expected"),
        ({"prepared": 0}, "prepared: expected at least 1 clip of each video, got 0"),
    ],
)
def test_drawings_that_mean_nothing_are_refused(settings, message):
    """What was expected, and what came, is said."""
    with pytest.raises(ValueError, match=message):
        Drawing(**settings)
