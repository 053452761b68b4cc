from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from trackers.benchmarks import alov, imagenet_det
from trackers.benchmarks.collection import Collection
from trackers.benchmarks.images import decode
from trackers.families.goturn.packed import Decoded, Pack, pack_images, pack_videos
from trackers.sequence import GreyFrames, Sequence
from trackers.training import Silent

DATA = Path(__file__).parents[4] / "data"
NAN = [np.nan] * 4


class Frames:
    """Noise of some size, counted how often each is read; some of it damaged."""

    def __init__(self, length, width=60, height=40, damaged=()):
        self.images = np.random.default_rng(length).integers(0, 256, (length, height, width, 3), dtype=np.uint8)
        self.damaged = damaged
        self.read = []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, t):
        self.read.append(t)
        if t in self.damaged:
            raise ValueError("0007.jpg: expected an image, found one that cannot be decoded")
        return self.images[t]


class Files:
    """Frames that lie there as JPEG files, counted how often each is decoded."""

    def __init__(self, length, size=(60, 40)):
        images = Frames(length, *size).images
        self.files = [cv2.imencode(".jpg", image)[1].tobytes() for image in images]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, t):
        raise AssertionError("expected that files are asked for, not pixels")

    def encoded(self, t):
        return self.files[t]


def video(name, boxes, labelled=None, frames=None, label=None):
    frames = frames or Frames(len(boxes))
    labelled = None if labelled is None else np.array(labelled, bool)
    return Sequence(name, frames, np.array(boxes, float), labelled=labelled, label=label)


def packs_of(pack, *sequences):
    return Pack(pack(Collection("ALOV", sequences), Silent()))


def test_pairs_are_successive_labelled_frames_of_one_video():
    """Frames that nobody labelled are passed over, and no pair goes from one video to the next."""
    box = [10, 10, 8, 6]
    first = video("a", [box] * 7, labelled=[1, 0, 0, 1, 0, 0, 1])
    pack = packs_of(pack_videos, first, video("b", [box]), video("c", [box] * 2))
    assert first.frames.read == [0, 3, 6]
    assert pack.video.tolist() == [0, 0, 0, 1, 2, 2]
    assert pack.pairs.tolist() == [[0, 1], [1, 2], [4, 5]]
    assert pack.names == ("a", "b", "c")


def test_boxes_that_no_crop_can_be_made_of_are_left_out():
    """NaN, empty boxes and boxes outside of the frame are no items; one that is partly outside is."""
    boxes = [[5, 5, 8, 8], NAN, [5, 5, 0, 8], [5, 5, 8, -1], [60, 5, 8, 8], [5, -9, 8, 8], [np.inf] * 4, [56, -4, 8, 8]]
    pack = packs_of(pack_videos, video("a", boxes))
    assert pack.boxes.tolist() == [boxes[0], boxes[7]]
    assert pack.pairs.tolist() == [[0, 1]]


def test_files_are_held_as_they_are():
    """Frames that lie in files are held byte by byte, one behind the other, and decoded to what they show."""
    frames = Files(3)
    tensors = pack_videos(Collection("ALOV", (video("a", [[5, 5, 8, 8], NAN, [6, 5, 8, 8]], frames=frames),)), Silent())
    assert tensors["encoded"].numpy().tobytes() == frames.files[0] + frames.files[2]
    assert tensors["offsets"].tolist() == np.cumsum([0, len(frames.files[0]), len(frames.files[2])]).tolist()
    pack = Pack(tensors)
    assert pack.frame_sizes.tolist() == [[60, 40]] * 2
    for item, t in enumerate((0, 2)):
        assert np.array_equal(pack.pixels(item), decode(frames.files[t]))


