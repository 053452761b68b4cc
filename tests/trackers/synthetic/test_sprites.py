from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from trackers import boxes
from trackers.evaluation.lanes import follow
from trackers.evaluation.protocols import one_pass
from trackers.families import kcf
from trackers.synthetic import shapes, sprites
from trackers.synthetic.sprites import CHALLENGES, OTB, TAGS, UAV123, Mover, Scene, picture, render
from trackers.tracker import IdentityTracker

SMALL = Scene(length=6, size=(64, 48), side=16.0)
SCENES = st.builds(
    Scene,
    label=st.sampled_from(shapes.LABELS),
    challenges=st.lists(st.sampled_from(CHALLENGES), max_size=4, unique=True).map(tuple),
    length=st.integers(1, 12),
    size=st.sampled_from([(64, 48), (90, 70)]),
    side=st.floats(10, 24),
    distractors=st.integers(0, 2),
    clutter=st.integers(0, 3),
)


def still(label="square", at=(32.0, 24.0), half=10.0, angle=0.0, blur=(0.0, 0.0), bend=0.0):
    """A mover of one frame, of one colour."""
    painted = np.full((shapes.SIDE, shapes.SIDE, 3), 200, np.uint8)
    axes = sprites._axes(np.array([half]), np.array([angle]), np.ones(1), np.zeros(1))
    sprite = shapes.cut(painted, shapes.CONTOURS[label])
    return Mover(sprite, np.array([at]), axes, np.array([bend]), np.array([blur]))


def mask_of(mover, size=(64, 48)):
    image = np.zeros((size[1], size[0], 3), np.uint8)
    place, alpha = sprites._draw(image, mover, 0)
    mask = np.zeros(image.shape[:2], bool)
    mask[place] = alpha >= 128
    return mask, image


@given(SCENES, st.integers(0, 1000))
@example(Scene("letter", ("ARC", "BC", "DEF"), 3, (64, 48), 10.0), 0)  # a bent side reaches beyond its ends
@hypothesis_settings(max_examples=60, deadline=None)
def test_truth_fits_together(scene, seed):
    """Boxes lie in the image and hold the mask, visible pixels are of the whole, NaN is out of view, always."""
    clip = render(scene, seed)
    (width, height), T = scene.size, scene.length
    assert clip.frames.shape == (T, height, width, 3)
    assert clip.frames.dtype == np.uint8
    assert not (clip.visible & ~clip.whole).any()
    assert set(clip.tags) == set(TAGS)
    assert clip.attributes <= {*OTB, *UAV123}
    assert ((clip.occlusion >= 0) & (clip.occlusion <= 1)).all()
    for t in range(T):
        if clip.whole[t].sum() < sprites.SEEN:
            assert np.isnan(clip.boxes[t]).all()
            assert np.isnan(clip.polygons[t]).all()
            continue
        x, y, w, h = clip.boxes[t]
        assert 0 <= x < x + w <= width
        assert 0 <= y < y + h <= height
        rows, columns = np.nonzero(clip.whole[t])
        slack = 1.5 if "MB" not in scene.challenges else 4  # a blurred corner is half there beyond its outline
        assert x - slack <= columns.min() <= columns.max() + 1 <= x + w + slack
        assert y - slack <= rows.min() <= rows.max() + 1 <= y + h + slack


@given(SCENES, st.integers(0, 1000))
@hypothesis_settings(max_examples=20, deadline=None)
def test_same_seed_same_bytes(scene, seed):
    """A scene and a seed make the same frames and the same truth, every time."""
    one, other = render(scene, seed), render(scene, seed)
    assert one.frames.tobytes() == other.frames.tobytes()
    assert one.whole.tobytes() == other.whole.tobytes()
    assert one.boxes.tobytes() == other.boxes.tobytes()
    assert one.attributes == other.attributes


def test_square_by_hand():
    """A square of side 16, centred on (32, 24), covers columns 24 to 39 and rows 16 to 31: 256 pixels."""
    mover = still(half=8 / 0.85)
    mask, image = mask_of(mover)
    expected = np.zeros((48, 64), bool)
    expected[16:32, 24:40] = True
    assert np.array_equal(mask, expected)
    assert image[24, 32].tolist() == [200] * 3
    extent, cut, polygon = sprites._regions(mover, (64, 48))
    assert extent[0] == pytest.approx([24, 16, 16, 16])
    assert cut[0] == pytest.approx(extent[0])
    assert polygon[0] == pytest.approx([24, 16, 40, 16, 40, 32, 24, 32])


