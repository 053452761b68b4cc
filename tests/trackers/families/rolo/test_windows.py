import dataclasses

import numpy as np
import pytest
import torch

from trackers.families.rolo.windows import Windows, detection, located, video

NAN = [np.nan] * 4
BOXES = np.array([[10.0 + 2 * t, 12, 20, 16] for t in range(9)])


def learnt(world, learn_from="all", truth=BOXES, released=False, detections=None, **facts):
    """What nine frames of 80 x 60 give, seen by a perfect detector unless it is said what is seen."""
    made = world({"a": (truth, BOXES[:, None] if detections is None else detections)})
    sequence = dataclasses.replace(made.sequences[0], **facts)
    return video(sequence, made.features["train"]["a"], learn_from, 6, 0.3, released)


def windows(found, steps, **settings):
    """By the number of its target, each window's visual vectors, B_t and location."""
    visual, rows, locations = Windows([found], steps, 200, seed=1, **settings).batch(0, "cpu")
    numbers = [np.flatnonzero((found.locations == location.numpy()).all(1)).item() for location in locations]
    return {number: (visual[i], rows[i], locations[i]) for i, number in enumerate(numbers)}


def test_a_detection_by_hand(world):
    """B_t is 0, then centre and size in shares of the image, then 0 (Eq. 3); six zeros where none is assigned."""
    seen = world({"a": (BOXES[:1], [[[1, 1, 4, 4], [10, 12, 20, 16]]])}).seen[0, 0]
    np.testing.assert_allclose(detection(seen, 1, (80, 60), raw=False), [0, 20 / 80, 20 / 60, 20 / 80, 16 / 60, 0])
    np.testing.assert_array_equal(detection(seen, None, (80, 60), raw=False), np.zeros(6))
    assert detection(seen, 1, (80, 60), raw=True)[[0, -1]] == pytest.approx([4, 0.5])  # class and score


@pytest.mark.parametrize(
    ("learn_from", "targets", "frames"),
    [("all", range(9), 9), ("first_third", [0, 1, 2], 3), ("every_third", [0, 3, 6], 9)],
)
def test_targets_and_frames_of_the_experiments(world, learn_from, targets, frames):
    """Of nine frames, which labels are learnt from, and how many frames are seen (Section 4.3)."""
    found = learnt(world, learn_from)
    assert found.targets.tolist() == found.ends.tolist() == list(targets)
    assert len(found.features) == len(found.detections) == frames


def test_a_window_ends_at_its_target(world):
    """It holds the frames before, in order; of those before the first frame, the first is there instead."""
    found = learnt(world)
    every = windows(found, steps=4)
    assert sorted(every) == list(range(9))
    for end, (visual, rows, location) in every.items():
        frames = [max(end - back, 0) for back in (3, 2, 1, 0)]
        assert torch.equal(visual, torch.from_numpy(found.features[frames]).float())
        assert torch.equal(rows, torch.from_numpy(found.detections[frames]))
        assert torch.equal(rows[-1, 1:5], location)
        np.testing.assert_allclose(location, located(BOXES[end], np.array([80, 60])), rtol=1e-6)


@pytest.mark.parametrize("learn_from", ["all", "every_third"])
def test_what_has_no_label_is_no_target(world, learn_from):
    """Frames without groundtruth, of no size, or not labelled are seen, but not asked for; those before the first
    label are not seen."""
    truth = np.array([NAN, NAN, *BOXES[2:4], NAN, [1, 1, 0, 5], *BOXES[6:]])
    found = learnt(world, learn_from, truth, labelled=np.arange(9) != 7)
    expected = [2, 3, 6, 8] if learn_from == "all" else [3, 6]
    assert (found.targets + 2).tolist() == expected
    assert len(found.features) == 7


def test_a_sequence_without_a_valid_detection_is_learnt_from(world):
    """Its B_t are zeros; its features still tell."""
    found = learnt(world, detections=[[[60, 40, 9, 9]]] * 9)
    assert not found.detections.any() and len(found.ends) == 9