def test_frames_without_files_lose_nothing():
    """Frames in memory, grey ones that repeat one channel too, come back pixel by pixel."""
    frames, grey = Frames(2), GreyFrames(np.random.default_rng(0).integers(0, 256, (2, 30, 20), dtype=np.uint8))
    pack = packs_of(pack_videos, *(video("a", [[5, 5, 8, 8]] * 2, frames=each) for each in (frames, grey)))
    assert pack.frame_sizes.tolist() == [[60, 40]] * 2 + [[20, 30]] * 2
    for item in range(4):
        assert np.array_equal(pack.pixels(item), (frames.images, grey)[item // 2][item % 2])


def test_frames_that_are_shared_are_held_once():
    """Objects of one image, or of one video, share its frames; a frame without any box inside of it is not held."""
    frames, near, far = Files(3), [[5, 5, 8, 8]] * 3, [[5, 5, 8, 8], [90, 5, 8, 8], [5, 5, 9, 9]]
    near[1] = [-20, 5, 8, 8]
    tensors = pack_videos(
        Collection("DAVIS", (video("1", near, frames=frames), video("2", far, frames=frames))), Silent()
    )
    assert tensors["encoded"].numpy().tobytes() == frames.files[0] + frames.files[2]
    pack = Pack(tensors)
    assert pack.frame.tolist() == [0, 1, 0, 1]
    assert pack.video.tolist() == [0, 0, 1, 1]
    assert pack.pixels(0) is pack.pixels(2)


def test_decoded_frames_are_kept_up_to_a_limit():
    """The least recently used one is let go; whatever is kept, the frames are the same."""
    files = Files(4).files
    expected = [decode(file) for file in files]
    offsets = np.cumsum([0, *map(len, files)])
    frames = Decoded(np.frombuffer(b"".join(files), np.uint8), offsets, limit=2 * expected[0].nbytes)
    first, second = frames[0], frames[1]
    assert frames[0] is first
    third = frames[2]  # the second one goes
    assert frames[0] is first and frames[2] is third
    assert frames[1] is not second
    for number in (3, 0, 1, 2, 2, 0):
        assert np.array_equal(frames[number], expected[number])
    nothing = Decoded(np.frombuffer(b"".join(files), np.uint8), offsets, limit=0)
    assert np.array_equal(nothing[3], expected[3]) and nothing[3] is not nothing[3]


def test_an_image_is_paired_with_itself_and_read_once():
    """Objects of one image are items of their own, and neither is the image decoded for each of them."""
    frames = Frames(1)
    objects = [video(f"image.{k}", [[9 * k, 5, 6, 7]], frames=frames, label=label) for k, label in enumerate("bab")]
    pack = packs_of(pack_images, *objects, video("other", [[1, 1, 5, 5]]))
    assert frames.read == [0]
    assert pack.pairs.tolist() == [[i, i] for i in range(4)]
    assert pack.labels == ("a", "b")
    assert pack.label.tolist() == [1, 0, 1, -1]


def test_some_videos_can_be_chosen():
    """The pairs of other videos are gone, the items are those that they were."""
    pack = packs_of(pack_videos, *(video(name, [[5, 5, 8, 8]] * 3) for name in "abc"))
    chosen = pack.select([0, 2])
    assert chosen.pairs.tolist() == [[0, 1], [1, 2], [6, 7], [7, 8]]
    assert len(chosen) == len(pack) == 9 and len(pack.pairs) == 6


def test_without_a_pair_there_is_nothing_to_learn_from():
    """An error says what was expected of the data set, where nothing in it is of use."""
    lonely = [video(name, [[5, 5, 8, 8], NAN]) for name in "ab"]
    with pytest.raises(ValueError, match=r"ALOV: expected at least one pair of successive labelled frames, got .* 2 v"):
        packs_of(pack_videos, *lonely)
    for pack in (pack_videos, pack_images):
        with pytest.raises(ValueError, match="ALOV: expected at least one pair .*, got 1 sequences without a box"):
            packs_of(pack, video("a", [NAN]))
    with pytest.raises(ValueError, match=r"pair of successive labelled frames .* got none in 1 of 2 videos"):
        packs_of(pack_videos, video("a", [[5, 5, 8, 8]] * 2), lonely[0]).select([1])


def test_a_damaged_frame_is_named():
    """A frame that cannot be decoded in mid-sequence is an error with its sequence, its number and its file."""
    damaged = video("a", [[5, 5, 8, 8]] * 9, frames=Frames(9, damaged=(6,)))
    with pytest.raises(ValueError, match=r"sequence a, frame 6: 0007.jpg: expected an image"):
        packs_of(pack_videos, damaged)
    cut_short = Files(9)
    cut_short.files[6] = cut_short.files[6][:20]
    with pytest.raises(ValueError, match=r"sequence a, frame 6: expected an image, found one that cannot be decoded"):
        packs_of(pack_videos, video("a", [[5, 5, 8, 8]] * 9, frames=cut_short))


def test_a_saved_pack_is_the_same_when_mapped(tmp_path):
    """torch.load with mmap and weights_only gives back what was packed, of which nothing but tensors is stored."""
    tensors = pack_videos(Collection("ALOV", (video("a", [[5, 5, 8, 8]] * 3),)), Silent())
    torch.save(tensors, tmp_path / "pack.pt")
    mapped = torch.load(tmp_path / "pack.pt", mmap=True, weights_only=True)
    assert tensors.keys() == mapped.keys()
    assert all(torch.equal(tensors[name], mapped[name]) for name in tensors)
    assert np.array_equal(Pack(mapped).pixels(2), Pack(tensors).pixels(2))


def test_progress_is_told_up_to_the_last_frame():
    """Whoever watches sees every frame counted once."""

    class Told(Silent):
        said = []

        def progress(self, done, total):
            self.said.append((done, total))

    pack_videos(Collection("ALOV", (video("a", [[5, 5, 8, 8]] * 70),)), Told())
    assert Told.said == [(32, 70), (64, 70), (70, 70)]


def test_the_sample_is_packed_as_it_is_read():
    """Each labelled frame of ALOV's sample is an item, and each object of ImageNet's; frames are those of the files."""
    if not (DATA / "alov").exists() or not (DATA / "imagenet_det").exists():
        pytest.skip("no sample data")
    videos = alov.open(alov.Config(), DATA / "alov", "ALOV300++")
    pack = Pack(pack_videos(videos, Silent()))
    assert len(pack) == sum(sequence.labelled.sum() for sequence in videos)
    assert len(pack.pairs) == len(pack) - len(videos)
    last = list(videos)[-1]
    assert np.array_equal(pack.pixels(-1), last.frames[len(last) - 1])
    images = imagenet_det.open(imagenet_det.Config(), DATA / "imagenet_det", "ImageNet DET")
    tensors = pack_images(images, Silent())
    assert len(Pack(tensors)) == len(images)
    assert len(tensors["encoded"]) == sum(
        len(frames.encoded(0)) for frames in {id(image.frames): image.frames for image in images}.values()
    )