@pytest.mark.parametrize("label", shapes.LABELS)
def test_every_class_is_drawn_where_it_is_said_to_be(label):
    """The pixels of each class reach to within one and a half of its box's edges, however it is turned."""
    for angle in (0.0, 0.4, 2.0):
        mover = still(label, angle=angle, half=14.0)
        mask, _ = mask_of(mover)
        rows, columns = np.nonzero(mask)
        shown = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        expected = boxes.xywh_to_xyxy(sprites._regions(mover, (64, 48))[0])[0]
        assert shown == pytest.approx(expected, abs=1.5)


def test_polygon_turns_with_the_sprite():
    """The rectangle of a turned square is the square itself: half sides 8.5, turned; it is not cut at the border."""
    mover = still(at=(3.0, 24.0), angle=np.pi / 6, half=10.0)
    extent, cut, polygon = sprites._regions(mover, (64, 48))
    corners = polygon.reshape(4, 2) - [3, 24]
    assert np.linalg.norm(corners, axis=1) == pytest.approx([8.5 * 2**0.5] * 4)
    sides = np.linalg.norm(np.roll(corners, -1, 0) - corners, axis=1)
    assert sides == pytest.approx([17] * 4)
    assert polygon.min() < 0
    assert cut[0, 0] == 0
    assert cut[0, 2] == pytest.approx(extent[0, 0] + extent[0, 2])


def test_bent_outline_is_where_bent_pixels_are():
    """What bends the pixels bends the outline, too."""
    mover = still("cross", half=14.0, bend=0.3)
    mask, _ = mask_of(mover)
    rows, columns = np.nonzero(mask)
    shown = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert shown == pytest.approx(boxes.xywh_to_xyxy(sprites._regions(mover, (64, 48))[0])[0], abs=1.5)
    assert not np.array_equal(mask, mask_of(still("cross", half=14.0))[0])


def test_blur_keeps_the_middle_of_the_way():
    """A blurred edge is half there where the sharp one was, and the blur spreads half its way to either side."""
    sharp, _ = mask_of(still(half=10.0))
    blurred, image = mask_of(still(half=10.0, blur=(8.0, 0.0)))
    assert (sharp ^ blurred).sum() <= 2 * 18
    columns = np.flatnonzero(image[24, :, 0])
    assert columns.min() == pytest.approx(23.5 - 4, abs=1)
    assert columns.max() + 1 == pytest.approx(40.5 + 4, abs=1)


def test_target_before_a_still_camera_is_all_that_moves():
    """With no rivals, what differs between two frames of a plain scene lies in the target's boxes."""
    clip = render(replace(SMALL, distractors=0), 3)
    changed = (clip.frames[0] != clip.frames[-1]).any(-1)
    assert changed.any()
    for t in (0, -1):
        x, y, w, h = clip.boxes[t]
        changed[int(y) - 1 : int(y + h) + 2, max(0, int(x) - 1) : int(x + w) + 2] = False
    assert not changed.any()


def test_follow():
    """Whoever is followed, the frames are the same; the target hides a distractor behind it, never the reverse."""
    scene = replace(SMALL, challenges=("SOB",), distractors=2, length=20)
    target, rival = render(scene, 5), render(scene, 5, follow=1)
    assert np.array_equal(target.frames, rival.frames)
    assert not np.array_equal(target.boxes, rival.boxes)
    assert not target.occlusion.any()
    hidden = rival.whole & ~rival.visible
    assert not (hidden & ~(target.whole | render(scene, 5, follow=2).whole)).any()
    with pytest.raises(ValueError, match="follow: expected 0 to 2"):
        render(scene, 5, follow=3)


@pytest.mark.parametrize("code", CHALLENGES)
def test_what_is_asked_for_happens(code):
    """A scene with one challenge has that attribute, as measured from what happens, at least nine times in ten."""
    found = [render(Scene("star", (code,), 40), seed).attributes for seed in range(10)]
    assert sum(code in attributes for attributes in found) >= 9
    if code not in ("LR", "OV", "FM", "SV", "ARC", "OPR"):  # these bring others along
        plain = render(Scene("star", (), 40), 0).attributes
        assert plain <= {"FM"}