def test_a_sequence_without_labels_gives_nothing(world):
    """Nor does one whose first third has none."""
    assert learnt(world, truth=np.array([NAN] * 9)) is None
    assert learnt(world, "first_third", np.array([NAN] * 3 + [BOXES[3]] * 6)) is None
    with pytest.raises(ValueError, match="expected a frame with groundtruth to learn from, got none"):
        Windows([], 6, 1, seed=0)


def test_features_of_another_video_are_refused(world):
    """A cache that has another number of frames is of something else."""
    one, other = (world({"a": (BOXES[:n], BOXES[:n, None])}) for n in (9, 8))
    with pytest.raises(ValueError, match="sequence a: expected the features of 9 frames, got 8"):
        video(one.sequences[0], other.features["train"]["a"], "all", 6, 0.3, False)


def test_released_looks_at_groundtruth_and_one_frame_ahead(world):
    """A target that jumps keeps its detections, by its groundtruth; each window ends one frame after its target."""
    truth = np.array([*BOXES[:5], *(BOXES[5:] + [30.0, 20, 0, 0])])
    kept, lost = (
        learnt(world, truth=truth, released=released, detections=truth[:, None]) for released in (True, False)
    )
    assert kept.detections[:, 1:5].all(1).tolist() == [True] * 9
    assert lost.detections[:, 1:5].all(1).tolist() == [True] * 5 + [False] * 4
    assert kept.ends.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 8] and kept.targets.tolist() == list(range(9))
    assert lost.ends.tolist() == list(range(9))
    np.testing.assert_allclose(kept.detections[:, [0, -1]], [[3, 0.9]] * 9, rtol=1e-6)
    assert not lost.detections[:, [0, -1]].any()
    assert learnt(world, "first_third", released=True).ends.tolist() == [1, 2, 2]


def test_a_minibatch_depends_on_seed_and_number_alone(world):
    """Asked in another order it is the same, dropout and offsets too; of another seed or number it is not."""
    found = learnt(world)

    def batches(seed, numbers):
        drawing = Windows([found, found], 3, 5, offset=0.2, dropout=0.5, seed=seed)
        return {number: drawing.batch(number, "cpu") for number in numbers}

    forward, backward = batches(4, (0, 1, 2)), batches(4, (2, 1, 0))
    assert all(torch.equal(a, b) for n in range(3) for a, b in zip(forward[n], backward[n], strict=True))
    assert not torch.equal(forward[0][0], forward[1][0])
    assert not torch.equal(forward[0][0], batches(5, [0])[0][0])


def test_dropout_is_of_visual_features(world):
    """So many of them are 0, the others larger in turn; detections and locations stay."""
    found = learnt(world)
    kept, dropped = windows(found, 4), windows(found, 4, dropout=0.25)
    for number in kept:
        assert torch.equal(kept[number][1], dropped[number][1]) and torch.equal(kept[number][2], dropped[number][2])
        there = dropped[number][0] != 0
        torch.testing.assert_close(dropped[number][0][there], (kept[number][0] / 0.75)[there])
    share = np.mean([(dropped[number][0] == 0).float().mean() for number in kept])
    assert abs(share - 0.25) < 0.1  # of 288


def test_offsets_move_detections_only(world):
    """By at most so many of their widths and heights, each frame's anew; what is not there does not move."""
    found = learnt(world, detections=[[] if t == 4 else [BOXES[t]] for t in range(9)])
    still, moved = windows(found, 9)[8], windows(found, 9, offset=0.1)[8]
    assert torch.equal(still[0], moved[0]) and torch.equal(still[2], moved[2])
    difference = (moved[1] - still[1]).numpy()
    assert not difference[4].any() and not difference[:, [0, 3, 4, 5]].any()
    there = np.delete(difference[:, 1:3], 4, 0)
    assert (np.abs(there) <= 0.1 * np.array([20 / 80, 16 / 60]) + 1e-6).all()
    assert len(np.unique(there)) == 16
