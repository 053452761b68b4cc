import os
import pickle
import signal
import threading

import cv2
import numpy as np
import pytest

from trackers.benchmarks import plain, videos
from trackers.benchmarks.problems import DataError

FRAMES = 40


def number_of(image):
    """The number that a frame shows: each of six stripes is white where a bit of it is set."""
    return sum((image[12, 8 * bit + 4].mean() > 127) << bit for bit in range(6))


def frame(t):
    image = np.zeros((24, 48, 3), np.uint8)
    for bit in range(6):
        image[:, 8 * bit : 8 * bit + 8] = 255 * (t >> bit & 1)
    return image


def write_video(path, count=FRAMES, codec="mp4v"):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, (48, 24))
    for t in range(count):
        writer.write(frame(t))
    writer.release()


def write_images(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for t, name in enumerate(names):
        cv2.imwrite(str(folder / name), frame(t))


@pytest.fixture(params=[("mp4", "mp4v"), ("avi", "MJPG")], ids=lambda param: param[1])
def video(tmp_path, request):
    suffix, codec = request.param
    path = tmp_path / f"dog.{suffix}"
    write_video(path, codec=codec)
    return videos.Video(path)


def read(root, **settings):
    return plain.open(plain.Config(**settings), root, "plain").sequences


def problems_of(root, **settings):
    with pytest.raises(DataError) as raised:
        read(root, **settings)
    return [str(problem).replace(f"{root}/", "").replace(str(root), ".") for problem in raised.value.problems]


def test_each_number_gives_the_same_frame(video):
    """Frames are exact in whatever order they are read: forward, backward, by leaps, at random."""
    assert len(video) == FRAMES
    order = [*range(FRAMES), *reversed(range(FRAMES)), *range(0, FRAMES, 7)]
    order += np.random.default_rng(0).integers(0, FRAMES, 60).tolist()
    assert [number_of(video[t]) for t in order] == order
    assert number_of(video[-1]) == FRAMES - 1
    with pytest.raises(IndexError):
        video[FRAMES]


def test_runs_side_by_side_each_go_forward(video, monkeypatch):
    """Runs at different places that read in turn soon have a decoder each: then none goes back any more."""
    starts = [0, 10, 20, 30]
    for t in range(len(starts)):
        assert [number_of(video[start + t]) for start in starts] == [start + t for start in starts]
    monkeypatch.setattr(videos, "_open", None)
    for t in range(len(starts), 10):
        assert [number_of(video[start + t]) for start in starts] == [start + t for start in starts]


def test_few_files_are_open(video):
    """However often reading goes back, the number of decoders has an end."""
    for t in reversed(range(FRAMES)):
        video[t]
    assert len(video._decoders) == videos.OPEN
    video.close()
    assert not video._decoders
    assert number_of(video[3]) == 3


def test_threads_and_processes_share_a_video(video):
    """Threads may read one video at once, and a copy, or a fork, opens the file for itself."""
    seen = {}

    def follow(start):
        seen[start] = [number_of(video[t]) for t in range(start, start + 20)]

    threads = [threading.Thread(target=follow, args=(start,)) for start in (0, 5, 15)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {start: list(range(start, start + 20)) for start in (0, 5, 15)}
    copy = pickle.loads(pickle.dumps(video))  # noqa: S301  (our own)
    assert number_of(copy[20]) == 20 and len(copy) == FRAMES
    video[4]
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)  # rather than wait for ever
        os._exit(int([number_of(video[t]) for t in (5, 6, 2)] != [5, 6, 2]))
    assert os.waitpid(child, 0)[1] == 0
    assert number_of(video[5]) == 5


def test_frames_are_counted_where_the_file_ends_early(tmp_path):
    """A file cut short has as many frames as can be decoded, whatever its header promises."""
    path = tmp_path / "cut.avi"
    write_video(path, codec="MJPG")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    cut = videos.Video(path)
    assert 10 < len(cut) < FRAMES
    assert [number_of(cut[t]) for t in range(len(cut))] == list(range(len(cut)))


@pytest.mark.parametrize("content", [b"", b"no video at all", bytes(5000)])
def test_what_is_no_video_is_refused(tmp_path, content):
    """A file that is no video is refused by name, and a missing one, too."""
    path = tmp_path / "dog.mp4"
    with pytest.raises(FileNotFoundError, match=f"{path}: expected a video"):
        videos.Video(path)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path}: expected a video"):
        videos.Video(path)
    (tmp_path / "dog.txt").write_text("1 2 3 4")
    assert problems_of(tmp_path) == ["dog.mp4: expected a video, found a file of which no frame can be decoded"]


