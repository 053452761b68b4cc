import numpy as np
import pytest

from trackers.evaluation.protocols import Initialize, Update, one_pass
from trackers.sequence import GreyFrames, Sequence, check_box


def sequence(length):
    return Sequence("a", GreyFrames(np.zeros((length, 8, 8), np.uint8)), np.arange(4.0 * length).reshape(-1, 4) + 1)


def play(protocol, sequence, answer):
    """What the protocol asked, and its trajectory, where the tracker says `answer(t)`."""
    asked, game = [], protocol(sequence)
    request = next(game)
    while True:
        asked.append(request)
        try:
            request = game.send(answer(request.t) if isinstance(request, Update) else None)
        except StopIteration as end:
            return asked, end.value


def test_one_pass_helps_once():
    """One pass initializes in frame 0 on the true box and then asks for every frame, once, in order."""
    asked, trajectory = play(one_pass, sequence(4), lambda t: np.full(4, t))
    assert isinstance(asked[0], Initialize)
    assert asked[0].t == 0
    assert asked[0].region.tolist() == [1, 2, 3, 4]
    assert asked[1:] == [Update(1), Update(2), Update(3)]
    assert trajectory.tolist() == [[1, 2, 3, 4], [1] * 4, [2] * 4, [3] * 4]


def test_one_pass_of_one_frame():
    """A single frame asks for nothing but the start."""
    asked, trajectory = play(one_pass, sequence(1), None)
    assert len(asked) == 1
    assert trajectory.tolist() == [[1, 2, 3, 4]]


def test_grey_frames_are_rgb_without_a_copy():
    """A grey frame reads as (height, width, 3) and shares its memory with the film."""
    film = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
    image = GreyFrames(film)[1]
    assert image.shape == (3, 5, 3)
    assert (image == film[1, :, :, None]).all()
    assert np.shares_memory(image, film)


def test_a_sequence_has_a_box_for_each_of_its_frames():
    """Frames without boxes, boxes without frames, and no frames at all, are refused by the sequence's name."""
    film = GreyFrames(np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(ValueError, match=r"sequence walk: expected groundtruth of shape \(3, 4\).*got \(2, 4\)"):
        Sequence("walk", film, np.zeros((2, 4)))
    with pytest.raises(ValueError, match="sequence walk: expected at least one frame"):
        Sequence("walk", GreyFrames(np.zeros((0, 8, 8), np.uint8)), np.zeros((0, 4)))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([1, 1, np.nan, 2], "finite box of positive size"),
        ([1, 1, 0, 2], "finite box of positive size"),
        ([1, 1, 2, -1], "finite box of positive size"),
        ([8, 1, 2, 2], "touches the 8 x 6 image, got x=8"),
        ([1, 6, 2, 2], "touches the 8 x 6 image"),
        ([-2, 1, 2, 2], "touches the 8 x 6 image"),
        ([1, -3, 2, 3], "touches the 8 x 6 image"),
    ],
)
def test_check_box_refuses(box, message):
    """A box to start on is finite, has a size, and has a part inside the image."""
    with pytest.raises(ValueError, match=f"here: expected .*{message}"):
        check_box(np.array(box, float), np.zeros((6, 8, 3), np.uint8), "here")


def test_check_box_lets_a_box_cross_the_border():
    """A box that is partly outside is a box."""
    check_box(np.array([-1.5, 5, 2, 3]), np.zeros((6, 8, 3), np.uint8), "here")
