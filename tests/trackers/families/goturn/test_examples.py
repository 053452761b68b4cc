import cv2
import numpy as np
import pytest
import torch

from trackers import crops
from trackers.benchmarks.collection import Collection
from trackers.families.goturn.examples import Ahead, Examples
from trackers.families.goturn.motion import Motion
from trackers.families.goturn.packed import Pack, pack_images, pack_videos
from trackers.sequence import Sequence
from trackers.training import Silent

SIZE, WIDTH, HEIGHT = 48, 160, 120
RED, BLUE = (255, 0, 0), (0, 0, 255)


def scene(boxes, colour):
    """Frames with a plain rectangle where the boxes say, on noise, a level of green that counts the frames."""
    rng = np.random.default_rng(len(boxes))
    frames = rng.integers(100, 140, (len(boxes), HEIGHT, WIDTH, 3), dtype=np.uint8)
    for t, (x, y, width, height) in enumerate(np.array(boxes, int)):
        frames[t, y : y + height, x : x + width] = colour
        frames[t, ..., 1] = 8 * t
    return frames


def walk(name, length, seed):
    rng = np.random.default_rng(seed)
    boxes = [[*rng.integers(10, (110, 80)), 30, 24] for _ in range(length)]
    return Sequence(name, scene(boxes, RED), np.array(boxes, float))


@pytest.fixture(scope="module")
def videos():
    return Pack(pack_videos(Collection("videos", (walk("long", 20, 1), walk("short", 3, 2))), Silent()))


@pytest.fixture(scope="module")
def images():
    boxes = [[40, 30, 50, 20], [100, 60, 30, 40]]
    objects = (Sequence(f"{i}", scene([box], BLUE), np.array([box], float)) for i, box in enumerate(boxes))
    return Pack(pack_images(Collection("images", tuple(objects)), Silent()))


def same(some, others):
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


def test_shapes_never_change(videos, images):
    """Every minibatch has so many targets and searches, whatever pairs lie across its ends."""
    examples = Examples(videos, images, Motion(), crops=10, batch=50, size=SIZE, seed=1)
    for update in range(4):
        targets, searches, of, corners = examples.batch(update, "cpu")
        assert targets.shape == (6, 3, SIZE, SIZE) and searches.shape == (50, 3, SIZE, SIZE)
        assert of.shape == (50,) and of.dtype == torch.int64 and of.min() >= 0 and of.max() < 6
        assert corners.shape == (50, 4) and corners.dtype == torch.float32
        assert searches.is_contiguous(memory_format=torch.channels_last)


def test_a_minibatch_depends_on_seed_and_number_alone(videos, images):
    """Asked in another order, and of another object, it is the same; of another seed or number it is not."""
    one, other = (Examples(videos, images, Motion(), size=SIZE, seed=5) for _ in range(2))
    forward = [one.batch(update, "cpu") for update in range(4)]
    for update in (3, 0, 2):
        assert same(other.batch(update, "cpu"), forward[update])
    assert not torch.equal(forward[0][3], forward[1][3])
    assert not torch.equal(Examples(videos, images, Motion(), size=SIZE, seed=6).batch(0, "cpu")[3], forward[0][3])


def test_examples_go_on_across_minibatches(videos, images):
    """Two minibatches of 25 hold the examples of one of 50."""
    motion = Motion()
    targets, searches, of, corners = Examples(videos, images, motion, 10, 50, SIZE, seed=2).batch(3, "cpu")
    halves = [Examples(videos, images, motion, 10, 25, SIZE, seed=2).batch(update, "cpu") for update in (6, 7)]
    assert torch.equal(torch.cat([half[1] for half in halves]), searches)
    assert torch.equal(torch.cat([half[3] for half in halves]), corners)
    assert torch.equal(torch.cat([half[0][half[2]] for half in halves]), targets[of])