def test_a_video_and_its_box(tmp_path):
    """A video's box is in the text of its name, or in groundtruth.txt; one row labels the first frame alone."""
    write_video(tmp_path / "dog.mp4", 5)
    (tmp_path / "dog.txt").write_text("1,2,3,4\n")
    write_video(tmp_path / "cats/cat.mp4", 3)
    (tmp_path / "cats/groundtruth.txt").write_text("1 2 3 4\nNaN NaN NaN NaN\n5\t6\t7\t8\n")
    cat, dog = read(tmp_path)
    assert (cat.name, dog.name) == ("cat", "dog")
    assert dog.groundtruth[0].tolist() == [1, 2, 3, 4] and np.isnan(dog.groundtruth[1:]).all()
    assert dog.labelled.tolist() == [True, False, False, False, False]
    assert np.array_equal(cat.groundtruth, [[1, 2, 3, 4], [np.nan] * 4, [5, 6, 7, 8]], equal_nan=True)
    assert cat.labelled is None
    assert [number_of(image) for image in dog.images([0, 4, 2])] == [0, 4, 2]


@pytest.mark.parametrize(
    "names",
    [["f7.png", "f8.png", "f9.png", "f10.png"], ["a.png", "b.png", "c1.png", "d.png"]],
    ids=["numbers", "names"],
)
def test_a_folder_of_images(tmp_path, names):
    """Images come in order of their numbers, however many digits those have, or by name if any has none."""
    write_images(tmp_path / "walk", names)
    (sequence,) = read(tmp_path, box=(1, 2, 3, 4))
    assert sequence.name == "walk"
    assert [number_of(sequence.frames[t]) for t in range(4)] == [0, 1, 2, 3]
    assert sequence.groundtruth[0].tolist() == [1, 2, 3, 4]


def test_images_in_the_root(tmp_path):
    """Where the images lie in the data set's own folder, that one's name is the sequence's."""
    write_images(tmp_path / "walk", ["1.jpg", "2.jpg"])
    (tmp_path / "walk/groundtruth.txt").write_text("1,2,3,4")
    assert [(s.name, len(s)) for s in read(tmp_path / "walk")] == [("walk", 2)]


def test_choice_of_sequences(tmp_path):
    """Sequences can be asked for by name, or left out; a box in the configuration is for one alone."""
    for name in ("a", "b"):
        write_images(tmp_path / name, ["1.png"])
        (tmp_path / name / "groundtruth.txt").write_text("1,2,3,4")
    assert [s.name for s in read(tmp_path)] == ["a", "b"]
    assert [s.name for s in read(tmp_path, sequences=("b",), box=(1, 1, 1, 1))] == ["b"]
    assert [s.name for s in read(tmp_path, exclude=("b",))] == ["a"]
    assert problems_of(tmp_path, box=(1, 1, 1, 1)) == [
        ".: expected one sequence for the one box of the configuration, found 2 sequences"
    ]


def test_all_problems_at_once(tmp_path):
    """Boxes that are missing, too many or none, gaps, and names used twice are told together."""
    write_images(tmp_path / "a", ["1.png", "2.png"])
    write_images(tmp_path / "b", ["1.png", "2.png", "3.png"])
    (tmp_path / "b/groundtruth.txt").write_text("1,2,3,4\n1,2,3,4\n")
    write_images(tmp_path / "c", ["1.png", "3.png"])
    (tmp_path / "c/groundtruth.txt").write_text("1,2,3\n")
    write_images(tmp_path / "d", ["1.png"])
    (tmp_path / "d/groundtruth.txt").write_text("1,2,-3,4\n")
    write_images(tmp_path / "e/d", ["1.png"])
    assert problems_of(tmp_path) == [
        "a/groundtruth.txt: expected a file, found No such file or directory",
        "b/groundtruth.txt: expected 1 row, or 3, one a frame, found 2",
        "c: expected images 1 to 3, found none of number 2",
        "c/groundtruth.txt:1: expected 4 numbers, found 3",
        "d/groundtruth.txt:1: expected x, y, and positive width and height, or NaN or 0 four times, found 1 2 -3 4",
        "e/d: expected one folder or video of a name, found also d",
    ]


@pytest.mark.parametrize("box", [(1, 2, 3), (1, 2, 0, 4), (1, 2, 3, float("nan"))])
def test_settings_are_checked(box):
    """A box that is none is refused by name."""
    with pytest.raises(ValueError, match="box: expected x, y and positive width and height, got"):
        plain.Config(box=box)