def test_tags_are_of_their_frames():
    """Tags mark the frames in which it happens: darker, moved, hidden, grown; a plain scene has turns alone."""
    plain = render(Scene("star", (), 40, distractors=0), 1)
    assert not any(marked.any() for tag, marked in plain.tags.items() if tag != "motion_change")
    dark = render(Scene("star", ("IV",), 40), 1)
    brightness = dark.frames.mean((1, 2, 3))
    changed = np.abs(np.diff(brightness)) > 3
    assert (dark.tags["illum_change"][1:] >= changed).all()
    assert changed.sum() >= 2
    hidden = render(Scene("star", ("FOC",), 40), 1)
    assert np.array_equal(hidden.tags["occlusion"], hidden.occlusion > 0.1)
    assert hidden.occlusion.max() == 1
    assert hidden.occlusion[0] == 0
    assert render(Scene("star", ("CM",), 40), 1).tags["camera_motion"].sum() > 20
    assert render(Scene("star", ("SV",), 40), 1).tags["size_change"].sum() > 10


def test_out_of_view():
    """With OV the target leaves the image altogether and comes back."""
    for seed in range(5):
        gone = np.isnan(render(Scene("disc", ("OV",), 40), seed).boxes[:, 0])
        assert gone.any()
        assert not gone[:10].any()
        assert not gone[-4:].any()


def test_grey():
    """A grey scene has three equal channels."""
    frames = render(replace(SMALL, grey=True), 0).frames
    assert (frames == frames[..., :1]).all()


def test_sequence():
    """A clip is a sequence: boxes, polygons, tags, label, size and OTB's attributes alone."""
    clip = render(replace(SMALL, label="gear", challenges=("LR", "CM")), 0)
    sequence = clip.sequence("gear1")
    assert sequence.label == "gear"
    assert sequence.size == (64, 48)
    assert sequence.attributes == ("LR",)
    assert np.array_equal(sequence.region(3), clip.polygons[3])
    assert np.array_equal(sequence.frames[2], clip.frames[2])


def test_pictures():
    """Boxes of a picture lie inside it, one a label; large sides make objects that fill it."""
    shares = []
    for seed in range(20):
        shown = picture(["disc", "star", "ring"], (96, 72), seed, (0.6, 1.1) if seed % 2 else (0.2, 0.5))
        assert shown.image.shape == (72, 96, 3)
        assert len(shown.labels) == len(shown.boxes) >= 1
        assert (shown.boxes[:, :2] >= 0).all()
        assert (shown.boxes[:, :2] + shown.boxes[:, 2:] <= [96, 72]).all()
        assert (shown.boxes[:, 2:] > 2).all()
        shares.append((shown.boxes[:, 2:] / [96, 72]).max())
    assert max(shares[::2]) < 0.66 < max(shares[1::2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": "cat"}, "label: expected one of disc, ring, .* got 'cat'"),
        ({"challenges": ("IV", "OCC")}, "challenges: expected some of ARC, .* got OCC"),
        ({"length": 0}, "length: expected at least 1 frame, got 0"),
        ({"side": 0.0}, "side: expected more than 0"),
        ({"side": 60.0}, "side: .* got 60"),
        ({"speed": -0.1}, "speed: expected at least 0, got -0.1"),
        ({"distractors": -1}, "distractors: expected at least 0"),
    ],
)
def test_wrong_scenes_are_refused(changes, message):
    """A scene that cannot be is refused, with the field."""
    with pytest.raises(ValueError, match=message):
        replace(Scene(), **changes)


def test_trackers_differ():
    """A box that never moves soon loses the target; KCF follows much longer, but not to the end."""
    codes = [(), ("IV",), ("SV",), ("POC",), ("MB",), ("FM",), ("IPR",), ("BC",), ("CM",), ("OPR",), ("FOC",), ("SOB",)]
    sequences = [
        render(Scene(label, happens, 40), seed).sequence(label)
        for seed, (label, happens) in enumerate(zip(shapes.LABELS, codes, strict=True))
    ]
    truth = {sequence.name: sequence.groundtruth for sequence in sequences}
    overlap = {}
    for name, tracker in {"still": IdentityTracker(), "kcf": kcf.tracker(kcf.Config(), {}, "cpu")}.items():
        overlap[name] = np.mean(
            [np.nanmean(boxes.iou(t.regions, truth[t.sequence])[1:]) for t in follow(tracker, one_pass, sequences)]
        )
    assert overlap["still"] < 0.2
    assert 0.4 < overlap["kcf"] < 0.85