def test_pairs_alternate_between_videos_and_images_eleven_examples_each(videos, images):
    """k_3 + 1 examples share a target; red ones are from videos, blue ones from images, in turn."""
    targets, _, of, _ = Examples(videos, images, Motion(), crops=10, batch=66, size=SIZE, seed=3).batch(0, "cpu")
    assert of.tolist() == np.repeat(range(6), 11).tolist()
    red, _, blue = targets[:6, :, SIZE // 2, SIZE // 2].T
    assert (red > 200).tolist() == [True, False] * 3
    assert (blue > 200).tolist() == [False, True] * 3


@pytest.mark.parametrize("source", ["videos", "images"])
def test_one_source_alone_gives_all_examples(videos, images, source):
    """With videos or images only there is nothing to alternate with."""
    both = {"videos": videos, "images": images}
    alone = Examples(**{**dict.fromkeys(both), source: both[source]}, motion=Motion(), size=SIZE, seed=3)
    targets = alone.batch(0, "cpu")[0]
    assert (targets[:, 0 if source == "videos" else 2, SIZE // 2, SIZE // 2] > 200).all()


def test_without_a_source_there_are_no_examples():
    """Neither videos nor images is an error."""
    with pytest.raises(ValueError, match="expected videos, images or both"):
        Examples(None, None, Motion(), seed=0)


def test_corners_are_where_the_target_is_seen(videos, images):
    """In every search crop the rectangle's pixels lie within its corners, and those around it do not."""
    examples = Examples(videos, images, Motion(), size=SIZE, seed=4)
    centres = (torch.arange(SIZE) + 0.5) / SIZE
    for update in range(3):
        _, searches, _, corners = examples.batch(update, "cpu")
        for crop, (x0, y0, x1, y1) in zip(searches, corners, strict=True):
            seen = (crop[0] > 200) | (crop[2] > 200)  # (S, S)
            inside = ((centres > y0) & (centres < y1))[:, None] & ((centres > x0) & (centres < x1))
            differ = seen != inside
            assert differ.sum() <= 0.05 * SIZE**2  # the edge, which is smooth
            assert not cv2.erode(differ.numpy().astype(np.uint8), np.ones((3, 3), np.uint8)).any()


def test_the_first_example_of_a_pair_is_the_true_one(videos):
    """It looks in the next labelled frame where the target was before, and the target is cut from that before."""
    targets, searches, _, corners = Examples(videos, None, Motion(), 10, 110, SIZE, seed=8).batch(0, "cpu")
    for pair in range(10):
        before = round(float(targets[pair, 1].max()) / 8)  # green counts the frames
        assert float(searches[11 * pair, 1].max()) / 8 == before + 1
        pairs = [(a, a + 1) for a in (before, 20 + before) if [a, a + 1] in videos.pairs.tolist()]  # in either video
        boxes = [torch.from_numpy(videos.boxes[list(pair)]) for pair in pairs]
        expected = [crops.to_window(after, crops.windows(box)).float() for box, after in boxes]
        assert any(torch.equal(corners[11 * pair], each) for each in expected)


def test_the_true_example_of_an_image_does_not_move(images):
    """Its target and its search crop are the same, the object in the middle; the ten others have moved."""
    targets, searches, of, corners = Examples(None, images, Motion(), 10, 44, SIZE, seed=8).batch(0, "cpu")
    true = torch.arange(0, 44, 11)
    assert torch.equal(searches[true], targets[of[true]])
    assert torch.allclose(corners[true], torch.tensor([0.25, 0.25, 0.75, 0.75]), atol=0.02)
    moved = torch.ones(44, dtype=torch.bool).index_fill(0, true, False)
    assert len(corners[moved].unique(dim=0)) == 40


def test_videos_are_drawn_uniformly_whatever_their_length(videos):
    """A video of 2 pairs is drawn as often as one of 19, and each of its pairs as often as the other."""
    examples = Examples(videos, None, Motion(), crops=1, size=SIZE, seed=9)
    items = np.array([examples._draw(pair)[1][0] for pair in range(2000)])
    assert abs((videos.video[items] == 1).mean() - 0.5) < 0.04
    assert abs((items == 20).mean() - 0.25) < 0.04


def test_a_mapped_pack_gives_the_same_examples(videos, tmp_path):
    """Examples of a pack that was saved and mapped again are those of the pack in memory."""
    tensors = pack_videos(Collection("videos", (walk("long", 20, 1), walk("short", 3, 2))), Silent())
    torch.save(tensors, tmp_path / "pack.pt")
    mapped = Pack(torch.load(tmp_path / "pack.pt", mmap=True, weights_only=True))
    one, other = (Examples(pack, None, Motion(), size=SIZE, seed=1).batch(7, "cpu") for pack in (videos, mapped))
    assert same(one, other)


def test_images_are_drawn_uniformly_whatever_they_show():
    """An image with one object is drawn as often as one with three, and each object of an image as often (4.1)."""
    frames = [scene([[40, 30, 50, 20]], BLUE) for _ in range(2)]
    of = [0, 1, 0, 0]  # which objects are on which image, not in a row
    objects = [Sequence(f"{i}", frames[n], np.array([[40.0 + i, 30, 50, 20]])) for i, n in enumerate(of)]
    pack = Pack(pack_images(Collection("images", tuple(objects)), Silent()))
    examples = Examples(None, pack, Motion(), crops=1, size=SIZE, seed=9)
    items = np.array([examples._draw(pair)[1][0] for pair in range(2000)])
    assert np.allclose(np.bincount(items) / 2000, [1 / 6, 1 / 2, 1 / 6, 1 / 6], atol=0.04)


def test_minibatches_made_ahead_are_the_same(videos, images):
    """Asked in order, anew, or at random, each is what it is without a thread."""
    examples = Examples(videos, images, Motion(), crops=4, batch=10, size=SIZE, seed=5)
    ahead = Ahead(examples._make)
    for update in (3, 4, 5, 6, 2, 7, 8, 8, 0, 1, 2):
        assert same(ahead(update, "cpu"), examples.batch(update, "cpu"))


def test_some_are_made_ahead_once_asked_in_order():
    """The second of two in a row has the next ones made, each once, whoever goes on; any other has not."""
    made = []
    ahead = Ahead(lambda number, device: made.append(number) or number, threads=2)
    assert [ahead(number, "cpu") for number in (5, 5, 9)] == [5, 5, 9]
    assert made == [5, 5, 9]
    assert [ahead(number, "cpu") for number in (10, 11, 12)] == [10, 11, 12]
    assert [future.result() for future in ahead._waiting.values()] == [13, 14]
    assert sorted(made) == [5, 5, *range(9, 15)]
    assert ahead(2, "cpu") == 2 and not ahead._waiting


def test_an_error_ahead_is_the_callers():
    """What goes wrong in the thread is raised to whoever asks for that minibatch, and to nobody else."""

    def make(number, device):
        if number == 3:
            raise ValueError("frame 3: expected an image")
        return number

    ahead = Ahead(make)
    assert [ahead(number, "cpu") for number in (0, 1, 2)] == [0, 1, 2]
    with pytest.raises(ValueError, match="frame 3: expected an image"):
        ahead(3, "cpu")
    assert ahead(4, "cpu") == 4


def test_crops_are_those_of_whole_frames():
    """Whatever the motion, each crop is that of the frame itself, as it is in the video."""
    sequence = walk("a", 12, 5)
    pack = Pack(pack_videos(Collection("videos", (sequence,)), Silent()))
    found = Examples(pack, None, Motion(kind="uniform"), size=SIZE, seed=1).batch(0, "cpu")
    pack.pixels = lambda item: sequence.frames[item]
    assert same(found, Examples(pack, None, Motion(kind="uniform"), size=SIZE, seed=1).batch(0, "cpu"))
